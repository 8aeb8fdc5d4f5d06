//! What executors may rely on, whoever wrote the source.

use super::WeightSource;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{borrow::Cow, format, string::String, vec::Vec};

/// A source whose answers needn't be checked again: as many values as asked for, finite, and no variance negative.
pub(in super::super) struct Checked<'a>(pub(in super::super) &'a dyn WeightSource);

impl WeightSource for Checked<'_> {
    fn names(&self) -> Vec<String> {
        self.0.names()
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        let values = self.0.tensor(name, shape)?;
        let expected = shape.iter().try_fold(1usize, |n, &side| n.checked_mul(side));
        let bad = |kind, message| Err(Error::new(kind, Stage::Weights, message).at(name));
        if expected != Some(values.len()) {
            let expected = expected.unwrap_or(usize::MAX);
            let message = format!(
                "{shape:?} needs {expected} values, the source gave {}; is it a checkpoint of another network?",
                values.len()
            );
            return bad(ErrorKind::Shape, message);
        }
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            let message = format!("value {i} is {}; the checkpoint is damaged, fetch it again", values[i]);
            return bad(ErrorKind::NonFinite, message);
        }
        if name.ends_with(".running_var") && values.iter().any(|&v| v < 0.0) {
            let message = "a variance is negative; the checkpoint is damaged, fetch it again";
            return bad(ErrorKind::NonFinite, message.into());
        }
        Ok(values)
    }
}
