//! Copying a tree: node by node, into blocks.
//!
//! # Safety
//!
//! The copied tree is not written meanwhile, and nobody sees the copy before it is whole.
#![expect(unsafe_code, reason = "writes nodes into fresh memory")]

use crate::blocks::Carver;
use crate::config::Config;
use crate::core_tree::CoreTree;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::link::{BranchRef, Kind, NodeRef, Root};
use crate::node::{Node, Slot};
use crate::nodes::Nodes;
use crate::occupied::occupied;
use crate::reader::Reader;
use core::ptr::{self, NonNull};
use vmaple_sync::atomic::Ordering;

impl<E: Entry, C: Config> CoreTree<E, C> {
    /// A copy of what `reader` sees, whose writer has `nodes`; each entry is duplicated. The copied
    /// tree must not be written meanwhile.
    pub(crate) fn copy_of(
        reader: Reader<'_, E, C>,
        nodes: &Nodes<E, C>,
    ) -> Result<Self, AllocError> {
        let Some(top) = reader.top() else {
            return Ok(Self::new());
        };
        let nr_bytes = nr_bytes(top);
        let mut copy = Self {
            root: Root::new(),
            nodes: nodes.for_copy(nr_bytes),
        };
        let to = Slot::new(ptr::null_mut());
        let outcome = copy_subtree::<E, C>(top, &to, &mut copy.nodes.carve(nr_bytes));
        // Relaxed: nobody else knows the slot.
        let word = to.load(Ordering::Relaxed);
        if let Err(error) = outcome {
            free_copy(word, top.level(), &mut copy.nodes);
            return Err(error);
        }
        copy.root.publish(word, top.level() + 1);
        Ok(copy)
    }
}

/// How large the nodes of a subtree are in all. Looks at branches only, and recurses once per
/// level.
fn nr_bytes<C: Config>(node: NodeRef<'_, C>) -> usize {
    match node.kind() {
        Kind::Leaf(_) => size_of::<C::Leaf>(),
        Kind::Branch(branch) => {
            let children = 0..nr_children(branch);
            let below = if node.level() == 1 {
                children.len() * size_of::<C::Leaf>()
            } else {
                children.map(|slot| nr_bytes(branch.child(slot))).sum()
            };
            size_of::<C::Branch>() + below
        }
    }
}

/// Children are in the first slots of a branch.
fn nr_children<C: Config>(branch: BranchRef<'_, C>) -> usize {
    occupied(branch.node.slots()).count_ones() as usize
}

/// Copies a subtree into a slot; recurses once per level. On an error the slot holds what has been
/// copied by then.
#[inline]
fn copy_subtree<E: Entry, C: Config>(
    from: NodeRef<'_, C>,
    into: &Slot,
    carver: &mut Carver<'_>,
) -> Result<(), AllocError> {
    match from.kind() {
        Kind::Leaf(leaf) => copy_leaf::<E, C>(leaf, into, carver),
        Kind::Branch(branch) => copy_branch::<E, C>(branch, into, carver),
    }
}

#[inline]
fn copy_leaf<E: Entry, C: Config>(
    from: &C::Leaf,
    into: &Slot,
    carver: &mut Carver<'_>,
) -> Result<(), AllocError> {
    let to = put(from, into, carver)?;
    if E::IS_PLAIN || cfg!(planted = "copy_shared") {
        return Ok(());
    }
    // The words in the copy are not its own yet.
    clear(to.slots());
    for (old, new) in from.slots().iter().zip(to.slots()) {
        // Relaxed: the copied tree is not written meanwhile.
        if let Some(raw) = NonNull::new(old.load(Ordering::Relaxed)) {
            // SAFETY: The copied tree owns the entry.
            let entry = unsafe { E::try_duplicate(raw) }?;
            // Relaxed: nobody sees the copy yet.
            new.store(entry.into_raw().as_ptr(), Ordering::Relaxed);
        }
    }
    Ok(())
}

#[inline(never)]
fn copy_branch<E: Entry, C: Config>(
    from: BranchRef<'_, C>,
    into: &Slot,
    carver: &mut Carver<'_>,
) -> Result<(), AllocError> {
    let to = put(from.node, into, carver)?;
    clear(to.slots());
    for (slot, new) in to.slots()[..nr_children(from)].iter().enumerate() {
        copy_subtree::<E, C>(from.child(slot), new, carver)?;
    }
    Ok(())
}

fn clear(slots: &[Slot]) {
    for slot in slots {
        // Relaxed: nobody sees the copy yet.
        slot.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// Puts a copy of a node into fresh memory, and its address into a slot of the copy above.
#[inline]
fn put<'c, N: Node>(from: &N, into: &Slot, carver: &mut Carver<'_>) -> Result<&'c N, AllocError> {
    let memory = carver.take::<N>()?;
    #[cfg(not(any(loom, shuttle)))]
    // SAFETY: Owned memory with the layout of `N`. Nobody writes `from` meanwhile; what it holds are
    // words, with nothing to be run when they are copied or dropped.
    unsafe {
        memory.copy_from_nonoverlapping(NonNull::from(from), 1);
    }
    #[cfg(any(loom, shuttle))]
    // SAFETY: Owned memory with the layout of `N`.
    unsafe {
        memory.write(from.copy());
    }
    // Relaxed: nobody sees the copy yet.
    into.store(memory.as_ptr().cast(), Ordering::Relaxed);
    // SAFETY: Initialized just now, and freed only when the copying is over.
    Ok(unsafe { memory.as_ref() })
}

/// Frees a subtree that was copied in part.
fn free_copy<E: Entry, C: Config>(copy: *mut (), level: usize, nodes: &mut Nodes<E, C>) {
    if let Some(top) = NonNull::new(copy)
        && !cfg!(planted = "copy_half_leaked")
    {
        // SAFETY: Made by `copy_subtree`, and given to nobody; unused slots are null.
        unsafe { nodes.free_subtree(top, level) };
    }
}
