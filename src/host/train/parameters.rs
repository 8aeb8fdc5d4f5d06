//! A network's tensors on the host, what AdamW remembers of each, and their moving average.

use super::fail;
use crate::featurize::network::{Graph, Op};
use crate::featurize::weights::{RandomWeights, WeightSource};
use crate::rng::Rng;
use crate::{ErrorKind, Result};
use alloc::{
    borrow::Cow, collections::BTreeMap, collections::BTreeSet, format, string::String, vec, vec::Vec,
};

const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;
/// Share of a batch in running statistics, as in PyTorch.
const MOMENTUM: f32 = 0.1;
/// Gradients are scaled down to this norm.
const LONGEST: f64 = 5.0;

/// One tensor.
#[derive(Clone)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
    /// Moving average of `values`.
    pub(super) average: Vec<f32>,
    /// AdamW's moments; empty for what gets no gradient.
    pub(super) moments: [Vec<f32>; 2],
    /// Whether it decays: matrices and filters do.
    decays: bool,
}

impl Parameter {
    fn new(name: String, shape: Vec<usize>, values: Vec<f32>, trained: bool) -> Self {
        let n = if trained { values.len() } else { 0 };
        let decays = shape.len() > 1;
        Self { name, shape, average: values.clone(), values, moments: [vec![0.0; n], vec![0.0; n]], decays }
    }

    pub(super) fn trained(&self) -> bool {
        !self.moments[0].is_empty()
    }
}

/// All of them.
#[derive(Clone)]
pub(super) struct Parameters {
    pub(super) all: Vec<Parameter>,
    by_name: BTreeMap<String, usize>,
    /// Steps done.
    pub(super) step: u64,
}

/// A head's tensors are named `heads.NAME.weight` `[classes, features]` and `heads.NAME.bias`.
pub(super) fn head(name: &str) -> [String; 2] {
    ["weight", "bias"].map(|part| format!("heads.{name}.{part}"))
}

impl Parameters {
    /// The network's from `from` or random, heads small and random.
    pub(super) fn new(
        graph: &Graph,
        heads: &[(&str, usize)],
        from: Option<&dyn WeightSource>,
        frozen: usize,
        seed: u64,
    ) -> Result<Self> {
        let fixed: BTreeSet<String> = layer_names(graph, frozen)?;
        let random = RandomWeights::new(graph, seed);
        let source: &dyn WeightSource = from.unwrap_or(&random);
        let mut all = Vec::new();
        for (name, shape) in graph.parameters() {
            let values = source.tensor(&name, &shape)?.into_owned();
            let layer = name.rsplit_once('.').map_or("", |(layer, _)| layer);
            let trained = !name.contains(".running_") && !fixed.contains(layer);
            all.push(Parameter::new(name, shape, values, trained));
        }
        let mut rng = Rng::new(seed ^ 0x6865_6164);
        for &(name, classes) in heads {
            let [weight, bias] = head(name);
            let columns = graph.feature_len();
            let values = (0..classes * columns).map(|_| (rng.unit() as f32 - 0.5) * 0.04).collect();
            // A checkpoint that was trained here may have the head, too.
            let found = |name: &str, shape: &[usize]| from.and_then(|f| f.tensor(name, shape).ok());
            let values = found(&weight, &[classes, columns]).map_or(values, Cow::into_owned);
            let biases = found(&bias, &[classes]).map_or_else(|| vec![0.0; classes], Cow::into_owned);
            all.push(Parameter::new(weight, vec![classes, columns], values, true));
            all.push(Parameter::new(bias, vec![classes], biases, true));
        }
        let by_name = all.iter().enumerate().map(|(i, p)| (p.name.clone(), i)).collect();
        Ok(Self { all, by_name, step: 0 })
    }

    pub(super) fn get(&self, name: &str) -> Option<&Parameter> {
        self.by_name.get(name).and_then(|&i| self.all.get(i))
    }

