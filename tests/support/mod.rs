//! What several test targets share.
#![allow(dead_code)]

pub(crate) mod generator;
pub(crate) mod goldens;
pub(crate) mod naive;
