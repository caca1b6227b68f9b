//! Decide: where a write begins and ends in the tree.
//!
//! A [`Plan`] holds two paths from the root, to the leaf of the range's first index and to that
//! of its last. Down to depth `join` they run through the same nodes. At each depth, the slots
//! before the left edge's `slot` and after the right edge's are kept.

use super::build::{Neighbours, Segment};
use crate::config::Config;
use crate::entry::Entry;
use crate::fixed_vec::FixedVec;
use crate::link::{MAX_HEIGHT, NodeRef};
use crate::node::{first_of, len, search};
use crate::nodes::Nodes;
use crate::span::Span;
use vmaple_sync::atomic::Ordering;

/// One node of a path. Depth 0 is the root.
pub(super) struct Step<'w, C> {
    pub(super) node: NodeRef<'w, C>,
    /// The slot the path takes.
    pub(super) slot: usize,
    /// How many slots the node uses.
    pub(super) len: usize,
    /// The node's own bounds.
    pub(super) span: Span,
    /// The slots `from..to` whose contents die with the node; set by `set_dying`.
    pub(super) dying: (usize, usize),
}

impl<C> Clone for Step<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Step<'_, C> {}

/// A path from the root to a leaf.
pub(super) type Path<'w, C> = FixedVec<Step<'w, C>, MAX_HEIGHT>;

/// The edges of a write.
pub(super) struct Plan<'w, C: Config> {
    pub(super) left: Path<'w, C>,
    pub(super) right: Path<'w, C>,
    /// The deepest depth at which both edges are the same node.
    pub(super) join: usize,
}

/// A leaf slot with its bounds and word.
#[derive(Clone, Copy)]
pub(super) struct SlotView {
    pub(super) raw: *mut (),
    pub(super) span: Span,
}

impl<C: Config> Step<'_, C> {
    /// The slot the path takes, seen as a leaf's.
    fn view(&self) -> SlotView {
        let pivots = self.node.pivots();
        SlotView {
            // Relaxed: read by the writer, who wrote it.
            raw: self.node.slots()[self.slot].load(Ordering::Relaxed),
            span: self.slot_span(pivots),
        }
    }

    fn slot_span(&self, pivots: &[u64]) -> Span {
        Span::new(
            first_of(pivots, self.slot, self.span.first),
            pivots[self.slot],
        )
    }

    fn is_at_end(&self) -> bool {
        self.slot + 1 == self.len
    }
}

/// Walks from the end of `path` (exclusive) through `node` down to the leaf of `index`.
#[inline]
fn walk_down<'w, C: Config>(
    path: &mut Path<'w, C>,
    mut node: NodeRef<'w, C>,
    mut span: Span,
    index: u64,
) {
    loop {
        let pivots = node.pivots();
        let step = Step {
            node,
            slot: search(pivots, index),
            len: len(pivots, span.last),
            span,
            dying: (0, 0),
        };
        path.push(step);
        if node.level() == 0 {
            return;
        }
        span = step.slot_span(pivots);
        node = node.child(step.slot);
    }
}

/// Makes `path` the path to `index`.
fn walk_to<'w, C: Config>(path: &mut Path<'w, C>, top: NodeRef<'w, C>, index: u64) {
    path.clear();
    walk_down(path, top, Span::ALL, index);
}

/// Makes `path` the path to `index`, which lies at or after where `from` leads; returns the
/// deepest depth at which both are the same node.
#[inline]
fn walk_onward<'w, C: Config>(path: &mut Path<'w, C>, from: &Path<'w, C>, index: u64) -> usize {
    let join = from
        .iter()
        .rposition(|step| index <= step.span.last)
        .expect("the root covers every index");
    path.clear();
    for step in &from[..join] {
        path.push(*step);
    }
    let mut step = from[join];
    if join + 1 == from.len() {
        step.slot = search(step.node.pivots(), index);
        path.push(step);
    } else {
        walk_down(path, step.node, step.span, index);
    }
    join
}

