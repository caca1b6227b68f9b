//! Writing: decide, build, publish.
//!
//! Every write is the replacement of the slots that a range touches by up to three *items*: what
//! is left of the first slot, the new entry (or null), what is left of the last slot.
//!
//! 1. **Decide** ([`plan`]): walk to both ends of the range. The two paths, the *edges*, meet in
//!    some branch; everything between them dies.
//! 2. **Build** ([`build`]): from the leaves up, pack what is kept left of the edges, the items and
//!    what is kept right of them into one to three new nodes, which are the next level's items.
//!    Nobody can see them.
//! 3. **Publish** ([`publish`]): as soon as one item is to replace exactly one slot, store it
//!    there: one atomic store, and readers see the whole write. If no level comes to that, the
//!    root word is that slot.
//!
//! Most writes change one leaf or two, and are made there without a plan ([`edit`], [`border`], [`pair`]): in
//! the nodes themselves if nobody else can look, else in copies of them.
//!
//! ```text
//!            [ . . . ]                  [ . . . ]          store here: one word
//!             /  |  \                    /  |  \
//!         [..] [...] [..]      =>    [..] [...]' [..]      new nodes marked '
//!               / \                        / \
//!         [ABC]    [DEF]             [AB]'    [xEF]'       x over C and D
//! ```
//!
//! # Safety
//!
//! Nodes reachable from the root stay allocated while a write runs: there is one writer, and it
//! frees (or hands to RCU) only after its last look, in `commit` and in the caller.
#![expect(unsafe_code, reason = "reads the tree as its only writer")]

mod border;
mod build;
mod copy;
mod edit;
mod fill;
mod finger;
mod pair;
mod plan;
mod publish;
mod row;
mod swap;
mod way;

use crate::config::Config;
use crate::core_tree::CoreTree;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::link::{NodeRef, Root};
use crate::nodes::Nodes;
use crate::span::Span;
use build::{Item, Items, Neighbours};
use core::fmt;
use core::ptr;
use core::ptr::NonNull;
pub(crate) use edit::{LeafAt, SlotAt};
pub(crate) use fill::Fill;
pub(crate) use finger::Finger;
use plan::Plan;
use vmaple_sync::planted;
pub(crate) use way::Way;

/// The one writer of a tree, at work.
pub struct Writer<'w, E: Entry, C: Config> {
    pub(crate) root: &'w Root,
    pub(crate) nodes: &'w mut Nodes<E, C>,
    /// Whether the tree is borrowed by `&mut` throughout `'w`, so that nobody reads it.
    is_alone: bool,
    /// Where a cursor has been.
    pub(crate) finger: Option<&'w mut Finger>,
}

impl<E: Entry, C: Config> fmt::Debug for Writer<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl<'w, E: Entry, C: Config> Writer<'w, E, C> {
    /// The writer of a tree that nobody else can look at.
    #[inline]
    pub(crate) fn alone(core: &'w mut CoreTree<E, C>) -> Self {
        Self {
            root: &core.root,
            nodes: &mut core.nodes,
            is_alone: true,
            finger: None,
        }
    }

    /// The same, for a tree whose other handles are gone. The caller has the only one, borrowed by
    /// `&mut` during `'w`.
    #[inline]
    pub(crate) fn unread(root: &'w Root, nodes: &'w mut Nodes<E, C>) -> Self {
        Self {
            root,
            nodes,
            is_alone: true,
            finger: None,
        }
    }

    /// The writer of a tree that others may read meanwhile.
    #[inline]
    pub(crate) fn beside_readers(root: &'w Root, nodes: &'w mut Nodes<E, C>) -> Self {
        Self {
            root,
            nodes,
            is_alone: planted!("edit_beside_readers"),
            finger: None,
        }
    }

    /// Puts `new` over `span` and publishes it. What it displaces is in the nodes' retired log.
    ///
    /// On an error the tree is as it was, and the caller still owns what is in `new`.
    #[inline]
    pub(crate) fn replace(&mut self, span: Span, new: Fill) -> Result<(), AllocError> {
        let mut way = Way::new();
        match self.locate(&mut way, span.first) {
            Some(at) => self.replace_at_leaf(&way, &at, at.slot_of(span.first), span, new),
            None => self.fill_empty(span, new),
        }
    }

