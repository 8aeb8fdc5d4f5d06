//! rten, which has a thread pool of its own.

use crate::{Job, Result, Run};
use rten::{ModelOptions, OpRegistry, RunOptions, ThreadPool, ValueView};
use std::sync::Arc;

pub(crate) fn prepare(job: Job) -> Result<Run> {
    let mut options = ModelOptions::with_ops(OpRegistry::with_all_ops());
    let model = options.prepack_weights(true).load_file(&job.file)?;
    let pool = Arc::new(ThreadPool::with_num_threads(job.threads));
    Ok(Box::new(move || {
        let input = ValueView::from_shape(job.shape, &job.pictures)?;
        let mut options = RunOptions::default();
        options.thread_pool = Some(pool.clone());
        Ok(model.run_one(input.into(), Some(options))?.into_shape_vec::<f32, 2>()?.1)
    }))
}