fn leaf_of<'p, 'w, C>(path: &'p Path<'w, C>) -> &'p Step<'w, C> {
    path.last().expect("a path ends in a leaf")
}

fn leaf_of_mut<'p, 'w, C>(path: &'p mut Path<'w, C>) -> &'p mut Step<'w, C> {
    path.last_mut().expect("a path ends in a leaf")
}

impl<'w, C: Config> Plan<'w, C> {
    /// A plan without edges. Large: made once per write, filled in place.
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            left: Path::new(),
            right: Path::new(),
            join: 0,
        }
    }

    /// Walks to both ends of `span`, which an erasure first widens over the empty slots at and
    /// beside its ends, so that empty neighbours merge. Returns the span so widened.
    #[inline]
    pub(super) fn decide(&mut self, top: NodeRef<'w, C>, mut span: Span, is_erasure: bool) -> Span {
        walk_to(&mut self.left, top, span.first);
        if is_erasure {
            span.first = self.widen_left(top, span.first);
        }
        self.join = walk_onward(&mut self.right, &self.left, span.last);
        if is_erasure {
            span.last = self.widen_right(span.last);
        }
        span
    }

    /// Moves the left edge onto the empty slot before `first`, if there is one, and returns where
    /// it begins.
    fn widen_left(&mut self, top: NodeRef<'w, C>, first: u64) -> u64 {
        let leaf = leaf_of_mut(&mut self.left);
        let at = leaf.view();
        if at.raw.is_null() {
            return at.span.first;
        }
        if at.span.first < first || first == 0 {
            return first;
        }
        if leaf.slot > 0 {
            leaf.slot -= 1;
            let before = leaf.view();
            if before.raw.is_null() {
                return before.span.first;
            }
            leaf.slot += 1;
            return first;
        }
        // The right edge is not walked yet: its place serves to look.
        walk_to(&mut self.right, top, first - 1);
        let before = leaf_of(&self.right).view();
        if before.raw.is_null() {
            self.left.clear();
            for step in self.right.iter() {
                self.left.push(*step);
            }
            return before.span.first;
        }
        first
    }

    /// Moves the right edge onto the empty slot after `last`, if there is one, and returns where
    /// it ends.
    fn widen_right(&mut self, last: u64) -> u64 {
        let leaf = leaf_of_mut(&mut self.right);
        let at = leaf.view();
        if at.raw.is_null() {
            return at.span.last;
        }
        if last < at.span.last || last == u64::MAX {
            return last;
        }
        if !leaf.is_at_end() {
            leaf.slot += 1;
            let after = leaf.view();
            if after.raw.is_null() {
                return after.span.last;
            }
            leaf.slot -= 1;
            return last;
        }
        self.join = walk_onward(&mut self.right, &self.left, last + 1);
        let after = leaf_of(&self.right).view();
        if after.raw.is_null() {
            return after.span.last;
        }
        self.join = walk_onward(&mut self.right, &self.left, last);
        last
    }

    pub(super) fn height(&self) -> usize {
        self.left.len()
    }

    /// The slots at the range's first and last index.
    pub(super) fn ends(&self) -> (SlotView, SlotView) {
        (leaf_of(&self.left).view(), leaf_of(&self.right).view())
    }

    /// Whether both edges at `depth` take the same slot of the same node.
    pub(super) fn is_one_slot(&self, depth: usize) -> bool {
        depth <= self.join && self.left[depth].slot == self.right[depth].slot
    }

    /// Whether `span` is one slot, and that is null.
    pub(super) fn is_empty_already(&self, span: Span) -> bool {
        let at = leaf_of(&self.left).view();
        at.raw.is_null() && at.span == span
    }

    /// Whether `span` lies strictly inside one slot.
    pub(super) fn splits_one_slot(&self, span: Span) -> bool {
        let at = leaf_of(&self.left).view().span;
        at.first < span.first && span.last < at.last
    }

    /// Whether nothing is kept from `depth` up to the root.
    pub(super) fn covers_all(&self, depth: usize) -> bool {
        (0..=depth).all(|depth| self.left[depth].slot == 0 && self.right[depth].is_at_end())
    }

    /// Whether what is rebuilt at `depth` reaches to the end of that level.
    pub(super) fn is_last(&self, depth: usize) -> bool {
        self.right[..depth].iter().all(Step::is_at_end)
    }

    /// Notes, before the edges move, which slots' contents die: whatever lies between the edges,
    /// and at the leaves the slots at the edges of which nothing remains.
    pub(super) fn set_dying(&mut self, span: Span) {
        let (before, after) = self.ends();
        let leaf = self.height() - 1;
        for depth in self.join..=leaf {
            // At a leaf the edges' own slots die if nothing of them remains; above, those slots
            // hold the next edge, which is retired by itself.
            let from_first =
                depth == leaf && before.span.first == span.first && !cfg!(planted = "plan_dying");
            let to_last = depth == leaf && after.span.last == span.last;
            let from = self.left[depth].slot + usize::from(!from_first);
            let to = self.right[depth].slot + usize::from(to_last);
            if depth == self.join {
                self.left[depth].dying = (from, to);
            } else {
                self.left[depth].dying = (from, self.left[depth].len);
                self.right[depth].dying = (0, to);
            }
        }
    }

    /// What is kept at `depth`.
    pub(super) fn kept(&self, depth: usize) -> Neighbours<'w> {
        let (left, right) = (&self.left[depth], &self.right[depth]);
        Neighbours {
            first: left.span.first,
            before: [Segment::empty(), Segment::new(left.node, 0, left.slot)],
            after: [
                Segment::new(
                    right.node,
                    right.slot + usize::from(!cfg!(planted = "spanning_duplicate")),
                    right.len,
                ),
                Segment::empty(),
            ],
        }
    }

    /// Takes the node beside the edges at `depth` into what is kept there: the left sibling, or
    /// else the next node to the right, whose parent may be another.
    pub(super) fn take_neighbour<E: Entry>(
        &mut self,
        depth: usize,
        around: &mut Neighbours<'w>,
        nodes: &mut Nodes<E, C>,
    ) -> NodeRef<'w, C> {
        let parent = &mut self.left[depth - 1];
        if parent.slot > 0 {
            parent.slot -= 1;
            let pivots = parent.node.pivots();
            let span = parent.slot_span(pivots);
            let node = parent.node.child(parent.slot);
            around.first = span.first;
            around.before[0] = Segment::new(node, 0, len(node.pivots(), span.last));
            return node;
        }
        let (node, span) = self.step_right(depth, nodes);
        around.after[1] = Segment::new(node, 0, len(node.pivots(), span.last));
        node
    }

    /// Moves the right edge above `depth` to the next node of that depth, and returns that node.
    /// Edge nodes that it leaves keep nothing: they are retired.
    fn step_right<E: Entry>(
        &mut self,
        depth: usize,
        nodes: &mut Nodes<E, C>,
    ) -> (NodeRef<'w, C>, Span) {
        let turn = self.right[..depth]
            .iter()
            .rposition(|step| !step.is_at_end())
            .expect("the caller checked that this is not the last node");
        for left_behind in turn + 1..depth {
            if left_behind > self.join {
                let step = &self.right[left_behind];
                nodes.retire(step.node, step.dying);
            }
        }
        self.right[turn].slot += 1;
        let step = &self.right[turn];
        let mut span = step.slot_span(step.node.pivots());
        let mut node = step.node.child(step.slot);
        for below in turn + 1..depth {
            let pivots = node.pivots();
            let step = Step {
                node,
                slot: 0,
                len: len(pivots, span.last),
                span,
                dying: (0, 0),
            };
            self.right[below] = step;
            span = step.slot_span(pivots);
            node = node.child(0);
        }
        self.join = self.join.min(turn);
        (node, span)
    }
}
