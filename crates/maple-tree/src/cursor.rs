//! Cursors: a place in a tree from which to go on in either direction, and positions, which
//! outlive the read section.
//!
//! A cursor stands on an entry's range, between entries, or beyond an end. Going past an end
//! leaves it there: going back then meets the outermost entry, not the one after it.

use crate::config::Config;
use crate::entry::Entry;
use crate::reader::Reader;
use crate::span::Span;
use core::fmt;

/// A place in an index space; means nothing by itself, and everything to a tree it is resumed in.
///
/// Got by [`Cursor::pause`]; may be kept without a read section and for any time. What was stored
/// or erased meanwhile counts when it is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(Place);

impl Position {
    pub(crate) fn new(place: Place) -> Self {
        Self(place)
    }

    pub(crate) fn place(self) -> Place {
        self.0
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
/// Each step looks at the tree anew, so it sees what was stored meanwhile, and costs O(log n).
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
        }
    }

    /// A cursor after the last index: [`prev`](Cursor::prev) meets the last entry.
    #[must_use]
    pub fn cursor_at_end(self) -> Cursor<'g, E, C> {
        Cursor {
            reader: self,
            place: Place::End,
        }
    }

    /// Goes on where a cursor was paused.
    #[must_use]
    pub fn resume(self, position: Position) -> Cursor<'g, E, C> {
        Cursor {
            reader: self,
            place: position.0,
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
    pub fn next(&mut self) -> Option<(Span, E::Ref<'g>)> {
        let found = self.place.after().and_then(|index| self.reader.find(index));
        if cfg!(planted = "cursor_stuck") && found.is_none() {
            return None;
        }
        self.place = found.map_or(Place::End, |(span, _)| Place::On(span));
        found
    }

    /// The next entry downwards; `None` leaves the cursor before the start.
    #[doc(alias = "mas_prev")]
    pub fn prev(&mut self) -> Option<(Span, E::Ref<'g>)> {
        let found = self
            .place
            .below()
            .and_then(|index| self.reader.find_rev(index));
        self.place = found.map_or(Place::Start, |(span, _)| Place::On(span));
        found
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
    pub fn pause(self) -> Position {
        Position(self.place)
    }
}
