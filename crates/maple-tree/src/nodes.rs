//! Where nodes come from and where they go: allocation, the pool, and the list of what a write
//! retires.
//!
//! A write allocates *fresh* nodes, and logs what it will *retire*: nodes, each with the range of
//! slots whose contents die with it, and single entries. If an allocation fails the write is
//! abandoned ([`Nodes::abandon`]) and nothing has happened. Once it has published, the log is
//! either freed at once ([`Nodes::free_retired`]: no reader exists) or handed to RCU.
//!
//! # Safety
//!
//! A node is owned by the tree that reaches it, by the fresh log, by the retired log, or by the
//! pool: by one of them at a time. Its memory is its own, or part of a block.
#![expect(unsafe_code, reason = "allocates and frees nodes and entries")]

use crate::blocks::{Blocks, Carver};
use crate::config::Config;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::fixed_vec::FixedVec;
use crate::link::{MAX_HEIGHT, NodeRef};
use crate::node::Node;
use alloc::alloc::{Layout, alloc, dealloc};
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use vmaple_rcu::strict;
use vmaple_sync::atomic::Ordering;

/// How many free nodes of a kind a tree keeps: more than a batch of what writes beside readers
/// displace. None where a checker should see each free.
const POOL_LIMIT: usize = if strict::IS_STRICT || cfg!(loom) {
    0
} else {
    256
};

/// Something that dies with a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retired {
    /// A node or an entry's word.
    what: NonNull<()>,
    kind: RetiredKind,
}

#[derive(Debug, Clone, Copy)]
enum RetiredKind {
    /// An entry that was displaced in place.
    Entry,
    /// A node, with what slots `from..to` hold: entries, or whole subtrees.
    Node { level: u8, from: u8, to: u8 },
}

/// A node being built: nobody else knows it.
#[derive(Debug)]
pub(crate) struct Fresh<N>(NonNull<N>);

impl<N> Fresh<N> {
    /// The word for a slot.
    pub(crate) fn as_word(&self) -> *mut () {
        self.0.as_ptr().cast()
    }
}

impl<N> Deref for Fresh<N> {
    type Target = N;

    #[inline]
    fn deref(&self) -> &N {
        // SAFETY: Live until published or abandoned, which comes after this handle's last use.
        unsafe { self.0.as_ref() }
    }
}

impl<N> DerefMut for Fresh<N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut N {
        // SAFETY: As above; the handle is unique, so the reference is.
        unsafe { self.0.as_mut() }
    }
}

/// Free memory for nodes of one kind, linked through its first word.
#[derive(Debug)]
struct Pool {
    first: *mut PoolLink,
    len: usize,
}

#[derive(Debug)]
struct PoolLink {
    next: *mut PoolLink,
}

/// Asks the processor for memory that a later write fills, before it does: readers may have lines of
/// it that they read when it was a node before, and a write that waits for each of them is slow.
#[inline]
fn prefetch<N>(memory: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(any(loom, shuttle))))]
    {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        for line in 0..size_of::<N>().div_ceil(64) {
            let line = memory.wrapping_add(64 * line);
            // SAFETY: Every x86-64 processor takes it, and it reads nothing: any address will do.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(line.cast()) };
        }
    }
    let _ = memory;
}

impl Pool {
    const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            len: 0,
        }
    }

    #[inline]
    fn take<N>(&mut self) -> Option<NonNull<u8>> {
        let link = NonNull::new(self.first)?;
        // SAFETY: The pool owns the memory, and `put` wrote a link into it.
        self.first = unsafe { link.as_ref() }.next;
        self.len -= 1;
        prefetch::<N>(self.first.cast());
        Some(link.cast())
    }

    /// # Safety
    ///
    /// `memory` is owned, unused, and as large and aligned as a node of this pool's kind.
    #[inline]
    unsafe fn put(&mut self, memory: NonNull<u8>) {
        let link = memory.cast::<PoolLink>();
        // SAFETY: By the contract above.
        unsafe { link.write(PoolLink { next: self.first }) };
        self.first = link.as_ptr();
        self.len += 1;
    }
}

