//! [`open`]: from what a user types to a source.

use super::{
    ListSource, LocalSource, Source, SourceOptions, StoreSource,
    connect::{connect, public},
    errors,
    filter::{Packing, Rules},
    list_file::Place,
    local,
};
use crate::{ErrorKind, Result};
use alloc::{boxed::Box, format, sync::Arc};
use std::path::PathBuf;
use url::Url;

/// Opens `input`: a local path or a URL (`file://`, `s3://`, `gs://`, `az://`, `http://`, `https://`,
/// `memory://`) of
/// - a folder or prefix, read with all that is below it,
/// - a `.tar`, `.tar.gz` or `.tgz` archive,
/// - a single picture,
/// - a `.txt` list with one path or URL a line ([`ListSource`]).
///
/// In a store a trailing `/` makes anything a folder. Web servers list folders only if they speak
/// WebDAV; archives, pictures and lists work with any. Credentials come from the environment variables
/// that `object_store` reads (`AWS_…`, `GOOGLE_…`, `AZURE_…`) and
/// [`SourceOptions::store_options`]; AWS profile files are not read. Nothing is requested from a
/// network before listing.
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
        return open_local(PathBuf::from(input), rules, options);
    };
    if url.scheme() == "file" {
        let path = url.to_file_path().map_err(|()| {
            errors::new(ErrorKind::InvalidArgument, "is no path on this machine; write file:///absolute/path")
                .at(input)
        })?;
        return open_local(path, rules, options);
    }
    let (connection, path) = connect(&url, options)?;
    let shown = public(&url);
    let folder = url.path().ends_with('/') || path.as_ref().is_empty();
    if !folder && is_list(path.as_ref()) {
        return Ok(Box::new(ListSource::new(Place::Store(connection, path), rules, options, shown)));
    }
    let single = !folder && (Packing::of(path.as_ref()).is_some() || rules.ends_as_picture(path.as_ref()));
    Ok(Box::new(StoreSource::new(connection, path, single, rules, options.retry, shown)))
}

fn open_local(path: PathBuf, rules: Arc<Rules>, options: &SourceOptions) -> Result<Box<dyn Source>> {
    if path.is_file() && is_list(&path.to_string_lossy()) {
        let shown = local::shown(&path);
        return Ok(Box::new(ListSource::new(Place::Local(path), rules, options, shown)));
    }
    Ok(Box::new(LocalSource::new(path, rules)?))
}

/// Whether a name is that of a list of pictures.
fn is_list(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("txt"))
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
