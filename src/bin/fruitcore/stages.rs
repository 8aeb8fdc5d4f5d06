//! What options say about the library's stages.

use crate::{args::WorkArgs, failure::Failure};
use fruitcore::{
    Error, ErrorKind, Stage,
    host::{
        driver::{Limits, WatcherFn},
        sink::picture::PictureFormat,
    },
    preprocess::{Recipe, RecipePreprocessor},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// These bounds on memory and threads, but for those that were asked for.
pub(crate) fn limits(work: &WorkArgs, mut limits: Limits) -> Limits {
    if let Some(batch) = work.batch {
        limits.batch = usize::from(batch);
    }
    if let Some(workers) = work.workers {
        limits.workers = usize::from(workers);
    }
    limits
}

/// Writes what preprocessing makes of each picture below `folder`.
pub(crate) fn saver(
    recipe: &Recipe,
    folder: &Path,
    format: PictureFormat,
    input: &str,
) -> Result<Arc<WatcherFn>, Failure> {
    refuse_inside(folder, input)?;
    fs::create_dir_all(folder).map_err(|e| unwritable(folder, e))?;
    let (recipe, folder) = (recipe.clone(), folder.to_owned());
    Ok(Arc::new(move || {
        let mut preprocessor = RecipePreprocessor::new(recipe.clone());
        let folder = folder.clone();
        Ok(Box::new(move |path, frame| {
            let picture = preprocessor.picture(frame)?;
            let bytes = format.encode(picture.data(), picture.width(), picture.height())?;
            let file = folder.join(format.file_name(path));
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent).map_err(|e| unwritable(parent, e))?;
            }
            fs::write(&file, bytes).map_err(|e| unwritable(&file, e))
        }))
    }))
}

/// Pictures saved inside the input would be read by the next start.
fn refuse_inside(folder: &Path, input: &str) -> Result<(), Failure> {
    let Ok(input) = fs::canonicalize(input) else { return Ok(()) };
    let mut known: PathBuf = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    while !known.exists() && known.pop() {}
    match fs::canonicalize(&known) {
        Ok(at) if input.is_dir() && at.starts_with(&input) => Err(Failure::usage(format!(
            "--save-preprocessed {} lies inside the input, so the next start would read its pictures; choose a folder elsewhere",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

fn unwritable(path: &Path, e: std::io::Error) -> Error {
    let kind = match e.kind() {
        std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Io,
    };
    let m = format!("can't be written: {e}; choose another folder or free space");
    Error::new(kind, Stage::Sink, m).at(path.display().to_string()).because(e)
}
