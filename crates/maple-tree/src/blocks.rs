//! Blocks: memory for many nodes at once, for a tree that is made in one go.
//!
//! A copy of a tree knows how many nodes it needs. It takes their memory in blocks and carves the
//! nodes out of them, leaf after leaf; when such a tree is dropped, so are its blocks, and no node
//! is looked at. A node that a write displaces before stays where it is: a block is freed when the
//! last of its nodes is. So that one node does not hold much, a block is no larger than
//! [`BLOCK_BYTES`]. The blocks of a dropped copy go to the shelf of its family.
//!
//! # Safety
//!
//! A block is live while one of its nodes is, or until the tree is dropped.
#![expect(unsafe_code, reason = "allocates and frees blocks of nodes")]

use crate::error::AllocError;
use crate::node::Node;
use crate::shelf::Family;
use alloc::alloc::{Layout, alloc, dealloc};
use alloc::vec::Vec;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use vmaple_rcu::strict;

/// How large a block is at most. Where a checker should see each free, a block holds one node.
const BLOCK_BYTES: usize = if strict::IS_STRICT { 0 } else { 64 << 10 };

/// Where nodes begin: a cache line.
const ALIGN: usize = 64;
/// What every allocator gives without a search for an aligned place, which costs more than to leave
/// some bytes unused.
const PLAIN_ALIGN: usize = 16;
/// How much may be lost before the first node.
const LOST_BYTES: usize = ALIGN - PLAIN_ALIGN;

/// A piece of memory in which there are no nodes.
#[derive(Debug)]
pub(crate) struct Piece {
    /// As allocated: the first node begins at the first cache line in it.
    start: NonNull<u8>,
    layout: Layout,
}

impl Piece {
    fn try_new(nr_bytes: usize) -> Result<Self, AllocError> {
        let layout = Layout::from_size_align(nr_bytes, PLAIN_ALIGN).map_err(|_| AllocError)?;
        // SAFETY: A node is not zero-sized.
        let start = NonNull::new(unsafe { alloc(layout) }).ok_or(AllocError)?;
        Ok(Self { start, layout })
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // SAFETY: Allocated in `try_new` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// A piece of memory that holds nodes, one behind the other.
#[derive(Debug)]
struct Block {
    piece: ManuallyDrop<Piece>,
    /// How many of its nodes are in use.
    nr_live: usize,
}

impl Block {
    fn start(&self) -> usize {
        self.piece.start.addr().get()
    }

    /// The memory alone.
    ///
    /// # Safety
    ///
    /// None of its nodes is used any more.
    unsafe fn into_piece(self) -> Piece {
        ManuallyDrop::into_inner(self.piece)
    }
}

/// The blocks of one tree.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// In the order of their addresses.
    blocks: Vec<Block>,
    family: Family,
}

impl Blocks {
    pub(crate) fn new() -> Self {
        Self::of(Family::new())
    }

    /// For a copy with nodes of `nr_bytes` in all.
    pub(crate) fn for_copy(&self, nr_bytes: usize) -> Self {
        Self::of(self.family.with_copy(nr_bytes))
    }

    fn of(family: Family) -> Self {
        Self {
            blocks: Vec::new(),
            family,
        }
    }

    /// Begins to take memory for nodes of `nr_bytes` in all.
    pub(crate) fn carve(&mut self, nr_bytes: usize) -> Carver<'_> {
        Carver {
            blocks: &mut self.blocks,
            family: &mut self.family,
            nr_bytes,
            next: NonNull::dangling(),
            room: 0,
        }
    }

    /// Gives the memory of a node back. False: it is not in a block.
    ///
    /// # Safety
    ///
    /// The caller owns the node, nobody sees it, and it is not used again.
    #[inline]
    pub(crate) unsafe fn give_back(&mut self, node: NonNull<()>) -> bool {
        // SAFETY: By the contract above.
        !self.blocks.is_empty() && unsafe { self.give_back_to_some(node) }
    }

    /// # Safety
    ///
    /// As for [`give_back`](Self::give_back).
    unsafe fn give_back_to_some(&mut self, node: NonNull<()>) -> bool {
        let node = node.addr().get();
        let after = self.blocks.partition_point(|block| block.start() <= node);
        let Some(at) = after.checked_sub(1) else {
            return false;
        };
        let block = &mut self.blocks[at];
        if node - block.start() >= block.piece.size() {
            return false;
        }
        block.nr_live -= 1;
        let is_unused = block.nr_live == 0 && !cfg!(planted = "block_kept");
        if is_unused || cfg!(planted = "block_early") {
            // SAFETY: That was its last node.
            drop(unsafe { self.blocks.remove(at).into_piece() });
        }
        true
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        let pieces = self.blocks.drain(..).map(|block| {
            // SAFETY: The tree is gone, and with it its nodes.
            unsafe { block.into_piece() }
        });
        self.family.leave(pieces);
    }
}

/// Takes nodes out of new blocks.
#[derive(Debug)]
pub(crate) struct Carver<'b> {
    blocks: &'b mut Vec<Block>,
    family: &'b mut Family,
    /// How much is still to be carved, in all.
    nr_bytes: usize,
    /// What is left of the last block.
    next: NonNull<u8>,
    room: usize,
}

impl Carver<'_> {
    /// Memory for a node, which the caller owns.
    #[inline]
    pub(crate) fn take<N: Node>(&mut self) -> Result<NonNull<N>, AllocError> {
        const { assert!(align_of::<N>() == ALIGN && size_of::<N>().is_multiple_of(ALIGN)) };
        let size = size_of::<N>();
        if self.room < size {
            self.open(size)?;
        }
        let node = self.next.cast();
        // SAFETY: The block has room for this node.
        self.next = unsafe { self.next.add(size) };
        self.room -= size;
        self.nr_bytes = self.nr_bytes.saturating_sub(size);
        if let Some(block) = self.blocks.last_mut() {
            block.nr_live += 1;
        }
        Ok(node)
    }

    /// Allocates the next block, for a node of `size` bytes and what comes after it.
    #[cold]
    fn open(&mut self, size: usize) -> Result<(), AllocError> {
        self.blocks.try_reserve(1).map_err(|_| AllocError)?;
        let nr_bytes = self.nr_bytes.min(BLOCK_BYTES).max(size);
        let piece = match self.family.take(nr_bytes + LOST_BYTES) {
            Some(piece) => piece,
            None => Piece::try_new(nr_bytes + LOST_BYTES)?,
        };
        let start = piece.start;
        let before = start.addr().get().wrapping_neg() % ALIGN;
        self.room = piece.size() - LOST_BYTES;
        self.blocks.push(Block {
            piece: ManuallyDrop::new(piece),
            nr_live: 0,
        });
        // SAFETY: The place is aligned to 16, so the next cache line is at most 48 bytes away, and
        // so much more was asked for.
        self.next = unsafe { start.add(before) };
        Ok(())
    }
}

impl Drop for Carver<'_> {
    fn drop(&mut self) {
        self.blocks.sort_unstable_by_key(Block::start);
    }
}
