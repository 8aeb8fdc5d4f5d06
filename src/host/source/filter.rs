//! Which paths are pictures.

use super::{LabelRule, SourceOptions};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};
use core::{
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::sync::Mutex;

/// What listings do with paths, and the count of what one of them passed over.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Arc<PathRules>,
    skipped: Arc<AtomicU64>,
    /// Of the listings under way and of those that ended since the last one began.
    counts: Arc<Mutex<Vec<Arc<AtomicU64>>>>,
}

/// The options in the form the listings use.
#[derive(Debug)]
pub(super) struct PathRules {
    include: Option<GlobSet>,
    exclude: GlobSet,
    extensions: Vec<String>,
    hidden: bool,
    archives: bool,
    pub(super) labels: LabelRule,
    pub(super) max_bytes: u64,
}

/// What a listing does with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Picture,
    Archive(Packing),
    Other,
}

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
}

impl Packing {
    /// By the name's ending.
    pub(super) fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        if name.ends_with(".tar") {
            Some(Self::Plain)
        } else if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
            Some(Self::Gzip)
        } else {
            None
        }
    }
}

impl Rules {
    pub(super) fn new(options: &SourceOptions) -> Result<Self> {
        let rules = PathRules {
            include: if options.include.is_empty() { None } else { Some(globs(&options.include)?) },
            exclude: globs(&options.exclude)?,
            extensions: options.extensions.clone(),
            hidden: options.hidden,
            archives: options.archives,
            labels: options.labels.clone(),
            max_bytes: options.max_bytes,
        };
        Ok(Self { rules: Arc::new(rules), skipped: Arc::default(), counts: Arc::default() })
    }

    /// The same rules with a count of their own, for one listing: two may run at once.
    pub(super) fn listing(&self) -> Arc<Self> {
        let skipped: Arc<AtomicU64> = Arc::default();
        let mut counts = self.counts.lock().unwrap_or_else(|e| e.into_inner());
        // A count that only this list holds belongs to a listing that is over.
        counts.retain(|count| Arc::strong_count(count) > 1);
        counts.push(Arc::clone(&skipped));
        Arc::new(Self { rules: Arc::clone(&self.rules), skipped, counts: Arc::clone(&self.counts) })
    }

    /// Counts a file that is no picture.
    pub(super) fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// What the latest listing passed over; of several at once, the one that is furthest.
    pub(super) fn skipped(&self) -> u64 {
        let counts = self.counts.lock().unwrap_or_else(|e| e.into_inner());
        counts.iter().map(|count| count.load(Ordering::Relaxed)).max().unwrap_or(0)
    }
}

impl Deref for Rules {
    type Target = PathRules;

    fn deref(&self) -> &PathRules {
        &self.rules
    }
}

impl PathRules {
    /// Whether to enter the folder at `path`.
    pub(super) fn enters(&self, path: &str) -> bool {
        (self.hidden || !hidden(path)) && !self.exclude.is_match(path)
    }

    /// What the file at `path` is; hidden folders above it have been left out already.
    pub(super) fn role(&self, path: &str) -> Role {
        if !self.enters(path) {
            return Role::Other;
        }
        if self.archives
            && let Some(packing) = Packing::of(path)
        {
            return Role::Archive(packing);
        }
        self.picture(path)
    }

    /// As [`Rules::role`] for a path whose folders have not been looked at (an archive's member, a
    /// key of a flat listing).
    pub(super) fn role_of_key(&self, path: &str) -> Role {
        let folders = path.match_indices('/').all(|(at, _)| path.get(..at).is_some_and(|f| self.enters(f)));
        if folders { self.role(path) } else { Role::Other }
    }

    /// Whether a path that a list names is taken: only the globs count.
    pub(super) fn lists(&self, path: &str) -> bool {
        !self.exclude.is_match(path) && self.include.as_ref().is_none_or(|include| include.is_match(path))
    }

