//! Expansion, depthwise convolution and projection strip by strip: the expanded channels, six times
//! the block's input, never leave the second-level cache.

use super::exec::{Pointwise, Run, Strip};
use super::gemm::offset;
use super::layer::{DepthwiseLayer, Layer, NEAR, ProductLayer, blocks};
use super::share::prefers_columns;
use super::simd::LANES;
use core::ptr;

/// An inverted residual.
#[derive(Clone)]
pub(super) struct InvertedLayer {
    expand: Option<ProductLayer>,
    depthwise: DepthwiseLayer,
    project: ProductLayer,
    /// `[c, h, w]` into the depthwise convolution.
    from: [usize; 3],
    /// `[c, h, w]` out of it.
    to: [usize; 3],
    /// Output rows per strip.
    strip: usize,
}

impl InvertedLayer {
    pub(super) fn new(
        expand: Option<ProductLayer>,
        depthwise: DepthwiseLayer,
        project: ProductLayer,
        from: [usize; 3],
        to: [usize; 3],
    ) -> Self {
        let mut layer = Self { expand, depthwise, project, from, to, strip: 1 };
        let one = layer.scratch();
        let more = Self { strip: 2, ..layer.clone() }.scratch() - one;
        layer.strip = (NEAR.saturating_sub(one) / more.max(1) + 1).min(to[1]);
        // Strips of equal height.
        layer.strip = to[1].div_ceil(to[1].div_ceil(layer.strip));
        layer
    }

    /// How many strips a picture takes.
    #[cfg(test)]
    pub(super) fn strips(&self) -> usize {
        self.to[1].div_ceil(self.strip)
    }

    /// Input rows of a strip.
    fn rows(&self) -> usize {
        ((self.strip - 1) * self.depthwise.stride[0] + self.depthwise.kernel[0]).min(self.from[1])
    }

    /// Floats of expanded channels in a strip.
    fn expanded(&self) -> usize {
        match self.expand {
            Some(_) => blocks(self.from[0]) * self.rows() * self.from[2] * LANES,
            None => 0,
        }
    }

    /// Whether a team divides the expanded channels, all of them before the projection, instead of rows:
    /// where channels are many and pixels few, so that each weight is read by one thread and no row is
    /// expanded twice.
    pub(super) fn by_channels(&self) -> bool {
        self.expand.is_some() && prefers_columns(blocks(self.to[0]), self.to[1] * self.to[2])
    }

    /// What a team has in common: the channels after the depthwise convolution.
    pub(super) fn common(&self) -> usize {
        if self.by_channels() { blocks(self.to[0]) * self.to[1] * self.to[2] * LANES } else { 0 }
    }

    /// A row of zeros, the expanded strip, the strip after the depthwise convolution.
    pub(super) fn scratch(&self) -> usize {
        self.from[2] * LANES + self.expanded() + blocks(self.to[0]) * self.strip * self.to[2] * LANES
    }
}

