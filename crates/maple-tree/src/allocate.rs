//! Storing where there is room: gap search and store as one step of the writer.

use crate::config::TracksGaps;
use crate::entry::Entry;
use crate::error::{StoreError, WriteError};
use crate::gap::{self, Limits};
use crate::reader::Reader;
use crate::span::Span;
use crate::tree::MapleTree;
use crate::write::Writer;

/// How much room is wanted, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// How many indices; not 0.
    pub size: u64,
    /// What the first index is to be a multiple of: a power of two.
    pub align: u64,
    /// Where all of them are to lie, both ends included.
    pub limits: Span,
}

impl Room {
    /// Room for `size` indices anywhere in `limits`.
    #[must_use]
    pub fn new(size: u64, limits: impl Into<Span>) -> Self {
        Self {
            size,
            align: 1,
            limits: limits.into(),
        }
    }

    /// The same, beginning at a multiple of `align`.
    #[must_use]
    pub fn aligned(self, align: u64) -> Self {
        Self { align, ..self }
    }

    fn check(&self) -> Result<(), WriteError> {
        if self.size == 0 {
            return Err(WriteError::ZeroSize);
        }
        if !self.align.is_power_of_two() {
            return Err(WriteError::BadAlignment);
        }
        if !self.limits.is_valid() {
            return Err(WriteError::InvertedRange);
        }
        Ok(())
    }

    /// What gap search wants to know; `None` if the limits hold fewer indices than wanted.
    fn to_limits(self) -> Option<Limits> {
        Limits::new(self.size, self.align, self.limits)
    }

    /// Where in the tree there is such room.
    pub(crate) fn find<E: Entry, C: TracksGaps>(
        self,
        reader: Reader<'_, E, C>,
        choice: Choice,
    ) -> Result<Span, WriteError> {
        self.check()?;
        let top = reader.top();
        let lowest = |room: Self| gap::lowest(top, room.to_limits()?);
        let first = match choice {
            Choice::Lowest => lowest(self),
            Choice::Highest => self
                .to_limits()
                .and_then(|limits| gap::highest(top, limits)),
            Choice::From(index) => {
                let limits = Span::new(index.max(self.limits.first), self.limits.last);
                lowest(Self { limits, ..self }).or_else(|| lowest(self))
            }
        };
        let first = first.ok_or(WriteError::NoGap)?;
        Ok(Span::new(first, first + (self.size - 1)))
    }
}

/// Which of several gaps to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    Lowest,
    Highest,
    /// The lowest from this index on, or else the lowest.
    From(u64),
}

impl<E: Entry, C: TracksGaps> Writer<'_, E, C> {
    /// Stores `entry` in a gap, and says where.
    pub(crate) fn allocate(
        &mut self,
        room: Room,
        choice: Choice,
        entry: E,
    ) -> Result<Span, StoreError<E>> {
        match room.find(self.reader(), choice) {
            Ok(span) => self.store(span, entry).map(|()| span),
            Err(cause) => Err(StoreError { entry, cause }),
        }
    }

    /// Stores `entry` in a gap from `*next` on, or else in any, and moves `*next` behind it.
    pub(crate) fn allocate_cyclic(
        &mut self,
        room: Room,
        next: &mut u64,
        entry: E,
    ) -> Result<Span, StoreError<E>> {
        let span = self.allocate(room, Choice::From(*next), entry)?;
        *next = match span.last.checked_add(1) {
            Some(after) if after <= room.limits.last => after,
            _ => room.limits.first,
        };
        Ok(span)
    }
}

impl<E: Entry, C: TracksGaps> MapleTree<E, C> {
    /// Stores `entry` in the lowest gap that has the room, and says where. O(log n) for an
    /// alignment of 1.
    ///
    /// # Errors
    ///
    /// [`WriteError::NoGap`] if there is no such gap; [`WriteError::ZeroSize`],
    /// [`WriteError::BadAlignment`] or [`WriteError::InvertedRange`] for a room that cannot be;
    /// [`WriteError::Alloc`] without memory. The entry comes back, and the tree is unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::{MapleTree, Room, Span, WriteError};
    ///
    /// let mut tree: MapleTree<u32> = MapleTree::new();
    /// tree.store(0..=9, 1)?;
    /// let room = Room::new(4, 0..=31).aligned(8);
    /// assert_eq!(tree.allocate_lowest(room, 2)?, Span::new(16, 19));
    /// assert_eq!(tree.allocate_highest(room, 3)?, Span::new(24, 27));
    /// let refused = tree.allocate_lowest(room, 4).expect_err("full");
    /// assert_eq!((refused.entry, refused.cause), (4, WriteError::NoGap));
    /// # Ok::<(), maple_tree::StoreError<u32>>(())
    /// ```
    #[doc(alias = "mtree_alloc_range")]
    pub fn allocate_lowest(&mut self, room: Room, entry: E) -> Result<Span, StoreError<E>> {
        self.write(|writer| writer.allocate(room, Choice::Lowest, entry))
    }

    /// Stores `entry` in the highest gap that has the room, and says where.
    ///
    /// # Errors
    ///
    /// As [`allocate_lowest`](Self::allocate_lowest).
    #[doc(alias = "mtree_alloc_rrange")]
    pub fn allocate_highest(&mut self, room: Room, entry: E) -> Result<Span, StoreError<E>> {
        self.write(|writer| writer.allocate(room, Choice::Highest, entry))
    }

    /// Stores `entry` in the lowest gap from `*next` on, or else in the lowest of all, and says
    /// where; `*next` becomes the index after it, or the lowest limit if that was the last.
    /// Places are so reused as late as can be.
    ///
    /// # Errors
    ///
    /// As [`allocate_lowest`](Self::allocate_lowest); `*next` then stays.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::{MapleTree, Room, Span};
    ///
    /// let mut ids: MapleTree<u32> = MapleTree::new();
    /// let (room, mut next) = (Room::new(1, 1..=3), 1);
    /// for expected in 1..=3 {
    ///     assert_eq!(ids.allocate_cyclic(room, &mut next, 7)?.first, expected);
    ///     ids.clear(expected..=expected).expect("memory");
    /// }
    /// assert_eq!(ids.allocate_cyclic(room, &mut next, 7)?.first, 1, "around");
    /// # Ok::<(), maple_tree::StoreError<u32>>(())
    /// ```
    #[doc(alias = "mtree_alloc_cyclic")]
    pub fn allocate_cyclic(
        &mut self,
        room: Room,
        next: &mut u64,
        entry: E,
    ) -> Result<Span, StoreError<E>> {
        self.write(|writer| writer.allocate_cyclic(room, next, entry))
    }
}
