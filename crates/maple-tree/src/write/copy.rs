//! Copy: a write that stays within one leaf of a tree that others may read.
//!
//! Where no bounds change (one slot gets another entry, or is emptied between two entries) the
//! write is one store into that slot. Else the leaf is copied, the copy is changed as a leaf would
//! be that nobody reads, and takes the leaf's place by one store.
//!
//! ```text
//!          [ . * . ]            [ . * . ]  one store
//!              |                    \
//!              |          =>         \
//!   [ a | b | - | c ]     [ a | N | c ]'     the old leaf waits for its readers
//! ```
//!
//! # Safety
//!
//! The copy is changed before anybody else can see it.
#![expect(unsafe_code, reason = "gives up a copy that nobody has seen")]

use super::build::Items;
use super::edit::{Cut, LeafAt, longest_after, splice};
use super::{Fill, Way, Writer};
use crate::config::Config;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::node::Node;

impl<'w, E: Entry, C: Config> Writer<'w, E, C> {
    /// Replaces the slots of `cut` for readers too.
    #[inline]
    pub(super) fn edit_copy(
        &mut self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        cut: &Cut,
        new: Fill,
    ) -> Result<(), AllocError> {
        self.nodes.reserve_logs(0)?;
        if cut.is_one_slot() {
            self.edit_slot(way, at, cut, new);
            return Ok(());
        }
        let mut copy = self.nodes.make_copy::<C::Leaf>(at.leaf, 0)?;
        let mut items = Items::new();
        let words = (at.raw(cut.from), at.raw(cut.to));
        if let Err(error) = self.put_items(&mut items, cut, words, new) {
            // SAFETY: The copy is not published, nor used again.
            unsafe { self.nodes.abandon() };
            return Err(error);
        }
        self.nodes.keep_fresh();
        let gap = longest_after(way, at, cut, new);
        splice(&mut *copy, cut, &items);
        let dying = if cfg!(planted = "copy_leak") {
            (0, 0)
        } else {
            cut.dying()
        };
        self.nodes.retire(at.node, dying);
        self.publish_below(way.whole(), copy.as_word(), 1, gap.map(|(_, gap)| gap));
        if let Some(finger) = &mut self.finger {
            finger.follow(copy.as_word());
        }
        Ok(())
    }

    /// Stores into the one slot of `cut`, whose bounds stay.
    fn edit_slot(&mut self, way: &Way<'w, C>, at: &LeafAt<'w, C>, cut: &Cut, new: Fill) {
        let mut items = Items::new();
        new.put(&mut items, cut.last);
        let gap = longest_after(way, at, cut, new).map(|(_, gap)| gap);
        self.publish_entry(way, &at.leaf.slots()[cut.from], items[0].raw, gap);
    }
}