impl Run<'_> {
    /// # Safety
    /// As every method of [`Run`]: the plan placed `layer`'s values in this run's memory.
    pub(super) unsafe fn inverted(&self, layer: &Layer, v: &InvertedLayer, phase: usize) {
        if self.by_channels(v) {
            // SAFETY: as this method; scratch is large enough.
            return unsafe {
                match phase {
                    0 => self.expand_channels(layer, v),
                    _ => self.project_channels(layer, v),
                }
            };
        }
        let [channels, h, w] = v.from;
        let [_, oh, ow] = v.to;
        let (stride, kh) = (v.depthwise.stride[0], v.depthwise.kernel[0]);
        let (a, c, r) = (self.read(layer.input), self.write(layer.output), self.residual(layer));
        let (in_plane, out_plane) = (h * w * LANES, oh * ow * LANES);
        let (wide, deep) = (v.rows() * w * LANES, v.strip * ow * LANES);
        let zeros = self.scratch;
        // SAFETY: scratch holds zeros, `wide` floats per expanded block and `deep` per block after
        // the depthwise convolution. Rows of input and output are those of picture `i`.
        unsafe {
            ptr::write_bytes(zeros, 0, w * LANES);
            let expanded = zeros.add(w * LANES);
            let deepened = expanded.add(v.expanded());
            let own = self.share.range(self.n * oh, 1);
            for i in 0..self.n {
                // Expanded rows `first..end` are in scratch.
                let (mut first, mut end) = (0, 0);
                let last = own.end.saturating_sub(i * oh).min(oh);
                for y in (own.start.saturating_sub(i * oh)..last).step_by(v.strip) {
                    let rows = v.strip.min(last - y);
                    let top = (y * stride).saturating_sub(v.depthwise.padding.top).min(h);
                    let bottom =
                        ((y + rows - 1) * stride + kh).saturating_sub(v.depthwise.padding.top).clamp(top, h);
                    if let Some(expand) = &v.expand {
                        // Rows the strips share move up; the others are computed.
                        let from = end.clamp(top, bottom);
                        if from > top {
                            for b in 0..blocks(channels) {
                                let plane = expanded.add(b * wide);
                                ptr::copy(
                                    plane.add((top - first) * w * LANES),
                                    plane,
                                    (from - top) * w * LANES,
                                );
                            }
                        }
                        self.pointwise(
                            expand,
                            &Pointwise {
                                a: a.add(i * in_plane + from * w * LANES),
                                a_stride: self.n * in_plane,
                                columns: 0..blocks(channels),
                                c: expanded.add((from - top) * w * LANES),
                                c_stride: wide,
                                residual: ptr::null(),
                                pixels: (bottom - from) * w,
                                halves: [false; 2],
                                distant: self.team,
                            },
                        );
                        (first, end) = (top, bottom);
                    }
                    for b in 0..blocks(channels) {
                        let (src, first) = match v.expand {
                            Some(_) => (expanded.add(b * wide).cast_const(), top),
                            None => (a.add((b * self.n + i) * in_plane), 0),
                        };
                        let strip = Strip {
                            src,
                            first,
                            size: [h, w],
                            dst: deepened.add(b * deep),
                            residual: ptr::null(),
                            rows: y..y + rows,
                            width: ow,
                            zeros,
                        };
                        self.depthwise_strip(&v.depthwise, b, strip);
                    }
                    let at = i * out_plane + y * ow * LANES;
                    self.pointwise(
                        &v.project,
                        &Pointwise {
                            a: deepened,
                            a_stride: deep,
                            columns: 0..blocks(v.project.sizes[1]),
                            c: c.add(at),
                            c_stride: self.n * out_plane,
                            residual: offset(r, at),
                            pixels: rows * ow,
                            halves: [false; 2],
                            distant: false,
                        },
                    );
                }
            }
        }
    }

    /// Whether the shares of a layer are channels, and the projection is a phase of its own: where scratch holds the
    /// widest share of the expanded picture and a row of zeros.
    pub(super) fn by_channels(&self, v: &InvertedLayer) -> bool {
        let (of, nb) = (self.share.of, self.plan.nb());
        let most = blocks(v.from[0]).div_ceil(nb).div_ceil(of) * nb;
        let room = v.from[2] * LANES * (1 + most * v.from[1]);
        self.team && v.by_channels() && room <= self.plan.scratch - self.plan.packing
    }

    /// One picture by a team: expands and filters this share of the channels.
    ///
    /// # Safety
    /// As [`inverted`](Self::inverted); scratch holds what [`by_channels`](Self::by_channels) asks for.
    unsafe fn expand_channels(&self, layer: &Layer, v: &InvertedLayer) {
        let [channels, h, w] = v.from;
        let [_, oh, ow] = v.to;
        let Some(expand) = &v.expand else { return };
        let (wide, deep) = (h * w * LANES, oh * ow * LANES);
        let columns = self.share.range(blocks(channels), self.plan.nb());
        let zeros = self.scratch;
        // SAFETY: expanded blocks go to this thread's scratch, filtered ones to their place in the common memory.
        unsafe {
            ptr::write_bytes(zeros, 0, w * LANES);
            let expanded = zeros.add(w * LANES);
            self.pointwise(
                expand,
                &Pointwise {
                    a: self.read(layer.input),
                    a_stride: wide,
                    columns: columns.clone(),
                    c: expanded,
                    c_stride: wide,
                    residual: ptr::null(),
                    pixels: h * w,
                    halves: [false; 2],
                    distant: true,
                },
            );
            for (at, b) in columns.enumerate() {
                let strip = Strip {
                    src: expanded.add(at * wide),
                    first: 0,
                    size: [h, w],
                    dst: self.common.add(b * deep),
                    residual: ptr::null(),
                    rows: 0..oh,
                    width: ow,
                    zeros,
                };
                self.depthwise_strip(&v.depthwise, b, strip);
            }
        }
    }

    /// Projects all channels to this share of the output.
    ///
    /// # Safety
    /// As [`inverted`](Self::inverted); all channels are expanded.
    unsafe fn project_channels(&self, layer: &Layer, v: &InvertedLayer) {
        let [_, oh, ow] = v.to;
        let (c, r, deep) = (self.write(layer.output), self.residual(layer), oh * ow * LANES);
        let (columns, own) = self.divide_product(&v.project, oh * ow);
        let to = columns.start * deep + own.start * LANES;
        // SAFETY: the common memory holds every filtered channel; this share's pixels are inside the output.
        unsafe {
            self.pointwise(
                &v.project,
                &Pointwise {
                    a: self.common.add(own.start * LANES),
                    a_stride: deep,
                    columns,
                    c: c.add(to),
                    c_stride: deep,
                    residual: offset(r, to),
                    pixels: own.len(),
                    halves: [false; 2],
                    distant: true,
                },
            );
        }
    }
}
