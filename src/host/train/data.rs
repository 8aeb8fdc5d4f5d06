//! Data sets decoded once, small, and split for validation.

use super::{DataSpec, TrainOptions, fail, image::Image};
use crate::classify::Head;
use crate::host::decode::{DecodeOptions, Decoder};
use crate::host::run::{hex, is_remote};
use crate::host::source::{self, Object, SourceOptions};
use crate::preprocess::{Normalization, Recipe, RecipePreprocessor, ResizeFilter, ResizeTo, Step};
use crate::rng::Rng;
use crate::{Error, ErrorKind, Frame, PixelFormat, Result};
use alloc::{borrow::ToOwned, collections::BTreeSet, format, string::String, vec, vec::Vec};
use bytes::Bytes;
use futures::StreamExt;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Pictures fetched before they are decoded together.
const CHUNK: usize = 256;

/// A labelled picture in memory.
pub(super) struct Picture {
    pub(super) class: usize,
    pub(super) gray: bool,
    pub(super) image: Image,
    /// The same at half the size, a quarter, …, as far as drawing it whole needs.
    pub(super) halves: Vec<Image>,
}

/// One data set, ready.
pub(super) struct DataSet {
    pub(super) name: String,
    pub(super) classes: Vec<String>,
    pub(super) train: Vec<Picture>,
    /// At the network's input size, by the recipe.
    pub(super) held: Vec<Picture>,
    /// Where they lie, for a list.
    pub(super) held_paths: Vec<String>,
    pub(super) repeat: f64,
    pub(super) auxiliary: bool,
    /// What its head looks at.
    pub(super) crop_pct: f32,
    /// SHA-256 over paths and contents.
    pub(super) digest: String,
    pub(super) rejected: Vec<String>,
}

/// A picture's file, before it is decoded.
struct Listed {
    object: Object,
    class: usize,
    held: bool,
}

pub(super) fn load(spec: &DataSpec, options: &TrainOptions, budget: &mut usize) -> Result<DataSet> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| fail(ErrorKind::Io, format!("no thread for reading: {e}")).because(e))?;
    let mut rejected = Vec::new();
    let (source, objects) = list(&runtime, &spec.input, &mut rejected)?;
    let classes: BTreeSet<String> = objects.iter().filter_map(|o| o.label.clone()).collect();
    let classes: Vec<String> = classes.into_iter().collect();
    if classes.len() < 2 {
        let m = format!(
            "{} labelled pictures of {} classes found; put pictures into one folder a class, with two or more",
            objects.len(),
            classes.len()
        );
        return Err(fail(ErrorKind::Insufficient, m).at(spec.input.clone()));
    }
    let of = |o: &Object| o.label.as_ref().and_then(|l| classes.binary_search(l).ok());
    let mut listed: Vec<Listed> = objects
        .into_iter()
        .filter_map(|object| of(&object).map(|class| Listed { object, class, held: false }))
        .collect();
    let mut digest = Sha256::new();
    let mut set = DataSet {
        name: spec.name.clone(),
        classes: classes.clone(),
        train: Vec::new(),
        held: Vec::new(),
        held_paths: Vec::new(),
        repeat: spec.repeat,
        auxiliary: spec.auxiliary,
        crop_pct: spec.crop_pct,
        digest: String::new(),
        rejected,
    };
    if spec.validation.is_none() {
        hold_out(&mut listed, classes.len(), options);
    }
    let recipe = options.recipe.with_crop_pct(spec.crop_pct).map_err(|e| e.at(spec.name.clone()))?;
    let mut reader = Reader { runtime: &runtime, options, recipe, digest: &mut digest, budget };
    reader.read(&*source, &spec.input, listed, &mut set)?;
    if let Some(input) = &spec.validation {
        let (source, objects) = list(&runtime, input, &mut set.rejected)?;
        let listed = objects
            .into_iter()
            .filter_map(|object| of(&object).map(|class| Listed { object, class, held: true }))
            .collect();
        reader.read(&*source, input, listed, &mut set)?;
    }
    set.digest = hex(&digest.finalize());
    if set.train.len() < options.batch.min(8) {
        let m = format!("{} readable pictures to train on; add pictures", set.train.len());
        return Err(fail(ErrorKind::Insufficient, m).at(spec.input.clone()));
    }
    Ok(set)
}

type Opened = (alloc::boxed::Box<dyn source::Source>, Vec<Object>);

