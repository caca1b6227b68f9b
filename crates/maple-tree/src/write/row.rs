//! A row: the slots of two leaves side by side, laid out for a write that takes in both.
//!
//! Pivots and words apart, as leaves have them, so that they are copied in one piece.

use super::build::Item;
use super::edit::{Cut, LeafAt};
use crate::config::Config;
use crate::fixed_vec::FixedVec;
use crate::node::Node;
use crate::span::Span;
use core::hint;
use vmaple_sync::atomic::Ordering;

/// The slots of two leaves and what a write adds.
const ROOM: usize = 2 * 64 + 2;

pub(super) struct Row {
    lasts: FixedVec<u64, ROOM>,
    words: FixedVec<*mut (), ROOM>,
}

/// Slots that go to one leaf.
#[derive(Clone, Copy)]
pub(super) struct Part<'r> {
    /// The last index of each.
    pub(super) lasts: &'r [u64],
    pub(super) words: &'r [*mut ()],
}

impl Row {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            lasts: FixedVec::new(),
            words: FixedVec::new(),
        }
    }

    /// Puts the `nr_used` slots that a leaf uses behind what is there.
    #[inline]
    pub(super) fn gather<C: Config>(&mut self, at: &LeafAt<'_, C>, nr_used: usize) {
        self.lasts
            .append(&at.leaf.pivots()[..nr_used], |last| *last);
        // Relaxed: read by the writer, who wrote it.
        let load = |word: &crate::node::Slot| word.load(Ordering::Relaxed);
        self.words.append(&at.leaf.slots()[..nr_used], load);
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.lasts.len()
    }

    /// The last index of a slot.
    #[inline]
    pub(super) fn last(&self, slot: usize) -> u64 {
        self.lasts[slot]
    }

    /// The word of a slot.
    #[inline]
    pub(super) fn word(&self, slot: usize) -> *mut () {
        self.words[slot]
    }

    /// The words of the slots `from..to`.
    pub(super) fn words(&self, from: usize, to: usize) -> &[*mut ()] {
        &self.words[from..to]
    }

    /// Where `span` begins and ends, if the first slot begins at `first`.
    #[inline]
    pub(super) fn cut(&self, first: u64, span: Span) -> Cut {
        // Ascending: those that end below the index are the slots before it.
        let below = |index: u64| -> usize {
            let is_below = |last: &u64| usize::from(*last < index);
            self.lasts.iter().map(is_below).sum()
        };
        let (from, to) = (below(span.first), below(span.last));
        Cut {
            from,
            to,
            span,
            first: from.checked_sub(1).map_or(first, |at| self.lasts[at] + 1),
            last: self.lasts[to],
        }
    }

    /// Puts `items` in the place of the slots of `cut`.
    #[inline]
    pub(super) fn replace(&mut self, cut: &Cut, items: &[Item]) {
        let old = cut.from..cut.to + 1;
        self.lasts.splice(old.clone(), items, |item| item.last);
        self.words.splice(old, items, |item| item.raw);
    }

    /// The first `nr` slots, and the rest.
    #[inline]
    pub(super) fn split_at(&self, nr: usize) -> (Part<'_>, Part<'_>) {
        let (lasts, words) = (self.lasts.split_at(nr), self.words.split_at(nr));
        let low = Part {
            lasts: lasts.0,
            words: words.0,
        };
        let high = Part {
            lasts: lasts.1,
            words: words.1,
        };
        (low, high)
    }
}

impl Part<'_> {
    /// The longest empty slot; the first begins at `first`.
    #[inline]
    pub(super) fn widest_empty(self, mut first: u64) -> u64 {
        let mut widest = 0;
        for (last, word) in self.lasts.iter().zip(self.words) {
            // Which slots are empty cannot be predicted. Entries over everything have no length,
            // but then nothing is empty.
            let len = last.wrapping_sub(first).wrapping_add(1);
            widest = widest.max(hint::select_unpredictable(word.is_null(), len, 0));
            first = last.wrapping_add(1);
        }
        widest
    }
}
