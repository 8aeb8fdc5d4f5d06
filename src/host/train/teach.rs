//! Targets that trained models give: distillation.

use super::{Batch, DataSet, TrainOptions, fail, report::features};
use crate::classify::Head;
use crate::featurize::{Featurizer, NetworkFeaturizer};
use crate::host::run::hex;
use crate::model::ModelFile;
use crate::pca::Rows;
use crate::preprocess::Step;
use crate::{ErrorKind, Result};
use alloc::{format, string::String, sync::Arc, vec, vec::Vec};
use burn::tensor::{DType, Device, Tensor, TensorData};
use core::fmt;
use sha2::{Digest, Sha256};

/// Trained models whose answers are learned beside the labels (Hinton, Vinyals & Dean 2015): each looks
/// at the very pictures of every step, cropped and mixed as they are (Beyer et al. 2022), and the mean
/// of their probabilities takes a share of the targets.
///
/// A small network learns more from what larger ones, or several like itself, hold probable than from
/// names alone, and it can't learn by heart answers that change with every crop.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use fruitcore::host::train::Teachers;
/// let teachers = Teachers::new([fruitcore::model::BUNDLED], 0.7)?;
/// assert_eq!((teachers.count(), teachers.share()), (1, 0.7));
/// assert!(Teachers::new([fruitcore::model::BUNDLED], 1.5).is_err());
/// # }
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone)]
pub struct Teachers {
    models: Vec<Arc<[u8]>>,
    share: f32,
}

impl Teachers {
    /// `models` are files that training wrote; `share` of the targets is theirs, the rest the labels'.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no model or a share outside 0 to 1; as [`ModelFile::from_bytes`].
    pub fn new<M: Into<Arc<[u8]>>>(models: impl IntoIterator<Item = M>, share: f32) -> Result<Self> {
        let models: Vec<Arc<[u8]>> = models.into_iter().map(Into::into).collect();
        if models.is_empty() || !(0.0..=1.0).contains(&share) {
            let m = format!("{} teachers with a share of {share}; name one, and use 0 to 1", models.len());
            return Err(fail(ErrorKind::InvalidArgument, m));
        }
        for (i, model) in models.iter().enumerate() {
            ModelFile::from_bytes(model).map_err(|e| e.at(numbered(i)))?;
        }
        Ok(Self { models, share })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.models.len()
    }

    /// How much of the targets is theirs.
    pub fn share(&self) -> f32 {
        self.share
    }

    /// What tells them from others.
    pub(super) fn id(&self) -> String {
        let digests: Vec<String> = self.models.iter().map(|m| hex(&Sha256::digest(m))).collect();
        format!("{} of {}", self.share, digests.join(", "))
    }

    /// Loads them, and makes sure that they fit, before hours of training.
    pub(super) fn load(&self, sets: &[DataSet], options: &TrainOptions) -> Result<School> {
        let load = |(i, model): (usize, &Arc<[u8]>)| {
            Teacher::load(model, sets, options).map_err(|e| e.at(numbered(i)))
        };
        let teachers = self.models.iter().enumerate().map(load).collect::<Result<_>>()?;
        Ok(School { teachers, device: options.device.clone().inner(), share: self.share })
    }
}

impl fmt::Debug for Teachers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teachers").field("id", &self.id()).finish_non_exhaustive()
    }
}

fn numbered(i: usize) -> String {
    format!("teacher {}", i + 1)
}

/// Teachers at work, on one device.
pub(super) struct School {
    teachers: Vec<Teacher>,
    device: Device,
    share: f32,
}

struct Teacher {
    network: NetworkFeaturizer,
    /// For each data set, if it has such a head.
    heads: Vec<Option<Head>>,
}

impl Teacher {
    fn load(model: &[u8], sets: &[DataSet], options: &TrainOptions) -> Result<Self> {
        let file = ModelFile::from_bytes(model)?;
        let wrong = |m: String| Err(fail(ErrorKind::Mismatch, m));
        let ([h, w], [height, width]) = (options.network.input, file.network().input);
        if [h, w] != [height, width] {
            return wrong(format!(
                "it looks at {height}x{width} pixels, training at {h}x{w}; make them equal by --input-size"
            ));
        }
        if file.recipe().steps().last() != options.recipe.steps().last() {
            let method = |steps: &[Step]| steps.last().map(|s| format!("{s:?}")).unwrap_or_default();
            return wrong(format!(
                "it takes {}, training {}; give both the same --recipe",
                method(file.recipe().steps()),
                method(options.recipe.steps())
            ));
        }
        let mut found = file.heads()?;
        let heads: Vec<Option<Head>> = sets
            .iter()
            .map(|s| {
                let own = found.iter().position(|h| s.owns(h));
                own.map(|at| found.swap_remove(at))
            })
            .collect();
        if heads.iter().all(Option::is_none) {
            let names: Vec<&str> = sets.iter().map(|s| s.name.as_str()).collect();
            return wrong(format!(
                "it has no head of the same name and classes as any data set ({}); train it on one of them",
                names.join(", ")
            ));
        }
        let device = options.device.clone().inner();
        let network = NetworkFeaturizer::new(&file.network().graph()?, file.weights(), &device)?;
        Ok(Self { network, heads })
    }
}

