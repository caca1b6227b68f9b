//! A tree in two hands: one that writes, and any number that read.
//!
//! # Safety
//!
//! There is one [`TreeWriter`] of a tree, and what it changes it reaches by `&mut self`. Readers
//! borrow a [`TreeReader`] and a read section of the backend for `'g`: what is displaced meanwhile
//! is freed after a grace period, and the rest only with the last handle, which nobody borrows.
#![expect(
    unsafe_code,
    reason = "lends the writer's state by its unique handle, and frees with the last one"
)]

use crate::config::Config;
#[cfg(feature = "std")]
use crate::config::Gaps;
use crate::core_tree::CoreTree;
use crate::entry::Entry;
use crate::error::{AllocError, ReadersStalled};
use crate::limbo::Limbo;
use crate::link::Root;
use crate::nodes::Nodes;
use crate::reader::Reader;
use crate::tree::MapleTree;
use crate::version::Version;
use crate::write::Finger;
use core::fmt;
use core::marker::PhantomData;
use vmaple_rcu::{Backend, ReadGuard};
use vmaple_sync::cell::UnsafeCell;
use vmaple_sync::joint::Joint;

/// Marks a [`TreeWriter`] that its owner may move: every one but those that a guard lends.
pub type Owned = [(); 0];

/// Marks a [`TreeWriter`] that a [`WriteGuard`](crate::WriteGuard) lends. It has no size of its
/// own, so it cannot be swapped with that of another tree: the lock and the writer stay together.
pub type Lent = [()];

/// What all handles of a tree lead to.
struct Trunk<E: Entry, C: Config> {
    /// Alone on its cache line: readers come here, while the writer changes the rest.
    root: Line<Root>,
    /// On another, for those few who ask: each write changes it.
    version: Line<Version>,
    /// The writer's alone.
    state: UnsafeCell<State<E, C>>,
}

#[repr(align(64))]
struct Line<T>(T);

pub(crate) struct State<E: Entry, C: Config> {
    pub(crate) nodes: Nodes<E, C>,
    pub(crate) limbo: Limbo,
    /// Where the writer was told that it will be wanted.
    pub(crate) finger: Finger,
}

// SAFETY: The tree owns its entries and may drop them on the thread it is sent to.
unsafe impl<E: Entry + Send, C: Config> Send for Trunk<E, C> {}
// SAFETY: Readers share entries (`Sync`); the writer, on any thread, stores and drops them
// (`Send`). The state is the one writer's.
unsafe impl<E: Entry + Send + Sync, C: Config> Sync for Trunk<E, C> {}

impl<E: Entry, C: Config> Trunk<E, C> {
    fn new(core: &mut CoreTree<E, C>) -> Self {
        Self {
            root: Line(core::mem::replace(&mut core.root, Root::new())),
            version: Line(Version::new()),
            state: UnsafeCell::new(State {
                nodes: core::mem::replace(&mut core.nodes, Nodes::new()),
                limbo: Limbo::new(),
                finger: Finger::new(),
            }),
        }
    }

    /// Takes the tree out, which frees what was displaced.
    fn take_core(&mut self) -> CoreTree<E, C> {
        let root = core::mem::replace(&mut self.root.0, Root::new());
        // SAFETY: `&mut self`: no handle is left, or one that is not used meanwhile.
        let state = self.state.with_mut(|state| unsafe { &mut *state });
        // SAFETY: As above: no reader borrows a handle any more.
        unsafe { state.limbo.free_all(&mut state.nodes) };
        state.finger.clear();
        let nodes = core::mem::replace(&mut state.nodes, Nodes::new());
        CoreTree { root, nodes }
    }
}

impl<E: Entry, C: Config> Drop for Trunk<E, C> {
    fn drop(&mut self) {
        drop(self.take_core());
    }
}

