//! Figures as pixels.

use super::{Anchor, Canvas, Paint, SHAPES, font};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, vec::Vec};
use image::{
    ExtendedColorType, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use tiny_skia::{Color, FillRule, LineCap, LineJoin, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};

/// Pixels a unit, and pixels at most.
const SCALE: f64 = 2.0;
const MOST: f64 = 36e6;

pub(super) struct Png {
    pixels: Pixmap,
    scale: f32,
}

impl Png {
    pub(super) fn new([w, h]: [f64; 2]) -> Result<Self> {
        let scale = SCALE.min(libm::sqrt(MOST / (w * h).max(1.0)));
        let side = |v: f64| libm::ceil(v * scale) as u32;
        let mut pixels = Pixmap::new(side(w), side(h)).ok_or_else(|| {
            Error::new(ErrorKind::Limit, Stage::Sink, format!("a figure of {w:.0}x{h:.0} is too large"))
        })?;
        pixels.fill(Color::WHITE);
        Ok(Self { pixels, scale: scale as f32 })
    }

    pub(super) fn finish(self) -> Result<Vec<u8>> {
        let (w, h) = (self.pixels.width(), self.pixels.height());
        // The ground is opaque, so premultiplied colours are plain ones.
        let rgb: Vec<u8> = self.pixels.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
        // Flat ground: no filter and real compression make a tenth of what photographs' settings do.
        let mut file = Vec::new();
        PngEncoder::new_with_quality(&mut file, CompressionType::Default, FilterType::NoFilter)
            .write_image(&rgb, w, h, ExtendedColorType::Rgb8)
            .map_err(|e| Error::new(ErrorKind::Io, Stage::Sink, format!("{e}")).because(e))?;
        Ok(file)
    }

    fn fill(&mut self, path: &Path, paint: Paint, at: Transform) {
        let scaled = at.post_scale(self.scale, self.scale);
        self.pixels.fill_path(path, &brush(paint), FillRule::Winding, scaled, None);
    }
}

fn brush(paint: Paint) -> tiny_skia::Paint<'static> {
    let [r, g, b] = paint.colour;
    let mut brush = tiny_skia::Paint { anti_alias: true, ..Default::default() };
    brush.set_color_rgba8(r, g, b, (paint.opacity.clamp(0.0, 1.0) * 255.0) as u8);
    brush
}

impl Canvas for Png {
    fn rect(&mut self, [x, y, w, h]: [f64; 4], paint: Paint) {
        if let Some(rect) = Rect::from_xywh(x as f32, y as f32, w as f32, h as f32) {
            let at = Transform::from_scale(self.scale, self.scale);
            self.pixels.fill_rect(rect, &brush(paint), at, None);
        }
    }

    fn line(&mut self, points: &[[f64; 2]], width: f64, paint: Paint) {
        let mut path = PathBuilder::new();
        for (i, &[x, y]) in points.iter().enumerate() {
            match i {
                0 => path.move_to(x as f32, y as f32),
                _ => path.line_to(x as f32, y as f32),
            }
        }
        if let Some(path) = path.finish() {
            let stroke = Stroke {
                width: width as f32,
                line_cap: LineCap::Butt,
                line_join: LineJoin::Round,
                ..Stroke::default()
            };
            let at = Transform::from_scale(self.scale, self.scale);
            self.pixels.stroke_path(&path, &brush(paint), &stroke, at, None);
        }
    }

    fn marks(&mut self, shape: usize, r: f64, points: &[[f64; 2]], paint: Paint) {
        let path = match SHAPES.get(shape % SHAPES.len()) {
            Some([[x, y], rest @ ..]) => {
                let mut path = PathBuilder::new();
                path.move_to(*x as f32, *y as f32);
                rest.iter().for_each(|[x, y]| path.line_to(*x as f32, *y as f32));
                path.close();
                path.finish()
            }
            _ => PathBuilder::from_circle(0.0, 0.0, 1.0),
        };
        let Some(path) = path else { return };
        for &[x, y] in points {
            let at = Transform::from_row(r as f32, 0.0, 0.0, r as f32, x as f32, y as f32);
            self.fill(&path, paint, at);
        }
    }

    fn text(&mut self, [x, y]: [f64; 2], text: &str, size: f64, anchor: Anchor, paint: Paint) {
        let (path, width) = font::outline(text, size);
        let Some(path) = path else { return };
        let at = match anchor {
            Anchor::Start => Transform::from_translate(x as f32, y as f32),
            Anchor::Middle => Transform::from_translate((x - width / 2.0) as f32, y as f32),
            Anchor::End => Transform::from_translate((x - width) as f32, y as f32),
            Anchor::Up => font::upwards(x, y),
        };
        self.fill(&path, paint, at);
    }
}
