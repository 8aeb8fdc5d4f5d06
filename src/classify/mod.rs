//! Clusters and classes over features or components.
//!
//! | | fitted by | |
//! |---|---|---|
//! | [`NearestCentroid`] | [`CentroidFit`] | class means; one pass, mergeable |
//! | [`softmax::Softmax`] | [`softmax::SoftmaxFit`] | linear; L-BFGS over batches that can be read again |
//! | [`Neighbors`] | [`NeighborsFit`] | keeps its examples |
//!
//! A [`Head`] is one of them with a name, calibrated probabilities and an "unknown" answer; a
//! [pipeline](crate::pipeline) carries heads. [`Evaluation`] measures predictions,
//! [`measures`] compares clusterings, [`kmeans`] makes them.

mod centroid;
pub(crate) mod distance;
mod evaluation;
mod head;
pub mod kmeans;
pub mod measures;
mod neighbors;
pub mod softmax;

pub use centroid::{CentroidFit, NearestCentroid};
pub use evaluation::{ClassScore, Evaluation};
#[cfg(feature = "train")]
pub(crate) use head::best_temperature;
pub use head::{Head, Model, Prediction, Reads};
pub use neighbors::{Metric, Neighbors, NeighborsFit, Weighting};
