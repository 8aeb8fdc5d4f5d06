//! Burn's `flex` device with its own convolutions: the network as it runs where this crate has no kernels, BatchNorm
//! folded.

use crate::{Job, Result, Run};
use burn::tensor::{Device, Tensor, TensorData};
use fruitcore::Featurizer;
use fruitcore::featurize::network::NetworkSpec;
use fruitcore::featurize::{NetworkFeaturizer, weights::Checkpoint};
use std::fs;

pub(crate) fn prepare(job: Job) -> Result<Run> {
    rayon::ThreadPoolBuilder::new().num_threads(job.threads).build_global()?;
    let graph = NetworkSpec::new(job.network.parse()?).graph()?;
    let device = Device::flex();
    let weights = Checkpoint::from_bytes(fs::read(&job.file)?)?;
    let net = NetworkFeaturizer::with_burn_operations(&graph, &weights, &device)?;
    let pictures = Tensor::<4>::from_data(TensorData::new(job.pictures, job.shape), &device);
    // A tensor's copy shares its values.
    Ok(Box::new(move || Ok(net.featurize(pictures.clone())?.into_data().try_into_vec()?)))
}
