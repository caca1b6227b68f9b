//! Iteration in both directions, a leaf at a time.
//!
//! Which slots are empty cannot be predicted, so a leaf's used slots are noted as a set of bits,
//! and each is looked at again when its turn comes. When a leaf is used up, the processor has
//! guessed wrong more often than not; so that it does not then wait for the next leaf too, that
//! one's set is noted before the leaf is begun.

use crate::config::Config;
use crate::entry::Entry;
use crate::fixed_vec::FixedVec;
use crate::leaves::{self, Above, Direction, Down, LeafAt, Turn, Up};
use crate::node::{Node, SlotSet, search, slots_from, slots_to};
use crate::reader::Reader;
use crate::span::Span;
use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;

/// A leaf, and those of its slots that are still to be looked at.
struct Part<'g, C: Config> {
    at: LeafAt<'g, C>,
    rest: SlotSet,
}

impl<C: Config> Clone for Part<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config> Copy for Part<'_, C> {}

/// Where an iteration is: what of it fits into registers.
struct Front<'g, C: Config, D> {
    part: Option<Part<'g, C>>,
    /// What comes after `part`.
    ahead: Option<Part<'g, C>>,
    /// From which the leaf ahead hangs.
    parent: Option<Turn<'g, C>>,
    /// The indices of which entries are wanted.
    range: Span,
    direction: PhantomData<fn() -> D>,
}

impl<C: Config, D> Clone for Front<'_, C, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config, D> Copy for Front<'_, C, D> {}

impl<'g, C: Config, D: Direction> Front<'g, C, D> {
    /// In front of the leaf of `from`, which is an end of `range`.
    fn new<E: Entry>(
        reader: Reader<'g, E, C>,
        above: &mut Above<'g, C>,
        range: Span,
        from: u64,
    ) -> Self {
        let mut front = Self {
            part: None,
            ahead: None,
            parent: None,
            range,
            direction: PhantomData,
        };
        if range.is_valid()
            && let Some(top) = reader.top()
        {
            let (at, parent) = leaves::find(above, top, from);
            front.parent = parent;
            front.part = Some(wanted_of(at, range));
            front.look_ahead(above);
        }
        front
    }

    /// Goes on to the next leaf, if there is one that is wanted.
    #[inline]
    fn turn_leaf(&mut self, above: &mut Above<'g, C>) {
        self.part = self.ahead;
        self.look_ahead(above);
    }

    #[expect(clippy::inline_always, reason = "once for each leaf, and large")]
    #[inline(always)]
    fn look_ahead(&mut self, above: &mut Above<'g, C>) {
        self.ahead = self
            .part
            .and_then(|part| after::<C, D>(part.at, &mut self.parent, above, self.range));
    }

    /// The next entry.
    #[inline]
    fn next<E: Entry>(
        &mut self,
        reader: Reader<'g, E, C>,
        above: &mut Above<'g, C>,
    ) -> Option<(Span, E::Ref<'g>)> {
        loop {
            let part = self.part.as_mut()?;
            if part.rest == 0 {
                self.turn_leaf(above);
                continue;
            }
            let slot = D::take(&mut part.rest);
            let (span, raw) = part.at.look_at(slot);
            if let Some(entry) = reader.entry(raw) {
                return Some((span, entry));
            }
        }
    }

    /// All entries that are left, with what belongs to a leaf in registers.
    #[inline]
    fn fold<E: Entry, T>(
        self,
        reader: Reader<'g, E, C>,
        above: &mut Above<'g, C>,
        init: T,
        mut each: impl FnMut(T, (Span, E::Ref<'g>)) -> T,
    ) -> T {
        let Self {
            mut part,
            mut ahead,
            mut parent,
            range,
            ..
        } = self;
        let mut folded = init;
        while let Some(Part { at, mut rest }) = part {
            while rest != 0 {
                let slot = D::take(&mut rest);
                let (span, raw) = at.look_at(slot);
                if let Some(entry) = reader.entry(raw) {
                    folded = each(folded, (span, entry));
                }
            }
            part = ahead;
            ahead = part.and_then(|part| after::<C, D>(part.at, &mut parent, above, range));
        }
        folded
    }
}

/// The leaf after `at`, if it is wanted.
#[expect(clippy::inline_always, reason = "once for each leaf, and large")]
#[inline(always)]
fn after<'g, C: Config, D: Direction>(
    at: LeafAt<'g, C>,
    parent: &mut Option<Turn<'g, C>>,
    above: &mut Above<'g, C>,
    range: Span,
) -> Option<Part<'g, C>> {
    let index = D::beyond(at.bounds).filter(|index| range.contains(*index))?;
    let at = leaves::turn::<C, D>(parent, above, index)?;
    Some(wanted_of(at, range))
}

