//! k-means and its measures against scikit-learn (`tests/golden/classify/make_kmeans.py`).

use fruitcore::classify::kmeans::{KMeans, MiniBatchKMeans, Seeding};
use fruitcore::classify::measures::{Agreement, silhouette};
use fruitcore::pca::Rows;
use fruitcore::{ErrorKind, Result};

#[path = "support/blobs.rs"]
mod blobs;

use blobs::{Case, numbers};

fn cases() -> Vec<Case> {
    blobs::cases(include_str!("golden/classify/kmeans.json"))
}

#[test]
fn as_good_as_scikit_learn() -> Result<()> {
    for case in cases() {
        let k = case.expected["k"].as_u64().expect("integer") as usize;
        let rows = Rows::new(&case.rows, case.columns)?;
        let fits: Vec<_> = (0..3).map(|seed| KMeans::new(k).seed(seed).fit(rows)).collect::<Result<_>>()?;
        let ours = fits.iter().map(|f| f.inertia()).fold(f64::INFINITY, f64::min);
        let peer = numbers(&case.expected["inertia"]).into_iter().fold(f64::INFINITY, f64::min);
        assert!(ours <= peer * 1.001, "k = {}: inertia {ours}, scikit-learn {peer}", k);
        let ari = |f: &fruitcore::classify::kmeans::Clusters| {
            Agreement::of(&case.labels, f.labels()).map(|a| a.adjusted_rand())
        };
        let ours = fits.iter().map(ari).collect::<Result<Vec<_>>>()?.into_iter().fold(0.0, f64::max);
        let peer = numbers(&case.expected["adjusted_rand"]).into_iter().fold(0.0, f64::max);
        assert!(ours >= peer - 0.03, "k = {}: ARI {ours}, scikit-learn {peer}", k);
    }
    Ok(())
}

#[test]
fn measures_equal_scikit_learn() -> Result<()> {
    for case in cases() {
        let k = case.expected["k"].as_u64().expect("integer") as usize;
        let n = case.labels.len();
        let fixed: Vec<u32> = (0..n).map(|i| ((i * i + i / 7) % k) as u32).collect();
        let agreement = Agreement::of(&case.labels, &fixed)?;
        let expected = |key: &str| case.expected["fixed"][key].as_f64().expect("number");
        let near = |ours: f64, key: &str, tolerance: f64| {
            assert!((ours - expected(key)).abs() < tolerance, "{key}: {ours}, expected {}", expected(key));
        };
        near(agreement.adjusted_rand(), "adjusted_rand", 1e-12);
        near(agreement.normalized_mutual_information(), "nmi", 1e-12);
        near(agreement.homogeneity(), "homogeneity", 1e-12);
        near(agreement.completeness(), "completeness", 1e-12);
        near(silhouette(Rows::new(&case.rows, case.columns)?, &case.labels)?, "silhouette", 1e-5);
    }
    Ok(())
}

/// Lloyd without bounds, products or centring.
fn plain_lloyd(rows: &[f32], d: usize, mut centres: Vec<f64>) -> f64 {
    let k = centres.len() / d;
    let distance = |row: &[f32], c: &[f64]| -> f64 {
        row.iter().zip(c).map(|(a, b)| (f64::from(*a) - b) * (f64::from(*a) - b)).sum()
    };
    let mut inertia = f64::INFINITY;
    loop {
        let (mut sums, mut counts, mut total) = (vec![0f64; k * d], vec![0f64; k], 0.0);
        for row in rows.chunks(d) {
            let best = (0..k)
                .map(|j| (distance(row, &centres[j * d..(j + 1) * d]), j))
                .min_by(|a, b| a.0.total_cmp(&b.0))
                .expect("a centre");
            total += best.0;
            counts[best.1] += 1.0;
            sums[best.1 * d..(best.1 + 1) * d].iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
        }
        if total >= inertia {
            return inertia;
        }
        inertia = total;
        for j in (0..k).filter(|&j| counts[j] > 0.0) {
            (0..d).for_each(|c| centres[j * d + c] = sums[j * d + c] / counts[j]);
        }
    }
}

#[test]
fn a_fit_is_a_fixed_point_of_plain_lloyd() -> Result<()> {
    for case in cases() {
        let k = case.expected["k"].as_u64().expect("integer") as usize;
        let rows = Rows::new(&case.rows, case.columns)?;
        let fit = KMeans::new(k).restarts(1).tolerance(0.0).fit(rows)?;
        let centres = fit.centroids().iter().map(|v| f64::from(*v)).collect();
        let plain = plain_lloyd(&case.rows, case.columns, centres);
        assert!((fit.inertia() - plain).abs() <= 1e-5 * plain, "{} against {plain}", fit.inertia());
        let mut labels = vec![0; rows.len()];
        let again = fit.assign(rows, &mut labels)?;
        assert!((again - fit.inertia()).abs() <= 1e-4 * plain);
        assert_eq!(labels, fit.labels());
    }
    Ok(())
}

