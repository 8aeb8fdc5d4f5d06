//! Reduction to a band of [`WIDTH`] columns beside the diagonal by a team of threads.
//!
//! The lower triangle lies in stripes of [`WIDTH`] columns, row after row, dealt out to the team to the end, each
//! in its own cache. Panels are divided by rows. For a panel the team meets once a column and five times more.

use super::{
    Columns,
    panel::{self, Column},
    shares::{Change, Last, Share, Shares, turn},
};
use crate::pca::{
    kernels::{BLOCK, Block, Kernels, Lines, Row, WIDTH, ZEROS},
    team::{self, Slot},
};
use alloc::vec::Vec;
use core::ops::{Deref, Range};

/// Beyond these, squares or their sums could leave the range of numbers.
const RANGE: Range<f64> = 1e-100..1e100;

/// A matrix that is zero but for a band, and the reflectors that made it.
pub(super) struct Band {
    /// The blocks on the diagonal, and the triangles below them, of which there is one less.
    pub(super) diagonal: Vec<Block>,
    pub(super) below: Vec<Block>,
    /// In the order in which they were applied.
    pub(super) panels: Vec<Reflectors>,
    /// Where those of each member lie.
    pub(super) v: Vec<Lines>,
    /// What the matrix was multiplied by.
    pub(super) scale: f64,
}

/// `I − V·T·Vᵀ`.
pub(super) struct Reflectors {
    /// Each member's rows of `V`, which follow one another from the panel's first on.
    pub(super) v: Vec<Range<usize>>,
    pub(super) t: Block,
}

pub(super) fn reduce(kernels: &Kernels, columns: Columns, d: usize, members: usize) -> Option<Band> {
    let of = d.div_ceil(WIDTH);
    let mut parts: Vec<_> = (0..members).map(|_| Part::new()).collect();
    let panels = (1..of).map(|first| {
        let shares = parts.iter_mut().enumerate().map(|(index, part)| {
            let at = |i: usize| first + ((of - first) * i).div_ceil(members);
            let rows = at(index)..at(index + 1);
            let start = part.rows * BLOCK;
            part.rows += rows.len();
            Share { rows, start }
        });
        Panel { shares: shares.collect(), t: Slot::new(ZEROS) }
    });
    let panels: Vec<_> = panels.collect();
    let stripes = (0..of).map(|j| {
        // There and back: they get shorter.
        let turn = j % (2 * members);
        let of_member = turn.min(2 * members - 1 - turn);
        let part = parts.get_mut(of_member)?;
        let start = part.blocks * BLOCK;
        part.blocks += of - j;
        Some((of_member, start..part.blocks * BLOCK))
    });
    let stripes = stripes.collect::<Option<_>>()?;
    let head = [const { Slot::new([0.0; WIDTH]) }; 2];
    let board = Board { columns: Slot::new(Some(columns)), stripes, panels, head, parts };
    let member = |index| Member {
        kernels,
        board: &board,
        d,
        of,
        index,
        backwards: false,
        scale: 1.0,
        t: ZEROS,
        diagonal: Vec::new(),
        below: Vec::new(),
    };
    let mut steps = Vec::with_capacity(of * (WIDTH + 5) + 2);
    steps.extend([Step::Load, Step::Scale]);
    for p in 0..of {
        steps.push(Step::Panel(p));
        if p + 1 < of {
            steps.extend((0..WIDTH).map(|c| Step::Column(p, c)));
            steps.extend([Step::Multiply(p), Step::Sum(p), Step::Image(p)]);
        }
    }
    let Member { diagonal, below, scale, .. } =
        team::run((0..members).map(member).collect(), &steps, Member::step)?;
    let panels = board.panels.into_iter().map(|panel| {
        let v = panel.shares.into_iter().map(|share| share.place()).collect();
        Some(Reflectors { v, t: panel.t.into_inner()? })
    });
    let panels = panels.collect::<Option<_>>()?;
    let v = board.parts.into_iter().map(|part| part.v.into_inner()).collect::<Option<_>>()?;
    Some(Band { diagonal, below, panels, v, scale })
}

