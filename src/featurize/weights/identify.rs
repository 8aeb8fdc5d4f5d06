//! Which network a file's tensor names belong to, and timm's names in torchvision's.

use super::stored::Stored;
use crate::featurize::network::{NetworkKind, Variant};
use alloc::{borrow::ToOwned, collections::BTreeSet, format, string::String, vec::Vec};

/// What the tensor names say about a file.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// The network, if it is one of ours.
    pub(super) kind: Option<NetworkKind>,
    /// Whose weights.
    pub(super) variant: Option<Variant>,
    /// In words: whose names, or which other network.
    pub(super) text: String,
    /// Whether they are timm's where torchvision has others.
    pub(super) timm: bool,
    /// Whether the classifier is in the file.
    pub(super) head: bool,
    /// Layers with weights, where the format has layers.
    pub(super) layers: Option<usize>,
}

/// Prefixes that wrappers put before every name.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// Identifies a PyTorch file by its names and gives every tensor the network's name.
pub(super) fn rename(tensors: &mut [Stored]) -> Identity {
    while let Some(wrapper) =
        WRAPPERS.iter().find(|w| !tensors.is_empty() && tensors.iter().all(|t| t.name.starts_with(**w)))
    {
        for t in tensors.iter_mut() {
            t.name.drain(..wrapper.len());
        }
    }
    let names: BTreeSet<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
    let has = |name: &str| names.contains(name);
    let children = |prefix: &str| {
        names.iter().filter_map(|n| n.strip_prefix(prefix)?.split('.').next()).collect::<BTreeSet<_>>().len()
    };
    let shape = |name: &str| tensors.iter().find(|t| t.name == name).map(|t| t.shape.as_slice());

    let mut timm = false;
    let (kind, text, head) = if has("features.0.0.weight") && has("features.1.conv.0.0.weight") {
        if has("features.18.0.weight") && !has("features.19.0.weight") {
            (Some(NetworkKind::MobileNetV2), "torchvision names", has("classifier.1.weight"))
        } else {
            (None, "a network like MobileNetV2 of another depth", false)
        }
    } else if has("conv_stem.weight") && has("blocks.0.0.conv_dw.weight") {
        let depths: Vec<usize> = (0..8).map(|i| children(&format!("blocks.{i}."))).collect();
        if depths == [1, 2, 3, 4, 3, 3, 1, 0]
            && has("blocks.6.0.conv_pwl.weight")
            && children("blocks.0.0.se.") == 0
        {
            timm = true;
            (Some(NetworkKind::MobileNetV2), "timm names", has("classifier.weight"))
        } else {
            (None, "a timm network of the EfficientNet family that is not MobileNetV2", false)
        }
    } else if has("layer1.0.conv1.weight") && has("layer4.0.conv1.weight") {
        let depths = [1, 2, 3, 4].map(|i| children(&format!("layer{i}.")));
        let plain = shape("layer1.0.conv2.weight") == Some(&[64, 64, 3, 3])
            && shape("conv1.weight") == Some(&[64, 3, 7, 7]);
        match (has("layer1.0.conv3.weight"), depths, plain) {
            (true, [3, 4, 6, 3], true) => {
                (Some(NetworkKind::Resnet50), "torchvision names", has("fc.weight"))
            }
            (true, [3, 4, 6, 3], false) => (None, "a wide, grouped or deep-stem relative of ResNet50", false),
            (true, [3, 4, 23, 3], _) => (None, "ResNet101", false),
            (true, [3, 8, 36, 3], _) => (None, "ResNet152", false),
            (false, [2, 2, 2, 2], _) => (None, "ResNet18", false),
            (false, [3, 4, 6, 3], _) => (None, "ResNet34", false),
            _ => (None, "a ResNet of another depth", false),
        }
    } else if has("features.0.weight") && has("features.28.weight") {
        if has("features.1.running_mean") {
            (None, "a VGG with BatchNorm", false)
        } else if has("features.30.weight") {
            (None, "VGG19", false)
        } else {
            timm = has("pre_logits.fc1.weight") || has("head.fc.weight");
            let head = has("classifier.6.weight") || has("head.fc.weight");
            (Some(NetworkKind::Vgg16), if timm { "timm names" } else { "torchvision names" }, head)
        }
    } else {
        (None, "an unknown network", false)
    };
    let text = text.to_owned();
    if let (Some(kind), true) = (kind, timm) {
        for t in tensors.iter_mut() {
            if let Some(name) = timm_name(kind, &t.name) {
                t.name = name;
            }
        }
    }
    Identity { kind, variant: kind.map(|_| Variant::Torchvision), text, timm, head, layers: None }
}

/// First feature index of each of timm's stages of MobileNetV2.
const STAGE_STARTS: [usize; 7] = [1, 2, 4, 7, 11, 14, 17];

fn timm_name(kind: NetworkKind, name: &str) -> Option<String> {
    let (layer, leaf) = name.rsplit_once('.')?;
    let layer = match kind {
        NetworkKind::Vgg16 => match layer {
            "pre_logits.fc1" => "classifier.0".to_owned(),
            "pre_logits.fc2" => "classifier.3".to_owned(),
            "head.fc" => "classifier.6".to_owned(),
            _ => return None,
        },
        NetworkKind::MobileNetV2 => match layer {
            "conv_stem" => "features.0.0".to_owned(),
            "bn1" => "features.0.1".to_owned(),
            "conv_head" => "features.18.0".to_owned(),
            "bn2" => "features.18.1".to_owned(),
            "classifier" => "classifier.1".to_owned(),
            _ => {
                let (stage, rest) = layer.strip_prefix("blocks.")?.split_once('.')?;
                let (block, part) = rest.split_once('.')?;
                let index =
                    STAGE_STARTS.get(stage.parse::<usize>().ok()?)?.checked_add(block.parse().ok()?)?;
                let position = match (index, part) {
                    // The first block has no expansion.
                    (1, "conv_dw") => "0.0",
                    (1, "bn1") => "0.1",
                    (1, "conv_pw") => "1",
                    (1, "bn2") => "2",
                    (2.., "conv_pw") => "0.0",
                    (2.., "bn1") => "0.1",
                    (2.., "conv_dw") => "1.0",
                    (2.., "bn2") => "1.1",
                    (2.., "conv_pwl") => "2",
                    (2.., "bn3") => "3",
                    _ => return None,
                };
                format!("features.{index}.conv.{position}")
            }
        },
        _ => return None,
    };
    Some(format!("{layer}.{leaf}"))
}
