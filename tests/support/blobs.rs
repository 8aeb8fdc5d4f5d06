//! Points around class centres, the same ones `tests/golden/classify/make_kmeans.py` draws.
#![allow(dead_code)] // each test file uses a part

struct Rng(u64);

impl Rng {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// One data set and what the peer found in it.
pub(crate) struct Case {
    pub(crate) columns: usize,
    pub(crate) classes: usize,
    pub(crate) rows: Vec<f32>,
    pub(crate) labels: Vec<u32>,
    pub(crate) expected: serde_json::Value,
}

/// All data sets of a golden file.
pub(crate) fn cases(golden: &str) -> Vec<Case> {
    let golden: serde_json::Value = serde_json::from_str(golden).expect("golden file");
    golden["cases"].as_array().expect("cases").iter().map(case).collect()
}

fn case(expected: &serde_json::Value) -> Case {
    let int = |key: &str| expected[key].as_u64().expect("integer") as usize;
    let (n, columns, classes) = (int("n"), int("d"), int("classes"));
    let spread = expected["spread"].as_f64().expect("number");
    let mut rng = Rng(int("seed") as u64);
    let centres: Vec<f64> = (0..classes * columns).map(|_| rng.unit() * 10.0).collect();
    let mut rows = Vec::with_capacity(n * columns);
    for i in 0..n {
        for c in &centres[i % classes * columns..][..columns] {
            let noise: f64 = (0..4).map(|_| rng.unit()).sum();
            rows.push((c + spread * (noise - 2.0)) as f32);
        }
    }
    let labels = (0..n as u32).map(|i| i % classes as u32).collect();
    Case { columns, classes, rows, labels, expected: expected.clone() }
}

/// A JSON list of numbers.
pub(crate) fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().expect("list").iter().filter_map(serde_json::Value::as_f64).collect()
}
