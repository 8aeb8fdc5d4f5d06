//! The networks, each defined once as a [`Graph`] that every executor runs.

mod blocks;
mod graph;
mod mobilenet_v2;
mod resnet50;
mod spec;
mod vgg16;

pub use graph::{Activation, Conv, FlattenOrder, Graph, Linear, Node, Norm, Op, Padding, Pool, Value};
pub use spec::{NetworkKind, NetworkSpec, Tap, Variant};
