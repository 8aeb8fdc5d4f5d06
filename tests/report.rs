//! Clusters, maps and the report page, from small data of every awkward shape.
#![cfg(feature = "report")]

use fruitcore::{
    ErrorKind,
    host::{
        cluster::{ClusterOptions, Clustering, Count},
        map::{Map, MapOptions, Method, PlaceOptions, place, quality},
        report::{self, ReportOptions},
        rows::RowFiles,
        sink::{Content, Format},
    },
    pca::Rows,
};
use std::{fs, path::Path};

/// Three far groups of `n` rows each as a CSV; `label` names a group.
fn groups(at: &Path, n: usize, label: impl Fn(usize) -> String) -> RowFiles {
    let mut text = String::from("path,label,pc_0,pc_1,pc_2\n");
    for i in 0..3 * n {
        let wave = |k: usize| ((i * k) % 17) as f32 / 17.0;
        let (g, x) = (i % 3, (i % 3) as f32 * 20.0);
        text += &format!("{g}/{i}.jpg,{},{},{},{}\n", label(g), x + wave(5), wave(7) - x, wave(11));
    }
    write(at, &text)
}

fn write(at: &Path, text: &str) -> RowFiles {
    let file = at.join("rows.csv");
    fs::write(&file, text).unwrap();
    RowFiles::open(&file.display().to_string(), Content::Components).unwrap()
}

#[test]
fn clusters_are_found_counted_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let files = groups(folder.path(), 40, |g| format!("g{g}"));
    let found = Clustering::of(&files, &ClusterOptions::new(Count::Auto { most: 8 })).unwrap();
    assert_eq!((found.summary.k, found.summary.tried.len()), (3, 7));
    assert_eq!(found.summary.sizes, [40, 40, 40]);
    assert_eq!(found.summary.adjusted_rand, Some(1.0));
    assert!(found.summary.silhouette.unwrap() > 0.9);
    let mut batches = ClusterOptions::new(Count::Fixed(3));
    batches.mini_batch = true;
    let streamed = Clustering::of(&files, &batches).unwrap();
    assert_eq!(streamed.summary.adjusted_rand, Some(1.0));
    assert!(streamed.summary.inertia < 1.05 * found.summary.inertia);
    for format in [Format::Parquet, Format::Csv(Default::default()), Format::Ipc] {
        found.write(&files, &format).unwrap();
    }
    let csv = fs::read_to_string(folder.path().join("rows-out/clusters.csv")).unwrap();
    assert!(csv.starts_with("path,label,cluster,distance\n0/0.jpg,g0,"), "{csv}");
    let e = Clustering::of(&files, &ClusterOptions::new(Count::Fixed(121))).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Insufficient);
}

#[test]
fn trustworthiness_equals_scikit_learn_s() {
    let golden = fs::read_to_string("tests/golden/map/trustworthiness.json").unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let numbers = |key: &str| -> Vec<f32> {
        golden[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
    };
    let found = quality(Rows::new(&numbers("rows"), 6).unwrap(), &numbers("plane"), 0).unwrap();
    let expected = golden["trustworthiness"].as_f64().unwrap();
    assert!((found.trustworthiness - expected).abs() < 1e-9, "{found:?} {expected}");
}

#[test]
fn a_map_keeps_groups_apart_and_is_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let files = groups(folder.path(), 30, |g| format!("g{g}"));
    let table = files.table().unwrap();
    let mut options = MapOptions::default();
    options.tsne.perplexity = 8.0;
    let mut steps = 0;
    let map = Map::of(&table, &options, &mut |done, _| steps = done).unwrap();
    assert_eq!((steps, map.points.len()), (750, 180));
    assert!(map.summary.quality.unwrap().trustworthiness > 0.9, "{:?}", map.summary);
    assert_eq!(map.points, Map::of(&table, &options, &mut |_, _| {}).unwrap().points);
    map.write(&files, &Format::Parquet).unwrap();
    let back = Map::read(&files).unwrap().unwrap();
    assert_eq!((&back.points, &back.paths, back.summary.method), (&map.points, &map.paths, Method::Tsne));
    // What is on the map already is placed where it is; new rows come near their group.
    let rows = Rows::new(table.values(), 3).unwrap();
    let mut placing = PlaceOptions::default();
    assert_eq!(place(rows, &map.points, rows, &placing).unwrap().len(), 180);
    placing.steps = 20;
    let new = place(rows, &map.points, Rows::new(&[20.5, -19.5, 0.5], 3).unwrap(), &placing).unwrap();
    let far = |p: &[f32]| (p[0] - new[0]).hypot(p[1] - new[1]);
    let nearest = (0..90).min_by(|a, b| far(&map.points[2 * a..]).total_cmp(&far(&map.points[2 * b..])));
    assert_eq!(nearest.unwrap() % 3, 1);
    // Fewer rows than asked for are fitted, the others placed.
    options.most = 45;
    let some = Map::of(&table, &options, &mut |_, _| {}).unwrap();
    assert_eq!((some.summary.fitted, some.points.len()), (45, 180));
}

#[test]
fn pages_of_awkward_data() {
    let five = "path,label,pc_0,pc_1\na,x,1,2\nb,y,2,1\nc,x,3,3\nd,y,4,9\ne,x,5,0\n";
    let constant = "path,label,pc_0,pc_1\n".to_owned() + &"a.jpg,x,1,1\n".repeat(7);
    let unlabelled = "pc_0,pc_1\n1,2\n2,1\n3,9\n";
    let evil = "path,label,pc_0,pc_1\n\"</script><b>\",</script><!--,1,2\nb,{{DATA}},2,1\nc,\"q\"\"x\",3,3\nd,é,4,9\n";
    for (name, text, points) in [
        ("five", five, 5),
        ("constant", &constant, 7),
        ("unlabelled", unlabelled, 3),
        ("evil", evil, 4),
        ("one", "path,pc_0\na,1\n", 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), text);
        let info = report::write(&files, &ReportOptions::default(), &mut |_| {})
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((info.points, info.thumbnails), (points, 0), "{name}");
        let page = fs::read_to_string(folder.path().join("rows-out/report.html")).unwrap();
        assert_eq!(page.matches("</script>").count(), 2, "{name}");
        assert!(!page.contains("<!--"), "{name}");
        for figure in &info.figures {
            let file = fs::read(folder.path().join("rows-out").join(figure)).unwrap();
            if figure.ends_with(".png") {
                assert!(image::load_from_memory(&file).is_ok(), "{name} {figure}");
                continue;
            }
            let svg = String::from_utf8(file).unwrap();
            assert!(svg.ends_with("</svg>") && !svg.contains("</script>"), "{name} {figure}");
        }
    }
}

#[test]
fn many_points_are_sampled_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let files = groups(folder.path(), 50, |_| "one".to_owned());
    let mut options = ReportOptions::default();
    (options.points, options.map) = (60, None);
    let info = report::write(&files, &options, &mut |_| {}).unwrap();
    assert_eq!((info.points, info.rows), (60, 150));
    assert!(info.notes.iter().any(|n| n.contains("60 of 150")), "{:?}", info.notes);
    assert!(info.notes.iter().any(|n| n.contains("one class only")), "{:?}", info.notes);
}
