//! [`SourceOptions`]: what to list, how to label, how patiently to fetch.

use super::LabelRule;
use alloc::{string::String, sync::Arc, vec::Vec};
use core::time::Duration;

/// How a [`Source`](super::Source) lists, labels and fetches.
///
/// ```
/// use fruitcore::host::source::SourceOptions;
/// let mut options = SourceOptions::default();
/// options.exclude.push("**/thumbnails".into());
/// options.labels = "segment:0".parse()?;
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceOptions {
    /// Globs of paths to take; empty means all with one of the [`extensions`](Self::extensions).
    /// A pattern without `/` matches the file name anywhere; with `/` it matches the whole path
    /// relative to the input, where `*` stays within a folder and `**` crosses them.
    pub include: Vec<String>,
    /// Globs of paths to leave out, in the same form; a folder that matches is not entered.
    pub exclude: Vec<String>,
    /// Endings that make a file a picture, in lower case and without the dot; any case matches.
    /// Used where [`include`](Self::include) is empty.
    pub extensions: Vec<String>,
    /// Whether to enter folders and take files whose name begins with a dot.
    pub hidden: bool,
    /// Whether `.tar`, `.tar.gz` and `.tgz` files count as folders of pictures.
    pub archives: bool,
    /// How a path gives a label.
    pub labels: LabelRule,
    /// Encoded bytes of one picture above which it is an error instead of being read.
    pub max_bytes: u64,
    /// Retries and timeouts for stores reached over a network.
    pub retry: Retry,
    /// Settings for the object store, as `(key, value)` in the names of `object_store`
    /// (`aws_region`, `aws_endpoint`, `google_service_account`, `azure_storage_account_name`, …).
    /// They override the environment variables of the same names in upper case.
    pub store_options: Vec<(String, String)>,
    /// The store that `memory://` URLs, or any other, are read from, instead of opening one.
    pub store: Option<Arc<dyn object_store::ObjectStore>>,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            include: Vec::new(),
            exclude: Vec::new(),
            extensions: EXTENSIONS.iter().map(|&e| e.into()).collect(),
            hidden: false,
            archives: true,
            labels: LabelRule::Parent,
            max_bytes: 64 << 20,
            retry: Retry::default(),
            store_options: Vec::new(),
            store: None,
        }
    }
}

/// Endings of pictures that the decoder reads.
pub(crate) const EXTENSIONS: [&str; 11] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff", "gif"];

/// How often and how long to try against a store on a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// Attempts for one object or one page of a listing, the first included; 5 by default.
    pub attempts: usize,
    /// Pause after the first failure; it doubles with each, with jitter; 200 ms by default.
    pub pause: Duration,
    /// Upper bound for the pause; 10 s by default.
    pub max_pause: Duration,
    /// Time for one attempt, connecting and body included; 60 s by default.
    pub timeout: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_millis(200),
            max_pause: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
        }
    }
}