fn list(runtime: &tokio::runtime::Runtime, input: &str, rejected: &mut Vec<String>) -> Result<Opened> {
    let source = source::open(input, &SourceOptions::default())?;
    let mut objects = Vec::new();
    runtime.block_on(async {
        let mut pictures = source.list();
        while let Some(picture) = pictures.next().await {
            match picture {
                Ok(object) if object.label.is_some() => objects.push(object),
                Ok(object) => rejected.push(format!("{}: no label", object.path)),
                Err(e) => rejected.push(format!("{e}")),
            }
        }
    });
    if objects.is_empty() {
        return Err(source::nothing_found(&source.describe(), source.skipped()));
    }
    Ok((source, objects))
}

/// Holds out one contiguous run of each class, in the order of view and number in the file name:
/// neighbouring frames of a turntable are near-duplicates and must not lie on both sides.
fn hold_out(listed: &mut [Listed], classes: usize, options: &TrainOptions) {
    for class in 0..classes {
        let mut members: Vec<usize> =
            listed.iter().enumerate().filter(|(_, l)| l.class == class).map(|(i, _)| i).collect();
        let n = members.len();
        let count = (n as f64 * options.validation).round() as usize;
        let count = if options.validation > 0.0 { count.max(1) } else { 0 };
        if n < 2 || count == 0 {
            continue;
        }
        members.sort_by_key(|&i| listed.get(i).map(|l| order(&l.object.path)));
        let mut rng = Rng::new(options.seed ^ (class as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let start = rng.below(n - count.min(n - 1) + 1);
        for &i in members.iter().skip(start).take(count.min(n - 1)) {
            if let Some(l) = listed.get_mut(i) {
                l.held = true;
            }
        }
    }
}

/// `dir/r_12_100.jpg` → its text before the number, the number, the rest.
fn order(path: &str) -> (String, u64, String) {
    let name = path.rsplit('/').next().unwrap_or(path);
    // `r2_12_100`: digits inside a word belong to the view's name.
    let start = name
        .char_indices()
        .find(|&(i, c)| {
            c.is_ascii_digit() && !name.get(..i).is_some_and(|p| p.ends_with(|c: char| c.is_alphabetic()))
        })
        .map_or(name.len(), |(i, _)| i);
    let (view, rest) = name.split_at(start);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    (view.to_owned(), number.parse().unwrap_or(0), rest.to_owned())
}

struct Reader<'a> {
    runtime: &'a tokio::runtime::Runtime,
    options: &'a TrainOptions,
    /// Of pictures to validate on.
    recipe: Recipe,
    digest: &'a mut Sha256,
    budget: &'a mut usize,
}

impl Reader<'_> {
    fn read(
        &mut self,
        source: &dyn source::Source,
        input: &str,
        listed: Vec<Listed>,
        set: &mut DataSet,
    ) -> Result<()> {
        for chunk in listed.chunks(CHUNK) {
            let fetched: Vec<Result<Bytes>> = self.runtime.block_on(async {
                futures::stream::iter(chunk.iter().map(|l| source.fetch(&l.object)))
                    .buffered(8)
                    .collect()
                    .await
            });
            let decoded: Vec<Result<Picture>> = chunk
                .par_iter()
                .zip(&fetched)
                .map_init(
                    || Decoder::new(DecodeOptions::default()),
                    |decoder, (l, bytes)| {
                        let bytes = bytes.as_ref().map_err(again)?;
                        self.shrink(&decoder.decode(bytes)?, l)
                    },
                )
                .collect();
            for ((l, bytes), picture) in chunk.iter().zip(&fetched).zip(decoded) {
                match picture {
                    Ok(picture) => {
                        self.digest.update(l.object.path.as_bytes());
                        self.digest.update(bytes.as_ref().map(Bytes::as_ref).unwrap_or_default());
                        let size = picture.halves.iter().chain([&picture.image]).map(Image::bytes).sum();
                        let Some(left) = self.budget.checked_sub(size) else {
                            let m = "the pictures don't fit the memory budget; lower the cache's side or raise its bytes";
                            return Err(fail(ErrorKind::Limit, m).at(set.name.clone()));
                        };
                        *self.budget = left;
                        if l.held {
                            set.held.push(picture);
                            set.held_paths.push(place(input, &l.object.path));
                        } else {
                            set.train.push(picture);
                        }
                    }
                    Err(e) => set.rejected.push(format!("{}", e.at(l.object.path.clone()))),
                }
            }
        }
        Ok(())
    }

    /// As the recipe makes it for validation, or no larger than the cache's side.
    fn shrink(&self, frame: &Frame<'_>, l: &Listed) -> Result<Picture> {
        let gray = frame.format() == PixelFormat::Gray;
        let (w, h) = (frame.width(), frame.height());
        let recipe = if l.held {
            self.recipe.clone()
        } else {
            let side = self.options.cache_side.max(32);
            let longest = w.max(h).max(1);
            let fit = |n: usize| if longest <= side { n } else { (n * side / longest).max(1) };
            let to = ResizeTo::Exact { height: fit(h), width: fit(w) };
            let resize = Step::Resize { filter: ResizeFilter::PillowBilinear, to };
            Recipe::new("", [resize, Step::Normalize { method: Normalization::Torchvision }])?
        };
        let mut preprocessor = RecipePreprocessor::new(recipe);
        let picture = preprocessor.picture(frame)?;
        let image = Image::new(picture.width(), picture.height(), picture.data().to_vec());
        let halves = if l.held { Vec::new() } else { image.halves(self.options.network.input) };
        Ok(Picture { class: l.class, gray, image, halves })
    }
}

