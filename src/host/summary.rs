//! [`Summary`]: what a run gave, as `summary.json` holds it.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Counts, classes, explained variance, times and memory of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Pictures looked at.
    pub images: u64,
    /// Pictures that became a row.
    pub rows: u64,
    /// Pictures (and folders, archives) that could not be used; `rejects.csv` names them.
    pub rejected: u64,
    /// How often each stage rejected.
    pub rejected_by_stage: BTreeMap<String, u64>,
    /// Files that were passed over, since they are no pictures by name or by the filter.
    #[serde(default)]
    pub skipped: u64,
    /// Rows of each label.
    pub classes: BTreeMap<String, u64>,
    /// Length of a feature vector.
    pub feature_length: usize,
    /// Components kept; 0 if none were asked for, or in a shard's summary.
    pub components: usize,
    /// Fraction of the total variance each component explains.
    pub explained_variance_ratio: Vec<f64>,
    /// Their sum.
    pub explained_variance_ratio_total: f64,
    /// Finished parts.
    pub parts: u32,
    /// Seconds of work per stage, summed over workers and over all starts of the run; `fit` and
    /// `project` are this start's.
    pub seconds: BTreeMap<String, f64>,
    /// Seconds this start took.
    pub elapsed: f64,
    /// Pictures done in this start; the others were there.
    pub images_this_start: u64,
    /// `images_this_start / elapsed`.
    pub images_per_second: f64,
    /// Largest resident memory of the process so far, in bytes, where the system tells.
    pub peak_memory: Option<u64>,
    /// Versions of the program and of the file formats' library.
    pub versions: BTreeMap<String, String>,
    /// Where the network ran.
    pub device: String,
    /// What was asked: input, network, recipe, weights, part size, components, ….
    pub options: BTreeMap<String, String>,
}

impl fmt::Display for Summary {
    /// A few lines for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pictures, {} rejected, ", self.images, self.rejected)?;
        if self.skipped > 0 {
            write!(f, "{} other files skipped, ", self.skipped)?;
        }
        writeln!(f, "{} classes, {} features", self.classes.len(), self.feature_length)?;
        if self.components > 0 {
            writeln!(
                f,
                "{} components explain {:.2} % of the variance",
                self.components,
                self.explained_variance_ratio_total * 100.0
            )?;
        }
        write!(f, "{:.1} s, {:.1} pictures/s", self.elapsed, self.images_per_second)?;
        match self.peak_memory {
            Some(bytes) => write!(f, ", {} MiB at most", bytes >> 20),
            None => Ok(()),
        }
    }
}

/// A number with commas between thousands, as people read it.
///
/// ```
/// use fruitcore::host::summary::count;
/// assert_eq!([count(999), count(1_234_567)], ["999", "1,234,567"]);
/// ```
pub fn count(n: u64) -> String {
    let digits = format!("{n}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// Largest resident memory of this process so far, in bytes; `None` where the system doesn't tell.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// What wrote the files.
pub(crate) fn versions() -> BTreeMap<String, String> {
    let versions = [("fruitcore", env!("CARGO_PKG_VERSION")), ("arrow", arrow::ARROW_VERSION)];
    versions.map(|(name, version)| (String::from(name), String::from(version))).into()
}
