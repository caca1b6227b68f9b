//! Cursors: a place in a tree from which to go on in either direction, and positions, which
//! outlive the read section.
//!
//! A cursor stands on an entry's range, between entries, or beyond an end. Going past an end
//! leaves it there: going back then meets the outermost entry, not the one after it.

use crate::config::Config;
use crate::entry::Entry;
use crate::leaves::{Direction, Down, Up};
use crate::reader::Reader;
use crate::span::Span;
use crate::spot::{FoundAt, Spot};
use core::fmt;

/// A place in an index space; means nothing by itself, and everything to a tree it is resumed in.
///
/// Got by [`Cursor::pause`]; may be kept without a read section and for any time. What was stored
/// or erased meanwhile counts when it is resumed.
///
/// It also remembers the leaf of the tree it was in. Resumed in that tree, the cursor goes on there
/// without a walk, if the tree has not been written since; anywhere else and at any other time it
/// walks. Two positions are equal if they are at the same place, whatever they remember.
#[derive(Clone, Copy)]
pub struct Position {
    place: Place,
    spot: Option<Spot>,
}

impl Position {
    /// Before index 0: resumed there, [`Cursor::next`] meets the first entry.
    #[must_use]
    pub const fn start() -> Self {
        Self {
            place: Place::Start,
            spot: None,
        }
    }

    pub(crate) fn new(place: Place) -> Self {
        Self { place, spot: None }
    }

    pub(crate) fn place(self) -> Place {
        self.place
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Position {}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Position").field(&self.place).finish()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before index 0.
    Start,
    /// Before this index, after the one below.
    Before(u64),
    /// On a range that was an entry's when it was met.
    On(Span),
    /// After `u64::MAX`.
    End,
}

impl Place {
    pub(crate) fn before(index: u64) -> Self {
        match index {
            0 => Self::Start,
            _ => Self::Before(index),
        }
    }

    /// Where to look for the next entry upwards.
    pub(crate) fn after(self) -> Option<u64> {
        match self {
            Self::Start => Some(0),
            Self::Before(index) => Some(index),
            Self::On(span) => span.last.checked_add(1),
            Self::End => None,
        }
    }

    /// Where to look for the next entry downwards.
    pub(crate) fn below(self) -> Option<u64> {
        match self {
            Self::Start => None,
            Self::Before(index) => index.checked_sub(1),
            Self::On(span) => span.first.checked_sub(1),
            Self::End => Some(u64::MAX),
        }
    }
}

/// A place in a tree from which to go on in either direction, for as long as the read section.
///
/// Each step sees what was stored before it. It costs O(log n), or O(1) within a leaf if the tree has
/// not been written since the last step.
/// Going one way throughout, it meets no range twice and no entry that ends before the last one
/// it met; an entry that was there throughout is not missed. To run through many entries an
/// [`Iter`](crate::Iter) is faster.
///
/// # Examples
///
/// ```
/// use maple_tree::{MapleTree, Span};
///
/// let mut tree: MapleTree<u32> = MapleTree::new();
/// tree.store(10..=19, 1).expect("memory");
/// tree.store(30..=39, 2).expect("memory");
///
/// let mut cursor = tree.reader().cursor(25);
/// assert_eq!(cursor.prev(), Some((Span::new(10, 19), 1)));
/// assert_eq!(cursor.prev(), None);
/// assert_eq!(cursor.next(), Some((Span::new(10, 19), 1)), "past the end, and back");
///
/// let position = cursor.pause();
/// tree.store(20..=24, 3).expect("memory");
/// let mut cursor = tree.reader().resume(position);
/// assert_eq!(cursor.next(), Some((Span::new(20, 24), 3)));
/// ```
#[doc(alias = "ma_state")]
pub struct Cursor<'g, E: Entry, C: Config> {
    reader: Reader<'g, E, C>,
    place: Place,
    /// Where in the tree `place` was met, if it is an entry's range.
    spot: Option<Spot>,
}

impl<E: Entry, C: Config> Clone for Cursor<'_, E, C> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<E: Entry, C: Config> fmt::Debug for Cursor<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cursor").field(&self.place).finish()
    }
}

