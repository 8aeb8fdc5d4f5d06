//! One error type for every stage: what kind of failure, in which stage, at which object.

use alloc::{boxed::Box, string::String};
use core::fmt;

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// A failure: its [`ErrorKind`], the [`Stage`] it arose in, the object (file, tensor, column) it
/// concerns, and a message that ends with what to do about it.
///
/// Opaque, so that fields may be added; one pointer wide, so that `Result` stays small.
///
/// ```
/// use fruitcore::{Error, ErrorKind, Stage};
/// let e = Error::new(ErrorKind::Shape, Stage::Featurize, "expected 3 channels, found 4").at("apple.png");
/// assert_eq!(e.kind(), ErrorKind::Shape);
/// assert_eq!(e.to_string(), "featurize: apple.png: expected 3 channels, found 4");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    stage: Stage,
    object: Option<String>,
    message: String,
    source: Option<Box<dyn core::error::Error + Send + Sync>>,
}

/// What went wrong, for programs that react to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or configuration value is outside what the function accepts.
    InvalidArgument,
    /// Shapes, lengths or feature counts don't fit together.
    Shape,
    /// The input is recognised but this build or version can't process it.
    Unsupported,
    /// The bytes are not what their format promises: truncated, damaged, or another format.
    Corrupt,
    /// A configured limit (bytes, pixels, memory) would be exceeded.
    Limit,
    /// A file, object, bucket or tensor does not exist.
    NotFound,
    /// The operating system or the object store refused access.
    PermissionDenied,
    /// Reading or writing failed for another reason.
    Io,
    /// A remote service could not be reached or broke off.
    Network,
    /// A digest differs from the expected one.
    Checksum,
    /// Two things that must belong together don't (run and output folder, artifact and network).
    Mismatch,
    /// NaN or infinity where only finite numbers are meaningful.
    NonFinite,
    /// There is too little data for what was asked.
    Insufficient,
    /// The user or the program asked to stop.
    Interrupted,
}

/// The pipeline stage an error arose in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Options and configuration, before any work.
    Config,
    /// Listing and fetching.
    Source,
    /// Encoded bytes to pixels.
    Decode,
    /// Pixels to a normalised tensor.
    Preprocess,
    /// Checkpoint files and their registry.
    Weights,
    /// The network.
    Featurize,
    /// Mean and variance.
    Scale,
    /// Principal components.
    Pca,
    /// Clusters, classes, heads.
    Classify,
    /// Training a network.
    Train,
    /// The pipeline artifact.
    Artifact,
    /// Parts, manifest, resume, merge.
    Run,
    /// Parquet, CSV, Arrow IPC, preprocessed pictures.
    Sink,
}

impl Stage {
    /// The stage's name in messages, `rejects.csv` and `summary.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Source => "source",
            Self::Decode => "decode",
            Self::Preprocess => "preprocess",
            Self::Weights => "weights",
            Self::Featurize => "featurize",
            Self::Scale => "scale",
            Self::Pca => "pca",
            Self::Classify => "classify",
            Self::Train => "train",
            Self::Artifact => "artifact",
            Self::Run => "run",
            Self::Sink => "sink",
        }
    }
}

impl Error {
    /// A new error; add the object with [`Error::at`] and the cause with [`Error::because`].
    pub fn new(kind: ErrorKind, stage: Stage, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, stage, object: None, message: message.into(), source: None }))
    }

    /// Names the file, tensor or column concerned, unless an inner stage already named one.
    #[must_use]
    pub fn at(mut self, object: impl Into<String>) -> Self {
        if self.0.object.is_none() {
            self.0.object = Some(object.into());
        }
        self
    }

    /// Attaches the underlying cause.
    #[must_use]
    pub fn because(mut self, source: impl core::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where in the pipeline.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// The file, tensor or column concerned.
    pub fn object(&self) -> Option<&str> {
        self.0.object.as_deref()
    }

    /// The message alone, without stage and object.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.0.stage.name())?;
        if let Some(object) = &self.0.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("stage", &self.0.stage)
            .field("object", &self.0.object)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.0.source.as_ref().map(|s| &**s as &(dyn core::error::Error + 'static))
    }
}
