//! Clusters and classes over components: nearest centroid, k-means, and measures of both.

mod centroid;
mod distance;
pub mod kmeans;
pub mod measures;
mod rng;

pub use centroid::{CentroidFit, NearestCentroid};
