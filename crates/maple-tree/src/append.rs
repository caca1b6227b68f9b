//! Append: entries above all others, put behind each other without a walk for each.
//!
//! An appender keeps the *spine*, the last node of each level. An entry goes into the last leaf; a
//! full leaf gets a right neighbour, and its parent too if that is full. So ascending input builds
//! a tree of full nodes in one pass.
//!
//! ```text
//!            [ A B . ]               spine: the top, and the leaf under B
//!             /   \
//!        [full]   [ 9 | 14 | 19 | max ]      next free index: 20
//!                   a   -    b    -          (the rest, up to the last index, is one gap)
//! ```
//!
//! Between pushes the tree is whole but for the gaps above the last leaf, which are put right when
//! the appender is dropped. That needs no memory.
//!
//! # Safety
//!
//! The tree is borrowed by `&mut`: nobody reads it. The spine's nodes are the tree's own, and at
//! most one reference into each is live at a time.
#![expect(unsafe_code, reason = "writes to the last nodes in place")]

use crate::config::Config;
use crate::core_tree::CoreTree;
use crate::entry::Entry;
use crate::error::{AllocError, StoreError, WriteError};
use crate::fixed_vec::FixedVec;
use crate::link::{Kind, MAX_HEIGHT, NodeRef};
use crate::node::{Node, len, longest_gap};
use crate::span::Span;
use crate::tree::MapleTree;
use core::fmt;
use core::ptr::{self, NonNull};
use vmaple_sync::atomic::{AtomicU64, Ordering};

/// The last node of a level.
struct Open<'t, C> {
    node: NodeRef<'t, C>,
    /// A leaf's slots without the gap that ends it; a branch's children.
    used: usize,
}

impl<C> Clone for Open<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Open<'_, C> {}

/// A slot to be filled: word and pivot.
type Filling = (*mut (), u64);

/// The nodes that become the last ones, the leaf first.
type NewNodes<'t, C> = FixedVec<NodeRef<'t, C>, MAX_HEIGHT>;

/// Puts entries behind the last one of a tree, which it borrows: see [`MapleTree::appender`].
pub struct Appender<'t, E: Entry, C: Config> {
    core: &'t mut CoreTree<E, C>,
    /// The last node of each level, the leaf first; empty for an empty tree.
    spine: FixedVec<Open<'t, C>, MAX_HEIGHT>,
    /// The first index after all entries; `None` if there is none left.
    next: Option<u64>,
    /// The longest gap in the last leaf, without the one that ends it.
    gap: u64,
    /// How many slots of a leaf are filled.
    fill: usize,
}

impl<E: Entry, C: Config> MapleTree<E, C> {
    /// Puts entries behind the last one, each above the one before: no walk for each, and full
    /// leaves. Building a tree of sorted entries so takes a few nanoseconds for each.
    ///
    /// O(log n) to begin and to end, and O(1) for each entry.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::{MapleTree, Span, WriteError};
    ///
    /// let mut tree: MapleTree<u32> = MapleTree::new();
    /// let mut appender = tree.appender();
    /// for i in 0..1000 {
    ///     appender.push(10 * i..=10 * i + 4, i as u32).expect("memory");
    /// }
    /// let refused = appender.push(7..=8, 7).expect_err("below the last");
    /// assert_eq!(refused.cause, WriteError::NotAbove(Span::new(9990, 9994)));
    /// drop(appender);
    /// assert_eq!(tree.load(5002), Some((Span::new(5000, 5004), 500)));
    /// ```
    pub fn appender(&mut self) -> Appender<'_, E, C> {
        Appender::new(self.core_mut())
    }
}

impl<'t, E: Entry, C: Config> Appender<'t, E, C> {
    fn new(core: &'t mut CoreTree<E, C>) -> Self {
        let mut appender = Self {
            core,
            spine: FixedVec::new(),
            next: Some(0),
            gap: 0,
            fill: C::Leaf::SLOTS,
        };
        appender.find_spine();
        appender
    }

