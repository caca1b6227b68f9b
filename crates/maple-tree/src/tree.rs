//! The tree with one owner: reads by `&`, writes by `&mut`.
//!
//! # Safety
//!
//! A write has `&mut self`, so no reader exists: what it displaces is freed at once.
#![expect(unsafe_code, reason = "frees what a write displaces")]

use crate::config::{Config, Gaps, TracksGaps};
use crate::core_tree::CoreTree;
use crate::entry::Entry;
use crate::error::{AllocError, StoreError, WriteError};
use crate::iter::{Iter, IterRev};
use crate::reader::Reader;
use crate::span::Span;
use crate::validate::{self, Violation};
use crate::version::Counted;
use crate::write::{Finger, Writer};
use core::fmt;
use core::ptr;

/// A map from ranges of indices to entries, owned by whoever may write it.
///
/// Each index of `0..=u64::MAX` holds at most one entry. Storing overwrites; equal neighbours
/// stay apart; empty neighbours merge. Ranges include both ends. For readers beside a writer see
/// [`SharedMapleTree`](crate::SharedMapleTree).
///
/// # Examples
///
/// ```
/// use maple_tree::{MapleTree, Span};
///
/// let mut tree: MapleTree<u32> = MapleTree::new();
/// tree.store(10..=29, 1)?;
/// tree.store(20..=24, 2)?;
/// assert_eq!(tree.load(12), Some((Span::new(10, 19), 1)));
/// assert_eq!(tree.find(30), None);
/// assert_eq!(tree.lowest_gap(5, 1, 10..=100), Some(30));
/// let all: Vec<_> = tree.iter().map(|(span, value)| (span.first, span.last, value)).collect();
/// assert_eq!(all, [(10, 19, 1), (20, 24, 2), (25, 29, 1)]);
/// # Ok::<(), maple_tree::StoreError<u32>>(())
/// ```
pub struct MapleTree<E: Entry, C: Config = Gaps> {
    core: Counted<CoreTree<E, C>>,
}

// SAFETY: The tree owns its entries; sending it sends them.
unsafe impl<E: Entry + Send, C: Config> Send for MapleTree<E, C> {}
// SAFETY: `&self` only reads: it lends entries and copies them, which is sharing them.
unsafe impl<E: Entry + Sync, C: Config> Sync for MapleTree<E, C> {}