/// A leaf with those of its used slots that meet the range.
#[inline]
fn wanted_of<C: Config>(at: LeafAt<'_, C>, range: Span) -> Part<'_, C> {
    let mut rest = at.used();
    let is_within = range.first <= at.bounds.first && at.bounds.last <= range.last;
    if !is_within && !cfg!(planted = "range_end") {
        rest &= slots_within(at, range);
    }
    Part { at, rest }
}

/// The slots of a leaf that meet `range`; the leaf does.
#[cold]
#[inline(never)]
fn slots_within<C: Config>(at: LeafAt<'_, C>, range: Span) -> SlotSet {
    let slot_of = |index| search(at.leaf.pivots(), index);
    slots_from(slot_of(range.first.max(at.bounds.first)))
        & slots_to(slot_of(range.last.min(at.bounds.last)))
}

/// Entries in ascending order: made by [`Reader::iter`] and its like.
pub struct Iter<'g, E: Entry, C: Config> {
    reader: Reader<'g, E, C>,
    front: Front<'g, C, Up>,
    above: Above<'g, C>,
}

impl<'g, E: Entry, C: Config> Iter<'g, E, C> {
    pub(crate) fn new(reader: Reader<'g, E, C>, range: Span) -> Self {
        let mut above = FixedVec::new();
        let front = Front::new(reader, &mut above, range, range.first);
        Self {
            reader,
            front,
            above,
        }
    }
}

impl<'g, E: Entry, C: Config> Iterator for Iter<'g, E, C> {
    type Item = (Span, E::Ref<'g>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.front.next(self.reader, &mut self.above)
    }

    #[inline]
    fn fold<T, F: FnMut(T, Self::Item) -> T>(mut self, init: T, each: F) -> T {
        self.front.fold(self.reader, &mut self.above, init, each)
    }
}

impl<E: Entry, C: Config> FusedIterator for Iter<'_, E, C> {}

impl<E: Entry, C: Config> fmt::Debug for Iter<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Iter").field(&self.front).finish()
    }
}

/// Entries in descending order: made by [`Reader::iter_rev`] and its like.
pub struct IterRev<'g, E: Entry, C: Config> {
    reader: Reader<'g, E, C>,
    front: Front<'g, C, Down>,
    above: Above<'g, C>,
}

impl<'g, E: Entry, C: Config> IterRev<'g, E, C> {
    pub(crate) fn new(reader: Reader<'g, E, C>, index: u64) -> Self {
        let mut above = FixedVec::new();
        let front = Front::new(reader, &mut above, Span::new(0, index), index);
        Self {
            reader,
            front,
            above,
        }
    }
}

impl<'g, E: Entry, C: Config> Iterator for IterRev<'g, E, C> {
    type Item = (Span, E::Ref<'g>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.front.next(self.reader, &mut self.above)
    }

    #[inline]
    fn fold<T, F: FnMut(T, Self::Item) -> T>(mut self, init: T, each: F) -> T {
        self.front.fold(self.reader, &mut self.above, init, each)
    }
}

impl<E: Entry, C: Config> FusedIterator for IterRev<'_, E, C> {}

impl<E: Entry, C: Config> fmt::Debug for IterRev<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IterRev").field(&self.front).finish()
    }
}

impl<C: Config, D> fmt::Debug for Front<'_, C, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("leaf", &self.part.map(|part| part.at.bounds))
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}
