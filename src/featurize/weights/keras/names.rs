//! Layer names of `keras.applications` and the network's names for them.

use crate::featurize::network::NetworkKind;
use alloc::{format, string::String, vec::Vec};

/// The network's prefix for a layer of `kind`'s Keras model; `None` if it has no such layer.
pub(super) fn prefix(kind: NetworkKind, layer: &str) -> Option<String> {
    match kind {
        NetworkKind::Vgg16 => vgg16(layer),
        NetworkKind::Resnet50 => resnet50(layer),
        NetworkKind::MobileNetV2 => mobilenet_v2(layer),
    }
}

/// Layers with weights of one class, in the order `model.layers` has them. Weight files without
/// layer names count the layers of each class in this order.
pub(super) fn in_order(kind: NetworkKind, class: &str) -> Vec<String> {
    let mut conv = Vec::new();
    let mut depthwise = Vec::new();
    let mut norm = Vec::new();
    let mut dense = Vec::new();
    match kind {
        NetworkKind::Vgg16 => {
            for (block, positions) in (1..).zip(&VGG16) {
                conv.extend((1..=positions.len()).map(|i| format!("block{block}_conv{i}")));
            }
            dense.extend(["fc1", "fc2"].map(String::from));
        }
        NetworkKind::Resnet50 => {
            conv.push("conv1_conv".into());
            norm.push("conv1_bn".into());
            for (stage, blocks) in (2..).zip(RESNET50) {
                for block in 1..=blocks {
                    // The shortcut's layers come after the second convolution's.
                    for k in [1, 2, 0, 3].into_iter().filter(|&k| k != 0 || block == 1) {
                        conv.push(format!("conv{stage}_block{block}_{k}_conv"));
                        norm.push(format!("conv{stage}_block{block}_{k}_bn"));
                    }
                }
            }
        }
        NetworkKind::MobileNetV2 => {
            conv.push("Conv1".into());
            norm.push("bn_Conv1".into());
            for i in 0..=MOBILENET_V2_BLOCKS {
                let block = if i == 0 { "expanded_conv".into() } else { format!("block_{i}") };
                if i > 0 {
                    conv.push(format!("{block}_expand"));
                    norm.push(format!("{block}_expand_BN"));
                }
                depthwise.push(format!("{block}_depthwise"));
                norm.push(format!("{block}_depthwise_BN"));
                conv.push(format!("{block}_project"));
                norm.push(format!("{block}_project_BN"));
            }
            conv.push("Conv_1".into());
            norm.push("Conv_1_bn".into());
        }
    }
    dense.push("predictions".into());
    match class {
        "conv2d" => conv,
        "depthwise_conv2d" => depthwise,
        "batch_normalization" => norm,
        "dense" => dense,
        _ => Vec::new(),
    }
}

/// Positions of the convolutions of each block in torchvision's `features`.
const VGG16: [&[usize]; 5] = [&[0, 2], &[5, 7], &[10, 12, 14], &[17, 19, 21], &[24, 26, 28]];
/// Blocks of conv2 to conv5.
const RESNET50: [usize; 4] = [3, 4, 6, 3];
/// Inverted residuals after the first, which has no expansion.
const MOBILENET_V2_BLOCKS: usize = 16;

fn vgg16(layer: &str) -> Option<String> {
    let top = match layer {
        "fc1" => Some("classifier.0"),
        "fc2" => Some("classifier.3"),
        "predictions" => Some("classifier.6"),
        _ => None,
    };
    if let Some(top) = top {
        return Some(top.into());
    }
    let (block, conv) = layer.strip_prefix("block")?.split_once("_conv")?;
    let position = VGG16.get(number(block)?.checked_sub(1)?)?.get(number(conv)?.checked_sub(1)?)?;
    Some(format!("features.{position}"))
}

