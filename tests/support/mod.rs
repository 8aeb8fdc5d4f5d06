//! What several test targets share.
#![allow(dead_code, clippy::std_instead_of_alloc)]

pub(crate) mod bundle;
pub(crate) mod generator;
pub(crate) mod goldens;
pub(crate) mod naive;
