//! Decoding against Pillow's `convert("RGB")`, and bad input.
#![cfg(feature = "host")]

use flate2::read::ZlibDecoder;
use fruitcore::{
    ErrorKind, Frame, PixelFormat, Stage,
    host::decode::{DecodeOptions, Decoder, Orientation},
};
use std::{io::Read, path::Path};

/// One file of `golden/decode/make_pictures.py`; no pixels if Pillow refuses it.
struct Golden {
    name: String,
    encoded: Vec<u8>,
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

fn goldens() -> Vec<Golden> {
    let packed = include_bytes!("golden/decode/pictures.bin.z");
    let mut all = Vec::new();
    ZlibDecoder::new(&packed[..]).read_to_end(&mut all).unwrap();
    let mut rest = all.as_slice();
    let mut take = |n: usize| {
        let (head, tail) = rest.split_at(n);
        rest = tail;
        (head.to_vec(), tail.is_empty())
    };
    let number = |bytes: Vec<u8>| bytes.iter().rev().fold(0usize, |n, &b| n << 8 | usize::from(b));
    let mut found = Vec::new();
    loop {
        let len = number(take(2).0);
        let name = String::from_utf8(take(len).0).unwrap();
        let len = number(take(4).0);
        let encoded = take(len).0;
        let (width, height) = (number(take(2).0), number(take(2).0));
        let (rgb, over) = take(width * height * 3);
        found.push(Golden { name, encoded, width, height, rgb });
        if over {
            return found;
        }
    }
}

fn golden(name: &str) -> Golden {
    goldens().into_iter().find(|g| g.name == name).unwrap()
}

fn as_rgb(frame: &Frame<'_>) -> Vec<u8> {
    match frame.format() {
        PixelFormat::Gray => frame.data().iter().flat_map(|&v| [v; 3]).collect(),
        PixelFormat::Rgb => frame.data().to_vec(),
        other => panic!("{other:?} from a decoder"),
    }
}

/// Largest and mean difference of levels.
fn difference(a: &[u8], b: &[u8]) -> (u8, f64) {
    assert_eq!(a.len(), b.len());
    let each = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    (each.clone().max().unwrap_or(0), each.map(f64::from).sum::<f64>() / a.len() as f64)
}

/// What a file may differ from Pillow by: largest and mean level. Lossless formats by nothing.
fn allowed(name: &str) -> (u8, f64) {
    match name {
        // libjpeg ends chroma at the picture's edge, this decoder goes on into the padding of the last
        // block. Noise this small with 4:2:0 chroma is nothing but edge.
        "jpeg-1x17.jpg" | "jpeg-2x2.jpg" | "jpeg-3x5.jpg" => (64, 20.0),
        // Another IDCT, and chroma interpolation with one rounding more, than libjpeg-turbo.
        _ if name.starts_with("jpeg-") => (5, 0.7),
        "webp-lossy.webp" => (2, 0.1),
        _ => (0, 0.0),
    }
}

#[test]
fn equal_to_pillow() {
    let mut decoder = Decoder::default();
    let mut compared = 0;
    let mut failures = Vec::new();
    for g in goldens().iter().filter(|g| g.width > 0) {
        match decoder.decode(&g.encoded) {
            Ok(frame) => {
                if (frame.width(), frame.height()) != (g.width, g.height) {
                    failures.push(format!("{}: {}x{}", g.name, frame.width(), frame.height()));
                    continue;
                }
                let (most, mean) = difference(&as_rgb(&frame), &g.rgb);
                println!("{:28} {:?} max {most} mean {mean:.4}", g.name, frame.format());
                let (max_most, max_mean) = allowed(&g.name);
                if most > max_most || mean > max_mean {
                    failures.push(format!("{}: max {most} mean {mean:.3}", g.name));
                }
                compared += 1;
            }
            Err(e) if g.name == "tiff-float.tif" => assert_eq!(e.kind(), ErrorKind::Unsupported),
            Err(e) => failures.push(format!("{}: {e}", g.name)),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(compared > 55, "{compared}");
}

#[test]
fn what_pillow_refuses_is_refused() {
    let mut decoder = Decoder::default();
    let refused: Vec<_> = goldens().into_iter().filter(|g| g.width == 0).collect();
    assert!(refused.len() >= 20);
    for g in refused {
        let error = decoder.decode(&g.encoded).expect_err(&g.name);
        let kind = if g.name == "bomb.png" { ErrorKind::Limit } else { ErrorKind::Corrupt };
        assert_eq!((error.kind(), error.stage()), (kind, Stage::Decode), "{}: {error}", g.name);
    }
    // And the decoder is none the worse for it.
    let g = golden("png-rgb.png");
    assert_eq!(decoder.decode(&g.encoded).unwrap().data(), g.rgb);
}

#[test]
fn every_cut_jpeg_is_refused() {
    let mut decoder = Decoder::default();
    for name in ["jpeg-420.jpg", "jpeg-444-progressive.jpg", "jpeg-exif-6.jpg", "jpeg-restart.jpg"] {
        let g = golden(name);
        for len in 0..g.encoded.len() {
            let error = decoder.decode(&g.encoded[..len]).expect_err("a prefix");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name} {len}: {error}");
        }
    }
}

#[test]
fn damage_never_panics_out() {
    let mut decoder = Decoder::default();
    let mut state = 1u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize
    };
    for g in goldens() {
        for _ in 0..20 {
            let mut bytes = g.encoded.clone();
            if bytes.is_empty() {
                continue;
            }
            for _ in 0..1 + random() % 4 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            if let Ok(frame) = decoder.decode(&bytes) {
                assert_eq!(frame.data().len(), frame.width() * frame.height() * frame.format().row_bytes(1));
            }
        }
    }
}

#[test]
fn messages_say_what_it_is() {
    let mut decoder = Decoder::default();
    let html = b"<!DOCTYPE html><html><body>404</body></html>";
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n";
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    let cases: [(&[u8], ErrorKind, &str); 7] = [
        (b"", ErrorKind::Corrupt, "empty"),
        (b"just words", ErrorKind::Corrupt, "text"),
        (html, ErrorKind::Corrupt, "HTML"),
        (lfs, ErrorKind::Corrupt, "git lfs pull"),
        (heic, ErrorKind::Unsupported, "HEIC"),
        (&[0; 100], ErrorKind::Corrupt, "zeros"),
        (&[0xFF, 0xD8, 0xFF], ErrorKind::Corrupt, "truncated"),
    ];
    for (bytes, kind, says) in cases {
        let error = decoder.decode(bytes).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(says), "{error}");
    }
}

