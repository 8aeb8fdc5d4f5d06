//! The networks, each defined once as a [`Graph`] that every executor runs.

mod graph;

pub use graph::{Activation, Conv, FlattenOrder, Graph, Linear, Node, Norm, Op, Padding, Pool, Value};
