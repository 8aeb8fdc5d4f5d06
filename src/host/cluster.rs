//! k-means over the rows of an output: how many clusters, how good they are, and files beside the
//! components.

use super::{
    rows::{Column, RowFiles, encode_columns},
    sample::{ValuesDigest, gather, number, sample},
    sink::Format,
};
use crate::{
    Error, ErrorKind, Result, Stage,
    classify::{
        kmeans::{KMeans, MiniBatchKMeans},
        measures::{Agreement, distances_from, silhouette, silhouette_by},
    },
    pca::Rows,
};
use alloc::{format, string::String, vec, vec::Vec};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Rows that silhouettes and the choice of k look at; they take n² distances.
const SAMPLE: usize = 3000;

/// Numbers of the sample that a stream's clusters begin with: 16 MiB.
const START_VALUES: usize = 4 << 20;

/// How many clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Count {
    /// So many.
    Fixed(usize),
    /// From 2 to `most`, the number with the largest silhouette on a sample.
    Auto {
        /// The largest number tried.
        most: usize,
    },
}

/// How rows are clustered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// How many clusters.
    pub count: Count,
    /// Seed of every random choice. 0 unless set.
    pub seed: u64,
    /// Independent starts, the best of which are improved, and one kept. 6 unless set.
    pub restarts: usize,
    /// One pass of mini-batches instead of iterations over all rows, which then need not fit in memory.
    pub mini_batch: bool,
}

impl ClusterOptions {
    /// `count` clusters, seed 0, six starts.
    pub fn new(count: Count) -> Self {
        Self { count, seed: 0, restarts: 6, mini_batch: false }
    }
}

/// One number of clusters that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Clusters.
    pub k: usize,
    /// Mean silhouette over the sample.
    pub silhouette: f64,
    /// Sum of squared distances over the sample.
    pub inertia: f64,
}

/// What a clustering gave, as `clusters.json` holds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterSummary {
    /// Clusters.
    pub k: usize,
    /// Rows clustered.
    pub rows: usize,
    /// Numbers a row.
    pub columns: usize,
    /// Rows of each cluster.
    pub sizes: Vec<usize>,
    /// Sum of squared distances to the centres.
    pub inertia: f64,
    /// Mean silhouette over `sampled` rows; none for a single cluster or one row a cluster.
    pub silhouette: Option<f64>,
    /// Rows that silhouettes were measured on.
    pub sampled: usize,
    /// Rows that have a label: the measures below are over them, and none without any.
    pub labelled: usize,
    /// Adjusted Rand index against the labels.
    pub adjusted_rand: Option<f64>,
    /// Normalised mutual information with the labels.
    pub normalized_mutual_information: Option<f64>,
    /// Whether each cluster holds one label only.
    pub homogeneity: Option<f64>,
    /// Whether each label lies in one cluster only.
    pub completeness: Option<f64>,
    /// The numbers of clusters tried, if the number was to be found.
    pub tried: Vec<Tried>,
    /// Seed.
    pub seed: u64,
    /// Whether one pass of mini-batches was made.
    pub mini_batch: bool,
    /// SHA-256 of the rows clustered, as f32.
    pub values: String,
    /// What a reader should know: sampling, a single point, ….
    pub notes: Vec<String>,
}

