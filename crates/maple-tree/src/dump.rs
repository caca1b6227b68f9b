//! The structure of a tree: as text, one line per node and slot, and as a graph.

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

/// Displays a tree as a graph in Graphviz's language: one record per node, one field per slot.
///
/// # Examples
///
/// ```
/// use maple_tree::MapleTree;
///
/// let tree: MapleTree<u32> = (0..40).map(|i| (i * 4..=i * 4 + 1, i as u32)).collect();
/// let graph = tree.dump().graphviz().to_string();
/// assert!(graph.starts_with("digraph maple_tree {") && graph.contains("n0:s1 -> n"), "{graph}");
/// ```
pub struct Graphviz<'g, E: Entry, C: Config>(Dump<'g, E, C>);

impl<'g, E: Entry, C: Config> Dump<'g, E, C> {
    /// The same as a graph, to be drawn by `dot`.
    #[must_use]
    pub fn graphviz(self) -> Graphviz<'g, E, C> {
        Graphviz(self)
    }
}

impl<E: Entry, C: Config> fmt::Debug for Graphviz<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E: Entry, C: Config> fmt::Display for Graphviz<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "digraph maple_tree {{\n  node [shape=record];")?;
        if let Some(top) = self.0.reader.top() {
            draw_node(f, top, Span::ALL, &mut 0)?;
        }
        writeln!(f, "}}")
    }
}

/// Draws a node and what is below it; `next` numbers the nodes in the order of drawing.
fn draw_node<C: Config>(
    f: &mut fmt::Formatter<'_>,
    node: NodeRef<'_, C>,
    bounds: Span,
    next: &mut usize,
) -> fmt::Result {
    let number = *next;
    *next += 1;
    let pivots = node.pivots();
    let nr_used = len(pivots, bounds.last);
    write!(f, "  n{number} [label=\"")?;
    for (slot, last) in pivots[..nr_used].iter().enumerate() {
        // Relaxed: drawn, not followed.
        let is_empty = node.slots()[slot].load(Ordering::Relaxed).is_null();
        let separator = if slot == 0 { "" } else { "|" };
        let mark = if is_empty { " -" } else { "" };
        write!(f, "{separator}<s{slot}> {last:#x}{mark}")?;
    }
    writeln!(f, "\"];")?;
    if let Kind::Branch(branch) = node.kind() {
        for slot in 0..nr_used {
            let span = Span::new(first_of(pivots, slot, bounds.first), pivots[slot]);
            writeln!(f, "  n{number}:s{slot} -> n{next};")?;
            draw_node(f, branch.child(slot), span, next)?;
        }
    }
    Ok(())
}
