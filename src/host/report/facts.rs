//! The figures at the top of the page and of its clusters.

use super::json::{Clusters, Fact, Matrix};
use crate::host::{
    cluster::ClusterSummary,
    summary::{Summary, count},
};
use alloc::{collections::BTreeMap, format, string::String, string::ToString, vec, vec::Vec};

pub(super) fn subtitle(summary: Option<&Summary>, n: usize, d: usize) -> String {
    match summary.and_then(|s| s.options.get("input")) {
        Some(input) => format!("{} pictures of {input}, {d} components each", count(n as u64)),
        None => format!("{} rows of {d} numbers", count(n as u64)),
    }
}

pub(super) fn facts(summary: Option<&Summary>, n: usize, d: usize, classes: usize) -> Vec<Fact> {
    let sizes = [("Rows", n), ("Classes", classes), ("Components", d)];
    let mut facts: Vec<Fact> = sizes.map(|(name, n)| (name, count(n as u64))).into();
    if let Some(s) = summary {
        facts.insert(0, ("Pictures", count(s.images)));
        facts.push(("Rejected", count(s.rejected)));
        facts.push(("Features", count(s.feature_length as u64)));
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

pub(super) fn clusters(s: &ClusterSummary, matrix: Option<Matrix>) -> Clusters {
    let mut facts = vec![("Clusters", s.k.to_string()), ("inertia", format!("{:.4}", s.inertia))];
    facts.extend(s.measures().map(|(name, value)| (name, format!("{value:.3}"))));
    let curve = s.tried.iter().map(|t| (t.k, t.silhouette)).collect();
    Clusters { facts, curve, matrix, notes: s.notes.clone() }
}

/// Classes against clusters, the clusters in the order of the classes they hold most of, so that good
/// clusters lie on a diagonal.
pub(super) fn by_class(classes: Vec<String>, clusters: &[String], cells: Vec<(u32, u32, u64)>) -> Matrix {
    let mut most: Vec<(u64, u32)> = vec![(0, u32::MAX); clusters.len()];
    for &(class, cluster, n) in &cells {
        if let Some(best) = most.get_mut(cluster as usize).filter(|best| n > best.0) {
            *best = (n, class);
        }
    }
    let mut order: Vec<usize> = (0..clusters.len()).collect();
    order.sort_by_key(|&k| most.get(k).map(|(n, class)| (*class, core::cmp::Reverse(*n))));
    let mut place = vec![0u32; clusters.len()];
    for (at, &k) in (0u32..).zip(&order) {
        if let Some(place) = place.get_mut(k) {
            *place = at;
        }
    }
    let moved = |(class, k, n): (u32, u32, u64)| Some((class, *place.get(k as usize)?, n));
    let mut cells: Vec<_> = cells.into_iter().filter_map(moved).collect();
    cells.sort_unstable();
    let columns = order.into_iter().filter_map(|k| clusters.get(k).cloned()).collect();
    Matrix { rows: classes, columns, cells }
}

/// How often numbers fall together.
pub(super) fn cross(pairs: impl Iterator<Item = (Option<u32>, Option<u32>)>) -> Vec<(u32, u32, u64)> {
    let mut cells: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for (a, b) in pairs {
        if let (Some(a), Some(b)) = (a, b) {
            *cells.entry((a, b)).or_default() += 1;
        }
    }
    cells.into_iter().map(|((a, b), n)| (a, b, n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_follow_their_classes() {
        let names = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let cells = vec![(0, 2, 9), (0, 3, 1), (1, 0, 5), (1, 2, 2), (2, 0, 4)];
        let m = by_class(names(3), &names(4), cells);
        assert_eq!(m.columns, ["2", "3", "0", "1"]);
        assert_eq!(m.cells, [(0, 0, 9), (0, 1, 1), (1, 0, 2), (1, 2, 5), (2, 2, 4)]);
    }
}