fn resnet50(layer: &str) -> Option<String> {
    match layer {
        "conv1_conv" => return Some("conv1".into()),
        "conv1_bn" => return Some("bn1".into()),
        "predictions" => return Some("fc".into()),
        _ => {}
    }
    let (stage, rest) = layer.strip_prefix("conv")?.split_once("_block")?;
    let (block, rest) = rest.split_once('_')?;
    let (k, what) = rest.split_once('_')?;
    let stage = number(stage)?.checked_sub(1)?;
    let block = number(block)?.checked_sub(1)?;
    if block >= *RESNET50.get(stage.checked_sub(1)?)? {
        return None;
    }
    let layer = match (number(k)?, what) {
        (0, "conv") if block == 0 => "downsample.0".into(),
        (0, "bn") if block == 0 => "downsample.1".into(),
        (k @ 1..=3, "conv" | "bn") => format!("{what}{k}"),
        _ => return None,
    };
    Some(format!("layer{stage}.{block}.{layer}"))
}

fn mobilenet_v2(layer: &str) -> Option<String> {
    match layer {
        "Conv1" => return Some("features.0.0".into()),
        "bn_Conv1" => return Some("features.0.1".into()),
        "Conv_1" => return Some("features.18.0".into()),
        "Conv_1_bn" => return Some("features.18.1".into()),
        "predictions" => return Some("classifier.1".into()),
        _ => {}
    }
    let (index, part) = match layer.strip_prefix("expanded_conv_") {
        Some(part) => (0, part),
        None => {
            let (index, part) = layer.strip_prefix("block_")?.split_once('_')?;
            (number(index).filter(|i| (1..=MOBILENET_V2_BLOCKS).contains(i))?, part)
        }
    };
    let position = match (index, part) {
        (0, "depthwise") => "0.0",
        (0, "depthwise_BN") => "0.1",
        (0, "project") => "1",
        (0, "project_BN") => "2",
        (1.., "expand") => "0.0",
        (1.., "expand_BN") => "0.1",
        (1.., "depthwise") => "1.0",
        (1.., "depthwise_BN") => "1.1",
        (1.., "project") => "2",
        (1.., "project_BN") => "3",
        _ => return None,
    };
    Some(format!("features.{}.conv.{position}", index + 1))
}

/// A decimal number without sign or leading zeros.
pub(super) fn number(text: &str) -> Option<usize> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::network::{NetworkSpec, Variant};
    use alloc::collections::BTreeSet;

    #[test]
    fn every_layer_of_a_network_has_exactly_one_keras_name() {
        for &kind in NetworkKind::ALL {
            let spec = NetworkSpec::new(kind).variant(Variant::Keras);
            let wanted: BTreeSet<String> = spec
                .graph()
                .unwrap()
                .parameters()
                .into_iter()
                .filter_map(|(name, _)| Some(name.rsplit_once('.')?.0.into()))
                .collect();
            let mut given = BTreeSet::new();
            for class in ["conv2d", "depthwise_conv2d", "batch_normalization", "dense"] {
                for layer in in_order(kind, class) {
                    let prefix = prefix(kind, &layer).unwrap_or_else(|| panic!("{kind} {layer}"));
                    if layer != "predictions" {
                        assert!(given.insert(prefix), "{kind} {layer} twice");
                    }
                }
            }
            assert_eq!(given, wanted, "{kind}");
        }
    }

    #[test]
    fn names_of_other_networks_are_not_taken() {
        for (kind, layer) in [
            (NetworkKind::Vgg16, "block3_conv4"),
            (NetworkKind::Vgg16, "block6_conv1"),
            (NetworkKind::Resnet50, "conv4_block7_1_conv"),
            (NetworkKind::Resnet50, "conv2_block2_0_conv"),
            (NetworkKind::Resnet50, "conv2_block1_preact_bn"),
            (NetworkKind::MobileNetV2, "block_17_expand"),
            (NetworkKind::MobileNetV2, "block_0_expand"),
            (NetworkKind::MobileNetV2, "block_+1_expand"),
            (NetworkKind::MobileNetV2, "expanded_conv_expand"),
        ] {
            assert_eq!(prefix(kind, layer), None, "{kind} {layer}");
        }
    }
}
