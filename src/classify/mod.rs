//! Clusters, classes and heads.