    /// The leaf of `index` and the way to it; none in an empty tree.
    #[inline(always)]
    pub(crate) fn locate(&mut self, way: &mut Way<'w, C>, index: u64) -> Option<LeafAt<'w, C>> {
        // SAFETY: One writer; nodes are freed only after the write, see the header.
        let top = unsafe { self.root.load::<C>() };
        if let Some(finger) = &mut self.finger
            && let Some(near) = finger.take(way, index)
        {
            return Some(near);
        }
        Some(edit::walk(top?, index, |node, slot| way.push(node, slot)))
    }

    /// As [`replace`](Self::replace), in a tree in which the leaf of `span.first`, and its slot
    /// there, were located.
    #[inline]
    pub(crate) fn replace_at_leaf(
        &mut self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        from: SlotAt,
        span: Span,
        new: Fill,
    ) -> Result<(), AllocError> {
        if let Some(outcome) = self.edit(way, at, from, span, new) {
            return outcome;
        }
        // The first turn is at the top, or the leaf is all there is.
        let top = way.whole().first().map_or(at.node, |turn| turn.node);
        self.rebuild_all(top, span, new)
    }

    /// Writes by new nodes and one store.
    fn rebuild_all(
        &mut self,
        top: NodeRef<'w, C>,
        span: Span,
        new: Fill,
    ) -> Result<(), AllocError> {
        self.nodes.reserve_logs(top.level() + 1)?;
        let mut plan = Plan::new();
        let span = plan.decide(top, span, new.is_erasure());
        if new.is_erasure() && plan.is_empty_already(span) {
            return Ok(());
        }
        let items = self.leaf_items(&plan, span, new)?;
        // The right-hand remainder of an entry that was split in its middle is a second owner.
        let duplicate = (plan.splits_one_slot(span)).then(|| items[2].raw);
        let outcome = self.climb(&mut plan, span, items);
        if outcome.is_err() {
            // SAFETY: Nothing was published, and the plan is gone.
            unsafe { self.nodes.abandon() };
            if let Some(raw) = duplicate.and_then(NonNull::new) {
                // SAFETY: Made by `leaf_items` for this write, which did not happen.
                drop(unsafe { E::from_raw(raw) });
            }
            return outcome;
        }
        self.nodes.keep_fresh();
        Ok(())
    }

    /// The first store into an empty tree.
    #[cold]
    fn fill_empty(&mut self, span: Span, new: Fill) -> Result<(), AllocError> {
        if new.is_erasure() {
            return Ok(());
        }
        self.nodes.reserve_logs(0)?;
        let mut items = Items::new();
        if let Some(before) = span.first.checked_sub(1) {
            items.push(Item::slot(ptr::null_mut(), before));
        }
        new.put(&mut items, span.last);
        if span.last < u64::MAX {
            items.push(Item::slot(ptr::null_mut(), u64::MAX));
        }
        let top = self.pack::<C::Leaf>(0, items.len(), &items, &Neighbours::none())?;
        self.root.publish(top[0].raw, 1);
        self.nodes.keep_fresh();
        Ok(())
    }

    /// What replaces the touched slots: left remainder, new entry, right remainder.
    fn leaf_items(&self, plan: &Plan<'w, C>, span: Span, new: Fill) -> Result<Items, AllocError> {
        let mut items = Items::new();
        let (before, after) = plan.ends();
        if before.span.first < span.first {
            items.push(Item::slot(before.raw, span.first - 1));
        }
        new.put(&mut items, span.last);
        if span.last < after.span.last {
            let mut raw = after.raw;
            if let Some(entry) = NonNull::new(raw)
                && plan.splits_one_slot(span)
                && !cfg!(planted = "no_duplicate")
            {
                // SAFETY: The tree owns the entry in that slot, the one that the write splits.
                raw = unsafe { self.nodes.duplicate(entry) }?.into_raw().as_ptr();
            }
            items.push(Item::slot(raw, after.span.last));
        }
        Ok(items)
    }

    /// Builds level by level until one store can publish, and makes that store.
    fn climb(
        &mut self,
        plan: &mut Plan<'w, C>,
        span: Span,
        mut items: Items,
    ) -> Result<(), AllocError> {
        let height = plan.height();
        plan.set_dying(span);
        for level in 0..height {
            let depth = height - 1 - level;
            if items.len() == 1 {
                let is_emptied = items[0].raw.is_null() && !cfg!(planted = "empty_root_kept");
                if plan.covers_all(depth) && (level > 0 || is_emptied) {
                    self.retire_rest(plan, depth);
                    self.root.publish(items[0].raw, level);
                    return Ok(());
                }
                if plan.is_one_slot(depth) {
                    self.publish_slot(plan, depth, &items[0]);
                    return Ok(());
                }
            }
            items = if level == 0 {
                self.rebuild::<C::Leaf>(plan, depth, &items)?
            } else {
                self.rebuild::<C::Branch>(plan, depth, &items)?
            };
        }
        if items.len() == 1 {
            self.root.publish(items[0].raw, height);
            return Ok(());
        }
        let top = self.pack::<C::Branch>(height, items.len(), &items, &Neighbours::none())?;
        self.root.publish(top[0].raw, height + 1);
        Ok(())
    }

    /// Replaces both edges at `depth` by new nodes, taking in a neighbour if there is too little.
    fn rebuild<N: crate::node::Node>(
        &mut self,
        plan: &mut Plan<'w, C>,
        depth: usize,
        items: &Items,
    ) -> Result<Items, AllocError> {
        let mut around = plan.kept(depth);
        // Before a neighbour moves the edges apart.
        self.retire_edges(plan, depth);
        let mut count = around.len() + items.len();
        if count < N::MIN && !plan.is_last(depth) && !cfg!(planted = "rebuild_underfull") {
            let neighbour: NodeRef<'w, C> = plan.take_neighbour(depth, &mut around, self.nodes);
            self.nodes.retire(neighbour, (0, 0));
            count = around.len() + items.len();
        }
        let level = plan.height() - 1 - depth;
        self.pack::<N>(level, count, items, &around)
    }

    /// Logs both edges at `depth` and what lies between them.
    fn retire_edges(&mut self, plan: &Plan<'w, C>, depth: usize) {
        let (left, right) = (&plan.left[depth], &plan.right[depth]);
        self.nodes.retire(left.node, left.dying);
        if depth > plan.join {
            self.nodes.retire(right.node, right.dying);
        }
    }

    /// Logs every edge from `depth` to the root, when the root word itself is replaced.
    fn retire_rest(&mut self, plan: &Plan<'w, C>, depth: usize) {
        for depth in 0..=depth {
            self.retire_edges(plan, depth);
        }
    }
}
