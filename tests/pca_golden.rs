//! Scaler and PCA against scikit-learn, on matrices both sides generate and on a network's features.
//! The expected values come from `tests/golden/pca/make_sklearn.py` and `make_real.py`.

use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Projection, Rows, Scaling};
use fruitcore::scale::StandardScaler;
use half::f16;
use ruzstd::decoding::StreamingDecoder;
use serde_json::Value;
use std::io::Read;

struct Generator(u64);

impl Generator {
    fn take(&mut self, n: usize) -> Vec<f64> {
        let mut one = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f64 / (1u64 << 24) as f64 - 0.5
        };
        (0..n).map(|_| one()).collect()
    }
}

fn uniform(n: usize, d: usize, seed: u64) -> Vec<f64> {
    Generator(seed).take(n * d)
}

fn features(n: usize, d: usize, rank: usize, seed: u64) -> Vec<f64> {
    let mut g = Generator(seed);
    let (left, right, noise) = (g.take(n * rank), g.take(rank * d), g.take(n * d));
    let mut x: Vec<f64> = noise.iter().map(|v| 0.25 * v).collect();
    for r in 0..rank {
        for i in 0..n {
            for j in 0..d {
                x[i * d + j] += (left[i * rank + r] * right[r * d + j]) * (8.0 / (1 + r) as f64);
            }
        }
    }
    x.iter().map(|v| (v + 0.125).max(0.0)).collect()
}

fn matrix(name: &str) -> Vec<f32> {
    let x = match name {
        "tall" => uniform(40, 6, 1),
        "wide" => uniform(8, 15, 2),
        "constant columns" => {
            let mut x = uniform(30, 5, 3);
            for row in x.chunks_mut(5) {
                row[1] = 0.1;
                row[3] = 1000.0;
            }
            x
        }
        "duplicated rows" => uniform(10, 4, 4).chunks(4).flat_map(|r| [r, r].concat()).collect(),
        "more than the rank" => {
            uniform(20, 2, 5).chunks(2).flat_map(|r| [r[0] + 0.5, r[1] + 0.5, 0.5, 0.5, 0.5, 0.5]).collect()
        }
        "far from zero" => {
            let factors = [1.0, 10.0, 100.0, 0.5];
            uniform(50, 4, 6).iter().enumerate().map(|(i, v)| v * factors[i % 4] + 1000.0).collect()
        }
        "two rows" => uniform(2, 3, 7),
        "one column" => uniform(9, 1, 8),
        "features" => features(300, 96, 40, 9),
        other => panic!("no matrix `{other}`"),
    };
    x.iter().map(|v| *v as f32).collect()
}