/// What all members do, each its part, before one goes on; of the panel of this number.
#[derive(Clone, Copy)]
enum Step {
    /// Each takes its stripes.
    Load,
    /// Extreme values are brought into range.
    Scale,
    /// Each takes its rows of the panel and brings them up to date.
    Panel(usize),
    /// A column becomes a reflector, which is applied to those after it.
    Column(usize, usize),
    /// The matrix is brought up to date and multiplied by the reflectors.
    Multiply(usize),
    /// The products are summed.
    Sum(usize),
    /// They become what the matrix changes by.
    Image(usize),
}

/// What the members tell each other.
struct Board {
    /// Where the matrix' columns come from, until all have theirs.
    columns: Slot<Option<Columns>>,
    /// Whose each [`WIDTH`] columns are, and where they lie there: the rows from the diagonal block on, which is all
    /// there.
    stripes: Vec<(usize, Range<usize>)>,
    panels: Vec<Panel>,
    /// The row of the panel that is the next reflector's first, of even and of odd columns.
    head: [Slot<Row>; 2],
    /// Of each member.
    parts: Vec<Part>,
}

struct Panel {
    /// Each member's.
    shares: Vec<Share>,
    t: Slot<Block>,
}

struct Part {
    /// How many blocks its stripes have, and its rows of all panels.
    blocks: usize,
    rows: usize,
    stripes: Slot<Lines>,
    /// Its rows of all panels' reflectors.
    v: Slot<Lines>,
    /// Its rows of the panel that is becoming reflectors.
    next: Slot<Lines>,
    /// The largest absolute value of its stripes.
    largest: Slot<f64>,
    /// Its rows' products of an even and of an odd column with all.
    sums: [Slot<Row>; 2],
    /// Its stripes' part of `A·V`.
    product: Slot<Lines>,
    /// Its rows' part of `Vᵀ·A·V`.
    inner: Slot<Block>,
    change: Slot<Change>,
}

impl Part {
    fn new() -> Self {
        Self {
            blocks: 0,
            rows: 0,
            stripes: Slot::new(Lines::default()),
            v: Slot::new(Lines::default()),
            next: Slot::new(Lines::default()),
            largest: Slot::new(0.0),
            sums: [const { Slot::new([0.0; WIDTH]) }; 2],
            product: Slot::new(Lines::default()),
            inner: Slot::new(ZEROS),
            change: Slot::new(Change::default()),
        }
    }
}

/// One member of the team.
struct Member<'a> {
    kernels: &'a Kernels,
    board: &'a Board,
    d: usize,
    /// Stripes.
    of: usize,
    index: usize,
    /// The direction of the next pass over the stripes: there and back, so that what the cache kept from the last
    /// pass is met first.
    backwards: bool,
    scale: f64,
    t: Block,
    diagonal: Vec<Block>,
    below: Vec<Block>,
}

impl<'a> Member<'a> {
    fn step(&mut self, step: Step) -> Option<()> {
        match step {
            Step::Load => self.load(),
            Step::Scale => self.bring_into_range(),
            Step::Panel(p) => self.begin(p),
            Step::Column(p, c) => self.column(p, c),
            Step::Multiply(p) => self.multiply(p),
            Step::Sum(p) => self.sum(p),
            Step::Image(p) => self.image(p),
        }
    }

