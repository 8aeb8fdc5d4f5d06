//! Depthwise convolutions. Each picture's plane is copied with its padding into a buffer where
//! columns are sorted by their remainder modulo the stride, so that every tap of an output row reads
//! one contiguous run.

use super::super::simd::Isa;
use super::lanes::vectorized;
use super::{conv::Sizes, flex};
use crate::featurize::network::Conv;
use alloc::{vec, vec::Vec};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

const LANES: usize = 8;

/// The sorted buffer of one plane: `[rows][stride][columns]`.
#[derive(Clone, Copy)]
struct Sorted {
    sizes: Sizes,
    /// Output columns, rounded up to whole vectors.
    width: usize,
    columns: usize,
    rows: usize,
}

impl Sorted {
    fn new(sizes: Sizes) -> Self {
        let width = sizes.output[1].next_multiple_of(LANES);
        let columns = width + (sizes.kernel[1] - 1) / sizes.stride[1];
        // Rows below the last window are never read, but may hold input.
        let windows = (sizes.output[0] - 1) * sizes.stride[0] + sizes.kernel[0];
        Self { sizes, width, columns, rows: windows.max(sizes.input[0] + sizes.padding[0]) }
    }

    fn len(&self) -> usize {
        self.rows * self.sizes.stride[1] * self.columns
    }

    /// Where column `x` of the input lies in its row.
    #[inline(always)]
    fn column(&self, x: usize) -> usize {
        let padded = x + self.sizes.padding[1];
        padded % self.sizes.stride[1] * self.columns + padded / self.sizes.stride[1]
    }

    /// Where tap `(ky, kx)` of output row `oy` begins.
    #[inline(always)]
    fn tap(&self, oy: usize, ky: usize, kx: usize, stride: [usize; 2]) -> usize {
        ((oy * stride[0] + ky) * stride[1] + kx % stride[1]) * self.columns + kx / stride[1]
    }

    /// Input columns that any window reads.
    fn read(&self) -> usize {
        let last = self.sizes.stride[1] * self.columns;
        self.sizes.input[1].min(last - self.sizes.padding[1].min(last))
    }

    #[inline(always)]
    fn sort(&self, plane: &[f32], buffer: &mut [f32]) {
        let line = self.sizes.stride[1] * self.columns;
        let rows = buffer.chunks_exact_mut(line).skip(self.sizes.padding[0]);
        for (to, from) in rows.zip(plane.chunks_exact(self.sizes.input[1])) {
            if self.sizes.stride[1] == 1 {
                let (start, n) = (self.sizes.padding[1], self.read());
                to[start..start + n].copy_from_slice(&from[..n]);
            } else {
                for (x, &v) in from.iter().enumerate().take(self.read()) {
                    to[self.column(x)] = v;
                }
            }
        }
    }

    #[inline(always)]
    fn unsort(&self, buffer: &[f32], plane: &mut [f32]) {
        let line = self.sizes.stride[1] * self.columns;
        let rows = buffer.chunks_exact(line).skip(self.sizes.padding[0]);
        for (to, from) in plane.chunks_exact_mut(self.sizes.input[1]).zip(rows) {
            for (x, v) in to.iter_mut().enumerate().take(self.read()) {
                *v = from[self.column(x)];
            }
        }
    }
}

/// Calls a body with the sizes of the usual filters as constants.
macro_rules! specialised {
    ($sizes:expr, |$kernel:ident, $stride:ident| $body:expr) => {
        match ($sizes.kernel, $sizes.stride) {
            ([3, 3], [1, 1]) => {
                let ($kernel, $stride) = ([3usize, 3], [1usize, 1]);
                $body
            }
            ([3, 3], [2, 2]) => {
                let ($kernel, $stride) = ([3usize, 3], [2usize, 2]);
                $body
            }
            ($kernel, $stride) => $body,
        }
    };
}

#[inline(always)]
fn load(from: &[f32], at: usize) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    lanes.copy_from_slice(&from[at..at + LANES]);
    lanes
}

