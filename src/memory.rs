//! Memory that may not be there: an error instead of an abort.

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, vec::Vec};

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
    let more = len.saturating_sub(floats.len());
    floats.try_reserve_exact(more).map_err(|_| {
        let m = format!("{} MB are not available; {remedy}", len >> 18);
        Error::new(ErrorKind::Limit, Stage::Featurize, m)
    })?;
    if more > 0 {
        floats.resize(len, 0.0);
    }
    Ok(())
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
        }
    }
}
