//! Runs a plan's layers on one micro-batch.

use super::depthwise;
use super::gemm::{Pixels, Product, offset};
use super::layer::{ConvLayer, DepthwiseLayer, Kind, Layer, Place, ProductLayer, WinogradLayer, blocks};
use super::plan::{Plan, Workspace};
use super::rearrange::unblock;
use super::simd::LANES;
use super::winograd;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::format;
use core::{ops::Range, ptr};

/// Output rows of a depthwise convolution in one channel block of one picture.
pub(super) struct Strip {
    /// Input row `first`.
    pub(super) src: *const f32,
    pub(super) first: usize,
    /// Height and width of the whole input.
    pub(super) size: [usize; 2],
    /// The first of the output rows.
    pub(super) dst: *mut f32,
    /// What is added to them, laid out as `dst`; null for nothing.
    pub(super) residual: *const f32,
    pub(super) rows: Range<usize>,
    /// Pixels in an output row.
    pub(super) width: usize,
    /// A row of zeros.
    pub(super) zeros: *const f32,
}

/// Pointers of one run over `n` pictures. Blocked values are `[blocks][n][h][w][16]`.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) n: usize,
    pub(super) input: *const f32,
    arena: *mut f32,
    pub(super) scratch: *mut f32,
}

impl Plan {
    /// Features of any number of pictures: `[n, c, h, w]` in `input` → `[n, feature_len]` in
    /// `features`. Allocates nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the lengths aren't those of the same number of pictures;
    /// [`ErrorKind::Mismatch`] for another plan's workspace.
    pub fn run(&self, workspace: &mut Workspace, input: &[f32], features: &mut [f32]) -> Result<()> {
        self.run_with(workspace, input, features, |step, layer, _| step.layer(layer))
    }

    /// [`Plan::run`] with every layer of every micro-batch handed to `each` with its index.
    pub(super) fn run_with(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        features: &mut [f32],
        mut each: impl FnMut(&Step<'_>, &Layer, usize),
    ) -> Result<()> {
        let (picture, feature) = (self.input.iter().product::<usize>(), self.feature_len());
        let n = input.len() / picture.max(1);
        if n * picture != input.len() || n * feature != features.len() {
            return Err(Error::new(
                ErrorKind::Shape,
                Stage::Featurize,
                format!(
                    "{} floats of input and {} of output; a picture has {picture}, its features {feature}",
                    input.len(),
                    features.len()
                ),
            ));
        }
        let memory = workspace.0.as_mut_slice();
        if size_of_val(memory) < self.workspace_bytes() {
            return Err(Error::new(
                ErrorKind::Mismatch,
                Stage::Featurize,
                "the workspace is another plan's; make one with Plan::workspace",
            ));
        }
        let (scratch, arena) = memory.split_at_mut(self.scratch);
        let batches = input.chunks(self.micro_batch * picture);
        for (input, features) in batches.zip(features.chunks_mut(self.micro_batch * feature)) {
            let run = Run {
                plan: self,
                n: input.len() / picture,
                input: input.as_ptr(),
                arena: arena.as_mut_ptr(),
                scratch: scratch.as_mut_ptr(),
            };
            for (i, layer) in self.layers.iter().enumerate() {
                each(&Step(&run), layer, i);
            }
            let (shape, place) = self.output;
            // SAFETY: the last value lies in the arena, `n` pictures of `shape`.
            unsafe { unblock(run.read(place), features, shape, run.n) }
        }
        Ok(())
    }
}

/// A micro-batch on its way through the layers.
pub(super) struct Step<'a>(&'a Run<'a>);

impl Step<'_> {
    /// Runs one layer; layers run in order.
    pub(super) fn layer(&self, layer: &Layer) {
        let run = self.0;
        // SAFETY: the plan placed every value of this layer: inputs and outputs lie in the arena
        // without overlap while they live (a residual may be its layer's output: each element is
        // read before it is written), weights in the plan, scratch is as large as the layer asked.
        unsafe {
            match &layer.kind {
                Kind::Block => run.block(layer),
                Kind::Product(p) => run.product(layer, p),
                Kind::Conv(c) => run.conv(layer, c),
                Kind::Winograd(w) => run.winograd(layer, w),
                Kind::Depthwise(d) => run.depthwise(layer, d),
                Kind::Inverted(v) => run.inverted(layer, v),
                Kind::MaxPool(p) => run.max_pool(layer, p),
                Kind::AvgPool => run.avg_pool(layer),
                Kind::Flatten(order) => run.flatten(layer, *order),
            }
        }
    }

