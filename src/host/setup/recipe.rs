//! Preprocessing by name, by file or as it is.

use super::weights::{config, names};
use crate::{
    Result, Stage,
    host::run::read_file,
    preprocess::{Preset, Recipe},
};
use alloc::{format, string::String};
use core::convert::Infallible;
use core::str::FromStr;
use std::path::PathBuf;

/// Where preprocessing comes from.
///
/// ```
/// use fruitcore::{host::setup::RecipeFrom, preprocess::Preset};
/// assert_eq!(RecipeFrom::from("keras-tf"), RecipeFrom::Preset(Preset::KerasTf));
/// let recipe = RecipeFrom::from("keras-tf").recipe(Some([96, 96]))?;
/// assert_eq!(recipe.output_shape(), [3, 96, 96]);
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RecipeFrom {
    /// A checkpoint family's, made for the input's size.
    Preset(Preset),
    /// One of one's own.
    Recipe(Recipe),
    /// A JSON file as [`Recipe::to_json`] writes it.
    File(PathBuf),
}

impl RecipeFrom {
    /// The recipe for an input of height and width in pixels; without a size, its own or 224×224.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a size that a preset has no recipe
    /// for, that differs from the recipe's, or a file that isn't there; what reading the file answers.
    pub fn recipe(&self, size: Option<[usize; 2]>) -> Result<Recipe> {
        let recipe = match (self, size) {
            (Self::Preset(preset), None) => return preset.recipe(224),
            (Self::Preset(preset), Some([h, w])) if h == w => return preset.recipe(h),
            (Self::Preset(_), Some([h, w])) => {
                return Err(config(format!(
                    "presets are for square inputs, not {h}x{w}; write a recipe that ends in that size and pass its file"
                )));
            }
            (Self::Recipe(recipe), _) => recipe.clone(),
            (Self::File(path), _) => {
                let shown = path.display();
                if !path.exists() {
                    let known = names(Preset::ALL, Preset::name);
                    return Err(config(format!("recipe `{shown}` is neither a preset ({known}) nor a file")));
                }
                let bytes = read_file(path, Stage::Config)?;
                Recipe::from_json(&String::from_utf8_lossy(&bytes)).map_err(|e| e.at(format!("{shown}")))?
            }
        };
        let [_, h, w] = recipe.output_shape();
        match size {
            Some([height, width]) if [height, width] != [h, w] => Err(config(format!(
                "the input size is {height}x{width}, but the recipe writes {h}x{w}; leave one of them out"
            ))),
            _ => Ok(recipe),
        }
    }
}

/// A preset's name, else a file.
impl From<&str> for RecipeFrom {
    fn from(s: &str) -> Self {
        s.parse().map_or_else(|_| Self::File(s.into()), Self::Preset)
    }
}

impl FromStr for RecipeFrom {
    type Err = Infallible;

    fn from_str(s: &str) -> core::result::Result<Self, Infallible> {
        Ok(s.into())
    }
}

impl From<Preset> for RecipeFrom {
    fn from(preset: Preset) -> Self {
        Self::Preset(preset)
    }
}

impl From<Recipe> for RecipeFrom {
    fn from(recipe: Recipe) -> Self {
        Self::Recipe(recipe)
    }
}

impl From<PathBuf> for RecipeFrom {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}
