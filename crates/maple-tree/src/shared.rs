//! The tree shared by threads: readers in read sections beside one writer at a time.

use crate::config::Config;
#[cfg(feature = "std")]
use crate::config::Gaps;
use crate::entry::Entry;
use crate::handles::{Lent, TreeReader, TreeWriter};
use crate::reader::Reader;
use crate::tree::MapleTree;
use core::fmt;
use core::ops::{Deref, DerefMut};
use vmaple_rcu::{Backend, ReadGuard};
use vmaple_sync::mutex::{Mutex, MutexGuard};
use vmaple_sync::wait::{DefaultWait, Wait};

/// A [`MapleTree`] that any number of threads read while one writes.
///
/// Readers take no lock and never wait: they enter a read section of the backend `B`, and get
/// references bounded by it. Writers take turns by a lock inside ([`write`](Self::write)). Every
/// store is one atomic step for readers: a lookup answers with an entry and bounds from before
/// it or from after it. To keep the tree under a lock of your own, take a [`TreeWriter`].
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
pub struct SharedMapleTree<
    E: Entry,
    #[cfg(feature = "std")] C: Config = Gaps,
    #[cfg(not(feature = "std"))] C: Config,
    #[cfg(feature = "std")] B: Backend = vmaple_rcu::DefaultBackend,
    #[cfg(not(feature = "std"))] B: Backend,
    W: Wait = DefaultWait,
> {
    reader: TreeReader<E, C, B>,
    writer: Mutex<TreeWriter<E, C, B>, W>,
}

impl<E: Entry, C: Config, B: Backend, W: Wait> Default for SharedMapleTree<E, C, B, W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entry, C: Config, B: Backend, W: Wait> SharedMapleTree<E, C, B, W> {
    /// A tree without entries. Allocates what its handles share; without memory it ends the
    /// program as `Box` does. [`TreeWriter::try_from_tree`] tells instead.
    #[must_use]
    pub fn new() -> Self {
        Self::from(TreeWriter::new())
    }

    /// Enters a read section of this tree's backend. Sections nest, and serve every tree of the
    /// same backend.
    #[inline]
    pub fn enter(&self) -> ReadGuard<B> {
        self.reader.enter()
    }

    /// The reading half, for as long as both borrows.
    #[inline]
    pub fn read<'g>(&'g self, section: &'g ReadGuard<B>) -> Reader<'g, E, C> {
        self.reader.read(section)
    }

    /// A handle for reading that does not borrow this one, for threads that may outlive it.
    #[must_use]
    pub fn new_reader(&self) -> TreeReader<E, C, B> {
        self.reader.clone()
    }

    /// Takes the writer's lock, waiting until it is free.
    pub fn write(&self) -> WriteGuard<'_, E, C, B, W> {
        WriteGuard(self.writer.lock())
    }

    /// Takes the writer's lock if it is free.
    pub fn try_write(&self) -> Option<WriteGuard<'_, E, C, B, W>> {
        self.writer.try_lock().map(WriteGuard)
    }
}

impl<E: Entry, C: Config, B: Backend, W: Wait> From<TreeWriter<E, C, B>>
    for SharedMapleTree<E, C, B, W>
{
    /// Puts a lock around the writer.
    fn from(writer: TreeWriter<E, C, B>) -> Self {
        Self {
            reader: writer.new_reader(),
            writer: Mutex::new(writer),
        }
    }
}

impl<E: Entry, C: Config, B: Backend, W: Wait> From<MapleTree<E, C>>
    for SharedMapleTree<E, C, B, W>
{
    /// Opens a tree to readers: build it first, then share it.
    fn from(tree: MapleTree<E, C>) -> Self {
        Self::from(TreeWriter::from(tree))
    }
}

impl<E: Entry, C: Config, B: Backend, W: Wait> fmt::Debug for SharedMapleTree<E, C, B, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMapleTree")
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}

/// The right to write a [`SharedMapleTree`], until dropped: a [`TreeWriter`] on loan.
pub struct WriteGuard<'t, E: Entry, C: Config, B: Backend, W: Wait = DefaultWait>(
    MutexGuard<'t, TreeWriter<E, C, B>, W>,
);

impl<E: Entry, C: Config, B: Backend, W: Wait> Deref for WriteGuard<'_, E, C, B, W> {
    type Target = TreeWriter<E, C, B, Lent>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl<E: Entry, C: Config, B: Backend, W: Wait> DerefMut for WriteGuard<'_, E, C, B, W> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.0
    }
}

impl<E: Entry, C: Config, B: Backend, W: Wait> fmt::Debug for WriteGuard<'_, E, C, B, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteGuard")
    }
}
