//! Memory that may not be there: an error instead of an abort.

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, vec::Vec};

/// So many zeros; `None` where they have no room.
pub(crate) fn try_zeros<T: Clone + Default>(len: usize) -> Option<Vec<T>> {
    let mut values = Vec::new();
    lengthen(&mut values, len).then_some(values)
}

/// So many zeros; `remedy` says what to do where they have no room.
///
/// # Errors
/// [`ErrorKind::Limit`].
pub(crate) fn zeros(len: usize, remedy: &str) -> Result<Vec<f32>> {
    let mut floats = Vec::new();
    grow(&mut floats, len, remedy)?;
    Ok(floats)
}

/// At least so many floats; those that are new are zeros.
///
/// # Errors
/// [`ErrorKind::Limit`]; the floats are as they were.
pub(crate) fn grow(floats: &mut Vec<f32>, len: usize, remedy: &str) -> Result<()> {
    if lengthen(floats, len) {
        return Ok(());
    }
    let m = format!("{} MB are not available; {remedy}", len >> 18);
    Err(Error::new(ErrorKind::Limit, Stage::Featurize, m))
}

/// At least so many values, if they have room.
fn lengthen<T: Clone + Default>(values: &mut Vec<T>, len: usize) -> bool {
    let more = len.saturating_sub(values.len());
    let room = values.try_reserve_exact(more).is_ok();
    if room && more > 0 {
        values.resize(len, T::default());
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_an_error_with_a_remedy() {
        let mut floats = zeros(3, "").unwrap();
        grow(&mut floats, 5, "").unwrap();
        grow(&mut floats, 2, "").unwrap();
        for len in [usize::MAX, usize::MAX / 8] {
            let e = grow(&mut floats, len, "use a smaller --batch").unwrap_err();
            assert_eq!((e.kind(), e.stage()), (ErrorKind::Limit, Stage::Featurize));
            assert!(e.message().ends_with("MB are not available; use a smaller --batch"), "{e}");
            assert_eq!(floats, [0.0; 5]);
            assert_eq!(try_zeros::<f64>(len), None);
        }
    }
}
