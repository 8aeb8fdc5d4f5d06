//! The published ImageNet checkpoints: where they are, what proves them whole, and the
//! preprocessing each was trained with.
//!
//! Sources: `torchvision/models/{vgg,resnet,mobilenetv2}.py` (names, top-1; a name ends in the first
//! eight digits of its SHA-256), `keras/src/applications/*.py` (names, MD5), timm's model cards.

use crate::featurize::network::{NetworkKind, Variant};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};
use core::fmt;

/// What a file's bytes must hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Digest {
    /// SHA-256, 64 lower-case hexadecimal digits.
    Sha256(&'static str),
    /// MD5, 32 lower-case hexadecimal digits: all that Keras publishes. It shows damage, not intent.
    Md5(&'static str),
    /// None is known. The file can't be verified; its SHA-256 at first fetch is recorded, so that a
    /// later change shows.
    Unknown,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(hex) => write!(f, "sha256:{hex}"),
            Self::Md5(hex) => write!(f, "md5:{hex}"),
            Self::Unknown => f.write_str("no published digest"),
        }
    }
}

/// A published checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name on the command line: `resnet50-v2`.
    pub name: &'static str,
    /// The network.
    pub network: NetworkKind,
    /// The variant whose weights it holds.
    pub variant: Variant,
    /// Width multiplier.
    pub width: f64,
    /// Whether the classifier is included.
    pub head: bool,
    /// Version of the weights within their family: `v1`, `v2`, `tv`, `a1`, `ra`.
    pub version: &'static str,
    /// Where it is published.
    pub url: &'static str,
    /// What proves it whole.
    pub digest: Digest,
    /// Name of the preprocessing preset it was trained with.
    pub preset: &'static str,
    /// ImageNet-1k top-1 accuracy in percent, as its publisher states it.
    pub top1: Option<f32>,
    /// Under what terms it is published.
    pub licence: &'static str,
}

impl Entry {
    /// The file's name in the cache. Hugging Face calls every file alike, so those carry the entry's.
    pub fn file_name(&self) -> String {
        let last = self.url.rsplit('/').next().unwrap_or(self.name);
        if last.starts_with("model.") { format!("{}.safetensors", self.name) } else { last.into() }
    }
}

const TORCHVISION: &str =
    "weights of torchvision (BSD-3-Clause), trained on ImageNet-1k (non-commercial research terms)";
const KERAS: &str =
    "weights of Keras Applications (Apache-2.0 code), trained on ImageNet-1k (non-commercial research terms)";
const KERAS_VGG: &str =
    "weights of the VGG group, Oxford (CC BY 4.0), ported by Keras; trained on ImageNet-1k";
const KERAS_RESNET: &str = "weights of Kaiming He et al. (MIT), ported by Keras; trained on ImageNet-1k";
const TIMM: &str = "weights of timm (Apache-2.0), trained on ImageNet-1k (non-commercial research terms)";
const TIMM_TV: &str = "weights of torchvision (BSD-3-Clause) as timm converted them, trained on ImageNet-1k";

macro_rules! torchvision {
    ($name:literal, $kind:ident, $version:literal, $file:literal, $sha:literal, $top1:literal) => {
        Entry {
            name: $name,
            network: NetworkKind::$kind,
            variant: Variant::Torchvision,
            width: 1.0,
            head: true,
            version: $version,
            url: concat!("https://download.pytorch.org/models/", $file),
            digest: Digest::Sha256($sha),
            preset: concat!("torchvision-", $version),
            top1: Some($top1),
            licence: TORCHVISION,
        }
    };
}

macro_rules! keras {
    ($name:literal, $kind:ident, $head:literal, $file:literal, $digest:expr, $preset:literal, $top1:expr, $licence:ident) => {
        Entry {
            name: $name,
            network: NetworkKind::$kind,
            variant: Variant::Keras,
            width: 1.0,
            head: $head,
            version: "v1",
            url: concat!("https://storage.googleapis.com/tensorflow/keras-applications/", $file),
            digest: $digest,
            preset: $preset,
            top1: $top1,
            licence: $licence,
        }
    };
}

