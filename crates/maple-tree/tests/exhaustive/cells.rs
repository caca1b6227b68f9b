//! The naive side: a row of cells, each empty or part of an entry.
//!
//! All cells are one index wide but the last two: the one before the last holds whatever is left,
//! and the last is `u64::MAX` alone. So runs of cells begin at 0 and end at `u64::MAX`, just
//! before it, and in the middle.

use maple_tree::{Config, MapleTree, Span};

/// First index, last index, value.
pub(crate) type Held = (u64, u64, u32);

/// A cell that is part of an entry has its value. Neighbours with equal values are one entry.
#[derive(Debug, Clone)]
pub(crate) struct Cells(Vec<Option<u32>>);

impl Cells {
    /// What a tree holds, if its entries have different values.
    pub(crate) fn of<C: Config>(nr_cells: usize, tree: &MapleTree<u32, C>) -> Self {
        let mut cells = Self(vec![None; nr_cells]);
        for (span, value) in tree.iter() {
            let part = |cell: &usize| {
                let cell = cells.span(*cell, *cell);
                span.first <= cell.first && cell.last <= span.last
            };
            for cell in (0..nr_cells).filter(part).collect::<Vec<_>>() {
                cells.0[cell] = Some(value);
            }
        }
        cells
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The indices of the cells `first..=last`.
    pub(crate) fn span(&self, first: usize, last: usize) -> Span {
        let (wide, top) = (self.0.len() - 2, self.0.len() - 1);
        let first = if first == top { u64::MAX } else { first as u64 };
        let last = match last {
            _ if last == top => u64::MAX,
            _ if last == wide => u64::MAX - 1,
            _ => last as u64,
        };
        Span::new(first, last)
    }

    pub(crate) fn fill(&mut self, first: usize, last: usize, value: Option<u32>) {
        self.0[first..=last].fill(value);
    }

    /// The cells of the run of equals around `cell`.
    fn run_at(&self, cell: usize) -> (usize, usize) {
        let is_equal = |other: &usize| self.0[*other] == self.0[cell];
        let nr_before = (0..cell).rev().take_while(is_equal).count();
        let nr_after = (cell + 1..self.0.len()).take_while(is_equal).count();
        (cell - nr_before, cell + nr_after)
    }

    /// The cells of the entry at `cell`.
    pub(crate) fn entry_at(&self, cell: usize) -> Option<(usize, usize)> {
        self.0[cell].map(|_| self.run_at(cell))
    }

    /// The first entry that meets `first..=last`.
    pub(crate) fn occupant(&self, first: usize, last: usize) -> Option<Span> {
        let (first, last) = (first..=last).find_map(|cell| self.entry_at(cell))?;
        Some(self.span(first, last))
    }

    /// All runs, empty ones too, ascending.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (Span, Option<u32>)> {
        let mut next = 0;
        std::iter::from_fn(move || {
            (next < self.0.len()).then(|| {
                let (first, last) = self.run_at(next);
                next = last + 1;
                (self.span(first, last), self.0[first])
            })
        })
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Held> {
        self.runs()
            .filter_map(|(span, value)| Some((span.first, span.last, value?)))
    }

    /// The empty runs.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = Span> {
        self.runs()
            .filter_map(|(span, value)| value.is_none().then_some(span))
    }
}
