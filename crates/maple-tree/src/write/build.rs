//! Build: pack what is kept and what is new into nodes that nobody can see.

use super::Writer;
use crate::config::Config;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::fixed_vec::FixedVec;
use crate::link::NodeRef;
use crate::node::{Node, Slot};
use crate::nodes::{Fresh, Nodes};
use vmaple_sync::atomic::{AtomicU64, Ordering};

/// Something to be put into a slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// The slot's word: an entry, null, or a child.
    pub(super) raw: *mut (),
    /// The slot's pivot.
    pub(super) last: u64,
    /// For a child: the longest gap below it.
    pub(super) gap: u64,
}

impl Item {
    /// An item for a leaf.
    pub(super) fn slot(raw: *mut (), last: u64) -> Self {
        Self { raw, last, gap: 0 }
    }
}

/// At most three: a write leaves two remainders, and three nodes hold two nodes' contents.
pub(super) type Items = FixedVec<Item, 3>;

/// A run of slots of an existing node, to be copied.
#[derive(Clone, Copy)]
pub(super) struct Segment<'w> {
    pivots: &'w [u64],
    slots: &'w [Slot],
    gaps: &'w [AtomicU64],
}

impl<'w> Segment<'w> {
    pub(super) fn empty() -> Self {
        Self {
            pivots: &[],
            slots: &[],
            gaps: &[],
        }
    }

    pub(super) fn new<C: Config>(node: NodeRef<'w, C>, from: usize, to: usize) -> Self {
        let gaps = node.gaps();
        Self {
            pivots: &node.pivots()[from..to],
            slots: &node.slots()[from..to],
            gaps: if gaps.is_empty() {
                gaps
            } else {
                &gaps[from..to]
            },
        }
    }
}

/// What surrounds the items at one level.
pub(super) struct Neighbours<'w> {
    /// The first index of the whole.
    pub(super) first: u64,
    pub(super) before: [Segment<'w>; 2],
    pub(super) after: [Segment<'w>; 2],
}

impl Neighbours<'_> {
    /// Nothing around: the items are all there is.
    pub(super) fn none() -> Self {
        Self {
            first: 0,
            before: [Segment::empty(); 2],
            after: [Segment::empty(); 2],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nr_before() + self.nr_after()
    }

    fn nr_before(&self) -> usize {
        self.before[0].pivots.len() + self.before[1].pivots.len()
    }

    fn nr_after(&self) -> usize {
        self.after[0].pivots.len() + self.after[1].pivots.len()
    }
}

/// How many slots each new node gets. Splits beside an end keep the far node full: ascending and
/// descending stores leave full nodes behind.
pub(super) fn sizes<N: Node>(
    count: usize,
    nr_before: usize,
    nr_after: usize,
    is_last: bool,
) -> [usize; 3] {
    if count <= N::SLOTS {
        return [count, 0, 0];
    }
    if count > 2 * N::SLOTS {
        let third = count / 3;
        return [
            third,
            (count - third) / 2,
            count - third - (count - third) / 2,
        ];
    }
    let left = if nr_after == 0 && is_last {
        N::SLOTS
    } else if nr_after <= 1 {
        N::SLOTS.min(count - N::MIN)
    } else if nr_before <= 1 {
        N::MIN.max(count - N::SLOTS)
    } else {
        count / 2
    };
    [left, count - left, 0]
}

/// Puts slots into nodes, one after the other.
struct Packer<'n, N: Node, E: Entry, C: Config> {
    nodes: &'n mut Nodes<E, C>,
    level: usize,
    sizes: [usize; 3],
    node: Fresh<N>,
    /// Slots used in `node`.
    used: usize,
    /// The first index of the next slot.
    next_first: u64,
    /// The longest gap in `node` so far.
    gap: u64,
    built: Items,
}

impl<N: Node, E: Entry, C: Config> Packer<'_, N, E, C> {
    #[inline]
    fn push(&mut self, item: Item) -> Result<(), AllocError> {
        if self.used == self.sizes[self.built.len()] {
            self.close();
            self.node = self.nodes.make(self.level)?;
        }
        let slot = self.used;
        self.node.pivots_mut()[slot] = item.last;
        // Relaxed: published by the Release in `publish`.
        self.node.slots()[slot].store(item.raw, Ordering::Relaxed);
        if C::TRACKS_GAPS {
            let gap = if !N::IS_LEAF {
                // Relaxed: as above.
                self.node.gaps()[slot].store(item.gap, Ordering::Relaxed);
                item.gap
            } else if item.raw.is_null() {
                item.last - self.next_first + 1
            } else {
                0
            };
            self.gap = self.gap.max(gap);
            self.next_first = item.last.wrapping_add(1);
        }
        self.used += 1;
        Ok(())
    }

    fn copy(&mut self, segment: &Segment<'_>) -> Result<(), AllocError> {
        for (at, (last, slot)) in segment.pivots.iter().zip(segment.slots).enumerate() {
            self.push(Item {
                // Relaxed: read by the writer, who wrote it.
                raw: slot.load(Ordering::Relaxed),
                last: *last,
                gap: segment
                    .gaps
                    .get(at)
                    // Relaxed: as above.
                    .map_or(0, |gap| gap.load(Ordering::Relaxed)),
            })?;
        }
        Ok(())
    }

    fn close(&mut self) {
        let last = self.node.pivots()[self.used - 1];
        self.built.push(Item {
            raw: self.node.as_word(),
            last,
            gap: self.gap,
        });
        self.used = 0;
        self.gap = 0;
    }
}

impl<E: Entry, C: Config> Writer<'_, E, C> {
    /// Packs `count` slots, the items and what is around them, into new nodes of `level`.
    #[inline]
    pub(super) fn pack<N: Node>(
        &mut self,
        level: usize,
        count: usize,
        items: &Items,
        around: &Neighbours<'_>,
    ) -> Result<Items, AllocError> {
        let is_last = around.after_last().unwrap_or(items[items.len() - 1].last) == u64::MAX;
        let node = self.nodes.make(level)?;
        let mut packer = Packer::<N, E, C> {
            nodes: self.nodes,
            level,
            sizes: sizes::<N>(count, around.nr_before(), around.nr_after(), is_last),
            node,
            used: 0,
            next_first: around.first,
            gap: 0,
            built: Items::new(),
        };
        packer.copy(&around.before[0])?;
        packer.copy(&around.before[1])?;
        for item in items.iter() {
            packer.push(*item)?;
        }
        packer.copy(&around.after[0])?;
        packer.copy(&around.after[1])?;
        packer.close();
        Ok(packer.built)
    }
}

impl Neighbours<'_> {
    /// The last index of what is kept after the items.
    fn after_last(&self) -> Option<u64> {
        self.after[1]
            .pivots
            .last()
            .or(self.after[0].pivots.last())
            .copied()
    }
}
