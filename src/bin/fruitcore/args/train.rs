//! Training.

use super::network::{PlaceArgs, ShapeArgs, WeightsArg};
use super::output::ReportArgs;
use clap::Args;
use fruitcore::host::train::DataSpec;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Labelled pictures, one folder a class: a folder, archive or URL as `run` takes them; NAME=DATA
    /// names the set and its head, several sets train one network with a head each
    #[arg(required = true, num_args = 1.., value_name = "[NAME=]DATA", value_parser = super::parse::<DataSpec>)]
    pub(crate) data: Vec<DataSpec>,
    /// Folder or URL for the model, its metrics and the state a killed training goes on from
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: String,
    /// Begin anew even if OUT holds a training
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Share of each class held out for validation (0.15), or [NAME=]DATA to validate on
    #[arg(long, value_name = "SHARE|[NAME=]DATA", default_value = "0.15", help_heading = "Data")]
    pub(crate) val: Vec<String>,
    /// Draw FACTOR times a set's size in an epoch
    #[arg(long, value_name = "NAME=FACTOR", help_heading = "Data")]
    pub(crate) repeat: Vec<String>,
    /// The share (0 to 1) of pictures' width and height, about the centre, that the set's head looks at in
    /// validation and ever after; where things lie in the middle, 0.9 is often better than all of it
    #[arg(long, value_name = "[NAME=]SHARE", help_heading = "Data")]
    pub(crate) crop_pct: Vec<String>,
    /// A set whose head only helps training and is not saved
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub(crate) auxiliary: Vec<String>,
    /// 0 draws pictures as they come, 1 draws all classes equally often
    #[arg(long, value_name = "X", default_value_t = 0.5, help_heading = "Data")]
    pub(crate) balance: f64,
    /// What to start from: a checkpoint of this network, as `run --weights` takes it (a model that
    /// `train` wrote, `bundled`, `imagenet`, …) [default: random weights]
    #[arg(long, value_name = "FILE|NAME|imagenet|bundled", value_parser = super::parse::<WeightsArg>, help_heading = "Network")]
    pub(crate) from: Option<WeightsArg>,
    /// The model whose temperatures a head without validation pictures takes [default: the one of
    /// --from]
    #[arg(long, value_name = "MODEL", help_heading = "Data")]
    pub(crate) temperatures: Option<PathBuf>,
    /// Mix this much (0 to 1; 0.5) of an earlier model's weights into what is saved at the end: one of
    /// the same training that fits pictures of its kind less closely, but others better
    #[arg(long, value_name = "MODEL[=SHARE]", help_heading = "Learning")]
    pub(crate) blend: Option<String>,
    /// A trained model whose answers are learned beside the labels: a larger one, or one of several
    /// like this; may be given several times
    #[arg(long, value_name = "MODEL", help_heading = "Learning")]
    pub(crate) teacher: Vec<PathBuf>,
    /// How much of what is learned are the teachers' answers, 0 to 1
    #[arg(long, value_name = "X", default_value_t = 0.7, requires = "teacher", help_heading = "Learning")]
    pub(crate) teach: f32,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Keep the weights of the first N layers
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Network")]
    pub(crate) freeze: usize,
    /// Passes over the data
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Learning")]
    pub(crate) epochs: u32,
    /// Components of the PCA that the model gets for `transform`, over the features of its pictures; 0
    /// for none
    #[arg(long, value_name = "N", default_value_t = 50, help_heading = "Network")]
    pub(crate) components: usize,
    /// Stop after epoch N of --epochs; the same command without this goes on from there
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Learning")]
    pub(crate) stop_after: Option<u32>,
    /// Pictures a step
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(2..=4096), help_heading = "Learning")]
    pub(crate) batch: u16,
    /// Decides initial weights, validation split, order and augmentation
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Learning")]
    pub(crate) seed: u64,
    /// Highest learning rate of AdamW; it warms up, then falls as a cosine
    #[arg(long, value_name = "X", default_value_t = 3e-3, help_heading = "Learning")]
    pub(crate) learning_rate: f64,
    /// Epochs in which the learning rate rises
    #[arg(long, value_name = "X", default_value_t = 2.0, help_heading = "Learning")]
    pub(crate) warm_up: f64,
    /// Weight decay, not of BatchNorm and biases
    #[arg(long, value_name = "X", default_value_t = 0.02, help_heading = "Learning")]
    pub(crate) weight_decay: f64,
    /// Label smoothing
    #[arg(long, value_name = "X", default_value_t = 0.1, help_heading = "Learning")]
    pub(crate) smoothing: f32,
    /// Decay of the weights' moving average, which is validated and saved
    #[arg(long, value_name = "X", default_value_t = 0.998, help_heading = "Learning")]
    pub(crate) average: f64,
    /// Mixup's alpha; 0 for none. Batches are mixed up, cut or left alone equally often
    #[arg(long, value_name = "X", default_value_t = 0.0, help_heading = "Learning")]
    pub(crate) mixup: f64,
    /// CutMix' alpha; 0 for none
    #[arg(long, value_name = "X", default_value_t = 0.0, help_heading = "Learning")]
    pub(crate) cutmix: f64,
    /// Dropout of features before the heads
    #[arg(long, value_name = "X", default_value_t = 0.1, help_heading = "Learning")]
    pub(crate) dropout: f32,
    /// Largest turn, in degrees
    #[arg(long, value_name = "X", default_value_t = 20.0, help_heading = "Augmentation")]
    pub(crate) rotation: f32,
    /// Smallest share of a scene's area that a crop keeps
    #[arg(long, value_name = "X", default_value_t = 0.35, help_heading = "Augmentation")]
    pub(crate) crop: f32,
    /// Largest relative change of brightness, contrast and saturation (half of it for fruit on white)
    #[arg(long, value_name = "X", default_value_t = 0.3, help_heading = "Augmentation")]
    pub(crate) jitter: f32,
    /// Probability that a white surround is replaced by colours, textures and other pictures
    #[arg(long, value_name = "X", default_value_t = 0.4, help_heading = "Augmentation")]
    pub(crate) background: f32,
    /// Longest side, in pixels, at which pictures are kept in memory [default: 8/3 of the input]
    #[arg(long, value_name = "N", help_heading = "Work")]
    pub(crate) cache_side: Option<usize>,
    /// Memory for pictures, in MiB
    #[arg(long, value_name = "N", default_value_t = 4096, help_heading = "Work")]
    pub(crate) cache: usize,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