#[inline(always)]
fn forward_plane(
    s: &Sorted,
    buffer: &[f32],
    filter: &[f32],
    out: &mut [f32],
    kernel: [usize; 2],
    stride: [usize; 2],
) {
    for (oy, row) in out.chunks_exact_mut(s.sizes.output[1]).enumerate() {
        for (block, part) in row.chunks_mut(LANES).enumerate() {
            let mut sum = [0.0f32; LANES];
            for ky in 0..kernel[0] {
                for kx in 0..kernel[1] {
                    let x = load(buffer, s.tap(oy, ky, kx, stride) + block * LANES);
                    let w = filter[ky * kernel[1] + kx];
                    for l in 0..LANES {
                        sum[l] += w * x[l];
                    }
                }
            }
            part.copy_from_slice(&sum[..part.len()]);
        }
    }
}

vectorized! {
    /// One channel of all pictures.
    fn forward(s: &Sorted, x: &[f32], filter: &[f32], out: &mut [f32]) {
        let [h, w] = s.sizes.input;
        let [oh, ow] = s.sizes.output;
        let mut buffer = vec![0.0; s.len()];
        for (x, y) in x.chunks_exact(h * w).zip(out.chunks_exact_mut(oh * ow)) {
            s.sort(x, &mut buffer);
            specialised!(s.sizes, |kernel, stride| forward_plane(s, &buffer, filter, y, kernel, stride));
        }
    }
}

/// `grad` is `[oh][width]` with zeros beyond the output's columns.
#[inline(always)]
fn weight_plane(
    s: &Sorted,
    buffer: &[f32],
    grad: &[f32],
    sums: &mut [[f32; LANES]],
    kernel: [usize; 2],
    stride: [usize; 2],
) {
    for ky in 0..kernel[0] {
        for kx in 0..kernel[1] {
            let sum = &mut sums[ky * kernel[1] + kx];
            let mut lanes = *sum;
            for (oy, row) in grad.chunks_exact(s.width).enumerate() {
                let at = s.tap(oy, ky, kx, stride);
                for block in 0..s.width / LANES {
                    let (x, g) = (load(buffer, at + block * LANES), load(row, block * LANES));
                    for l in 0..LANES {
                        lanes[l] += g[l] * x[l];
                    }
                }
            }
            *sum = lanes;
        }
    }
}

#[inline(always)]
fn input_plane(
    s: &Sorted,
    buffer: &mut [f32],
    grad: &[f32],
    filter: &[f32],
    kernel: [usize; 2],
    stride: [usize; 2],
) {
    for (oy, row) in grad.chunks_exact(s.width).enumerate() {
        for ky in 0..kernel[0] {
            for kx in 0..kernel[1] {
                let (at, w) = (s.tap(oy, ky, kx, stride), filter[ky * kernel[1] + kx]);
                for block in 0..s.width / LANES {
                    let g = load(row, block * LANES);
                    let to = &mut buffer[at + block * LANES..at + (block + 1) * LANES];
                    for l in 0..LANES {
                        to[l] += w * g[l];
                    }
                }
            }
        }
    }
}

vectorized! {
    /// One channel of all pictures: the filter's gradient, and the input's if `d_input` isn't empty.
    fn backward(s: &Sorted, x: &[f32], grad: &[f32], filter: &[f32], d_filter: &mut [f32], d_input: &mut [f32]) {
        let ([h, w], [oh, ow]) = (s.sizes.input, s.sizes.output);
        let (mut buffer, mut d_buffer) = (vec![0.0; s.len()], vec![0.0; s.len()]);
        let mut padded = vec![0.0; oh * s.width];
        let mut total = vec![0.0f64; d_filter.len()];
        for (i, (x, grad)) in x.chunks_exact(h * w).zip(grad.chunks_exact(oh * ow)).enumerate() {
            for (to, from) in padded.chunks_exact_mut(s.width).zip(grad.chunks_exact(ow)) {
                to[..ow].copy_from_slice(from);
            }
            s.sort(x, &mut buffer);
            let mut sums = vec![[0.0f32; LANES]; d_filter.len()];
            specialised!(s.sizes, |kernel, stride| weight_plane(s, &buffer, &padded, &mut sums, kernel, stride));
            total.iter_mut().zip(&sums).for_each(|(t, lanes)| *t += f64::from(lanes.iter().sum::<f32>()));
            if let Some(d) = d_input.get_mut(i * h * w..(i + 1) * h * w) {
                d_buffer.fill(0.0);
                specialised!(s.sizes, |kernel, stride| input_plane(s, &mut d_buffer, &padded, filter, kernel, stride));
                s.unsort(&d_buffer, d);
            }
        }
        d_filter.iter_mut().zip(total).for_each(|(d, t)| *d = t as f32);
    }
}

