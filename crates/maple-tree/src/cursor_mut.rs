//! Cursors that write: a place in a tree that is borrowed for writing.
//!
//! A cursor keeps its way to the last leaf, so a step nearby does not walk from the top. It stands
//! where a [`Cursor`](crate::Cursor) can stand; where a search fails, it stands beyond that end, and
//! goes back from there.

use crate::config::Config;
use crate::cursor::{Place, Position};
use crate::entry::Entry;
use crate::error::{AllocError, StoreError, WriteError};
use crate::handles::TreeWriter;
use crate::node::{Node, first_of, search};
use crate::span::Span;
use crate::tree::MapleTree;
use crate::writable::{Access, WritableTree};
use crate::write::Finger;
use core::fmt;
use vmaple_rcu::Backend;
use vmaple_sync::atomic::Ordering;

/// A range with its entry, lent by the tree `T`.
type Lent<'c, T> = (Span, <<T as Access>::Entry as Entry>::Ref<'c>);

/// A place in a tree from which to go on in either direction, reading and writing.
///
/// Made by `cursor_mut` of [`MapleTree`] and [`TreeWriter`]. It remembers the way to its leaf:
/// reading or writing near the last place takes O(1) walks, anywhere else O(log n). What a write
/// displaces is dropped as the tree drops it; to keep it, copy or clone what
/// [`current`](Self::current) lends before. A write that fails leaves tree and place as they were.
///
/// # Examples
///
/// ```
/// use maple_tree::{MapleTree, Span};
///
/// let mut tree: MapleTree<u32> = [(0..=9, 1), (10..=19, 2), (40..=49, 3)].into_iter().collect();
/// let mut cursor = tree.cursor_mut(0);
/// // Joins neighbours: the entry found grows over the one that touches it.
/// assert_eq!(cursor.next(), Some((Span::new(0, 9), 1)));
/// assert_eq!(cursor.next(), Some((Span::new(10, 19), 2)));
/// cursor.store(0..=19, 4)?;
/// assert_eq!(cursor.current(), Some((Span::new(0, 19), 4)));
/// assert_eq!(cursor.next(), Some((Span::new(40, 49), 3)));
/// assert_eq!(cursor.erase()?, Some(Span::new(40, 49)));
/// assert_eq!(cursor.next(), None);
/// assert_eq!(cursor.prev(), Some((Span::new(0, 19), 4)), "back from beyond the end");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "ma_state")]
pub struct CursorMut<'w, T: WritableTree + ?Sized> {
    tree: &'w mut T,
    place: Place,
    finger: Finger,
}

impl<E: Entry, C: Config> MapleTree<E, C> {
    /// A cursor before `index`, for reading and writing.
    #[doc(alias = "MA_STATE")]
    pub fn cursor_mut(&mut self, index: u64) -> CursorMut<'_, Self> {
        CursorMut::new(self, Place::before(index))
    }

    /// Goes on where a cursor was paused.
    pub fn resume_mut(&mut self, position: Position) -> CursorMut<'_, Self> {
        CursorMut::new(self, position.place())
    }
}

/// # Cursors
impl<E: Entry, C: Config, B: Backend, S: ?Sized> TreeWriter<E, C, B, S> {
    /// A cursor before `index`, for reading and writing.
    #[doc(alias = "MA_STATE")]
    pub fn cursor_mut(&mut self, index: u64) -> CursorMut<'_, Self> {
        CursorMut::new(self, Place::before(index))
    }

    /// Goes on where a cursor was paused.
    pub fn resume_mut(&mut self, position: Position) -> CursorMut<'_, Self> {
        CursorMut::new(self, position.place())
    }
}

impl<'w, T: WritableTree + ?Sized> CursorMut<'w, T> {
    fn new(tree: &'w mut T, place: Place) -> Self {
        Self {
            tree,
            place,
            finger: Finger::new(),
        }
    }

