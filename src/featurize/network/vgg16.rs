//! VGG16, configuration D of Simonyan & Zisserman, "Very deep convolutional networks for
//! large-scale image recognition", 2014 (arXiv:1409.1556).

use super::blocks::{conv, side_error};
use super::{Activation, FlattenOrder, Graph, Linear, Op, Pool, Tap, Value, Variant};
use crate::Result;
use alloc::format;

/// Output channels of the 3×3 convolutions; every row ends with 2×2 max pooling.
const STAGES: [&[usize]; 5] = [&[64, 64], &[128, 128], &[256, 256, 256], &[512, 512, 512], &[512, 512, 512]];
/// Width of both fully connected layers that features are taken from.
const FC: usize = 4096;
/// Channels after the last pooling.
const POOLED: usize = 512;
/// Side of the map the first fully connected layer was trained on.
const MAP: usize = 7;

/// The network up to `tap`.
///
/// torchvision (`torchvision/models/vgg.py`) averages the last map to 7×7 and flattens it channel
/// first; Keras (`keras/applications/vgg16.py`) has no such average, so its fully connected layers
/// need a last map of 7×7 (sides 224 to 255), flattened channel last. fc1 and fc2 are taken after
/// their ReLU, as Keras' layer outputs are.
pub(super) fn build(variant: Variant, tap: Tap, input: [usize; 2]) -> Result<Graph> {
    let mut graph = Graph::new([3, input[0], input[1]]);
    let mut x = Value::Input;
    let mut channels = 3;
    // torchvision numbers the layers of one sequence: convolution, ReLU, …, pooling.
    let mut layer = 0;
    for stage in STAGES {
        for &out in stage {
            let mut block = conv(format!("features.{layer}"), channels, out, 3, 1);
            block.bias = true;
            block.activation = Activation::Relu;
            x = graph.push(x, Op::Conv(block))?;
            channels = out;
            layer += 2;
        }
        let pool = Pool { kernel: [2, 2], stride: [2, 2], padding: super::Padding::default() };
        x = graph.push(x, Op::MaxPool(pool))?;
        layer += 1;
    }
    if tap == Tap::Pooled {
        graph.push(x, Op::GlobalAvgPool)?;
        return Ok(graph);
    }
    let order = match variant {
        Variant::Torchvision => {
            if graph.shape(x) != Some([POOLED, MAP, MAP]) {
                x = graph.push(x, Op::AdaptiveAvgPool([MAP, MAP]))?;
            }
            FlattenOrder::Chw
        }
        Variant::Keras => {
            if graph.shape(x) != Some([POOLED, MAP, MAP]) {
                return Err(side_error(
                    input,
                    "Keras' VGG16 has its fully connected layers only for sides of 224 to 255; \
                     use 224x224, the tap `pooled`, or the torchvision variant",
                ));
            }
            FlattenOrder::Hwc
        }
    };
    x = graph.push(x, Op::Flatten(order))?;
    x = graph.push(x, Op::Linear(fc("classifier.0", POOLED * MAP * MAP)))?;
    if tap == Tap::Fc2 {
        graph.push(x, Op::Linear(fc("classifier.3", FC)))?;
    }
    Ok(graph)
}

fn fc(name: &str, features_in: usize) -> Linear {
    Linear { name: name.into(), features_in, features_out: FC, activation: Activation::Relu }
}
