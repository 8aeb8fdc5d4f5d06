//! Runs a plan's layers on one micro-batch.

mod depthwise;
mod product;
mod reduced;
mod winograd;

use super::cut::Cut;
use super::layer::{Kind, Layer, Place};
use super::plan::{Plan, Workspace};
use super::rearrange::unblock;
use super::share::Share;
#[cfg(feature = "std")]
use super::share::Walk;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::format;
use core::ptr;
pub(super) use depthwise::Strip;
pub(super) use product::Pointwise;

/// Pieces of a thread's share of a layer: enough for one that is held up to lose half of its work, few enough to be
/// worth their set-up.
#[cfg(feature = "std")]
const PIECES: usize = 4;

/// Pointers of one thread's run over `n` pictures. Blocked values are `[blocks][n][h][w][16]`, in
/// bfloat16 `[blocks][n][h][w][32]`.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) n: usize,
    pub(super) input: *const f32,
    pub(super) arena: *mut f32,
    /// What a team writes and reads within a layer.
    pub(super) common: *mut f32,
    /// This thread's own.
    pub(super) scratch: *mut f32,
    pub(super) share: Share,
    /// Whether other threads of a team compute the other shares.
    pub(super) team: bool,
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
        self.count(input, features)?;
        let (picture, feature) = (self.input.iter().product::<usize>(), self.feature_len());
        let memory = workspace.0.as_mut_slice();
        if size_of_val(memory) < self.workspace_bytes() {
            return Err(Error::new(
                ErrorKind::Mismatch,
                Stage::Featurize,
                "the workspace is another plan's; make one with Plan::workspace",
            ));
        }
        let (scratch, arenas) = memory.split_at_mut(self.scratch);
        let (early, late) = arenas.split_at_mut(self.arena[0]);
        let [early, late, scratch] = [early, late, scratch].map(<[f32]>::as_mut_ptr);
        let batches = input.chunks(self.micro_batch * picture);
        for (input, features) in batches.zip(features.chunks_mut(self.micro_batch * feature)) {
            let n = input.len() / picture;
            let run = |n, input: &[f32], arena| Run {
                plan: self,
                n,
                input: input.as_ptr(),
                arena,
                common: ptr::null_mut(),
                scratch,
                share: Share::WHOLE,
                team: false,
            };
            let (before, after) = self.layers.split_at(self.cut.layers);
            for (i, input) in input.chunks(picture).enumerate() {
                let run = run(1, input, early);
                before.iter().enumerate().for_each(|(at, layer)| each(&Step(&run), layer, at));
                // SAFETY: all layers before the cut have run, and the late arena has room for `n`.
                unsafe { run.pass(late, i, n) }
            }
            let run = run(n, input, late);
            for (at, layer) in after.iter().enumerate() {
                each(&Step(&run), layer, before.len() + at);
            }
            // SAFETY: all layers have run on this micro-batch.
            unsafe { run.finish(features) }
        }
        Ok(())
    }

    /// How many pictures `input` holds, if `features` has room for as many.
    pub(in super::super) fn count(&self, input: &[f32], features: &[f32]) -> Result<usize> {
        let (picture, feature) = (self.input.iter().product::<usize>(), self.feature_len());
        let n = input.len() / picture.max(1);
        if n * picture != input.len() || n.checked_mul(feature) != Some(features.len()) {
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
        Ok(n)
    }
}

/// Pictures on their way through the layers.
pub(super) struct Step<'a>(&'a Run<'a>);

impl Step<'_> {
    /// Runs one layer; layers run in order.
    pub(super) fn layer(&self, layer: &Layer) {
        // SAFETY: `run_with` made the run with this plan's memory, and it is its only thread.
        unsafe { self.0.layer(layer, 0) }
    }

    /// How many go together.
    pub(super) fn pictures(&self) -> usize {
        self.0.n
    }
}