    /// The entry the cursor stands on, if on one. After a pause that is the one it stood on, if the
    /// entry of that very range is still there, or another one is.
    pub fn current(&mut self) -> Option<Lent<'_, T>> {
        let seen = self.standing()?;
        self.lend(seen)
    }

    /// The entry the cursor stands on.
    fn standing(&mut self) -> Option<Seen> {
        match self.place {
            Place::On(span) => self.look(span.first).filter(|seen| seen.span == span),
            _ => None,
        }
    }

    /// The next entry upwards; `None` leaves the cursor beyond the end.
    #[expect(
        clippy::should_implement_trait,
        reason = "goes both ways; an iterator goes one"
    )]
    #[doc(alias = "mas_next")]
    #[inline]
    pub fn next(&mut self) -> Option<Lent<'_, T>> {
        let found = self.place.after().and_then(|index| self.first_from(index));
        self.stand(found, Place::End)
    }

    /// The next entry downwards; `None` leaves the cursor before the start.
    #[doc(alias = "mas_prev")]
    #[inline]
    pub fn prev(&mut self) -> Option<Lent<'_, T>> {
        let found = self.place.below().and_then(|index| self.last_to(index));
        self.stand(found, Place::Start)
    }

    /// Moves to the entry at `index`; if there is none, to the place before `index`.
    #[doc(alias = "mas_walk")]
    pub fn load(&mut self, index: u64) -> Option<Lent<'_, T>> {
        let found = self.look(index);
        self.stand(found, Place::before(index))
    }

    /// Moves to the entry at `index` or the first after it; if there is none, beyond the end.
    #[doc(alias = "mas_find")]
    pub fn find(&mut self, index: u64) -> Option<Lent<'_, T>> {
        let found = self.first_from(index);
        self.stand(found, Place::End)
    }

    /// Moves to the entry at `index` or the last before it; if there is none, before the start.
    #[doc(alias = "mas_find_rev")]
    pub fn find_rev(&mut self, index: u64) -> Option<Lent<'_, T>> {
        let found = self.last_to(index);
        self.stand(found, Place::Start)
    }

    /// Stores `entry` over a range, whatever was there, and stands on it.
    ///
    /// # Errors
    ///
    /// For an inverted range, or without memory: hands the entry back.
    #[doc(alias = "mas_store")]
    #[inline]
    pub fn store(
        &mut self,
        range: impl Into<Span>,
        entry: T::Entry,
    ) -> Result<(), StoreError<T::Entry>> {
        let span = range.into();
        let is_swap = self.place == Place::On(span);
        self.tree.run_near(&mut self.finger, |writer| {
            if is_swap {
                writer.store_in_place_of_one(span, entry)
            } else {
                writer.store(span, entry)
            }
        })?;
        self.place = Place::On(span);
        Ok(())
    }

    /// Stores `entry` over a range that is empty, and stands on it.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store), and [`WriteError::Occupied`] with the range of the first entry in
    /// the way.
    pub fn insert(
        &mut self,
        range: impl Into<Span>,
        entry: T::Entry,
    ) -> Result<(), StoreError<T::Entry>> {
        let span = range.into();
        if span.is_valid()
            && let Some(occupant) = self.first_from(span.first)
            && occupant.span.first <= span.last
        {
            let cause = WriteError::Occupied(occupant.span);
            return Err(StoreError { entry, cause });
        }
        self.store(span, entry)
    }

    /// Puts `entry` in the place of the one the cursor stands on, over its whole range.
    ///
    /// # Errors
    ///
    /// [`WriteError::Vacant`] if it stands on none, or without memory: hands the entry back.
    pub fn replace(&mut self, entry: T::Entry) -> Result<(), StoreError<T::Entry>> {
        match self.standing() {
            Some(seen) => self.store(seen.span, entry),
            None => Err(StoreError {
                entry,
                cause: WriteError::Vacant,
            }),
        }
    }

    /// Removes the entry the cursor stands on with its whole range, says which that was, and stands
    /// where it began.
    ///
    /// # Errors
    ///
    /// Without memory.
    #[doc(alias = "mas_erase")]
    pub fn erase(&mut self) -> Result<Option<Span>, AllocError> {
        let Some(Seen { span, .. }) = self.standing() else {
            return Ok(None);
        };
        match self.clear(span) {
            Ok(()) => Ok(Some(span)),
            Err(WriteError::Alloc(error)) => Err(error),
            Err(_) => unreachable!("the range of an entry is valid"),
        }
    }

    /// Empties a range and stands where it begins. Entries that reach out of it keep their rest.
    ///
    /// # Errors
    ///
    /// For an inverted range, or without memory.
    pub fn clear(&mut self, range: impl Into<Span>) -> Result<(), WriteError> {
        let span = range.into();
        self.tree
            .run_near(&mut self.finger, |writer| writer.clear(span))?;
        self.place = Place::before(span.first);
        Ok(())
    }

    /// The place, to be resumed later.
    #[must_use]
    #[doc(alias = "mas_pause")]
    pub fn pause(self) -> Position {
        Position::new(self.place)
    }

    /// Stands on the entry found, or else at `otherwise`.
    #[inline]
    fn stand(&mut self, found: Option<Seen>, otherwise: Place) -> Option<Lent<'_, T>> {
        self.place = found.map_or(otherwise, |seen| Place::On(seen.span));
        self.lend(found?)
    }

    /// The entry that was seen just now.
    #[inline]
    fn lend(&self, seen: Seen) -> Option<Lent<'_, T>> {
        Some((seen.span, self.tree.view().entry(seen.raw)?))
    }

    /// The slot of `index`.
    #[inline]
    fn slot_at(&mut self, index: u64) -> Option<Seen> {
        let (leaf, bounds) = self.finger.reach(self.tree.view().top()?, index);
        let slot = search(leaf.pivots(), index);
        // Relaxed: read by the writer, who wrote it.
        let raw = leaf.slots()[slot].load(Ordering::Relaxed);
        Some(Seen::in_slot(leaf, bounds, slot, raw))
    }

    /// The entry at `index`.
    #[inline]
    fn look(&mut self, index: u64) -> Option<Seen> {
        self.slot_at(index).filter(|seen| !seen.raw.is_null())
    }

    /// The entry at `index` or the first after it.
    #[inline]
    fn first_from(&mut self, mut index: u64) -> Option<Seen> {
        let top = self.tree.view().top()?;
        loop {
            let (leaf, bounds) = self.finger.reach(top, index);
            let from = search(leaf.pivots(), index);
            // Unused slots are empty.
            for (slot, word) in leaf.slots().iter().enumerate().skip(from) {
                // Relaxed: read by the writer, who wrote it.
                let raw = word.load(Ordering::Relaxed);
                if !raw.is_null() {
                    return Some(Seen::in_slot(leaf, bounds, slot, raw));
                }
            }
            index = bounds.last.checked_add(1)?;
        }
    }

    /// The entry at `index` or the last before it.
    #[inline]
    fn last_to(&mut self, mut index: u64) -> Option<Seen> {
        let top = self.tree.view().top()?;
        loop {
            let (leaf, bounds) = self.finger.reach(top, index);
            let to = search(leaf.pivots(), index);
            for (slot, word) in leaf.slots()[..=to].iter().enumerate().rev() {
                // Relaxed: read by the writer, who wrote it.
                let raw = word.load(Ordering::Relaxed);
                if !raw.is_null() {
                    return Some(Seen::in_slot(leaf, bounds, slot, raw));
                }
            }
            index = bounds.first.checked_sub(1)?;
        }
    }
}

/// A slot as it is: its range and its word.
#[derive(Clone, Copy)]
struct Seen {
    span: Span,
    raw: *mut (),
}

impl Seen {
    #[inline]
    fn in_slot(leaf: &impl Node, bounds: Span, slot: usize, raw: *mut ()) -> Self {
        let pivots = leaf.pivots();
        let span = Span::new(first_of(pivots, slot, bounds.first), pivots[slot]);
        Self { span, raw }
    }
}

impl<T: WritableTree + ?Sized> fmt::Debug for CursorMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CursorMut").field(&self.place).finish()
    }
}
