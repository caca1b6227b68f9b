//! Writes ahead of time: memory for a number of them, and plans of single ones.
//!
//! A write needs at most three new nodes on each level, and one more if the tree grows; each one
//! can add a level to what the next one needs. A plan also makes the second owner of an entry that
//! the write splits in its middle.
//!
//! # Safety
//!
//! Duplicates an entry that the tree owns, while the tree is borrowed.
#![expect(unsafe_code, reason = "duplicates the entry that a plan splits")]

use crate::allocate::{Choice, Room};
use crate::config::{Config, TracksGaps};
use crate::entry::Entry;
use crate::error::{AllocError, WriteError};
use crate::handles::{State, TreeWriter};
use crate::link::MAX_HEIGHT;
use crate::nodes::{Nodes, Stock};
use crate::reader::Reader;
use crate::span::Span;
use crate::tree::MapleTree;
use crate::writable::{Access, WritableTree};
use core::fmt;
use core::ptr::NonNull;
use vmaple_rcu::Backend;

/// What `nr_writes` writes can need of a tree of `height`.
fn stock_for(nr_writes: usize, height: usize) -> Stock {
    let most_at_once = |nr_before: usize| 3 * (height + nr_before).min(MAX_HEIGHT) + 1;
    let nr_writes = if cfg!(planted = "reserve_short") {
        nr_writes - nr_writes / 2
    } else {
        nr_writes
    };
    // A saturated number is refused by the allocator.
    let nr_branches = if nr_writes <= MAX_HEIGHT {
        (0..nr_writes).map(most_at_once).sum()
    } else {
        nr_writes.saturating_mul(most_at_once(MAX_HEIGHT))
    };
    Stock {
        nr_writes,
        height: height.saturating_add(nr_writes).min(MAX_HEIGHT),
        nr_leaves: nr_writes.saturating_mul(3),
        nr_branches,
    }
}

impl<E: Entry, C: Config> MapleTree<E, C> {
    /// Makes sure that the next `nr_writes` writes cannot fail for want of memory: single calls of
    /// [`store`](Self::store), [`insert`](Self::insert), [`replace`](Self::replace),
    /// [`erase`](Self::erase), [`clear`](Self::clear) or an allocation in a gap. So a change that
    /// takes several of them cannot stop half-way.
    ///
    /// Only an entry whose duplication allocates (a `Box`) can still be refused, where a write
    /// splits it in its middle; [`plan_store`](Self::plan_store) knows of that too.
    ///
    /// Takes up to 3 leaves and `3 × height + 1` branches for each write. The tree keeps what is
    /// not used, so a second call is cheap. O(`nr_writes` × log n).
    ///
    /// # Errors
    ///
    /// Without memory; the tree is unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::MapleTree;
    ///
    /// let mut tree: MapleTree<u32> = MapleTree::new();
    /// tree.store(0..=99, 1)?;
    /// // Moves the boundary: both stores happen, or neither.
    /// tree.reserve(2)?;
    /// tree.clear(40..=99).expect("reserved");
    /// tree.store(40..=120, 2).expect("reserved");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "mas_expected_entries")]
    pub fn reserve(&mut self, nr_writes: usize) -> Result<(), AllocError> {
        let core = self.core_mut();
        let stock = stock_for(nr_writes, core.root.height());
        core.nodes.stock(stock)
    }

    /// Decides a store of any entry over `range` and takes the memory for it:
    /// [`commit`](StorePlan::commit) then cannot fail.
    ///
    /// # Errors
    ///
    /// For an inverted range, or without memory; the tree is unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::{MapleTree, Span};
    ///
    /// let mut tree: MapleTree<Box<u32>> = MapleTree::new();
    /// let plan = tree.plan_store(10..=19)?;
    /// plan.commit(Box::new(1));
    /// assert_eq!(tree.load(12), Some((Span::new(10, 19), &1)));
    /// # Ok::<(), maple_tree::WriteError>(())
    /// ```
    ///
    /// The tree cannot change in between:
    ///
    /// ```compile_fail
    /// let mut tree: maple_tree::MapleTree<u32> = maple_tree::MapleTree::new();
    /// let plan = tree.plan_store(10..=19).unwrap();
    /// tree.clear(0..=14).unwrap();
    /// plan.commit(1);
    /// ```
    #[doc(alias = "mas_preallocate")]
    pub fn plan_store(
        &mut self,
        range: impl Into<Span>,
    ) -> Result<StorePlan<'_, Self>, WriteError> {
        StorePlan::new(self, range.into())
    }

    /// The same for a range that is empty.
    ///
    /// # Errors
    ///
    /// As [`plan_store`](Self::plan_store), and [`WriteError::Occupied`].
    pub fn plan_insert(
        &mut self,
        range: impl Into<Span>,
    ) -> Result<StorePlan<'_, Self>, WriteError> {
        StorePlan::of_insert(self, range.into())
    }

    /// Decides to empty `range` and takes the memory for it.
    ///
    /// # Errors
    ///
    /// As [`plan_store`](Self::plan_store).
    pub fn plan_clear(
        &mut self,
        range: impl Into<Span>,
    ) -> Result<ClearPlan<'_, Self>, WriteError> {
        ClearPlan::new(self, range.into())
    }
}

