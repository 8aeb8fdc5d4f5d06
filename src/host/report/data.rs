//! What the page shows, as the JSON its script reads.

use super::{
    Known, ReportInfo, ReportOptions, RowFiles, Step, open_pictures,
    page::{base64_of, page},
    pictures::{self, Sheets},
    svg,
};
use crate::{
    Result,
    host::{
        neighbors::nearest_others,
        sample::{gather, number, sample},
        source::Source,
    },
    pca::Rows,
    preprocess::{Recipe, RecipePreprocessor},
};
use alloc::{collections::BTreeMap, format, string::String, string::ToString, vec, vec::Vec};
use bytes::Bytes;
use serde::Serialize;

const THUMB: usize = 48;
const TILE: usize = 96;
/// Points in a figure file; more make it too large to open.
const FIGURE: usize = 20_000;
const NONE: u32 = u32::MAX;

/// Where a network looks in one picture.
#[derive(Clone, Debug)]
pub struct Gazed {
    /// The picture as the network gets it, interleaved RGB.
    pub rgb: Vec<u8>,
    /// Its width.
    pub width: usize,
    /// Its height.
    pub height: usize,
    /// How much each pixel matters, `[height, width]`, 0 to 1.
    pub heat: Vec<f32>,
}

/// Encoded picture and its label to what the network looks at.
pub type GazeFn = dyn Fn(&Bytes, Option<&str>) -> Result<Gazed> + Send + Sync;

#[derive(Serialize)]
struct View {
    id: &'static str,
    name: &'static str,
    xy: String,
    caption: String,
}

#[derive(Serialize)]
struct Colour {
    id: &'static str,
    name: &'static str,
    names: Vec<String>,
    of: String,
}

#[derive(Serialize)]
struct Thumbs {
    #[serde(flatten)]
    sheets: Sheets,
    tile: String,
}

#[derive(Serialize)]
struct Near {
    k: usize,
    of: String,
    to: String,
}