    /// Leaves `nr_slots` of each leaf's slots free, for stores in between later on. At least half
    /// is filled all the same.
    #[must_use]
    pub fn leaving_room(mut self, nr_slots: usize) -> Self {
        let fewest = C::Leaf::MIN.max(3);
        self.fill = C::Leaf::SLOTS.saturating_sub(nr_slots).max(fewest);
        self
    }

    /// Walks down the last children.
    fn find_spine(&mut self) {
        // SAFETY: The tree is borrowed by `&mut`, and none of its nodes is freed meanwhile.
        let Some(top) = (unsafe { self.core.root.load::<C>() }) else {
            return;
        };
        // SAFETY: As above: it is live throughout 't.
        let mut node: NodeRef<'t, C> = unsafe { NodeRef::new(top.as_ptr(), top.level()) };
        let mut way: FixedVec<Open<'t, C>, MAX_HEIGHT> = FixedVec::new();
        loop {
            let used = len(node.pivots(), u64::MAX);
            match node.kind() {
                Kind::Branch(branch) => {
                    way.push(Open { node, used });
                    node = branch.child(used - 1);
                }
                Kind::Leaf(leaf) => {
                    let Ending { used, next, gap } = Ending::of(leaf, used, first_below(&way));
                    (self.next, self.gap) = (next, gap);
                    self.spine.push(Open { node, used });
                    break;
                }
            }
        }
        way.iter().rev().for_each(|open| self.spine.push(*open));
    }

    /// Puts `entry` over a range above all others. O(1) on average.
    ///
    /// # Errors
    ///
    /// [`WriteError::NotAbove`] with the range of the last entry if this one does not begin after
    /// it, [`WriteError::InvertedRange`], or without memory: hands the entry back, the tree is
    /// unchanged.
    #[inline]
    pub fn push(&mut self, range: impl Into<Span>, entry: E) -> Result<(), StoreError<E>> {
        let span = range.into();
        if !span.is_valid() {
            let cause = WriteError::InvertedRange;
            return Err(StoreError { entry, cause });
        }
        if !self.is_above(span.first) {
            let cause = WriteError::NotAbove(self.last_span());
            return Err(StoreError { entry, cause });
        }
        let raw = entry.into_raw();
        self.push_raw(span, raw).map_err(|error| StoreError {
            // SAFETY: It was not stored: the word is still ours.
            entry: unsafe { E::from_raw(raw) },
            cause: error.into(),
        })
    }

    /// Whether every entry lies below `index`.
    #[inline]
    pub(crate) fn is_above(&self, index: u64) -> bool {
        self.next.is_some_and(|next| next <= index)
    }

    /// The range of the last entry; there is one, or nothing would be refused.
    fn last_span(&self) -> Span {
        // SAFETY: The tree is borrowed, and nothing of it is freed while the reader is used.
        let reader = unsafe { crate::reader::Reader::<E, C>::new(&self.core.root) };
        reader
            .find_rev(u64::MAX)
            .map_or(Span::ALL, |(span, _)| span)
    }

    /// Puts an entry's word over `span`, which is valid and above all others. On an error nothing
    /// has changed.
    #[inline]
    pub(crate) fn push_raw(&mut self, span: Span, raw: NonNull<()>) -> Result<(), AllocError> {
        debug_assert!(self.is_above(span.first));
        let has_gap = self.next.is_some_and(|next| next < span.first);
        let both = [
            (ptr::null_mut(), span.first.wrapping_sub(1)),
            (raw.as_ptr(), span.last),
        ];
        let fillings = if has_gap { &both[..] } else { &both[1..] };
        let nr_needed = fillings.len() + usize::from(span.last < u64::MAX);
        if nr_needed <= self.room() {
            fillings.iter().for_each(|filling| self.put(*filling));
            Ok(())
        } else {
            self.overflow(fillings)
        }
    }