/// What a number of writes can need at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stock {
    pub(crate) nr_writes: usize,
    /// The height that the tree can reach by them.
    pub(crate) height: usize,
    pub(crate) nr_leaves: usize,
    pub(crate) nr_branches: usize,
}

/// The node memory of one tree, and the logs of its current write.
pub(crate) struct Nodes<E: Entry, C: Config> {
    leaves: Pool,
    branches: Pool,
    /// Memory of nodes that were made in one go.
    blocks: Blocks,
    /// How many nodes in use have memory of their own.
    nr_single: usize,
    /// Nodes built by the current write, with their levels.
    fresh: Vec<(NonNull<()>, u8)>,
    /// What writes displaced and nobody has freed yet, the current one's last.
    retired: Vec<Retired>,
    /// Where in `retired` the current write's begins.
    retired_before: usize,
    /// The second owner that a planned write has made ahead; empty between writes.
    laid_out: Cell<Option<E>>,
    owns: PhantomData<(E, fn() -> C)>,
}

impl<E: Entry, C: Config> Nodes<E, C> {
    pub(crate) fn new() -> Self {
        Self::with(Blocks::new())
    }

    /// For a copy of the tree that has these nodes, of `nr_bytes` in all.
    pub(crate) fn for_copy(&self, nr_bytes: usize) -> Self {
        Self::with(self.blocks.for_copy(nr_bytes))
    }

    fn with(blocks: Blocks) -> Self {
        Self {
            leaves: Pool::new(),
            branches: Pool::new(),
            blocks,
            nr_single: 0,
            fresh: Vec::new(),
            retired: Vec::new(),
            retired_before: 0,
            laid_out: Cell::new(None),
            owns: PhantomData,
        }
    }

    /// Makes room in the logs for any single write to a tree of `height`.
    #[inline]
    pub(crate) fn reserve_logs(&mut self, height: usize) -> Result<(), AllocError> {
        debug_assert!(self.fresh.is_empty(), "one write at a time");
        // Per level: three new nodes; two edges, a neighbour and two edges moved off, retired.
        let room = (height + 1) * 6;
        self.retired_before = self.retired.len();
        self.fresh.try_reserve(room).map_err(|_| AllocError)?;
        self.retired.try_reserve(room).map_err(|_| AllocError)
    }

    /// Makes room in the log for entries that a write within one leaf displaces.
    #[inline]
    pub(crate) fn reserve_entries(&mut self, nr: usize) -> Result<(), AllocError> {
        if core::mem::needs_drop::<E>() {
            self.retired.try_reserve(nr).map_err(|_| AllocError)?;
        }
        Ok(())
    }

    /// Takes in what a number of writes can need: free nodes, and room in the logs.
    pub(crate) fn stock(&mut self, stock: Stock) -> Result<(), AllocError> {
        // A write within two leaves logs each entry that it displaces.
        let each = (stock.height + 1) * 6 + 2 * (C::Leaf::SLOTS + 1);
        let room = stock.nr_writes.saturating_mul(each);
        self.fresh.try_reserve(each).map_err(|_| AllocError)?;
        self.retired.try_reserve(room).map_err(|_| AllocError)?;
        self.stock_nodes(stock.nr_leaves, stock.nr_branches)
    }

    /// Takes in free nodes up to so many of each kind.
    pub(crate) fn stock_nodes(
        &mut self,
        nr_leaves: usize,
        nr_branches: usize,
    ) -> Result<(), AllocError> {
        fill::<C::Leaf>(&mut self.leaves, nr_leaves)?;
        fill::<C::Branch>(&mut self.branches, nr_branches)
    }

    /// Lays out the duplicate that a planned write will need.
    pub(crate) fn lay_out(&mut self, duplicate: Option<E>) {
        debug_assert!(self.laid_out.get_mut().is_none(), "left by the last plan");
        self.laid_out.set(duplicate);
    }

