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

use crate::{Error, ErrorKind, Result, Stage};

pub use centroid::{CentroidFit, NearestCentroid};
pub use evaluation::{ClassScore, Evaluation};
#[cfg(feature = "train")]
pub(crate) use head::best_temperature;
pub use head::{Head, Model, Prediction, Reads};
pub use neighbors::{Metric, Neighbors, NeighborsFit, Weighting};

/// Refuses a row with NaN or infinity: every comparison with one is false, so some class would win.
fn finite(row: &[f32]) -> Result<()> {
    match row.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let m = alloc::format!("column {at} is not finite");
            Err(Error::new(ErrorKind::NonFinite, Stage::Classify, m))
        }
    }
}
