//! Where a network looks: what covering a patch does to a score (Zeiler & Fergus 2014).

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, vec, vec::Vec};

/// Patches a side of the picture, each half over the next.
const PATCHES: usize = 6;
const BATCH: usize = 16;

/// How long a patch is along a side, and where patches begin; the last ends with the side.
fn starts(side: usize) -> (usize, Vec<usize>) {
    let patch = side.div_ceil(PATCHES).max(1);
    let last = side.saturating_sub(patch);
    let mut all: Vec<usize> = (0..=last).step_by((patch / 2).max(1)).collect();
    if all.last() != Some(&last) {
        all.push(last);
    }
    (patch, all)
}

/// How many pictures [`occlusion`] scores for one of `[c, h, w]`.
pub fn occlusion_passes([_, h, w]: [usize; 3]) -> usize {
    1 + starts(h).1.len() * starts(w).1.len()
}

/// How much each pixel matters, `[h, w]` from 0 to 1: the mean drop of the score over the patches that
/// cover it. Patches are filled with the mean of each channel. `picture` is `[c, h, w]`; `score` gives
/// one number for each of `n` pictures, `[n, c, h, w]`. Works with any network and any score.
///
/// ```
/// use fruitcore::host::report::{occlusion, occlusion_passes};
/// // A "network" that looks at the upper left quarter of a 12×12 picture.
/// let mut picture = vec![0.0; 144];
/// (0..6).for_each(|y| (0..6).for_each(|x| picture[y * 12 + x] = 1.0));
/// let corner = |p: &[f32]| (0..6).map(|y| p[y * 12..y * 12 + 6].iter().sum::<f32>()).sum::<f32>();
/// let heat = occlusion(&picture, [1, 12, 12], |all, _| Ok(all.chunks(144).map(corner).collect()))?;
/// assert!(heat[3 * 12 + 3] > 0.9 && heat[10 * 12 + 10] == 0.0);
/// assert_eq!(occlusion_passes([1, 12, 12]), 1 + 11 * 11);
/// # Ok::<(), fruitcore::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Shape`] if lengths don't fit, and what `score` returns.
pub fn occlusion(
    picture: &[f32],
    shape: [usize; 3],
    mut score: impl FnMut(&[f32], usize) -> Result<Vec<f32>>,
) -> Result<Vec<f32>> {
    let [c, h, w] = shape;
    if picture.is_empty() || c.saturating_mul(h).saturating_mul(w) != picture.len() {
        let m = format!("{} values are no picture of {c}x{h}x{w}", picture.len());
        return Err(Error::new(ErrorKind::Shape, Stage::Featurize, m));
    }
    let ((ph, ys), (pw, xs)) = (starts(h), starts(w));
    let places: Vec<(usize, usize)> = ys.iter().flat_map(|y| xs.iter().map(move |x| (*y, *x))).collect();
    let means: Vec<f32> =
        picture.chunks_exact(h * w).map(|p| p.iter().sum::<f32>() / (h * w) as f32).collect();
    let one = |scores: Vec<f32>, n: usize| match scores.len() == n {
        true => Ok(scores),
        false => Err(Error::new(
            ErrorKind::Shape,
            Stage::Featurize,
            format!("{} scores for {n} pictures", scores.len()),
        )),
    };
    let whole = one(score(picture, 1)?, 1)?.first().copied().unwrap_or(0.0);
    let (mut heat, mut covered) = (vec![0f32; h * w], vec![0u32; h * w]);
    let mut batch = Vec::with_capacity(BATCH * picture.len());
    for places in places.chunks(BATCH) {
        batch.clear();
        for &(y, x) in places {
            let at = batch.len();
            batch.extend_from_slice(picture);
            for (plane, mean) in batch[at..].chunks_exact_mut(h * w).zip(&means) {
                for row in plane.chunks_exact_mut(w).skip(y).take(ph) {
                    row[x..x + pw].fill(*mean);
                }
            }
        }
        let scores = one(score(&batch, places.len())?, places.len())?;
        for (&(y, x), s) in places.iter().zip(scores) {
            for row in y..y + ph {
                for at in row * w + x..row * w + x + pw {
                    heat[at] += (whole - s).max(0.0);
                    covered[at] += 1;
                }
            }
        }
    }
    heat.iter_mut().zip(&covered).for_each(|(v, n)| *v /= (*n).max(1) as f32);
    let most = heat.iter().copied().fold(0.0, f32::max);
    if most > 0.0 {
        heat.iter_mut().for_each(|v| *v /= most);
    }
    Ok(heat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_is_covered() {
        for side in 1..400 {
            let (patch, starts) = starts(side);
            assert_eq!(starts.first(), Some(&0));
            assert_eq!(starts.last().map(|s| s + patch), Some(side));
            assert!(starts.windows(2).all(|s| s[0] < s[1] && s[1] <= s[0] + patch), "{side}: {starts:?}");
        }
        // What lies in the last column matters as much as elsewhere.
        let (h, w) = (20, 224);
        let mut picture = vec![0.0; h * w];
        (0..h).for_each(|y| picture[y * w + w - 1] = 1.0);
        let last = |p: &[f32]| (0..h).map(|y| p[y * w + w - 1]).sum::<f32>();
        let score = |all: &[f32], _| Ok(all.chunks(h * w).map(last).collect());
        let heat = occlusion(&picture, [1, h, w], score).unwrap();
        assert_eq!((heat[h / 2 * w + w - 1], heat[0]), (1.0, 0.0));
    }
}
