//! A plan's packed weights as bytes that a program carries with it.

use super::super::network::Graph;
use super::buffer::{self, Weights};
use super::plan::{Plan, PlanOptions};
use crate::{Error, ErrorKind, Result, Stage, state::checksum};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

const MAGIC: [u8; 8] = *b"fruitpln";
/// Of the header and of how weights are packed.
const VERSION: u32 = 1;
/// Where digest, number of weights and checksum start, each of 8 bytes, and what the label takes.
const DIGEST: usize = 16;
const LABEL: usize = 24;
/// A cache line, so that what follows starts on one.
const HEADER: usize = DIGEST + 24 + LABEL;

/// Something that starts on a cache line, as [`Plan::from_bytes`] wants it.
///
/// ```
/// use fruitcore::featurize::kernels::Aligned;
///
/// // In a program: &Aligned(*include_bytes!("fruit.plan"))
/// static PLAN: &Aligned<[u8]> = &Aligned(*b"packed weights");
/// assert_eq!(PLAN.0.as_ptr().align_offset(64), 0);
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Aligned<T: ?Sized>(pub T);

impl Plan {
    /// The folded and packed weights, for [`from_bytes`](Self::from_bytes): in the order of this plan's
    /// kernels, `weight_bytes` and a header of 64 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let weights = self.weights.as_slice();
        let body: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.resize(DIGEST, 0);
        bytes.extend(self.digest.to_le_bytes());
        bytes.extend((weights.len() as u64).to_le_bytes());
        bytes.extend(checksum(&body).to_le_bytes());
        bytes.extend(self.label());
        bytes.extend(body);
        bytes
    }

    /// A plan that reads its weights where they lie, from what [`to_bytes`](Self::to_bytes) of a plan for
    /// the same graph with the same options returned, perhaps on another machine: nothing is folded,
    /// packed or copied. On a board weights stay in flash; memory is needed for the list of layers and
    /// the [`Workspace`](super::Workspace).
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use fruitcore::featurize::kernels::{Isa, Plan, PlanOptions};
    /// use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
    /// use fruitcore::featurize::{NetworkFeaturizer, weights::RandomWeights};
    ///
    /// // Where there is room, for a board without vector instructions:
    /// let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).graph()?;
    /// let mut options = PlanOptions::default();
    /// (options.isa, options.micro_batch) = (Isa::Plain, 1);
    /// let plan = Plan::new(&graph, &RandomWeights::new(&graph, 7), &options)?;
    /// let bytes = plan.to_bytes();
    ///
    /// // On the board: static PLAN: &Aligned<[u8]> = &Aligned(*include_bytes!("fruit.plan"));
    /// # let mut room = vec![0; bytes.len() + 64];
    /// # let at = room.as_ptr().align_offset(64);
    /// # room[at..at + bytes.len()].copy_from_slice(&bytes);
    /// # let flash: &'static [u8] = &room.leak()[at..at + bytes.len()];
    /// let plan = Plan::from_bytes(&graph, flash, &options)?;
    /// let mut features = [0.0; 1280];
    /// plan.run(&mut plan.workspace()?, &[0.5; 3 * 32 * 32], &mut features)?;
    /// // Or, for a pipeline:
    /// let network = NetworkFeaturizer::from_plan(plan, &Device::flex());
    /// # assert_eq!(fruitcore::Featurizer::feature_len(&network), features.len());
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if the bytes are no packed plan or cut,
    /// [`Checksum`](ErrorKind::Checksum) if they are damaged; [`Mismatch`](ErrorKind::Mismatch) if they are of another network, other options or other
    /// instructions; [`InvalidArgument`](ErrorKind::InvalidArgument) if they don't start on a cache line
    /// ([`Aligned`]); otherwise as [`Plan::new`].
    pub fn from_bytes(graph: &Graph, bytes: &'static [u8], options: &PlanOptions) -> Result<Self> {
        let (plan, packing) = Self::without_weights(graph, options)?;
        let header = Header::read(bytes)?;
        if header.digest != plan.digest || header.floats != packing.floats() as u64 {
            return Err(plan.differs(&header));
        }
        if cfg!(target_endian = "big") {
            let m = "packed weights are little-endian; build the plan from a checkpoint on this processor";
            return Err(error(ErrorKind::Unsupported, m));
        }
        let body = bytes.get(HEADER..).unwrap_or_default();
        let Some(weights) = buffer::floats(body) else {
            let m = "a packed plan must start at a multiple of 64 bytes; put it into kernels::Aligned";
            return Err(error(ErrorKind::InvalidArgument, m));
        };
        if checksum(body) != header.checksum {
            return Err(error(ErrorKind::Checksum, "the packed plan is damaged; write it again"));
        }
        Ok(Self { weights: Weights::Lent(weights), ..plan })
    }

    /// Instructions and precision, padded.
    fn label(&self) -> [u8; LABEL] {
        let mut label = [b' '; LABEL];
        let text = format!("{} {}", self.isa().name(), self.precision());
        label.iter_mut().zip(text.bytes()).for_each(|(to, byte)| *to = byte);
        label
    }

    /// Why weights with this header aren't for this plan.
    fn differs(&self, header: &Header) -> Error {
        let [found, expected] =
            [&header.label, &self.label()].map(|l| String::from_utf8_lossy(l).trim_end().to_owned());
        let m = if found == expected {
            "another network, input size, micro-batch or processor".to_owned()
        } else {
            format!("{found}, not {expected}")
        };
        let m = format!("the plan was packed for {m}; give the options it was packed with, or pack it anew");
        error(ErrorKind::Mismatch, &m)
    }
}

