//! [`open`]: from what a user types to a source.

use super::{LocalSource, Source, SourceOptions, errors, filter::Rules};
use crate::{ErrorKind, Result};
use alloc::{boxed::Box, format, sync::Arc};
use std::path::PathBuf;
use url::Url;

/// Opens `input`: a local folder, archive or picture, or the URL of one.
///
/// # Errors
/// [`ErrorKind::NotFound`] or [`ErrorKind::PermissionDenied`] if a local path can't be opened,
/// [`ErrorKind::InvalidArgument`] for globs, label rules, URLs or store settings that make no sense,
/// [`ErrorKind::Unsupported`] for URL schemes that this build doesn't know.
///
/// ```
/// use fruitcore::host::source::{self, SourceOptions};
/// use futures::{StreamExt, executor::block_on};
/// # let folder = tempfile::tempdir().unwrap();
/// # let input = folder.path().to_str().unwrap();
/// # std::fs::create_dir(folder.path().join("Apple")).unwrap();
/// # std::fs::write(folder.path().join("Apple/1.jpg"), b"...").unwrap();
/// let fruits = source::open(input, &SourceOptions::default())?;
/// block_on(async {
///     let mut pictures = fruits.list();
///     while let Some(picture) = pictures.next().await {
///         let picture = picture?;
///         let bytes = fruits.fetch(&picture).await?;
///         println!("{} ({:?}): {} bytes", picture.path, picture.label, bytes.len());
/// #       assert_eq!((picture.path.as_str(), picture.label.as_deref()), ("Apple/1.jpg", Some("Apple")));
///     }
///     Ok::<(), fruitcore::Error>(())
/// })?;
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub fn open(input: &str, options: &SourceOptions) -> Result<Box<dyn Source>> {
    let rules = Arc::new(Rules::new(options)?);
    let Some(url) = as_url(input)? else {
        return Ok(Box::new(LocalSource::new(PathBuf::from(input), rules)?));
    };
    if url.scheme() == "file" {
        let path = url.to_file_path().map_err(|()| {
            errors::new(ErrorKind::InvalidArgument, "is no path on this machine; write file:///absolute/path")
                .at(input)
        })?;
        return Ok(Box::new(LocalSource::new(path, rules)?));
    }
    Err(errors::new(ErrorKind::Unsupported, "is no URL scheme this build reads").at(input))
}

/// `None` for local paths, also for those with a colon or a drive letter.
fn as_url(input: &str) -> Result<Option<Url>> {
    let scheme = match input.split_once(':') {
        Some((scheme, rest)) if rest.starts_with("//") || matches!(scheme, "file" | "memory") => scheme,
        _ => return Ok(None),
    };
    let plain = scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !plain {
        return Ok(None);
    }
    Url::parse(input)
        .map(Some)
        .map_err(|e| errors::new(ErrorKind::InvalidArgument, format!("is no URL: {e}")).at(input).because(e))
}