    /// One step of AdamW (Loshchilov & Hutter 2019); `gradients` by index. Returns their norm.
    ///
    /// # Errors
    /// [`ErrorKind::NonFinite`] if it isn't finite; nothing is changed then.
    pub(super) fn update(
        &mut self,
        gradients: &[Option<Vec<f32>>],
        rate: f64,
        decay: f64,
        average: f64,
    ) -> Result<f64> {
        let squares = gradients.iter().flatten().flatten().map(|&g| f64::from(g) * f64::from(g));
        let norm = libm::sqrt(squares.sum::<f64>());
        if !norm.is_finite() {
            return Err(fail(ErrorKind::NonFinite, format!("the gradient is {norm}; lower --learning-rate")));
        }
        self.step += 1;
        let clip = (LONGEST / norm.max(1e-12)).min(1.0) as f32;
        let corrections = BETA.map(|b| 1.0 - libm::pow(b, self.step as f64));
        let (size, root) = ((rate / corrections[0]) as f32, (1.0 / libm::sqrt(corrections[1])) as f32);
        let [b1, b2] = BETA.map(|b| b as f32);
        for (p, gradient) in self.all.iter_mut().zip(gradients) {
            let Some(gradient) = gradient else { continue };
            let shrink = if p.decays { 1.0 - (rate * decay) as f32 } else { 1.0 };
            let [first, second] = &mut p.moments;
            for (((v, &g), m), s) in p.values.iter_mut().zip(gradient).zip(first).zip(second) {
                let g = g * clip;
                *m = b1 * *m + (1.0 - b1) * g;
                *s = b2 * *s + (1.0 - b2) * g * g;
                *v = *v * shrink - size * *m / (s.sqrt() * root + EPSILON as f32);
            }
        }
        self.follow(average);
        Ok(norm)
    }

    /// The average moves; faster at the beginning.
    fn follow(&mut self, decay: f64) {
        let steps = self.step as f64;
        let keep = decay.min((1.0 + steps) / (10.0 + steps)) as f32;
        for p in &mut self.all {
            p.average.iter_mut().zip(&p.values).for_each(|(a, v)| *a += (1.0 - keep) * (v - *a));
        }
    }

    /// Running statistics take in a batch's.
    pub(super) fn observe(&mut self, norm: &str, mean: &[f32], variance: &[f32]) {
        for (part, seen) in [("running_mean", mean), ("running_var", variance)] {
            if let Some(p) = self.by_name.get(&format!("{norm}.{part}")).and_then(|&i| self.all.get_mut(i)) {
                p.values.iter_mut().zip(seen).for_each(|(r, s)| *r += MOMENTUM * (s - *r));
            }
        }
    }

    pub(super) fn averages(&self) -> Averages<'_> {
        Averages(self)
    }
}

/// The layers and norms of the first `frozen` layers with weights.
pub(super) fn layer_names(graph: &Graph, frozen: usize) -> Result<BTreeSet<String>> {
    let mut layers = 0;
    let mut names = BTreeSet::new();
    for node in graph.nodes() {
        let (name, norm) = match &node.op {
            Op::Conv(c) => (&c.name, c.norm.as_ref()),
            Op::Linear(l) => (&l.name, None),
            _ => continue,
        };
        layers += 1;
        if layers <= frozen {
            names.insert(name.clone());
            names.extend(norm.map(|n| n.name.clone()));
        }
    }
    if frozen > layers {
        let m = format!("{frozen} layers can't be frozen: the network has {layers}");
        return Err(fail(ErrorKind::InvalidArgument, m));
    }
    Ok(names)
}

/// The moving average as a network's weights.
pub(super) struct Averages<'a>(&'a Parameters);

impl WeightSource for Averages<'_> {
    fn names(&self) -> Vec<String> {
        self.0.all.iter().map(|p| p.name.clone()).collect()
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        match self.0.get(name) {
            Some(p) if p.shape == shape => Ok(Cow::Borrowed(&p.average)),
            _ => Err(fail(ErrorKind::NotFound, format!("no tensor of shape {shape:?} in training")).at(name)),
        }
    }
}
