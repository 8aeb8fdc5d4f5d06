//! Any bytes as an encoded picture: an error or a frame within the limits, and a decoder that still works.
#![no_main]

use fruitcore::host::decode::{DecodeOptions, Decoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut options = DecodeOptions::default();
    options.limits.max_pixels = 1 << 20;
    options.limits.max_memory = 64 << 20;
    let mut decoder = Decoder::new(options);
    if let Ok(frame) = decoder.decode(bytes) {
        assert!(frame.width() * frame.height() <= 1 << 20);
    }
    let bmp = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02\x03\0";
    let frame = decoder.decode(bmp).expect("a decoder works after anything");
    assert_eq!((frame.width(), frame.height()), (1, 1));
});
