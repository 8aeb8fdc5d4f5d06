//! Figures as SVG files, for papers.

use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;

/// Okabe and Ito's colours, as the page uses them on white.
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#a89a00", "#333333"];
/// Shapes that tell classes of one colour apart, about the origin.
const SHAPES: [&str; 6] = [
    "M-1 0A1 1 0 1 0 1 0A1 1 0 1 0-1 0Z",
    "M-.86-.86H.86V.86H-.86Z",
    "M0-1.2 1.04.6H-1.04Z",
    "M0-1.15 1.15 0 0 1.15-1.15 0Z",
    "M-.32-1.05H.32V-.32H1.05V.32H.32V1.05H-.32V.32H-1.05V-.32H-.32Z",
    "M0 1.2 1.04-.6H-1.04Z",
];

/// Text as XML content or attribute value.
pub(super) fn escape(text: &str) -> String {
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

fn open(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\"><title>{}</title><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>",
        escape(title)
    )
}

/// Points coloured by class, with a legend. `classes[of[i]]` is the class of point `i`.
pub(super) fn scatter(title: &str, points: &[f32], of: &[Option<u32>], classes: &[&str]) -> String {
    const SIDE: f64 = 640.0;
    const ROWS: usize = 36;
    let bounds = |axis: usize| {
        let values = points.iter().skip(axis).step_by(2).map(|v| f64::from(*v));
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
    };
    let ((x0, x1), (y0, y1)) = (bounds(0), bounds(1));
    let scale = (SIDE - 40.0) / (x1 - x0).max(y1 - y0).max(1e-9);
    let columns = classes.len().div_ceil(ROWS).min(4);
    let mut out = open(SIDE + 150.0 * columns as f64, SIDE, title);
    let radius = if of.len() < 1500 { 3.2 } else { 2.0 };
    for (class, _) in classes.iter().enumerate() {
        let shape = SHAPES[class / 8 % SHAPES.len()];
        let _ =
            write!(out, "<defs><path id=\"g{class}\" d=\"{shape}\" transform=\"scale({radius})\"/></defs>");
        let _ = write!(out, "<g fill=\"{}\" fill-opacity=\".85\">", COLOURS[class % 8]);
        let its = points.chunks_exact(2).zip(of).filter(|(_, c)| **c == Some(class as u32));
        for (p, _) in its {
            let x = SIDE / 2.0 + (f64::from(p[0]) - (x0 + x1) / 2.0) * scale;
            let y = SIDE / 2.0 - (f64::from(p[1]) - (y0 + y1) / 2.0) * scale;
            let _ = write!(out, "<use href=\"#g{class}\" x=\"{x:.1}\" y=\"{y:.1}\"/>");
        }
        out.push_str("</g>");
    }
    out.push_str("<g fill=\"#8a8f94\">");
    for (p, _) in points.chunks_exact(2).zip(of).filter(|(_, c)| c.is_none()) {
        let x = SIDE / 2.0 + (f64::from(p[0]) - (x0 + x1) / 2.0) * scale;
        let y = SIDE / 2.0 - (f64::from(p[1]) - (y0 + y1) / 2.0) * scale;
        let _ = write!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>");
    }
    out.push_str("</g>");
    for (i, class) in classes.iter().enumerate().take(ROWS * columns) {
        let (x, y) = (SIDE + 150.0 * (i / ROWS) as f64, 24.0 + (i % ROWS) as f64 * 17.0);
        let shown: String = class.chars().take(20).collect();
        let _ = write!(
            out,
            "<use href=\"#g{i}\" x=\"{x:.1}\" y=\"{:.1}\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            y - 4.0,
            COLOURS[i % 8],
            x + 10.0,
            escape(&shown)
        );
    }
    out.push_str("</svg>");
    out
}

