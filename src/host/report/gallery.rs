//! Pictures on the page: thumbnails of points, pictures of each class and what preprocessing made of
//! them, where the network looks.

use super::{
    ReportOptions,
    classes::Classes,
    gaze::{self, Gazed},
    json::{Gallery, Item, Thumbs},
    page::base64_of,
    pictures,
    predictions::Predictions,
};
use crate::{
    Result,
    host::{
        sample::sample,
        sink::Table,
        source::{self, SourceOptions},
        summary::{Summary, count},
    },
    preprocess::{Recipe, RecipePreprocessor},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    string::ToString,
    vec,
    vec::Vec,
};
use bytes::Bytes;

const THUMB: usize = 48;
const TILE: usize = 96;
const GAZE: usize = 144;
/// Pictures in the gallery.
const MOST: usize = 180;
const CLASSLESS: u32 = u32::MAX;

/// What the pictures are of.
pub(super) struct Ask<'a> {
    pub(super) options: &'a ReportOptions,
    pub(super) table: &'a Table,
    pub(super) summary: Option<&'a Summary>,
    pub(super) classes: &'a Classes<'a>,
    pub(super) predictions: Option<&'a Predictions>,
    /// The rows that are points of the page, ascending.
    pub(super) drawn: &'a [usize],
}

/// The page's pictures.
#[derive(Default)]
pub(super) struct Pictures {
    /// The tile of each point, −1 for none.
    pub(super) tile: Vec<i32>,
    pub(super) thumbs: Option<Thumbs>,
    /// How many points have a thumbnail.
    pub(super) thumbnails: usize,
    pub(super) gallery: Option<Gallery>,
    pub(super) gazes: Option<Gallery>,
    pub(super) notes: Vec<String>,
}

/// Tiles by row.
#[derive(Default)]
struct Shown {
    thumbs: BTreeMap<usize, Vec<u8>>,
    /// The picture and what preprocessing made of it.
    gallery: BTreeMap<usize, [Option<Vec<u8>>; 2]>,
    encoded: BTreeMap<usize, Bytes>,
}

