//! Where a plan's time goes.

use super::layer::Place;
use super::plan::{Plan, Workspace};
use crate::Result;
use alloc::{string::String, vec::Vec};

/// Time and work of one layer over a whole run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayerProfile {
    /// The convolution's or linear layer's name, or the operation and its index.
    pub name: String,
    /// How it is computed: `gemm`, `conv`, `winograd-4x4`, `depthwise`, `max_pool`, `avg_pool`, …
    pub algorithm: &'static str,
    /// `[c, h, w]` read.
    pub from: [usize; 3],
    /// `[c, h, w]` written.
    pub to: [usize; 3],
    /// Floating-point operations of the direct algorithm, all pictures.
    pub operations: u64,
    /// Bytes of its packed weights, read once for the pictures that take the layer together, and of the
    /// values it reads and writes.
    pub bytes: u64,
    /// Time in the clock's unit.
    pub time: f64,
}

impl Plan {
    /// Runs once and measures each layer with `clock`, which returns the time in any unit.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn profile(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        features: &mut [f32],
        mut clock: impl FnMut() -> f64,
    ) -> Result<Vec<LayerProfile>> {
        let mut all: Vec<LayerProfile> = self
            .layers
            .iter()
            .map(|layer| LayerProfile {
                name: layer.name.clone(),
                algorithm: layer.kind.name(),
                from: layer.from,
                to: layer.to,
                operations: 0,
                bytes: 0,
                time: 0.0,
            })
            .collect();
        self.run_with(workspace, input, features, |step, layer, i| {
            let start = clock();
            step.layer(layer);
            all[i].time += clock() - start;
            let n = step.pictures();
            let bytes =
                |place: Place, [c, h, w]: [usize; 3]| c * h * w * size_of::<f32>() / place.per_block();
            let residual = layer.residual.map_or(0, |place| bytes(place, layer.to));
            let values = bytes(layer.input, layer.from) + bytes(layer.output, layer.to) + residual;
            all[i].operations += layer.operations * n as u64;
            all[i].bytes += (layer.weights * size_of::<f32>() + n * values) as u64;
        })?;
        Ok(all)
    }
}