/// Bars with their cumulative line, each value a fraction of one.
pub(super) fn scree(title: &str, ratios: &[f64]) -> String {
    let (w, h, l, b) = (760.0, 320.0, 50.0, 44.0);
    let mut out = open(w, h, title);
    let step = (w - l - 14.0) / ratios.len().max(1) as f64;
    let y = |v: f64| 14.0 + (1.0 - v) * (h - 14.0 - b);
    for k in 0..=4 {
        let v = f64::from(k) / 4.0;
        let _ = write!(
            out,
            "<line x1=\"{l}\" x2=\"{}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#ddd\"/><text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{v:.2}</text>",
            w - 14.0,
            y(v),
            l - 6.0,
            y(v) + 4.0
        );
    }
    let (mut sum, mut line) = (0.0, String::new());
    let every = ratios.len().div_ceil(16).max(1);
    for (i, v) in ratios.iter().enumerate() {
        sum += v;
        let x = l + i as f64 * step;
        let _ = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#0072b2\"/>",
            x + step * 0.14,
            y(*v),
            step * 0.72,
            y(0.0) - y(*v)
        );
        let _ = write!(line, "{:.1},{:.1} ", x + step / 2.0, y(sum));
        if i % every == 0 {
            let _ = write!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x + step / 2.0,
                h - b + 17.0,
                i + 1
            );
        }
    }
    let _ = write!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#d55e00\" stroke-width=\"2.5\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">component</text></svg>",
        line.trim_end(),
        (l + w) / 2.0,
        h - 8.0
    );
    out
}

/// One bar a class.
pub(super) fn bars(title: &str, classes: &[&str], counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let mut out = open(720.0, 24.0 + 20.0 * classes.len() as f64, title);
    for (i, (class, n)) in classes.iter().zip(counts).enumerate() {
        let y = 14.0 + 20.0 * i as f64;
        let shown: String = class.chars().take(26).collect();
        let width = 450.0 * *n as f64 / most;
        let _ = write!(
            out,
            "<text x=\"190\" y=\"{0:.1}\" text-anchor=\"end\">{1}</text><rect x=\"198\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"14\" fill=\"#0072b2\"/><text x=\"{2:.1}\" y=\"{0:.1}\">{n}</text>",
            y + 11.5,
            escape(&shown),
            204.0 + width
        );
    }
    out.push_str("</svg>");
    out
}

/// Counts of rows against columns, each row shaded by its share.
pub(super) fn heat(title: &str, rows: &[&str], columns: &[&str], cells: &[(u32, u32, u64)]) -> String {
    let side = if rows.len().max(columns.len()) > 60 { 12.0 } else { 22.0 };
    let (left, top) = (170.0, 130.0);
    let mut out =
        open(left + 20.0 + side * columns.len() as f64, top + 20.0 + side * rows.len() as f64, title);
    let mut sums: Vec<u64> = alloc::vec![0; rows.len()];
    for (r, _, n) in cells {
        if let Some(sum) = sums.get_mut(*r as usize) {
            *sum += n;
        }
    }
    for (r, c, n) in cells {
        let share = *n as f64 / sums.get(*r as usize).copied().unwrap_or(1).max(1) as f64;
        let (x, y) = (left + side * f64::from(*c), top + side * f64::from(*r));
        let _ = write!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side}\" height=\"{side}\" fill=\"#0072b2\" fill-opacity=\"{:.3}\"><title>{n}</title></rect>",
            0.06 + 0.94 * share
        );
        if side > 20.0 {
            let ink = if share > 0.5 { "#fff" } else { "#111" };
            let _ = write!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"9\" fill=\"{ink}\">{n}</text>",
                x + side / 2.0,
                y + side / 2.0 + 3.0
            );
        }
    }
    let font = if side > 20.0 { 12.0 } else { 9.0 };
    for (i, row) in rows.iter().enumerate() {
        let shown: String = row.chars().take(26).collect();
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"{font}\">{}</text>",
            left - 6.0,
            top + side * (i as f64 + 0.5) + 4.0,
            escape(&shown)
        );
    }
    for (i, column) in columns.iter().enumerate() {
        let shown: String = column.chars().take(20).collect();
        let (x, y) = (left + side * (i as f64 + 0.5) + 4.0, top - 6.0);
        let _ = write!(
            out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{font}\" transform=\"rotate(-90 {x:.1} {y:.1})\">{}</text>",
            escape(&shown)
        );
    }
    out.push_str("</svg>");
    out
}