impl Ask<'_> {
    pub(super) fn pictures(&self) -> Result<Pictures> {
        let mut found = Pictures { tile: vec![-1; self.drawn.len()], ..Pictures::default() };
        let asked = self.options.pictures.clone();
        let Some(input) = asked.or_else(|| self.summary?.options.get("input").cloned()) else {
            found.notes.push(String::from("no pictures: --pictures names their place"));
            return Ok(found);
        };
        let gallery = per_class(self.classes);
        let gazes = self.gazes(&mut found.notes);
        let thumbs = self.thumbs();
        let source = match source::open(&input, &self.source_options(&[&thumbs, &gallery, &gazes])) {
            Ok(source) => source,
            Err(e) => {
                found.notes.push(format!("no pictures: {}; --pictures names another place", e.message()));
                return Ok(found);
            }
        };
        let shown = self.fetch(&*source, &thumbs, &gallery, &gazes, &mut found.notes)?;
        let mut tiles = Vec::with_capacity(shown.thumbs.len());
        for (row, rgb) in shown.thumbs {
            if let Some(tile) = self.drawn.binary_search(&row).ok().and_then(|at| found.tile.get_mut(at)) {
                *tile = tiles.len() as i32;
                tiles.push(rgb);
            }
        }
        found.thumbnails = tiles.len();
        if !tiles.is_empty() {
            let sheets = pictures::sheets(&tiles, THUMB, 80)?;
            found.thumbs = Some(Thumbs { sheets, tile: base64_of(&found.tile) });
        }
        found.gallery = self.gallery(shown.gallery)?;
        let gazes: Vec<(usize, Bytes)> =
            gazes.iter().filter_map(|row| Some((*row, shown.encoded.get(row)?.clone()))).collect();
        if let (Some(look), false) = (&self.options.gaze, gazes.is_empty()) {
            let label = |row: usize| self.classes.name(row).map(String::from);
            let (seen, why) = gaze::look(&**look, &gazes, &label, self.options.gaze_time);
            found.notes.extend(why);
            found.gazes = self.gazed(&seen)?;
        }
        Ok(found)
    }

    /// How the pictures are listed: all files that end as those of the rows do.
    fn source_options(&self, rows: &[&[usize]]) -> SourceOptions {
        let mut options = self.options.source.clone();
        let paths = rows.iter().flat_map(|r| r.iter()).filter_map(|row| self.table.paths().get(*row));
        let endings: BTreeSet<String> =
            paths.filter_map(|p| Some(p.rsplit_once('.')?.1.to_ascii_lowercase())).collect();
        options.extensions.extend(endings.into_iter().filter(|e| !e.contains('/')));
        options
    }

    /// Rows of thumbnails, ascending: confused pictures first, then a sample of all points.
    fn thumbs(&self) -> Vec<usize> {
        let most = self.options.thumbnails;
        let confused = self.predictions.map(|p| p.confused(self.classes)).unwrap_or_default();
        let drawn = |row: &usize| self.drawn.binary_search(row).is_ok();
        let mut rows: BTreeSet<usize> = confused.into_iter().filter(drawn).take(most / 2).collect();
        let others: Vec<usize> = self.drawn.iter().copied().filter(|row| !rows.contains(row)).collect();
        let left = most - rows.len();
        rows.extend(sample(others.len(), left, 0).into_iter().filter_map(|i| others.get(i)));
        rows.into_iter().collect()
    }

    fn gazes(&self, notes: &mut Vec<String>) -> Vec<usize> {
        if let Some(why) = &self.options.no_gaze {
            notes.push(format!("where the network looks isn't shown: {why}"));
        }
        if self.options.gaze.is_none() {
            return Vec::new();
        }
        let wanted = &self.options.gaze_pictures;
        let mut asked = Vec::new();
        for name in wanted {
            match self.table.paths().iter().position(|p| p == name || p.rsplit('/').next() == Some(name)) {
                Some(row) => asked.push(row),
                None => notes.push(format!("no row is of the picture {name:?}")),
            }
        }
        if !wanted.is_empty() && asked.is_empty() {
            return asked;
        }
        let most = self.options.gazes.max(asked.len());
        gaze::choose(&asked, most, self.classes, self.predictions)
    }

    fn fetch(
        &self,
        source: &dyn source::Source,
        thumbs: &[usize],
        gallery: &[usize],
        gazes: &[usize],
        notes: &mut Vec<String>,
    ) -> Result<Shown> {
        let recipe: Option<Recipe> =
            self.summary.and_then(|s| Recipe::from_json(s.options.get("recipe")?).ok());
        let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
        for &row in thumbs.iter().chain(gallery).chain(gazes) {
            if let Some(path) = self.table.paths().get(row) {
                wanted.insert(path, row);
            }
        }
        let make = |row: usize, bytes: &Bytes| {
            let square = |size: usize| pictures::thumbnail(bytes, size);
            let thumb = thumbs.binary_search(&row).ok().map(|_| square(THUMB)).transpose()?;
            let tiles = match gallery.contains(&row) {
                true => Some([Some(square(TILE)?), recipe.as_ref().and_then(|r| preprocessed(bytes, r))]),
                false => None,
            };
            Ok((thumb, tiles, gazes.contains(&row).then(|| bytes.clone())))
        };
        let mut shown = Shown::default();
        let took = pictures::each(source, &wanted, self.options.patience, &make, &mut |row, made| {
            let (thumb, tiles, encoded) = made;
            shown.thumbs.extend(thumb.map(|t| (row, t)));
            shown.gallery.extend(tiles.map(|t| (row, t)));
            shown.encoded.extend(encoded.map(|e| (row, e)));
        })?;
        let place = source.describe();
        let why = took.error.map(|e| format!(" ({e})")).unwrap_or_default();
        if took.late {
            notes.push(format!(
                "fetching pictures from {place} took too long; --patience gives it more time{why}"
            ));
        } else if shown.thumbs.is_empty() && !thumbs.is_empty() {
            notes.push(format!(
                "none of the pictures was found in {place}{why}; --pictures names another place"
            ));
        } else if shown.thumbs.len() < thumbs.len() {
            notes.push(format!(
                "{} pictures of {} were not found or can't be read in {place}{why}",
                count((thumbs.len() - shown.thumbs.len()) as u64),
                count(thumbs.len() as u64)
            ));
        }
        if !shown.thumbs.is_empty() && shown.thumbs.len() < self.drawn.len() {
            let [some, all] = [shown.thumbs.len(), self.drawn.len()].map(|n| count(n as u64));
            notes.push(format!("{some} of {all} points have a thumbnail"));
        }
        Ok(shown)
    }

    fn item(&self, row: usize, tiles: Vec<(usize, &'static str)>) -> Item {
        let name = self.table.paths().get(row).and_then(|p| p.rsplit('/').next());
        Item {
            class: self.classes.name(row).unwrap_or("no label").to_string(),
            name: name.unwrap_or_default().to_string(),
            predicted: self.predictions.and_then(|p| p.name(row)).map(ToString::to_string),
            tiles,
        }
    }

    fn gallery(&self, shown: BTreeMap<usize, [Option<Vec<u8>>; 2]>) -> Result<Option<Gallery>> {
        const WHAT: [&str; 2] = ["picture", "what preprocessing made"];
        let (mut tiles, mut items) = (Vec::new(), Vec::new());
        for (row, made) in shown {
            let mut its = Vec::new();
            for (rgb, what) in made.into_iter().zip(WHAT) {
                if let Some(rgb) = rgb {
                    its.push((tiles.len(), what));
                    tiles.push(rgb);
                }
            }
            items.push(self.item(row, its));
        }
        if tiles.is_empty() {
            return Ok(None);
        }
        items.sort_by(|a, b| a.class.cmp(&b.class));
        let mut note = String::from("The picture, and beside it what preprocessing made of it.");
        if self.classes.names.len() > MOST {
            note.push_str(&format!(" The first {MOST} classes."));
        }
        Ok(Some(Gallery { sheets: pictures::sheets(&tiles, TILE, 82)?, items, note }))
    }

    fn gazed(&self, seen: &[(usize, Gazed)]) -> Result<Option<Gallery>> {
        let (mut tiles, mut items) = (Vec::new(), Vec::new());
        for (row, gazed) in seen {
            let (w, h) = (gazed.width, gazed.height);
            let [plain, heat] =
                [&gazed.rgb, &gaze::overlay(gazed)].map(|rgb| pictures::tile(rgb, w, h, GAZE));
            if let (Ok(plain), Ok(heat)) = (plain, heat) {
                let its = vec![(tiles.len(), "as the network gets it"), (tiles.len() + 1, "where it looks")];
                tiles.extend([plain, heat]);
                items.push(self.item(*row, its));
            }
        }
        if tiles.is_empty() {
            return Ok(None);
        }
        let note = String::from(
            "Orange where covering a patch moves the components away from the picture's class, or from where they \
             are for pictures without one (occlusion, Zeiler & Fergus 2014).",
        );
        Ok(Some(Gallery { sheets: pictures::sheets(&tiles, GAZE, 85)?, items, note }))
    }
}

fn preprocessed(bytes: &Bytes, recipe: &Recipe) -> Option<Vec<u8>> {
    let (rgb, w, h) = pictures::shown(bytes, &mut RecipePreprocessor::new(recipe.clone())).ok()?;
    pictures::tile(&rgb, w, h, TILE).ok()
}

/// Rows to show of each class: a few from all over it.
fn per_class(classes: &Classes<'_>) -> Vec<usize> {
    let mut rows: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (i, c) in classes.of.iter().enumerate() {
        rows.entry(c.unwrap_or(CLASSLESS)).or_default().push(i);
    }
    let each = if classes.is_empty() { 12 } else { (MOST / classes.names.len()).clamp(1, 3) };
    let spread = |rows: Vec<usize>| {
        let m = each.min(rows.len());
        (0..m).filter_map(move |j| rows.get(j * rows.len() / m).copied()).collect::<Vec<_>>()
    };
    rows.into_iter().take(MOST).flat_map(|(_, rows)| spread(rows)).collect()
}
