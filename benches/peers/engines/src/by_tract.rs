//! tract, optimized for the shape of the input.

use crate::{Job, Result, Run};
use tract_linalg::multithread::{Executor, set_default_executor};
use tract_onnx::prelude::*;

pub(crate) fn prepare(job: Job) -> Result<Run> {
    if job.threads > 1 {
        set_default_executor(Executor::multithread(job.threads));
    }
    let model = tract_onnx::onnx().model_for_path(&job.file)?.into_optimized()?.into_runnable()?;
    let input: TValue = Tensor::from_shape(&job.shape, &job.pictures)?.into();
    Ok(Box::new(move || {
        let features = model.run(tvec!(input.clone()))?;
        Ok(features[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
    }))
}
