//! Where a network looks, for a few pictures and within a time.

use super::{classes::Classes, predictions::Predictions};
use crate::{ErrorKind, Result, host::summary::count};
use alloc::{collections::BTreeSet, format, string::String, vec::Vec};
use bytes::Bytes;
use core::time::Duration;
use rayon::prelude::*;
use std::time::Instant;

/// Where a network looks in one picture.
#[derive(Clone, Debug)]
pub struct Gazed {
    /// The picture as the network gets it, interleaved RGB.
    pub rgb: Vec<u8>,
    /// Its width.
    pub width: usize,
    /// Its height.
    pub height: usize,
    /// How much each pixel matters, `[height, width]`, 0 to 1.
    pub heat: Vec<f32>,
}

/// Encoded picture, its label and the moment from which an answer is of no use, to what the network
/// looks at.
///
/// # Errors
/// [`ErrorKind::Limit`] if there would be no answer in time; anything else concerns the picture.
pub type GazeFn = dyn Fn(&Bytes, Option<&str>, Option<Instant>) -> Result<Gazed> + Send + Sync;

/// At most `most` rows: the pictures asked for; else some that were taken for another class, no pair of
/// classes twice, and one of each class.
pub(super) fn choose(
    asked: &[usize],
    most: usize,
    classes: &Classes<'_>,
    predictions: Option<&Predictions>,
) -> Vec<usize> {
    if !asked.is_empty() {
        return asked.iter().take(most).copied().collect();
    }
    let mut chosen: Vec<usize> = Vec::new();
    if let Some(predictions) = predictions {
        let mut pairs = BTreeSet::new();
        let mut pair = |row: &usize| pairs.insert((classes.of.get(*row), predictions.of.get(*row)));
        chosen.extend(predictions.confused(classes).into_iter().filter(|row| pair(row)).take(most / 2));
    }
    // Classes from all over the list, the first picture of each that isn't there yet.
    let left = most.saturating_sub(chosen.len()).min(classes.names.len().max(1));
    let mut wanted: BTreeSet<Option<u32>> = match classes.is_empty() {
        true => BTreeSet::from([None]),
        false => (0..left).map(|i| u32::try_from(i * classes.names.len() / left).ok()).collect(),
    };
    for (row, class) in classes.of.iter().enumerate() {
        if !wanted.is_empty() && !chosen.contains(&row) && wanted.remove(class) {
            chosen.push(row);
        }
    }
    chosen
}

/// Looks at the pictures in order, some at once, until `time` has passed. Also why some are missing.
pub(super) fn look(
    gaze: &GazeFn,
    pictures: &[(usize, Bytes)],
    label: &(dyn Fn(usize) -> Option<String> + Sync),
    time: Option<Duration>,
) -> (Vec<(usize, Gazed)>, Option<String>) {
    let begun = Instant::now();
    let deadline = time.and_then(|t| begun.checked_add(t));
    let (mut seen, mut slow, mut failed) = (Vec::new(), None, None);
    let mut longest = Duration::ZERO;
    for some in pictures.chunks(rayon::current_num_threads()) {
        let now = Instant::now();
        if deadline.is_some_and(|d| now + longest > d) {
            slow = slow.or(Some(String::from("the others would take longer")));
            break;
        }
        let made: Vec<_> = some
            .par_iter()
            .map(|(row, bytes)| (*row, gaze(bytes, label(*row).as_deref(), deadline)))
            .collect();
        for (row, made) in made {
            match made {
                Ok(gazed) => seen.push((row, gazed)),
                Err(e) if e.kind() == ErrorKind::Limit => slow = Some(String::from(e.message())),
                Err(e) => failed = failed.or(Some(format!("{e}"))),
            }
        }
        if slow.is_some() {
            break;
        }
        longest = longest.max(now.elapsed());
    }
    let why = match (slow, failed) {
        (Some(slow), _) => Some(format!(
            "where the network looks is shown for {} of {} pictures, as there are {:.0} s for it: {slow}; --gaze-seconds gives more",
            count(seen.len() as u64),
            count(pictures.len() as u64),
            time.unwrap_or_default().as_secs_f64()
        )),
        (None, Some(failed)) => {
            Some(format!("where the network looks could not be told of some pictures: {failed}"))
        }
        (None, None) => None,
    };
    (seen, why)
}

