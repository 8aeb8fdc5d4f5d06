//! What the packed weights are made of: known before any weight is.

use super::super::fold::Folded;
use super::super::network::{Activation, Conv, Linear, Padding};
use super::super::weights::{Checked, WeightSource};
use super::buffer::Buffer;
use super::interleaved;
use super::layer::blocks;
use super::pack;
use super::reduced::{self, Engine};
use super::simd::LANES;
use super::winograd::{Size, few};
use crate::{Error, ErrorKind, Result, Stage, state::Checksum};
use alloc::{format, vec::Vec};

/// What has weights.
#[derive(Clone, Copy)]
pub(super) enum Operation<'g> {
    Conv(&'g Conv),
    Linear(&'g Linear),
}

impl Operation<'_> {
    /// Channels in and out.
    pub(super) fn sizes(self) -> [usize; 2] {
        match self {
            Self::Conv(c) => [c.channels_in, c.channels_out],
            Self::Linear(l) => [l.features_in, l.features_out],
        }
    }

    fn kernel(self) -> [usize; 2] {
        match self {
            Self::Conv(c) => c.kernel,
            Self::Linear(_) => [1, 1],
        }
    }

    fn taps(self) -> usize {
        self.kernel().into_iter().product()
    }

    fn folded<'w>(self, weights: &'w dyn WeightSource) -> Result<Folded<'w>> {
        match self {
            Self::Conv(c) => Folded::conv(c, weights),
            Self::Linear(l) => Folded::linear(l, weights),
        }
    }

    /// What tells it from operations whose weights look alike.
    fn describe(self, mut word: impl FnMut(u64)) {
        let (name, activation) = match self {
            Self::Conv(c) => (&c.name, c.activation),
            Self::Linear(l) => (&l.name, l.activation),
        };
        name.bytes().for_each(|b| word(b.into()));
        self.sizes().into_iter().for_each(|n| word(n as u64));
        word(match activation {
            Activation::None => 0,
            Activation::Relu => 1,
            Activation::Relu6 => 2,
        });
        if let Self::Conv(c) = self {
            let Padding { top, left, bottom, right } = c.padding;
            let padding = [top, left, bottom, right, c.groups];
            c.kernel.into_iter().chain(c.stride).chain(padding).for_each(|n| word(n as u64));
            word(c.norm.as_ref().map_or(0, |n| n.epsilon.to_bits().into()));
        }
    }
}