struct Header {
    digest: u64,
    floats: u64,
    checksum: u64,
    label: [u8; LABEL],
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self> {
        let foreign =
            || error(ErrorKind::Corrupt, "these bytes are no packed plan; write one by Plan::to_bytes");
        let rest = bytes.strip_prefix(&MAGIC).ok_or_else(foreign)?;
        let version = rest.first_chunk().copied().map(u32::from_le_bytes).ok_or_else(foreign)?;
        if version != VERSION {
            let m = format!("a packed plan of version {version}, this build reads {VERSION}; pack it anew");
            return Err(error(ErrorKind::Unsupported, &m));
        }
        let numbers = bytes.get(DIGEST..).and_then(<[u8]>::first_chunk::<24>).ok_or_else(foreign)?;
        let label = bytes.get(HEADER - LABEL..).and_then(<[u8]>::first_chunk).ok_or_else(foreign)?;
        let (numbers, _) = numbers.as_chunks();
        let [digest, floats, checksum] = core::array::from_fn(|i| u64::from_le_bytes(numbers[i]));
        let (found, expected) = (bytes.len() as u64, floats.saturating_mul(4).saturating_add(HEADER as u64));
        if found != expected {
            let m = format!("the packed plan has {found} bytes of {expected}; copy it whole");
            return Err(error(ErrorKind::Corrupt, &m));
        }
        Ok(Self { digest, floats, checksum, label: *label })
    }
}

fn error(kind: ErrorKind, message: &str) -> Error {
    Error::new(kind, Stage::Featurize, message)
}

#[cfg(test)]
mod tests {
    use super::super::super::network::{Graph, NetworkKind, NetworkSpec, Variant};
    use super::super::tests::Seeded;
    use super::super::{Isa, Precision};
    use super::*;
    use alloc::{vec, vec::Vec};

    fn graph(kind: NetworkKind, side: usize) -> Graph {
        NetworkSpec::new(kind)
            .width(if kind == NetworkKind::MobileNetV2 { 0.35 } else { 1.0 })
            .input(side, side)
            .graph()
            .unwrap()
    }

    /// These bytes from a cache line on, for the rest of the program.
    fn flash(bytes: &[u8]) -> &'static [u8] {
        let room = vec![0; bytes.len() + HEADER].leak();
        let at = room.as_ptr().align_offset(HEADER);
        room[at..at + bytes.len()].copy_from_slice(bytes);
        &room[at..at + bytes.len()]
    }

    fn features(plan: &Plan) -> Vec<f32> {
        let pictures: Vec<f32> =
            (0..plan.input_shape().iter().product()).map(|i: usize| (i % 97) as f32 / 50.0 - 1.0).collect();
        let mut features = vec![0.0; plan.feature_len()];
        plan.run(&mut plan.workspace().unwrap(), &pictures, &mut features).unwrap();
        features
    }

    #[test]
    fn lent_weights_give_the_same_features() {
        let kinds = [(NetworkKind::MobileNetV2, 32), (NetworkKind::Resnet50, 40)];
        let kinds = if cfg!(miri) { &kinds[..1] } else { &kinds[..] };
        for &(kind, side) in kinds {
            let graph = graph(kind, side);
            for (isa, precision) in
                Isa::ALL.into_iter().flat_map(|i| Precision::CPU.iter().map(move |p| (i, *p)))
            {
                let options = PlanOptions { isa, precision, ..Default::default() };
                if !isa.is_supported() || cfg!(miri) && !precision.is_full() {
                    continue;
                }
                let own = Plan::new(&graph, &Seeded(3), &options).unwrap();
                let lent = Plan::from_bytes(&graph, flash(&own.to_bytes()), &options).unwrap();
                assert_eq!(features(&lent), features(&own), "{}", own.arithmetic());
                assert_eq!(lent.weight_bytes(), own.weight_bytes());
                assert!(matches!(lent.weights, Weights::Lent(_)));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mobilenet = graph(NetworkKind::MobileNetV2, 32);
        let options = PlanOptions { isa: Isa::Plain, micro_batch: 1, ..Default::default() };
        let bytes = Plan::new(&mobilenet, &Seeded(3), &options).unwrap().to_bytes();
        let refused = |graph: &Graph, bytes: &'static [u8], options: &PlanOptions, kind, says: &str| {
            let e = Plan::from_bytes(graph, bytes, options).err().unwrap();
            assert_eq!(e.kind(), kind, "{e}");
            assert!(e.message().contains(says), "{e}");
        };
        let whole = flash(&bytes);
        let int8 = PlanOptions { precision: Precision::Int8, ..options };
        refused(&mobilenet, whole, &int8, ErrorKind::Mismatch, "plain f32, not plain int8");
        let keras =
            NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).variant(Variant::Keras);
        for other in [graph(NetworkKind::Vgg16, 32), keras.graph().unwrap()] {
            refused(&other, whole, &options, ErrorKind::Mismatch, "another network");
        }
        let line = bytes.len() - 64;
        for cut in [0, 7, 15, 63, 64, line] {
            let kind = ErrorKind::Corrupt;
            refused(
                &mobilenet,
                flash(&bytes[..cut]),
                &options,
                kind,
                if cut < 64 { "no packed plan" } else { "bytes of" },
            );
        }
        let changed = |at: usize| {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            flash(&changed)
        };
        refused(&mobilenet, changed(0), &options, ErrorKind::Corrupt, "no packed plan");
        refused(&mobilenet, changed(8), &options, ErrorKind::Unsupported, "version 0");
        refused(&mobilenet, changed(line), &options, ErrorKind::Checksum, "damaged");
        let mut shifted = vec![0; 4];
        shifted.extend(&bytes);
        refused(&mobilenet, &flash(&shifted)[4..], &options, ErrorKind::InvalidArgument, "Aligned");
    }
}