impl<E: Entry, C: TracksGaps> MapleTree<E, C> {
    /// Decides a store in the lowest gap that has the room: [`StorePlan::span`] says where, so
    /// that the entry can be made for its place.
    ///
    /// # Errors
    ///
    /// As [`allocate_lowest`](Self::allocate_lowest); the tree is unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::{MapleTree, Room};
    ///
    /// let mut ids: MapleTree<Box<String>> = MapleTree::new();
    /// let plan = ids.plan_lowest(Room::new(1, 1..=99))?;
    /// let name = format!("the owner of {}", plan.span().first);
    /// plan.commit(Box::new(name));
    /// assert_eq!(ids.get(1).map(String::as_str), Some("the owner of 1"));
    /// # Ok::<(), maple_tree::WriteError>(())
    /// ```
    pub fn plan_lowest(&mut self, room: Room) -> Result<StorePlan<'_, Self>, WriteError> {
        let span = room.find(self.reader(), Choice::Lowest)?;
        StorePlan::new(self, span)
    }

    /// The same in the highest gap.
    ///
    /// # Errors
    ///
    /// As [`plan_lowest`](Self::plan_lowest).
    pub fn plan_highest(&mut self, room: Room) -> Result<StorePlan<'_, Self>, WriteError> {
        let span = room.find(self.reader(), Choice::Highest)?;
        StorePlan::new(self, span)
    }
}

/// # Ahead of time
impl<E: Entry, C: Config, B: Backend, S: ?Sized> TreeWriter<E, C, B, S> {
    /// Makes sure that the next `nr_writes` writes cannot fail for want of memory: see
    /// [`MapleTree::reserve`]. What they displace is kept for as long as the reservation lasts.
    ///
    /// # Errors
    ///
    /// Without memory; the tree is unchanged.
    #[doc(alias = "mas_expected_entries")]
    pub fn reserve(&mut self, nr_writes: usize) -> Result<(), AllocError> {
        let (root, _, State { nodes, limbo, .. }) = self.parts_mut();
        limbo.hold_for::<E, C, B>(nr_writes, nodes);
        nodes.stock(stock_for(nr_writes, root.height()))
    }

    /// Decides a store of any entry over `range` and takes the memory for it: see
    /// [`MapleTree::plan_store`].
    ///
    /// # Errors
    ///
    /// For an inverted range, or without memory; the tree is unchanged.
    #[doc(alias = "mas_preallocate")]
    pub fn plan_store(
        &mut self,
        range: impl Into<Span>,
    ) -> Result<StorePlan<'_, Self>, WriteError> {
        StorePlan::new(self, range.into())
    }

    /// The same for a range that is empty.
    ///
    /// # Errors
    ///
    /// As [`plan_store`](Self::plan_store), and [`WriteError::Occupied`].
    pub fn plan_insert(
        &mut self,
        range: impl Into<Span>,
    ) -> Result<StorePlan<'_, Self>, WriteError> {
        StorePlan::of_insert(self, range.into())
    }

    /// Decides to empty `range` and takes the memory for it.
    ///
    /// # Errors
    ///
    /// As [`plan_store`](Self::plan_store).
    pub fn plan_clear(
        &mut self,
        range: impl Into<Span>,
    ) -> Result<ClearPlan<'_, Self>, WriteError> {
        ClearPlan::new(self, range.into())
    }
}

/// # Ahead of time, where there is room
impl<E: Entry, C: TracksGaps, B: Backend, S: ?Sized> TreeWriter<E, C, B, S> {
    /// Decides a store in the lowest gap that has the room: see [`MapleTree::plan_lowest`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn plan_lowest(&mut self, room: Room) -> Result<StorePlan<'_, Self>, WriteError> {
        let span = room.find(self.reader(), Choice::Lowest)?;
        StorePlan::new(self, span)
    }

    /// The same in the highest gap.
    ///
    /// # Errors
    ///
    /// As [`plan_lowest`](Self::plan_lowest).
    pub fn plan_highest(&mut self, room: Room) -> Result<StorePlan<'_, Self>, WriteError> {
        let span = room.find(self.reader(), Choice::Highest)?;
        StorePlan::new(self, span)
    }
}

/// What a planned write needs beyond the tree's own memory.
struct Ahead<E> {
    span: Span,
    /// The second owner of the entry that the write splits in its middle.
    duplicate: Option<E>,
}