/// The form a kernel reads weights in.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// Panels, for groups of `group` input channels.
    Product { group: usize },
    /// The same for every point, transformed.
    Winograd(Size),
    /// Its taps, to be transformed when they are read.
    WinogradTaps,
    /// A filter a channel.
    Depthwise,
    /// As an engine of reduced precision reads them.
    Reduced(&'static Engine),
    /// The same for interleaved rows.
    Interleaved(&'static Engine),
}

impl Form {
    /// What tells it from other forms.
    fn describe(self) -> [usize; 4] {
        match self {
            Self::Product { group } => [0, group, 0, 0],
            Self::Winograd(size) => [1, size.points(), 0, 0],
            Self::WinogradTaps => [1, 0, 0, 0],
            Self::Depthwise => [2, 0, 0, 0],
            Self::Reduced(e) => {
                [3 + usize::from(e.form.is_integer()), e.words << 8 | e.weights, e.nb, e.whole.into()]
            }
            Self::Interleaved(e) => [5, e.weights, e.nb, 0],
        }
    }
}

/// Biases and weights, one operation after the other.
pub(super) struct Packing<'g> {
    items: Vec<(Operation<'g>, Form)>,
    floats: usize,
    /// Blocks in a panel of full precision.
    nb: usize,
}

impl<'g> Packing<'g> {
    pub(super) fn new(nb: usize) -> Self {
        Self { items: Vec::new(), floats: 0, nb }
    }

    /// Floats so far.
    pub(super) fn floats(&self) -> usize {
        self.floats
    }

    /// One more operation: the places of its weights and of its bias.
    pub(super) fn push(&mut self, op: Operation<'g>, form: Form) -> [usize; 2] {
        let [channels, out] = op.sizes();
        let row = blocks(out) * LANES;
        let (head, rows) = match form {
            Form::Product { .. } => (0, channels.saturating_mul(op.taps())),
            Form::Winograd(size) => (0, channels.saturating_mul(size.matrices())),
            Form::WinogradTaps => (0, channels.saturating_mul(few::TAPS)),
            Form::Depthwise => (0, op.taps()),
            Form::Reduced(engine) => {
                (engine.head().saturating_mul(row), engine.rows(channels).saturating_mul(op.taps()))
            }
            Form::Interleaved(engine) => {
                let [rows, columns] = op.kernel();
                let taps = interleaved::steps(channels, columns).saturating_mul(rows);
                (0, taps.saturating_mul(engine.rows(interleaved::LINE)))
            }
        };
        // Saturated sums find no memory.
        let bias = self.floats;
        let weights = bias.saturating_add(row).saturating_add(head);
        self.floats = weights.saturating_add(rows.saturating_mul(row));
        self.items.push((op, form));
        [weights, bias]
    }

    /// Folds and packs all of them.
    ///
    /// # Errors
    /// What `weights` returns for a missing or misshapen tensor; [`Shape`](ErrorKind::Shape) and
    /// [`NonFinite`](ErrorKind::NonFinite) for values that can't be a network's; [`Limit`](ErrorKind::Limit) if
    /// the memory isn't there.
    pub(super) fn pack(&self, weights: &dyn WeightSource) -> Result<Buffer> {
        let (weights, mut packed) = (Checked(weights), Buffer::with_capacity(self.floats)?);
        for (op, form) in &self.items {
            let (folded, sizes, taps) = (op.folded(&weights)?, op.sizes(), op.taps());
            pack::bias(&mut packed, &folded);
            match form {
                Form::Product { group } => pack::product(&mut packed, &folded, sizes, taps, *group, self.nb),
                Form::Winograd(size) => pack::winograd(&mut packed, &folded, sizes, self.nb, *size),
                Form::WinogradTaps => pack::winograd_taps(&mut packed, &folded, sizes),
                Form::Depthwise => pack::depthwise(&mut packed, &folded, sizes[0], taps),
                Form::Reduced(engine) => reduced::pack(&mut packed, &folded, sizes, taps, engine),
                Form::Interleaved(engine) => {
                    reduced::pack_interleaved(&mut packed, &folded, sizes, op.kernel(), engine);
                }
            }
        }
        // Kernels read where the plan says, without a look at the length.
        if packed.len() != self.floats {
            let m = format!(
                "{} floats were packed and {} planned; this is a defect of fruitcore, please report it",
                packed.len(),
                self.floats
            );
            return Err(Error::new(ErrorKind::Shape, Stage::Featurize, m));
        }
        Ok(packed)
    }

    /// Equal for packings whose weights serve each other.
    pub(super) fn digest(&self) -> u64 {
        let mut digest = Checksum::default();
        let mut word = |n: u64| digest.update(&n.to_le_bytes());
        word(self.nb as u64);
        for (op, form) in &self.items {
            form.describe().into_iter().for_each(|n| word(n as u64));
            op.describe(&mut word);
        }
        digest.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::network::{Graph, Norm, Op, Value};
    use super::super::tests::Seeded;
    use super::super::{Plan, PlanOptions};
    use super::*;
    use alloc::{borrow::Cow, string::String};

    /// Changes one tensor.
    struct Damaged(&'static str, fn(&mut Vec<f32>));

    impl WeightSource for Damaged {
        fn names(&self) -> Vec<String> {
            Vec::new()
        }

        fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
            let mut values = Seeded(5).tensor(name, shape)?.into_owned();
            if name == self.0 {
                (self.1)(&mut values);
            }
            Ok(values.into())
        }
    }

    #[test]
    fn a_source_that_gives_something_else_is_refused() {
        let mut graph = Graph::new([3, 6, 6]);
        let conv = Conv {
            name: "c".into(),
            channels_in: 3,
            channels_out: 40,
            kernel: [1, 1],
            stride: [1, 1],
            padding: Padding::default(),
            groups: 1,
            bias: true,
            norm: Some(Norm { name: "n".into(), epsilon: 1e-5 }),
            residual: None,
            activation: Activation::Relu,
        };
        let value = graph.push(Value::Input, Op::Conv(conv)).unwrap();
        let pooled = graph.push(value, Op::GlobalAvgPool).unwrap();
        let name = "fc".into();
        let linear = Linear { name, features_in: 40, features_out: 40, activation: Activation::None };
        graph.push(pooled, Op::Linear(linear)).unwrap();
        let plan = |name, change| Plan::new(&graph, &Damaged(name, change), &PlanOptions::default());
        assert!(plan("", |_| ()).is_ok());
        for (name, change, kind) in [
            ("c.weight", (|v| v.truncate(60)) as fn(&mut Vec<f32>), ErrorKind::Shape),
            ("c.weight", |v| v.push(1.0), ErrorKind::Shape),
            ("c.bias", |v| v.truncate(1), ErrorKind::Shape),
            ("n.weight", Vec::clear, ErrorKind::Shape),
            ("n.running_var", |v| v[7] = -1.0, ErrorKind::NonFinite),
            ("n.running_mean", |v| v[0] = f32::NAN, ErrorKind::NonFinite),
            // Too short by whole lines: what is packed would end before its kernels do.
            ("fc.bias", |v| v.truncate(8), ErrorKind::Shape),
            ("fc.bias", |v| v.resize(64, 0.0), ErrorKind::Shape),
            ("fc.weight", |v| v[3] = f32::INFINITY, ErrorKind::NonFinite),
        ] {
            let e = plan(name, change).err().unwrap();
            assert_eq!((e.kind(), e.object()), (kind, Some(name)), "{e}");
        }
    }
}