    /// Takes the duplicate that was laid out, if one was.
    pub(crate) fn take_laid_out(&self) -> Option<E> {
        self.laid_out.take()
    }

    fn pool<N: Node>(&mut self) -> &mut Pool {
        if N::IS_LEAF {
            &mut self.leaves
        } else {
            &mut self.branches
        }
    }

    /// An empty node of `level`, logged as fresh.
    #[inline]
    pub(crate) fn make<N: Node>(&mut self, level: usize) -> Result<Fresh<N>, AllocError> {
        let memory = self.take::<N>(level)?;
        // SAFETY: Owned memory with the layout of `N`.
        unsafe { memory.write(N::empty()) };
        Ok(Fresh(memory))
    }

    /// A copy of a node of `level` that only this writer writes, logged as fresh.
    #[inline]
    pub(crate) fn make_copy<N: Node>(
        &mut self,
        from: &N,
        level: usize,
    ) -> Result<Fresh<N>, AllocError> {
        let memory = self.take::<N>(level)?;
        // As a value it would go over the stack.
        #[cfg(not(any(loom, shuttle)))]
        // SAFETY: Owned memory with the layout of `N`, and no part of `from`. A node is words
        // without a destructor, and nobody writes to them meanwhile: only this writer does.
        unsafe {
            memory.copy_from_nonoverlapping(NonNull::from(from), 1);
        }
        #[cfg(any(loom, shuttle))]
        // SAFETY: Owned memory with the layout of `N`.
        unsafe {
            memory.write(from.copy());
        }
        Ok(Fresh(memory))
    }

    /// Memory for a node of `level`, which the caller initializes, logged as fresh.
    #[inline]
    fn take<N: Node>(&mut self, level: usize) -> Result<NonNull<N>, AllocError> {
        debug_assert_eq!(N::IS_LEAF, level == 0);
        let memory = match self.pool::<N>().take::<N>() {
            Some(memory) => memory,
            None => allocate::<N>()?,
        };
        self.nr_single += 1;
        self.fresh.push((memory.cast(), level as u8));
        Ok(memory.cast())
    }

