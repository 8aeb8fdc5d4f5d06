//! What a reduced precision gives and costs, measured on pictures.
//!
//! ```
//! # #[cfg(feature = "bundled")] {
//! use fruitcore::featurize::Precision;
//! use fruitcore::host::{demo::Fruits, driver::Control, precision::Compare, setup::Fitted};
//!
//! # let folder = std::env::temp_dir().join(format!("fruitcore-precision-{}", std::process::id()));
//! Fruits::new(7).write(&folder, 0..1)?;
//! let model = Fitted::open("bundled")?;
//! let mut compare = Compare::default();
//! compare.precisions = vec![Precision::Int8];
//! let found = compare.fitted(&folder.to_string_lossy(), &model, &Control::default())?;
//! let int8 = &found.effects[1];
//! println!("{} by {}: error {:.1e}", int8.precision, int8.arithmetic, int8.error);
//! assert!(int8.error < 0.1 && int8.agreement["fruit"] > 0.5);
//! # std::fs::remove_dir_all(folder).expect("made above");
//! # }
//! # Ok::<(), fruitcore::Error>(())
//! ```

use super::{
    driver::{Control, Driver, Limits, Wanted},
    setup::{Fitted, Setup},
    sink::Table,
    source::{self, Source, SourceOptions},
};
use crate::{
    Error, ErrorKind, Result, Stage,
    featurize::Precision,
    pca::{CovariancePca, IncrementalPca, Keep, Projection, Rows, Scaling},
};
use alloc::{collections::BTreeMap, format, string::String, string::ToString, sync::Arc, vec::Vec};
use core::num::NonZeroUsize;

/// Pictures in a part of the comparison.
const PART: usize = 1000;

/// How precisions are compared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Compare {
    /// Those to compare with `f32`; all others unless set.
    pub precisions: Vec<Precision>,
    /// Components of the PCA whose subspaces are compared, as far as there are pictures; 50 unless set.
    pub components: usize,
    /// Which pictures of the input.
    pub source: SourceOptions,
    /// Only so many; 2,000 unless set. The features of all are in memory.
    pub limit: u64,
    /// Workers and memory.
    pub limits: Limits,
    /// Count the pictures beside the work, so that [`Control::progress`] knows how many there are.
    pub count_ahead: bool,
}

impl Default for Compare {
    fn default() -> Self {
        Self {
            precisions: Precision::CPU.iter().copied().filter(|p| !p.is_full()).collect(),
            components: 50,
            source: SourceOptions::default(),
            limit: 2000,
            limits: Limits::default(),
            count_ahead: false,
        }
    }
}

/// What [`Compare`] found.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The network.
    pub network: String,
    /// Pictures that could be used.
    pub pictures: u64,
    /// Pictures that could not.
    pub rejected: u64,
    /// Components of the PCA.
    pub components: usize,
    /// `f32` first, then as asked.
    pub effects: Vec<Effect>,
}

/// One precision beside `f32`.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Effect {
    /// Which.
    pub precision: Precision,
    /// What computes it on this processor.
    pub arithmetic: String,
    /// Seconds of one core that the network takes for a picture, all workers busy.
    pub seconds: f64,
    /// `‖a − b‖ / ‖b‖` over all features of all pictures.
    pub error: f64,
    /// The largest of any picture.
    pub worst_error: f64,
    /// Largest principal angle between the components' subspaces, of standardised features, in rad;
    /// none for fewer than three pictures.
    pub angle: Option<f64>,
    /// By classifier: the share of pictures whose most probable class is that in `f32`.
    pub agreement: BTreeMap<String, f64>,
    /// By classifier: the share of pictures it names rightly, of those whose label it knows; of whole
    /// pictures, whatever part it looks at otherwise.
    pub accuracy: BTreeMap<String, f64>,
}

impl Compare {
    /// Compares an artifact's or a model's network, and its classifiers.
    ///
    /// # Errors
    /// As [`Fitted::setup`] and [`Driver::run`]; [`ErrorKind::Insufficient`] if no picture can be used.
    pub fn fitted(&self, input: &str, fitted: &Fitted, control: &Control) -> Result<Comparison> {
        let setup =
            |precision| fitted.clone().precision(precision).setup(None, burn::tensor::Device::default());
        self.compare(input, &setup, Some(fitted), control)
    }

    /// Compares a network that `setup` makes in a precision.
    ///
    /// # Errors
    /// As `setup` and [`Driver::run`]; [`ErrorKind::Insufficient`] if no picture can be used.
    pub fn network(
        &self,
        input: &str,
        setup: &dyn Fn(Precision) -> Result<Setup>,
        control: &Control,
    ) -> Result<Comparison> {
        self.compare(input, setup, None, control)
    }

    fn compare(
        &self,
        input: &str,
        setup: &dyn Fn(Precision) -> Result<Setup>,
        fitted: Option<&Fitted>,
        control: &Control,
    ) -> Result<Comparison> {
        let source: Arc<dyn Source> = Arc::from(source::open(input, &self.source)?);
        let full = self.features(&source, &setup(Precision::F32)?, fitted, control)?;
        if full.rows() == 0 {
            let m =
                format!("none of {} pictures could be used; check the path and the filter", full.rejected);
            return Err(Error::new(ErrorKind::Insufficient, Stage::Run, m).at(input));
        }
        let mut effects = Vec::with_capacity(1 + self.precisions.len());
        effects.push(full.effect(&full)?);
        for &precision in &self.precisions {
            let found = self.features(&source, &setup(precision)?, fitted, control)?;
            if found.paths != full.paths {
                let m = "the pictures changed between two passes; compare where nobody writes";
                return Err(Error::new(ErrorKind::Mismatch, Stage::Source, m).at(input));
            }
            effects.push(found.effect(&full)?);
        }
        let components = full.projection.as_ref().map_or(0, Projection::kept);
        let (network, pictures) = (full.network.clone(), full.rows() as u64);
        Ok(Comparison { network, pictures, rejected: full.rejected, components, effects })
    }