// Every method is unsafe for the same reason: it trusts that the plan placed `layer`'s values in
// this run's memory, that `layer.kind` is what it is given, and that its share is no other thread's.
impl Run<'_> {
    /// Parts of a layer that all shares of must be done before the next begins: more than one only for a team.
    #[cfg(feature = "std")]
    fn phases(&self, layer: &Layer) -> usize {
        match &layer.kind {
            Kind::Inverted(v) if self.by_channels(v) => 2,
            Kind::Winograd(w) => self.common_chunk(w).map_or(1, |chunk| 2 * w.all_tiles().div_ceil(chunk)),
            _ => 1,
        }
    }

    /// This share of a phase of a layer.
    ///
    /// # Safety
    /// The run's pointers are valid for the plan; the layers and phases before are done, all shares of them.
    unsafe fn layer(&self, layer: &Layer, phase: usize) {
        // SAFETY: the plan placed every value of this layer: inputs and outputs lie in the arena
        // without overlap while they live (a residual may be its layer's output: each element is
        // read before it is written), weights in the plan, scratch is as large as the layer asked.
        unsafe {
            match &layer.kind {
                Kind::Block => self.block(layer),
                Kind::Product(p) => self.product(layer, p),
                Kind::Conv(c) => self.conv(layer, c),
                Kind::Interleaved(c) => self.interleaved(layer, c),
                Kind::Winograd(w) => self.winograd(layer, w, phase),
                Kind::Depthwise(d) => self.depthwise(layer, d),
                Kind::Inverted(v) => self.inverted(layer, v, phase),
                Kind::MaxPool(p) => self.max_pool(layer, p),
                Kind::AvgPool => self.avg_pool(layer),
                Kind::Flatten(order) => self.flatten(layer, *order),
            }
        }
    }

    /// This thread's share of layers, and what others have not begun; `false` if another thread of the team broke
    /// up.
    ///
    /// # Safety
    /// As [`layer`](Self::layer); every thread of the walk's steps calls it with its own share.
    #[cfg(feature = "std")]
    pub(super) unsafe fn layers(&self, layers: &[Layer], walk: &mut Walk<'_>) -> bool {
        layers.iter().all(|layer| {
            let pieces = if layer.is_divisible(self.n) { PIECES } else { 1 };
            (0..self.phases(layer)).all(|phase| {
                walk.step(pieces, |share| {
                    // SAFETY: the caller's promise; the walk hands out each share once, phase by phase.
                    unsafe { Self { share, ..*self }.layer(layer, phase) }
                    true
                })
            })
        })
    }

    /// This thread's share of what passes the cut, from this run's one picture to its place as picture
    /// `i` of `n` in the late arena.
    ///
    /// # Safety
    /// All layers before the cut are done; `late` is valid for `n` pictures after it.
    pub(super) unsafe fn pass(&self, late: *mut f32, i: usize, n: usize) {
        let Cut { places: [from, to], blocks, plane, .. } = self.plan.cut;
        for b in self.share.range(blocks, 1) {
            // SAFETY: block `b` of one picture here and of picture `i` of `n` there; the arenas are
            // two pieces of memory.
            unsafe {
                let to = late.add(to * n + (b * n + i) * plane);
                ptr::copy_nonoverlapping(self.arena.add(from + b * plane), to, plane);
            }
        }
    }

    /// The last layer's output, planar.
    ///
    /// # Safety
    /// All layers are done.
    pub(super) unsafe fn finish(&self, features: &mut [f32]) {
        let (shape, place) = self.plan.output;
        // SAFETY: the last value lies in the arena, `n` pictures of `shape`.
        unsafe { unblock(self.read(place), features, shape, self.n) }
    }

    pub(super) fn read(&self, place: Place) -> *const f32 {
        match place {
            Place::Input => self.input,
            Place::Arena(_) | Place::Halves(_) => self.write(place),
        }
    }

    pub(super) fn write(&self, place: Place) -> *mut f32 {
        match place {
            // No layer writes to the input.
            Place::Input => ptr::null_mut(),
            Place::Arena(offset) | Place::Halves(offset) => self.arena.wrapping_add(offset * self.n),
        }
    }

    pub(super) fn residual(&self, layer: &Layer) -> *const f32 {
        layer.residual.map_or(ptr::null(), |place| self.read(place))
    }

    fn weights(&self, offset: usize) -> *const f32 {
        self.plan.weights.as_slice().as_ptr().wrapping_add(offset)
    }
}