    /// Pictures in this micro-batch.
    pub(super) fn pictures(&self) -> usize {
        self.0.n
    }
}

// Every method is unsafe for the same reason: it trusts that the plan placed `layer`'s values in
// this run's memory, and that `layer.kind` is what it is given.
impl Run<'_> {
    pub(super) fn read(&self, place: Place) -> *const f32 {
        match place {
            Place::Input => self.input,
            Place::Arena(_) => self.write(place),
        }
    }

    pub(super) fn write(&self, place: Place) -> *mut f32 {
        match place {
            // No layer writes to the input.
            Place::Input => ptr::null_mut(),
            Place::Arena(offset) => self.arena.wrapping_add(offset * self.n),
        }
    }

    pub(super) fn residual(&self, layer: &Layer) -> *const f32 {
        layer.residual.map_or(ptr::null(), |place| self.read(place))
    }

    fn weights(&self, offset: usize) -> *const f32 {
        self.plan.weights.as_slice().as_ptr().wrapping_add(offset)
    }

    unsafe fn product(&self, layer: &Layer, p: &ProductLayer) {
        // A linear layer's pixels are pictures.
        let pixels = self.n * layer.to[1] * layer.to[2];
        let product = self.pointwise(p, pixels * LANES);
        let (a, c, r) = (self.read(layer.input), self.write(layer.output), self.residual(layer));
        let chunk = p.chunk(self.plan.kernels.mr);
        for x in (0..pixels).step_by(chunk) {
            let at = x * LANES;
            let px = Pixels::run(chunk.min(pixels - x), pixels * LANES);
            // SAFETY: the chunk's pixels are inside input and output.
            unsafe { product.run(a.add(at), c.add(at), offset(r, at), px) }
        }
    }

    /// The product of a 1 × 1 convolution on channel blocks `group_stride` floats apart.
    pub(super) fn pointwise(&self, p: &ProductLayer, group_stride: usize) -> Product<'_> {
        Product {
            kernels: self.plan.kernels,
            planar: false,
            groups: p.sizes[0] / LANES,
            tail: p.sizes[0] % LANES,
            group_stride,
            taps: &[0],
            b: self.weights(p.weights),
            bias: self.weights(p.bias),
            blocks: blocks(p.sizes[1]),
            bounds: p.bounds,
        }
    }

    unsafe fn conv(&self, layer: &Layer, conv: &ConvLayer) {
        let [_, h, w] = layer.from;
        let [_, oh, ow] = layer.to;
        let group = conv.group();
        let product = Product {
            kernels: self.plan.kernels,
            planar: conv.planar,
            groups: conv.sizes[0] / group,
            tail: conv.sizes[0] % group,
            group_stride: conv.group_stride(),
            taps: &conv.taps,
            b: self.weights(conv.weights),
            bias: self.weights(conv.bias),
            blocks: blocks(conv.sizes[1]),
            bounds: conv.bounds,
        };
        let (a, c, r) = (self.read(layer.input), self.write(layer.output), self.residual(layer));
        for i in 0..self.n {
            for y in (0..oh).step_by(conv.strip) {
                let rows = conv.strip.min(oh - y);
                let at = (i * oh + y) * ow * LANES;
                // SAFETY: the strip's input rows go to scratch, which holds `strip` rows' worth;
                // output rows `y..y + rows` of picture `i` are inside.
                unsafe {
                    for g in 0..conv.groups() {
                        let plane = if conv.planar { i * conv.sizes[0] + g } else { g * self.n + i };
                        let src = a.add(plane * h * w * group);
                        let dst = self.scratch.add(g * conv.group_stride());
                        for r in 0..conv.rows(rows) {
                            let row = conv
                                .input_row(y, r)
                                .checked_sub(conv.padding.top)
                                .filter(|&iy| iy < h)
                                .map(|iy| src.add(iy * w * group));
                            pad_row(conv, dst.add(r * conv.row()), row, w);
                        }
                    }
                    let px = Pixels {
                        rows,
                        cols: ow,
                        a_row: conv.row_step() * conv.row(),
                        c_row: ow * LANES,
                        c_stride: self.n * oh * ow * LANES,
                    };
                    product.run(self.scratch, c.add(at), offset(r, at), px);
                }
            }
        }
    }

    unsafe fn winograd(&self, layer: &Layer, conv: &WinogradLayer) {
        let [_, h, w] = layer.from;
        let [_, oh, ow] = layer.to;
        let kernels = self.plan.kernels;
        let [k, n] = conv.sizes;
        let [tiles_y, tiles_x] = conv.tiles;
        let total = self.n * tiles_y * tiles_x;
        let (v, v_stride) = (self.scratch, conv.input_stride());
        let m_stride = conv.output_stride();
        let (a, c, r) = (self.read(layer.input), self.write(layer.output), self.residual(layer));
        for first in (0..total).step_by(conv.chunk) {
            let chunk = conv.chunk.min(total - first);
            // SAFETY: scratch holds 36 matrices of `chunk` tiles for the input and as many for the
            // sums; runs of tiles stay inside one row of tiles of one picture.
            unsafe {
                let m = v.add(winograd::MATRICES * v_stride);
                let runs = |each: &mut dyn FnMut(usize, usize, usize, usize, usize)| {
                    let mut t = 0;
                    while t < chunk {
                        let (row, x) = ((first + t) / tiles_x, (first + t) % tiles_x);
                        let count = (tiles_x - x).min(chunk - t);
                        each(t, row / tiles_y, row % tiles_y, x, count);
                        t += count;
                    }
                };
                for b in 0..blocks(k) {
                    runs(&mut |t, i, y, x, count| {
                        (kernels.winograd_input)(&winograd::Input {
                            src: a.add((b * self.n + i) * h * w * LANES),
                            height: h,
                            width: w,
                            y: (y * winograd::OUT) as isize - conv.padding.top as isize,
                            x: (x * winograd::OUT) as isize - conv.padding.left as isize,
                            count,
                            dst: v.add((b * chunk + t) * LANES),
                            dst_stride: v_stride,
                        });
                    });
                }
                let matrix = (k * blocks(n)) * LANES;
                for i in 0..winograd::MATRICES {
                    let product = Product {
                        kernels,
                        planar: false,
                        groups: k / LANES,
                        tail: k % LANES,
                        group_stride: chunk * LANES,
                        taps: &[0],
                        b: self.weights(conv.weights + i * matrix),
                        bias: ptr::null(),
                        blocks: blocks(n),
                        bounds: None,
                    };
                    let px = Pixels::run(chunk, chunk * LANES);
                    product.run(v.add(i * v_stride), m.add(i * m_stride), ptr::null(), px);
                }
                for b in 0..blocks(n) {
                    let bias = self.weights(conv.bias + b * LANES);
                    runs(&mut |t, i, y, x, count| {
                        let plane = (b * self.n + i) * oh * ow * LANES;
                        (kernels.winograd_output)(&winograd::Output {
                            src: m.add((b * chunk + t) * LANES),
                            src_stride: m_stride,
                            bias,
                            dst: c.add(plane),
                            residual: offset(r, plane),
                            height: oh,
                            width: ow,
                            y: y * winograd::OUT,
                            x: x * winograd::OUT,
                            count,
                            bounds: conv.bounds.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]),
                        });
                    });
                }
            }
        }
    }

    unsafe fn depthwise(&self, layer: &Layer, conv: &DepthwiseLayer) {
        let [c, h, w] = layer.from;
        let [_, oh, ow] = layer.to;
        // SAFETY: planes of `n` pictures; scratch holds a row of zeros.
        unsafe {
            ptr::write_bytes(self.scratch, 0, w * LANES);
            for b in 0..blocks(c) {
                for i in 0..self.n {
                    let plane = b * self.n + i;
                    let strip = Strip {
                        src: self.read(layer.input).add(plane * h * w * LANES),
                        first: 0,
                        size: [h, w],
                        dst: self.write(layer.output).add(plane * oh * ow * LANES),
                        residual: offset(self.residual(layer), plane * oh * ow * LANES),
                        rows: 0..oh,
                        width: ow,
                        zeros: self.scratch,
                    };
                    self.depthwise_strip(conv, b, strip);
                }
            }
        }
    }

    /// Output rows of one channel block.
    ///
    /// # Safety
    /// The strip's pointers are valid for what its fields say.
    pub(super) unsafe fn depthwise_strip(&self, conv: &DepthwiseLayer, block: usize, s: Strip) {
        let [kh, kw] = conv.kernel;
        let [h, w] = s.size;
        let kernel = match (conv.kernel, conv.stride) {
            ([3, 3], [1, 1]) => self.plan.kernels.depthwise[0],
            ([3, 3], [2, 2]) => self.plan.kernels.depthwise[1],
            _ => self.plan.kernels.depthwise[2],
        };
        for (row, y) in s.rows.enumerate() {
            // SAFETY: rows inside the picture are in the strip, the others are zeros.
            unsafe {
                let rows = core::array::from_fn(|ky| {
                    let iy = (y * conv.stride[0] + ky).checked_sub(conv.padding.top);
                    match iy.filter(|&iy| iy < h && ky < kh) {
                        Some(iy) => s.src.add((iy - s.first) * w * LANES),
                        None => s.zeros,
                    }
                });
                kernel(&depthwise::Row {
                    rows,
                    kernel: conv.kernel,
                    stride: conv.stride[1],
                    pad_left: conv.padding.left,
                    width: w,
                    out_width: s.width,
                    weights: self.weights(conv.weights + block * kh * kw * LANES),
                    bias: self.weights(conv.bias + block * LANES),
                    out: s.dst.add(row * s.width * LANES),
                    residual: offset(s.residual, row * s.width * LANES),
                    bounds: conv.bounds,
                });
            }
        }
    }
}