impl<E: Entry, C: Config> Default for MapleTree<E, C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entry, C: Config> MapleTree<E, C> {
    /// A tree without entries; allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            core: Counted::new(CoreTree::new()),
        }
    }

    pub(crate) fn from_core(core: CoreTree<E, C>) -> Self {
        Self {
            core: Counted::new(core),
        }
    }

    pub(crate) fn into_core(self) -> CoreTree<E, C> {
        self.core.into_inner()
    }

    pub(crate) fn core_mut(&mut self) -> &mut CoreTree<E, C> {
        self.core.change()
    }

    /// Runs one write and frees what it displaces.
    #[inline]
    pub(crate) fn write<R>(&mut self, write: impl FnOnce(&mut Writer<'_, E, C>) -> R) -> R {
        self.write_near(None, write)
    }

    /// The same by a cursor, near where that has been.
    #[inline]
    pub(crate) fn write_near<R>(
        &mut self,
        finger: Option<&mut Finger>,
        write: impl FnOnce(&mut Writer<'_, E, C>) -> R,
    ) -> R {
        let core = self.core.change();
        let mut writer = Writer::alone(core);
        writer.finger = finger;
        let outcome = write(&mut writer);
        free_displaced(core, ptr::null_mut());
        outcome
    }

    /// Stores `entry` over a range, whatever was there. Entries that reach out of the range keep
    /// their rest; one that is split in its middle is duplicated.
    ///
    /// O(log n + entries displaced).
    ///
    /// # Errors
    ///
    /// For an inverted range, or without memory: hands the entry back, the tree is unchanged.
    #[inline]
    #[doc(alias = "mtree_store_range")]
    #[doc(alias = "mas_store")]
    pub fn store(&mut self, range: impl Into<Span>, entry: E) -> Result<(), StoreError<E>> {
        let span = range.into();
        self.write(|writer| writer.store(span, entry))
    }

    /// Stores `entry` over a range that is empty.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store), and [`WriteError::Occupied`] with the range of the first entry
    /// in the way.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::{MapleTree, Span, WriteError};
    ///
    /// let mut tree: MapleTree<u32> = MapleTree::new();
    /// tree.insert(4..=7, 1).expect("empty");
    /// let refused = tree.insert(7..=9, 2).expect_err("7 is taken");
    /// assert_eq!(refused.cause, WriteError::Occupied(Span::new(4, 7)));
    /// ```
    #[doc(alias = "mtree_insert_range")]
    pub fn insert(&mut self, range: impl Into<Span>, entry: E) -> Result<(), StoreError<E>> {
        let span = range.into();
        self.write(|writer| writer.insert(span, entry))
    }

    /// Puts `entry` in the place of the one at `index`, over its whole range, and hands that one
    /// back. O(log n).
    ///
    /// # Errors
    ///
    /// [`WriteError::Vacant`] if there is none, or without memory: hands `entry` back, the tree is
    /// unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::{MapleTree, Span, WriteError};
    ///
    /// let mut tree: MapleTree<Box<u32>> = MapleTree::new();
    /// tree.store(4..=7, Box::new(1)).expect("memory");
    /// assert_eq!(tree.replace(5, Box::new(2)).expect("there"), (Span::new(4, 7), Box::new(1)));
    /// let refused = tree.replace(8, Box::new(3)).expect_err("nothing there");
    /// assert_eq!((*refused.entry, refused.cause), (3, WriteError::Vacant));
    /// ```
    pub fn replace(&mut self, index: u64, entry: E) -> Result<(Span, E), StoreError<E>> {
        let core = self.core.change();
        let (span, raw) = Writer::alone(core).replace_at(index, entry)?;
        free_displaced(core, raw.as_ptr());
        // SAFETY: The word was displaced by this write and spared just now: it is ours.
        Ok((span, unsafe { E::from_raw(raw) }))
    }

    /// Removes the entry at `index` with its whole range, and hands it back.
    ///
    /// # Errors
    ///
    /// Without memory; the tree is unchanged.
    #[doc(alias = "mtree_erase")]
    #[doc(alias = "mas_erase")]
    pub fn erase(&mut self, index: u64) -> Result<Option<(Span, E)>, AllocError> {
        let core = self.core.change();
        let Some((span, raw)) = Writer::alone(core).erase(index)? else {
            return Ok(None);
        };
        free_displaced(core, raw.as_ptr());
        // SAFETY: The word was displaced by this write and spared just now: it is ours.
        Ok(Some((span, unsafe { E::from_raw(raw) })))
    }

    /// Empties a range. Entries that reach out of it keep their rest.
    ///
    /// # Errors
    ///
    /// For an inverted range, or without memory; the tree is unchanged.
    pub fn clear(&mut self, range: impl Into<Span>) -> Result<(), WriteError> {
        let span = range.into();
        self.write(|writer| writer.clear(span))
    }

    /// Carves `range` out of the entry that it lies in, with some of that left on both sides: what
    /// is below stays that entry's, `range` gets `middle` or becomes empty, what is above gets
    /// `above`. One write: all of it happens or none. O(log n).
    ///
    /// # Errors
    ///
    /// [`WriteError::Vacant`] if there is no entry, [`WriteError::NotInside`] if the range is not
    /// inside of one, or without memory: hands both back, the tree is unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::{MapleTree, Span};
    ///
    /// let mut tree: MapleTree<u32> = MapleTree::new();
    /// tree.store(0..=9, 1)?;
    /// tree.carve(2..=3, None, 2).expect("inside");
    /// tree.carve(5..=6, Some(3), 4).expect("inside");
    /// let entries: Vec<_> = tree.iter().map(|(span, value)| (span.first, value)).collect();
    /// assert_eq!(entries, [(0, 1), (4, 2), (5, 3), (7, 4)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "__split_vma")]
    pub fn carve(
        &mut self,
        range: impl Into<Span>,
        middle: Option<E>,
        above: E,
    ) -> Result<(), StoreError<(Option<E>, E)>> {
        let span = range.into();
        self.write(|writer| writer.carve(span, middle, above))
    }

    /// Removes everything; cannot fail.
    #[doc(alias = "mtree_destroy")]
    pub fn clear_all(&mut self) {
        *self = Self::new();
    }

    /// A copy with the same structure, in one pass; every entry is duplicated. O(n).
    ///
    /// The copy takes its memory in blocks of up to 64 KiB. A write to the copy that displaces a
    /// node gives that node's memory back together with the rest of its block: when the last node
    /// of the block is displaced, or with the tree.
    ///
    /// A copy of 16 KiB or more leaves its blocks, when it is dropped, to the tree it was made of
    /// and that tree's other copies, for the next copy of one of them. They keep as much as the
    /// largest copy took, or 256 KiB if that is more, until the last of them is dropped. Dropping
    /// the copies on other threads is fine.
    ///
    /// # Errors
    ///
    /// Without memory.
    #[doc(alias = "mtree_dup")]
    pub fn duplicate(&self) -> Result<Self, AllocError> {
        Ok(Self::from_core(CoreTree::copy_of(
            self.reader(),
            &self.core.get().nodes,
        )?))
    }

    /// The reading half, for as long as the borrow: it forbids writing, so no read section is
    /// needed.
    #[inline]
    #[must_use]
    pub fn reader(&self) -> Reader<'_, E, C> {
        // SAFETY: While `self` is borrowed, no write happens and nothing is freed.
        unsafe { Reader::with_version(&self.core.get().root, self.core.version()) }
    }

    /// See [`Reader::is_empty`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reader().is_empty()
    }

    /// See [`Reader::get`].
    #[inline]
    #[must_use]
    pub fn get(&self, index: u64) -> Option<E::Ref<'_>> {
        self.reader().get(index)
    }

    /// See [`Reader::load`].
    #[inline]
    #[must_use]
    pub fn load(&self, index: u64) -> Option<(Span, E::Ref<'_>)> {
        self.reader().load(index)
    }

    /// See [`Reader::range_at`].
    #[inline]
    #[must_use]
    pub fn range_at(&self, index: u64) -> (Span, Option<E::Ref<'_>>) {
        self.reader().range_at(index)
    }

    /// See [`Reader::find`].
    #[inline]
    #[must_use]
    pub fn find(&self, index: u64) -> Option<(Span, E::Ref<'_>)> {
        self.reader().find(index)
    }

    /// See [`Reader::find_rev`].
    #[inline]
    #[must_use]
    pub fn find_rev(&self, index: u64) -> Option<(Span, E::Ref<'_>)> {
        self.reader().find_rev(index)
    }

    /// See [`Reader::next`].
    #[must_use]
    pub fn next(&self, span: Span) -> Option<(Span, E::Ref<'_>)> {
        self.reader().next(span)
    }

    /// See [`Reader::prev`].
    #[must_use]
    pub fn prev(&self, span: Span) -> Option<(Span, E::Ref<'_>)> {
        self.reader().prev(span)
    }

    /// See [`Reader::iter`].
    pub fn iter(&self) -> Iter<'_, E, C> {
        self.reader().iter()
    }

    /// See [`Reader::iter_from`].
    #[must_use]
    pub fn iter_from(&self, index: u64) -> Iter<'_, E, C> {
        self.reader().iter_from(index)
    }

    /// See [`Reader::range`].
    #[must_use]
    pub fn range(&self, range: impl Into<Span>) -> Iter<'_, E, C> {
        self.reader().range(range)
    }

    /// See [`Reader::iter_rev`].
    #[must_use]
    pub fn iter_rev(&self) -> IterRev<'_, E, C> {
        self.reader().iter_rev()
    }

    /// See [`Reader::iter_rev_from`].
    #[must_use]
    pub fn iter_rev_from(&self, index: u64) -> IterRev<'_, E, C> {
        self.reader().iter_rev_from(index)
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

    /// Counts nodes and levels. O(n).
    #[must_use]
    pub fn census(&self) -> validate::Census {
        validate::census(self.reader())
    }

    /// The structure as text: see [`Dump`](crate::Dump).
    #[must_use]
    #[doc(alias = "mt_dump")]
    pub fn dump(&self) -> crate::dump::Dump<'_, E, C> {
        crate::dump::Dump::new(self.reader())
    }
}