    /// Begins to make nodes of `nr_bytes` in all, in memory that they share.
    pub(crate) fn carve(&mut self, nr_bytes: usize) -> Carver<'_> {
        self.blocks.carve(nr_bytes)
    }

    /// Whether every node in use is in a block, so that all memory goes with the blocks.
    pub(crate) fn are_all_in_blocks(&self) -> bool {
        self.nr_single == 0
    }

    /// Logs a node that the current write replaces, and what dies with it.
    #[inline]
    pub(crate) fn retire(&mut self, node: NodeRef<'_, C>, dying: (usize, usize)) {
        self.retired.push(Retired {
            what: node.as_ptr(),
            kind: RetiredKind::Node {
                level: node.level() as u8,
                from: dying.0 as u8,
                to: dying.1 as u8,
            },
        });
    }

    /// Logs an entry that the current write displaces in place.
    pub(crate) fn retire_entry(&mut self, entry: NonNull<()>) {
        self.retired.push(Retired {
            what: entry,
            kind: RetiredKind::Entry,
        });
    }

    /// The write has published: its nodes belong to the tree now.
    pub(crate) fn keep_fresh(&mut self) {
        self.fresh.clear();
    }

    /// The write has failed: frees its nodes, not what they hold, and forgets what it would have
    /// retired.
    ///
    /// # Safety
    ///
    /// None of the fresh nodes has been published, and none is used again.
    pub(crate) unsafe fn abandon(&mut self) {
        self.retired.truncate(self.retired_before);
        while let Some((node, level)) = self.fresh.pop() {
            // SAFETY: By the contract above this log is the only owner.
            unsafe { self.free_node(node, usize::from(level)) };
        }
    }

    /// How many things in the retired log nobody has freed yet.
    pub(crate) fn nr_retired(&self) -> usize {
        self.retired.len()
    }

    /// What writes have displaced, to be freed after a grace period.
    pub(crate) fn retired_mut(&mut self) -> &mut Vec<Retired> {
        &mut self.retired
    }

    /// Frees what writes have displaced, except the entry `spared`.
    ///
    /// # Safety
    ///
    /// No reader can see it any more, and no reference into it is used again.
    #[inline]
    pub(crate) unsafe fn free_retired(&mut self, spared: *mut ()) {
        while let Some(retired) = self.retired.pop() {
            // SAFETY: By the contract above, and each is popped once.
            unsafe { self.free(retired, spared) };
        }
    }

    /// Frees one retired thing, except the entry `spared`.
    ///
    /// # Safety
    ///
    /// No reader can see it any more, and it is freed once.
    pub(crate) unsafe fn free(&mut self, retired: Retired, spared: *mut ()) {
        match retired.kind {
            // SAFETY: By the contract above, the log owned the entry.
            RetiredKind::Entry => unsafe { drop_entry::<E>(retired.what.as_ptr(), spared) },
            // SAFETY: By the contract above, the log owned the leaf; what it held needs no drop.
            RetiredKind::Node { level: 0, .. } if !core::mem::needs_drop::<E>() => unsafe {
                self.release(retired.what.cast::<C::Leaf>());
            },
            RetiredKind::Node { level, from, to } => {
                let (level, from, to) = (usize::from(level), usize::from(from), usize::from(to));
                // SAFETY: By the contract above, the log owned the node and those slots.
                unsafe { self.free_contents(retired.what, level, from, to, spared) };
                // SAFETY: As above.
                unsafe { self.free_node(retired.what, level) };
            }
        }
    }

    /// Frees a whole subtree: nodes and entries.
    ///
    /// # Safety
    ///
    /// No reader can see it, and the caller owns it.
    pub(crate) unsafe fn free_subtree(&mut self, top: NonNull<()>, level: usize) {
        // SAFETY: By the contract above.
        unsafe { self.free_contents(top, level, 0, usize::MAX, ptr::null_mut()) };
        // SAFETY: As above.
        unsafe { self.free_node(top, level) };
    }

    /// Frees what slots `from..to` of a node hold; walks, does not recurse.
    ///
    /// # Safety
    ///
    /// No reader can see it, and the caller owns the node and those slots' contents.
    unsafe fn free_contents(
        &mut self,
        node: NonNull<()>,
        level: usize,
        from: usize,
        to: usize,
        spared: *mut (),
    ) {
        if level == 0 {
            // SAFETY: By the contract above.
            unsafe { drop_entries::<E, C>(node, from, to, spared) };
            return;
        }
        /// A branch on the way down, and the slots of it that remain.
        #[derive(Clone, Copy)]
        struct Rest {
            node: NonNull<()>,
            level: usize,
            next: usize,
            to: usize,
        }
        let mut path: FixedVec<Rest, MAX_HEIGHT> = FixedVec::new();
        path.push(Rest {
            node,
            level,
            next: from,
            to,
        });
        while let Some(rest) = path.pop() {
            // SAFETY: Owned, hence live, and logged with its level.
            let branch = unsafe { NodeRef::<C>::new(rest.node, rest.level) };
            let slots = branch.slots();
            let child = (rest.next < rest.to.min(slots.len()))
                // Relaxed: whoever made the contents unreachable happens before this free.
                .then(|| slots[rest.next].load(Ordering::Relaxed))
                .and_then(NonNull::new);
            let Some(child) = child else {
                if !path.is_empty() {
                    // SAFETY: Its contents are gone, and it is below the node we were given.
                    unsafe { self.free_node(rest.node, rest.level) };
                }
                continue;
            };
            path.push(Rest {
                next: rest.next + 1,
                ..rest
            });
            if rest.level == 1 {
                // SAFETY: Part of what the caller owns.
                unsafe { drop_entries::<E, C>(child, 0, usize::MAX, spared) };
                // SAFETY: As above.
                unsafe { self.free_node(child, 0) };
            } else {
                path.push(Rest {
                    node: child,
                    level: rest.level - 1,
                    next: 0,
                    to: usize::MAX,
                });
            }
        }
    }

    /// Frees a node's memory, not what its slots hold.
    ///
    /// # Safety
    ///
    /// No reader can see it, and the caller owns it.
    #[inline]
    unsafe fn free_node(&mut self, node: NonNull<()>, level: usize) {
        if level == 0 {
            // SAFETY: By the contract above; level 0 is a leaf.
            unsafe { self.release(node.cast::<C::Leaf>()) };
        } else {
            // SAFETY: By the contract above; a higher level is a branch.
            unsafe { self.release(node.cast::<C::Branch>()) };
        }
    }

    /// # Safety
    ///
    /// The caller owns the node, and nobody sees it.
    #[inline]
    unsafe fn release<N: Node>(&mut self, node: NonNull<N>) {
        // SAFETY: By the contract above.
        unsafe { node.drop_in_place() };
        let memory = node.cast::<u8>();
        // SAFETY: The memory of a node just dropped.
        unsafe { strict::poison(memory.as_ptr(), size_of::<N>()) };
        // SAFETY: As above.
        if unsafe { self.blocks.give_back(node.cast()) } {
            return;
        }
        self.nr_single -= 1;
        let pool = self.pool::<N>();
        if pool.len < POOL_LIMIT {
            // SAFETY: Memory of this pool's kind, by the contract above.
            unsafe { pool.put(memory) };
        } else {
            // SAFETY: Not in a block: allocated by `allocate` with this layout.
            unsafe { dealloc(memory.as_ptr(), Layout::new::<N>()) };
        }
    }
}