macro_rules! timm {
    ($name:literal, $kind:ident, $version:literal, $repository:literal, $preset:literal, $licence:ident) => {
        Entry {
            name: $name,
            network: NetworkKind::$kind,
            variant: Variant::Torchvision,
            width: 1.0,
            head: true,
            version: $version,
            url: concat!("https://huggingface.co/timm/", $repository, "/resolve/main/model.safetensors"),
            digest: Digest::Unknown,
            preset: $preset,
            top1: None,
            licence: $licence,
        }
    };
}

const ENTRIES: &[Entry] = &[
    torchvision!(
        "mobilenet-v2-v1",
        MobileNetV2,
        "v1",
        "mobilenet_v2-b0353104.pth",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        71.88
    ),
    torchvision!(
        "mobilenet-v2-v2",
        MobileNetV2,
        "v2",
        "mobilenet_v2-7ebf99e0.pth",
        "7ebf99e03e254b273379b23edca7ec0da9f48273b23a332b93c1c99d49e86e8f",
        72.15
    ),
    torchvision!(
        "resnet50-v1",
        Resnet50,
        "v1",
        "resnet50-0676ba61.pth",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        76.13
    ),
    torchvision!(
        "resnet50-v2",
        Resnet50,
        "v2",
        "resnet50-11ad3fa6.pth",
        "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
        80.86
    ),
    torchvision!(
        "vgg16-v1",
        Vgg16,
        "v1",
        "vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        71.59
    ),
    keras!(
        "keras-mobilenet-v2",
        MobileNetV2,
        true,
        "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
        Digest::Sha256("3e195a2857356cfc092cbbb460beb2a5bce279015d7792598b8d3d9e451902e3"),
        "keras-tf",
        Some(71.3),
        KERAS
    ),
    keras!(
        "keras-mobilenet-v2-notop",
        MobileNetV2,
        false,
        "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        Digest::Unknown,
        "keras-tf",
        Some(71.3),
        KERAS
    ),
    keras!(
        "keras-resnet50",
        Resnet50,
        true,
        "resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5",
        Digest::Md5("2cb95161c43110f7111970584f804107"),
        "keras-caffe",
        Some(74.9),
        KERAS_RESNET
    ),
    keras!(
        "keras-resnet50-notop",
        Resnet50,
        false,
        "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        Digest::Md5("4d473c1dd8becc155b73f8504c6f6626"),
        "keras-caffe",
        Some(74.9),
        KERAS_RESNET
    ),
    keras!(
        "keras-vgg16",
        Vgg16,
        true,
        "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        Digest::Md5("64373286793e3c8b2b4e3219cbf3544b"),
        "keras-caffe",
        Some(71.3),
        KERAS_VGG
    ),
    keras!(
        "keras-vgg16-notop",
        Vgg16,
        false,
        "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        Digest::Md5("6d6bbae143d832006294945121d1f1fc"),
        "keras-caffe",
        Some(71.3),
        KERAS_VGG
    ),
    timm!("timm-mobilenet-v2-ra", MobileNetV2, "ra", "mobilenetv2_100.ra_in1k", "timm-ra", TIMM),
    timm!("timm-resnet50-a1", Resnet50, "a1", "resnet50.a1_in1k", "timm-a1", TIMM),
    timm!("timm-resnet50-tv", Resnet50, "tv", "resnet50.tv_in1k", "timm-tv", TIMM_TV),
    timm!("timm-resnet50-tv2", Resnet50, "tv2", "resnet50.tv2_in1k", "torchvision-v2", TIMM_TV),
    timm!("timm-vgg16-tv", Vgg16, "tv", "vgg16.tv_in1k", "timm-tv", TIMM_TV),
];

/// Every published checkpoint that is known.
///
/// ```
/// use fruitcore::featurize::weights::registry;
/// for entry in registry::list() {
///     println!("{:26} {} {} {}", entry.name, entry.network, entry.variant, entry.digest);
/// }
/// ```
pub fn list() -> &'static [Entry] {
    ENTRIES
}

/// The checkpoint of this name, or of this file name.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) listing the names.
pub fn find(name: &str) -> Result<&'static Entry> {
    ENTRIES.iter().find(|e| e.name == name || e.file_name() == name).ok_or_else(|| {
        let names: Vec<&str> = ENTRIES.iter().map(|e| e.name).collect();
        Error::new(
            ErrorKind::NotFound,
            Stage::Weights,
            format!("no published weights of this name; known: {}", names.join(", ")),
        )
        .at(name)
    })
}