/// Frees what the last write displaced, but for the word `spared`.
#[inline]
fn free_displaced<E: Entry, C: Config>(core: &mut CoreTree<E, C>, spared: *mut ()) {
    // SAFETY: The tree is borrowed by `&mut`, so there is no reader, and the write is over.
    unsafe { core.nodes.free_retired(spared) };
}

impl<E: Entry, C: TracksGaps> MapleTree<E, C> {
    /// See [`Reader::lowest_gap`].
    #[must_use]
    pub fn lowest_gap(&self, size: u64, align: u64, limits: impl Into<Span>) -> Option<u64> {
        self.reader().lowest_gap(size, align, limits)
    }

    /// See [`Reader::highest_gap`].
    #[must_use]
    pub fn highest_gap(&self, size: u64, align: u64, limits: impl Into<Span>) -> Option<u64> {
        self.reader().highest_gap(size, align, limits)
    }
}

impl<'t, E: Entry, C: Config> IntoIterator for &'t MapleTree<E, C> {
    type Item = (Span, E::Ref<'t>);
    type IntoIter = Iter<'t, E, C>;

    fn into_iter(self) -> Iter<'t, E, C> {
        self.iter()
    }
}

impl<E: Entry, C: Config> fmt::Debug for MapleTree<E, C>
where
    for<'g> E::Ref<'g>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