#[derive(Debug)]
struct DepthwiseBackward;

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    weight: FlexTensor,
    sizes: Sizes,
}

impl Backward<Flex, 2> for DepthwiseBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, weight_node] = ops.parents;
        let grad = flex::contiguous(grads.consume::<Flex>(&ops.node));
        let State { x, weight, sizes } = ops.state;
        let (plane_in, plane_out) = (sizes.input[0] * sizes.input[1], sizes.output[0] * sizes.output[1]);
        let (row_in, row_out) = (sizes.pictures * plane_in, sizes.pictures * plane_out);
        let taps = sizes.kernel[0] * sizes.kernel[1];
        let sorted = Sorted::new(sizes);
        let mut d_weight = vec![0.0; sizes.channels * taps];
        let mut d_input = vec![0.0; if x_node.is_some() { sizes.channels * row_in } else { 0 }];
        let mut d_rows: Vec<&mut [f32]> = d_input.chunks_exact_mut(row_in).collect();
        d_rows.resize_with(sizes.channels, Default::default);
        let inputs = flex::values(&x).par_chunks(row_in).zip(flex::values(&grad).par_chunks(row_out));
        let filters = flex::values(&weight).par_chunks(taps).zip(d_weight.par_chunks_mut(taps));
        inputs.zip(filters).zip(d_rows).for_each(|(((x, grad), (filter, d_filter)), d)| {
            backward(&sorted, x, grad, filter, d_filter, d);
        });
        drop((x, grad));
        if let Some(node) = weight_node {
            let shape = [sizes.channels, 1, sizes.kernel[0], sizes.kernel[1]];
            grads.register::<Flex>(node.id, flex::tensor(d_weight, shape));
        }
        if let Some(node) = x_node {
            let shape = [sizes.channels, sizes.pictures, sizes.input[0], sizes.input[1]];
            grads.register::<Flex>(node.id, flex::tensor(d_input, shape));
        }
    }
}

/// The convolution, unless its inputs live elsewhere.
pub(super) fn depthwise(x: &Tensor<4>, weight: &Tensor<4>, c: &Conv) -> Option<Tensor<4>> {
    let (xt, wt) = (flex::tracked(x)?, flex::tracked(weight)?);
    let sizes = Sizes::new(x.dims(), c);
    let nodes = [xt.node(), wt.node()];
    let prepared = DepthwiseBackward.prepare::<NoCheckpointing>(nodes).compute_bound().stateful();
    let [x, weight] = [xt, wt].map(|t| flex::contiguous(t.into_primitive()));
    let sorted = Sorted::new(sizes);
    let (plane_in, plane_out) = (sizes.input[0] * sizes.input[1], sizes.output[0] * sizes.output[1]);
    let mut y = vec![0.0; sizes.channels * sizes.pictures * plane_out];
    let rows = flex::values(&x).par_chunks(sizes.pictures * plane_in);
    let filters = flex::values(&weight).par_chunks(sizes.kernel[0] * sizes.kernel[1]);
    y.par_chunks_mut(sizes.pictures * plane_out)
        .zip(rows.zip(filters))
        .for_each(|(y, (x, filter))| forward(&sorted, x, filter, y));
    let y = flex::tensor(y, [sizes.channels, sizes.pictures, sizes.output[0], sizes.output[1]]);
    Some(flex::untracked(match prepared {
        OpsKind::Tracked(prep) => prep.finish(State { x, weight, sizes }, y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }))
}
