//! Batches, made on a thread of their own while the last one is learned from.

use super::{
    TrainOptions,
    augment::Augmenter,
    data::{self, DataSet, Picture},
    teach::School,
};
use crate::preprocess::{
    Normalization, Preprocessor, Recipe, RecipePreprocessor, ResizeFilter, ResizeTo, Step,
};
use crate::rng::Rng;
use crate::{Frame, PixelFormat, Result};
use alloc::{vec, vec::Vec};
use std::sync::mpsc::SyncSender;

/// One step's pictures.
pub(super) struct Batch {
    /// `[n, 3, h, w]`, normalised.
    pub(super) input: Vec<f32>,
    pub(super) pictures: usize,
    /// By head: probabilities `[n, classes]`; rows of other sets' pictures are zero.
    pub(super) targets: Vec<Vec<f32>>,
}

/// A stream of random numbers for a place in training.
pub(super) fn stream(seed: u64, epoch: u32, at: u64) -> Rng {
    let mut rng = Rng::new(seed ^ u64::from(epoch).rotate_left(40) ^ at.rotate_left(8));
    Rng::new(rng.next_u64())
}

/// Normalisation alone, for pictures that already have the network's size.
pub(super) fn normalizer(options: &TrainOptions) -> Result<RecipePreprocessor> {
    let [height, width] = options.network.input;
    let to = ResizeTo::Exact { height, width };
    let method = match options.recipe.steps().last() {
        Some(Step::Normalize { method }) => *method,
        _ => Normalization::Torchvision,
    };
    let resize = Step::Resize { filter: ResizeFilter::PillowBilinear, to };
    Ok(RecipePreprocessor::new(Recipe::new("", [resize, Step::Normalize { method }])?))
}

/// Which picture is drawn when: (set, index).
pub(super) fn order(sets: &[DataSet], options: &TrainOptions, epoch: u32) -> Vec<(usize, usize)> {
    let mut rng = stream(options.seed, epoch, u64::MAX);
    let mut all = Vec::new();
    for (i, set) in sets.iter().enumerate() {
        all.extend(set.draw(options.balance, &mut rng).into_iter().map(|at| (i, at)));
    }
    data::shuffle(&mut all, &mut rng);
    // A last batch of a few pictures would have poor statistics.
    let whole = all.len() / options.batch * options.batch;
    if whole > 0 {
        all.truncate(whole);
    }
    all
}

/// Sends one epoch's batches until done or nobody listens.
pub(super) fn send(
    sets: &[DataSet],
    options: &TrainOptions,
    school: Option<&School>,
    epoch: u32,
    to: &SyncSender<Result<Batch>>,
) {
    if let Err(e) = make(sets, options, school, epoch, to) {
        // Nobody listening any more is fine.
        let _ = to.send(Err(e));
    }
}

fn make(
    sets: &[DataSet],
    options: &TrainOptions,
    school: Option<&School>,
    epoch: u32,
    to: &SyncSender<Result<Batch>>,
) -> Result<()> {
    let [h, w] = options.network.input;
    let scenes: Vec<&Picture> =
        sets.iter().flat_map(|s| &s.train).filter(|p| p.image.mask.is_none() && !p.gray).collect();
    let mut augmenter = Augmenter::new(&options.augment, [h, w], &scenes);
    let mut normalizer = normalizer(options)?;
    let mut rgb = vec![0u8; 3 * h * w];
    for (number, draws) in order(sets, options, epoch).chunks(options.batch).enumerate() {
        let n = draws.len();
        let mut input = vec![0.0; n * 3 * h * w];
        let mut targets: Vec<Vec<f32>> = sets.iter().map(|s| vec![0.0; n * s.classes.len()]).collect();
        for (i, (&(set, at), out)) in draws.iter().zip(input.chunks_exact_mut(3 * h * w)).enumerate() {
            let Some((picture, own)) = sets.get(set).and_then(|s| Some((s.train.get(at)?, s))) else {
                continue;
            };
            let mut rng = stream(options.seed, epoch, (number * options.batch + i) as u64);
            augmenter.augment(picture, &mut rng, &mut rgb);
            normalizer.preprocess_into(&Frame::new(PixelFormat::Rgb, w, h, &rgb)?, out)?;
            let classes = own.classes.len();
            if let Some(row) = targets.get_mut(set).and_then(|t| t.get_mut(i * classes..(i + 1) * classes)) {
                row.fill(options.smoothing / classes as f32);
                if let Some(t) = row.get_mut(picture.class) {
                    *t += 1.0 - options.smoothing;
                }
            }
        }
        let mut batch = Batch { input, pictures: n, targets };
        mix(&mut batch, options, &mut stream(options.seed, epoch, !(number as u64)));
        if let Some(school) = school {
            school.teach(&mut batch, [h, w])?;
        }
        if to.send(Ok(batch)).is_err() {
            break;
        }
    }
    Ok(())
}

