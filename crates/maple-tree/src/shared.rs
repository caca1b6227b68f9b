//! The tree shared by threads: readers in read sections beside one writer at a time.
//!
//! # Safety
//!
//! Readers borrow the tree and a read section of its backend for `'g`. What a write displaces is
//! kept in the limbo until a grace period of that backend, started after the write, has elapsed;
//! then every section that could see it has been left. Dropping the tree needs `&mut`: no reader
//! borrows it any more, so nothing is waited for.
#![expect(
    unsafe_code,
    reason = "frees what a write displaced, after a grace period"
)]

use crate::allocate::{Choice, Room};
#[cfg(feature = "std")]
use crate::config::Gaps;
use crate::config::{Config, TracksGaps};
use crate::core_tree::CoreTree;
use crate::entry::Entry;
use crate::error::{AllocError, StoreError, WriteError};
use crate::link::Root;
use crate::nodes::{Nodes, Retired};
use crate::reader::Reader;
use crate::span::Span;
use crate::tree::MapleTree;
use crate::validate::{self, Violation};
use crate::write::Writer;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ptr;
use vmaple_rcu::{Backend, GracePeriod, ReadGuard, strict};
use vmaple_sync::mutex::{Mutex, MutexGuard};
use vmaple_sync::wait::{DefaultWait, Wait};

/// How many retired things make a batch: a batch costs one grace period. Small where a checker
/// should see batches close.
const BATCH: usize = if strict::IS_STRICT || cfg!(loom) {
    1
} else {
    128
};

/// What was displaced and may still be seen.
#[derive(Debug)]
struct Limbo {
    /// Displaced since the last grace period was started.
    filling: Vec<Retired>,
    /// Displaced before `period` was started.
    waiting: Vec<Retired>,
    period: GracePeriod,
    /// The length of `filling` at which to look again.
    look_at: usize,
}

/// What the writer's lock protects.
struct Writable<E: Entry, C: Config> {
    nodes: Nodes<E, C>,
    limbo: Limbo,
}

/// A [`MapleTree`] that any number of threads read while one writes.
///
/// Readers take no lock and never wait: they enter a read section of the backend `B`, and get
/// references bounded by it. Writers take turns by a lock inside ([`write`](Self::write)). Every
/// store is one atomic step for readers: a lookup answers with an entry and bounds from before
/// it or from after it.
///
/// Memory that a write displaces is freed in batches, by later writes, once no reader can see
/// it. A reader that stays in its section keeps everything displaced meanwhile.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "std")] {
/// use maple_tree::{SharedMapleTree, Span};
/// use std::sync::Arc;
///
/// let tree: SharedMapleTree<Arc<String>> = SharedMapleTree::new();
/// tree.write().store(0..=9, Arc::new("ten".to_owned())).expect("memory");
///
/// let section = tree.enter();
/// let (span, entry) = tree.read(&section).load(5).expect("stored above");
/// tree.write().clear(0..=9).expect("memory");
/// assert_eq!((span, entry.as_str()), (Span::new(0, 9), "ten"), "still readable");
/// assert!(tree.read(&section).load(5).is_none(), "a new lookup sees the new tree");
/// # }
/// ```
///
/// Nothing read can outlive the section:
///
/// ```compile_fail
/// let tree: maple_tree::SharedMapleTree<std::sync::Arc<String>> = Default::default();
/// let section = tree.enter();
/// let entry = tree.read(&section).load(5);
/// drop(section);
/// println!("{entry:?}");
/// ```
#[cfg(feature = "std")]
pub struct SharedMapleTree<
    E: Entry,
    C: Config = Gaps,
    B: Backend = vmaple_rcu::DefaultBackend,
    W: Wait = DefaultWait,
> {
    root: Root,
    writable: Mutex<Writable<E, C>, W>,
    backend: PhantomData<fn() -> B>,
}

/// A [`MapleTree`] that any number of threads read while one writes, by the backend `B`.
#[cfg(not(feature = "std"))]
pub struct SharedMapleTree<E: Entry, C: Config, B: Backend, W: Wait = DefaultWait> {
    root: Root,
    writable: Mutex<Writable<E, C>, W>,
    backend: PhantomData<fn() -> B>,
}

// SAFETY: The tree owns its entries and may drop them on the thread it is sent to.
unsafe impl<E: Entry + Send, C: Config, B: Backend, W: Wait> Send for SharedMapleTree<E, C, B, W> {}
// SAFETY: Readers share entries (`Sync`); a writer on any thread stores and drops them (`Send`).
unsafe impl<E: Entry + Send + Sync, C: Config, B: Backend, W: Wait> Sync
    for SharedMapleTree<E, C, B, W>
{
}

