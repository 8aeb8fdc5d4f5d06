//! Householder reduction of a symmetric matrix to tridiagonal form, by panels: within a panel the
//! matrix is only read, one triangle once a column; then one product brings it up to date (Dongarra,
//! Sorensen and Hammarling, "Block reduction of matrices to condensed forms", 1989).
//!
//! Columns are dealt out to a team of threads in blocks that they keep to the end, each in its own cache.
//! Vectors are divided by rows. For a column the threads meet three times: when it is up to date, when each
//! has its part of the product, and when the product is summed.

mod reflector;
mod triangle;

use super::kernels::{Kernels, Lines, Panels, Side, WIDTH, add_stripe};
use super::team::{self, Slot};
use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;
use reflector::reflector;
use triangle::Triangle;

/// Columns between two updates of the matrix.
const PANEL: usize = WIDTH;

/// What the reduction leaves beside the reflectors' tails in the matrix.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reduced {
    pub(super) diagonal: Vec<f64>,
    /// One shorter than the diagonal.
    pub(super) off: Vec<f64>,
    /// `‖v‖² / 2` of each reflector `I − 2·v·vᵀ/‖v‖²` with `v₀ = 1`; infinite for the identity.
    pub(super) taus: Vec<f64>,
}

/// Copies a column of a matrix from its diagonal on. Dropped as soon as it has copied all.
pub(super) type Columns = Box<CopyColumn>;

type CopyColumn = dyn Fn(usize, &mut [f64]) + Send + Sync;

/// Reduces the `d × d` matrix whose lower triangle is in `a`, column after column, or that `columns` copies,
/// whatever `a` holds then. Column `j` of `a` keeps its reflector's tail from row `j + 2` on. `None` if `a` isn't
/// such a matrix.
pub(super) fn tridiagonalise(
    kernels: &Kernels,
    a: &mut [f64],
    columns: Option<Columns>,
    d: usize,
) -> Option<Reduced> {
    by_team(kernels, a, columns, d, team::size(d))
}

/// The size of the team, but not who does the work of which member, decides what is rounded how.
pub(super) fn by_team(
    kernels: &Kernels,
    a: &mut [f64],
    columns: Option<Columns>,
    d: usize,
    members: usize,
) -> Option<Reduced> {
    let mut first = a.get(..d)?.to_vec();
    if let Some(columns) = &columns {
        columns(0, &mut first);
    }
    let board = Board {
        column: Slot::new(first),
        columns: Slot::new(columns),
        row: Slot::new([0.0; 2 * PANEL]),
        parts: (0..members).map(|_| Part::new(d)).collect(),
    };
    let mut dealt: Vec<Vec<_>> = (0..members).map(|_| Vec::new()).collect();
    for (i, values) in a.chunks_mut(WIDTH * d).enumerate() {
        // There and back: blocks get shorter.
        let turn = i % (2 * members);
        dealt.get_mut(turn.min(2 * members - 1 - turn))?.push((i * WIDTH, values));
    }
    let members = dealt.into_iter().enumerate().map(|(index, blocks)| Member {
        kernels,
        board: &board,
        d,
        index,
        triangle: Triangle::new(d, blocks),
        start: 0,
        rows: 0..0,
        known: Vec::new(),
        v: Lines::zeros(d),
        tau: f64::INFINITY,
        last: (1.0, 0.0),
        out: Reduced::default(),
    });
    let mut steps = Vec::with_capacity(4 * d);
    steps.push(Step::Load);
    for start in (0..d).step_by(PANEL) {
        let next = d.min(start + PANEL);
        for j in start..next {
            steps.extend([Step::Current(j), Step::Project(j)]);
            if j + 1 < d {
                steps.push(Step::Image(j));
            }
        }
        if next < d {
            steps.extend([Step::Pack(next), Step::Update(next)]);
        }
    }
    team::run(members.collect(), &steps, Member::step).map(|member| member.out)
}