/// The hand that writes a tree which others read: there is one.
///
/// All writes take `&mut self`. So whoever keeps it in a lock of their own has proved by that that
/// one writer is at work, and needs no lock of the tree's; a
/// [`SharedMapleTree`](crate::SharedMapleTree) is this with a lock around it. Readers have
/// [`TreeReader`]s, made by [`new_reader`](Self::new_reader). The writer itself reads by
/// [`reader`](Self::reader), without a read section.
///
/// Every store is one atomic step for readers. Memory that a write displaces is freed in batches,
/// by later writes, once no reader can see it; a reader that stays in its section keeps everything
/// displaced meanwhile, which [`keep_waiting_within`](Self::keep_waiting_within) bounds.
///
/// Dropping the writer leaves the tree as it is to its readers; the last handle frees it.
///
/// The operations are in the sections below; `S` tells a writer that is owned from one that a lock
/// lends, and can be left out.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "std")] {
/// use maple_tree::{Span, TreeWriter};
/// use std::sync::Mutex;
///
/// /// The tree is written under the same lock as what belongs to it.
/// struct Extents {
///     tree: TreeWriter<u32>,
///     nr_stored: u64,
/// }
/// let extents = Mutex::new(Extents { tree: TreeWriter::new(), nr_stored: 0 });
/// let reader = extents.lock().unwrap().tree.new_reader();
///
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut extents = extents.lock().unwrap();
///         extents.tree.store(10..=19, 1).expect("memory");
///         extents.nr_stored += 1;
///     });
///     scope.spawn(|| {
///         let section = reader.enter();
///         let seen = reader.read(&section).load(15);
///         assert!(seen.is_none() || seen == Some((Span::new(10, 19), 1)));
///     });
/// });
/// # }
/// ```
///
/// Readers cannot write, and two cannot write at once:
///
/// ```compile_fail
/// let writer: maple_tree::TreeWriter<u32> = maple_tree::TreeWriter::new();
/// writer.new_reader().store(0..=9, 1);
/// ```
pub struct TreeWriter<
    E: Entry,
    #[cfg(feature = "std")] C: Config = Gaps,
    #[cfg(not(feature = "std"))] C: Config,
    #[cfg(feature = "std")] B: Backend = vmaple_rcu::DefaultBackend,
    #[cfg(not(feature = "std"))] B: Backend,
    S: ?Sized = Owned,
> {
    trunk: Joint<Trunk<E, C>>,
    backend: PhantomData<fn() -> B>,
    /// Last, so that a reference to an owned writer turns into one to a lent one.
    #[expect(dead_code, reason = "its type is what counts")]
    size: S,
}

/// A hand that reads a tree beside its writer. Clones are cheap, and go to other threads.
///
/// Made by [`TreeWriter::new_reader`]. Readers take no lock and never wait. The tree's memory
/// stays until the last handle is dropped; after the writer's own drop it does not change any
/// more.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "std")] {
/// use maple_tree::{Span, TreeWriter};
///
/// let mut writer: TreeWriter<u32> = TreeWriter::new();
/// let reader = writer.new_reader();
/// writer.store(10..=19, 7).expect("memory");
/// drop(writer);
///
/// let section = reader.enter();
/// assert_eq!(reader.read(&section).load(12), Some((Span::new(10, 19), 7)));
/// # }
/// ```
///
/// Nothing read outlives the section, nor the handle:
///
/// ```compile_fail
/// let writer: maple_tree::TreeWriter<std::sync::Arc<u32>> = maple_tree::TreeWriter::new();
/// let reader = writer.new_reader();
/// let section = reader.enter();
/// let entry = reader.read(&section).load(5);
/// drop(reader);
/// println!("{entry:?}");
/// ```
pub struct TreeReader<
    E: Entry,
    #[cfg(feature = "std")] C: Config = Gaps,
    #[cfg(not(feature = "std"))] C: Config,
    #[cfg(feature = "std")] B: Backend = vmaple_rcu::DefaultBackend,
    #[cfg(not(feature = "std"))] B: Backend,
> {
    trunk: Joint<Trunk<E, C>>,
    backend: PhantomData<fn() -> B>,
}