impl<E: Entry, C: Config> fmt::Debug for Nodes<E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nodes")
            .field("leaves", &self.leaves)
            .field("branches", &self.branches)
            .field("retired", &self.retired)
            .finish_non_exhaustive()
    }
}

impl<E: Entry, C: Config> Drop for Nodes<E, C> {
    fn drop(&mut self) {
        drain::<C::Leaf>(&mut self.leaves);
        drain::<C::Branch>(&mut self.branches);
    }
}

/// Fills the pool up to `nr` nodes.
fn fill<N: Node>(pool: &mut Pool, nr: usize) -> Result<(), AllocError> {
    while pool.len < nr {
        let memory = allocate::<N>()?;
        // SAFETY: Just allocated as a node of this kind.
        unsafe { pool.put(memory) };
    }
    Ok(())
}

fn drain<N: Node>(pool: &mut Pool) {
    while let Some(memory) = pool.take::<N>() {
        // SAFETY: The pool owned it, and allocated it with this layout.
        unsafe { dealloc(memory.as_ptr(), Layout::new::<N>()) };
    }
}

#[cold]
fn allocate<N: Node>() -> Result<NonNull<u8>, AllocError> {
    // SAFETY: A node is not zero-sized.
    NonNull::new(unsafe { alloc(Layout::new::<N>()) }).ok_or(AllocError)
}

/// Drops the entries in slots `from..to` of a leaf.
///
/// # Safety
///
/// `leaf` is live, and the caller owns those entries.
unsafe fn drop_entries<E: Entry, C: Config>(
    leaf: NonNull<()>,
    from: usize,
    to: usize,
    spared: *mut (),
) {
    if !core::mem::needs_drop::<E>() {
        return;
    }
    // SAFETY: By the contract above; level 0 is a leaf.
    let slots = unsafe { NodeRef::<C>::new(leaf, 0) }.slots();
    for slot in slots.iter().take(to).skip(from) {
        // Relaxed: whoever made the entries unreachable happens before this free.
        // SAFETY: By the contract above.
        unsafe { drop_entry::<E>(slot.load(Ordering::Relaxed), spared) };
    }
}

/// # Safety
///
/// `raw` is null, or an entry that the caller owns.
#[inline]
unsafe fn drop_entry<E: Entry>(raw: *mut (), spared: *mut ()) {
    if let Some(raw) = NonNull::new(raw)
        && raw.as_ptr() != spared
    {
        // SAFETY: By the contract above.
        drop(unsafe { E::from_raw(raw) });
    }
}
