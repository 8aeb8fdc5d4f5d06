//! Every instruction set's loops against the dullest code there is.

use super::{Kernels, Pair, SQUARE, Side, WIDTH, add_lower, add_stripe, isa::kernels, panels::Panels};
use crate::featurize::kernels::Isa;
use crate::rng::Rng;
use alloc::{vec, vec::Vec};

fn sets() -> impl Iterator<Item = (Isa, &'static super::Kernels)> {
    Isa::ALL.into_iter().filter_map(|isa| Some((isa, kernels(isa)?)))
}

fn random(n: usize, rng: &mut Rng) -> Vec<f64> {
    (0..n).map(|_| rng.unit() - 0.5).collect()
}

/// `[depth][columns]` in panels.
fn packed(kernels: &Kernels, side: Side, rows: &[f64], depth: usize, columns: usize) -> Panels {
    let mut panels = Panels::default();
    panels.reshape(kernels, side, [depth, columns]);
    rows.chunks(columns.max(1)).enumerate().for_each(|(k, row)| panels.set_row(k, row));
    panels
}

const SIZES: &[usize] =
    if cfg!(miri) { &[1, 9, 25] } else { &[1, 2, 7, 8, 9, 23, 24, 25, 47, 48, 49, 71, 96, 130] };

/// Columns `first..end` of `[depth][columns]`.
fn part(rows: &[f64], columns: usize, first: usize, end: usize) -> Vec<f64> {
    rows.chunks(columns.max(1)).flat_map(|row| &row[first..end]).copied().collect()
}

#[test]
fn products() {
    let mut rng = Rng::new(1);
    let depths: &[usize] = if cfg!(miri) { &[1, 6] } else { &[0, 1, 3, 4, 5, 64, 257, 258, 600] };
    for &m in SIZES {
        for &depth in depths {
            let (a, b) = (random(m * depth, &mut rng), random(m * depth, &mut rng));
            let stride = m + depth % 3;
            let start = random(stride * m, &mut rng);
            for (isa, kernels) in sets() {
                let mut c = start.clone();
                let left = packed(kernels, Side::Left, &a, depth, m);
                let right = packed(kernels, Side::Right, &b, depth, m);
                add_stripe(kernels, (&left, 0, 0), (&right, 0), &mut c, stride);
                for (at, (c, start)) in c.iter().zip(&start).enumerate() {
                    let (j, i) = (at / stride, at % stride);
                    let sum: f64 = (0..depth).map(|k| a.get(k * m + i).unwrap_or(&0.0) * b[k * m + j]).sum();
                    // Nothing above the diagonal or between columns is touched.
                    let expected = if i >= j && i < m { start + sum } else { *start };
                    assert!((c - expected).abs() < 1e-12, "{isa:?} {m} {depth}: {i} {j}");
                }
            }
        }
    }
}

#[test]
fn products_in_squares() {
    let mut rng = Rng::new(8);
    let depths: &[usize] = if cfg!(miri) { &[1, 6] } else { &[0, 1, 3, 4, 5, 64, 257, 258, 600] };
    let wide = if cfg!(miri) { 25 } else { 11 * WIDTH + 1 };
    for &m in SIZES.iter().chain([&wide]) {
        for &depth in depths {
            let rows = random(m * depth, &mut rng);
            let of = m.div_ceil(WIDTH);
            let start = random(of * (of + 1) / 2 * SQUARE, &mut rng);
            for (isa, kernels) in sets() {
                let mut pair = Pair::default();
                pair.reshape(kernels, [depth, m]);
                rows.chunks(m).enumerate().for_each(|(k, row)| pair.set_row(k, row));
                let mut c = start.clone();
                add_lower(kernels, &pair, &mut c);
                let squares = (0..of).flat_map(|j| (j..of).map(move |i| (i, j)));
                for ((i, j), (square, start)) in squares.zip(c.chunks(SQUARE).zip(start.chunks(SQUARE))) {
                    let columns = |k: usize| part(&rows, m, k * WIDTH, m.min((k + 1) * WIDTH));
                    let (a, b) = (columns(i), columns(j));
                    let [height, width] = [i, j].map(|k| WIDTH.min(m - k * WIDTH));
                    for (at, (c, start)) in square.iter().zip(start).enumerate() {
                        let (l, r) = (at / WIDTH, at % WIDTH);
                        if i == j && r < l {
                            continue;
                        }
                        let sum: f64 = if r < height && l < width {
                            (0..depth).map(|k| a[k * height + r] * b[k * width + l]).sum()
                        } else {
                            0.0
                        };
                        assert!((c - (start + sum)).abs() < 1e-12, "{isa:?} {m} {depth}: {i} {j} {r} {l}");
                    }
                }
            }
        }
    }
}