impl<E: Entry, C: Config, B: Backend, W: Wait> Default for SharedMapleTree<E, C, B, W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entry, C: Config, B: Backend, W: Wait> SharedMapleTree<E, C, B, W> {
    /// A tree without entries.
    #[must_use]
    pub fn new() -> Self {
        Self {
            root: Root::new(),
            writable: Mutex::new(Writable {
                nodes: Nodes::new(),
                limbo: Limbo {
                    filling: Vec::new(),
                    waiting: Vec::new(),
                    period: GracePeriod(0),
                    look_at: BATCH,
                },
            }),
            backend: PhantomData,
        }
    }

    /// Enters a read section of this tree's backend. Sections nest, and serve every tree of the
    /// same backend.
    #[inline]
    pub fn enter(&self) -> ReadGuard<B> {
        ReadGuard::enter()
    }

    /// The reading half, for as long as both borrows.
    #[inline]
    pub fn read<'g>(&'g self, _section: &'g ReadGuard<B>) -> Reader<'g, E, C> {
        // SAFETY: The section is open during 'g, and what is unlinked meanwhile is freed only
        // after a grace period; the tree is not dropped during 'g.
        unsafe { Reader::new(&self.root) }
    }

    /// Takes the writer's lock, waiting until it is free.
    pub fn write(&self) -> WriteGuard<'_, E, C, B, W> {
        WriteGuard {
            root: &self.root,
            writable: self.writable.lock(),
            backend: PhantomData,
        }
    }
}

impl<E: Entry, C: Config, B: Backend, W: Wait> Drop for SharedMapleTree<E, C, B, W> {
    fn drop(&mut self) {
        let writable = self.writable.get_mut();
        let Limbo {
            filling, waiting, ..
        } = &mut writable.limbo;
        for retired in waiting.drain(..).chain(filling.drain(..)) {
            // SAFETY: `&mut self`: no reader borrows the tree any more.
            unsafe { writable.nodes.free(retired, ptr::null_mut()) };
        }
        // The rest is a tree with one owner.
        drop(CoreTree {
            root: core::mem::replace(&mut self.root, Root::new()),
            nodes: core::mem::replace(&mut writable.nodes, Nodes::new()),
        });
    }
}

impl<E: Entry, C: Config, B: Backend, W: Wait> From<MapleTree<E, C>>
    for SharedMapleTree<E, C, B, W>
{
    /// Opens a tree to readers: build it first, then share it.
    fn from(tree: MapleTree<E, C>) -> Self {
        let mut shared = Self::new();
        let mut core = tree.into_core();
        core::mem::swap(&mut shared.root, &mut core.root);
        core::mem::swap(&mut shared.writable.get_mut().nodes, &mut core.nodes);
        shared
    }
}

impl<E: Entry, C: Config, B: Backend, W: Wait> fmt::Debug for SharedMapleTree<E, C, B, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMapleTree")
            .field("height", &self.root.height())
            .finish_non_exhaustive()
    }
}

/// The right to write a [`SharedMapleTree`], until dropped. It reads without a section.
pub struct WriteGuard<'t, E: Entry, C: Config, B: Backend, W: Wait = DefaultWait> {
    root: &'t Root,
    writable: MutexGuard<'t, Writable<E, C>, W>,
    backend: PhantomData<fn() -> B>,
}

impl<E: Entry, C: Config, B: Backend, W: Wait> fmt::Debug for WriteGuard<'_, E, C, B, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteGuard")
    }
}