    /// How many more slots the last leaf is to use.
    #[inline]
    fn room(&self) -> usize {
        let leaf = self.spine.first();
        leaf.map_or(0, |leaf| self.fill.saturating_sub(leaf.used))
    }

    /// Fills the next slot of the last leaf, which has room for it.
    #[inline]
    fn put(&mut self, (raw, last): Filling) {
        if C::TRACKS_GAPS && raw.is_null() && !cfg!(planted = "append_gap") {
            self.gap = self.gap.max(last - self.next.unwrap_or(0) + 1);
        }
        self.next = last.checked_add(1);
        let open = &mut self.spine[0];
        // SAFETY: A live leaf of a tree borrowed by `&mut`, and no other reference to it is used.
        let leaf = unsafe { open.node.leaf_mut() };
        let (pivots, words) = leaf.parts_mut();
        pivots[open.used] = last;
        // Relaxed: nobody else looks.
        words[open.used].store(raw, Ordering::Relaxed);
        open.used += 1;
    }

    /// Fills up the last leaf, and puts the rest into a new one behind it.
    #[cold]
    fn overflow(&mut self, fillings: &[Filling]) -> Result<(), AllocError> {
        let new = self.make_nodes()?;
        let (low, high) = fillings.split_at(self.room().min(fillings.len()));
        low.iter().for_each(|filling| self.put(*filling));
        self.link(&new);
        high.iter().for_each(|filling| self.put(*filling));
        Ok(())
    }

    /// Makes a leaf, a branch for each full one above the last leaf, and a top if all are full.
    fn make_nodes(&mut self) -> Result<NewNodes<'t, C>, AllocError> {
        let height = self.spine.len();
        self.core.nodes.reserve_logs(height)?;
        let is_full = |level: usize| self.spine[level].used == C::Branch::SLOTS;
        let nr_full = (1..height).take_while(|level| is_full(*level)).count();
        let is_higher = height > 0 && nr_full + 1 == height;
        let nr_branches = nr_full + usize::from(is_higher);
        let mut new = NewNodes::new();
        for level in 0..=nr_branches {
            let nodes = &mut self.core.nodes;
            let made = match level {
                0 => nodes.make::<C::Leaf>(0).map(|leaf| leaf.as_word()),
                _ => nodes.make::<C::Branch>(level).map(|node| node.as_word()),
            };
            let Some(node) = made.ok().and_then(NonNull::new) else {
                // SAFETY: The new nodes are not used.
                unsafe { nodes.abandon() };
                return Err(AllocError);
            };
            // SAFETY: Just made, of this level, and about to belong to the tree.
            new.push(unsafe { NodeRef::new(node, level) });
        }
        self.core.nodes.keep_fresh();
        Ok(new)
    }

    /// Closes the last leaf and every full branch above it, and makes `new` the last nodes of
    /// their levels.
    fn link(&mut self, new: &NewNodes<'t, C>) {
        let mut child = Open {
            node: new[0],
            used: 0,
        };
        if self.spine.is_empty() {
            self.core.root.publish(child.node.as_ptr().as_ptr(), 1);
            self.spine.push(child);
            return;
        }
        let next = self
            .next
            .expect("a leaf that reaches the last index is not followed");
        // The hint for what is still to come: an upper bound, made exact at the end.
        let rest = next.wrapping_neg();
        let mut gap = core::mem::take(&mut self.gap);
        for level in 1..self.spine.len() {
            let parent = self.spine[level];
            self.close_child(level, parent.used - 1, next - 1, gap);
            self.spine[level - 1] = child;
            if parent.used < C::Branch::SLOTS {
                adopt(parent.node, parent.used, child.node, rest);
                self.spine[level].used += 1;
                return;
            }
            gap = longest_gap(parent.node.gaps(), parent.used);
            adopt(new[level], 0, child.node, rest);
            child = Open {
                node: new[level],
                used: 1,
            };
        }
        let level = self.spine.len();
        let top = Open {
            node: new[level],
            used: 2,
        };
        adopt(top.node, 0, self.spine[level - 1].node, gap);
        adopt(top.node, 1, child.node, rest);
        self.spine[level - 1] = child;
        self.spine.push(top);
        self.close_child(level, 0, next - 1, gap);
        self.core
            .root
            .publish(top.node.as_ptr().as_ptr(), level + 1);
    }

    /// Notes in the last branch of `level` where the child in `slot` ends, and its longest gap.
    fn close_child(&mut self, level: usize, slot: usize, last: u64, gap: u64) {
        // SAFETY: A live branch of a tree borrowed by `&mut`; no other reference to it is used.
        let branch = unsafe { self.spine[level].node.branch_mut() };
        branch.pivots_mut()[slot] = last;
        note_gap(branch.gaps(), slot, gap);
    }
}

