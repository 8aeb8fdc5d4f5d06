//! The JSON that the page's script reads.

use super::pictures::Sheets;
use alloc::{string::String, vec::Vec};
use serde::Serialize;

/// Name and value as the page shows them.
pub(super) type Fact = (&'static str, String);

/// Numbers as base64 of little-endian words; 32 bits unless said otherwise.
type Base64 = String;

/// A plane the points lie on.
#[derive(Serialize)]
pub(super) struct View {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) xy: Base64,
    pub(super) caption: String,
}

/// What points can be coloured by.
#[derive(Serialize)]
pub(super) struct Colour {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) names: Vec<String>,
    /// Indices of names, 16 bits unless `wide`; all ones for none.
    pub(super) of: Base64,
    pub(super) wide: bool,
    /// How probable the answer is in percent, 8 bits a point; 255 for unknown.
    pub(super) sure: Option<Base64>,
}

#[derive(Serialize)]
pub(super) struct Thumbs {
    #[serde(flatten)]
    pub(super) sheets: Sheets,
    /// The tile of each point, −1 for none.
    pub(super) tile: Base64,
}

/// Nearest points by components.
#[derive(Serialize)]
pub(super) struct Near {
    pub(super) k: usize,
    pub(super) of: Base64,
    pub(super) to: Base64,
}

#[derive(Serialize)]
pub(super) struct Item {
    pub(super) class: String,
    pub(super) name: String,
    /// What a classifier took it for, if that is known.
    pub(super) predicted: Option<String>,
    pub(super) tiles: Vec<(usize, &'static str)>,
}

#[derive(Serialize)]
pub(super) struct Gallery {
    #[serde(flatten)]
    pub(super) sheets: Sheets,
    pub(super) items: Vec<Item>,
    pub(super) note: String,
}

/// Counts of rows against columns, those above zero.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Matrix {
    pub(super) rows: Vec<String>,
    pub(super) columns: Vec<String>,
    pub(super) cells: Vec<(u32, u32, u64)>,
}

#[derive(Serialize)]
pub(super) struct Clusters {
    pub(super) facts: Vec<Fact>,
    pub(super) curve: Vec<(usize, f64)>,
    pub(super) matrix: Option<Matrix>,
    pub(super) notes: Vec<String>,
}

/// Labels against predictions over some of the pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Confusion {
    pub(super) name: &'static str,
    pub(super) note: String,
    pub(super) facts: Vec<Fact>,
    pub(super) matrix: Matrix,
    /// Whether its pictures are points of the map.
    pub(super) linked: bool,
    /// The name in the colouring `part` that its pictures have; none for all of them.
    pub(super) part: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Classifier {
    pub(super) by: String,
    pub(super) confusions: Vec<Confusion>,
}

#[derive(Serialize)]
pub(super) struct Rejects {
    pub(super) total: usize,
    pub(super) rows: Vec<[String; 3]>,
}

#[derive(Serialize)]
pub(super) struct Data {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) notes: Vec<String>,
    pub(super) facts: Vec<Fact>,
    pub(super) classes: Vec<String>,
    pub(super) counts: Vec<u64>,
    /// Rows of the output, and points drawn of them.
    pub(super) rows: usize,
    pub(super) n: usize,
    pub(super) dirs: Vec<String>,
    pub(super) dir: Base64,
    pub(super) files: Vec<String>,
    pub(super) views: Vec<View>,
    pub(super) colours: Vec<Colour>,
    pub(super) thumbs: Option<Thumbs>,
    pub(super) near: Option<Near>,
    pub(super) scree: Vec<f64>,
    pub(super) clusters: Clusters,
    pub(super) classifier: Option<Classifier>,
    pub(super) gallery: Option<Gallery>,
    pub(super) gazes: Option<Gallery>,
    pub(super) rejects: Option<Rejects>,
    pub(super) timings: Vec<(String, f64)>,
    pub(super) options: Vec<(String, String)>,
    pub(super) figures: Vec<String>,
    pub(super) made: String,
}