#[test]
fn limits_hold_before_decoding() {
    let g = golden("jpeg-420.jpg");
    type Set = fn(&mut DecodeOptions);
    let sets: [Set; 5] = [
        |o| o.limits.max_bytes = 100,
        |o| o.limits.max_width = 44,
        |o| o.limits.max_height = 32,
        |o| o.limits.max_pixels = 45 * 33 - 1,
        |o| o.limits.max_memory = 45 * 33 * 3,
    ];
    for name in
        ["jpeg-420.jpg", "png-rgb.png", "webp-lossy.webp", "bmp-rgb.bmp", "tiff-rgb.tif", "gif-plain.gif"]
    {
        for set in sets {
            let mut options = DecodeOptions::default();
            set(&mut options);
            let error = Decoder::new(options).decode(&golden(name).encoded).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Limit, "{name}: {error}");
        }
    }
    let mut exact = DecodeOptions::default();
    (exact.limits.max_width, exact.limits.max_height, exact.limits.max_pixels) = (45, 33, 45 * 33);
    assert!(Decoder::new(exact).decode(&g.encoded).is_ok());

    // A frame header that promises 65,500 × 65,500 pixels.
    let mut huge = g.encoded.clone();
    let sof = huge.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    huge[sof + 5..sof + 9].copy_from_slice(&[0xFF, 0xDC, 0xFF, 0xDC]);
    assert_eq!(Decoder::default().decode(&huge).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn exif_turns_only_when_asked() {
    let mut plain = Decoder::default();
    let mut options = DecodeOptions::default();
    options.orientation = Orientation::Apply;
    let mut upright = Decoder::new(options);
    for (name, size) in
        [("jpeg-exif-3.jpg", (45, 33)), ("jpeg-exif-6.jpg", (33, 45)), ("jpeg-exif-8.jpg", (33, 45))]
    {
        let g = golden(name);
        let stored = plain.decode(&g.encoded).unwrap();
        assert_eq!((stored.width(), stored.height()), (45, 33));
        let turned = upright.decode(&g.encoded).unwrap();
        assert_eq!((turned.width(), turned.height()), size, "{name}");
        // The stored first pixel ends up in another corner.
        let (w, h) = size;
        let corner = match name {
            "jpeg-exif-3.jpg" => w * h - 1,
            "jpeg-exif-6.jpg" => w - 1,
            _ => w * (h - 1),
        };
        assert_eq!(turned.data()[corner * 3..corner * 3 + 3], stored.data()[..3], "{name}");
    }
}

#[test]
fn buffers_are_reused() {
    let mut decoder = Decoder::default();
    let g = golden("jpeg-420.jpg");
    let first = decoder.decode(&g.encoded).unwrap().data().as_ptr();
    decoder.decode(&golden("png-gray.png").encoded).unwrap();
    assert_eq!(decoder.decode(&g.encoded).unwrap().data().as_ptr(), first);
}

/// The development data set, where it lies beside the repository: every picture decodes.
#[test]
fn real_pictures_decode() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/fruits360-131x9");
    if !folder.is_dir() {
        println!("no {}: real pictures not tested", folder.display());
        return;
    }
    let mut decoder = Decoder::default();
    let mut count = 0;
    for class in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(class.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let frame = decoder.decode(&std::fs::read(&path).unwrap());
            let frame = frame.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert_eq!((frame.width(), frame.height(), frame.format()), (100, 100, PixelFormat::Rgb));
            count += 1;
        }
    }
    assert!(count > 1000, "{count}");
}
