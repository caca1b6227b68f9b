//! References to nodes: the one place that turns a slot's word into a node.
//!
//! # Safety
//!
//! A [`NodeRef<'g>`] points at a live node of its level for all of `'g`. One is made from the
//! root's word by [`Root::load`], whose caller promises that nodes reachable during `'g` are not
//! freed before its end, or from a branch's slot, which then holds a node one level lower.
#![expect(unsafe_code, reason = "dereferences nodes")]

use crate::config::Config;
use crate::node::{Node, Slot, search};
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use vmaple_sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use vmaple_sync::names::{Name, named};
use vmaple_sync::planted;

/// Nodes are aligned to 64 bytes: the low 6 bits of the root's word hold the height.
const HEIGHT_MASK: usize = 63;
/// In a leaf's address they can hold a slot.
pub(crate) const SLOT_MASK: usize = HEIGHT_MASK;

/// The most levels a tree can have: every branch but the last of its level has two children, so
/// 40 levels would need more nodes than an address space holds.
pub(crate) const MAX_HEIGHT: usize = 44;

/// The word from which every walk starts: null, or the top node and the number of levels.
/// Both in one word, so that a reader sees them change together.
#[derive(Debug)]
pub(crate) struct Root(AtomicPtr<()>);

/// A live node, which is `level` levels above the leaves.
pub(crate) struct NodeRef<'g, C> {
    node: NonNull<()>,
    level: usize,
    bound: PhantomData<&'g Bound<C>>,
}

impl<C> Clone for NodeRef<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for NodeRef<'_, C> {}

/// Ties a reference to a shape without owning one.
type Bound<C> = PhantomData<fn() -> C>;

/// A node by its kind.
pub(crate) enum Kind<'g, C: Config> {
    Leaf(&'g C::Leaf),
    Branch(BranchRef<'g, C>),
}

/// A live branch.
pub(crate) struct BranchRef<'g, C: Config> {
    pub(crate) node: &'g C::Branch,
    level: usize,
}

impl<C: Config> Clone for BranchRef<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config> Copy for BranchRef<'_, C> {}

static ROOT: Name = Name::new("root");

impl Root {
    pub(crate) fn new() -> Self {
        Self(named(&ROOT, AtomicPtr::new(ptr::null_mut())))
    }

    /// The top node, if the tree has entries.
    ///
    /// # Safety
    ///
    /// Nodes reachable from here during `'g` are not freed before `'g` ends.
    #[inline]
    pub(crate) unsafe fn load<'g, C: Config>(&'g self) -> Option<NodeRef<'g, C>> {
        // Acquire: pairs with the Release in `publish`. A reader who sees this node sees its
        // pivots and slots. Witness: `tests/loom.rs::root_replacement`.
        let word = self.0.load(Ordering::Acquire);
        let height = word.addr() & HEIGHT_MASK;
        let node = NonNull::new(word.map_addr(|addr| addr & !HEIGHT_MASK))?;
        Some(NodeRef {
            node,
            level: height - 1,
            bound: PhantomData,
        })
    }

    /// Number of levels; 0 for an empty tree.
    pub(crate) fn height(&self) -> usize {
        // Relaxed: no node is followed.
        self.0.load(Ordering::Relaxed).addr() & HEIGHT_MASK
    }

    /// Whether the tree has no entry.
    pub(crate) fn is_empty(&self) -> bool {
        // Relaxed: no node is followed.
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// Makes `node` the top of `height` levels, or empties the tree with null and 0.
    #[inline]
    pub(crate) fn publish(&self, node: *mut (), height: usize) {
        debug_assert_eq!(node.addr() & HEIGHT_MASK, 0);
        debug_assert!(height <= MAX_HEIGHT);
        debug_assert_eq!(node.is_null(), height == 0);
        let order = if planted!("root_relaxed") {
            // Relaxed: the bug.
            Ordering::Relaxed
        } else {
            // Release: pairs with the Acquire in `load`.
            // Witness: `tests/loom.rs::root_replacement`.
            Ordering::Release
        };
        self.0.store(node.map_addr(|addr| addr | height), order);
    }
}

impl<'g, C: Config> NodeRef<'g, C> {
    /// # Safety
    ///
    /// `node` is a live node of `level` throughout `'g`.
    pub(crate) unsafe fn new(node: NonNull<()>, level: usize) -> Self {
        Self {
            node,
            level,
            bound: PhantomData,
        }
    }

    /// Levels above the leaves.
    #[inline]
    pub(crate) fn level(self) -> usize {
        self.level
    }

