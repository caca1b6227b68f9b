//! What cursors and plans need from a tree that can be written, whoever its owner is.

use crate::config::Config;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::handles::{State, TreeWriter};
use crate::reader::Reader;
use crate::tree::MapleTree;
use crate::write::{Finger, Writer};
use vmaple_rcu::Backend;

/// A tree that can be written: a [`MapleTree`], or a [`TreeWriter`], owned or lent by a lock.
///
/// Cursors and plans are made for either; this names what they have in common. Only the types of
/// this crate implement it.
pub trait WritableTree: Access {}

impl<T: Access + ?Sized> WritableTree for T {}

/// The part of [`WritableTree`] that is this crate's own.
pub trait Access {
    /// What the tree holds.
    type Entry: Entry;
    /// How its nodes are made.
    type Shape: Config;

    /// Runs one write; what it displaces is freed, or goes to the limbo.
    fn run<R>(&mut self, write: impl FnOnce(&mut Writer<'_, Self::Entry, Self::Shape>) -> R) -> R;

    /// The same by a cursor, near where that has been.
    fn run_near<R>(
        &mut self,
        finger: &mut Finger,
        write: impl FnOnce(&mut Writer<'_, Self::Entry, Self::Shape>) -> R,
    ) -> R;

    /// Makes sure that the next writes need no memory.
    fn reserve_writes(&mut self, nr_writes: usize) -> Result<(), AllocError>;

    /// The reading half.
    fn view(&self) -> Reader<'_, Self::Entry, Self::Shape>;
}

impl<E: Entry, C: Config> Access for MapleTree<E, C> {
    type Entry = E;
    type Shape = C;

    #[inline]
    fn run<R>(&mut self, write: impl FnOnce(&mut Writer<'_, E, C>) -> R) -> R {
        self.write(write)
    }

    #[inline]
    fn run_near<R>(
        &mut self,
        finger: &mut Finger,
        write: impl FnOnce(&mut Writer<'_, E, C>) -> R,
    ) -> R {
        self.write_near(Some(finger), write)
    }

    fn reserve_writes(&mut self, nr_writes: usize) -> Result<(), AllocError> {
        self.reserve(nr_writes)
    }

    #[inline]
    fn view(&self) -> Reader<'_, E, C> {
        self.reader()
    }
}

impl<E: Entry, C: Config, B: Backend, S: ?Sized> Access for TreeWriter<E, C, B, S> {
    type Entry = E;
    type Shape = C;

    #[inline]
    fn run<R>(&mut self, write: impl FnOnce(&mut Writer<'_, E, C>) -> R) -> R {
        self.run_with(None, write)
    }

    #[inline]
    fn run_near<R>(
        &mut self,
        finger: &mut Finger,
        write: impl FnOnce(&mut Writer<'_, E, C>) -> R,
    ) -> R {
        self.run_with(Some(finger), write)
    }

    fn reserve_writes(&mut self, nr_writes: usize) -> Result<(), AllocError> {
        self.reserve(nr_writes)
    }

    #[inline]
    fn view(&self) -> Reader<'_, E, C> {
        self.reader()
    }
}

impl<E: Entry, C: Config, B: Backend, S: ?Sized> TreeWriter<E, C, B, S> {
    #[inline]
    fn run_with<R>(
        &mut self,
        finger: Option<&mut Finger>,
        write: impl FnOnce(&mut Writer<'_, E, C>) -> R,
    ) -> R {
        let is_alone = self.is_alone();
        let (root, version, state) = self.parts_mut();
        let State {
            nodes,
            limbo,
            finger: own,
        } = state;
        limbo.before_write::<E, C, B>(nodes);
        // Ends with this call, behind what the write publishes.
        let _underway = version.begin();
        let mut writer = if is_alone {
            Writer::unread(root, nodes)
        } else {
            Writer::beside_readers(root, nodes)
        };
        writer.finger = match finger {
            Some(finger) => {
                // The write may change what the writer's own finger leads through.
                own.clear();
                Some(finger)
            }
            None => own.is_set().then_some(own),
        };
        write(&mut writer)
    }
}