impl School {
    /// Gives the targets the teachers' share. A picture that two sets share, mixed, has the answers of
    /// both heads, each as much as the label has.
    pub(super) fn teach(&self, batch: &mut Batch, [h, w]: [usize; 2]) -> Result<()> {
        let n = batch.pictures;
        let mut sums: Vec<Vec<f32>> = batch.targets.iter().map(|t| vec![0.0; t.len()]).collect();
        let mut answered = vec![0u16; sums.len()];
        let data = TensorData::new(batch.input.clone(), [n, 3, h, w]);
        let input = Tensor::<4>::from_data(data, (&self.device, DType::F32));
        for teacher in &self.teachers {
            let features = features(&teacher.network, input.clone())?;
            let rows = Rows::new(&features, teacher.network.feature_len())?;
            for ((head, sum), answered) in teacher.heads.iter().zip(&mut sums).zip(&mut answered) {
                let Some(head) = head else { continue };
                let mut own = vec![0.0; sum.len()];
                head.probabilities_of(rows, &mut own)?;
                sum.iter_mut().zip(own).for_each(|(s, p)| *s += p);
                *answered += 1;
            }
        }
        for ((targets, sum), answered) in batch.targets.iter_mut().zip(&sums).zip(answered) {
            if answered == 0 {
                continue;
            }
            let classes = (targets.len() / n.max(1)).max(1);
            for (row, sum) in targets.chunks_exact_mut(classes).zip(sum.chunks_exact(classes)) {
                let theirs = self.share * row.iter().sum::<f32>() / f32::from(answered);
                row.iter_mut().zip(sum).for_each(|(t, s)| *t = (1.0 - self.share) * *t + theirs * s);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{Reads, softmax::Softmax};
    use crate::featurize::network::{NetworkKind, NetworkSpec};
    use crate::featurize::weights::RandomWeights;

    /// Two teachers, the second of whom knows both sets; no share reaches rows of other sets' pictures.
    #[test]
    fn targets_are_shared_among_labels_and_teachers() {
        let spec = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32);
        let (graph, device) = (spec.graph().unwrap(), Device::flex());
        let head = |classes: usize, bias: f32| {
            let names = (0..classes).map(|i| format!("{i}")).collect();
            let weights = (0..classes * 1280).map(|i| ((i * 7919 % 101) as f32 - 50.0) * 1e-3).collect();
            let biases = (0..classes).map(|i| bias * i as f32).collect();
            let softmax = Softmax::from_parts(names, weights, biases).unwrap();
            Head::new("x", Reads::Features, softmax).unwrap()
        };
        let teacher = |seed, heads| Teacher {
            network: NetworkFeaturizer::new(&graph, &RandomWeights::new(&graph, seed), &device).unwrap(),
            heads,
        };
        let heads = [vec![Some(head(2, 0.5)), None], vec![Some(head(2, -0.25)), Some(head(3, 0.125))]];
        let [first, second] = heads;
        let teachers = vec![teacher(1, first), teacher(2, second)];
        let mut school = School { teachers, device: device.clone(), share: 0.75 };
        let input: Vec<f32> = (0..3 * 3 * 32 * 32).map(|i| (i % 97) as f32 / 50.0 - 1.0).collect();
        // The second picture is mixed of both sets, the third is the other set's.
        let targets =
            vec![vec![0.9, 0.1, 0.4, 0.0, 0.0, 0.0], vec![0.0, 0.0, 0.0, 0.6, 0.0, 0.0, 0.0, 0.0, 1.0]];
        let batch = || Batch { input: input.clone(), pictures: 3, targets: targets.clone() };
        let mut taught = batch();
        school.teach(&mut taught, [32, 32]).unwrap();
        let answers: Vec<[f32; 2]> = school
            .teachers
            .iter()
            .map(|t| {
                let data = TensorData::new(input.clone(), [3, 3, 32, 32]);
                let input = Tensor::from_data(data, (&device, DType::F32));
                let features = features(&t.network, input).unwrap();
                let mut out = [0.0; 2];
                t.heads[0].as_ref().unwrap().probabilities(&features[..1280], &mut out).unwrap();
                out
            })
            .collect();
        assert!(answers[0] != answers[1]);
        for (i, label) in [0.9, 0.1].into_iter().enumerate() {
            let expected = 0.25 * label + 0.75 * (answers[0][i] + answers[1][i]) / 2.0;
            assert!((taught.targets[0][i] - expected).abs() < 1e-6);
        }
        let sums = |t: &[f32], classes| t.chunks(classes).map(|r| r.iter().sum::<f32>()).collect::<Vec<_>>();
        for (classes, (before, after)) in [2, 3].into_iter().zip(targets.iter().zip(&taught.targets)) {
            for (b, a) in sums(before, classes).iter().zip(sums(after, classes)) {
                assert!((b - a).abs() < 1e-6, "{b} {a}");
            }
        }
        assert!(taught.targets[1][..3].iter().all(|&t| t == 0.0) && taught.targets[1][6] > 0.0);

        school.share = 0.0;
        let mut alone = batch();
        school.teach(&mut alone, [32, 32]).unwrap();
        assert_eq!(alone.targets, targets);
    }
}