    pub(crate) fn as_ptr(self) -> NonNull<()> {
        self.node
    }

    #[inline]
    pub(crate) fn kind(self) -> Kind<'g, C> {
        if self.level == 0 {
            // SAFETY: By the type's invariant, a live node of level 0 is a leaf.
            Kind::Leaf(unsafe { self.leaf() })
        } else {
            // SAFETY: As above, above level 0 it is a branch.
            Kind::Branch(unsafe { self.branch() })
        }
    }

    /// The leaf, for a writer whom nobody reads.
    ///
    /// # Safety
    ///
    /// This is a leaf, and while the reference lives nobody else looks at it, nor is another
    /// reference to it used.
    #[inline]
    pub(crate) unsafe fn leaf_mut(self) -> &'g mut C::Leaf {
        debug_assert_eq!(self.level, 0);
        // SAFETY: By the type's invariant a live leaf, and by the contract above unshared.
        unsafe { self.node.cast::<C::Leaf>().as_mut() }
    }

    /// The branch, for a writer whom nobody reads.
    ///
    /// # Safety
    ///
    /// This is a branch, and while the reference lives nobody else looks at it, nor is another
    /// reference to it used.
    #[inline]
    pub(crate) unsafe fn branch_mut(self) -> &'g mut C::Branch {
        debug_assert_ne!(self.level, 0);
        // SAFETY: By the type's invariant a live branch, and by the contract above unshared.
        unsafe { self.node.cast::<C::Branch>().as_mut() }
    }

    /// The branch.
    ///
    /// # Safety
    ///
    /// It is one: its level is above 0.
    #[inline]
    pub(crate) unsafe fn branch(self) -> BranchRef<'g, C> {
        debug_assert_ne!(self.level, 0);
        BranchRef {
            // SAFETY: By the type's invariant live, and by the contract above a branch.
            node: unsafe { self.node.cast::<C::Branch>().as_ref() },
            level: self.level,
        }
    }

    /// The leaf.
    ///
    /// # Safety
    ///
    /// It is one: its level is 0.
    #[inline]
    pub(crate) unsafe fn leaf(self) -> &'g C::Leaf {
        debug_assert_eq!(self.level, 0);
        // SAFETY: By the type's invariant live, and by the contract above a leaf.
        unsafe { self.node.cast::<C::Leaf>().as_ref() }
    }

    #[inline]
    pub(crate) fn pivots(self) -> &'g [u64] {
        match self.kind() {
            Kind::Leaf(leaf) => leaf.pivots(),
            Kind::Branch(branch) => branch.node.pivots(),
        }
    }

    #[inline]
    pub(crate) fn slots(self) -> &'g [Slot] {
        match self.kind() {
            Kind::Leaf(leaf) => leaf.slots(),
            Kind::Branch(branch) => branch.node.slots(),
        }
    }

    /// The gaps below each slot; none on a leaf.
    #[inline]
    pub(crate) fn gaps(self) -> &'g [AtomicU64] {
        match self.kind() {
            Kind::Leaf(leaf) => leaf.gaps(),
            Kind::Branch(branch) => branch.node.gaps(),
        }
    }

    /// The child in `slot`; panics on a leaf or an unused slot.
    pub(crate) fn child(self, slot: usize) -> Self {
        match self.kind() {
            Kind::Branch(branch) => branch.child(slot),
            Kind::Leaf(_) => unreachable!("leaves have no children"),
        }
    }
}

impl<'g, C: Config> BranchRef<'g, C> {
    /// Levels above the leaves.
    #[inline]
    pub(crate) fn level(self) -> usize {
        self.level
    }

    #[inline]
    pub(crate) fn pivots(self) -> &'g [u64] {
        self.node.pivots()
    }

    /// The child in a used slot.
    #[inline]
    pub(crate) fn child(self, slot: usize) -> NodeRef<'g, C> {
        // Acquire: pairs with the Release in `write::publish`. A reader who sees the child sees
        // its pivots and slots. Witness: `tests/loom.rs::replace_then_walk`.
        let word = self.node.slots()[slot].load(Ordering::Acquire);
        NodeRef {
            node: NonNull::new(word).expect("a used slot of a branch holds a child"),
            level: self.level - 1,
            bound: PhantomData,
        }
    }

    /// The slot that covers `index`, and its child.
    #[inline]
    pub(crate) fn descend(self, index: u64) -> (usize, NodeRef<'g, C>) {
        let slot = search(self.pivots(), index);
        (slot, self.child(slot))
    }
}
