//! Dense convolutions as matrix products: over the pictures themselves for 1 × 1, over the windows
//! written out (im2col) otherwise.

use super::{flex, gemm};
use crate::featurize::network::Conv;
use alloc::{borrow::Cow, vec, vec::Vec};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

/// Sizes of one convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) channels: usize,
    pub(super) pictures: usize,
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    /// Above and left.
    pub(super) padding: [usize; 2],
}

impl Sizes {
    /// For an input of `[ci, n, h, w]`.
    pub(super) fn new([channels, pictures, h, w]: [usize; 4], c: &Conv) -> Self {
        let side = |n: usize, pad: usize, k: usize, s: usize| (n + pad - k) / s + 1;
        let p = c.padding;
        Self {
            channels,
            pictures,
            input: [h, w],
            output: [
                side(h, p.top + p.bottom, c.kernel[0], c.stride[0]),
                side(w, p.left + p.right, c.kernel[1], c.stride[1]),
            ],
            kernel: c.kernel,
            stride: c.stride,
            padding: [p.top, p.left],
        }
    }

    fn is_plain(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0] && self.input == self.output
    }

    /// Elements of a row of the window matrix.
    fn windows(&self) -> usize {
        self.pictures * self.output[0] * self.output[1]
    }

    /// Rows of the window matrix.
    fn taps(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// For tap `k` of one side: output places whose input lies inside, and the input place of the
    /// first.
    fn inside(&self, side: usize, k: usize) -> (core::ops::Range<usize>, usize) {
        let (n, s, pad) = (self.input[side], self.stride[side], self.padding[side]);
        let first = pad.saturating_sub(k).div_ceil(s);
        let end = if n + pad > k { ((n + pad - k - 1) / s + 1).min(self.output[side]) } else { 0 };
        (first..end.max(first), (first * s + k).saturating_sub(pad))
    }

    /// `[taps, windows]`.
    fn unfold<'a>(&self, x: &'a [f32]) -> Cow<'a, [f32]> {
        if self.is_plain() {
            return Cow::Borrowed(x);
        }
        let ([h, w], [oh, ow], [kh, kw]) = (self.input, self.output, self.kernel);
        let mut all = vec![0.0; self.taps() * self.windows()];
        all.par_chunks_mut(self.windows()).enumerate().for_each(|(row, out)| {
            let (channel, ky, kx) = (row / (kh * kw), row / kw % kh, row % kw);
            let (ys, y0) = self.inside(0, ky);
            let (xs, x0) = self.inside(1, kx);
            let pictures = x.chunks_exact(h * w).skip(channel * self.pictures);
            for (to, from) in out.chunks_exact_mut(oh * ow).zip(pictures) {
                for (i, oy) in ys.clone().enumerate() {
                    let line = &from[(y0 + i * self.stride[0]) * w + x0..];
                    let target = &mut to[oy * ow + xs.start..oy * ow + xs.end];
                    target.iter_mut().zip(line.iter().step_by(self.stride[1])).for_each(|(t, v)| *t = *v);
                }
            }
        });
        Cow::Owned(all)
    }

    /// What [`unfold`](Self::unfold) wrote out, summed up again.
    fn fold(&self, windows: Vec<f32>) -> Vec<f32> {
        if self.is_plain() {
            return windows;
        }
        let ([h, w], [oh, ow], [kh, kw]) = (self.input, self.output, self.kernel);
        let mut all = vec![0.0; self.channels * self.pictures * h * w];
        let per_channel = windows.par_chunks(kh * kw * self.windows());
        all.par_chunks_mut(self.pictures * h * w).zip(per_channel).for_each(|(out, rows)| {
            for (tap, row) in rows.chunks_exact(self.windows()).enumerate() {
                let (ys, y0) = self.inside(0, tap / kw);
                let (xs, x0) = self.inside(1, tap % kw);
                for (to, from) in out.chunks_exact_mut(h * w).zip(row.chunks_exact(oh * ow)) {
                    for (i, oy) in ys.clone().enumerate() {
                        let line = &mut to[(y0 + i * self.stride[0]) * w + x0..];
                        let source = &from[oy * ow + xs.start..oy * ow + xs.end];
                        let targets = line.iter_mut().step_by(self.stride[1]);
                        targets.zip(source).for_each(|(t, v)| *t += *v);
                    }
                }
            }
        });
        all
    }
}

#[derive(Debug)]
struct ConvBackward;

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    weight: FlexTensor,
    sizes: Sizes,
    outputs: usize,
}

impl Backward<Flex, 2> for ConvBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, weight_node] = ops.parents;
        let grad = flex::contiguous(grads.consume::<Flex>(&ops.node));
        let (grad, State { x, weight, sizes: s, outputs }) = (flex::values(&grad), ops.state);
        let (taps, windows) = (s.taps(), s.windows());
        if let Some(node) = weight_node {
            let columns = s.unfold(flex::values(&x));
            let d = gemm::product_transposed(grad, &columns, [outputs, taps, windows]);
            let shape = [outputs, s.channels, s.kernel[0], s.kernel[1]];
            grads.register::<Flex>(node.id, flex::tensor(d, shape));
        }
        drop(x);
        if let Some(node) = x_node {
            let d = gemm::product(flex::values(&weight), grad, [taps, outputs, windows], true);
            let shape = [s.channels, s.pictures, s.input[0], s.input[1]];
            grads.register::<Flex>(node.id, flex::tensor(s.fold(d), shape));
        }
    }
}

/// The convolution, unless its inputs live elsewhere.
pub(super) fn conv(x: &Tensor<4>, weight: &Tensor<4>, c: &Conv) -> Option<Tensor<4>> {
    let (xt, wt) = (flex::tracked(x)?, flex::tracked(weight)?);
    let (sizes, outputs) = (Sizes::new(x.dims(), c), c.channels_out);
    let prepared = ConvBackward.prepare::<NoCheckpointing>([xt.node(), wt.node()]).compute_bound().stateful();
    let [x, weight] = [xt, wt].map(|t| flex::contiguous(t.into_primitive()));
    let columns = sizes.unfold(flex::values(&x));
    let dims = [outputs, sizes.taps(), sizes.windows()];
    let y = gemm::product(flex::values(&weight), &columns, dims, false);
    drop(columns);
    let y = flex::tensor(y, [outputs, sizes.pictures, sizes.output[0], sizes.output[1]]);
    Some(flex::untracked(match prepared {
        OpsKind::Tracked(prep) => prep.finish(State { x, weight, sizes, outputs }, y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }))
}
