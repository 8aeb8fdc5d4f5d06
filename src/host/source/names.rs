//! File names that are not UTF-8, as text and back without loss.
//!
//! A byte that is not part of valid UTF-8 is written `\xHH`. So that no two names share a text, a
//! backslash that already stands before `xHH` in a name is written `\x5c`. All other names, with
//! spaces, quotes, newlines and backslashes, are their own text.

use alloc::string::String;
use core::fmt::Write;

/// The text of a name.
pub(super) fn to_text(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        let valid = chunk.valid();
        for (at, c) in valid.char_indices() {
            if c == '\\' && valid.get(at..).is_some_and(|rest| escape(rest).is_some()) {
                text.push_str(r"\x5c");
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String can't fail.
            let _ = write!(text, r"\x{byte:02x}");
        }
    }
    text
}

/// The name of a text written by [`to_text`].
#[cfg(test)]
fn from_text(text: &str) -> alloc::vec::Vec<u8> {
    let mut name = alloc::vec::Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(byte) = escape(rest) {
            name.push(byte);
            rest = rest.get(4..).unwrap_or_default();
        } else {
            let (this, next) = rest.split_at(c.len_utf8());
            name.extend_from_slice(this.as_bytes());
            rest = next;
        }
    }
    name
}

/// The byte of an escape at the beginning of `text`.
fn escape(text: &str) -> Option<u8> {
    let digits = text.strip_prefix(r"\x")?.get(..2)?;
    let lower = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if lower { u8::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_names_are_their_own_text() {
        for name in ["a b.jpg", "\"q\"'.jpg", "line\nbreak.jpg", r"back\slash.jpg", r"c:\xyz", "ä🍎.png"] {
            assert_eq!(to_text(name.as_bytes()), name);
        }
        assert_eq!(to_text(b"\xe4pfel.jpg"), r"\xe4pfel.jpg");
        assert_eq!(to_text(br"\xe4pfel.jpg"), r"\x5cxe4pfel.jpg");
    }

    proptest! {
        #[test]
        fn nothing_is_lost(name in proptest::collection::vec(
            prop_oneof![Just(b'\\'), Just(b'x'), Just(b'5'), Just(b'c'), any::<u8>()], 0..12)
        ) {
            prop_assert_eq!(from_text(&to_text(&name)), name);
        }
    }
}