#[test]
fn centring() {
    let mut rng = Rng::new(2);
    for &d in SIZES {
        for (n, first) in [(1, 0), (1, 1), (2, 0), (2, 1), (5, 2)] {
            let rows: Vec<f32> = (0..n * d).map(|_| (rng.unit() * 8.0 + 100.0) as f32).collect();
            for (isa, kernels) in sets() {
                // Whatever was there before must not show.
                let before = random(7 * d, &mut rng);
                let mut pair = Pair::default();
                pair.reshape(kernels, [7, d]);
                before.chunks(d).enumerate().for_each(|(k, row)| pair.set_row(k, row));
                let mut mean = vec![0.0; d];
                let (some, others) = rows.split_at(first * d);
                pair.centre(kernels, [some, others], &mut mean);
                for panels in pair.operands() {
                    assert_eq!((panels.depth(), panels.columns()), (n + 1, d));
                }
                for (j, mean) in mean.iter().enumerate() {
                    let column = || rows.iter().skip(j).step_by(d).map(|x| f64::from(*x));
                    let expected = column().sum::<f64>() / n as f64;
                    for (k, x) in column().enumerate() {
                        for panels in pair.operands() {
                            let found = panels.from(j)[k * panels.width()];
                            assert!((found - (x - expected)).abs() < 1e-12, "{isa:?} {d} {n}: {k} {j}");
                        }
                    }
                    assert!((mean - expected).abs() < 1e-12, "{isa:?} {d} {n}: mean {j}");
                }
                // What fills up the last panel is zero.
                for panels in pair.operands() {
                    for j in d..d.next_multiple_of(panels.width()) {
                        assert!((0..n).all(|k| panels.from(j)[k * panels.width()] == 0.0));
                    }
                }
            }
        }
    }
}

#[test]
fn sweeps() {
    let mut rng = Rng::new(3);
    for &rows in SIZES {
        for columns in [0, 1, 3, 4, 5, 11] {
            let stride = rows + columns % 2;
            let a = random(stride * columns.max(1), &mut rng);
            let (x, by) = (random(rows, &mut rng), random(columns, &mut rng));
            let (y, sums) = (random(rows, &mut rng), random(columns, &mut rng));
            let at = |i: usize, j: usize| a[j * stride + i];
            let expected_y: Vec<f64> =
                (0..rows).map(|i| y[i] + (0..columns).map(|j| at(i, j) * by[j]).sum::<f64>()).collect();
            let expected_sums: Vec<f64> =
                (0..columns).map(|j| sums[j] + (0..rows).map(|i| at(i, j) * x[i]).sum::<f64>()).collect();
            for (isa, kernels) in sets() {
                let near = |found: &[f64], expected: &[f64]| {
                    let worst = found.iter().zip(expected).fold(0.0f64, |m, (f, e)| m.max((f - e).abs()));
                    assert!(worst < 1e-13, "{isa:?} {rows} {columns}: {worst}");
                };
                let mut found = sums.clone();
                kernels.dots(&a, stride, &x, &mut found);
                near(&found, &expected_sums);
                let mut found = y.clone();
                kernels.combine(&a, stride, &by, &mut found);
                near(&found, &expected_y);
            }
        }
    }
}

#[test]
fn symmetric_products() {
    let mut rng = Rng::new(5);
    for &rows in SIZES {
        for columns in [0, 1, 3, 4, 7, 8, 9, 17, 24] {
            let columns = rows.min(columns);
            let stride = rows + columns % 3;
            // What is above the diagonal must not show.
            let mut a = random(stride * columns, &mut rng);
            (0..columns).for_each(|j| a[j * stride..j * stride + j].fill(f64::NAN));
            let (x, y) = (random(rows, &mut rng), random(rows, &mut rng));
            let mut expected = y.clone();
            for j in 0..columns {
                for i in j..rows {
                    expected[i] += a[j * stride + i] * x[j];
                    expected[j] += if i > j { a[j * stride + i] * x[i] } else { 0.0 };
                }
            }
            for (isa, kernels) in sets() {
                for backwards in [false, true] {
                    let mut found = y.clone();
                    kernels.multiply(&a, stride, columns, (&x, &mut found), backwards);
                    for (f, e) in found.iter().zip(&expected) {
                        assert!((f - e).abs() < 1e-13, "{isa:?} {rows} {columns}: {f} {e}");
                    }
                }
            }
        }
    }
}

