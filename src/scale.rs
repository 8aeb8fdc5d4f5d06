//! Mergeable mean and variance.
