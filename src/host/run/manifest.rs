//! [`Manifest`]: what a run has finished, in one JSON file beside its output.

use super::OutputStore;
use crate::{Error, ErrorKind, Result, Stage, host::sink::Format, pca::Keep};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The only version of the file this build reads and writes.
const FORMAT: u32 = 1;

/// One of `count` machines that share a run; `index` counts from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Takes the parts whose number leaves this remainder.
    pub index: u32,
    /// Machines in all.
    pub count: u32,
}

impl Shard {
    /// The whole run on one machine.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Whether part number `part` is this shard's.
    pub fn takes(self, part: u32) -> bool {
        part % self.count.max(1) == self.index
    }

    /// Name of this shard's manifest: `manifest.json`, or `manifest-I-of-N.json` with `I` from 1.
    pub fn manifest_name(self) -> String {
        match self.count {
            1 => String::from("manifest.json"),
            n => format!("manifest-{}-of-{n}.json", self.index + 1),
        }
    }

    pub(super) fn owner(self) -> String {
        format!("{}-of-{}", self.index + 1, self.count)
    }
}

impl core::str::FromStr for Shard {
    type Err = Error;

    /// `I/N`, with `I` from 1 to `N`.
    fn from_str(s: &str) -> Result<Self> {
        let parsed: Option<(u32, u32)> =
            s.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parsed {
            Some((i, n)) if i >= 1 && i <= n => Ok(Self { index: i - 1, count: n }),
            _ => {
                let m = format!("{s:?} is no shard; write I/N with I from 1 to N, for instance 1/4");
                Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m))
            }
        }
    }
}

/// A file of the output, with what tells it from a damaged one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Name below the output folder.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 of the content, hexadecimal.
    pub sha256: String,
}

impl FileEntry {
    /// Writes a file and describes it.
    pub(super) fn put(store: &dyn OutputStore, name: String, content: &[u8]) -> Result<Self> {
        store.put(&name, content)?;
        Ok(Self { name, bytes: content.len() as u64, sha256: hex(&Sha256::digest(content)) })
    }

    /// Reads a file and makes sure that it is the one described.
    pub(super) fn get(&self, store: &dyn OutputStore) -> Result<bytes::Bytes> {
        let place = || format!("{}/{}", store.describe(), self.name);
        let Some(content) = store.get(&self.name)? else {
            let m = "the manifest names this file, but it is gone; start the run again to make it";
            return Err(Error::new(ErrorKind::NotFound, Stage::Run, m).at(place()));
        };
        if hex(&Sha256::digest(&content)) != self.sha256 {
            let m = "the file was changed after the run wrote it; delete it and start the run again";
            return Err(Error::new(ErrorKind::Checksum, Stage::Run, m).at(place()));
        }
        Ok(content)
    }

    /// Whether a file of this name and size is there.
    pub(super) fn is_there(&self, store: &dyn OutputStore) -> Result<bool> {
        Ok(store.size(&self.name)? == Some(self.bytes))
    }
}

/// A finished part: a slice of the listing, as features and moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PartEntry {
    /// Number of the part; part `i` holds the pictures from `i · part_size` of the listing.
    pub index: u32,
    /// SHA-256 over path, size and version of its pictures as they were listed.
    pub input: String,
    /// Pictures in the part.
    pub objects: u64,
    /// Path of the first picture.
    pub first: String,
    /// Path of the last picture.
    pub last: String,
    /// Pictures that became a row.
    pub rows: u64,
    /// Pictures (and folders, archives) that could not be used.
    pub rejects: u64,
    /// How often each stage rejected.
    pub rejects_by_stage: BTreeMap<String, u64>,
    /// Rows of each label.
    pub classes: BTreeMap<String, u64>,
    /// The features.
    pub features: FileEntry,
    /// The scaler's and the principal component analysis' state over the part.
    pub moments: FileEntry,
    /// Path, stage and reason of what could not be used, if anything.
    pub rejected: Option<FileEntry>,
    /// Seconds of work per stage, summed over workers.
    pub seconds: BTreeMap<String, f64>,
    /// Output folder of the shard that holds the files, in a merged manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// A part projected onto the principal components.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentsEntry {
    /// Number of the part.
    pub index: u32,
    /// Digest of what they were computed with.
    pub fit: String,
    /// The components.
    pub file: FileEntry,
}

/// What is made of the features once they are all there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Components to keep; `None` for features alone.
    pub keep: Option<Keep>,
    /// Whether features are scaled to unit variance before the analysis.
    pub scale: bool,
}

/// What a run has finished, and what it was asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// Version of this file.
    pub format: u32,
    /// Version of the program that wrote it.
    pub fruitcore: String,
    /// Everything that determines the features: input, recipe, network, weights, part size, ….
    pub config: BTreeMap<String, String>,
    /// What was asked to be fitted; may change from start to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// Format of features and components.
    pub table_format: Format,
    /// The shard this manifest is of.
    pub shard: Shard,
    /// Whether the manifest was made of shards by a merge.
    #[serde(default)]
    pub merged: bool,
    /// Parts of the whole listing, once it has been seen to its end.
    pub parts_total: Option<u32>,
    /// Pictures of the whole listing, once it has been seen to its end.
    pub objects_total: Option<u64>,
    /// Files that the listing passed over, since they are no pictures by name or by the filter.
    #[serde(default)]
    pub skipped: u64,
    /// Finished parts, in order.
    pub parts: Vec<PartEntry>,
    /// Finished components, in order.
    pub components: Vec<ComponentsEntry>,
}