/// Mixup or CutMix, each picture with the next; the kinds asked for and leaving pictures alone are
/// equally frequent.
fn mix(batch: &mut Batch, options: &TrainOptions, rng: &mut Rng) {
    let [height, width] = options.network.input;
    let kinds = [(options.mixup, false), (options.cutmix, true)];
    let asked: Vec<(f64, bool)> = kinds.into_iter().filter(|k| k.0 > 0.0).collect();
    let drawn = if asked.is_empty() { None } else { asked.get(rng.below(asked.len() + 1)) };
    let Some(&(alpha, cut)) = drawn else { return };
    let share = beta(alpha, rng) as f32;
    let n = batch.pictures.max(1);
    let share = if cut {
        let side = (1.0 - share).sqrt();
        let (h, w) = ((height as f32 * side) as usize, (width as f32 * side) as usize);
        let (top, left) = (rng.below(height - h + 1), rng.below(width - w + 1));
        let before = batch.input.clone();
        let row = before.len() / n;
        for (to, from) in batch.input.chunks_exact_mut(row).zip(before.chunks_exact(row).cycle().skip(1)) {
            let planes = to.chunks_exact_mut(height * width).zip(from.chunks_exact(height * width));
            for (to, from) in planes {
                let rows = to.chunks_exact_mut(width).zip(from.chunks_exact(width)).skip(top).take(h);
                rows.for_each(|(to, from)| {
                    to.iter_mut().zip(from).skip(left).take(w).for_each(|(t, f)| *t = *f);
                });
            }
        }
        1.0 - (h * w) as f32 / (height * width) as f32
    } else {
        blend(&mut batch.input, n, share);
        share
    };
    batch.targets.iter_mut().for_each(|t| blend(t, n, share));
}

/// `share` of each of `n` rows and the rest of the next one.
fn blend(values: &mut [f32], n: usize, share: f32) {
    let before = values.to_vec();
    let next = before.iter().cycle().skip(values.len() / n);
    values.iter_mut().zip(next).for_each(|(v, n)| *v = share * *v + (1.0 - share) * n);
}

/// A symmetric Beta(α, α), by Jöhnk's method for α ≤ 1 and as a mean of uniform numbers' ratio else.
fn beta(alpha: f64, rng: &mut Rng) -> f64 {
    for _ in 0..1000 {
        let draw = |rng: &mut Rng| libm::pow(rng.unit().max(1e-12), 1.0 / alpha);
        let (x, y) = (draw(rng), draw(rng));
        if x + y > 0.0 && x + y <= 1.0 {
            return x / (x + y);
        }
    }
    0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::network::{NetworkKind, NetworkSpec};
    use crate::preprocess::Preset;
    use burn::tensor::Device;

    /// Pictures that are their number everywhere; what a target says must be what the picture shows.
    #[test]
    fn mixed_targets_say_what_the_mixed_pictures_show() {
        let network = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 40);
        let mut options = TrainOptions::new(network, Preset::Simple.recipe(32).unwrap(), Device::flex());
        for (mixup, cutmix) in [(0.0, 0.0), (0.8, 0.0), (0.0, 1.0), (0.8, 1.0)] {
            (options.mixup, options.cutmix) = (mixup, cutmix);
            let [mut kept, mut blended, mut cut] = [0; 3];
            for seed in 0..60 {
                let (n, row) = (3, 3 * 32 * 40);
                let input = (0..n * row).map(|i| (i / row) as f32).collect();
                // The last picture belongs to another data set.
                let targets = vec![vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0], vec![0.0, 0.0, 1.0]];
                let mut batch = Batch { input, pictures: n, targets };
                mix(&mut batch, &options, &mut Rng::new(seed));
                for (i, picture) in batch.input.chunks_exact(row).enumerate() {
                    let mean = picture.iter().map(|&v| f64::from(v)).sum::<f64>() / row as f64;
                    let [zero, one] = [0, 1].map(|c| f64::from(batch.targets[0][i * 2 + c]));
                    let two = f64::from(batch.targets[1][i]);
                    assert!((zero + one + two - 1.0).abs() < 1e-6);
                    assert!((mean - one - 2.0 * two).abs() < 1e-3, "{mean}: {zero} {one} {two}");
                }
                let first = &batch.input[..row];
                let whole = first.iter().all(|v| v.fract() == 0.0);
                match (first.iter().all(|&v| v == 0.0), whole) {
                    (true, _) => kept += 1,
                    (_, true) => cut += 1,
                    _ => blended += 1,
                }
            }
            assert!(kept > 0 && (blended > 0) == (mixup > 0.0) && (cut > 0) == (cutmix > 0.0), "{options:?}");
        }
    }
}
