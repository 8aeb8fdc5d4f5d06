//! Weights in 8 bits, with a scale for each output channel.

use super::parameters::Parameters;
use alloc::vec::Vec;

/// Shares of a row's largest value that are tried as the end of the scale.
const ENDS: core::ops::RangeInclusive<u32> = 28..=40;

/// `[rows, …]` as integers and a scale a row: the scale with the least squared error of those tried.
pub(super) fn rounded(values: &[f32], rows: usize) -> (Vec<i8>, Vec<f32>) {
    let columns = (values.len() / rows.max(1)).max(1);
    let mut whole = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(rows);
    for row in values.chunks(columns) {
        let most = row.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let error = |scale: f32| -> f64 {
            row.iter().map(|&v| f64::from(v - f32::from(nearest(v, scale)) * scale)).map(|e| e * e).sum()
        };
        let scale = ENDS
            .map(|end| most * end as f32 / 40.0 / 127.0)
            .map(|scale| (error(scale), scale))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map_or(0.0, |best| best.1);
        whole.extend(row.iter().map(|&v| nearest(v, scale)));
        scales.push(scale);
    }
    (whole, scales)
}

fn nearest(value: f32, scale: f32) -> i8 {
    if scale > 0.0 { (value / scale).round().clamp(-127.0, 127.0) as i8 } else { 0 }
}

/// The averages as the small model gives them.
pub(super) fn apply(parameters: &mut Parameters) {
    for p in parameters.all.iter_mut().filter(|p| p.shape.len() > 1) {
        let rows = p.shape.first().copied().unwrap_or(1);
        let (whole, scales) = rounded(&p.average, rows);
        let columns = (whole.len() / rows.max(1)).max(1);
        for ((row, whole), scale) in p.average.chunks_mut(columns).zip(whole.chunks(columns)).zip(scales) {
            row.iter_mut().zip(whole).for_each(|(v, &w)| *v = f32::from(w) * scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_stays_within_half_a_step() {
        let values: Vec<f32> =
            (0..600).map(|i| ((i * 37 % 101) as f32 - 50.0) * if i < 300 { 1e-3 } else { 4.0 }).collect();
        let (whole, scales) = rounded(&values, 2);
        assert_eq!((whole.len(), scales.len()), (600, 2));
        for ((row, whole), scale) in values.chunks(300).zip(whole.chunks(300)).zip(&scales) {
            let squares: f32 = row.iter().zip(whole).map(|(v, &w)| (v - f32::from(w) * scale).powi(2)).sum();
            assert!((squares / 300.0).sqrt() < *scale, "{squares}");
        }
        assert_eq!(rounded(&[0.0; 6], 2), (alloc::vec![0; 6], alloc::vec![0.0; 2]));
    }
}
