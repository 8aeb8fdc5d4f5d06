//! Figures as SVG.

use super::{Anchor, Canvas, Paint, SHAPES};
use alloc::{format, string::String};
use core::fmt::Write;

/// Text as XML content or attribute value.
pub(in crate::host::report) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to write other control characters.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

pub(super) struct Svg {
    out: String,
    /// Groups of marks so far; each has a glyph of its own.
    glyphs: usize,
}

impl Svg {
    pub(super) fn new([width, height]: [f64; 2], title: &str) -> Self {
        let out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" font-family=\"Roboto,Arial,sans-serif\"><title>{}</title>\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>",
            escape(title)
        );
        Self { out, glyphs: 0 }
    }

    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>");
        self.out
    }
}

fn hex(paint: Paint) -> String {
    let [r, g, b] = paint.colour;
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// The attribute for what isn't opaque.
fn opacity(name: &str, paint: Paint) -> String {
    match paint.opacity < 1.0 {
        true => format!(" {name}-opacity=\"{:.3}\"", paint.opacity),
        false => String::new(),
    }
}

impl Canvas for Svg {
    fn rect(&mut self, [x, y, w, h]: [f64; 4], paint: Paint) {
        let _ = write!(
            self.out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"{}\"{}/>",
            hex(paint),
            opacity("fill", paint)
        );
    }

    fn line(&mut self, points: &[[f64; 2]], width: f64, paint: Paint) {
        let _ = write!(
            self.out,
            "<polyline fill=\"none\" stroke=\"{}\"{} stroke-width=\"{width}\" stroke-linejoin=\"round\" points=\"",
            hex(paint),
            opacity("stroke", paint)
        );
        points.iter().for_each(|[x, y]| {
            let _ = write!(self.out, "{x:.1},{y:.1} ");
        });
        self.out.push_str("\"/>");
    }

    fn marks(&mut self, shape: usize, r: f64, points: &[[f64; 2]], paint: Paint) {
        let (id, out) = (self.glyphs, &mut self.out);
        self.glyphs += 1;
        let _ = match SHAPES.get(shape % SHAPES.len()) {
            Some(corners @ [_, ..]) => {
                let _ = write!(out, "<defs><path id=\"g{id}\" d=\"M");
                corners.iter().for_each(|[x, y]| {
                    let _ = write!(out, "{:.2} {:.2} ", x * r, y * r);
                });
                write!(out, "Z\"/></defs>")
            }
            _ => write!(out, "<defs><circle id=\"g{id}\" r=\"{r}\"/></defs>"),
        };
        let _ = write!(out, "<g fill=\"{}\"{}>", hex(paint), opacity("fill", paint));
        points.iter().for_each(|[x, y]| {
            let _ = write!(out, "<use href=\"#g{id}\" x=\"{x:.1}\" y=\"{y:.1}\"/>");
        });
        out.push_str("</g>");
    }

    fn text(&mut self, [x, y]: [f64; 2], text: &str, size: f64, anchor: Anchor, paint: Paint) {
        let anchor = match anchor {
            Anchor::Start => String::new(),
            Anchor::Middle => String::from(" text-anchor=\"middle\""),
            Anchor::End => String::from(" text-anchor=\"end\""),
            Anchor::Up => format!(" transform=\"rotate(-90 {x:.1} {y:.1})\""),
        };
        let _ = write!(
            self.out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{}\"{anchor}>{}</text>",
            hex(paint),
            escape(text)
        );
    }
}