#[derive(Serialize)]
struct Item {
    class: String,
    name: String,
    tiles: Vec<(usize, &'static str)>,
}

#[derive(Serialize)]
struct Gallery {
    #[serde(flatten)]
    sheets: Sheets,
    items: Vec<Item>,
    note: String,
}

#[derive(Serialize)]
struct Matrix {
    rows: Vec<String>,
    columns: Vec<String>,
    cells: Vec<(u32, u32, u64)>,
}

#[derive(Serialize)]
struct Clusters {
    facts: Vec<(&'static str, String)>,
    curve: Vec<(usize, f64)>,
    matrix: Option<Matrix>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Confusion {
    facts: Vec<(&'static str, String)>,
    matrix: Matrix,
}

#[derive(Serialize)]
struct Rejects {
    total: usize,
    rows: Vec<[String; 3]>,
}

#[derive(Serialize)]
struct Data {
    title: String,
    subtitle: String,
    notes: Vec<String>,
    facts: Vec<(&'static str, String)>,
    classes: Vec<String>,
    counts: Vec<u64>,
    n: usize,
    dirs: Vec<String>,
    dir: String,
    files: Vec<String>,
    views: Vec<View>,
    colours: Vec<Colour>,
    thumbs: Option<Thumbs>,
    near: Option<Near>,
    scree: Vec<f64>,
    clusters: Clusters,
    confusion: Option<Confusion>,
    gallery: Option<Gallery>,
    rejects: Option<Rejects>,
    timings: Vec<(String, f64)>,
    options: Vec<(String, String)>,
    made: String,
}

pub(super) fn write(
    files: &RowFiles,
    options: &ReportOptions,
    known: Known,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<ReportInfo> {
    let Known { table, summary, clustering, map, predictions, rejects, mut notes } = known;
    let (n, d) = (table.len(), table.columns());
    let drawn = sample(n, options.points.max(1), 0);
    if drawn.len() < n {
        notes.push(format!(
            "{} of {} points are drawn, a random sample; all tables count all of them",
            counted(drawn.len()),
            counted(n)
        ));
    }
    let (classes, class_of) = number(table.labels().iter().map(Option::as_deref));
    if classes.is_empty() {
        notes.push(String::from("no labels: nothing is coloured by class"));
    } else if classes.len() == 1 {
        notes.push(String::from("one class only: agreement of clusters and classes says nothing"));
    }
    let mut counts = vec![0u64; classes.len()];
    class_of.iter().flatten().for_each(|c| counts[*c as usize] += 1);
    let cluster_of: Vec<Option<u32>> = clustering.clusters.iter().map(|c| u32::try_from(*c).ok()).collect();
    let cluster_names: Vec<String> = (0..clustering.summary.k).map(|c| c.to_string()).collect();

    // Points.
    let components = Rows::new(table.values(), d)?;
    let plane = match files.is_run() && d >= 2 {
        true => table.values().chunks_exact(d).flat_map(|r| [r[0], r[1]]).collect(),
        false => super::plane(components).unwrap_or_else(|_| vec![0.0; 2 * n]),
    };
    let xy = |points: &[f32]| base64_of(&gather(points, 2, &drawn));
    let ratios = summary.as_ref().map(|s| s.explained_variance_ratio.clone()).unwrap_or_default();
    let explained = match ratios.get(..2) {
        Some([a, b]) => {
            format!("The first two principal components, {:.1} % of the variance.", 100.0 * (a + b))
        }
        _ => String::from("The two directions of largest variance."),
    };
    let mut views = vec![View { id: "pca", name: "PCA", xy: xy(&plane), caption: explained }];
    if let Some(map) = &map {
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
        notes.extend(s.notes.iter().cloned());
    }
    let of = |numbers: &[Option<u32>]| {
        let drawn: Vec<u32> =
            drawn.iter().map(|&i| numbers.get(i).copied().flatten().unwrap_or(NONE)).collect();
        base64_of(&drawn)
    };
    let owned = |names: &[&str]| names.iter().map(|s| (*s).to_string()).collect::<Vec<_>>();
    let mut colours = Vec::new();
    if !classes.is_empty() {
        colours.push(Colour { id: "class", name: "Class", names: owned(&classes), of: of(&class_of) });
    }
    colours.push(Colour {
        id: "cluster",
        name: "Cluster",
        names: cluster_names.clone(),
        of: of(&cluster_of),
    });
    let mut confusion = None;
    if let Some(predictions) = &predictions {
        let (names, predicted_of) = number(predictions.iter().map(Option::as_deref));
        let right = table.labels().iter().zip(predictions).filter(|(l, p)| l.is_some() && l == p).count();
        let both = table.labels().iter().zip(predictions).filter(|(l, p)| l.is_some() && p.is_some()).count();
        if both > 0 {
            confusion = Some(Confusion {
                facts: vec![
                    ("Predicted", counted(both)),
                    ("right", counted(right)),
                    ("accuracy", format!("{:.2} %", 100.0 * right as f64 / both as f64)),
                ],
                matrix: Matrix {
                    rows: owned(&classes),
                    columns: owned(&names),
                    cells: cross(&class_of, &predicted_of),
                },
            });
        }
        colours.push(Colour {
            id: "prediction",
            name: "Prediction",
            names: owned(&names),
            of: of(&predicted_of),
        });
    }

    // Pictures.
    let gallery_rows = per_class(&class_of, classes.len());
    let mut shown = Shown::default();
    match open_pictures(options, summary.as_ref()) {
        Some(Ok(source)) => {
            let thumbs = sample(drawn.len(), options.thumbnails, 0);
            let ask = Ask { options, table: &table, summary: summary.as_ref(), gallery: &gallery_rows };
            let rows: Vec<usize> = thumbs.iter().map(|&i| drawn[i]).collect();
            shown = ask.pictures(&*source, &rows)?;
            if shown.thumbs.is_empty() {
                notes.push(format!(
                    "none of the pictures was found in {}; --pictures names another place",
                    source.describe()
                ));
            } else if shown.thumbs.len() < drawn.len() {
                notes.push(format!(
                    "{} of {} points have a thumbnail",
                    counted(shown.thumbs.len()),
                    counted(drawn.len())
                ));
            }
        }
        Some(Err(e)) => notes.push(format!("no pictures: {}; --pictures names another place", e.message())),
        None => notes.push(String::from("no pictures: --pictures names their place")),
    }
    progress(Step::Page);
    let mut tile = vec![-1i32; drawn.len()];
    let mut tiles = Vec::new();
    for (row, rgb) in core::mem::take(&mut shown.thumbs) {
        if let Ok(at) = drawn.binary_search(&row) {
            tile[at] = tiles.len() as i32;
            tiles.push(rgb);
        }
    }
    let thumbnails = tiles.len();
    let thumbs = match tiles.is_empty() {
        true => None,
        false => Some(Thumbs { sheets: pictures::sheets(&tiles, THUMB, 80)?, tile: base64_of(&tile) }),
    };
    let near = near(components, &drawn, &tile, options.thumbnails)?;
    let gallery = gallery(&table, shown, &classes, &class_of)?;

    // Names.
    let mut dirs: BTreeMap<&str, u32> = BTreeMap::new();
    let mut split = Vec::with_capacity(drawn.len());
    for &i in &drawn {
        let path = table.paths().get(i).map(String::as_str).unwrap_or_default();
        let (dir, file) = path.split_at(path.rfind('/').map_or(0, |at| at + 1));
        let next = dirs.len() as u32;
        split.push((*dirs.entry(dir).or_insert(next), file.to_string()));
    }
    let mut names: Vec<(&str, u32)> = dirs.into_iter().collect();
    names.sort_by_key(|d| d.1);
    let (dir, file): (Vec<u32>, Vec<String>) = split.into_iter().unzip();

    let matrix = (!classes.is_empty()).then(|| Matrix {
        rows: owned(&classes),
        columns: cluster_names.clone(),
        cells: cross(&class_of, &cluster_of),
    });
    let title = format!("fruitcore report: {}", files.target());
    let mut figures = Figures { files, written: Vec::new() };
    let lighter = sample(n, FIGURE, 0);
    let pick = |numbers: &[Option<u32>]| lighter.iter().map(|&i| numbers[i]).collect::<Vec<_>>();
    let (figure_of, figure_names) = match classes.is_empty() {
        true => (pick(&cluster_of), cluster_names.iter().map(String::as_str).collect()),
        false => (pick(&class_of), classes.clone()),
    };
    figures.put(
        "map-pca",
        &svg::scatter("Principal components", &gather(&plane, 2, &lighter), &figure_of, &figure_names),
    )?;
    if let Some(map) = &map {
        figures.put(
            "map-tsne",
            &svg::scatter("t-SNE", &gather(&map.points, 2, &lighter), &figure_of, &figure_names),
        )?;
    }
    if !ratios.is_empty() {
        figures.put("scree", &svg::scree("Explained variance", &ratios))?;
    }
    if !classes.is_empty() {
        figures.put("classes", &svg::bars("Pictures of each class", &classes, &counts))?;
    }
    for (name, title, m) in [
        ("clusters", "Clusters by class", matrix.as_ref()),
        ("confusion", "Predictions by class", confusion.as_ref().map(|c| &c.matrix)),
    ] {
        if let Some(m) = m {
            let [rows, columns] =
                [&m.rows, &m.columns].map(|v| v.iter().map(String::as_str).collect::<Vec<_>>());
            figures.put(name, &svg::heat(title, &rows, &columns, &m.cells))?;
        }
    }
    if lighter.len() < n {
        notes.push(format!("the map figures hold {} of {} points", counted(lighter.len()), counted(n)));
    }

    let data = Data {
        title: title.clone(),
        subtitle: subtitle(summary.as_ref(), n, d),
        facts: facts(summary.as_ref(), n, d, classes.len()),
        classes: owned(&classes),
        counts,
        n: drawn.len(),
        dirs: names.into_iter().map(|d| d.0.to_string()).collect(),
        dir: base64_of(&dir),
        files: file,
        views,
        colours,
        thumbs,
        near,
        scree: ratios,
        clusters: clusters(&clustering.summary, matrix),
        confusion,
        gallery,
        rejects: rejects.filter(|r| r.0 > 0).map(|(total, rows)| Rejects { total, rows }),
        timings: summary.as_ref().map(|s| s.seconds.clone().into_iter().collect()).unwrap_or_default(),
        options: summary.as_ref().map(|s| s.options.clone().into_iter().collect()).unwrap_or_default(),
        made: format!("fruitcore {}", env!("CARGO_PKG_VERSION")),
        notes: notes.clone(),
    };
    let html = page(&title, &data)?;
    files.store().put(&options.file, html.as_bytes())?;
    Ok(ReportInfo {
        file: options.file.clone(),
        bytes: html.len(),
        rows: n,
        points: drawn.len(),
        thumbnails,
        figures: figures.written,
        notes,
    })
}

struct Figures<'a> {
    files: &'a RowFiles,
    written: Vec<String>,
}

impl Figures<'_> {
    fn put(&mut self, name: &str, content: &str) -> Result<()> {
        let name = format!("figures/{name}.svg");
        self.files.store().put(&name, content.as_bytes())?;
        self.written.push(name);
        Ok(())
    }
}

fn counted(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

fn subtitle(summary: Option<&crate::host::summary::Summary>, n: usize, d: usize) -> String {
    let asked = |key: &str| summary.and_then(|s| s.options.get(key)).cloned();
    match asked("input") {
        Some(input) => format!("{} pictures of {input}, {d} components each", counted(n)),
        None => format!("{} rows of {d} numbers", counted(n)),
    }
}

fn facts(
    summary: Option<&crate::host::summary::Summary>,
    n: usize,
    d: usize,
    classes: usize,
) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Rows", counted(n)), ("Classes", counted(classes)), ("Components", counted(d))];
    if let Some(s) = summary {
        facts.insert(0, ("Pictures", counted(s.images as usize)));
        facts.push(("Rejected", counted(s.rejected as usize)));
        facts.push(("Features", counted(s.feature_length)));
        facts.push(("Variance explained", format!("{:.1} %", 100.0 * s.explained_variance_ratio_total)));
        facts.push(("Time", format!("{:.1} s", s.elapsed)));
        facts.push(("Pictures/s", format!("{:.1}", s.images_per_second)));
        if let Some(bytes) = s.peak_memory {
            facts.push(("Peak memory", format!("{} MiB", bytes >> 20)));
        }
        facts.push(("Device", s.device.clone()));
    }
    facts
}

fn clusters(s: &crate::host::cluster::ClusterSummary, matrix: Option<Matrix>) -> Clusters {
    let mut facts = vec![("Clusters", s.k.to_string()), ("inertia", format!("{:.4}", s.inertia))];
    let measures = [
        ("silhouette", s.silhouette),
        ("adjusted Rand index", s.adjusted_rand),
        ("normalised mutual information", s.normalized_mutual_information),
        ("homogeneity", s.homogeneity),
        ("completeness", s.completeness),
    ];
    facts.extend(measures.into_iter().filter_map(|(k, v)| Some((k, format!("{:.3}", v?)))));
    let curve = s.tried.iter().map(|t| (t.k, t.silhouette)).collect();
    Clusters { facts, curve, matrix, notes: s.notes.clone() }
}

/// How often numbers fall together.
fn cross(a: &[Option<u32>], b: &[Option<u32>]) -> Vec<(u32, u32, u64)> {
    let mut cells: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for (a, b) in a.iter().zip(b) {
        if let (Some(a), Some(b)) = (a, b) {
            *cells.entry((*a, *b)).or_default() += 1;
        }
    }
    cells.into_iter().map(|((a, b), n)| (a, b, n)).collect()
}

/// Neighbours of the points that have a thumbnail, or of a sample where none has.
fn near(components: Rows<'_>, drawn: &[usize], tile: &[i32], most: usize) -> Result<Option<Near>> {
    let d = components.columns();
    let k = 8.min(drawn.len().saturating_sub(1));
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

/// Rows to show of each class: a few from all over it.
fn per_class(class_of: &[Option<u32>], classes: usize) -> Vec<usize> {
    const MOST: usize = 180;
    let each = (MOST / classes.max(1)).clamp(1, 3);
    let mut rows: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (i, c) in class_of.iter().enumerate() {
        rows.entry(c.unwrap_or(NONE)).or_default().push(i);
    }
    let each = if classes == 0 { 12 } else { each };
    let spread = |rows: Vec<usize>| {
        let m = each.min(rows.len());
        (0..m).filter_map(move |j| rows.get(j * rows.len() / m).copied()).collect::<Vec<_>>()
    };
    rows.into_iter().take(MOST).flat_map(|(_, rows)| spread(rows)).collect()
}

/// Pictures by row.
#[derive(Default)]
struct Shown {
    thumbs: Vec<(usize, Vec<u8>)>,
    /// The picture, what preprocessing made of it, where the network looks.
    gallery: BTreeMap<usize, [Option<Vec<u8>>; 3]>,
}

struct Ask<'a> {
    options: &'a ReportOptions,
    table: &'a crate::host::sink::Table,
    summary: Option<&'a crate::host::summary::Summary>,
    gallery: &'a [usize],
}

impl Ask<'_> {
    fn pictures(&self, source: &dyn Source, thumbs: &[usize]) -> Result<Shown> {
        let recipe: Option<Recipe> =
            self.summary.and_then(|s| Recipe::from_json(s.options.get("recipe")?).ok());
        let gazed: Vec<usize> = match &self.options.gaze {
            Some(_) => {
                sample(self.gallery.len(), self.options.gazes, 0).iter().map(|&i| self.gallery[i]).collect()
            }
            None => Vec::new(),
        };
        let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
        for &row in thumbs.iter().chain(self.gallery) {
            if let Some(path) = self.table.paths().get(row) {
                wanted.insert(path, row);
            }
        }
        let make = |row: usize, bytes: &Bytes| {
            let [size, big] = [THUMB, TILE].map(pictures::square);
            let thumb = match thumbs.binary_search(&row) {
                Ok(_) => Some(pictures::shown(bytes, &mut size?)?.0),
                Err(_) => None,
            };
            if !self.gallery.contains(&row) {
                return Ok((thumb, None));
            }
            let picture = pictures::shown(bytes, &mut big?)?.0;
            let preprocessed = recipe.as_ref().and_then(|recipe| {
                let (rgb, w, h) =
                    pictures::shown(bytes, &mut RecipePreprocessor::new(recipe.clone())).ok()?;
                pictures::tile(&rgb, w, h, TILE).ok()
            });
            let label = self.table.labels().get(row).and_then(Option::as_deref);
            let gaze = self.options.gaze.as_ref().filter(|_| gazed.contains(&row));
            let gaze = gaze.and_then(|gaze| overlay(&gaze(bytes, label).ok()?));
            Ok((thumb, Some([Some(picture), preprocessed, gaze])))
        };
        let mut shown = Shown::default();
        pictures::each(source, &wanted, &make, &mut |row, (thumb, tiles)| {
            shown.thumbs.extend(thumb.map(|t| (row, t)));
            if let Some(tiles) = tiles {
                shown.gallery.insert(row, tiles);
            }
        })?;
        shown.thumbs.sort_by_key(|t| t.0);
        Ok(shown)
    }
}

/// A picture in gray where it doesn't matter, in colour where it does.
fn overlay(gazed: &Gazed) -> Option<Vec<u8>> {
    let mut rgb = gazed.rgb.clone();
    for (pixel, heat) in rgb.chunks_exact_mut(3).zip(&gazed.heat) {
        let gray = pixel.iter().map(|v| f32::from(*v)).sum::<f32>() / 3.0;
        let t = heat.clamp(0.0, 1.0);
        // Gray to orange: told apart with every colour blindness.
        for (v, hot) in pixel.iter_mut().zip([255.0, 150.0, 0.0]) {
            let base = gray * 0.75;
            *v = (base + (0.55 * hot + 0.45 * gray - base) * t) as u8;
        }
    }
    pictures::tile(&rgb, gazed.width, gazed.height, TILE).ok()
}

fn gallery(
    table: &crate::host::sink::Table,
    shown: Shown,
    classes: &[&str],
    class_of: &[Option<u32>],
) -> Result<Option<Gallery>> {
    const WHAT: [&str; 3] = ["picture", "what preprocessing made", "where the network looks"];
    let (mut tiles, mut items) = (Vec::new(), Vec::new());
    let mut gazes = 0;
    for (row, made) in shown.gallery {
        let class = class_of.get(row).copied().flatten().and_then(|c| classes.get(c as usize));
        let mut item = Item {
            class: class.map_or_else(|| String::from("no label"), |c| (*c).to_string()),
            name: table.paths().get(row).and_then(|p| p.rsplit('/').next()).unwrap_or_default().to_string(),
            tiles: Vec::new(),
        };
        gazes += usize::from(made[2].is_some());
        for (rgb, what) in made.into_iter().zip(WHAT) {
            if let Some(rgb) = rgb {
                item.tiles.push((tiles.len(), what));
                tiles.push(rgb);
            }
        }
        items.push(item);
    }
    if tiles.is_empty() {
        return Ok(None);
    }
    items.sort_by(|a, b| a.class.cmp(&b.class));
    let mut note = String::from("From left: the picture, what preprocessing made of it");
    note.push_str(match gazes {
        0 => ".",
        _ => "; for some, where the network looks: orange where covering a patch moves the components away from the picture's class.",
    });
    Ok(Some(Gallery { sheets: pictures::sheets(&tiles, TILE, 82)?, items, note }))
}
