//! This crate's side of `benches/peers/decode.py`, and that of its peers in Rust: decodes, resizes and preprocesses as
//! often as it is asked on standard input, so that the script can alternate between all of them.
//!
//! `peer_decode PICTURES LENGTH`: the file has, for each JPEG, its length as `u32` and its bytes. A line is `KIND NAME`
//! or, to have what comes out in a file, `KIND NAME OUT`; the answer is the seconds that all pictures took.
//! `resize` and `pixels` begin with decoded pictures, `preset` with JPEGs. `probe` tells what the machine can do now.

#[path = "asked.rs"]
mod asked;
#[path = "probe.rs"]
mod probe;

use asked::Failure;
use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image, images::ImageRef,
};
use fruitcore::{
    Frame, PixelFormat, Preprocessor,
    host::decode::Decoder,
    preprocess::{Normalization, Preset, Recipe, RecipePreprocessor, ResizeFilter, ResizeTo, Step},
};
use image::{ImageFormat, load_from_memory_with_format};
use std::{env, fs, hint::black_box, io, io::Write, time::Instant};
use zune_jpeg::{JpegDecoder, zune_core::bytestream::ZCursor};

/// What is done with the picture of this number: its result goes to the function, which may keep it.
type Work<'a> = Box<dyn FnMut(usize, &mut dyn FnMut(&[u8])) -> Result<(), Failure> + 'a>;

/// Pixels a side after resizing.
const SIZE: usize = 224;

/// A decoded picture: width, height, RGB.
struct Pixels(usize, usize, Vec<u8>);

impl Pixels {
    fn frame(&self) -> fruitcore::Result<Frame<'_>> {
        Frame::new(PixelFormat::Rgb, self.0, self.1, &self.2)
    }
}

fn decoding<'a>(name: &str, jpegs: &'a [&'a [u8]]) -> Result<Work<'a>, Failure> {
    let mut decoder = Decoder::default();
    Ok(match name {
        "fruitcore" => Box::new(move |i, done| {
            done(decoder.decode(jpegs[i])?.data());
            Ok(())
        }),
        "zune-jpeg" => Box::new(|i, done| {
            done(&JpegDecoder::new(ZCursor::new(jpegs[i])).decode().map_err(|e| e.to_string())?);
            Ok(())
        }),
        "image" => Box::new(|i, done| {
            done(load_from_memory_with_format(jpegs[i], ImageFormat::Jpeg)?.into_rgb8().as_raw());
            Ok(())
        }),
        _ => return Err(format!("no decoder {name}").into()),
    })
}

fn resizing<'a>(name: &str, pictures: &'a [Pixels]) -> Result<Work<'a>, Failure> {
    let filter = match name {
        "pillow" => ResizeFilter::PillowBilinear,
        "opencv" => ResizeFilter::OpencvLinear,
        "fast_image_resize" => {
            let (mut resizer, mut out) =
                (Resizer::new(), Image::new(SIZE as u32, SIZE as u32, PixelType::U8x3));
            let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
            return Ok(Box::new(move |i, done| {
                let Pixels(width, height, rgb) = &pictures[i];
                let source = ImageRef::new(*width as u32, *height as u32, rgb, PixelType::U8x3)?;
                resizer.resize(&source, &mut out, &options)?;
                done(out.buffer());
                Ok(())
            }));
        }
        _ => return Err(format!("no filter {name}").into()),
    };
    let to = ResizeTo::Exact { height: SIZE, width: SIZE };
    let normalize = Step::Normalize { method: Normalization::Torchvision };
    let mut preprocessor =
        RecipePreprocessor::new(Recipe::new("", [Step::Resize { filter, to }, normalize])?);
    Ok(Box::new(move |i, done| {
        done(preprocessor.picture(&pictures[i].frame()?)?.data());
        Ok(())
    }))
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [file, _] = &args[..] else {
        return Err("usage: peer_decode PICTURES LENGTH".into());
    };
    let packed = fs::read(file)?;
    let (mut jpegs, mut rest) = (Vec::new(), &packed[..]);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (jpeg, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        jpegs.push(jpeg);
        rest = after;
    }
    let mut decoder = Decoder::default();
    let mut pictures = Vec::new();
    for jpeg in &jpegs {
        let frame = decoder.decode(jpeg)?;
        let mut rgb = vec![0; 3 * frame.width() * frame.height()];
        frame.write_rgb(&mut rgb)?;
        pictures.push(Pixels(frame.width(), frame.height(), rgb));
    }
    asked::answers(|words| {
        let [kind, name, to @ ..] = words else {
            return Ok(probe::rate(1)?.to_string());
        };
        let mut kept = to.first().map(fs::File::create).transpose()?.map(io::BufWriter::new);
        let mut values = vec![0.0; 3 * SIZE * SIZE];
        let mut work: Work<'_> = match *kind {
            "decode" => decoding(name, &jpegs)?,
            "resize" => resizing(name, &pictures)?,
            "preset" | "pixels" => {
                let mut preprocessor = RecipePreprocessor::new(name.parse::<Preset>()?.recipe(SIZE)?);
                let (whole, keeps) = (*kind == "preset", kept.is_some());
                let (jpegs, pictures, decoder) = (&jpegs, &pictures, &mut decoder);
                Box::new(move |i, done| {
                    let frame = if whole { decoder.decode(jpegs[i])? } else { pictures[i].frame()? };
                    preprocessor.preprocess_into(&frame, &mut values)?;
                    black_box(&values);
                    if keeps {
                        done(&asked::bytes(&values, f32::to_le_bytes));
                    }
                    Ok(())
                })
            }
            _ => return Err(format!("unknown: {}", words.join(" ")).into()),
        };
        // Sizes, weights and buffers of the first picture are what all others use.
        work(0, &mut |_| ())?;
        let mut failed = Ok(());
        let start = Instant::now();
        for i in 0..jpegs.len() {
            work(i, &mut |result| match &mut kept {
                Some(file) => failed = file.write_all(result),
                None => {
                    black_box(result);
                }
            })?;
        }
        let seconds = start.elapsed().as_secs_f64();
        failed?;
        if let Some(mut file) = kept {
            file.flush()?;
        }
        Ok(seconds.to_string())
    })
}
