//! Checks every invariant of a tree, and counts its nodes.

use crate::config::Config;
use crate::entry::Entry;
use crate::link::{Kind, NodeRef};
use crate::node::{Node, longest_gap};
use crate::reader::Reader;
use crate::span::Span;
use core::fmt;
use vmaple_sync::atomic::Ordering;

/// An invariant that does not hold, and the node in which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// The node's bounds.
    pub node: Span,
    /// Levels above the leaves.
    pub level: usize,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (node {} at level {})",
            self.what, self.node, self.level
        )
    }
}

impl core::error::Error for Violation {}

/// What a tree is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Levels; 0 for an empty tree.
    pub height: usize,
    /// Bottom nodes.
    pub leaves: usize,
    /// Nodes above.
    pub branches: usize,
    /// Entries.
    pub entries: usize,
    /// Memory of all nodes, in bytes.
    pub bytes: usize,
}

/// What the check knows when it reaches a leaf.
struct Check {
    census: Census,
    /// Whether the slot before is empty.
    was_empty: bool,
}

/// Checks the tree. Recurses once per level.
pub(crate) fn validate<E: Entry, C: Config>(reader: Reader<'_, E, C>) -> Result<(), Violation> {
    let Some(top) = reader.top() else {
        return Ok(());
    };
    let mut check = Check {
        census: Census::default(),
        was_empty: false,
    };
    check.node(top, Span::ALL, true)?;
    if check.census.entries == 0 {
        return Err(Violation {
            node: Span::ALL,
            level: top.level(),
            what: "a tree without entries has a root",
        });
    }
    Ok(())
}

/// Counts the tree's nodes.
pub(crate) fn census<E: Entry, C: Config>(reader: Reader<'_, E, C>) -> Census {
    let mut check = Check {
        census: Census::default(),
        was_empty: false,
    };
    if let Some(top) = reader.top() {
        check.census.height = top.level() + 1;
        check.count(top);
    }
    let census = &mut check.census;
    census.bytes = census.leaves * size_of::<C::Leaf>() + census.branches * size_of::<C::Branch>();
    check.census
}

impl Check {
    /// Checks a node that must cover `bounds`; returns its longest gap.
    fn node<C: Config>(
        &mut self,
        node: NodeRef<'_, C>,
        bounds: Span,
        is_last: bool,
    ) -> Result<u64, Violation> {
        let fail = |what| {
            Err(Violation {
                node: bounds,
                level: node.level(),
                what,
            })
        };
        let pivots = node.pivots();
        let Some(len) = pivots.iter().position(|pivot| *pivot == bounds.last) else {
            return fail("no pivot is the node's last index");
        };
        let len = len + 1;
        if !pivots[..len].is_sorted_by(|a, b| a < b) || pivots[0] < bounds.first {
            return fail("pivots do not rise strictly from the node's first index");
        }
        if pivots[len..].iter().any(|pivot| *pivot != u64::MAX) {
            return fail("an unused pivot is not the padding");
        }
        // Relaxed: whoever validates excludes the writer.
        let is_null = |slot: usize| node.slots()[slot].load(Ordering::Relaxed).is_null();
        if !(len..pivots.len()).all(is_null) {
            return fail("an unused slot is not null");
        }
        match node.kind() {
            Kind::Leaf(_) => {
                self.census.leaves += 1;
                if !is_last && len < C::Leaf::MIN {
                    return fail("a leaf that is not the last holds too little");
                }
                self.leaf(node, bounds, len)
            }
            Kind::Branch(branch) => {
                self.census.branches += 1;
                let min = match (bounds == Span::ALL, is_last) {
                    (true, _) => 2,
                    (false, true) => 1,
                    (false, false) => C::Branch::MIN,
                };
                if len < min {
                    return fail("a branch holds too little");
                }
                let mut first = bounds.first;
                for (slot, last) in pivots[..len].iter().enumerate() {
                    if is_null(slot) {
                        return fail("a used slot of a branch is null");
                    }
                    let below = Span::new(first, *last);
                    let gap = self.node(branch.child(slot), below, is_last && slot + 1 == len)?;
                    // Relaxed: as above.
                    if C::TRACKS_GAPS && branch.node.gaps()[slot].load(Ordering::Relaxed) != gap {
                        return fail("a gap is not the longest below its child");
                    }
                    first = last.wrapping_add(1);
                }
                Ok(longest_gap(branch.node.gaps(), len))
            }
        }
    }

    fn leaf<C: Config>(
        &mut self,
        node: NodeRef<'_, C>,
        bounds: Span,
        len: usize,
    ) -> Result<u64, Violation> {
        let mut longest = 0;
        let mut first = bounds.first;
        for (last, slot) in node.pivots()[..len].iter().zip(node.slots()) {
            // Relaxed: as above.
            let is_empty = slot.load(Ordering::Relaxed).is_null();
            if is_empty {
                if self.was_empty {
                    return Err(Violation {
                        node: bounds,
                        level: 0,
                        what: "two empty slots are neighbours",
                    });
                }
                longest = longest.max((last - first).saturating_add(1));
            } else {
                self.census.entries += 1;
            }
            self.was_empty = is_empty;
            first = last.wrapping_add(1);
        }
        Ok(longest)
    }

    fn count<C: Config>(&mut self, node: NodeRef<'_, C>) {
        // Relaxed: a count, exact when no writer is at work.
        let used = node
            .slots()
            .iter()
            .enumerate()
            .filter(|(_, slot)| !slot.load(Ordering::Relaxed).is_null());
        match node.kind() {
            Kind::Leaf(_) => {
                self.census.leaves += 1;
                self.census.entries += used.count();
            }
            Kind::Branch(branch) => {
                self.census.branches += 1;
                for (slot, _) in used {
                    self.count(branch.child(slot));
                }
            }
        }
    }
}