impl<E: Entry, C: Config, B: Backend, W: Wait> WriteGuard<'_, E, C, B, W> {
    /// Runs one write, with room made beforehand for what it displaces.
    fn run<R, F>(
        &mut self,
        write: impl FnOnce(&mut Writer<'_, E, C>) -> Result<R, F>,
    ) -> Result<R, F> {
        let Writable { nodes, limbo } = &mut *self.writable;
        let outcome = write(&mut Writer::beside_readers(self.root, nodes));
        limbo.take_over::<E, C, B>(nodes);
        outcome
    }

    /// See [`MapleTree::store`]; what is displaced is dropped after a grace period.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn store(&mut self, range: impl Into<Span>, entry: E) -> Result<(), StoreError<E>> {
        let span = range.into();
        self.run(|writer| writer.store(span, entry))
    }

    /// See [`MapleTree::insert`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn insert(&mut self, range: impl Into<Span>, entry: E) -> Result<(), StoreError<E>> {
        let span = range.into();
        self.run(|writer| writer.insert(span, entry))
    }

    /// Removes the entry at `index` with its whole range, and says which. The entry is dropped
    /// after a grace period: readers may still look at it. [`load`](Reader::load) it before to
    /// keep a copy.
    ///
    /// # Errors
    ///
    /// Without memory; the tree is unchanged.
    pub fn erase(&mut self, index: u64) -> Result<Option<Span>, AllocError> {
        let erased = self.run(|writer| writer.erase(index))?;
        Ok(erased.map(|(span, _)| span))
    }

    /// See [`MapleTree::clear`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn clear(&mut self, range: impl Into<Span>) -> Result<(), WriteError> {
        let span = range.into();
        self.run(|writer| writer.clear(span))
    }

    /// The reading half: the lock keeps every writer out, so no section is needed.
    #[inline]
    #[must_use]
    pub fn reader(&self) -> Reader<'_, E, C> {
        // SAFETY: While this guard is borrowed nobody writes, and only writes free.
        unsafe { Reader::new(self.root) }
    }

    /// A copy with the same structure, with one owner; every entry is duplicated.
    ///
    /// # Errors
    ///
    /// Without memory.
    pub fn duplicate(&self) -> Result<MapleTree<E, C>, AllocError> {
        Ok(MapleTree::from_core(CoreTree::copy_of(self.reader())?))
    }

    /// See [`MapleTree::validate`].
    ///
    /// # Errors
    ///
    /// The first violation found.
    pub fn validate(&self) -> Result<(), Violation> {
        validate::validate(self.reader())
    }

    /// How many displaced nodes and entries wait for readers to leave.
    #[must_use]
    pub fn nr_waiting(&self) -> usize {
        self.writable.limbo.filling.len() + self.writable.limbo.waiting.len()
    }

    /// Waits until no reader can see what was displaced so far, and frees it. Must not be called
    /// inside a read section of the same backend.
    pub fn reclaim(&mut self) {
        B::synchronize();
        let Writable { nodes, limbo } = &mut *self.writable;
        for retired in limbo.waiting.drain(..).chain(limbo.filling.drain(..)) {
            // SAFETY: A grace period has passed since all of it was displaced.
            unsafe { nodes.free(retired, ptr::null_mut()) };
        }
        limbo.look_at = BATCH;
    }
}

impl<E: Entry, C: TracksGaps, B: Backend, W: Wait> WriteGuard<'_, E, C, B, W> {
    /// See [`MapleTree::allocate_lowest`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn allocate_lowest(&mut self, room: Room, entry: E) -> Result<Span, StoreError<E>> {
        self.run(|writer| writer.allocate(room, Choice::Lowest, entry))
    }

    /// See [`MapleTree::allocate_highest`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn allocate_highest(&mut self, room: Room, entry: E) -> Result<Span, StoreError<E>> {
        self.run(|writer| writer.allocate(room, Choice::Highest, entry))
    }
}

impl Limbo {
    /// Takes what the last write displaced; frees an older batch when its time has come.
    #[inline]
    fn take_over<E: Entry, C: Config, B: Backend>(&mut self, nodes: &mut Nodes<E, C>) {
        if self.filling.is_empty() {
            core::mem::swap(&mut self.filling, nodes.retired_mut());
        } else {
            self.filling.append(nodes.retired_mut());
        }
        if self.filling.len() >= self.look_at {
            self.turn::<E, C, B>(nodes);
        }
    }

    /// Frees the waiting batch if its grace period has elapsed, and starts one for the next.
    #[cold]
    fn turn<E: Entry, C: Config, B: Backend>(&mut self, nodes: &mut Nodes<E, C>) {
        if !self.waiting.is_empty() && !cfg!(planted = "early_free") && !B::has_elapsed(self.period)
        {
            // A reader stays inside: ask again when as much again has come together.
            self.look_at = self.filling.len() + BATCH;
            return;
        }
        for retired in self.waiting.drain(..) {
            // SAFETY: Displaced before `period` was started, and that has elapsed.
            unsafe { nodes.free(retired, ptr::null_mut()) };
        }
        core::mem::swap(&mut self.filling, &mut self.waiting);
        self.period = B::start_grace_period();
        self.look_at = BATCH;
    }
}
