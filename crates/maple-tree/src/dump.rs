//! The structure of a tree as text, one line per node and slot.

use crate::config::Config;
use crate::entry::Entry;
use crate::link::{Kind, NodeRef};
use crate::node::{Node, first_of, len};
use crate::reader::Reader;
use crate::span::Span;
use core::fmt;
use vmaple_sync::atomic::Ordering;

/// Displays a tree's nodes, indented by depth, gaps included; entries by their words.
///
/// # Examples
///
/// ```
/// use maple_tree::MapleTree;
///
/// let mut tree: MapleTree<u32> = MapleTree::new();
/// tree.store(4..=7, 1).expect("memory");
/// let text = tree.dump().to_string();
/// assert!(text.contains("0x4..=0x7"), "{text}");
/// ```
pub struct Dump<'g, E: Entry, C: Config> {
    reader: Reader<'g, E, C>,
}

impl<'g, E: Entry, C: Config> Dump<'g, E, C> {
    pub(crate) fn new(reader: Reader<'g, E, C>) -> Self {
        Self { reader }
    }
}

impl<E: Entry, C: Config> fmt::Debug for Dump<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E: Entry, C: Config> fmt::Display for Dump<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reader.top() {
            None => writeln!(f, "empty"),
            Some(top) => {
                writeln!(f, "height {}", top.level() + 1)?;
                write_node(f, top, Span::ALL, 0)
            }
        }
    }
}

fn write_node<C: Config>(
    f: &mut fmt::Formatter<'_>,
    node: NodeRef<'_, C>,
    bounds: Span,
    depth: usize,
) -> fmt::Result {
    let pivots = node.pivots();
    for slot in 0..len(pivots, bounds.last) {
        let span = Span::new(first_of(pivots, slot, bounds.first), pivots[slot]);
        write!(f, "{:indent$}[{slot}] {span}", "", indent = 2 * depth)?;
        match node.kind() {
            Kind::Leaf(leaf) => {
                // Relaxed: printed, not followed.
                let raw = leaf.slots()[slot].load(Ordering::Relaxed);
                if raw.is_null() {
                    writeln!(f, " -")?;
                } else {
                    writeln!(f, " {raw:?}")?;
                }
            }
            Kind::Branch(branch) => {
                if let Some(gap) = branch.node.gaps().get(slot) {
                    // Relaxed: printed.
                    write!(f, " gap {:#x}", gap.load(Ordering::Relaxed))?;
                }
                writeln!(f)?;
                write_node(f, branch.child(slot), span, depth + 1)?;
            }
        }
    }
    Ok(())
}