impl<E: Entry, C: Config, B: Backend> TreeWriter<E, C, B> {
    /// The writer of a tree without entries.
    ///
    /// Without memory it ends the program as `Box` does; see [`try_from_tree`](Self::try_from_tree)
    /// for being told instead.
    #[must_use]
    pub fn new() -> Self {
        Self::from(MapleTree::new())
    }

    /// Opens a tree to readers: build it first, then share it. O(1).
    ///
    /// # Errors
    ///
    /// Without memory for what the handles share: the tree comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use maple_tree::{MapleTree, TreeWriter};
    ///
    /// let tree: MapleTree<u32> = [(0..=9, 1)].into_iter().collect();
    /// let writer: TreeWriter<u32> = TreeWriter::try_from_tree(tree).expect("memory");
    /// assert_eq!(writer.reader().get(5), Some(1));
    /// # }
    /// ```
    #[expect(clippy::result_large_err, reason = "the tree itself comes back")]
    pub fn try_from_tree(tree: MapleTree<E, C>) -> Result<Self, MapleTree<E, C>> {
        let mut core = tree.into_core();
        match Joint::try_new(Trunk::new(&mut core)) {
            Ok(trunk) => Ok(Self {
                trunk,
                backend: PhantomData,
                size: [],
            }),
            Err(mut trunk) => Err(MapleTree::from_core(trunk.take_core())),
        }
    }
}

impl<E: Entry, C: Config, B: Backend> Default for TreeWriter<E, C, B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entry, C: Config, B: Backend> From<MapleTree<E, C>> for TreeWriter<E, C, B> {
    /// As [`try_from_tree`](Self::try_from_tree); without memory it ends the program as `Box`
    /// does.
    fn from(tree: MapleTree<E, C>) -> Self {
        Self::try_from_tree(tree).unwrap_or_else(|_| {
            alloc::alloc::handle_alloc_error(alloc::alloc::Layout::new::<Trunk<E, C>>())
        })
    }
}

impl<E: Entry, C: Config, B: Backend, S: ?Sized> TreeWriter<E, C, B, S> {
    /// A hand that reads beside this one.
    #[must_use]
    pub fn new_reader(&self) -> TreeReader<E, C, B> {
        TreeReader {
            trunk: self.trunk.clone(),
            backend: PhantomData,
        }
    }