/// The checkpoint of a network, variant and version (`v1`, `v2`; timm's `tv`, `tv2`, `a1`, `ra`), with
/// its classifier if there is one with it.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) listing the versions there are.
pub fn by_version(network: NetworkKind, variant: Variant, version: &str) -> Result<&'static Entry> {
    let family = || ENTRIES.iter().filter(move |e| e.network == network && e.variant == variant);
    family().find(|e| e.version == version).ok_or_else(|| {
        let mut versions: Vec<&str> = family().map(|e| e.version).collect();
        versions.dedup();
        Error::new(
            ErrorKind::NotFound,
            Stage::Weights,
            format!("no version `{version}` of {network} ({variant}); known: {}", versions.join(", ")),
        )
    })
}

/// What `--weights imagenet` means: the first version of the family (torchvision's V1, whose
/// features are the ones most work is compared with); for Keras the file without the classifier,
/// except for VGG16, whose default features come from the fully connected layers.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) if there is none.
pub fn imagenet(network: NetworkKind, variant: Variant) -> Result<&'static Entry> {
    let first = by_version(network, variant, "v1")?;
    // Keras' MobileNetV2 has a known digest only with the classifier.
    let without = ENTRIES
        .iter()
        .find(|e| e.network == network && e.variant == variant && !e.head && e.digest != Digest::Unknown);
    Ok(without.filter(|_| network != NetworkKind::Vgg16).unwrap_or(first))
}

/// The checkpoint with this SHA-256, in hexadecimal.
pub fn by_digest(sha256: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|e| matches!(e.digest, Digest::Sha256(hex) if hex.eq_ignore_ascii_case(sha256)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeSet, string::ToString};

    #[test]
    fn entries_are_consistent() {
        let names: BTreeSet<&str> = ENTRIES.iter().map(|e| e.name).collect();
        let files: BTreeSet<String> = ENTRIES.iter().map(Entry::file_name).collect();
        assert_eq!((names.len(), files.len()), (ENTRIES.len(), ENTRIES.len()));
        for e in ENTRIES {
            match e.digest {
                Digest::Sha256(hex) | Digest::Md5(hex) => {
                    let length = if matches!(e.digest, Digest::Sha256(_)) { 64 } else { 32 };
                    assert_eq!(hex.len(), length, "{}", e.name);
                    assert!(
                        hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
                        "{}",
                        e.name
                    );
                }
                Digest::Unknown => {
                    assert!(e.name.starts_with("timm") || e.name.ends_with("notop"), "{}", e.name)
                }
            }
            // torchvision puts the beginning of the SHA-256 into the name.
            if let (Some(suffix), Digest::Sha256(hex)) =
                (e.url.strip_suffix(".pth").and_then(|u| u.rsplit('-').next()), e.digest)
            {
                assert!(hex.starts_with(suffix), "{}", e.name);
            }
            assert!(crate::preprocess::Preset::ALL.iter().any(|p| p.name() == e.preset), "{}", e.preset);
            assert_eq!(find(e.name).unwrap(), e);
            assert_eq!(find(&e.file_name()).unwrap(), e);
        }
    }

    #[test]
    fn defaults_and_versions() {
        for &network in NetworkKind::ALL {
            for &variant in Variant::ALL {
                let entry = imagenet(network, variant).unwrap();
                assert_eq!((entry.network, entry.variant, entry.version), (network, variant, "v1"));
                assert_ne!(entry.digest, Digest::Unknown);
                assert!(entry.head || network == NetworkKind::Resnet50);
            }
        }
        let v2 = by_version(NetworkKind::Resnet50, Variant::Torchvision, "v2").unwrap();
        assert_eq!((v2.name, v2.preset), ("resnet50-v2", "torchvision-v2"));
        let error = by_version(NetworkKind::Vgg16, Variant::Torchvision, "v2").unwrap_err();
        assert!(error.to_string().contains("v1"), "{error}");
        assert!(find("resnet51").unwrap_err().to_string().contains("resnet50-v1"));
        assert_eq!(
            by_digest("0676BA61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a").unwrap().name,
            "resnet50-v1"
        );
    }
}
