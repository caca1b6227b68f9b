//! What the one writer of a tree with readers does: each operation publishes by one store.
//!
//! # Safety
//!
//! Looks at an entry that a write has displaced, while the writer is borrowed: it is freed by a
//! later write at the earliest.
#![expect(unsafe_code, reason = "lends what a write has displaced")]

use crate::allocate::{Choice, Room};
use crate::config::{Config, TracksGaps};
use crate::entry::Entry;
use crate::error::{AllocError, StoreError, WriteError};
use crate::handles::TreeWriter;
use crate::span::Span;
use crate::validate::{self, Violation};
use crate::writable::Access;
use core::ptr::NonNull;
use vmaple_rcu::Backend;

/// # Writing
///
/// Each call is one atomic step for readers. What it displaces is dropped after a grace period;
/// where a call hands a displaced entry out, it lends it until the writer is used again, which
/// for an entry that is copied (an integer, a `&'static T`) is for good.
impl<E: Entry, C: Config, B: Backend, S: ?Sized> TreeWriter<E, C, B, S> {
    /// Lends an entry that the last write displaced.
    #[inline]
    fn lend(&self, raw: NonNull<()>) -> E::Ref<'_> {
        // SAFETY: What a write displaced is freed before a later write, by `reclaim`, or with the
        // last handle: none of them comes while `self` is borrowed.
        unsafe { E::borrow(raw) }
    }

    /// Stores `entry` over a range, whatever was there: see [`MapleTree::store`].
    ///
    /// # Errors
    ///
    /// For an inverted range, or without memory: hands the entry back, the tree is unchanged.
    ///
    /// [`MapleTree::store`]: crate::MapleTree::store
    #[doc(alias = "mtree_store_range")]
    #[doc(alias = "mas_store")]
    pub fn store(&mut self, range: impl Into<Span>, entry: E) -> Result<(), StoreError<E>> {
        let span = range.into();
        self.run(|writer| writer.store(span, entry))
    }

    /// Stores `entry` over a range that is empty.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store), and [`WriteError::Occupied`] with the range of the first entry
    /// in the way.
    #[doc(alias = "mtree_insert_range")]
    pub fn insert(&mut self, range: impl Into<Span>, entry: E) -> Result<(), StoreError<E>> {
        let span = range.into();
        self.run(|writer| writer.insert(span, entry))
    }

    /// Puts `entry` in the place of the one at `index`, over its whole range, and lends that one.
    ///
    /// # Errors
    ///
    /// [`WriteError::Vacant`] if there is none, or without memory: hands the entry back, the tree
    /// is unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use maple_tree::{Span, TreeWriter, WriteError};
    ///
    /// let mut writer: TreeWriter<u32> = TreeWriter::new();
    /// writer.store(4..=7, 1).expect("memory");
    /// assert_eq!(writer.replace(5, 2).expect("there"), (Span::new(4, 7), 1));
    /// assert_eq!(writer.replace(8, 3).expect_err("nothing there").cause, WriteError::Vacant);
    /// # }
    /// ```
    pub fn replace(&mut self, index: u64, entry: E) -> Result<(Span, E::Ref<'_>), StoreError<E>> {
        let (span, raw) = self.run(|writer| writer.replace_at(index, entry))?;
        Ok((span, self.lend(raw)))
    }

    /// Removes the entry at `index` with its whole range, and lends it: readers may still look
    /// at it.
    ///
    /// # Errors
    ///
    /// Without memory; the tree is unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use maple_tree::{Span, TreeWriter};
    /// use std::sync::Arc;
    ///
    /// let mut writer: TreeWriter<Arc<String>> = TreeWriter::new();
    /// writer.store(4..=7, Arc::new("four".to_owned())).expect("memory");
    /// let (span, lent) = writer.erase(5)?.expect("there");
    /// let owner = lent.to_arc();
    /// writer.clear(0..=9).expect("memory");
    /// assert_eq!((span, owner.as_str()), (Span::new(4, 7), "four"));
    /// # }
    /// # Ok::<(), maple_tree::AllocError>(())
    /// ```
    #[doc(alias = "mtree_erase")]
    #[doc(alias = "mas_erase")]
    pub fn erase(&mut self, index: u64) -> Result<Option<(Span, E::Ref<'_>)>, AllocError> {
        let erased = self.run(|writer| writer.erase(index))?;
        Ok(erased.map(|(span, raw)| (span, self.lend(raw))))
    }

    /// Empties a range. Entries that reach out of it keep their rest.
    ///
    /// # Errors
    ///
    /// For an inverted range, or without memory; the tree is unchanged.
    pub fn clear(&mut self, range: impl Into<Span>) -> Result<(), WriteError> {
        let span = range.into();
        self.run(|writer| writer.clear(span))
    }

    /// Carves `range` out of the entry that it lies in: see
    /// [`MapleTree::carve`](crate::MapleTree::carve). For readers too it is one step.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn carve(
        &mut self,
        range: impl Into<Span>,
        middle: Option<E>,
        above: E,
    ) -> Result<(), StoreError<(Option<E>, E)>> {
        let span = range.into();
        self.run(|writer| writer.carve(span, middle, above))
    }

    /// Removes every entry that `keep` refuses, each by a step of its own. O(n + removed × log n).
    ///
    /// # Errors
    ///
    /// Without memory; entries before the one that could not be removed have been judged.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use maple_tree::{MapleTree, TreeWriter};
    ///
    /// let tree: MapleTree<u32> = (0..9).map(|i| (10 * i..=10 * i + 4, i as u32)).collect();
    /// let mut writer: TreeWriter<u32> = TreeWriter::from(tree);
    /// writer.retain(|_, value| value % 3 == 0)?;
    /// let left: Vec<u32> = writer.reader().iter().map(|(_, value)| value).collect();
    /// assert_eq!(left, [0, 3, 6]);
    /// # }
    /// # Ok::<(), maple_tree::AllocError>(())
    /// ```
    pub fn retain(
        &mut self,
        mut keep: impl FnMut(Span, E::Ref<'_>) -> bool,
    ) -> Result<(), AllocError> {
        let mut cursor = self.cursor_mut(0);
        while let Some((span, entry)) = cursor.next() {
            if !keep(span, entry) {
                cursor.erase()?;
            }
        }
        Ok(())
    }

    /// Checks every invariant of the structure. O(n).
    ///
    /// # Errors
    ///
    /// The first violation found.
    #[doc(alias = "mt_validate")]
    pub fn validate(&self) -> Result<(), Violation> {
        validate::validate(self.reader())
    }
}

