//! `weights` and checkpoints as files.

use super::support::{Work, fruitcore};
use fruitcore::featurize::{
    network::{NetworkKind, NetworkSpec, Variant},
    weights::{RandomWeights, WeightSource},
};
use std::{fs, path::Path};

#[test]
fn list_names_the_published_checkpoints() {
    let done = fruitcore(&["weights", "list"]).code(0);
    for word in
        ["vgg16", "resnet50", "mobilenet-v2", "torchvision", "keras", "397923af", "0676ba61", "b0353104"]
    {
        assert!(done.out.contains(word), "{word} is not in:\n{}", done.out);
    }
    let json = fruitcore(&["weights", "list", "--json"]).code(0).json();
    let all = json.as_array().unwrap();
    assert!(all.len() >= 8);
    for entry in all {
        for key in ["name", "network", "variant", "url", "digest", "preset", "licence", "cached"] {
            assert!(!entry[key].is_null(), "{key} is not in {entry}");
        }
    }
    fruitcore(&["weights", "fetch", "resnet51"]).code(1).says(&["resnet51"]);
    fruitcore(&["weights", "verify", "resnet51"]).code(1).says(&["resnet51"]);
}

/// A safetensors file of random weights under torchvision's names.
fn save(spec: &NetworkSpec, file: &Path) {
    let graph = spec.graph().unwrap();
    let weights = RandomWeights::new(&graph, 3);
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in graph.parameters() {
        let start = data.len();
        data.extend(weights.tensor(&name, &shape).unwrap().iter().flat_map(|v| v.to_le_bytes()));
        let entry =
            serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name, entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(data);
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_checkpoint_file_decides_network_and_width() {
    let work = Work::new(2, 6);
    let spec =
        NetworkSpec::new(NetworkKind::MobileNetV2).variant(Variant::Torchvision).width(0.35).input(32, 32);
    let file = work.path("small.safetensors");
    save(&spec, &file);
    let shown = file.display().to_string();
    let found = fruitcore(&["weights", "inspect", &shown, "--json"]).code(0).json();
    assert_eq!((&found["network"], &found["width"]), (&"mobilenet-v2".into(), &0.35.into()));
    let people = fruitcore(&["inspect", &shown]).code(0);
    assert!(people.out.contains("features.0.0.weight"), "{}", people.out);

    let (input, out) = (work.arg("pictures"), work.arg("out"));
    let base = ["run", &input, "-o", &out, "--weights", &shown, "--input-size", "32", "--components", "2"];
    fruitcore(&base).code(0).says(&["mobilenet-v2 0.35"]);
    let moved = work.arg("moved.safetensors");
    fs::rename(&file, &moved).unwrap();
    // The artifact has its weights inside …
    let model = work.arg("out");
    let inside = fruitcore(&["transform", &input, "--model", &model, "--quiet"]).code(0).out;
    // … or knows them by digest, wherever they lie.
    let bare = work.arg("bare");
    let mut args = base.map(String::from).to_vec();
    args[3] = bare.clone();
    args[5] = moved.clone();
    args.push("--no-weights".into());
    fruitcore(&args).code(0);
    fruitcore(&["transform", &input, "--model", &bare]).code(1).says(&["--weights FILE"]);
    let given =
        fruitcore(&["transform", &input, "--model", &bare, "--weights", &moved, "--quiet"]).code(0).out;
    assert_eq!(inside, given);

    let wrong = ["run", &input, "-o", &out, "--weights", &moved, "--network", "resnet50"];
    fruitcore(&wrong).code(1).says(&["resnet50", "mobilenet-v2"]);
    let bytes = fs::read(&moved).unwrap();
    fs::write(work.path("cut.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    let cut = work.arg("cut.safetensors");
    fruitcore(&["run", &input, "-o", &out, "--weights", &cut]).code(1).says(&["cut.safetensors"]);
}
