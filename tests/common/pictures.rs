//! The input pictures of `tests/golden/preprocess/pictures.py`, from the same integers.
#![allow(dead_code)]

/// `length` bytes of a counter hash (murmur3's finaliser).
pub(crate) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let hash = |i: u32| {
        let mut x = i.wrapping_add(seed.wrapping_mul(0x9E37_79B9));
        x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        ((x ^ (x >> 16)) >> 24) as u8
    };
    (0..length as u32).map(hash).collect()
}

/// Three triangle waves and a bright disc with a soft edge, per channel; interleaved RGB.
pub(crate) fn smooth(seed: u32, width: usize, height: usize) -> Vec<u8> {
    let (seed, w, h) = (i64::from(seed), width as i64, height as i64);
    let mut out = Vec::with_capacity(width * height * 3);
    for y in 0..h {
        for x in 0..w {
            for c in 0..3 {
                let (fx, fy) = (2 + (seed + c) % 5, 1 + (seed * 3 + c) % 4);
                let phase = x * fx * 510 / w + y * fy * 510 / h + 97 * c;
                let wave = (phase % 510 - 255).abs();
                let (dx, dy) = (2 * x - w + c * (w / 8), 2 * y - h);
                let r2 = (w * w / 2 + h * h / 2).max(1) / 2 + 1;
                let disc = (255 - ((dx * dx + dy * dy) * 255).div_euclid(r2)).clamp(0, 255);
                out.push(((wave * 2 + disc * 3) / 4).min(255) as u8);
            }
        }
    }
    out
}

/// Bytes and whether they are gray.
pub(crate) fn picture(kind: &str, width: usize, height: usize, seed: u32) -> (Vec<u8>, bool) {
    match kind {
        "noise" => (noise(seed, width * height * 3), false),
        "smooth" => (smooth(seed, width, height), false),
        "gray-noise" => (noise(seed, width * height), true),
        "gray-smooth" => (smooth(seed, width, height).iter().copied().step_by(3).collect(), true),
        other => panic!("unknown kind of picture {other}"),
    }
}