/// # Storing where there is room
impl<E: Entry, C: TracksGaps, B: Backend, S: ?Sized> TreeWriter<E, C, B, S> {
    /// Stores `entry` in the lowest gap that has the room, and says where: see
    /// [`MapleTree::allocate_lowest`](crate::MapleTree::allocate_lowest).
    ///
    /// # Errors
    ///
    /// As there.
    #[doc(alias = "mtree_alloc_range")]
    pub fn allocate_lowest(&mut self, room: Room, entry: E) -> Result<Span, StoreError<E>> {
        self.run(|writer| writer.allocate(room, Choice::Lowest, entry))
    }

    /// Stores `entry` in the highest gap that has the room, and says where.
    ///
    /// # Errors
    ///
    /// As [`allocate_lowest`](Self::allocate_lowest).
    #[doc(alias = "mtree_alloc_rrange")]
    pub fn allocate_highest(&mut self, room: Room, entry: E) -> Result<Span, StoreError<E>> {
        self.run(|writer| writer.allocate(room, Choice::Highest, entry))
    }

    /// Stores `entry` in the lowest gap from `*next` on, or else in the lowest of all, and moves
    /// `*next` behind it: see [`MapleTree::allocate_cyclic`](crate::MapleTree::allocate_cyclic).
    ///
    /// # Errors
    ///
    /// As [`allocate_lowest`](Self::allocate_lowest); `*next` then stays.
    #[doc(alias = "mtree_alloc_cyclic")]
    pub fn allocate_cyclic(
        &mut self,
        room: Room,
        next: &mut u64,
        entry: E,
    ) -> Result<Span, StoreError<E>> {
        self.run(|writer| writer.allocate_cyclic(room, next, entry))
    }
}