impl<'g, E: Entry, C: Config> Reader<'g, E, C> {
    /// A cursor before `index`: [`next`](Cursor::next) meets the entry at `index` or the first
    /// after it, [`prev`](Cursor::prev) the last that begins before it.
    #[must_use]
    #[doc(alias = "MA_STATE")]
    pub fn cursor(self, index: u64) -> Cursor<'g, E, C> {
        Cursor {
            reader: self,
            place: Place::before(index),
            spot: None,
        }
    }

    /// A cursor after the last index: [`prev`](Cursor::prev) meets the last entry.
    #[must_use]
    pub fn cursor_at_end(self) -> Cursor<'g, E, C> {
        Cursor {
            reader: self,
            place: Place::End,
            spot: None,
        }
    }

    /// Goes on where a cursor was paused, in a read section of its own for each entry if need be.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use maple_tree::{Position, SharedMapleTree};
    ///
    /// let tree: SharedMapleTree<u32> = SharedMapleTree::new();
    /// tree.write().store(0..=9, 1).expect("memory");
    /// tree.write().store(20..=29, 2).expect("memory");
    /// let mut position = Position::start();
    /// let mut sum = 0;
    /// loop {
    ///     // Between the sections this thread holds up nothing.
    ///     let section = tree.enter();
    ///     let mut cursor = tree.read(&section).resume(position);
    ///     let Some((_, value)) = cursor.next() else { break };
    ///     sum += value;
    ///     position = cursor.pause();
    /// }
    /// assert_eq!(sum, 3);
    /// # }
    /// ```
    #[inline]
    #[must_use]
    pub fn resume(self, position: Position) -> Cursor<'g, E, C> {
        Cursor {
            reader: self,
            place: position.place,
            spot: position.spot,
        }
    }
}

impl<'g, E: Entry, C: Config> Cursor<'g, E, C> {
    /// The next entry upwards; `None` leaves the cursor beyond the end.
    #[expect(
        clippy::should_implement_trait,
        reason = "goes both ways; an iterator goes one"
    )]
    #[doc(alias = "mas_next")]
    #[inline]
    pub fn next(&mut self) -> Option<(Span, E::Ref<'g>)> {
        if let Some(found) = self.step::<Up>() {
            return Some(found);
        }
        self.walk::<Up>(self.place.after(), Place::End)
    }

    /// The next entry downwards; `None` leaves the cursor before the start.
    #[doc(alias = "mas_prev")]
    #[inline]
    pub fn prev(&mut self) -> Option<(Span, E::Ref<'g>)> {
        if let Some(found) = self.step::<Down>() {
            return Some(found);
        }
        self.walk::<Down>(self.place.below(), Place::Start)
    }

    /// Goes on in the leaf, if that is still the tree's.
    #[expect(clippy::inline_always, reason = "so that cursors stay in registers")]
    #[inline(always)]
    fn step<D: Direction>(&mut self) -> Option<(Span, E::Ref<'g>)> {
        let mut spot = self.spot?;
        let found = self.reader.step::<D>(&mut spot)?;
        (self.place, self.spot) = (Place::On(found.0), Some(spot));
        Some(found)
    }

    /// Walks from the top, and stands there; where nothing is found, beyond the end.
    #[inline]
    fn walk<D: Direction>(&mut self, from: Option<u64>, end: Place) -> Option<(Span, E::Ref<'g>)> {
        match find::<E, C, D>(self.reader, from) {
            Some((span, entry, spot)) => {
                (self.place, self.spot) = (Place::On(span), spot);
                Some((span, entry))
            }
            None => {
                if !cfg!(planted = "cursor_stuck") {
                    (self.place, self.spot) = (end, None);
                }
                None
            }
        }
    }

    /// The range the cursor stands on, if on one.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        match self.place {
            Place::On(span) => Some(span),
            _ => None,
        }
    }

    /// The place, to be resumed in a later read section.
    #[must_use]
    #[doc(alias = "mas_pause")]
    #[inline]
    pub fn pause(self) -> Position {
        Position {
            place: self.place,
            spot: self.spot,
        }
    }
}

/// Once for each leaf: not to be inlined where a cursor is used.
#[cold]
#[inline(never)]
fn find<E: Entry, C: Config, D: Direction>(
    reader: Reader<'_, E, C>,
    from: Option<u64>,
) -> Option<FoundAt<'_, E>> {
    reader.find_spot::<D>(from?)
}