    /// Whether a name has the ending of a picture.
    pub(super) fn ends_as_picture(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.rsplit_once('.')
            .is_some_and(|(_, end)| self.extensions.iter().any(|e| e.eq_ignore_ascii_case(end)))
    }

    fn picture(&self, path: &str) -> Role {
        let takes = match &self.include {
            Some(include) => include.is_match(path),
            None => self.ends_as_picture(path),
        };
        if takes { Role::Picture } else { Role::Other }
    }

    /// Whether an archive's member would be a picture, did its name not step out of the archive.
    pub(super) fn steps_out(&self, path: &str) -> bool {
        path.split('/').any(|part| part == "..")
            && !self.exclude.is_match(path)
            && self.picture(path) == Role::Picture
    }
}

/// Whether the last part of `path` begins with a dot.
fn hidden(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with('.'))
}

fn globs(patterns: &[String]) -> Result<GlobSet> {
    let bad = |pattern: &str, e: globset::Error| {
        Error::new(ErrorKind::InvalidArgument, Stage::Config, format!("`{pattern}` is no glob: {e}"))
            .because(e)
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let anywhere = if pattern.contains('/') { pattern.to_owned() } else { format!("**/{pattern}") };
        let rooted = anywhere.trim_start_matches("./").trim_end_matches('/');
        let glob = GlobBuilder::new(rooted)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|e| bad(pattern, e))?;
        set.add(glob);
    }
    set.build().map_err(|e| bad(&patterns.join(", "), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(include: &[&str], exclude: &[&str]) -> Rules {
        let owned = |patterns: &[&str]| patterns.iter().map(|&p| p.into()).collect();
        let options =
            SourceOptions { include: owned(include), exclude: owned(exclude), ..Default::default() };
        Rules::new(&options).unwrap()
    }

    #[test]
    fn endings_in_any_case() {
        let rules = rules(&[], &[]);
        for picture in ["a.jpg", "A.JPEG", "x/y z.Png", "x/\n\".tiff", "a.b.webp"] {
            assert_eq!(rules.role(picture), Role::Picture, "{picture}");
        }
        for other in ["a", "jpg", "a.txt", ".jpg", "x/.DS_Store", "x/._a.jpg", "Thumbs.db", "a.jpg/b"] {
            assert_eq!(rules.role(other), Role::Other, "{other}");
        }
        assert_eq!(rules.role("x/a.TAR"), Role::Archive(Packing::Plain));
        assert_eq!(rules.role("a.tgz"), Role::Archive(Packing::Gzip));
        assert_eq!(rules.role_of_key(".git/a.jpg"), Role::Other);
    }

    #[test]
    fn globs_by_name_and_by_path() {
        let rules = rules(&["*.dat", "train/*/*.jpg"], &["thumbs", "train/bad*"]);
        assert_eq!(rules.role("x/y/1.dat"), Role::Picture);
        assert_eq!(rules.role("train/a/1.jpg"), Role::Picture);
        assert_eq!(rules.role("train/a/b/1.jpg"), Role::Other);
        assert!(!rules.enters("x/thumbs"));
        assert!(!rules.enters("train/bad apples"));
        assert!(rules.enters("train/good"));
        assert_eq!(rules.role_of_key("x/thumbs/1.dat"), Role::Other);
    }

    #[test]
    fn each_listing_has_its_count() {
        let rules = rules(&[], &[]);
        let (first, second) = (rules.listing(), rules.listing());
        (0..5).for_each(|_| first.skip());
        second.skip();
        assert_eq!(rules.skipped(), 5);
        drop((first, second));
        assert_eq!(rules.skipped(), 5, "until the next one begins");
        let third = rules.listing();
        assert_eq!(rules.skipped(), 0);
        third.skip();
        assert_eq!(rules.skipped(), 1);
    }

    #[test]
    fn a_bad_glob_is_named() {
        let mut options = SourceOptions::default();
        options.exclude.push("a[".into());
        let error = Rules::new(&options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("a["));
    }
}
