//! Which pictures.

use clap::Args;
use fruitcore::host::source::{LabelRule, SourceOptions};
use std::path::Path;

#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Pictures: a folder, a tar archive, one picture, a .txt list of paths or URLs, or the URL of any
    /// of these (s3://, gs://, az://, https://, file://)
    #[arg(value_name = "INPUT")]
    pub(crate) input: String,
    /// Where a picture's label comes from: parent, segment:N (folder N of the path, -1 the last),
    /// regex:PATTERN, csv:FILE (columns path, label), none
    #[arg(long, value_name = "RULE", default_value = "parent", value_parser = super::parse::<LabelRule>, help_heading = "Input")]
    pub(crate) label: LabelRule,
    /// Only paths that match this glob; may be given several times
    #[arg(long, value_name = "GLOB", help_heading = "Input")]
    pub(crate) include: Vec<String>,
    /// No paths that match this glob; may be given several times
    #[arg(long, value_name = "GLOB", help_heading = "Input")]
    pub(crate) exclude: Vec<String>,
    /// Only the first N pictures of the listing
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Input")]
    pub(crate) limit: Option<u64>,
}

impl SourceArgs {
    /// All pictures of a local folder, each labelled by the folder it is in.
    pub(crate) fn folder(path: &Path) -> Self {
        Self {
            input: path.display().to_string(),
            label: LabelRule::default(),
            include: Vec::new(),
            exclude: Vec::new(),
            limit: None,
        }
    }

    pub(crate) fn options(&self) -> SourceOptions {
        let mut options = SourceOptions::default();
        options.labels = self.label.clone();
        options.include = self.include.clone();
        options.exclude = self.exclude.clone();
        options
    }
}
