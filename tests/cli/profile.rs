//! `profile`.

use super::support::fruitcore;

#[test]
fn layers_of_a_network_beside_the_machine() {
    let small = ["profile", "--width", "0.35", "--input-size", "48", "--repeats", "3"];
    let done = fruitcore(&small).code(0);
    for word in ["mobilenet-v2 0.35", "peak", "GFLOP/s", "features.18.0", "network", "pictures/s on one core"]
    {
        assert!(done.out.contains(word), "{word} is not in:\n{}", done.out);
    }
    let found =
        fruitcore(&[&small[..], &["--json", "--batch", "2", "--isa", "plain"]].concat()).code(0).json();
    assert_eq!((&found["profile"]["isa"], &found["profile"]["batch"]), (&"plain".into(), &2.into()));
    let layers = found["profile"]["layers"].as_array().unwrap();
    let sum = |key: &str| layers.iter().map(|l| l[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("operations"), found["profile"]["total"]["operations"].as_u64().unwrap());
    assert!(layers.iter().all(|l| l["seconds"].as_f64().unwrap() >= 0.0 && l["bytes"].as_u64().unwrap() > 0));

    fruitcore(&["profile", "--weights", "bundled", "--repeats", "1"]).code(0);
    fruitcore(&["profile", "--isa", "mmx"]).code(2).says(&["avx512"]);
    fruitcore(&["profile", "--batch", "65"]).code(2);
    fruitcore(&["profile", "--network", "vgg16", "--width", "0.5"]).code(2).says(&["width 1"]);
    fruitcore(&["profile", "--weights", "nowhere.pth"]).code(1).says(&["nowhere.pth"]);
}
