//! Pictures that are not plain 8-bit RGB, and names that come twice, through the program.

use super::support::{Work, assert_close};
use flate2::read::ZlibDecoder;
use fruitcore::host::sink::{Content, picture::PictureFormat};
use std::{fs, io::Read, path::Path};

/// File and the pixels Pillow reads from it (OpenCV from 16-bit gray), as `golden/decode` has them.
struct Golden {
    name: String,
    encoded: Vec<u8>,
    size: [usize; 2],
    rgb: Vec<u8>,
}

fn goldens(names: &[&str]) -> Vec<Golden> {
    let packed = include_bytes!("../golden/decode/pictures.bin.z");
    let mut all = Vec::new();
    ZlibDecoder::new(&packed[..]).read_to_end(&mut all).unwrap();
    let mut rest = all.as_slice();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let name = String::from_utf8(counted(&mut rest, 2)).unwrap();
        let encoded = counted(&mut rest, 4);
        let size = [number(&mut rest, 2), number(&mut rest, 2)];
        let rgb = take(&mut rest, size[0] * size[1] * 3);
        if names.contains(&&*name) {
            found.push(Golden { name, encoded, size, rgb });
        }
    }
    assert_eq!(found.len(), names.len());
    found
}

fn take(rest: &mut &[u8], n: usize) -> Vec<u8> {
    rest.split_off(..n).unwrap().to_vec()
}

fn number(rest: &mut &[u8], bytes: usize) -> usize {
    take(rest, bytes).iter().rev().fold(0, |n, &b| n << 8 | usize::from(b))
}

fn counted(rest: &mut &[u8], bytes: usize) -> Vec<u8> {
    let n = number(rest, bytes);
    take(rest, n)
}

fn tar(members: &[(&str, &[u8])], path: &Path) {
    let mut archive = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.finish().unwrap();
}

#[test]
fn every_kind_of_picture_gives_the_features_of_its_pixels() {
    let work = Work::new(0, 1);
    let names = [
        "gif-animated.gif",
        "jpeg-cmyk.jpg",
        "jpeg-gray.jpg",
        "png-gray16.png",
        "png-la.png",
        "png-palette.png",
        "png-rgb16.png",
        "webp-animated.webp",
    ];
    let goldens = goldens(&names);
    for folder in ["odd", "plain"] {
        fs::create_dir(work.path(folder)).unwrap();
    }
    for g in &goldens {
        fs::write(work.path("odd").join(&g.name), &g.encoded).unwrap();
        let plain = PictureFormat::Png.encode(&g.rgb, g.size[0], g.size[1]).unwrap();
        fs::write(work.path("plain").join(&g.name), plain).unwrap();
    }
    // One name twice in an archive: the second picture would be another.
    let file = |name: &str| &*goldens.iter().find(|g| g.name == name).unwrap().encoded;
    let twice = [("z.png", file("png-gray16.png")), ("z.png", file("png-rgb16.png"))];
    tar(&twice, &work.path("odd/set.tar"));
    fs::create_dir(work.path("plain/set.tar")).unwrap();
    fs::copy(work.path("plain/png-gray16.png"), work.path("plain/set.tar/z.png")).unwrap();

    let options = ["--components", "2", "--label", "none", "--json"];
    let done = work.run_on("odd", "out", &options).code(0);
    let summary = done.json();
    assert_eq!(
        (&summary["images"], &summary["rows"], &summary["rejected"]),
        (&9.into(), &9.into(), &1.into())
    );
    done.says(&["set.tar/z.png", "appears twice in the archive"]);
    let rejects = fs::read_to_string(work.path("out/rejects.csv")).unwrap();
    assert!(rejects.lines().nth(1).unwrap().starts_with("set.tar/z.png,source,"), "{rejects}");

    work.run_on("plain", "expected", &options).code(0);
    let (found, expected) = (work.rows("out", Content::Features), work.rows("expected", Content::Features));
    assert_close(&found, &expected, 0.02);
    // JPEG's decoders round differently; the others are the same pixels.
    let lossless = |rows: &[(String, Option<String>, Vec<f32>)]| {
        rows.iter().filter(|row| !row.0.ends_with(".jpg")).cloned().collect::<Vec<_>>()
    };
    assert_close(&lossless(&found), &lossless(&expected), 1e-6);
}
