//! The charts themselves.

use super::{Anchor, COLOURS, Canvas, Colour, Figure, INK, NONE, Paint, RULE, SHAPES, font, short};
use alloc::{boxed::Box, format, string::String, string::ToString, vec, vec::Vec};

const BLUE: Colour = COLOURS[0];
const ORANGE: Colour = COLOURS[1];
/// Classes a chart has room for; the page has all.
const CLASSES: usize = 400;

fn look(class: usize) -> (Colour, usize) {
    (COLOURS[class % COLOURS.len()], class / COLOURS.len() % SHAPES.len())
}

/// Points coloured by class, with a legend. `classes[of[i]]` is the class of point `i`.
pub(in crate::host::report) fn scatter<'a>(
    title: &'a str,
    points: &'a [f32],
    of: &'a [Option<u32>],
    classes: &'a [&'a str],
) -> Figure<'a> {
    const SIDE: f64 = 640.0;
    const LINE: f64 = 17.0;
    const ROWS: usize = 36;
    let names: Vec<String> = classes.iter().take(ROWS * 6).map(|c| short(c, 24)).collect();
    let columns = names.len().div_ceil(ROWS);
    let wide = names.iter().map(|n| font::width(n, 12.0)).fold(0.0, f64::max) + 30.0;
    let bounds = |axis: usize| {
        let values = points.iter().skip(axis).step_by(2).map(|v| f64::from(*v));
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
    };
    let ((x0, x1), (y0, y1)) = (bounds(0), bounds(1));
    let scale = (SIDE - 40.0) / (x1 - x0).max(y1 - y0).max(1e-9);
    let place = move |p: &[f32]| {
        let x = SIDE / 2.0 + (f64::from(p[0]) - (x0 + x1) / 2.0) * scale;
        let y = SIDE / 2.0 - (f64::from(p[1]) - (y0 + y1) / 2.0) * scale;
        [x, y]
    };
    let radius = if of.len() < 1500 { 3.2 } else { 2.0 };
    let draw = move |canvas: &mut dyn Canvas| {
        let mut by: Vec<Vec<[f64; 2]>> = vec![Vec::new(); classes.len() + 1];
        for (p, class) in points.chunks_exact(2).zip(of) {
            let class = class.map_or(classes.len(), |c| c as usize);
            if let Some(points) = by.get_mut(class) {
                points.push(place(p));
            }
        }
        for (class, points) in by.iter().enumerate().filter(|(_, points)| !points.is_empty()) {
            match class < classes.len() {
                true => {
                    let (colour, shape) = look(class);
                    canvas.marks(shape, radius, points, Paint::clear(colour, 0.85));
                }
                false => canvas.marks(0, radius * 0.7, points, NONE),
            }
        }
        for (i, name) in names.iter().enumerate() {
            let x = SIDE + 8.0 + wide * (i / ROWS) as f64;
            let y = 22.0 + (i % ROWS) as f64 * LINE;
            let (colour, shape) = look(i);
            canvas.marks(shape, 4.0, &[[x, y - 4.0]], Paint::solid(colour));
            canvas.text([x + 10.0, y], name, 12.0, Anchor::Start, INK);
        }
        if classes.len() > names.len() {
            let more = format!("and {} more", classes.len() - names.len());
            canvas.text([SIDE + 8.0, SIDE - 4.0], &more, 12.0, Anchor::Start, INK);
        }
    };
    Figure { title, size: [SIDE + 8.0 + wide * columns as f64, SIDE], draw: Box::new(draw) }
}

/// Bars with their cumulative line, each value a fraction of one.
pub(in crate::host::report) fn scree<'a>(title: &'a str, ratios: &'a [f64]) -> Figure<'a> {
    const W: f64 = 760.0;
    const H: f64 = 320.0;
    let (left, right, top, below) = (60.0, 14.0, 14.0, 44.0);
    let step = (W - left - right) / ratios.len().max(1) as f64;
    let height = move |v: f64| top + (1.0 - v) * (H - top - below);
    let draw = move |canvas: &mut dyn Canvas| {
        for k in 0..=4 {
            let v = f64::from(k) / 4.0;
            canvas.line(&[[left, height(v)], [W - right, height(v)]], 1.0, RULE);
            canvas.text(
                [left - 6.0, height(v) + 4.0],
                &format!("{:.0} %", 100.0 * v),
                12.0,
                Anchor::End,
                INK,
            );
        }
        let every = ratios.len().div_ceil(16).max(1);
        let (mut sum, mut line) = (0.0, Vec::with_capacity(ratios.len()));
        for (i, v) in ratios.iter().enumerate() {
            sum += v;
            let x = left + i as f64 * step;
            let bar = [x + step * 0.14, height(*v), step * 0.72, height(0.0) - height(*v)];
            canvas.rect(bar, Paint::solid(BLUE));
            line.push([x + step / 2.0, height(sum)]);
            if i % every == 0 {
                let at = [x + step / 2.0, H - below + 17.0];
                canvas.text(at, &(i + 1).to_string(), 12.0, Anchor::Middle, INK);
            }
        }
        canvas.line(&line, 2.5, Paint::solid(ORANGE));
        if let [.., last] = line.as_slice() {
            canvas.marks(0, 3.0, &line[line.len() - 1..], Paint::solid(ORANGE));
            let sum = format!("{:.1} % together", 100.0 * sum);
            let y = if last[1] < 40.0 { last[1] + 18.0 } else { last[1] - 8.0 };
            canvas.text([last[0], y], &sum, 12.0, Anchor::End, INK);
        }
        let x = (left + W - right) / 2.0;
        canvas.text([x, H - 8.0], "component", 12.0, Anchor::Middle, INK);
    };
    Figure { title, size: [W, H], draw: Box::new(draw) }
}

