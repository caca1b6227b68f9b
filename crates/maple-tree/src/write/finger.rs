//! A finger: the way to the leaf of the last step, kept between the steps of a cursor, or by a
//! writer that was told where it will be wanted.
//!
//! It is good for as long as no branch on the way changes but for the child that is taken. So each
//! write takes it away, and only one that stayed within its leaf (and so changed nothing above but
//! that child and the hints) gives it back.
//!
//! # Safety
//!
//! The tree is borrowed for as long as its finger is in use, by `&mut` where it moves. While that
//! is *set*, every branch that it names is live, taking the slots it names leads to `leaf`, and
//! that covers `bounds`.
#![expect(unsafe_code, reason = "turns remembered words into nodes")]

use super::edit::{LeafAt, walk};
use super::way::{Mark, Way};
use crate::config::Config;
use crate::fixed_vec::FixedVec;
use crate::link::NodeRef;
use crate::span::Span;
use core::fmt;
use core::ptr::NonNull;

/// The longest way that is kept, which a tree of the default width has with a billion entries.
const LONGEST: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Leads nowhere.
    Unset,
    /// Leads to the leaf.
    Set,
    /// In use by a write, which has to say whether it still leads there.
    Taken,
}

/// The way to a leaf, or none.
pub struct Finger {
    /// From the top down.
    marks: FixedVec<Mark, LONGEST>,
    leaf: NonNull<()>,
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
            leaf: NonNull::dangling(),
            bounds: Span::ALL,
            state: State::Unset,
        }
    }

    /// Forgets the way.
    pub(crate) fn clear(&mut self) {
        self.state = State::Unset;
    }

    /// Whether it leads somewhere.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.state == State::Set
    }

    /// Whether it leads to the leaf of `index`.
    #[inline]
    pub(crate) fn is_near(&self, index: u64) -> bool {
        self.is_set() && self.bounds.contains(index)
    }

    /// The leaf.
    ///
    /// # Safety
    ///
    /// The finger is set, or was when the write began that runs now and has changed nothing.
    #[inline]
    unsafe fn leaf<'w, C: Config>(&self) -> LeafAt<'w, C> {
        // SAFETY: By the contract above and the header, a live leaf.
        let node = unsafe { NodeRef::new(self.leaf, 0) };
        LeafAt {
            node,
            // SAFETY: As above.
            leaf: unsafe { node.leaf() },
            bounds: self.bounds,
        }
    }

    /// For a write: the leaf of `index` and the way to it, if the finger knows them. It does not
    /// any more, until [`keep`](Self::keep).
    #[inline]
    pub(super) fn take<'w, C: Config>(
        &mut self,
        way: &mut Way<'w, C>,
        index: u64,
    ) -> Option<LeafAt<'w, C>> {
        let is_near = self.is_near(index);
        if !cfg!(planted = "stale_finger") {
            self.state = if is_near { State::Taken } else { State::Unset };
        }
        if !is_near {
            return None;
        }
        // SAFETY: The finger was set, and nothing has changed since.
        unsafe { way.set(&self.marks) };
        // SAFETY: As above.
        Some(unsafe { self.leaf() })
    }

    /// For a write that is going to stay within the leaf to which `way` leads: goes on knowing it.
    #[inline]
    pub(super) fn keep<C: Config>(&mut self, way: &Way<'_, C>, at: &LeafAt<'_, C>) {
        if self.state == State::Taken {
            self.state = State::Set;
        } else {
            self.save(way, at);
        }
    }

    /// `leaf` has taken the place of the one to which it leads.
    #[inline]
    pub(super) fn follow(&mut self, leaf: *mut ()) {
        match NonNull::new(leaf) {
            _ if cfg!(planted = "finger_left_behind") => {}
            Some(leaf) => self.leaf = leaf,
            None => self.clear(),
        }
    }

    /// From now on knows this way, if it is not too long.
    #[inline(never)]
    fn save<C: Config>(&mut self, way: &Way<'_, C>, at: &LeafAt<'_, C>) {
        let marks = way.marks();
        self.marks.clear();
        for mark in marks.iter().take(LONGEST) {
            self.marks.push(*mark);
        }
        self.set_leaf(marks.len(), at);
    }

    fn set_leaf<C: Config>(&mut self, nr_turns: usize, at: &LeafAt<'_, C>) {
        self.leaf = at.node.as_ptr();
        self.bounds = at.bounds;
        self.state = if nr_turns <= LONGEST {
            State::Set
        } else {
            State::Unset
        };
    }

    /// For reading: the leaf of `index` and its bounds, if the finger leads there.
    #[inline]
    pub(crate) fn look<'w, C: Config>(&self, index: u64) -> Option<(&'w C::Leaf, Span)> {
        self.is_near(index).then(|| {
            // SAFETY: The finger is set.
            let at = unsafe { self.leaf::<C>() };
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
        if let Some(near) = self.look::<C>(index) {
            return near;
        }
        self.marks.clear();
        let mut nr_turns = 0;
        let at = walk(top, index, |node, slot| {
            if nr_turns < LONGEST {
                self.marks.push(Mark::new(node, slot));
            }
            nr_turns += 1;
        });
        self.set_leaf(nr_turns, &at);
        (at.leaf, at.bounds)
    }
}