fn floats(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(floats).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

/// Every case with the state of its rows, added in uneven batches.
fn each(check: impl Fn(&Value, &[f32], &CovariancePca, Scaling)) {
    let golden: Value = serde_json::from_str(include_str!("golden/pca/sklearn.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 18);
    for case in cases {
        let x = matrix(case["name"].as_str().unwrap());
        let d = case["shape"][1].as_u64().unwrap() as usize;
        assert_eq!(x.len() / d, case["shape"][0].as_u64().unwrap() as usize);
        let sum: f64 = x.iter().map(|v| f64::from(*v)).sum();
        assert!((sum - case["sum"].as_f64().unwrap()).abs() <= 1e-12 * x.len() as f64 * 1000.0, "{case}");
        let mut pca = CovariancePca::new(d).unwrap();
        for rows in x.chunks(7 * d) {
            pca.partial_fit(Rows::new(rows, d).unwrap()).unwrap();
        }
        let scaling = if case["scaled"] == true { Scaling::Standard } else { Scaling::None };
        check(case, &x, &pca, scaling);
    }
}

fn fit(case: &Value, pca: &CovariancePca, scaling: Scaling) -> Projection {
    pca.fit_scaled(Keep::Count(case["keep"].as_u64().unwrap() as usize), scaling).unwrap()
}

/// Near in the units of `scale`.
fn near(name: &str, found: &[f64], expected: &Value, tolerance: f64) {
    let expected = floats(expected);
    assert_eq!(found.len(), expected.len(), "{name}");
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        assert!((f - e).abs() <= tolerance, "{name}[{i}]: {f}, scikit-learn {e}");
    }
}

#[test]
fn variances_agree() {
    each(|case, _, pca, scaling| {
        let p = fit(case, pca, scaling);
        let total = p.total_variance();
        near("variance", p.explained_variance(), &case["explained_variance"], 1e-11 * total);
        near("ratio", &p.explained_variance_ratio(), &case["explained_variance_ratio"], 1e-11);
        let ratios = floats(&case["explained_variance_ratio"]);
        for (found, expected) in p.explained_variance_ratio().iter().zip(&ratios) {
            assert!((found - expected).abs() <= 1e-6 * expected || *expected < 1e-12, "{}", case["name"]);
        }
        // A variance of rounding size has a singular value of its root.
        let scale = (total * (pca.count() - 1) as f64).sqrt();
        near("singular values", &p.singular_values(), &case["singular_values"], 1e-7 * scale);
        near("noise", &[p.noise_variance()], &case["noise_variance"], 1e-11 * total);
    });
}

#[test]
fn components_agree_with_their_signs() {
    each(|case, _, pca, scaling| {
        let p = fit(case, pca, scaling);
        let expected = floats(&case["components"]);
        near("components", &p.components()[..expected.len()], &case["components"], 1e-8);
        // The angle between the subspaces, by what is left of ours outside of theirs.
        let d = p.columns();
        for ours in p.components()[..expected.len()].chunks(d) {
            let mut left = ours.to_vec();
            for theirs in expected.chunks(d) {
                let along: f64 = ours.iter().zip(theirs).map(|(a, b)| a * b).sum();
                left.iter_mut().zip(theirs).for_each(|(l, t)| *l -= along * t);
            }
            assert!(left.iter().map(|v| v * v).sum::<f64>().sqrt() < 1e-4, "{}", case["name"]);
        }
    });
}

#[test]
fn fractions_of_variance_keep_as_many() {
    each(|case, _, pca, scaling| {
        for pair in case["fractions"].as_array().unwrap() {
            let found = pca.fit_scaled(Keep::Variance(pair[0].as_f64().unwrap()), scaling).unwrap();
            assert_eq!(found.kept() as u64, pair[1].as_u64().unwrap(), "{} {pair}", case["name"]);
        }
    });
}

#[test]
fn transforms_agree() {
    each(|case, x, pca, scaling| {
        let p = fit(case, pca, scaling);
        let (d, k) = (p.columns(), p.kept());
        let n = (x.len() / d).min(3);
        let sample = Rows::new(&x[..n * d], d).unwrap();
        let mut out = vec![0.0; n * k];
        p.transform_into(sample, &mut out).unwrap();
        let used = case["rank"].as_u64().unwrap().min(k as u64) as usize;
        let cut = |out: &[f32]| -> Vec<f64> {
            out.chunks(k).flat_map(|r| &r[..used]).map(|v| f64::from(*v)).collect()
        };
        // The map is f32: rounding is relative to the rows and to the weights.
        let largest = x.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        let least = p.scale().unwrap_or(&[1.0]).iter().fold(f64::INFINITY, |m, v| m.min(*v));
        let rounding = 4e-7 * f64::from(largest) / least.min(1.0);
        near("transformed", &cut(&out), &case["transformed"], rounding);
        let mut back = vec![0.0; n * d];
        p.inverse_transform_into(Rows::new(&out, k).unwrap(), &mut back).unwrap();
        let back: Vec<f64> = back.iter().map(|v| f64::from(*v)).collect();
        near("restored", &back, &case["restored"], rounding * 4.0);

        let variance = p.explained_variance()[used - 1];
        let white = p.whitened().unwrap();
        white.transform_into(sample, &mut out).unwrap();
        near("whitened", &cut(&out), &case["whitened"], rounding * (1.0 + 1.0 / variance.sqrt()));
    });
}

#[test]
fn the_scaler_agrees() {
    each(|case, x, pca, scaling| {
        if scaling == Scaling::None {
            return;
        }
        let d = pca.columns();
        let mut scaler = StandardScaler::new(d).unwrap();
        scaler.partial_fit(Rows::new(x, d).unwrap()).unwrap();
        for scaler in [scaler, pca.scaler().unwrap()] {
            let scale = floats(&case["mean"]).iter().fold(1.0, |m: f64, v| m.max(v.abs()));
            near("mean", scaler.mean(), &case["mean"], 1e-13 * scale);
            near("variance", &scaler.variance(), &case["variance"], 1e-11 * scale);
            near("scale", &scaler.std(), &case["scale"], 1e-11 * scale);
        }
    });
}

/// The next values of a file of `make_real.py`.
fn take<const N: usize, T>(file: &mut &[u8], count: usize, read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (front, rest) = file.split_at(count * N);
    *file = rest;
    front.chunks_exact(N).map(|b| read(b.try_into().unwrap())).collect()
}

/// A network's features of photographs, with more columns than rows and with fewer.
#[test]
fn real_features_agree() {
    let packed: &[u8] = include_bytes!("golden/pca/real.bin.zst");
    let mut bytes = Vec::new();
    StreamingDecoder::new(packed).unwrap().read_to_end(&mut bytes).unwrap();
    let end = bytes.iter().position(|b| *b == b'\n').unwrap();
    let header: Value = serde_json::from_slice(&bytes[..end]).unwrap();
    let file = &mut &bytes[end + 1..];
    let size = |v: &Value| v.as_u64().unwrap() as usize;
    let (n, width, keep) = (size(&header["rows"][0]), size(&header["rows"][1]), size(&header["keep"]));
    let all = take(file, n * width, |b| f16::from_le_bytes(b).to_f32());
    assert!(n >= 290 && keep == 50, "{header}");
    let cases = header["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let d = size(&case["columns"]);
        let ratios = take(file, keep, f64::from_le_bytes);
        let components = take(file, keep * d, |b| f64::from(f32::from_le_bytes(b)));
        let projected = take(file, n * keep, |b| f64::from(f32::from_le_bytes(b)));

        let x: Vec<f32> = all.chunks(width).flat_map(|r| &r[..d]).copied().collect();
        let mut pca = CovariancePca::new(d).unwrap();
        for rows in x.chunks(32 * d) {
            pca.partial_fit(Rows::new(rows, d).unwrap()).unwrap();
        }
        let scaling = if case["scaled"] == true { Scaling::Standard } else { Scaling::None };
        let p = pca.fit_scaled(Keep::Count(keep), scaling).unwrap();

        let found = p.explained_variance_ratio();
        let ratio = found.iter().zip(&ratios).map(|(f, e)| (f - e).abs() / e).fold(0.0, f64::max);
        // Each component's angle to its twin, then the largest between the spaces: its sine is at most the norm
        // of what is left of our basis outside of theirs.
        let (mut own, mut left) = (0.0f64, 0.0);
        for (ours, twin) in p.components().chunks(d).zip(components.chunks(d)) {
            let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            own = own.max(ours.iter().zip(twin).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt());
            let mut rest = ours.to_vec();
            for theirs in components.chunks(d) {
                let along = dot(ours, theirs);
                rest.iter_mut().zip(theirs).for_each(|(r, t)| *r -= along * t);
            }
            left += dot(&rest, &rest);
        }
        let angle = left.sqrt().asin();
        let mut out = vec![0.0; n * keep];
        p.transform_into(Rows::new(&x, d).unwrap(), &mut out).unwrap();
        let largest = projected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let row =
            out.iter().zip(&projected).map(|(f, e)| (f64::from(*f) - e).abs()).fold(0.0, f64::max) / largest;
        println!("{case}: ratio {ratio:.1e}, angle {angle:.1e}, component {own:.1e}, rows {row:.1e}");
        assert!(ratio <= 1e-6, "{case}: ratio {ratio:e}");
        assert!(angle <= 1e-4, "{case}: angle {angle:e}");
        assert!(own <= 1e-4, "{case}: component {own:e}");
        assert!(row <= 1e-5, "{case}: rows {row:e}");
    }
    assert!(file.is_empty());
}
