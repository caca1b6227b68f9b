//! A finger: the way to the leaf of the last step, kept between the steps of a cursor, or by a
//! writer that was told where it will be wanted.
//!
//! It is good for as long as no branch on the way changes but for the child that is taken. So each
//! write takes it away, and only one that stayed within its leaf (and so changed nothing above but
//! that child and the hints) gives it back.
//!
//! # Safety
//!
//! The tree is borrowed by `&mut` for as long as its finger is in use. While that is *set*, every
//! branch that it names is live, and taking the slots it names leads to the leaf of `bounds`.
#![expect(unsafe_code, reason = "turns remembered words into nodes")]

use super::edit::{LeafAt, Turn, Way};
use crate::config::Config;
use crate::fixed_vec::FixedVec;
use crate::link::{BranchRef, Kind, NodeRef};
use crate::span::Span;
use core::fmt;
use core::ptr::NonNull;

/// The longest way that is kept, which a tree of the default width has with a billion entries.
const LONGEST: usize = 12;

/// A branch, and the slot taken.
#[derive(Clone, Copy)]
struct Mark {
    node: NonNull<()>,
    slot: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Leads nowhere.
    Unset,
    /// Leads to the leaf of `bounds`.
    Set,
    /// In use by a write, which has to say whether it still leads there.
    Taken,
}

/// The way to a leaf, or none.
pub struct Finger {
    /// From the top down.
    marks: FixedVec<Mark, LONGEST>,
    /// What the leaf covers.
    bounds: Span,
    state: State,
}

impl fmt::Debug for Finger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Finger").field(&self.state).finish()
    }
}

impl Finger {
    pub(crate) const fn new() -> Self {
        Self {
            marks: FixedVec::new(),
            bounds: Span::ALL,
            state: State::Unset,
        }
    }

    /// Forgets the way.
    pub(crate) fn clear(&mut self) {
        self.state = State::Unset;
    }

    /// The branch at `depth` of the way.
    ///
    /// # Safety
    ///
    /// The finger is set, or was when the write began that runs now and has changed nothing.
    unsafe fn branch<'w, C: Config>(&self, depth: usize) -> (NodeRef<'w, C>, BranchRef<'w, C>) {
        // SAFETY: By the contract above, it is live and so many levels above the leaf.
        let node = unsafe { NodeRef::new(self.marks[depth].node, self.marks.len() - depth) };
        match node.kind() {
            Kind::Branch(branch) => (node, branch),
            Kind::Leaf(_) => unreachable!("branches are above the leaves"),
        }
    }

    /// The leaf to which the way leads.
    ///
    /// # Safety
    ///
    /// As for [`branch`](Self::branch).
    unsafe fn leaf<'w, C: Config>(&self, top: NodeRef<'w, C>) -> LeafAt<'w, C> {
        debug_assert_eq!(top.level(), self.marks.len());
        let node = match self.marks.len().checked_sub(1) {
            // SAFETY: By the contract above.
            Some(depth) => unsafe { self.branch::<C>(depth) }
                .1
                .child(self.marks[depth].slot),
            None => top,
        };
        let Kind::Leaf(leaf) = node.kind() else {
            unreachable!("the way ends in a leaf")
        };
        LeafAt {
            node,
            leaf,
            bounds: self.bounds,
        }
    }

    /// For a write: the leaf of `index` and the way to it, if the finger knows them. It does not
    /// any more, until [`keep`](Self::keep).
    #[inline]
    pub(super) fn take<'w, C: Config>(
        &mut self,
        way: &mut Way<'w, C>,
        top: Option<NodeRef<'w, C>>,
        index: u64,
    ) -> Option<LeafAt<'w, C>> {
        let is_near = self.is_near(index);
        if !cfg!(planted = "stale_finger") {
            self.state = if is_near { State::Taken } else { State::Unset };
        }
        if !is_near {
            return None;
        }
        let top = top?;
        for depth in 0..self.marks.len() {
            // SAFETY: The finger was set, and nothing has changed since.
            let (node, branch) = unsafe { self.branch(depth) };
            let slot = self.marks[depth].slot;
            way.push(Turn { node, branch, slot });
        }
        // SAFETY: As above.
        Some(unsafe { self.leaf(top) })
    }

    /// After a write that stayed within the leaf to which `way` leads: goes on knowing it.
    #[inline]
    pub(super) fn keep<C: Config>(&mut self, way: &Way<'_, C>, bounds: Span) {
        if self.state == State::Taken {
            self.state = State::Set;
        } else {
            self.save(way, bounds);
        }
    }

    /// From now on knows this way, if it is not too long.
    fn save<C: Config>(&mut self, way: &Way<'_, C>, bounds: Span) {
        self.state = State::Unset;
        if way.len() > LONGEST {
            return;
        }
        self.marks.clear();
        for turn in way.iter() {
            self.marks.push(Mark {
                node: turn.node.as_ptr(),
                slot: turn.slot,
            });
        }
        self.bounds = bounds;
        self.state = State::Set;
    }

    /// Whether it leads somewhere.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.state == State::Set
    }

    /// Whether it leads to the leaf of `index`.
    #[inline]
    pub(crate) fn is_near(&self, index: u64) -> bool {
        self.state == State::Set && self.bounds.contains(index)
    }

    /// For reading: the leaf of `index` and its bounds, if the finger leads there.
    #[inline]
    pub(crate) fn look<'w, C: Config>(
        &self,
        top: NodeRef<'w, C>,
        index: u64,
    ) -> Option<(&'w C::Leaf, Span)> {
        self.is_near(index).then(|| {
            // SAFETY: The finger is set.
            let at = unsafe { self.leaf(top) };
            (at.leaf, at.bounds)
        })
    }

    /// For reading: the leaf of `index`, to which the finger leads from now on.
    #[inline]
    pub(crate) fn reach<'w, C: Config>(
        &mut self,
        top: NodeRef<'w, C>,
        index: u64,
    ) -> (&'w C::Leaf, Span) {
        if let Some(near) = self.look(top, index) {
            return near;
        }
        let mut way = Way::new();
        let at = super::edit::walk(&mut way, top, index);
        self.save(&way, at.bounds);
        (at.leaf, at.bounds)
    }
}