/// What all members do, each its part, before one goes on.
#[derive(Clone, Copy)]
enum Step {
    /// Each takes its columns.
    Load,
    /// Column `j` is brought up to date.
    Current(usize),
    /// It becomes a reflector, and that is multiplied by the matrix.
    Project(usize),
    /// The products are summed.
    Image(usize),
    /// The panel's vectors are packed from this row on.
    Pack(usize),
    /// The matrix is brought up to date from this column on.
    Update(usize),
}

/// What the members tell each other.
struct Board {
    /// Where the matrix's columns come from, until all have theirs.
    columns: Slot<Option<Columns>>,
    /// The next column, from its diagonal on.
    column: Slot<Vec<f64>>,
    /// Its row of the panel's vectors.
    row: Slot<[f64; 2 * PANEL]>,
    /// Of each member.
    parts: Vec<Part>,
}

struct Part {
    /// Its rows of the current column, up to date.
    current: Slot<Vec<f64>>,
    image: Slot<Image>,
    /// Its rows' part of `wᵀ·v`.
    along: Slot<f64>,
    /// Its rows of the panel's vectors, packed for the update.
    packed: Slot<Packed>,
}

/// What a member adds to the reflector's image.
struct Image {
    /// The product of its columns, and of their transpose, with `v`.
    product: Lines,
    /// Its rows' part of the dot products of the panel's vectors with `v`.
    dots: [f64; 2 * PANEL],
}

#[derive(Default)]
struct Packed {
    rows: Range<usize>,
    left: Panels,
    /// The negative of each vector's partner.
    right: Panels,
}

impl Part {
    fn new(d: usize) -> Self {
        Self {
            current: Slot::new(Vec::with_capacity(d)),
            image: Slot::new(Image { product: Lines::zeros(d), dots: [0.0; 2 * PANEL] }),
            along: Slot::new(0.0),
            packed: Slot::new(Packed::default()),
        }
    }
}

/// One member of the team.
struct Member<'a> {
    kernels: &'a Kernels,
    board: &'a Board,
    d: usize,
    index: usize,
    triangle: Triangle<'a>,
    /// The panel's first column.
    start: usize,
    /// Those of the panel's vectors that are this member's.
    rows: Range<usize>,
    /// `[2 · PANEL][rows]`: the panel's reflectors and their images in turn.
    known: Vec<f64>,
    /// The current reflector, all of it.
    v: Lines,
    /// Of the last reflector, until its image is finished.
    tau: f64,
    /// What the last image is still to be multiplied by, and how much of its reflector to be added.
    last: (f64, f64),
    out: Reduced,
}