/// A picture in gray where it doesn't matter, in orange where it does: told apart with every colour
/// blindness.
pub(super) fn overlay(gazed: &Gazed) -> Vec<u8> {
    let mut rgb = gazed.rgb.clone();
    for (pixel, heat) in rgb.chunks_exact_mut(3).zip(&gazed.heat) {
        let gray = pixel.iter().map(|v| f32::from(*v)).sum::<f32>() / 3.0;
        let t = heat.clamp(0.0, 1.0);
        for (v, hot) in pixel.iter_mut().zip([255.0, 150.0, 0.0]) {
            let base = gray * 0.75;
            *v = (base + (0.75 * hot + 0.3 * gray - base) * t).min(255.0) as u8;
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Error, Stage,
        host::sink::{Content, Table},
    };
    use alloc::sync::Arc;
    use core::sync::atomic::{AtomicUsize, Ordering};

    fn gazed() -> Gazed {
        Gazed { rgb: alloc::vec![100; 12], width: 2, height: 2, heat: alloc::vec![0.0, 1.0, 0.0, 0.0] }
    }

    #[test]
    fn time_is_kept_and_what_is_missing_is_said() {
        let pictures: Vec<(usize, Bytes)> = (0..400).map(|i| (i, Bytes::new())).collect();
        let slow = |_: &Bytes, _: Option<&str>, _: Option<Instant>| {
            std::thread::sleep(Duration::from_millis(20));
            Ok(gazed())
        };
        let begun = Instant::now();
        let (seen, why) = look(&slow, &pictures, &|_| None, Some(Duration::from_millis(200)));
        assert!((1..400).contains(&seen.len()) && begun.elapsed() < Duration::from_secs(4), "{}", seen.len());
        assert!(why.unwrap().contains("of 400 pictures"));
        let (seen, why) =
            look(&|_: &Bytes, _: Option<&str>, _: Option<Instant>| Ok(gazed()), &pictures, &|_| None, None);
        assert_eq!((seen.len(), why), (400, None));
    }

    #[test]
    fn a_network_that_is_too_slow_is_not_asked_twice() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let never = move |_: &Bytes, _: Option<&str>, _: Option<Instant>| {
            count.fetch_add(1, Ordering::Relaxed);
            Err(Error::new(ErrorKind::Limit, Stage::Featurize, "a picture takes 90 s"))
        };
        let pictures: Vec<(usize, Bytes)> = (0..400).map(|i| (i, Bytes::new())).collect();
        let (seen, why) = look(&never, &pictures, &|_| None, Some(Duration::from_secs(3)));
        assert!(seen.is_empty() && why.unwrap().contains("90 s"));
        assert!(asked.load(Ordering::Relaxed) <= rayon::current_num_threads());
    }

    #[test]
    fn pictures_are_chosen_from_all_classes() {
        let mut table = Table::new(Content::Components, 1).unwrap();
        for i in 0..60 {
            table.push(format!("{i}.jpg"), Some(&format!("class {:02}", i % 20)), &[0.0]).unwrap();
        }
        let chosen = choose(&[], 4, &Classes::of(&table), None);
        assert_eq!(chosen.iter().map(|i| i % 20).collect::<Vec<_>>(), [0, 5, 10, 15]);
        assert_eq!(choose(&[7, 9, 3], 2, &Classes::of(&table), None), [7, 9]);
        assert_eq!(choose(&[], 100, &Classes::of(&table), None).len(), 20);
        assert!(choose(&[], 0, &Classes::of(&table), None).is_empty());
    }

    #[test]
    fn what_matters_is_orange() {
        let shown = overlay(&gazed());
        assert_eq!(shown[..3], [75; 3]);
        assert!(shown[3] > 170 && shown[5] < 60, "{shown:?}");
    }
}