/// Where a picture of an input lies, as a list names it; in an archive or a list, as that names it.
fn place(input: &str, path: &str) -> String {
    if is_remote(input) && !path.contains("://") {
        return format!("{}/{path}", input.trim_end_matches('/'));
    }
    match std::path::absolute(input) {
        Ok(folder) if folder.is_dir() => format!("{}", folder.join(path).display()),
        _ => path.to_owned(),
    }
}

/// The same error once more, for each picture of a fetch.
fn again(e: &Error) -> Error {
    Error::new(e.kind(), e.stage(), e.message())
}

impl DataSet {
    /// Whether a head has this set's name and classes.
    pub(super) fn owns(&self, head: &Head) -> bool {
        head.name() == self.name && head.classes() == self.classes
    }

    /// The order of one epoch: `repeat` times the set's size, each class's pictures in shuffled
    /// rounds, classes with probability ∝ count^(1 − balance).
    pub(super) fn draw(&self, balance: f64, rng: &mut Rng) -> Vec<usize> {
        let mut by_class = vec![Vec::new(); self.classes.len()];
        for (i, p) in self.train.iter().enumerate() {
            if let Some(members) = by_class.get_mut(p.class) {
                members.push(i);
            }
        }
        by_class.retain(|m| !m.is_empty());
        let weights: Vec<f64> = by_class.iter().map(|m| libm::pow(m.len() as f64, 1.0 - balance)).collect();
        let sum: f64 = weights.iter().sum();
        let total = (self.train.len() as f64 * self.repeat).round().max(1.0);
        let mut all = Vec::with_capacity(total as usize + by_class.len());
        for (members, weight) in by_class.iter_mut().zip(weights) {
            let share = total * weight / sum;
            let mut wanted =
                libm::floor(share) as usize + usize::from(rng.unit() < share - libm::floor(share));
            while wanted > 0 {
                shuffle(members, rng);
                all.extend(members.iter().take(wanted));
                wanted -= wanted.min(members.len());
            }
        }
        shuffle(&mut all, rng);
        all
    }
}

/// Fisher & Yates.
pub(super) fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for i in (1..items.len()).rev() {
        items.swap(i, rng.below(i + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_and_numbers_are_told_apart() {
        let mut names =
            ["a/10_100.jpg", "a/r_9_100.jpg", "a/2_100.jpg", "a/r2_7_100.jpg", "a/r_10_100.jpg", "a/x.jpg"];
        names.sort_by_key(|n| order(n));
        assert_eq!(
            names,
            ["a/2_100.jpg", "a/10_100.jpg", "a/r2_7_100.jpg", "a/r_9_100.jpg", "a/r_10_100.jpg", "a/x.jpg"]
        );
    }

    #[test]
    fn balance_evens_out_classes() {
        let picture = |class| {
            let image = Image { width: 1, height: 1, pixels: vec![0; 3], mask: None };
            Picture { class, gray: false, image, halves: Vec::new() }
        };
        let mut set = DataSet {
            name: "x".into(),
            classes: vec!["a".into(), "b".into()],
            train: (0..100).map(|i| picture(usize::from(i >= 90))).collect(),
            held: Vec::new(),
            held_paths: Vec::new(),
            repeat: 2.0,
            auxiliary: false,
            crop_pct: 1.0,
            digest: String::new(),
            rejected: Vec::new(),
        };
        let count = |set: &DataSet, balance| {
            let drawn = set.draw(balance, &mut Rng::new(1));
            let rare = drawn.iter().filter(|&&i| i >= 90).count();
            (drawn.len(), rare)
        };
        assert_eq!(count(&set, 0.0), (200, 20));
        assert_eq!(count(&set, 1.0), (200, 100));
        set.repeat = 0.1;
        assert_eq!(count(&set, 0.0), (10, 1));
    }
}