/// Hangs `child` below a branch that nobody else sees, in a slot whose pivot is the last index
/// already.
fn adopt<C: Config>(branch: NodeRef<'_, C>, slot: usize, child: NodeRef<'_, C>, gap: u64) {
    // Relaxed: nobody else looks.
    branch.slots()[slot].store(child.as_ptr().as_ptr(), Ordering::Relaxed);
    note_gap(branch.gaps(), slot, gap);
}

fn note_gap(gaps: &[AtomicU64], slot: usize, gap: u64) {
    if let Some(hint) = gaps.get(slot) {
        // Relaxed: nobody else looks.
        hint.store(gap, Ordering::Relaxed);
    }
}

/// How the last leaf ends.
struct Ending {
    /// How many slots come before the gap that ends it.
    used: usize,
    /// The first index of that gap, if there is one.
    next: Option<u64>,
    /// The longest other gap.
    gap: u64,
}

impl Ending {
    /// Of a leaf that begins at `first` and uses `used` slots.
    fn of(leaf: &impl Node, used: usize, mut first: u64) -> Self {
        // Relaxed: the tree is borrowed by `&mut`.
        let is_gap = |slot: usize| leaf.slots()[slot].load(Ordering::Relaxed).is_null();
        let ends_in_gap = is_gap(used - 1);
        let used = used - usize::from(ends_in_gap);
        let mut gap = 0;
        for (slot, last) in leaf.pivots()[..used].iter().enumerate() {
            if is_gap(slot) {
                gap = gap.max(last - first + 1);
            }
            first = last.wrapping_add(1);
        }
        Self {
            used,
            next: ends_in_gap.then_some(first),
            gap,
        }
    }
}

/// Where the last leaf begins, to which `way` leads.
fn first_below<C: Config>(way: &[Open<'_, C>]) -> u64 {
    let turn = way.iter().rev().find(|open| open.used > 1);
    turn.map_or(0, |open| open.node.pivots()[open.used - 2] + 1)
}

impl<E: Entry, C: Config> Drop for Appender<'_, E, C> {
    /// Makes the gaps above the last leaf exact. They were upper bounds before: an appender that is
    /// leaked costs gap search some time, no more.
    fn drop(&mut self) {
        if !C::TRACKS_GAPS || cfg!(planted = "append_unsettled") {
            return;
        }
        let mut gap = self.gap.max(self.next.map_or(0, u64::wrapping_neg));
        for level in 1..self.spine.len() {
            let Open { node, used } = self.spine[level];
            note_gap(node.gaps(), used - 1, gap);
            gap = longest_gap(node.gaps(), used);
        }
    }
}