/// One bar a class.
pub(in crate::host::report) fn bars<'a>(
    title: &'a str,
    classes: &'a [&'a str],
    counts: &'a [u64],
) -> Figure<'a> {
    const ROW: f64 = 20.0;
    const BAR: f64 = 450.0;
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let names: Vec<String> = classes.iter().take(CLASSES).map(|c| short(c, 32)).collect();
    let left = names.iter().map(|n| font::width(n, 12.0)).fold(40.0, f64::max) + 14.0;
    let more = classes.len() - names.len();
    let height = 16.0 + ROW * (names.len() + usize::from(more > 0)) as f64;
    let draw = move |canvas: &mut dyn Canvas| {
        for (i, (name, n)) in names.iter().zip(counts).enumerate() {
            let y = 8.0 + ROW * i as f64;
            let width = BAR * *n as f64 / most;
            canvas.text([left - 8.0, y + 11.5], name, 12.0, Anchor::End, INK);
            canvas.rect([left, y, width, 14.0], Paint::solid(BLUE));
            canvas.text([left + width + 6.0, y + 11.5], &n.to_string(), 12.0, Anchor::Start, INK);
        }
        if more > 0 {
            canvas.text([left, height - 8.0], &format!("and {more} more"), 12.0, Anchor::Start, INK);
        }
    };
    Figure { title, size: [left + BAR + 70.0, height], draw: Box::new(draw) }
}

/// Counts of rows against columns, each row shaded by its share.
pub(in crate::host::report) fn heat<'a>(
    title: &'a str,
    rows: &'a [&'a str],
    columns: &'a [&'a str],
    cells: &'a [(u32, u32, u64)],
) -> Figure<'a> {
    let side: f64 = match rows.len().max(columns.len()) {
        0..=40 => 24.0,
        41..=200 => 12.0,
        _ => 4.0,
    };
    let (font, numbers) = (if side > 20.0 { 12.0 } else { 9.5 }, side > 20.0);
    let shown = |names: &[&str]| -> Vec<String> {
        names.iter().map(|n| if side < 10.0 { String::new() } else { short(n, 28) }).collect()
    };
    let (row_names, column_names) = (shown(rows), shown(columns));
    let room = |names: &[String]| names.iter().map(|n| font::width(n, font)).fold(24.0, f64::max) + 12.0;
    let (left, top) = (room(&row_names), room(&column_names));
    let size = [left + 14.0 + side * columns.len() as f64, top + 14.0 + side * rows.len() as f64];
    let draw = move |canvas: &mut dyn Canvas| {
        let mut sums: Vec<u64> = vec![0; rows.len()];
        for (r, _, n) in cells {
            if let Some(sum) = sums.get_mut(*r as usize) {
                *sum += n;
            }
        }
        let ground = [left, top, side * columns.len() as f64, side * rows.len() as f64];
        canvas.rect(ground, Paint::clear(BLUE, 0.04));
        for (r, c, n) in cells {
            let share = *n as f64 / sums.get(*r as usize).copied().unwrap_or(1).max(1) as f64;
            let (x, y) = (left + side * f64::from(*c), top + side * f64::from(*r));
            canvas.rect([x, y, side, side], Paint::clear(BLUE, 0.08 + 0.92 * share));
            if numbers {
                let ink = if share > 0.45 { Paint::solid([255; 3]) } else { INK };
                let at = [x + side / 2.0, y + side / 2.0 + 3.5];
                canvas.text(at, &n.to_string(), 9.5, Anchor::Middle, ink);
            }
        }
        for (i, name) in row_names.iter().enumerate() {
            let y = top + side * (i as f64 + 0.5) + font * 0.35;
            canvas.text([left - 6.0, y], name, font, Anchor::End, INK);
        }
        for (i, name) in column_names.iter().enumerate() {
            let x = left + side * (i as f64 + 0.5) + font * 0.35;
            canvas.text([x, top - 6.0], name, font, Anchor::Up, INK);
        }
    };
    Figure { title, size, draw: Box::new(draw) }
}