impl<E: Entry> Ahead<E> {
    fn of<T: Access<Entry = E> + ?Sized>(tree: &mut T, span: Span) -> Result<Self, WriteError> {
        if !span.is_valid() {
            return Err(WriteError::InvertedRange);
        }
        tree.reserve_writes(1)?;
        let duplicate = second_owner(tree.view(), span)?;
        Ok(Self { span, duplicate })
    }

    /// Makes the write, which cannot fail.
    fn make<T: Access<Entry = E> + ?Sized>(self, tree: &mut T, entry: Option<E>) {
        let Self { span, duplicate } = self;
        let is_done = tree.run(|writer| {
            writer.nodes.lay_out(duplicate);
            match entry {
                Some(entry) => writer.store(span, entry).is_ok(),
                None => writer.clear(span).is_ok(),
            }
        });
        assert!(is_done, "a planned write has its memory and its duplicate");
    }
}

/// Duplicates the entry that a write over `span` would split in its middle.
fn second_owner<E: Entry, C: Config>(
    reader: Reader<'_, E, C>,
    span: Span,
) -> Result<Option<E>, AllocError> {
    let (held, raw) = reader.walk(span.first);
    match NonNull::new(raw) {
        Some(raw) if held.first < span.first && span.last < held.last => {
            // SAFETY: The tree owns the entry in that slot, and is borrowed.
            unsafe { E::try_duplicate(raw) }.map(Some)
        }
        _ => Ok(None),
    }
}

/// A store that is decided and has its memory: [`commit`](Self::commit) cannot fail.
///
/// It borrows the tree, so that nothing changes in between. Dropped without a commit it leaves the
/// tree as it is. Made by `plan_store`, `plan_insert`, `plan_lowest` and `plan_highest` of
/// [`MapleTree`] and [`TreeWriter`].
#[must_use = "a plan does nothing until it is committed"]
pub struct StorePlan<'w, T: WritableTree + ?Sized> {
    tree: &'w mut T,
    ahead: Ahead<T::Entry>,
}

impl<'w, T: WritableTree + ?Sized> StorePlan<'w, T> {
    fn new(tree: &'w mut T, span: Span) -> Result<Self, WriteError> {
        let ahead = Ahead::of(tree, span)?;
        Ok(Self { tree, ahead })
    }

    fn of_insert(tree: &'w mut T, span: Span) -> Result<Self, WriteError> {
        if span.is_valid()
            && let Some((occupant, _)) = tree.view().find(span.first)
            && occupant.first <= span.last
        {
            return Err(WriteError::Occupied(occupant));
        }
        Self::new(tree, span)
    }

    /// Where the entry will be.
    #[must_use]
    pub fn span(&self) -> Span {
        self.ahead.span
    }

    /// Stores `entry`. O(log n + entries displaced); allocates nothing.
    pub fn commit(self, entry: T::Entry) {
        self.ahead.make(self.tree, Some(entry));
    }
}

impl<T: WritableTree + ?Sized> fmt::Debug for StorePlan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StorePlan").field(&self.ahead.span).finish()
    }
}

/// An emptying that is decided and has its memory: [`commit`](Self::commit) cannot fail.
///
/// As [`StorePlan`]; made by `plan_clear` of [`MapleTree`] and [`TreeWriter`].
#[must_use = "a plan does nothing until it is committed"]
pub struct ClearPlan<'w, T: WritableTree + ?Sized> {
    tree: &'w mut T,
    ahead: Ahead<T::Entry>,
}

impl<'w, T: WritableTree + ?Sized> ClearPlan<'w, T> {
    fn new(tree: &'w mut T, span: Span) -> Result<Self, WriteError> {
        let ahead = Ahead::of(tree, span)?;
        Ok(Self { tree, ahead })
    }

    /// What will be empty.
    #[must_use]
    pub fn span(&self) -> Span {
        self.ahead.span
    }

    /// Empties the range. O(log n + entries displaced); allocates nothing.
    pub fn commit(self) {
        self.ahead.make(self.tree, None);
    }
}

impl<T: WritableTree + ?Sized> fmt::Debug for ClearPlan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClearPlan").field(&self.ahead.span).finish()
    }
}

impl<E: Entry, C: Config> Nodes<E, C> {
    /// A second owner of `entry`: the one laid out for this write, or a new one.
    ///
    /// # Safety
    ///
    /// The tree owns `entry`, and a duplicate that is laid out was made of it.
    pub(crate) unsafe fn duplicate(&self, entry: NonNull<()>) -> Result<E, AllocError> {
        match self.take_laid_out() {
            Some(duplicate) => Ok(duplicate),
            // SAFETY: By the contract above.
            None => unsafe { E::try_duplicate(entry) },
        }
    }
}
