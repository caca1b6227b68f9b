//! A way: the branches from the top to a leaf, with the slot taken in each.
//!
//! Kept as words, which is little to copy, and looked at as branches.
//!
//! # Safety
//!
//! The marks of a way name branches that live throughout `'w`, each one level below the one
//! before, the last of them just above the leaves.
#![expect(unsafe_code, reason = "turns remembered words into nodes")]

use crate::config::Config;
use crate::fixed_vec::FixedVec;
use crate::link::{BranchRef, MAX_HEIGHT, NodeRef};
use core::marker::PhantomData;
use core::ptr::NonNull;

/// A branch, and the slot taken.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    node: NonNull<()>,
    slot: usize,
}

impl Mark {
    #[inline]
    pub(super) fn new<C: Config>(node: NodeRef<'_, C>, slot: usize) -> Self {
        let node = node.as_ptr();
        Self { node, slot }
    }
}

/// A branch on the way to a leaf, and the slot taken.
pub(super) struct Turn<'w, C: Config> {
    pub(super) node: NodeRef<'w, C>,
    pub(super) branch: BranchRef<'w, C>,
    pub(super) slot: usize,
}

impl<C: Config> Clone for Turn<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config> Copy for Turn<'_, C> {}

/// The way to a leaf.
pub(crate) struct Way<'w, C: Config> {
    marks: FixedVec<Mark, MAX_HEIGHT>,
    bound: PhantomData<NodeRef<'w, C>>,
}

/// Its first turns, or all of them.
pub(super) struct Stretch<'a, 'w, C: Config> {
    marks: &'a [Mark],
    /// The level of the first one's branch.
    height: usize,
    bound: PhantomData<NodeRef<'w, C>>,
}

impl<C: Config> Clone for Stretch<'_, '_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config> Copy for Stretch<'_, '_, C> {}

impl<'w, C: Config> Way<'w, C> {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            marks: FixedVec::new(),
            bound: PhantomData,
        }
    }

    /// Goes on by `slot` of `node`, a branch: the top, or what the last turn leads to.
    #[inline]
    pub(super) fn push(&mut self, node: NodeRef<'w, C>, slot: usize) {
        self.marks.push(Mark::new(node, slot));
    }

    /// Goes by these marks.
    ///
    /// # Safety
    ///
    /// They name what the header says of a way's.
    #[inline]
    pub(super) unsafe fn set(&mut self, marks: &[Mark]) {
        self.marks.set(marks);
    }

    #[inline]
    pub(super) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// All of it.
    #[inline]
    pub(super) fn whole(&self) -> Stretch<'_, 'w, C> {
        Stretch {
            marks: &self.marks,
            height: self.marks.len(),
            bound: PhantomData,
        }
    }
}

impl<'a, 'w, C: Config> Stretch<'a, 'w, C> {
    /// No turn at all.
    pub(super) fn none() -> Self {
        Self {
            marks: &[],
            height: 0,
            bound: PhantomData,
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.marks.is_empty()
    }

    /// The turn at `depth`, of those that there are.
    #[inline]
    fn turn(self, depth: usize) -> Turn<'w, C> {
        let Mark { node, slot } = self.marks[depth];
        // SAFETY: By the header, live, and so many levels above the leaves.
        let node = unsafe { NodeRef::new(node, self.height - depth) };
        // SAFETY: By the header, no leaf.
        let branch = unsafe { node.branch() };
        Turn { node, branch, slot }
    }

    pub(super) fn first(self) -> Option<Turn<'w, C>> {
        (!self.marks.is_empty()).then(|| self.turn(0))
    }

    #[inline]
    pub(super) fn last(self) -> Option<Turn<'w, C>> {
        Some(self.turn(self.marks.len().checked_sub(1)?))
    }

    /// The last turn, and those above it.
    pub(super) fn split_last(self) -> Option<(Turn<'w, C>, Self)> {
        let (_, marks) = self.marks.split_last()?;
        Some((self.last()?, Self { marks, ..self }))
    }

    /// From the last turn to the first.
    #[inline]
    pub(super) fn up(self) -> impl Iterator<Item = Turn<'w, C>> + use<'a, 'w, C> {
        (0..self.marks.len())
            .rev()
            .map(move |depth| self.turn(depth))
    }
}