impl Member<'_> {
    fn step(&mut self, step: Step) -> Option<()> {
        let (board, start) = (self.board, self.start);
        let k = |j: usize| j - start;
        let own = board.parts.get(self.index)?;
        match step {
            Step::Load => self.triangle.load(board.columns.read()?.as_deref()),
            Step::Current(j) => {
                if j == 0 {
                    // All have theirs: its memory is free now.
                    *board.columns.write()? = None;
                }
                self.finish(j)?;
                if j.is_multiple_of(PANEL) {
                    self.begin(j);
                }
                self.bring_up_to_date(j, &mut *own.current.write()?)
            }
            Step::Project(j) => {
                self.reflect(j)?;
                if self.tau.is_infinite() {
                    // The identity: both vectors stay zero.
                    return Some(());
                }
                self.project(j + 1, k(j), &mut *own.image.write()?)
            }
            Step::Image(j) => {
                let k = k(j);
                if self.tau.is_finite() {
                    *own.along.write()? = self.image(j + 1, k)?;
                }
                self.announce(j + 1, k + 1)
            }
            Step::Pack(next) => {
                self.finish(next)?;
                self.pack(next)
            }
            Step::Update(next) => {
                self.update(next)?;
                self.announce(next, 0)
            }
        }
    }

    /// Begins a panel.
    fn begin(&mut self, start: usize) {
        self.start = start;
        self.rows = self.share(self.index);
        self.known.clear();
        self.known.resize(2 * PANEL * self.rows.len(), 0.0);
    }

    /// The rows of the panel's vectors that are member `index`'s.
    fn share(&self, index: usize) -> Range<usize> {
        let (widths, of) = ((self.d - self.start).div_ceil(WIDTH), self.board.parts.len());
        let at = |i: usize| self.d.min(self.start + widths * i / of * WIDTH);
        at(index)..at(index + 1)
    }

    /// Gathers column `j` and makes its reflector.
    fn reflect(&mut self, j: usize) -> Option<()> {
        for (i, part) in self.board.parts.iter().enumerate() {
            let rows = from(&self.share(i), j);
            self.v.get_mut(rows)?.copy_from_slice(&part.current.read()?);
        }
        let (head, below) = self.v.get_mut(j..)?.split_first_mut()?;
        self.out.diagonal.push(core::mem::take(head));
        if below.is_empty() {
            return Some(());
        }
        let (off, tau) = reflector(below);
        self.out.off.push(off);
        self.out.taus.push(tau);
        (self.tau, self.last) = (tau, (1.0, 0.0));
        if let Some(home) = self.triangle.home(j) {
            home.copy_from_slice(below);
        }
        if tau.is_finite() {
            below.iter_mut().take(1).for_each(|v| *v = 1.0);
        }
        Some(())
    }

    /// This member's rows of column `j`: `a − V·wⱼ − W·vⱼ`.
    fn bring_up_to_date(&self, j: usize, current: &mut Vec<f64>) -> Option<()> {
        let k = j - self.start;
        let mut by = [0.0; 2 * PANEL];
        for (l, (by, row)) in
            by.chunks_exact_mut(2).zip(self.board.row.read()?.chunks_exact(2)).take(k).enumerate()
        {
            if let ([v_by, w_by], [v, w]) = (by, row) {
                // The newest image was told before it was finished.
                let w = if l + 1 == k { finished(*w, *v, self.last) } else { *w };
                (*v_by, *w_by) = (-w, -v);
            }
        }
        let rows = from(&self.rows, j);
        current.clear();
        current.extend_from_slice(self.board.column.read()?.get(rows.clone())?);
        let known = self.known.get(rows.start - self.rows.start..)?;
        self.kernels.combine(known, self.rows.len(), by.get(..2 * k)?, current);
        Some(())
    }

    /// The products of this member's columns, and of its rows of the panel's vectors, with the reflector.
    fn project(&mut self, below: usize, k: usize, image: &mut Image) -> Option<()> {
        self.triangle.multiply(self.kernels, below, &self.v, &mut image.product);
        let rows = from(&self.rows, below);
        let v = self.v.get(rows.clone())?;
        let (at, n) = (rows.start - self.rows.start, self.rows.len());
        image.dots = [0.0; 2 * PANEL];
        self.kernels.dots(self.known.get(at..)?, n, v, image.dots.get_mut(..2 * k)?);
        self.known.get_mut(2 * k * n + at..(2 * k + 1) * n)?.copy_from_slice(v);
        Some(())
    }

    /// This member's rows of `w = (A − V·Wᵀ − W·Vᵀ)·v`; returns their part of `wᵀ·v`.
    fn image(&mut self, below: usize, k: usize) -> Option<f64> {
        let rows = from(&self.rows, below);
        let (at, n) = (rows.start - self.rows.start, self.rows.len());
        let (known, rest) = self.known.split_at_mut_checked(2 * k * n)?;
        let w = rest.get_mut(n + at..2 * n)?;
        let mut by = [0.0; 2 * PANEL];
        for part in &self.board.parts {
            let image = part.image.read()?;
            w.iter_mut().zip(image.product.get(rows.clone())?).for_each(|(w, p)| *w += p);
            for (by, dots) in by.chunks_exact_mut(2).zip(image.dots.chunks_exact(2)) {
                by.iter_mut().zip(dots.iter().rev()).for_each(|(by, dot)| *by -= dot);
            }
        }
        self.kernels.combine(known.get(at..).unwrap_or_default(), n, by.get(..2 * k)?, w);
        let mut along = [0.0];
        self.kernels.dots(w, n, self.v.get(rows)?, &mut along);
        Some(along.iter().sum())
    }

    /// Tells the others of column `j` and of its row of the panel's first `k` pairs of vectors, as far as they
    /// are this member's.
    fn announce(&self, j: usize, k: usize) -> Option<()> {
        if let Some(column) = self.triangle.column(j) {
            self.board.column.write()?.get_mut(j..)?.copy_from_slice(column);
        }
        if self.rows.contains(&j) {
            let values = self.known.iter().skip(j - self.rows.start).step_by(self.rows.len());
            self.board.row.write()?.iter_mut().zip(values).take(2 * k).for_each(|(r, v)| *r = *v);
        }
        Some(())
    }

    /// Makes this member's rows of the last `w`, from `below` on, such that `A − v·wᵀ − w·vᵀ` is the reflected
    /// matrix.
    fn finish(&mut self, below: usize) -> Option<()> {
        let inverse = 1.0 / core::mem::replace(&mut self.tau, f64::INFINITY);
        if inverse == 0.0 {
            return Some(());
        }
        let mut along = 0.0;
        for part in &self.board.parts {
            along += *part.along.read()?;
        }
        self.last = (inverse, -0.5 * inverse * inverse * along);
        let rows = from(&self.rows, below);
        let (at, n, k) = (rows.start - self.rows.start, self.rows.len(), below - 1 - self.start);
        let w = self.known.get_mut((2 * k + 1) * n + at..(2 * k + 2) * n)?;
        w.iter_mut().zip(self.v.get(rows)?).for_each(|(w, v)| *w = finished(*w, *v, self.last));
        Some(())
    }

    /// Packs this member's rows of the panel's vectors from `next` on.
    fn pack(&self, next: usize) -> Option<()> {
        let mut packed = self.board.parts.get(self.index)?.packed.write()?;
        let Packed { rows, left, right } = &mut *packed;
        *rows = from(&self.rows, next);
        let shape = [2 * PANEL, rows.len()];
        left.reshape(self.kernels, Side::Left, shape);
        right.reshape(self.kernels, Side::Right, shape);
        let mut negative = Vec::with_capacity(rows.len());
        for (l, vector) in self.known.chunks_exact(self.rows.len().max(1)).enumerate() {
            let vector = vector.get(rows.start - self.rows.start..)?;
            left.set_row(l, vector);
            negative.clear();
            negative.extend(vector.iter().map(|v| -v));
            right.set_row(l ^ 1, &negative);
        }
        Some(())
    }

    /// `A −= V·Wᵀ + W·Vᵀ` in this member's columns.
    fn update(&mut self, next: usize) -> Option<()> {
        let packed = self.board.parts.iter().map(|part| part.packed.read());
        let packed: Vec<_> = packed.collect::<Option<_>>()?;
        self.triangle.update(next, |first, columns, stride| {
            let Some(right) = packed.iter().find(|p| p.rows.contains(&first)) else { return };
            let right = (&right.right, first - right.rows.start);
            for p in packed.iter().filter(|p| p.rows.end > first && !p.rows.is_empty()) {
                let (from, top) = (first.saturating_sub(p.rows.start), p.rows.start.saturating_sub(first));
                add_stripe(self.kernels, (&p.left, from, top), right, columns, stride);
            }
        });
        Some(())
    }
}

/// The part of `rows` from `first` on.
fn from(rows: &Range<usize>, first: usize) -> Range<usize> {
    first.clamp(rows.start, rows.end)..rows.end
}

/// An image's value from what it was before `wᵀ·v` was known.
fn finished(w: f64, v: f64, (inverse, back): (f64, f64)) -> f64 {
    w * inverse + back * v
}