#[test]
fn stripes_of_parts() {
    let mut rng = Rng::new(6);
    let (depth, stride) = (5, 100);
    // Rows of C from `top` on, of operands whose first columns are skipped.
    for (m, n, from, at, top) in
        [(60, 24, 24, 0, 0), (50, 24, 0, 24, 24), (30, 7, 24, 48, 0), (1, 24, 0, 0, 48)]
    {
        let (a, b) = (random(m * depth, &mut rng), random((at + n) * depth, &mut rng));
        let start = random(stride * n, &mut rng);
        for (isa, kernels) in sets() {
            let mut c = start.clone();
            let left = packed(kernels, Side::Left, &a, depth, m);
            let right = packed(kernels, Side::Right, &b, depth, at + n);
            add_stripe(kernels, (&left, from, top), (&right, at), &mut c, stride);
            for (k, (c, start)) in c.iter().zip(&start).enumerate() {
                let (j, i) = (k / stride, k % stride);
                let mut expected = *start;
                if i >= top.max(j) && i < top + m - from {
                    let (i, j) = (from + i - top, at + j);
                    expected += (0..depth).map(|k| a[k * m + i] * b[k * (b.len() / depth) + j]).sum::<f64>();
                }
                assert!((c - expected).abs() < 1e-12, "{isa:?} {m} {from} {at} {top}: {i} {j}");
            }
        }
    }
}

#[test]
fn reductions() {
    use crate::pca::reduce::by_team;
    let mut rng = Rng::new(4);
    let sizes: &[usize] =
        if cfg!(miri) { &[2, 9] } else { &[1, 2, 3, 5, 23, 24, 25, 31, 47, 48, 49, 65, 100, 300] };
    for &d in sizes {
        let a = random(d * d, &mut rng);
        let plain = by_team(kernels(Isa::Plain).unwrap(), &mut a.clone(), None, d, 1).unwrap();
        // Invariants of a similarity: trace and Frobenius norm.
        let trace: f64 = (0..d).map(|i| a[i * d + i]).sum();
        let square = |i: usize, j: usize| a[j * d + i] * a[j * d + i] * if i == j { 1.0 } else { 2.0 };
        let squares: f64 = (0..d).flat_map(|j| (j..d).map(move |i| square(i, j))).sum();
        for (isa, kernels) in sets() {
            let found = by_team(kernels, &mut a.clone(), None, d, 1).unwrap();
            let sum: f64 = found.diagonal.iter().sum();
            assert!((sum - trace).abs() < 1e-11, "{isa:?} {d}: trace {sum} {trace}");
            let all: f64 = found.diagonal.iter().map(|v| v * v).sum::<f64>()
                + 2.0 * found.off.iter().map(|v| v * v).sum::<f64>();
            assert!((all / squares - 1.0).abs() < 1e-12, "{isa:?} {d}: {all} {squares}");
            for (x, y) in found.diagonal.iter().zip(&plain.diagonal).take(8) {
                assert!((x - y).abs() < 1e-9, "{isa:?} {d}: {x} {y}");
            }
        }
    }
}

#[test]
fn reductions_by_teams() {
    use crate::pca::reduce::by_team;
    let mut rng = Rng::new(7);
    let sizes: &[usize] = if cfg!(miri) {
        &[7, 50]
    } else {
        &[1, 2, 23, 24, 25, 48, 49, 72, 73, 255, 256, 257, 300, 511, 512, 517]
    };
    let kernels = super::best();
    for &d in sizes {
        let a = random(d * d, &mut rng);
        let mut alone = a.clone();
        let expected = by_team(kernels, &mut alone, None, d, 1).unwrap();
        let norm = libm::sqrt(a.iter().map(|v| v * v).sum());
        for members in [1, 2, 3] {
            let (mut matrix, mut again) = (a.clone(), a.clone());
            let found = by_team(kernels, &mut matrix, None, d, members).unwrap();
            assert_eq!(found, by_team(kernels, &mut again, None, d, members).unwrap(), "{d} by {members}");
            assert!(matrix == again, "reflectors of {d} by {members}");
            // Reflectors may differ by more, where two are nearly as good; what they do may not.
            let squares = |r: &crate::pca::reduce::Reduced| {
                r.diagonal.iter().map(|v| v * v).sum::<f64>() + 2.0 * r.off.iter().map(|v| v * v).sum::<f64>()
            };
            assert!((squares(&found) / squares(&expected) - 1.0).abs() < 1e-12, "{d} by {members}");
            for (f, e) in found.diagonal.iter().zip(&expected.diagonal).take(8) {
                assert!((f - e).abs() <= 1e-12 * norm, "{d} by {members}: {f} {e}");
            }
        }
        let empty = by_team(kernels, &mut [], None, d, 2);
        assert_eq!(empty, None);
    }
}