    fn features(
        &self,
        source: &Arc<dyn Source>,
        setup: &Setup,
        fitted: Option<&Fitted>,
        control: &Control,
    ) -> Result<Found> {
        let driver = Driver {
            stages: setup.stages(),
            limits: self.limits.clone(),
            part_size: PART,
            limit: Some(self.limit),
            strict: false,
            count_ahead: self.count_ahead,
        };
        control.again();
        let featurizer = setup.featurizer();
        let mut found = Found {
            network: setup.network().precision(Precision::F32).to_string(),
            precision: featurizer.precision(),
            arithmetic: featurizer.plan().map_or("burn", |plan| plan.arithmetic()).to_string(),
            ..Found::default()
        };
        driver.run(Arc::clone(source), control, &|_| Wanted::Compute, &mut |part| {
            let Some(output) = part.output else { return Ok(()) };
            found.rejected += output.rejects.len() as u64;
            found.seconds += output.seconds.get(Stage::Featurize.name()).copied().unwrap_or_default();
            found.add(&output.table, fitted)
        })?;
        found.fit(self.components)?;
        Ok(found)
    }
}

/// Features of all pictures in one precision, and what was made of them.
#[derive(Default)]
struct Found {
    network: String,
    precision: Precision,
    arithmetic: String,
    seconds: f64,
    rejected: u64,
    columns: usize,
    values: Vec<f32>,
    paths: Vec<String>,
    labels: Vec<Option<String>>,
    /// By classifier: each picture's most probable class.
    classes: BTreeMap<String, Vec<String>>,
    /// By classifier: the classes it knows.
    known: BTreeMap<String, Vec<String>>,
    projection: Option<Projection>,
}

impl Found {
    fn rows(&self) -> usize {
        self.paths.len()
    }

    fn add(&mut self, table: &Table, fitted: Option<&Fitted>) -> Result<()> {
        self.columns = table.columns();
        self.values.extend_from_slice(table.values());
        self.paths.extend_from_slice(table.paths());
        self.labels.extend_from_slice(table.labels());
        for head in fitted.map(Fitted::heads).unwrap_or_default() {
            let probabilities = fitted.map(|f| f.probabilities(head, table)).transpose()?.unwrap_or_default();
            let best = probabilities.chunks_exact(head.classes().len().max(1)).map(|row| {
                let most = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
                most.and_then(|(i, _)| head.classes().get(i)).cloned().unwrap_or_default()
            });
            self.classes.entry(head.name().to_string()).or_default().extend(best);
            self.known.entry(head.name().to_string()).or_insert_with(|| head.classes().to_vec());
        }
        Ok(())
    }

    fn fit(&mut self, components: usize) -> Result<()> {
        let most = components.min(self.rows().saturating_sub(1)).min(self.columns);
        if let (Some(_), true) = (NonZeroUsize::new(most), self.rows() > 2) {
            let mut pca = CovariancePca::new(self.columns)?;
            pca.partial_fit(Rows::new(&self.values, self.columns)?)?;
            self.projection = Some(pca.into_fit(Keep::Count(most), Scaling::Standard)?);
        }
        Ok(())
    }

    fn effect(&self, full: &Self) -> Result<Effect> {
        let square = |x: f64| x * x;
        let (mut all, mut norm, mut worst) = (0.0, 0.0, 0f64);
        let columns = self.columns.max(1);
        for (a, b) in self.values.chunks_exact(columns).zip(full.values.chunks_exact(columns)) {
            let far: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
            let long: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
            all += far;
            norm += long;
            worst = worst.max((far / long.max(f64::MIN_POSITIVE)).sqrt());
        }
        let share = |hits: usize, of: usize| hits as f64 / of.max(1) as f64;
        let agreement = self.classes.iter().filter_map(|(head, classes)| {
            let same = classes.iter().zip(full.classes.get(head)?).filter(|(a, b)| a == b).count();
            Some((head.clone(), share(same, classes.len())))
        });
        let accuracy = self.classes.iter().filter_map(|(head, classes)| {
            let known = self.known.get(head)?;
            let judged = classes.iter().zip(&self.labels);
            let judged = judged.filter_map(|(class, label)| Some((class, label.as_ref()?)));
            let judged: Vec<_> = judged.filter(|(_, label)| known.contains(label)).collect();
            let right = judged.iter().filter(|(class, label)| class == label).count();
            (!judged.is_empty()).then(|| (head.clone(), share(right, judged.len())))
        });
        let angle = match (&self.projection, &full.projection) {
            (Some(a), Some(b)) => Some(b.angle(a)?),
            _ => None,
        };
        Ok(Effect {
            precision: self.precision,
            arithmetic: self.arithmetic.clone(),
            seconds: self.seconds / self.rows().max(1) as f64,
            error: (all / norm.max(f64::MIN_POSITIVE)).sqrt(),
            worst_error: worst,
            angle,
            agreement: agreement.collect(),
            accuracy: accuracy.collect(),
        })
    }
}
