//! `weights` and checkpoints as files.

use super::{
    server::{Response, Server},
    support::{Done, Work, command, fruitcore},
};
use fruitcore::featurize::{
    network::{NetworkKind, NetworkSpec, Variant},
    weights::{RandomWeights, WeightSource},
};
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

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

/// `run` with published weights from a mirror, into a cache of the test's own.
fn run_with(work: &Work, mirror: &str, weights: &str, out: &str) -> Done {
    let (input, out) = (work.arg("pictures"), work.arg(out));
    let args = ["run", &input, "-o", &out, "--weights", weights, "--input-size", "32", "--components", "2"];
    let mut command = command(&args);
    command.env("FRUITCORE_WEIGHTS_BASE", mirror).env("FRUITCORE_CACHE", work.path("cache"));
    Done::of(command.output().unwrap())
}

/// What the cache holds, but for locks.
fn cached(work: &Work) -> Vec<String> {
    let names = fs::read_dir(work.path("cache/weights")).unwrap();
    let names = names.map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

#[test]
fn weights_that_cannot_be_fetched_say_what_to_put_where() {
    let work = Work::new(1, 6);
    let done = run_with(&work, "http://127.0.0.1:9", "imagenet", "out").code(1);
    let place = work.arg("cache/weights/mobilenet_v2-b0353104.pth");
    done.says(&[
        "error: weights:",
        "mobilenet-v2-v1",
        "download http://127.0.0.1:9/mobilenet_v2-b0353104.pth on any machine",
        &format!("put it at {place}"),
    ]);
    assert!(!work.path("out").exists() && cached(&work).is_empty());
}

#[test]
fn other_bytes_than_were_published_are_not_used() {
    let work = Work::new(1, 6);
    let begun = AtomicBool::new(false);
    let server = Server::start(move |request| {
        let mut response = Response::file(request, &vec![7; 3_000_000]);
        // The first answer breaks off.
        response.cut = (!begun.swap(true, Ordering::SeqCst)).then_some(1_000_000);
        response
    });
    let done = run_with(&work, &server.url, "imagenet", "out").code(1);
    done.says(&[
        "error: weights:",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        "digest",
    ]);
    assert!(!work.path("out").exists() && cached(&work).is_empty(), "{:?}", cached(&work));
    // Gone on with where it broke off; the server said it is the same file, so once is enough.
    let ranges = server.requests().into_iter().map(|r| r.headers.contains_key("range")).collect::<Vec<_>>();
    assert_eq!(ranges, [false, true]);
}

#[test]
fn a_fetch_that_broke_off_goes_on_and_brings_its_preprocessing() {
    let work = Work::new(2, 6);
    save(&NetworkSpec::new(NetworkKind::MobileNetV2), &work.path("published"));
    let published = fs::read(work.path("published")).unwrap();
    let (asked, back) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let is_back = Arc::clone(&back);
    let server = Server::start(move |request| {
        let mut response = Response::file(request, &published);
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 => response.cut = Some(1_000_000),
            _ if is_back.load(Ordering::SeqCst) => {}
            _ => response = Response::new(503, ""),
        }
        response
    });
    let name = "timm-mobilenet-v2-ra";
    run_with(&work, &server.url, name, "out").code(1).says(&[name, "bytes are kept: run again to go on"]);
    back.store(true, Ordering::SeqCst);
    run_with(&work, &server.url, name, "out").code(0).says(&["recipe timm-ra"]);
    let range = server.requests().last().unwrap().headers["range"].clone();
    let from: usize =
        range.strip_prefix("bytes=").and_then(|r| r.strip_suffix('-')).unwrap().parse().unwrap();
    assert!(from > 0 && from <= 1_000_000, "{range}");
    assert_eq!(
        fs::read(work.path("published")).unwrap(),
        fs::read(work.path(&format!("cache/weights/{name}.safetensors"))).unwrap()
    );

    // From the cache, by its path in it, and as a copy under another name.
    let requests = server.requests().len();
    let [held, copy] =
        [&*format!("cache/weights/{name}.safetensors"), "copy.safetensors"].map(|n| work.arg(n));
    fs::copy(&held, &copy).unwrap();
    for weights in [name, &held, &copy] {
        let again = run_with(&work, &server.url, weights, "out").code(0);
        again.says(&["recipe timm-ra", "12 were done already"]);
    }
    assert_eq!(server.requests().len(), requests);
}
