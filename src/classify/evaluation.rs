//! How good predictions are: accuracy, recall, confusion, log-loss, calibration error.

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{collections::BTreeMap, format, vec, vec::Vec};

/// Bins of the calibration error, as Guo et al. (2017) use.
const BINS: usize = 15;
/// Probabilities are clipped to this from zero, as scikit-learn clips `float32`.
const LEAST: f64 = f32::EPSILON as f64;

/// Counts over labelled predictions, from which all measures follow; mergeable.
///
/// Definitions are those of scikit-learn's `accuracy_score`, `top_k_accuracy_score`, `recall_score`,
/// `precision_score`, `balanced_accuracy_score`, `log_loss` and `confusion_matrix`. Of classes with
/// equal probability the first ranks first. All fractions are 0 without rows.
///
/// ```
/// use fruitcore::classify::Evaluation;
/// let mut found = Evaluation::new(3)?;
/// found.add(0, &[0.7, 0.2, 0.1], true)?;
/// found.add(1, &[0.5, 0.4, 0.1], true)?;
/// found.add(2, &[0.3, 0.3, 0.4], false)?; // right, but below the threshold
/// assert!((found.accuracy() - 2.0 / 3.0).abs() < 1e-12);
/// assert_eq!((found.top(2), found.known(), found.unknown()), (1.0, 2, 1));
/// assert_eq!(found.confusion().get(&(1, Some(0))), Some(&1));
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    rows: u64,
    /// How often the right class had this rank.
    ranks: Vec<u64>,
    known: u64,
    known_right: u64,
    /// By the right class: rows, and of them right ones.
    of_class: Vec<(u64, u64)>,
    /// How often a class was the most probable.
    answers: Vec<u64>,
    confusion: BTreeMap<(u32, Option<u32>), u64>,
    log_loss: f64,
    bins: [Bin; BINS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bin {
    rows: u64,
    right: u64,
    confidence: f64,
}

/// How one class fared.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClassScore {
    /// Rows of this class.
    pub rows: u64,
    /// Of them, those this class was most probable for.
    pub right: u64,
    /// Rows this class was most probable for.
    pub answers: u64,
}

impl ClassScore {
    /// Share of the class's rows that are found; `None` if there are none.
    pub fn recall(&self) -> Option<f64> {
        (self.rows > 0).then(|| fraction(self.right, self.rows))
    }

    /// Share of the answers of this class that are right; `None` if there are none.
    pub fn precision(&self) -> Option<f64> {
        (self.answers > 0).then(|| fraction(self.right, self.answers))
    }
}

impl Evaluation {
    /// For predictions of so many classes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no classes or more than 2³² − 1.
    pub fn new(classes: usize) -> Result<Self> {
        if classes == 0 || u32::try_from(classes).is_err() {
            let m = format!("can't evaluate {classes} classes");
            return Err(Error::new(ErrorKind::InvalidArgument, Stage::Classify, m));
        }
        Ok(Self {
            rows: 0,
            ranks: vec![0; classes],
            known: 0,
            known_right: 0,
            of_class: vec![(0, 0); classes],
            answers: vec![0; classes],
            confusion: BTreeMap::new(),
            log_loss: 0.0,
            bins: [Bin::default(); BINS],
        })
    }

    /// Adds a row of class `label` with every class's probability, `[classes]`; `known` says whether
    /// the most probable class was the answer, or "unknown".
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for another number of probabilities, [`ErrorKind::InvalidArgument`] for a
    /// label that is none of the classes, [`ErrorKind::NonFinite`] for NaN or infinity; nothing is
    /// added then.
    pub fn add(&mut self, label: u32, probabilities: &[f32], known: bool) -> Result<()> {
        let k = self.ranks.len();
        let fail = |kind, m| Err(Error::new(kind, Stage::Classify, m));
        if probabilities.len() != k {
            return fail(
                ErrorKind::Shape,
                format!("expected {k} probabilities, found {}", probabilities.len()),
            );
        }
        let Some(own) = probabilities.get(label as usize).copied() else {
            return fail(ErrorKind::InvalidArgument, format!("label {label} is none of the {k} classes"));
        };
        if probabilities.iter().any(|p| !p.is_finite()) {
            return fail(ErrorKind::NonFinite, "a probability is not finite".into());
        }
        let (mut best, mut most, mut rank) = (0, f32::NEG_INFINITY, 0);
        for (class, p) in probabilities.iter().copied().enumerate() {
            if p > most {
                (best, most) = (class, p);
            }
            rank += usize::from(p > own || (p == own && class < label as usize));
        }
        let right = best == label as usize;
        self.rows += 1;
        self.known += u64::from(known);
        self.known_right += u64::from(known && right);
        count(self.ranks.get_mut(rank));
        count(self.answers.get_mut(best));
        if let Some(class) = self.of_class.get_mut(label as usize) {
            class.0 += 1;
            class.1 += u64::from(right);
        }
        *self.confusion.entry((label, known.then_some(best as u32))).or_default() += 1;
        self.log_loss -= libm::log(f64::from(own).clamp(LEAST, 1.0 - LEAST));
        // Bins (0, 1/15], (1/15, 2/15], …
        let confidence = f64::from(most);
        let bin = (libm::ceil(confidence * BINS as f64) as usize).clamp(1, BINS) - 1;
        if let Some(bin) = self.bins.get_mut(bin) {
            bin.rows += 1;
            bin.right += u64::from(right);
            bin.confidence += confidence;
        }
        Ok(())
    }

