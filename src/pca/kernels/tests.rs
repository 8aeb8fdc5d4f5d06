//! Every instruction set's loops against the dullest code there is.

use super::{BLOCK, Block, CHUNK, DEEP, Pair, Pass, WIDTH, add_lower, isa::kernels};
use crate::featurize::kernels::Isa;
use crate::rng::Rng;
use alloc::{vec, vec::Vec};

fn sets() -> impl Iterator<Item = (Isa, &'static super::Kernels)> {
    Isa::ALL.into_iter().filter_map(|isa| Some((isa, kernels(isa)?)))
}

fn random(n: usize, rng: &mut Rng) -> Vec<f64> {
    (0..n).map(|_| rng.unit() - 0.5).collect()
}

const SIZES: &[usize] =
    if cfg!(miri) { &[1, 9, 25] } else { &[1, 2, 7, 8, 9, 23, 24, 25, 47, 48, 49, 71, 96, 130] };

/// Columns `first..end` of `[depth][columns]`.
fn part(rows: &[f64], columns: usize, first: usize, end: usize) -> Vec<f64> {
    rows.chunks(columns.max(1)).flat_map(|row| &row[first..end]).copied().collect()
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
            let start = random(of * (of + 1) / 2 * BLOCK, &mut rng);
            for (isa, kernels) in sets() {
                let mut pair = Pair::default();
                pair.reshape(kernels, [depth, m]);
                rows.chunks(m).enumerate().for_each(|(k, row)| pair.set_row(k, row));
                let mut c = start.clone();
                add_lower(kernels, &pair, &mut c);
                let squares = (0..of).flat_map(|j| (j..of).map(move |i| (i, j)));
                for ((i, j), (square, start)) in squares.zip(c.chunks(BLOCK).zip(start.chunks(BLOCK))) {
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

fn near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(expected).fold(0.0f64, |m, (f, e)| m.max((f - e).abs()));
    assert!(worst < 1e-12, "{what}: {worst}");
}

#[test]
fn tall_products() {
    let mut rng = Rng::new(4);
    let sizes: &[usize] = if cfg!(miri) { &[0, 1] } else { &[0, 1, 2, 5] };
    for &blocks in sizes {
        let n = blocks * WIDTH * WIDTH;
        let [c, b0, b1] = [(); 3].map(|()| random(n, &mut rng));
        let [a0, a1] = [(); 2].map(|()| -> Block { random(WIDTH * WIDTH, &mut rng).try_into().unwrap() });
        for terms in [&[(&b0[..], &a0)][..], &[(&b0, &a0), (&b1, &a1)]] {
            let mut expected = c.clone();
            for (at, c) in expected.iter_mut().enumerate() {
                let (r, j) = (at / WIDTH, at % WIDTH);
                for (b, a) in terms {
                    *c += (0..WIDTH).map(|k| b[r * WIDTH + k] * a[k * WIDTH + j]).sum::<f64>();
                }
            }
            for (isa, kernels) in sets() {
                let mut found = c.clone();
                kernels.add_tall(&mut found, terms);
                near(&found, &expected, &alloc::format!("{isa:?} {blocks} {}", terms.len()));
            }
        }
    }
}

#[test]
fn products_across() {
    let mut rng = Rng::new(5);
    let c: Block = random(WIDTH * WIDTH, &mut rng).try_into().unwrap();
    let depths: &[usize] =
        if cfg!(miri) { &[0, 1, 3] } else { &[0, 1, 7, WIDTH, CHUNK, CHUNK + 1, 3 * CHUNK + 5] };
    for &depth in depths {
        let (a, b) = (random(depth * WIDTH, &mut rng), random(depth * WIDTH, &mut rng));
        let mut expected = c;
        for (at, c) in expected.iter_mut().enumerate() {
            let (i, j) = (at / WIDTH, at % WIDTH);
            *c += (0..depth).map(|k| b[k * WIDTH + i] * a[k * WIDTH + j]).sum::<f64>();
        }
        for (isa, kernels) in sets() {
            let mut found = c;
            kernels.add_across(&mut found, &b, &a);
            near(&found, &expected, &alloc::format!("{isa:?} {depth}"));
        }
    }
}

#[test]
fn passes() {
    let mut rng = Rng::new(6);
    for count in [0, 1, 5, 24] {
        for (at, replaces) in [(0, false), (0, true), (3, true), (22, true), (23, true)] {
            let (rows, start) = (random(count * WIDTH, &mut rng), random(WIDTH, &mut rng));
            let mut with = [0.0; WIDTH];
            random(WIDTH - at, &mut rng).iter().zip(&mut with[at..]).for_each(|(v, to)| *to = *v);
            let mut pass = Pass { at, by: 0.7, with, keep: [1.0; WIDTH], next: (at + 1).min(WIDTH - 1) };
            if replaces {
                (pass.with[at], pass.keep[at]) = (1.0, 0.0);
            }
            let (mut expected, mut sums) = (rows.clone(), start.clone());
            for row in expected.chunks_mut(WIDTH) {
                let x = 0.7 * row[at];
                (0..WIDTH).for_each(|l| row[l] = row[l] * pass.keep[l] + x * pass.with[l]);
                (0..WIDTH).for_each(|l| sums[l] += row[l] * row[pass.next]);
            }
            for (isa, kernels) in sets() {
                let (mut found, mut found_sums) =
                    (rows.clone(), <[f64; WIDTH]>::try_from(&start[..]).unwrap());
                kernels.pass(&pass, &mut found, &mut found_sums);
                let what = alloc::format!("{isa:?} {count} {at} {replaces}");
                near(&found, &expected, &what);
                near(&found_sums, &sums, &what);
            }
        }
    }
}

#[test]
fn turns() {
    let mut rng = Rng::new(7);
    let v: [f64; WIDTH] = random(WIDTH, &mut rng).try_into().unwrap();
    let rows = random(WIDTH * WIDTH, &mut rng);
    let mut expected = rows.clone();
    for l in 0..WIDTH {
        let along: f64 = (0..WIDTH).map(|r| v[r] * rows[r * WIDTH + l]).sum();
        (0..WIDTH).for_each(|r| expected[r * WIDTH + l] -= 0.4 * along * v[r]);
    }
    for (isa, kernels) in sets() {
        let mut found = rows.clone();
        kernels.turn(&v, 0.4, &mut found);
        near(&found, &expected, &alloc::format!("{isa:?}"));
    }
}

/// The steps of a sweep, against reflectors applied to the whole matrix.
#[test]
fn sweeps_chase_what_is_below_the_band() {
    let mut rng = Rng::new(8);
    let steps = if cfg!(miri) { 2 } else { 4 };
    let d = 1 + steps * WIDTH;
    let mut band = random((d + WIDTH) * DEEP, &mut rng);
    let mut matrix = vec![0.0; d * d];
    for c in 0..d + WIDTH {
        for o in 0..DEEP {
            let value = &mut band[c * DEEP + o];
            if o > WIDTH || c + o >= d {
                *value = 0.0;
            } else {
                (matrix[(c + o) * d + c], matrix[c * d + c + o]) = (*value, *value);
            }
        }
    }
    for (isa, kernels) in sets() {
        let (mut v, mut tau) = (vec![[0.0; WIDTH]; steps], vec![0.0; steps]);
        let mut found = band.clone();
        for step in 0..steps {
            let (done, v) = v.split_at_mut(step);
            let before = done.last().map(|v| (v, tau[step - 1]));
            let from = before.map_or(0, |_| 1 + (step - 1) * WIDTH);
            tau[step] = kernels.chase(&mut found[from * DEEP..], before, &mut v[0]);
        }

        let mut expected = matrix.clone();
        for (s, (v, tau)) in v.iter().zip(&tau).enumerate() {
            let first = 1 + s * WIDTH;
            // From the right, then from the left.
            for transposed in [false, true] {
                let at = |i: usize, j: usize| if transposed { j * d + i } else { i * d + j };
                for i in 0..d {
                    let along: f64 = (0..WIDTH).map(|l| v[l] * expected[at(i, first + l)]).sum();
                    (0..WIDTH).for_each(|l| expected[at(i, first + l)] -= tau * along * v[l]);
                }
            }
        }
        let whole: Vec<f64> = (0..d * d)
            .map(|at| {
                let (r, c) = (at / d, at % d);
                let (r, c) = (r.max(c), r.min(c));
                if r - c < DEEP { found[c * DEEP + r - c] } else { 0.0 }
            })
            .collect();
        near(&whole, &expected, &alloc::format!("{isa:?}"));
        assert!(found[2..DEEP].iter().all(|v| *v == 0.0), "{isa:?}: the first column is done");
    }
}
