//! Operating system and object store failures as [`Error`]s that say what to do.

use super::connect::Service;
use crate::{Error, ErrorKind, Stage};
use alloc::{format, string::String};
use std::io;

/// A failure of the local file system at `path`.
pub(super) fn local(error: io::Error, path: &str) -> Error {
    let (kind, message) = match error.kind() {
        io::ErrorKind::NotFound => {
            (ErrorKind::NotFound, "does not exist (or is a broken link); check the path".into())
        }
        io::ErrorKind::PermissionDenied => (
            ErrorKind::PermissionDenied,
            "may not be read by this user; change its permissions or run as its owner".into(),
        ),
        io::ErrorKind::NotADirectory => {
            (ErrorKind::NotFound, "lies below something that is no folder; check the path".into())
        }
        _ => (ErrorKind::Io, format!("can't be read: {error}; check the disk or share")),
    };
    new(kind, message).at(path).because(error)
}

/// An object that is larger than the options allow.
pub(super) fn too_large(size: u64, limit: u64) -> Error {
    new(
        ErrorKind::Limit,
        format!("{size} bytes exceed the limit of {limit}; raise max_bytes if the file is genuine"),
    )
}

/// The error for a listing that gave no picture, for programs that need at least one; `skipped` is
/// what [`Source::skipped`](super::Source::skipped) counts.
///
/// ```
/// use fruitcore::{ErrorKind, host::source};
/// let error = source::nothing_found("fruits/", 12);
/// assert_eq!(error.kind(), ErrorKind::Insufficient);
/// assert!(error.message().contains("12 other files"));
/// ```
pub fn nothing_found(source: &str, skipped: u64) -> Error {
    let message = if skipped == 0 {
        String::from("holds no files; check the path or prefix")
    } else {
        format!(
            "holds no pictures, only {skipped} other files; name them with an include glob if they are pictures"
        )
    };
    new(ErrorKind::Insufficient, message).at(source)
}

pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, Stage::Source, message)
}

/// A failure of an object store that is read.
pub(super) fn store(error: object_store::Error, service: Service) -> Error {
    let (kind, message) = explain(&error, service);
    new(kind, message).because(error)
}

/// What kind of failure of an object store it is, and what to do.
pub(crate) fn explain(error: &object_store::Error, service: Service) -> (ErrorKind, String) {
    let text = chain(error);
    let has = |needle: &str| text.contains(needle);
    if has("NoSuchBucket") || has("ContainerNotFound") || has("bucket does not exist") {
        (ErrorKind::NotFound, String::from("the bucket doesn't exist; check its name, account and region"))
    } else if has("PermanentRedirect")
        || has("AuthorizationHeaderMalformed")
        || has("Received redirect without LOCATION")
        || has("IllegalLocationConstraint")
    {
        (
            ErrorKind::InvalidArgument,
            String::from(
                "the bucket lies in another region; set AWS_REGION (or the option aws_region) to it",
            ),
        )
    } else if is_credential(&text) {
        (
            ErrorKind::PermissionDenied,
            format!("the credentials are missing or not valid; {}", credentials(service)),
        )
    } else if has("AccessDenied") || has("403 Forbidden") {
        // Listings hide the status in a generic error.
        let advice = credentials(service);
        (
            ErrorKind::PermissionDenied,
            format!("access denied: these credentials don't allow it here; {advice}"),
        )
    } else if has("401 Unauthorized") {
        (ErrorKind::PermissionDenied, format!("the store asks for credentials; {}", credentials(service)))
    } else if has("404 Not Found") {
        (ErrorKind::NotFound, String::from("does not exist; check the bucket and path"))
    } else {
        match error {
            object_store::Error::NotFound { .. } => {
                (ErrorKind::NotFound, String::from("does not exist; check the bucket and path"))
            }
            object_store::Error::PermissionDenied { .. } => (
                ErrorKind::PermissionDenied,
                format!("access denied: these credentials don't allow it here; {}", credentials(service)),
            ),
            object_store::Error::Unauthenticated { .. } => (
                ErrorKind::PermissionDenied,
                format!("the store asks for credentials; {}", credentials(service)),
            ),
            object_store::Error::InvalidPath { source } => (
                ErrorKind::Unsupported,
                format!("an object's key has empty, `.` or `..` parts ({source}); rename it"),
            ),
            object_store::Error::Precondition { .. } => (
                ErrorKind::Mismatch,
                String::from("the object changed while it was being read; start again when writing is over"),
            ),
            object_store::Error::UnknownConfigurationKey { key, .. } => {
                (ErrorKind::InvalidArgument, format!("`{key}` is no setting of this store"))
            }
            object_store::Error::NotSupported { .. } | object_store::Error::NotImplemented { .. } => {
                (ErrorKind::Unsupported, format!("the store can't do this: {}", short(&text)))
            }
            _ if service == Service::Http && (has("405") || has("501") || has("PROPFIND")) => (
                ErrorKind::Unsupported,
                String::from(
                    "this web server can't list folders (no WebDAV); give a .tar, or a .txt file with one \
                     path or URL a line",
                ),
            ),
            _ if has("Missing bucket name") || has("Missing container name") => {
                (ErrorKind::InvalidArgument, String::from("the URL names no bucket; write s3://bucket/path"))
            }
            _ => (
                ErrorKind::Network,
                format!("the store could not be reached or broke off ({}); try again later", short(&text)),
            ),
        }
    }
}

/// Whether another attempt may help and hasn't been made by the store's own client already.
pub(super) fn transient(error: &object_store::Error) -> bool {
    let generic =
        matches!(error, object_store::Error::Generic { .. } | object_store::Error::JoinError { .. });
    let text = chain(error);
    generic && !text.contains("max_retries") && !is_credential(&text) && !text.contains("redirect without")
}

/// What the services and their clients say about credentials.
fn is_credential(text: &str) -> bool {
    const SIGNS: [&str; 15] = [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "Missing AccessKeyId",
        "Missing SecretAccessKey",
        "169.254.169.254",
        "metadata.google.internal",
        "AuthenticationFailed",
        "invalid_grant",
        "Error getting credentials",
        "NoAuthenticationInformation",
        "CredentialsNotSupported",
        "Missing configuration account",
        "Account must be specified",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// Where each service's credentials come from.
fn credentials(service: Service) -> &'static str {
    match service {
        Service::S3 => {
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if temporary, AWS_SESSION_TOKEN, or \
             AWS_SKIP_SIGNATURE=true for a public bucket"
        }
        Service::Google => {
            "set GOOGLE_SERVICE_ACCOUNT or GOOGLE_APPLICATION_CREDENTIALS to a key file, or \
             GOOGLE_SKIP_SIGNATURE=true for a public bucket"
        }
        Service::Azure => {
            "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_STORAGE_SAS_KEY), or \
             AZURE_SKIP_SIGNATURE=true for a public container"
        }
        Service::Http => "this server needs a login, which is not supported; copy the data first",
        Service::Given => "check the store that the program opened",
    }
}

/// The messages of an error and its causes.
fn chain(error: &dyn core::error::Error) -> String {
    let mut text = format!("{error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = format!("{inner}");
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

/// Servers answer with whole pages at times.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<alloc::vec::Vec<_>>().join(" ");
    match line.char_indices().nth(240) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}
