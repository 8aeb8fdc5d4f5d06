//! Which columns of a foreign table are path, label and numbers.

use super::corrupt;
use crate::Result;
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

/// What a column holds, as far as choosing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    /// A list of numbers, Spark's vector, or text that looks like one.
    Vector,
    Other,
}

/// Indices of the columns that matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) path: Option<usize>,
    pub(super) label: Option<usize>,
    pub(super) values: Values,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// One column of vectors.
    Vector(usize),
    /// A column for each number.
    Separate(Vec<usize>),
}

const PATHS: [&str; 11] = [
    "path",
    "image_path",
    "imagepath",
    "image",
    "img",
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "picture",
];
const LABELS: [&str; 13] = [
    "label",
    "labels",
    "class",
    "class_name",
    "category",
    "categorie",
    "catégorie",
    "target",
    "fruit",
    "species",
    "variety",
    "kind",
    "name",
];
/// Numbers that are no coordinates of a row.
const ASIDE: [&str; 13] = [
    "",
    "index",
    "id",
    "cluster",
    "clusters",
    "kmeans",
    "prediction",
    "predicted",
    "label_index",
    "labelindex",
    "label_encoded",
    "target_encoded",
    "distance",
];

/// Chooses by name and kind; `wanted` names the preferred list column.
pub(super) fn choose(columns: &[(String, Kind)], wanted: &str) -> Result<Layout> {
    let lower: Vec<String> = columns.iter().map(|(n, _)| n.trim().to_lowercase()).collect();
    let find = |names: &[&str], kinds: &[Kind]| {
        names
            .iter()
            .find_map(|name| lower.iter().zip(columns).position(|(n, (_, k))| n == name && kinds.contains(k)))
    };
    let path = find(&PATHS, &[Kind::Text]);
    let label = find(&LABELS, &[Kind::Text, Kind::Number]);
    let vectors: Vec<usize> =
        (0..columns.len()).filter(|&i| columns.get(i).is_some_and(|c| c.1 == Kind::Vector)).collect();
    let named = |name: &&str| vectors.iter().copied().find(|&i| lower.get(i).is_some_and(|n| n == name));
    let usual = [
        wanted,
        "pca_features",
        "pcafeatures",
        "features_pca",
        "reduced_features",
        "features_reduced",
        "pca",
        "components",
        "features",
        "vector",
    ];
    let values = match (usual.iter().find_map(named), vectors.as_slice()) {
        (Some(i), _) => Values::Vector(i),
        (None, [i]) => Values::Vector(*i),
        (None, []) => Values::Separate(numbers(columns, &lower, [path, label])?),
        (None, several) => {
            let names: Vec<_> = several.iter().filter_map(|&i| columns.get(i)).map(|c| &c.0).collect();
            return Err(corrupt(format!(
                "several columns hold vectors, {names:?}; rename the one to read to `{wanted}`"
            )));
        }
    };
    Ok(Layout { path, label, values })
}

/// The largest family of numbered columns, else all numbers that aren't known to be something else.
fn numbers(columns: &[(String, Kind)], lower: &[String], taken: [Option<usize>; 2]) -> Result<Vec<usize>> {
    let free: Vec<usize> = (0..columns.len())
        .filter(|i| !taken.contains(&Some(*i)) && columns.get(*i).is_some_and(|c| c.1 == Kind::Number))
        .collect();
    let mut families: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    // Text in a numbered column is a damaged number, to be named as such.
    for i in (0..columns.len()).filter(|i| !taken.contains(&Some(*i)) && !is_other(columns, *i)) {
        let name = lower.get(i).map(String::as_str).unwrap_or_default();
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if stem.len() < name.len() && stem != "unnamed: " {
            families.entry(stem).or_default().push(i);
        }
    }
    let mostly = |f: &Vec<usize>| f.len() > 1 && 2 * f.iter().filter(|i| free.contains(i)).count() >= f.len();
    if let Some(largest) = families.into_values().filter(mostly).max_by_key(Vec::len) {
        return Ok(largest);
    }
    let aside =
        |i: &usize| lower.get(*i).is_none_or(|n| ASIDE.contains(&n.as_str()) || n.starts_with("unnamed: "));
    let rest: Vec<usize> = free.into_iter().filter(|i| !aside(i)).collect();
    if rest.is_empty() {
        let names: Vec<_> = columns.iter().map(|c| &c.0).take(20).collect();
        return Err(corrupt(format!(
            "no column of numbers found among {names:?}; the numbers may be a list column or columns like pc_0, pc_1, …"
        )));
    }
    Ok(rest)
}

fn is_other(columns: &[(String, Kind)], i: usize) -> bool {
    columns.get(i).is_none_or(|c| matches!(c.1, Kind::Other | Kind::Vector))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, Kind)]) -> Vec<(String, Kind)> {
        columns.iter().map(|(n, k)| (String::from(*n), *k)).collect()
    }

    #[test]
    fn families_of_numbers_win() {
        use Kind::{Number, Text};
        let columns = table(&[
            ("", Number),
            ("Image", Text),
            ("PC1", Number),
            ("PC2", Number),
            ("PC3", Number),
            ("cluster", Number),
            ("tsne1", Number),
            ("tsne2", Number),
            ("label", Number),
        ]);
        let layout = choose(&columns, "components").unwrap();
        assert_eq!(layout.values, Values::Separate(Vec::from([2, 3, 4])));
        assert_eq!((layout.path, layout.label), (Some(1), Some(8)));
        let iris = table(&[("sepal", Number), ("petal", Number), ("species", Text), ("id", Number)]);
        assert_eq!(choose(&iris, "components").unwrap().values, Values::Separate(Vec::from([0, 1])));
    }

    #[test]
    fn vectors_by_name_or_alone() {
        use Kind::{Text, Vector};
        let one = table(&[("path", Text), ("whatever", Vector)]);
        assert_eq!(choose(&one, "components").unwrap().values, Values::Vector(1));
        let two = table(&[("features", Vector), ("pca_features", Vector)]);
        assert_eq!(choose(&two, "components").unwrap().values, Values::Vector(1));
        assert_eq!(choose(&two, "features").unwrap().values, Values::Vector(0));
        assert!(choose(&table(&[("a", Vector), ("b", Vector)]), "components").is_err());
        assert!(choose(&table(&[("path", Text)]), "components").is_err());
    }
}
