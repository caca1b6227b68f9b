//! Spots: the leaf and slot where a cursor was, to be used again as long as the tree has not changed.
//!
//! # Safety
//!
//! A spot is looked at through a [`Reader<'g>`] only, and only if the reader's version is still that
//! of the spot: then the leaf is one that a walk through this reader could come to, see
//! [`version`](crate::version).
#![expect(unsafe_code, reason = "goes on in a leaf that an earlier walk came to")]

use crate::config::Config;
use crate::entry::Entry;
use crate::leaves::{Direction, LeafAt};
use crate::link::{NodeRef, SLOT_MASK};
use crate::node::{Node, search_wide};
use crate::reader::Reader;
use crate::span::Span;
use crate::version::{Moment, Version};
use core::ptr::NonNull;

/// A slot of a leaf, in which there was an entry.
///
/// # Invariants
///
/// The address is that of a leaf, and its low bits, which are 0 by a leaf's alignment, the slot. At
/// `moment` the leaf was one of the tree that the moment is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    leaf_and_slot: NonNull<()>,
    moment: Moment,
}

// SAFETY: An address and numbers. Whoever follows the address has proved by the version that the
// leaf lives, wherever the spot was made.
unsafe impl Send for Spot {}
// SAFETY: As above.
unsafe impl Sync for Spot {}

/// An entry, and where it was found, if that may be used again.
pub(crate) type FoundAt<'g, E> = (Span, <E as Entry>::Ref<'g>, Option<Spot>);

impl Spot {
    /// The spot of the same leaf at another slot.
    #[inline]
    fn at(self, slot: usize) -> Self {
        debug_assert!(slot <= SLOT_MASK);
        let change = self.slot() ^ slot;
        let moved = self.leaf_and_slot.as_ptr().map_addr(|addr| addr ^ change);
        let moved = NonNull::new(moved).expect("a leaf is not at address 0");
        // INVARIANT: The same leaf at the same moment.
        Self {
            leaf_and_slot: moved,
            ..self
        }
    }

    #[inline]
    fn slot(self) -> usize {
        self.leaf_and_slot.addr().get() & SLOT_MASK
    }
}

impl<'g, E: Entry, C: Config> Reader<'g, E, C> {
    /// The leaf of a spot, if nothing has changed since.
    #[inline]
    fn leaf_of(self, spot: Spot) -> Option<&'g C::Leaf> {
        if !self.version()?.is_still(spot.moment) {
            return None;
        }
        let leaf = spot.leaf_and_slot.as_ptr();
        let leaf = NonNull::new(leaf.map_addr(|addr| addr & !SLOT_MASK))?;
        // SAFETY: By the spot's invariant a leaf of this tree at a moment since which no write has
        // begun, so it is live as long as whatever a walk comes to now: throughout 'g.
        let node = unsafe { NodeRef::<C>::new(leaf, 0) };
        // SAFETY: As above, a leaf.
        Some(unsafe { node.leaf() })
    }

    /// The entry after the one at `spot`, if it is in the same leaf and nothing has changed; `spot`
    /// is there then. Does not go on to the first slot, whose bounds are not in the leaf.
    #[inline]
    pub(crate) fn step<D: Direction>(self, spot: &mut Spot) -> Option<(Span, E::Ref<'g>)> {
        let leaf = self.leaf_of(*spot)?;
        // The bounds do not matter but for the first slot.
        let at = LeafAt::<C> {
            leaf,
            bounds: Span::ALL,
        };
        let rest = at.used() & D::behind(spot.slot()) & !1;
        if rest == 0 {
            return None;
        }
        let slot = D::take(&mut { rest });
        let (span, raw) = at.look_at(slot);
        let entry = self.entry(raw)?;
        *spot = spot.at(slot);
        Some((span, entry))
    }

    /// As [`find`](Reader::find) and [`find_rev`](Reader::find_rev), and remembers where, if no write
    /// is under way.
    pub(crate) fn find_spot<D: Direction>(self, mut index: u64) -> Option<FoundAt<'g, E>> {
        // Before the walk.
        let moment = self.version().and_then(Version::now);
        loop {
            let (leaf, ends) = self.leaf_at(index)?;
            let at = LeafAt::<C> {
                leaf,
                bounds: ends.span(),
            };
            let slot = search_wide(leaf.pivots(), index);
            let mut rest = at.used() & (D::behind(slot) | 1 << slot);
            while rest != 0 {
                let slot = D::take(&mut rest);
                let (span, raw) = at.look_at(slot);
                if let Some(entry) = self.entry(raw) {
                    // INVARIANT: The walk began at `moment` or later; if a write has displaced the
                    // leaf, it began after the moment, which has passed then.
                    let spot = moment.map(|moment| Spot {
                        leaf_and_slot: NonNull::from(leaf).cast(),
                        moment,
                    });
                    return Some((span, entry, spot.map(|spot| spot.at(slot))));
                }
            }
            index = D::beyond(at.bounds)?;
        }
    }
}
