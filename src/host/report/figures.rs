//! The figures beside the page, each as SVG and as PNG.

use super::{classes::Classes, draw, draw::Figure, json::Matrix};
use crate::{
    Result,
    host::{
        map::Map,
        rows::RowFiles,
        sample::{gather, sample},
        summary::count,
    },
};
use alloc::{format, string::String, vec::Vec};

/// Points in a figure; more make the SVG too large to open.
const MOST: usize = 20_000;

/// What the figures show.
pub(super) struct Shown<'a> {
    pub(super) plane: &'a [f32],
    pub(super) map: Option<&'a Map>,
    pub(super) classes: &'a Classes<'a>,
    pub(super) clusters: (&'a [String], &'a [Option<u32>]),
    pub(super) ratios: &'a [f64],
    pub(super) cluster_matrix: Option<&'a Matrix>,
    pub(super) confusion: Option<&'a Matrix>,
}

/// Writes them all; their names, and what they leave out.
pub(super) fn write(files: &RowFiles, shown: &Shown<'_>) -> Result<(Vec<String>, Option<String>)> {
    let mut written = Vec::new();
    let mut put = |name: &str, figure: &Figure<'_>| -> Result<()> {
        for (ending, bytes) in [("svg", figure.svg().into_bytes()), ("png", figure.png()?)] {
            let name = format!("figures/{name}.{ending}");
            files.store().put_copy(&name, &bytes)?;
            written.push(name);
        }
        Ok(())
    };
    let n = shown.plane.len() / 2;
    let some = sample(n, MOST, 0);
    let cluster_names: Vec<&str> = shown.clusters.0.iter().map(String::as_str).collect();
    let (of, names) = match shown.classes.is_empty() {
        true => (shown.clusters.1, &cluster_names),
        false => (&shown.classes.of[..], &shown.classes.names),
    };
    let of: Vec<Option<u32>> = some.iter().map(|&i| of.get(i).copied().flatten()).collect();
    let points = gather(shown.plane, 2, &some);
    put("map-pca", &draw::scatter("Principal components", &points, &of, names))?;
    if let Some(map) = shown.map {
        let points = gather(&map.points, 2, &some);
        put("map-tsne", &draw::scatter("t-SNE", &points, &of, names))?;
    }
    if !shown.ratios.is_empty() {
        put("scree", &draw::scree("Explained variance", shown.ratios))?;
    }
    if !shown.classes.is_empty() {
        put("classes", &draw::bars("Pictures of each class", &shown.classes.names, &shown.classes.counts))?;
    }
    let tables = [
        ("clusters", "Clusters by class", shown.cluster_matrix),
        ("confusion", "Predictions by class", shown.confusion),
    ];
    for (name, title, matrix) in tables {
        if let Some(m) = matrix {
            let [rows, columns] =
                [&m.rows, &m.columns].map(|v| v.iter().map(String::as_str).collect::<Vec<_>>());
            put(name, &draw::heat(title, &rows, &columns, &m.cells))?;
        }
    }
    let note = (some.len() < n)
        .then(|| format!("the map figures hold {} of {} points", count(some.len() as u64), count(n as u64)));
    Ok((written, note))
}