impl ClusterSummary {
    /// Names and values of the measures there are, to be shown.
    ///
    /// ```
    /// let mut summary = fruitcore::host::cluster::ClusterSummary::default();
    /// summary.homogeneity = Some(0.5);
    /// assert!(summary.measures().eq([("homogeneity", 0.5)]));
    /// ```
    pub fn measures(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let all = [
            ("silhouette", self.silhouette),
            ("adjusted Rand index", self.adjusted_rand),
            ("normalised mutual information", self.normalized_mutual_information),
            ("homogeneity", self.homogeneity),
            ("completeness", self.completeness),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// The cluster of each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustering {
    /// One path a row.
    pub paths: Vec<String>,
    /// One label a row, where there is one.
    pub labels: Vec<Option<String>>,
    /// One cluster a row, from 0.
    pub clusters: Vec<i32>,
    /// Distance to the cluster's centre.
    pub distances: Vec<f32>,
    /// Centres, `[k, columns]`.
    pub centroids: Vec<f32>,
    /// Counts and measures.
    pub summary: ClusterSummary,
}

impl Clustering {
    /// Clusters all rows.
    ///
    /// # Errors
    /// [`ErrorKind::Insufficient`] for fewer rows than clusters, and what reading reports.
    pub fn of(files: &RowFiles, options: &ClusterOptions) -> Result<Self> {
        if options.mini_batch { Self::streamed(files, options) } else { Self::whole(files, options) }
    }

    fn whole(files: &RowFiles, options: &ClusterOptions) -> Result<Self> {
        let table = files.table()?;
        let rows = Rows::new(table.values(), table.columns())?;
        let mut summary = start(options, rows)?;
        summary.values = ValuesDigest::of(table.values());
        let fitted = KMeans::new(summary.k).seed(options.seed).restarts(options.restarts).fit(rows)?;
        summary.inertia = fitted.inertia();
        let clusters = fitted.labels().iter().map(|c| *c as i32).collect();
        let mut all = Self {
            paths: table.paths().to_vec(),
            labels: table.labels().to_vec(),
            clusters,
            distances: Vec::new(),
            centroids: fitted.centroids().to_vec(),
            summary,
        };
        all.distances = all.to_centres(rows, &all.clusters);
        all.measure(rows, &sample(rows.len(), SAMPLE, options.seed))?;
        Ok(all)
    }

    fn streamed(files: &RowFiles, options: &ClusterOptions) -> Result<Self> {
        // A first pass counts, so that the sample is spread over all rows.
        let (mut n, mut d) = (0, 0);
        let mut digest = ValuesDigest::default();
        files.read(&mut |t| {
            digest.add(t.values());
            (n, d) = (n + t.len(), t.columns());
            Ok(())
        })?;
        let start_rows = (START_VALUES / d.max(1)).max(SAMPLE);
        let chosen = sample(n, start_rows, options.seed);
        let (mut values, mut seen, mut next) = (Vec::new(), 0, 0);
        files.read(&mut |t| {
            while let Some(row) = chosen.get(next).and_then(|i| i.checked_sub(seen)).filter(|i| *i < t.len())
            {
                values.extend_from_slice(t.values().get(row * d..(row + 1) * d).unwrap_or_default());
                next += 1;
            }
            seen += t.len();
            Ok(())
        })?;
        let sampled = Rows::new(&values, d)?;
        let mut summary = start(options, sampled)?;
        (summary.rows, summary.mini_batch, summary.values) = (n, true, digest.finish());
        let first = KMeans::new(summary.k).seed(options.seed).restarts(options.restarts).fit(sampled)?;
        let mut fit = MiniBatchKMeans::from_clusters(&first);
        files.read(&mut |t| fit.partial_fit(Rows::new(t.values(), d)?))?;
        if chosen.len() < n {
            let m = format!("begun on {} of {n} rows, then one pass over all", chosen.len());
            summary.notes.push(m);
        }
        let mut all = Self {
            paths: Vec::with_capacity(n),
            labels: Vec::with_capacity(n),
            clusters: Vec::with_capacity(n),
            distances: Vec::with_capacity(n),
            centroids: fit.centroids()?,
            summary,
        };
        files.read(&mut |t| {
            let rows = Rows::new(t.values(), d)?;
            let mut labels = vec![0; t.len()];
            all.summary.inertia += fit.assign(rows, &mut labels)?;
            let clusters: Vec<i32> = labels.iter().map(|c| *c as i32).collect();
            all.distances.extend(all.to_centres(rows, &clusters));
            all.clusters.extend(clusters);
            all.paths.extend_from_slice(t.paths());
            all.labels.extend_from_slice(t.labels());
            Ok(())
        })?;
        // Silhouettes take n² distances: of the sample, a sample.
        let which = sample(chosen.len(), SAMPLE, options.seed);
        let rows = gather(&values, d, &which);
        let chosen: Vec<usize> = which.iter().filter_map(|i| chosen.get(*i).copied()).collect();
        all.measure(Rows::new(&rows, d)?, &chosen)?;
        Ok(all)
    }

    fn to_centres(&self, rows: Rows<'_>, clusters: &[i32]) -> Vec<f32> {
        let d = rows.columns();
        let distance = |(row, c): (&[f32], &i32)| {
            let centre = self.centroids.get(*c as usize * d..(*c as usize + 1) * d).unwrap_or_default();
            libm::sqrtf(row.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum())
        };
        rows.data().chunks_exact(d).zip(clusters).map(distance).collect()
    }

    /// `rows` holds the rows `chosen`, or all of them.
    fn measure(&mut self, rows: Rows<'_>, chosen: &[usize]) -> Result<()> {
        let summary = &mut self.summary;
        summary.sizes = vec![0; summary.k];
        for c in &self.clusters {
            if let Some(size) = usize::try_from(*c).ok().and_then(|c| summary.sizes.get_mut(c)) {
                *size += 1;
            }
        }
        let of = |i: &usize| self.clusters.get(*i).map_or(0, |c| *c as u32);
        let numbers: Vec<u32> = chosen.iter().map(of).collect();
        let gathered = (rows.len() > chosen.len()).then(|| gather(rows.data(), rows.columns(), chosen));
        let sampled = Rows::new(gathered.as_deref().unwrap_or(rows.data()), rows.columns())?;
        summary.sampled = chosen.len();
        summary.silhouette = silhouette(sampled, &numbers).ok();
        if summary.rows > chosen.len() {
            summary.notes.push(format!(
                "silhouettes are measured on {} of {} rows",
                chosen.len(),
                summary.rows
            ));
        }
        if summary.silhouette.is_none() {
            summary.notes.push(String::from(
                "no silhouette: it needs at least two clusters, one of them with two points",
            ));
        }
        let (_, classes) = number(self.labels.iter().map(Option::as_deref));
        let pairs: Vec<(u32, u32)> =
            classes.iter().zip(&self.clusters).filter_map(|(l, c)| Some(((*l)?, *c as u32))).collect();
        summary.labelled = pairs.len();
        if pairs.is_empty() {
            summary.notes.push(String::from("no labels: nothing to compare the clusters with"));
            return Ok(());
        }
        let (labels, clusters): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
        let agreement = Agreement::of(&labels, &clusters)?;
        summary.adjusted_rand = Some(agreement.adjusted_rand());
        summary.normalized_mutual_information = Some(agreement.normalized_mutual_information());
        summary.homogeneity = Some(agreement.homogeneity());
        summary.completeness = Some(agreement.completeness());
        Ok(())
    }

    /// Writes `clusters.parquet` (or `.csv`, `.arrow`: path, label, cluster, distance) and
    /// `clusters.json` beside the rows.
    ///
    /// # Errors
    /// What the output reports.
    pub fn write(&self, files: &RowFiles, format: &Format) -> Result<()> {
        let columns = [
            ("path", Column::Text(&self.paths)),
            ("label", Column::OptionalText(&self.labels)),
            ("cluster", Column::Integers(&self.clusters)),
            ("distance", Column::Reals(&self.distances)),
        ];
        let name = format!("clusters.{}", format.extension());
        files.store().put(&name, &encode_columns(&columns, format)?)?;
        super::rows::put_json(&**files.store(), "clusters.json", &self.summary)
    }
}

/// Settles the number of clusters.
fn start(options: &ClusterOptions, rows: Rows<'_>) -> Result<ClusterSummary> {
    rows.expect(rows.columns(), Stage::Classify)?;
    let mut summary = ClusterSummary {
        rows: rows.len(),
        columns: rows.columns(),
        seed: options.seed,
        ..ClusterSummary::default()
    };
    match options.count {
        Count::Fixed(k) => summary.k = k,
        Count::Auto { most } => {
            (summary.k, summary.tried) = choose(rows, most, options.seed)?;
            if summary.tried.is_empty() {
                summary.notes.push(String::from("one cluster: the rows are too few or all the same"));
            }
        }
    }
    Ok(summary)
}

/// The number of clusters from 2 to `most` whose silhouette on a sample is largest, and the curve.
/// One cluster, with an empty curve, if the rows can't be told apart.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if `most` is below 2, [`ErrorKind::Insufficient`] without rows.
pub fn choose(rows: Rows<'_>, most: usize, seed: u64) -> Result<(usize, Vec<Tried>)> {
    if most < 2 {
        let m = format!("at most {most} clusters leave no choice; allow 2 or more");
        return Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m));
    }
    let values = gather(rows.data(), rows.columns(), &sample(rows.len(), SAMPLE, seed));
    let sampled = Rows::new(&values, rows.columns())?;
    let n = sampled.len();
    let first = values.get(..rows.columns()).unwrap_or_default();
    if n < 3 || values.chunks_exact(rows.columns()).all(|r| r == first) {
        return Ok((1, Vec::new()));
    }
    // The same for every number of clusters.
    let mut distances = vec![0f32; n * n];
    let each = distances.par_chunks_mut(n).enumerate();
    each.for_each(|(i, out)| distances_from(&values, rows.columns(), i, out));
    let from = |i: usize, out: &mut [f32]| {
        out.copy_from_slice(distances.get(i * n..(i + 1) * n).unwrap_or_default());
    };
    let tried: Vec<Option<Tried>> = (2..=most.min(n - 1))
        .into_par_iter()
        .map(|k| {
            let fitted = KMeans::new(k).seed(seed).fit(sampled)?;
            // Fewer distinct rows than clusters leave clusters empty; that k is no candidate.
            let silhouette = silhouette_by(fitted.labels(), from).ok();
            Ok(silhouette.map(|silhouette| Tried { k, silhouette, inertia: fitted.inertia() }))
        })
        .collect::<Result<_>>()?;
    let tried: Vec<Tried> = tried.into_iter().flatten().collect();
    let best = tried.iter().fold(None::<&Tried>, |best, t| match best {
        Some(b) if b.silhouette >= t.silhouette => best,
        _ => Some(t),
    });
    Ok((best.map_or(1, |b| b.k), tried))
}
