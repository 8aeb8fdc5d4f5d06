//! The model in the box.
#![cfg(all(feature = "bundled", feature = "host"))]

use burn::tensor::Device;
use fruitcore::host::decode::Decoder;
use fruitcore::model::{BUNDLED, ModelFile};
use fruitcore::pipeline::Pipeline;
use std::path::Path;

#[test]
fn it_is_small_and_has_its_heads() {
    assert!(BUNDLED.len() <= 1_000_000, "{} bytes", BUNDLED.len());
    let file = ModelFile::from_bytes(BUNDLED).unwrap();
    assert_eq!(file.network().to_string(), "mobilenet-v2 0.35 (torchvision, pooled, 160x160)");
    let heads = file.heads().unwrap();
    let sizes: Vec<_> = heads.iter().map(|h| (h.name(), h.classes().len())).collect();
    assert_eq!(sizes, [("fruit", 131), ("shop", 81)]);
    assert_eq!(file.projection().map(|p| (p.columns(), p.kept())), Some((1280, 50)));
}

/// One picture of each class; most of them were trained on, so this says that the bytes and their
/// preprocessing belong together, not how good the model is.
#[test]
fn it_knows_the_fruit_it_was_trained_on() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/fruits360-131x9");
    let Ok(folders) = std::fs::read_dir(&root) else {
        println!("{} is not there: only the model's form was tested", root.display());
        return;
    };
    let mut model = Pipeline::bundled(&Device::flex()).unwrap();
    let mut decoder = Decoder::default();
    let (mut right, mut all) = (0, 0);
    for folder in folders.map(|f| f.unwrap().path()) {
        let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        let bytes = std::fs::read(&files[0]).unwrap();
        let frame = decoder.decode(&bytes).unwrap();
        let answer = model.classify(&frame).unwrap();
        right += usize::from(Some(answer.best()) == folder.file_name().and_then(|n| n.to_str()));
        all += 1;
    }
    assert!(right * 10 >= all * 9, "{right} of {all}");
}