    /// The reading half: the borrow forbids writing, so no read section is needed.
    #[inline]
    #[must_use]
    pub fn reader(&self) -> Reader<'_, E, C> {
        // SAFETY: While the one writer is borrowed nobody writes, and only writes free.
        unsafe { Reader::with_version(&self.trunk.root.0, &self.trunk.version.0) }
    }

    /// Whether no [`TreeReader`] is left: then writes may change nodes in place, which is cheaper.
    ///
    /// True until [`new_reader`](Self::new_reader) is called next.
    #[inline]
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.trunk.is_only()
    }

    /// What a write needs: the root, the version, and what is the writer's alone.
    #[inline]
    pub(crate) fn parts_mut(&mut self) -> (&Root, &Version, &mut State<E, C>) {
        // SAFETY: There is one writer, borrowed by `&mut`: this is the only reference.
        let state = self.trunk.state.with_mut(|state| unsafe { &mut *state });
        (&self.trunk.root.0, &self.trunk.version.0, state)
    }

    pub(crate) fn state(&self) -> &State<E, C> {
        // SAFETY: There is one writer, and its borrow forbids `parts_mut`.
        self.trunk.state.with(|state| unsafe { &*state })
    }

    /// How many displaced nodes and entries wait for readers to leave.
    #[must_use]
    pub fn nr_waiting(&self) -> usize {
        let State { nodes, limbo, .. } = self.state();
        nodes.nr_retired() + limbo.nr_waiting()
    }

    /// Sees to it that at most `most` displaced nodes and entries wait for readers to leave: frees
    /// what no reader can see any more, if there are more than that. Waits for nobody.
    ///
    /// A reader that stays in its section keeps everything that is displaced meanwhile, and by
    /// itself nothing stops writers from displacing more. Called before each write, this bounds it
    /// by `most` and what one write displaces. A node counts as one, and has at most a few hundred
    /// bytes, but for a write over a wide range, which displaces whole subtrees that count as one
    /// each.
    ///
    /// O(1) as long as no more than `most` wait, else a barrier on all processors.
    ///
    /// # Errors
    ///
    /// More than `most` wait for readers that are still inside: try again later, write all the same,
    /// or wait by [`reclaim`](Self::reclaim).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use maple_tree::{ReadersStalled, TreeWriter};
    ///
    /// let mut writer: TreeWriter<u32> = TreeWriter::new();
    /// let reader = writer.new_reader();
    /// let section = reader.enter();
    /// let stalled: ReadersStalled = (0..10_000)
    ///     .find_map(|i| {
    ///         writer.store(i..=i + 5, 1).expect("memory");
    ///         writer.keep_waiting_within(1000).err()
    ///     })
    ///     .expect("the reader stays inside");
    /// assert!(stalled.nr_waiting < 1100);
    /// drop(section);
    /// # // Readers of other tests share the backend.
    /// # writer.reclaim();
    /// assert!(writer.keep_waiting_within(1000).is_ok());
    /// # }
    /// ```
    pub fn keep_waiting_within(&mut self, most: usize) -> Result<(), ReadersStalled> {
        if self.nr_waiting() <= most {
            return Ok(());
        }
        let (_, _, State { nodes, limbo, .. }) = self.parts_mut();
        limbo.try_free::<E, C, B>(nodes);
        let nr_waiting = self.nr_waiting();
        if nr_waiting > most {
            return Err(ReadersStalled { nr_waiting });
        }
        Ok(())
    }

    /// Waits until no reader can see what was displaced so far, and frees it.
    ///
    /// # Panics
    ///
    /// Inside a read section of the same backend, where it could never return.
    pub fn reclaim(&mut self) {
        B::synchronize();
        let (_, _, State { nodes, limbo, .. }) = self.parts_mut();
        // SAFETY: A grace period has passed since all of it was displaced.
        unsafe { limbo.free_all(nodes) };
    }

    /// A copy with the same structure, with one owner; every entry is duplicated. O(n).
    ///
    /// # Errors
    ///
    /// Without memory.
    pub fn duplicate(&self) -> Result<MapleTree<E, C>, AllocError> {
        Ok(MapleTree::from_core(CoreTree::copy_of(
            self.reader(),
            &self.state().nodes,
        )?))
    }
}

impl<E: Entry, C: Config, B: Backend, S: ?Sized> fmt::Debug for TreeWriter<E, C, B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeWriter")
            .field("height", &self.trunk.root.0.height())
            .field("nr_waiting", &self.nr_waiting())
            .finish_non_exhaustive()
    }
}

impl<E: Entry, C: Config, B: Backend> TreeReader<E, C, B> {
    /// Enters a read section of this tree's backend. Sections nest, and serve every tree of the
    /// same backend.
    #[inline]
    pub fn enter(&self) -> ReadGuard<B> {
        ReadGuard::enter()
    }

    /// The view of the tree, for as long as both borrows.
    #[inline]
    #[must_use]
    pub fn read<'g>(&'g self, _section: &'g ReadGuard<B>) -> Reader<'g, E, C> {
        // SAFETY: The section is open during 'g, and what is unlinked meanwhile is freed only
        // after a grace period; this handle keeps the rest during 'g.
        unsafe { Reader::with_version(&self.trunk.root.0, &self.trunk.version.0) }
    }

    /// Whether both lead to the same tree.
    #[must_use]
    pub fn is_of_same_tree(&self, other: &Self) -> bool {
        core::ptr::eq(&raw const *self.trunk, &raw const *other.trunk)
    }
}

impl<E: Entry, C: Config, B: Backend> Clone for TreeReader<E, C, B> {
    fn clone(&self) -> Self {
        Self {
            trunk: self.trunk.clone(),
            backend: PhantomData,
        }
    }
}

impl<E: Entry, C: Config, B: Backend> fmt::Debug for TreeReader<E, C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeReader")
            .field("height", &self.trunk.root.0.height())
            .finish_non_exhaustive()
    }
}