impl Manifest {
    pub(super) fn new(config: BTreeMap<String, String>, table_format: Format, shard: Shard) -> Self {
        Self {
            format: FORMAT,
            fruitcore: String::from(env!("CARGO_PKG_VERSION")),
            config,
            fit: None,
            table_format,
            shard,
            merged: false,
            parts_total: None,
            objects_total: None,
            skipped: 0,
            parts: Vec::new(),
            components: Vec::new(),
        }
    }

    /// Reads the manifest called `name`; `None` if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is no manifest, [`ErrorKind::Unsupported`] if a later version
    /// wrote it, and what the store reports.
    pub fn read(store: &dyn OutputStore, name: &str) -> Result<Option<Self>> {
        let Some(content) = store.get(name)? else { return Ok(None) };
        let place = || format!("{}/{name}", store.describe());
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let corrupt = |e: serde_json::Error| {
            let m = format!("not a run's manifest: {e}; choose another --output, or --overwrite");
            Error::new(ErrorKind::Corrupt, Stage::Run, m).at(place()).because(e)
        };
        let version: Version = serde_json::from_slice(&content).map_err(corrupt)?;
        if version.format != FORMAT {
            let m = format!("manifest version {}, this program knows {FORMAT}; update it", version.format);
            return Err(Error::new(ErrorKind::Unsupported, Stage::Run, m).at(place()));
        }
        let manifest: Self = serde_json::from_slice(&content).map_err(corrupt)?;
        let Shard { index, count } = manifest.shard;
        if index >= count {
            let m = format!(
                "not a run's manifest: shard {index} of {count}; choose another --output, or --overwrite"
            );
            return Err(Error::new(ErrorKind::Corrupt, Stage::Run, m).at(place()));
        }
        Ok(Some(manifest))
    }

    pub(super) fn write(&self, store: &dyn OutputStore) -> Result<()> {
        let content = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::new(ErrorKind::Io, Stage::Run, format!("manifest: {e}")).because(e))?;
        store.put(&self.shard.manifest_name(), &content)
    }

    /// The entry of part `index`.
    pub fn part(&self, index: u32) -> Option<&PartEntry> {
        self.parts.binary_search_by_key(&index, |p| p.index).ok().and_then(|i| self.parts.get(i))
    }

    pub(super) fn insert(&mut self, entry: PartEntry) {
        match self.parts.binary_search_by_key(&entry.index, |p| p.index) {
            Ok(i) => self.parts[i] = entry,
            Err(i) => self.parts.insert(i, entry),
        }
    }

    pub(super) fn insert_components(&mut self, entry: ComponentsEntry) {
        match self.components.binary_search_by_key(&entry.index, |p| p.index) {
            Ok(i) => self.components[i] = entry,
            Err(i) => self.components.insert(i, entry),
        }
    }

    /// Refuses to go on with another configuration than this manifest's.
    pub(super) fn check_config(&self, config: &BTreeMap<String, String>, place: &str) -> Result<()> {
        let Some(differences) = self.differences(config, ["there", "here"]) else { return Ok(()) };
        let m =
            format!("the output holds another run: {differences}; choose another --output, or --overwrite");
        Err(Error::new(ErrorKind::Mismatch, Stage::Run, m).at(place))
    }

    /// What differs between this manifest's configuration and `config`, if anything; `names` say
    /// which is which.
    pub(super) fn differences(&self, config: &BTreeMap<String, String>, names: [&str; 2]) -> Option<String> {
        let keys: BTreeSet<_> = self.config.keys().chain(config.keys()).collect();
        let nothing = String::from("nothing");
        let value = |of: &BTreeMap<String, String>, other: &BTreeMap<String, String>, key| {
            let [value, other] = [of, other].map(|map| map.get(key).unwrap_or(&nothing));
            excerpt(value, other)
        };
        let differences: Vec<_> = keys
            .into_iter()
            .filter(|k| self.config.get(*k) != config.get(*k))
            .map(|k| {
                let [there, here] = names;
                format!(
                    "{k} is {} {there} and {} {here}",
                    value(&self.config, config, k),
                    value(config, &self.config, k)
                )
            })
            .collect();
        (!differences.is_empty()).then(|| differences.join("; "))
    }
}

/// What a message shows of a value: all, or of a long one (a recipe, a digest) where it differs from
/// `other`.
fn excerpt(value: &str, other: &str) -> String {
    const BEFORE: usize = 24;
    const SHOWN: usize = 60;
    let equal = value.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let length = value.chars().count();
    if length <= SHOWN {
        return String::from(value);
    }
    let start = equal.saturating_sub(BEFORE).min(length - SHOWN);
    let shown: String = value.chars().skip(start).take(SHOWN).collect();
    let [before, after] = [start > 0, start + SHOWN < length].map(|cut| if cut { "…" } else { "" });
    format!("{before}{shown}{after}")
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::run::open_output;

    #[test]
    fn a_shard_of_none_is_no_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_output(&format!("{}", folder.path().display())).unwrap();
        for (index, count, fine) in [(0, 1, true), (1, 2, true), (0, 0, false), (2, 2, false)] {
            let shard = Shard { index, count };
            Manifest::new(BTreeMap::new(), Format::Ipc, shard).write(&*store).unwrap();
            let read = Manifest::read(&*store, &shard.manifest_name());
            match fine {
                true => assert_eq!(read.unwrap().unwrap().shard, shard),
                false => assert_eq!(read.unwrap_err().kind(), ErrorKind::Corrupt, "{shard:?}"),
            }
        }
    }
}
