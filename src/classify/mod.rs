//! Clusters and classes over components: nearest centroid, softmax regression, k-means, and measures of both.

mod centroid;
mod distance;
pub mod kmeans;
pub mod measures;
pub mod softmax;

pub use centroid::{CentroidFit, NearestCentroid};
