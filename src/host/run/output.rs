//! [`RunOutput`]: what a run left, to be read.

use super::{FileEntry, Manifest, OutputStore, open_output};
use crate::{
    Error, ErrorKind, Result, Stage,
    host::sink::{Content, Table},
};
use alloc::{format, string::String, sync::Arc};

/// The output of a finished run or merge.
pub struct RunOutput {
    store: Arc<dyn OutputStore>,
    manifest: Manifest,
}

impl RunOutput {
    /// Opens an output folder or URL.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if no run is there, [`ErrorKind::Insufficient`] if it is unfinished or
    /// shards are not merged, and what the store reports.
    pub fn open(target: &str) -> Result<Self> {
        let store = open_output(target)?;
        let fail = |kind, m: &str| Err(Error::new(kind, Stage::Run, m).at(store.describe()));
        let Some(manifest) = Manifest::read(&*store, "manifest.json")? else {
            return match store.entries("")?.iter().any(|name| super::prepare::is_manifest(name)) {
                true => fail(ErrorKind::Insufficient, "holds shards; join them with `fruitcore merge` first"),
                false => fail(
                    ErrorKind::NotFound,
                    "holds no run: there is no manifest; name the --output of a run",
                ),
            };
        };
        if manifest.parts_total.is_none() {
            return fail(
                ErrorKind::Insufficient,
                "the run is unfinished; start it again, it goes on where it was",
            );
        }
        Ok(Self { store, manifest })
    }

    /// What was asked, and the parts.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it lies.
    pub fn store(&self) -> &dyn OutputStore {
        &*self.store
    }

    /// Hands each part's table to `take`, in order; one is in memory.
    ///
    /// # Errors
    /// [`ErrorKind::Insufficient`] if there are no components of some part; [`ErrorKind::NotFound`] or
    /// [`ErrorKind::Checksum`] for files that are gone or changed; what `take` returns.
    pub fn tables(&self, content: Content, take: &mut dyn FnMut(&Table) -> Result<()>) -> Result<()> {
        for part in self.manifest.parts.iter().filter(|part| part.rows > 0) {
            match content {
                Content::Features => {
                    let origin = part.origin.as_deref().map(open_output).transpose()?;
                    self.table(content, origin.as_ref().unwrap_or(&self.store), &part.features, take)?;
                }
                Content::Components => {
                    let Some(entry) = self.manifest.components.iter().find(|c| c.index == part.index) else {
                        let m = format!("part {} has no components; start the run again", part.index);
                        return Err(
                            Error::new(ErrorKind::Insufficient, Stage::Run, m).at(self.store.describe())
                        );
                    };
                    self.table(content, &self.store, &entry.file, take)?;
                }
            }
        }
        Ok(())
    }

    fn table(
        &self,
        content: Content,
        store: &Arc<dyn OutputStore>,
        file: &FileEntry,
        take: &mut dyn FnMut(&Table) -> Result<()>,
    ) -> Result<()> {
        let place = || -> String { format!("{}/{}", store.describe(), file.name) };
        let table = self.manifest.table_format.decode(content, file.get(&**store)?);
        take(&table.map_err(|e| e.at(place()))?)
    }
}
