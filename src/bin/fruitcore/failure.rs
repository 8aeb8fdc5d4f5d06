//! How a command fails: exit status, and what a person reads.

use core::error::Error as _;
use fruitcore::{Error, ErrorKind, Stage};
use std::process::ExitCode;

/// An error on its way out of `main`.
#[derive(Debug)]
pub(crate) struct Failure {
    error: Error,
    code: u8,
}

impl Failure {
    const FAILED: u8 = 1;
    const USAGE: u8 = 2;
    const STRICT: u8 = 3;
    const INTERRUPTED: u8 = 130;

    /// Options that make no sense; nothing was done.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidArgument, Stage::Config, message).into()
    }

    /// A picture that `--strict` doesn't pass over.
    pub(crate) fn strict(error: Error) -> Self {
        Self { error, code: Self::STRICT }
    }

    /// The error alone, for a note about what went without it.
    pub(crate) fn message(&self) -> String {
        self.error.to_string()
    }

    /// Prints the error and gives the exit status.
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("{}", self.text());
        ExitCode::from(self.code)
    }

    /// `error: stage: object: message`, and below it the causes that say something new.
    fn text(&self) -> String {
        let mut text = format!("error: {}", self.error);
        let mut said = self.error.to_string();
        let mut cause = self.error.source();
        while let Some(e) = cause {
            let words = e.to_string();
            if !words.is_empty() && !said.contains(&words) {
                text.push_str("\n  because: ");
                text.push_str(&words);
                said.push_str(&words);
            }
            cause = e.source();
        }
        if self.code == Self::STRICT {
            text.push_str("\n  --strict stops at the first picture that can't be used; without it, such pictures are listed in rejects.csv");
        }
        text
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match (error.kind(), error.stage()) {
            (ErrorKind::Interrupted, _) => Self::INTERRUPTED,
            (ErrorKind::InvalidArgument, Stage::Config) => Self::USAGE,
            _ => Self::FAILED,
        };
        Self { error, code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let io = std::io::Error::other("disk on fire");
        let e = Error::new(ErrorKind::Io, Stage::Sink, "can't be written").at("x.csv").because(io);
        assert_eq!(Failure::from(e).text(), "error: sink: x.csv: can't be written\n  because: disk on fire");
        let io = std::io::Error::other("disk on fire");
        let e = Error::new(ErrorKind::Io, Stage::Sink, "can't be written: disk on fire").because(io);
        assert_eq!(Failure::from(e).text(), "error: sink: can't be written: disk on fire");
    }

    #[test]
    fn exit_codes() {
        let code = |kind, stage| Failure::from(Error::new(kind, stage, "")).code;
        assert_eq!(code(ErrorKind::InvalidArgument, Stage::Config), 2);
        assert_eq!(code(ErrorKind::InvalidArgument, Stage::Pca), 1);
        assert_eq!(code(ErrorKind::Interrupted, Stage::Run), 130);
        assert_eq!(code(ErrorKind::NotFound, Stage::Source), 1);
    }
}
