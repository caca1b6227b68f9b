//! The shelf: blocks of copies that are gone, kept for the next copies.
//!
//! Who copies a tree again and again, as a process does that forks, would take the same memory from
//! the allocator each time, and an allocator gives large pieces that come back to the system: then
//! each copy begins with page faults, which take longer than the copying. So a tree and its copies
//! have a shelf in common. A copy that is dropped leaves its blocks there, the next one takes them,
//! and with the last tree of the family the shelf is gone.
//!
//! # Safety
//!
//! A piece is memory that belongs to whoever has it, so it may be sent.
#![expect(unsafe_code, reason = "sends memory between threads")]

use crate::blocks::Piece;
use alloc::vec::Vec;
use core::fmt;
use vmaple_sync::joint::Joint;
use vmaple_sync::mutex::Mutex;

/// How large a copy is at least whose blocks are kept: what is smaller, allocators keep themselves.
const LEAST_BYTES: usize = 16 << 10;
/// How much a shelf may hold at least, however small the copies are.
const ROOM_BYTES: usize = 256 << 10;

/// What is on a shelf.
struct Shelf {
    pieces: Vec<Piece>,
    /// How large they are in all.
    nr_bytes: usize,
    /// How large they may be: as the largest copy yet, if that is more than [`ROOM_BYTES`].
    room: usize,
}

// SAFETY: The shelf owns its pieces, which are memory and nothing else.
unsafe impl Send for Shelf {}

impl Shelf {
    /// Takes a piece of at least `nr_bytes`, but not of much more.
    fn take(&mut self, nr_bytes: usize) -> Option<Piece> {
        let fits = |piece: &Piece| (nr_bytes..=nr_bytes + nr_bytes / 4).contains(&piece.size());
        let at = self.pieces.iter().rposition(fits)?;
        let piece = self.pieces.swap_remove(at);
        self.nr_bytes -= piece.size();
        Some(piece)
    }

    /// Takes one that was of no use.
    fn discard(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop()?;
        self.nr_bytes -= piece.size();
        Some(piece)
    }

    /// Keeps a piece, if there is room and memory for that; else it comes back.
    fn put(&mut self, piece: Piece) -> Result<(), Piece> {
        let nr_bytes = self.nr_bytes + piece.size();
        let is_full = nr_bytes > self.room && !cfg!(planted = "shelf_full");
        if is_full || self.pieces.try_reserve(1).is_err() {
            return Err(piece);
        }
        self.nr_bytes = nr_bytes;
        self.pieces.push(piece);
        Ok(())
    }
}

/// A tree's share of the shelf of its family, if it has one.
pub(crate) struct Family(Mutex<Option<Joint<Mutex<Shelf>>>>);

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Family")
    }
}

impl Family {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The family of a copy of `nr_bytes`: that of the copied tree, if a shelf is of use.
    #[inline]
    pub(crate) fn with_copy(&self, nr_bytes: usize) -> Self {
        if nr_bytes < LEAST_BYTES {
            return Self::new();
        }
        self.join(nr_bytes)
    }

    fn join(&self, nr_bytes: usize) -> Self {
        let mut own = self.0.lock();
        if own.is_none() {
            let shelf = Shelf {
                pieces: Vec::new(),
                nr_bytes: 0,
                room: ROOM_BYTES,
            };
            // Without memory there is no shelf.
            *own = Joint::try_new(Mutex::new(shelf)).ok();
        }
        if let Some(shelf) = &*own {
            let mut shelf = shelf.lock();
            shelf.room = shelf.room.max(nr_bytes);
        }
        Self(Mutex::new(own.clone()))
    }

    /// Takes a piece for `nr_bytes`. What is there but does not fit goes in time.
    pub(crate) fn take(&mut self, nr_bytes: usize) -> Option<Piece> {
        let shelf = self.0.get_mut().as_ref()?;
        let (taken, useless) = {
            let mut shelf = shelf.lock();
            match shelf.take(nr_bytes) {
                Some(piece) => (Some(piece), None),
                None => (None, shelf.discard()),
            }
        };
        drop(useless);
        taken
    }

    /// Leaves the memory of a tree that is gone to the rest of its family, or frees it.
    #[inline]
    pub(crate) fn leave(&mut self, pieces: impl Iterator<Item = Piece>) {
        match self.0.get_mut().take() {
            Some(shelf) if !shelf.is_only() => pieces.for_each(|piece| {
                let refused = shelf.lock().put(piece);
                drop(refused);
            }),
            _ => pieces.for_each(drop),
        }
    }
}