    /// Adds what another evaluation of the same classes has seen.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] for another number of classes.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if other.ranks.len() != self.ranks.len() {
            let m = format!("can't merge {} classes into {}", other.ranks.len(), self.ranks.len());
            return Err(Error::new(ErrorKind::Mismatch, Stage::Classify, m));
        }
        self.rows += other.rows;
        self.known += other.known;
        self.known_right += other.known_right;
        self.log_loss += other.log_loss;
        self.ranks.iter_mut().zip(&other.ranks).for_each(|(a, b)| *a += b);
        self.answers.iter_mut().zip(&other.answers).for_each(|(a, b)| *a += b);
        for (a, b) in self.of_class.iter_mut().zip(&other.of_class) {
            *a = (a.0 + b.0, a.1 + b.1);
        }
        for (cell, n) in &other.confusion {
            *self.confusion.entry(*cell).or_default() += n;
        }
        for (a, b) in self.bins.iter_mut().zip(&other.bins) {
            *a = Bin {
                rows: a.rows + b.rows,
                right: a.right + b.right,
                confidence: a.confidence + b.confidence,
            };
        }
        Ok(())
    }

    /// Rows added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows whose most probable class is the right one.
    pub fn right(&self) -> u64 {
        self.of_class.iter().map(|c| c.1).sum()
    }

    /// Share of rows whose most probable class is the right one, known or not.
    pub fn accuracy(&self) -> f64 {
        self.top(1)
    }

    /// Share of rows whose right class is among the `k` most probable.
    pub fn top(&self, k: usize) -> f64 {
        fraction(self.ranks.iter().take(k).sum(), self.rows)
    }

    /// Mean recall of the classes that occur.
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> = self.classes().filter_map(|c| c.recall()).collect();
        if recalls.is_empty() { 0.0 } else { recalls.iter().sum::<f64>() / recalls.len() as f64 }
    }

    /// Rows that got an answer.
    pub fn known(&self) -> u64 {
        self.known
    }

    /// Rows called unknown.
    pub fn unknown(&self) -> u64 {
        self.rows - self.known
    }

    /// Share of the answers that are right; 0 without answers.
    pub fn accuracy_of_known(&self) -> f64 {
        fraction(self.known_right, self.known)
    }

    /// Each class's counts.
    pub fn classes(&self) -> impl ExactSizeIterator<Item = ClassScore> + '_ {
        let counts = self.of_class.iter().zip(&self.answers);
        counts.map(|((rows, right), answers)| ClassScore { rows: *rows, right: *right, answers: *answers })
    }

    /// How often rows of a class were answered with a class, or with unknown (`None`); cells that
    /// never occurred are left out.
    pub fn confusion(&self) -> &BTreeMap<(u32, Option<u32>), u64> {
        &self.confusion
    }

    /// Mean −ln of the right class's probability, clipped to 2⁻²³ from 0 and 1.
    pub fn log_loss(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.log_loss / self.rows as f64 }
    }

    /// Expected calibration error (Naeini, Cooper & Hauskrecht 2015): mean distance of confidence from
    /// accuracy over 15 bins of equal width.
    pub fn calibration_error(&self) -> f64 {
        let gap = |b: &Bin| libm::fabs(b.confidence - b.right as f64);
        if self.rows == 0 { 0.0 } else { self.bins.iter().map(gap).sum::<f64>() / self.rows as f64 }
    }
}

fn count(place: Option<&mut u64>) {
    if let Some(n) = place {
        *n += 1;
    }
}

fn fraction(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_equals_one_pass_and_nothing_is_zero() -> Result<()> {
        let rows = [
            (0, [0.5, 0.25, 0.25], true),
            (1, [0.5, 0.25, 0.25], false),
            (2, [0.0, 0.0, 1.0], true),
            (0, [0.2, 0.4, 0.4], true),
        ];
        let of = |rows: &[(u32, [f32; 3], bool)]| -> Result<Evaluation> {
            let mut found = Evaluation::new(3)?;
            rows.iter().try_for_each(|(label, p, known)| found.add(*label, p, *known))?;
            Ok(found)
        };
        let (whole, mut a) = (of(&rows)?, of(&rows[..1])?);
        a.merge(&of(&rows[1..])?)?;
        assert!((a.log_loss() - whole.log_loss()).abs() < 1e-12);
        a.log_loss = whole.log_loss;
        assert_eq!((&a, whole.right()), (&whole, 2));
        assert_eq!(whole.balanced_accuracy(), (0.5 + 0.0 + 1.0) / 3.0);
        let empty = of(&[])?;
        assert_eq!((empty.accuracy(), empty.log_loss(), empty.calibration_error()), (0.0, 0.0, 0.0));
        assert!(empty.classes().all(|c| c.recall().is_none() && c.precision().is_none()));
        Ok(())
    }

    #[test]
    fn refuses_what_does_not_fit() -> Result<()> {
        let mut found = Evaluation::new(2)?;
        let kind = |e: Error| e.kind();
        assert_eq!(found.add(2, &[0.5, 0.5], true).map_err(kind), Err(ErrorKind::InvalidArgument));
        assert_eq!(found.add(0, &[1.0], true).map_err(kind), Err(ErrorKind::Shape));
        assert_eq!(found.add(0, &[f32::NAN, 1.0], true).map_err(kind), Err(ErrorKind::NonFinite));
        assert_eq!(found, Evaluation::new(2)?);
        assert!(found.merge(&Evaluation::new(3)?).is_err() && Evaluation::new(0).is_err());
        Ok(())
    }
}
