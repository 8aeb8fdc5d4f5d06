//! The points of the map: where they lie, what colours and names them, which are near.

use super::{
    classes::Classes,
    json::{Colour, Near, View},
    page::base64_of,
    predictions::{PARTS, Predictions},
};
use crate::{
    Result,
    host::{
        map::{Map, plane},
        neighbors::nearest_others,
        rows::RowFiles,
        sample::{gather, sample},
        sink::Table,
    },
    pca::Rows,
};
use alloc::{collections::BTreeMap, format, string::String, string::ToString, vec, vec::Vec};

/// Neighbours listed for a point.
const NEAR: usize = 8;
const NONE: u32 = u32::MAX;

/// The rows on their first two principal components, `[n, 2]`.
pub(super) fn components_plane(files: &RowFiles, table: &Table) -> Result<Vec<f32>> {
    let (n, d) = (table.len(), table.columns());
    // What a run wrote is rotated already.
    if files.is_run() && d >= 2 {
        return Ok(table.values().chunks_exact(d).flat_map(|r| [r[0], r[1]]).collect());
    }
    Ok(plane(Rows::new(table.values(), d)?).unwrap_or_else(|_| vec![0.0; 2 * n]))
}

pub(super) fn views(plane: &[f32], map: Option<&Map>, ratios: &[f64], drawn: &[usize]) -> Vec<View> {
    let xy = |points: &[f32]| base64_of(&gather(points, 2, drawn));
    let explained = match ratios.get(..2) {
        Some([a, b]) => {
            format!("The first two principal components, {:.1} % of the variance.", 100.0 * (a + b))
        }
        _ => String::from("The two directions of largest variance."),
    };
    let mut views = vec![View { id: "pca", name: "PCA", xy: xy(plane), caption: explained }];
    if let Some(map) = map {
        let s = &map.summary;
        let mut caption = String::from("t-SNE of the components");
        if let Some(p) = s.perplexity {
            caption.push_str(&format!(", perplexity {p}"));
        }
        if let Some(q) = s.quality {
            caption.push_str(&format!(
                ": trustworthiness {:.3}, {:.0} % of {} neighbours kept",
                q.trustworthiness,
                100.0 * q.neighbors_kept,
                q.neighbors
            ));
        }
        caption.push_str(". Distances between far groups mean little.");
        views.push(View { id: "tsne", name: "t-SNE", xy: xy(&map.points), caption });
    }
    views
}

pub(super) fn colours(
    classes: &Classes<'_>,
    clusters: (&[String], &[Option<u32>]),
    predictions: Option<&Predictions>,
    drawn: &[usize],
) -> Vec<Colour> {
    let colour = |id, name, names: Vec<String>, of: &[Option<u32>]| {
        let of = drawn.iter().map(|&i| of.get(i).copied().flatten().unwrap_or(NONE));
        let wide = names.len() >= usize::from(u16::MAX);
        let of = match wide {
            true => base64_of(&of.collect::<Vec<u32>>()),
            // All ones stay all ones.
            false => base64_of(&of.map(|v| v as u16).collect::<Vec<u16>>()),
        };
        Colour { id, name, names, of, wide, sure: None }
    };
    let mut all = Vec::new();
    if !classes.is_empty() {
        all.push(colour("class", "Class", classes.owned(), &classes.of));
    }
    all.push(colour("cluster", "Cluster", clusters.0.to_vec(), clusters.1));
    if let Some(p) = predictions {
        let percent =
            |p: &f32| if p.is_nan() { u8::MAX } else { libm::roundf(100.0 * p.clamp(0.0, 1.0)) as u8 };
        let sure: Vec<u8> = drawn.iter().map(|&i| p.sure.get(i).map_or(u8::MAX, percent)).collect();
        let known = sure.iter().any(|p| *p != u8::MAX);
        let mut prediction = colour("prediction", "Prediction", p.names.clone(), &p.of);
        prediction.sure = known.then(|| base64_of(&sure));
        all.push(prediction);
        if let Some(held) = p.held.as_ref().filter(|h| h.contains(&true)) {
            let parts: Vec<Option<u32>> = held.iter().map(|h| Some(u32::from(*h))).collect();
            all.push(colour("part", "Part", PARTS.map(String::from).into(), &parts));
        }
    }
    all
}

/// Paths in two columns: folders, and for each point its folder's number and its file name.
pub(super) struct Names {
    pub(super) dirs: Vec<String>,
    pub(super) dir: Vec<u32>,
    pub(super) files: Vec<String>,
}

impl Names {
    pub(super) fn of(paths: &[String], drawn: &[usize]) -> Self {
        let mut dirs: BTreeMap<&str, u32> = BTreeMap::new();
        let mut names = Self { dirs: Vec::new(), dir: Vec::new(), files: Vec::new() };
        for &i in drawn {
            let path = paths.get(i).map(String::as_str).unwrap_or_default();
            let (dir, file) = path.split_at(path.rfind('/').map_or(0, |at| at + 1));
            let next = dirs.len() as u32;
            let number = *dirs.entry(dir).or_insert(next);
            if number == next {
                names.dirs.push(dir.to_string());
            }
            names.dir.push(number);
            names.files.push(file.to_string());
        }
        names
    }
}

/// Neighbours of the points that have a thumbnail, or of a sample where none has.
pub(super) fn near(components: Rows<'_>, drawn: &[usize], tile: &[i32], most: usize) -> Result<Option<Near>> {
    let d = components.columns();
    let k = NEAR.min(drawn.len().saturating_sub(1));
    if k == 0 {
        return Ok(None);
    }
    let mut of: Vec<usize> = (0..drawn.len()).filter(|&i| tile.get(i).is_some_and(|t| *t >= 0)).collect();
    if of.is_empty() {
        of = sample(drawn.len(), most.max(1), 0);
    }
    let values = gather(components.data(), d, drawn);
    let found = nearest_others(Rows::new(&values, d)?, &of, k)?;
    let of: Vec<u32> = of.into_iter().map(|i| i as u32).collect();
    Ok(Some(Near { k, of: base64_of(&of), to: base64_of(found.indices()) }))
}