#[test]
fn same_seed_same_clusters_and_streaming_comes_close() -> Result<()> {
    for case in cases() {
        let k = case.expected["k"].as_u64().expect("integer") as usize;
        let rows = Rows::new(&case.rows, case.columns)?;
        let fit = KMeans::new(k).seed(9).fit(rows)?;
        assert_eq!(fit, KMeans::new(k).seed(9).fit(rows)?);
        let mut stream = MiniBatchKMeans::new(k, case.columns, 9)?;
        for batch in case.rows.chunks(100 * case.columns) {
            stream.partial_fit(Rows::new(batch, case.columns)?)?;
        }
        let mut labels = vec![0; rows.len()];
        let inertia = stream.assign(rows, &mut labels)?;
        assert!(inertia <= 1.15 * fit.inertia(), "k = {}: {inertia} against {}", k, fit.inertia());
    }
    Ok(())
}

/// Nine far groups of very unequal size: starts put two centres into a large one and miss a small one.
fn unequal() -> Vec<f32> {
    let spread = |i: usize, by: usize| ((i * by) % 101) as f32 / 101.0;
    let sizes = [900, 700, 500, 40, 30, 20, 12, 8, 6];
    let groups = sizes.into_iter().enumerate();
    groups
        .flat_map(|(g, n)| {
            let (x, y) = ((g % 3) as f32 * 4.0, (g / 3) as f32 * 4.0);
            (0..n).flat_map(move |i| [x + spread(i, 37), y + spread(i, 53)])
        })
        .collect()
}

#[test]
fn breaths_find_what_starts_miss() -> Result<()> {
    let data = unequal();
    let rows = Rows::new(&data, 2)?;
    let mut better = 0;
    for seed in 0..8 {
        let one = KMeans::new(9).seeding(Seeding::PlusPlus).restarts(1).seed(seed);
        let (without, with) = (one.clone().breathing(0).fit(rows)?, one.fit(rows)?);
        assert!(with.inertia() <= without.inertia() * (1.0 + 1e-6), "seed {seed}");
        better += usize::from(with.inertia() < 0.9 * without.inertia());
        // One cluster a group: at most 1/6 for each row of a unit square.
        assert!(with.inertia() < 0.18 * rows.len() as f64, "seed {seed}: {}", with.inertia());
    }
    assert!(better > 0);
    Ok(())
}

#[test]
fn a_stream_sorted_by_class_goes_on_from_a_sample() -> Result<()> {
    let data = unequal();
    let rows = Rows::new(&data, 2)?;
    let sample: Vec<f32> = data.chunks(2).step_by(5).flatten().copied().collect();
    let first = KMeans::new(9).fit(Rows::new(&sample, 2)?)?;
    assert_eq!(first.sizes().iter().sum::<u64>(), sample.len() as u64 / 2);
    let mut stream = MiniBatchKMeans::from_clusters(&first);
    for batch in data.chunks(200) {
        stream.partial_fit(Rows::new(batch, 2)?)?;
    }
    let whole = KMeans::new(9).fit(rows)?;
    let inertia = stream.assign(rows, &mut vec![0; rows.len()])?;
    assert!(inertia < 1.15 * whole.inertia(), "{inertia} against {}", whole.inertia());
    // Begun with the first rows alone, all centres would lie in the first group.
    let mut blind = MiniBatchKMeans::new(9, 2, 0)?;
    for batch in data.chunks(200) {
        blind.partial_fit(Rows::new(batch, 2)?)?;
    }
    assert!(blind.assign(rows, &mut vec![0; rows.len()])? > 2.0 * inertia);
    Ok(())
}

#[test]
fn odd_data_is_clustered_or_refused_clearly() -> Result<()> {
    let same = [1.0f32; 40];
    let fit = KMeans::new(3).fit(Rows::new(&same, 2)?)?;
    assert_eq!(fit.inertia(), 0.0);
    assert!(fit.centroids().iter().all(|c| c.is_finite()));
    let three = [0.0, 5.0, 9.0];
    let mut labels = KMeans::new(3).seeding(Seeding::PlusPlus).fit(Rows::new(&three, 1)?)?.labels().to_vec();
    labels.sort_unstable();
    assert_eq!(labels, [0, 1, 2]);
    let kind = |r: Result<_>| r.map_err(|e: fruitcore::Error| e.kind()).err();
    assert_eq!(kind(KMeans::new(4).fit(Rows::new(&three, 1)?)), Some(ErrorKind::Insufficient));
    assert_eq!(kind(KMeans::new(0).fit(Rows::new(&three, 1)?)), Some(ErrorKind::InvalidArgument));
    let nan = [0.0, f32::NAN];
    assert_eq!(kind(KMeans::new(1).fit(Rows::new(&nan, 1)?)), Some(ErrorKind::NonFinite));
    assert!(MiniBatchKMeans::new(3, 1, 0)?.centroids().is_err());
    Ok(())
}