/// One input row (none: outside) into scratch, padded and sorted by column modulo stride.
///
/// # Safety
/// `row` is valid for `width` pixels of the layer's group, `dst` for a scratch row.
unsafe fn pad_row(conv: &ConvLayer, dst: *mut f32, row: Option<*const f32>, width: usize) {
    let (group, stride) = (conv.group(), conv.stride[1]);
    // SAFETY: pixels `from..to` of a phase are those whose column is inside the input row.
    unsafe {
        let Some(row) = row else {
            ptr::write_bytes(dst, 0, conv.row());
            return;
        };
        for phase in 0..conv.phases() {
            let dst = dst.add(phase * conv.pitch * group);
            let from = conv.padding.left.saturating_sub(phase).div_ceil(stride).min(conv.pitch);
            let to = (width + conv.padding.left).saturating_sub(phase).div_ceil(stride).min(conv.pitch);
            let to = to.max(from);
            ptr::write_bytes(dst, 0, from * group);
            ptr::write_bytes(dst.add(to * group), 0, (conv.pitch - to) * group);
            if to == from {
                continue;
            }
            let src = row.add((from * stride + phase - conv.padding.left) * group);
            let dst = dst.add(from * group);
            if stride == 1 {
                ptr::copy_nonoverlapping(src, dst, (to - from) * group);
            } else if group == 1 {
                for p in 0..to - from {
                    *dst.add(p) = *src.add(p * stride);
                }
            } else {
                for p in 0..to - from {
                    ptr::copy_nonoverlapping(src.add(p * stride * LANES), dst.add(p * LANES), LANES);
                }
            }
        }
    }
}