    /// This member's stripes from `first` on, and where they lie.
    fn stripes(&mut self, first: usize) -> impl Iterator<Item = (usize, Range<usize>)> + use<'a> {
        self.backwards = !self.backwards;
        let (board, index, of, backwards) = (self.board, self.index, self.of, self.backwards);
        let at = move |i: usize| if backwards { of - 1 - (i - first) } else { i };
        (first..of).map(at).filter_map(move |j| {
            let (owner, place) = board.stripes.get(j)?;
            (*owner == index).then(|| (j, place.clone()))
        })
    }

    fn load(&mut self) -> Option<()> {
        let columns = self.board.columns.read()?;
        let columns = columns.as_deref()?;
        let part = self.board.parts.get(self.index)?;
        let mut stripes = part.stripes.write()?;
        *stripes = Lines::zeros(part.blocks * BLOCK);
        let mut column = alloc::vec![0.0; self.d];
        let mut largest = 0.0f64;
        for (j, place) in self.stripes(0) {
            let (first, stripe) = (j * WIDTH, stripes.get_mut(place)?);
            for c in 0..WIDTH.min(self.d - first) {
                let column = column.get_mut(first + c..)?;
                columns(first + c, column);
                for (row, value) in stripe.chunks_exact_mut(WIDTH).skip(c).zip(&*column) {
                    row[c] = *value;
                }
                // The other half of the block on the diagonal.
                for (to, value) in stripe.iter_mut().skip(c * WIDTH + c).take(WIDTH - c).zip(&*column) {
                    *to = *value;
                }
                largest = column.iter().fold(largest, |m, v| m.max(v.abs()));
            }
        }
        *part.largest.write()? = largest;
        Some(())
    }

    fn bring_into_range(&mut self) -> Option<()> {
        if self.index == 0 {
            // All have theirs: its memory is free now.
            *self.board.columns.write()? = None;
        }
        let mut largest = 0.0f64;
        for part in &self.board.parts {
            largest = largest.max(*part.largest.read()?);
        }
        if largest == 0.0 || !largest.is_finite() || RANGE.contains(&largest) {
            return Some(());
        }
        self.scale = libm::ldexp(1.0, -libm::ilogb(largest).clamp(-1000, 1000));
        let mut stripes = self.board.parts.get(self.index)?.stripes.write()?;
        stripes.iter_mut().for_each(|v| *v *= self.scale);
        Some(())
    }

    fn begin(&mut self, p: usize) -> Option<()> {
        let board = self.board;
        let (owner, place) = board.stripes.get(p)?;
        let stripes = board.parts.get(*owner)?.stripes.read()?;
        let stripe = stripes.get(place.clone())?;
        let last = self.last(p)?;
        if self.index == 0 {
            let mut block: Block = *stripe.first_chunk()?;
            last.bring_up_to_date(self.kernels, p, p..p + 1, &mut block)?;
            self.diagonal.push(block);
        }
        let Some(panel) = board.panels.get(p) else { return Some(()) };
        let (part, share) = (board.parts.get(self.index)?, panel.shares.get(self.index)?);
        if p == 0 {
            // Not before the matrix they come from is gone.
            *part.v.write()? = Lines::zeros(part.rows * BLOCK);
        }
        let mut own = part.next.write()?;
        own.resize(share.place().len());
        own.copy_from_slice(stripe.get((share.rows.start - p) * BLOCK..(share.rows.end - p) * BLOCK)?);
        last.bring_up_to_date(self.kernels, p, share.rows.clone(), &mut own)?;
        let mut below = &mut own[..];
        if self.index == 0 {
            let (head, rest) = below.split_first_chunk_mut()?;
            *board.head[0].write()? = *head;
            below = rest;
        }
        let mut sums = [0.0; WIDTH];
        self.kernels.pass(&panel::FIRST, below, &mut sums);
        *part.sums[0].write()? = sums;
        Some(())
    }

    fn column(&mut self, p: usize, c: usize) -> Option<()> {
        let (now, next) = (c % 2, (c + 1) % 2);
        let (board, kernels) = (self.board, self.kernels);
        let mut sums = [0.0; WIDTH];
        for part in &board.parts {
            sums.iter_mut().zip(&*part.sums[now].read()?).for_each(|(sum, part)| *sum += part);
        }
        let column = Column::new(c, &*board.head[now].read()?, &sums);
        let pass = column.pass();
        let panel = board.panels.get(p)?;
        let part = board.parts.get(self.index)?;
        let mut next_rows = part.next.write()?;
        let rows = &mut next_rows[..];
        let mut sums = [0.0; WIDTH];
        if self.index == 0 {
            column.join(&mut self.t);
            let (done, below) = rows.split_at_mut_checked((c + 1) * WIDTH)?;
            column.finish(done.get_mut(c * WIDTH..)?);
            let mut below = below;
            if c + 1 < WIDTH {
                let (head, rest) = below.split_at_mut_checked(WIDTH)?;
                kernels.pass(&pass, head, &mut [0.0; WIDTH]);
                board.head[next].write()?.copy_from_slice(head);
                below = rest;
            }
            kernels.pass(&pass, below, &mut sums);
            if c + 1 == WIDTH {
                self.below.push(panel::split(rows.get_mut(..BLOCK)?));
                *panel.t.write()? = core::mem::replace(&mut self.t, ZEROS);
            }
        } else {
            kernels.pass(&pass, rows, &mut sums);
        }
        if c + 1 == WIDTH {
            part.v.write()?.get_mut(panel.shares.get(self.index)?.place())?.copy_from_slice(&next_rows);
        }
        *part.sums[next].write()? = sums;
        Some(())
    }

    fn multiply(&mut self, p: usize) -> Option<()> {
        let (board, kernels, first, of) = (self.board, self.kernels, p + 1, self.of);
        let v = self.read(p, |part| part.v.read())?;
        let part = board.parts.get(self.index)?;
        let (mut stripes, mut product) = (part.stripes.write()?, part.product.write()?);
        product.clear((of - first) * BLOCK);
        let last = self.last(p)?;
        for (j, place) in self.stripes(first) {
            let stripe = stripes.get_mut(place)?;
            let own = v.block(j)?;
            let mut across = ZEROS;
            for (rows, v) in v.chunks(j..of) {
                let values = stripe.get_mut((rows.start - j) * BLOCK..(rows.end - j) * BLOCK)?;
                last.bring_up_to_date(kernels, j, rows.clone(), values)?;
                let to = product.get_mut((rows.start - first) * BLOCK..(rows.end - first) * BLOCK)?;
                kernels.add_tall(to, &[(values, own)]);
                // The block on the diagonal is all there.
                let skip = if rows.start == j { BLOCK } else { 0 };
                kernels.add_across(&mut across, values.get(skip..)?, v.get(skip..)?);
            }
            let to = product.get_mut((j - first) * BLOCK..)?.iter_mut();
            to.zip(&across).for_each(|(to, v)| *to += v);
        }
        Some(())
    }

    fn sum(&self, p: usize) -> Option<()> {
        let (panel, part) = (self.board.panels.get(p)?, self.board.parts.get(self.index)?);
        let share = panel.shares.get(self.index)?;
        let mut change = part.change.write()?;
        change.product.clear(share.place().len());
        for part in &self.board.parts {
            let product = part.product.read()?;
            let rows = product.get((share.rows.start - p - 1) * BLOCK..)?;
            change.product.iter_mut().zip(rows).for_each(|(to, v)| *to += v);
        }
        let mut inner = ZEROS;
        self.kernels.add_across(&mut inner, part.v.read()?.get(share.place())?, &change.product);
        *part.inner.write()? = inner;
        Some(())
    }

    /// `W = (A·V − ½·V·Tᵀ·(Vᵀ·A·V))·T`.
    fn image(&self, p: usize) -> Option<()> {
        let (panel, part) = (self.board.panels.get(p)?, self.board.parts.get(self.index)?);
        let (all, t) = (part.v.read()?, panel.t.read()?);
        let v = all.get(panel.shares.get(self.index)?.place())?;
        let mut half = ZEROS;
        for part in &self.board.parts {
            half.iter_mut().zip(&*part.inner.read()?).for_each(|(to, v)| *to -= 0.5 * v);
        }
        let mut back = ZEROS;
        self.kernels.add_across(&mut back, &*t, &half);
        let mut change = part.change.write()?;
        let Change { product, w, v_turned, w_turned } = &mut *change;
        self.kernels.add_tall(product, &[(v, &back)]);
        w.clear(v.len());
        self.kernels.add_tall(w, &[(product, &t)]);
        turn(v, v_turned);
        turn(w, w_turned);
        Some(())
    }

    /// What the matrix is still to be changed by when panel `p` begins.
    fn last(
        &self,
        p: usize,
    ) -> Option<Last<impl Deref<Target = Lines> + 'a, impl Deref<Target = Change> + 'a>> {
        let Some(p) = p.checked_sub(1) else { return Some(Last(None)) };
        Some(Last(Some((self.read(p, |part| part.v.read())?, self.read(p, |part| part.change.read())?))))
    }

    /// What each member has of panel `p`.
    fn read<G>(&self, p: usize, of: impl Fn(&'a Part) -> Option<G>) -> Option<Shares<G>> {
        let shares = self.board.panels.get(p)?.shares.iter().cloned().zip(&self.board.parts);
        Some(Shares(shares.map(|(share, part)| Some((share, of(part)?))).collect::<Option<_>>()?))
    }
}
