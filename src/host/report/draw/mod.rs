//! Figures drawn once, as SVG for papers and as PNG for everything else.

mod charts;
mod font;
mod png;
mod svg;

pub(super) use charts::{bars, heat, scatter, scree};
pub(super) use svg::escape;

use crate::Result;
use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};

/// Okabe and Ito's colours, told apart with every common colour blindness, as the page uses them on
/// white.
const COLOURS: [Colour; 8] = [
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x9e, 0x73],
    [0xcc, 0x79, 0xa7],
    [0x56, 0xb4, 0xe9],
    [0xe6, 0x9f, 0x00],
    [0xa8, 0x9a, 0x00],
    [0x33, 0x33, 0x33],
];
const INK: Paint = Paint::solid([0x11, 0x11, 0x11]);
const RULE: Paint = Paint::solid([0xdd, 0xdd, 0xdd]);
const NONE: Paint = Paint::solid([0x8a, 0x8f, 0x94]);

type Colour = [u8; 3];

/// Colour and opacity.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Paint {
    colour: Colour,
    opacity: f64,
}

impl Paint {
    const fn solid(colour: Colour) -> Self {
        Self { colour, opacity: 1.0 }
    }

    const fn clear(colour: Colour, opacity: f64) -> Self {
        Self { colour, opacity }
    }
}

/// Where the position of a text is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    Start,
    Middle,
    End,
    /// Begins here and runs upwards.
    Up,
}

/// What figures are drawn on: a plane whose `y` grows downwards.
trait Canvas {
    fn rect(&mut self, at: [f64; 4], paint: Paint);
    /// Straight strokes through `points`.
    fn line(&mut self, points: &[[f64; 2]], width: f64, paint: Paint);
    /// One of [`SHAPES`] of radius `r` about each point.
    fn marks(&mut self, shape: usize, r: f64, points: &[[f64; 2]], paint: Paint);
    fn text(&mut self, at: [f64; 2], text: &str, size: f64, anchor: Anchor, paint: Paint);
}

/// Marks that tell classes of one colour apart: polygons about the origin, the first a circle.
const SHAPES: [&[[f64; 2]]; 6] = [
    &[],
    &[[-0.86, -0.86], [0.86, -0.86], [0.86, 0.86], [-0.86, 0.86]],
    &[[0.0, -1.2], [1.04, 0.6], [-1.04, 0.6]],
    &[[0.0, -1.15], [1.15, 0.0], [0.0, 1.15], [-1.15, 0.0]],
    &[
        [-0.32, -1.05],
        [0.32, -1.05],
        [0.32, -0.32],
        [1.05, -0.32],
        [1.05, 0.32],
        [0.32, 0.32],
        [0.32, 1.05],
        [-0.32, 1.05],
        [-0.32, 0.32],
        [-1.05, 0.32],
        [-1.05, -0.32],
        [-0.32, -0.32],
    ],
    &[[0.0, 1.2], [1.04, -0.6], [-1.04, -0.6]],
];

/// Puts a figure on any canvas.
type Draw<'a> = dyn Fn(&mut dyn Canvas) + 'a;

/// One figure: its size and how it is drawn.
pub(super) struct Figure<'a> {
    title: &'a str,
    size: [f64; 2],
    draw: Box<Draw<'a>>,
}

impl Figure<'_> {
    pub(super) fn svg(&self) -> String {
        let mut canvas = svg::Svg::new(self.size, self.title);
        (self.draw)(&mut canvas);
        canvas.finish()
    }

    /// Twice as many pixels a side as the SVG's units, fewer where that would be too large a picture.
    ///
    /// # Errors
    /// What encoding reports.
    pub(super) fn png(&self) -> Result<Vec<u8>> {
        let mut canvas = png::Png::new(self.size)?;
        (self.draw)(&mut canvas);
        canvas.finish()
    }
}

/// At most `most` characters, the last `…` if there are more.
fn short(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(file: &[u8]) -> (u32, u32, Vec<u8>) {
        let picture = image::load_from_memory(file).unwrap().to_rgb8();
        (picture.width(), picture.height(), picture.into_raw())
    }

    #[test]
    fn marks_are_where_they_belong_in_both() {
        let names = ["left & right", "<b>"];
        let figure = scatter("two", &[0.0, 0.0, 1.0, 0.0, 9.0, 9.0], &[Some(0), Some(1), None], &names);
        let svg = figure.svg();
        assert!(svg.contains("left &amp; right") && svg.contains("&lt;b&gt;") && svg.ends_with("</svg>"));
        assert_eq!(svg.matches("<use").count(), 5, "three points and two keys: {svg}");
        let (w, h, rgb) = pixels(&figure.png().unwrap());
        assert_eq!(h, 1280);
        // The first point is the class's colour in the lower left of the plane, the one without class gray.
        let at = |x: f64, y: f64| {
            let i = (((y * 2.0) as u32 * w + (x * 2.0) as u32) * 3) as usize;
            [rgb[i], rgb[i + 1], rgb[i + 2]]
        };
        assert_eq!(at(2.0, 2.0), [255; 3]);
        let near = |a: [u8; 3], b: Colour| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) < 45);
        assert!(near(at(20.0, 620.0), COLOURS[0]), "{:?}", at(20.0, 620.0));
        assert!(near(at(620.0, 20.0), NONE.colour), "{:?}", at(620.0, 20.0));
    }

    #[test]
    fn text_leaves_ink() {
        let dark = |file: &[u8]| pixels(file).2.iter().filter(|v| **v < 90).count();
        let [blank, named] = ["\u{200b}", "Ärpfel Яблоко"].map(|name| {
            let names = [name];
            dark(&bars("classes", &names, &[7]).png().unwrap())
        });
        assert!(named > blank + 300, "{named} {blank}");
    }

    #[test]
    fn large_tables_stay_pictures() {
        let names: Vec<String> = (0..700).map(|i| alloc::format!("a class with number {i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let cells: Vec<_> = (0..700).map(|i| (i, (i * 7) % 700, 3)).collect();
        let file = heat("all", &names, &names, &cells).png().unwrap();
        let (w, h, _) = pixels(&file);
        assert!(w > 700 && h > 700 && u64::from(w) * u64::from(h) < 40_000_000, "{w}x{h}");
    }

    #[test]
    fn names_are_shortened_by_characters() {
        assert_eq!((short("Äpfel", 5), short("Äpfelchen", 5)), ("Äpfel".into(), "Äpfe…".into()));
    }
}