impl<E: Entry, C: Config> fmt::Debug for Appender<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appender")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl<E: Entry, C: Config> MapleTree<E, C> {
    /// Stores each in turn, as [`Extend`] does, and tells what was refused. Ascending ranges that
    /// lie above all others are appended, without a walk for each.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store), with the first entry refused; those before it are stored, those
    /// after it are still in `ranges`, if that was lent.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::{MapleTree, Span, WriteError};
    ///
    /// let mut tree: MapleTree<u32> = MapleTree::new();
    /// let mut ranges = [Span::new(0, 9), Span::new(30, 20), Span::new(40, 49)].into_iter().zip(1..);
    /// let refused = tree.try_extend(&mut ranges).expect_err("ends before it begins");
    /// assert_eq!((refused.entry, refused.cause), (2, WriteError::InvertedRange));
    /// tree.try_extend(&mut ranges)?;
    /// assert_eq!(tree.iter().count(), 2);
    /// # Ok::<(), maple_tree::StoreError<u32>>(())
    /// ```
    pub fn try_extend<R: Into<Span>>(
        &mut self,
        ranges: impl IntoIterator<Item = (R, E)>,
    ) -> Result<(), StoreError<E>> {
        let mut ranges = ranges
            .into_iter()
            .map(|(range, entry)| -> (Span, E) { (range.into(), entry) });
        let mut after_all = 0;
        while let Some((span, entry)) = ranges.next() {
            if span.first < after_all || !span.is_valid() {
                self.store(span, entry)?;
                after_all = after_all.max(span.last);
                continue;
            }
            let Some((span, entry)) = self.append_ascending(span, entry, &mut ranges)? else {
                return Ok(());
            };
            after_all = self.find_rev(u64::MAX).map_or(0, |(span, _)| span.last);
            self.store(span, entry)?;
            after_all = after_all.max(span.last);
        }
        Ok(())
    }

    /// Appends for as long as ranges ascend; returns the first that does not lie above.
    fn append_ascending(
        &mut self,
        mut span: Span,
        mut entry: E,
        ranges: &mut impl Iterator<Item = (Span, E)>,
    ) -> Result<Option<(Span, E)>, StoreError<E>> {
        let mut appender = self.appender();
        while span.is_valid() && appender.is_above(span.first) {
            appender.push(span, entry)?;
            match ranges.next() {
                Some(following) => (span, entry) = following,
                None => return Ok(None),
            }
        }
        Ok(Some((span, entry)))
    }

    /// Moves everything out of `upper`, whose entries all lie above those here, to the end of this
    /// tree. O(entries moved).
    ///
    /// # Errors
    ///
    /// [`WriteError::NotAbove`] with the range of the last entry here, or without memory; both trees
    /// are unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::{MapleTree, Span, WriteError};
    ///
    /// let mut low: MapleTree<u32> = [(0..=9, 1), (20..=29, 2)].into_iter().collect();
    /// let mut high: MapleTree<u32> = [(30..=39, 3)].into_iter().collect();
    /// low.append(&mut high)?;
    /// assert!(high.is_empty());
    /// assert_eq!(low.iter().count(), 3);
    /// assert_eq!(high.append(&mut low), Ok(()), "everything is above nothing");
    /// # Ok::<(), WriteError>(())
    /// ```
    pub fn append(&mut self, upper: &mut Self) -> Result<(), WriteError> {
        let Some((lowest, _)) = upper.find(0) else {
            return Ok(());
        };
        if self.is_empty() {
            core::mem::swap(self, upper);
            return Ok(());
        }
        if !self.appender().is_above(lowest.first) {
            return Err(WriteError::NotAbove(self.appender().last_span()));
        }
        // Slots: an entry and a gap before it at most; a leaf more for what is left of the last.
        let nr_entries = upper.census().entries;
        let nr_leaves = 2 * nr_entries / C::Leaf::SLOTS + 2;
        let nr_branches = nr_leaves / (C::Branch::SLOTS - 1) + MAX_HEIGHT;
        let core = self.core_mut();
        core.nodes.stock_nodes(nr_leaves, nr_branches)?;
        core.nodes.reserve_logs(MAX_HEIGHT)?;
        let mut appender = Appender::new(core);
        upper.take_each(|span, raw| {
            let appended = appender.push_raw(span, raw);
            assert!(appended.is_ok(), "its nodes are in stock");
        });
        Ok(())
    }
}
