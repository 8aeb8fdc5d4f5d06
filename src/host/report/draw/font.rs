//! The outlines of text: Roboto, cut down to Latin, Greek and Cyrillic (see `roboto.txt`).

use tiny_skia::{Path, PathBuilder, Transform};
use ttf_parser::{Face, OutlineBuilder};

const FILE: &[u8] = include_bytes!("roboto.ttf");

/// A line of text as outlines from (0, 0) rightwards, and its width. Characters the font lacks are
/// boxes.
pub(super) fn outline(text: &str, size: f64) -> (Option<Path>, f64) {
    let Ok(face) = Face::parse(FILE, 0) else { return (None, 0.0) };
    let scale = size / f64::from(face.units_per_em());
    let mut path = PathBuilder::new();
    let mut x = 0.0;
    for c in text.chars().filter(|c| !c.is_control()) {
        let glyph = face.glyph_index(c).unwrap_or_default();
        let mut pen = Pen { path: &mut path, scale: scale as f32, x: x as f32 };
        face.outline_glyph(glyph, &mut pen);
        x += f64::from(face.glyph_hor_advance(glyph).unwrap_or(0)) * scale;
    }
    (path.finish(), x)
}

/// The width of a line of text; viewers that have another font show it about as wide.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let Ok(face) = Face::parse(FILE, 0) else { return text.len() as f64 * size * 0.5 };
    let advance = |c| f64::from(face.glyph_hor_advance(face.glyph_index(c).unwrap_or_default()).unwrap_or(0));
    text.chars().map(advance).sum::<f64>() * size / f64::from(face.units_per_em())
}

/// From font units, `y` upwards, to the canvas.
struct Pen<'a> {
    path: &'a mut PathBuilder,
    scale: f32,
    x: f32,
}

impl Pen<'_> {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for Pen<'_> {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

/// A quarter turn to the left about the origin, then to (x, y).
pub(super) fn upwards(x: f64, y: f64) -> Transform {
    Transform::from_row(0.0, -1.0, 1.0, 0.0, x as f32, y as f32)
}
