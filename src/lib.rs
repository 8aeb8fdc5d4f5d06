//! Streaming image features for agritech: labelled fruit pictures in, compact features out.
//!
//! A frame is preprocessed as its network's weights were trained, featurized by a CNN without its
//! top, scaled and projected onto principal components. The same core runs in a cloud batch, on a
//! GPU and on a robot's board: it is `no_std` + `alloc`; everything that needs an operating system
//! is in `host`.
//!
//! ```text
//! Frame ─ preprocess ─► [n, 3, h, w] ─ featurize ─► [n, d] ─ scale, pca ─► [n, k] ─► classify
//! ```
//!
//! | stage | trait | ready-made |
//! |---|---|---|
//! | [`preprocess`] | [`Preprocessor`] | [`RecipePreprocessor`](preprocess::RecipePreprocessor) with presets of every checkpoint family |
//! | [`featurize`] | [`Featurizer`] | [`NetworkFeaturizer`](featurize::NetworkFeaturizer): VGG16, ResNet50, MobileNetV2 in torchvision's and Keras' variant |
//! | [`scale`], [`pca`] | [`IncrementalPca`](pca::IncrementalPca) | [`CovariancePca`](pca::CovariancePca) (exact), [`SketchPca`](pca::SketchPca) (O(ℓ·d) memory) |
//! | [`classify`] | | heads (nearest centroid, softmax regression, k-NN), k-means and measures |
//! | [`pipeline`] | | what was fitted as one file that runs from a byte slice |
//!
//! # From frames to components
//!
//! ```
//! use fruitcore::burn::tensor::{Device, Tensor, TensorData};
//! use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
//! use fruitcore::featurize::{NetworkFeaturizer, weights::RandomWeights};
//! use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows};
//! use fruitcore::preprocess::{Preset, RecipePreprocessor};
//! use fruitcore::{Featurizer, Frame, PixelFormat, Preprocessor};
//!
//! // A small MobileNetV2; a checkpoint gives its weights in earnest.
//! let spec = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(64, 64);
//! let graph = spec.graph()?;
//! let device = Device::default();
//! let network = NetworkFeaturizer::new(&graph, &RandomWeights::new(&graph, 1), &device)?;
//!
//! let mut preprocessor = RecipePreprocessor::new(Preset::KerasTf.recipe(64)?);
//! let mut pca = CovariancePca::new(network.feature_len())?;
//! let mut picture = vec![0.0; preprocessor.output_shape().iter().product()];
//! for shade in 0..8u8 {
//!     let pixels: Vec<u8> = (0..100 * 100 * 3).map(|i| (i % 251) as u8 ^ (shade * 31)).collect();
//!     preprocessor.preprocess_into(&Frame::new(PixelFormat::Rgb, 100, 100, &pixels)?, &mut picture)?;
//!     let batch = Tensor::from_data(TensorData::new(picture.clone(), [1, 3, 64, 64]), &device);
//!     let features = network.featurize(batch)?.into_data();
//!     pca.partial_fit(Rows::new(features.as_slice::<f32>().expect("f32 features"), 1280)?)?;
//! }
//! let projection = pca.fit(Keep::Count(3))?;
//! assert_eq!(projection.components().len(), 3 * 1280);
//! # Ok::<(), fruitcore::Error>(())
//! ```
//!
//! With feature `host`, `host::run::Run` does this for a folder, an archive or a bucket: in
//! parallel, in bounded memory, resumable after a kill, with Parquet, CSV or Arrow output.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `std` (default) | run-time CPU detection in the dependencies |
//! | `flex` (default) | Burn's CPU backend, `no_std` |
//! | `ndarray` | Burn's older CPU backend |
//! | `wgpu` | GPUs by Vulkan, Metal, DX12, WebGPU |
//! | `rayon` | parallel statistics and clustering |
//! | `checkpoints` | Keras' HDF5 checkpoints; `.pth` and `.safetensors` need no feature |
//! | `host` | module `host`: sources, decoding, the streaming driver, runs, sinks |
//! | `aws`, `gcp`, `azure`, `http` | object stores beyond the local file system |
//! | `arrow2` | record batches to and from `arrow2` |
//! | `train` | module `host::train`: training and fine-tuning |
//! | `report` | t-SNE maps and the HTML report |
//! | `bundled` | `pipeline::Pipeline::bundled`: the fruit model in the box, `no_std` |
//! | `cli` | the command line tool |
#![no_std]
#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod error;
mod frame;
mod memory;
mod rng;
mod state;
#[cfg(feature = "rayon")]
mod under_way;

pub mod classify;
pub mod featurize;
pub mod model;
pub mod pca;
pub mod pipeline;
pub mod preprocess;
pub mod scale;

#[cfg(feature = "host")]
pub mod host;

/// The Burn whose devices and tensors this crate takes and gives.
pub use burn;
pub use error::{Error, ErrorKind, Result, Stage};
pub use featurize::Featurizer;
pub use frame::{Frame, PixelFormat};
pub use preprocess::Preprocessor;
