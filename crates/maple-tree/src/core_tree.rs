//! The tree itself, below the two ways to own it: a root word, and the writer's node memory.
//!
//! # Safety
//!
//! Frees what the root reaches when it is dropped or copied half, where nobody else can see it.
#![expect(unsafe_code, reason = "owns the nodes behind the root word")]

use crate::config::Config;
use crate::entry::Entry;
use crate::error::{AllocError, StoreError, WriteError};
use crate::link::Root;
use crate::nodes::Nodes;
use crate::reader::Reader;
use crate::span::Span;
use crate::write::Writer;
use core::ptr::{self, NonNull};

/// A root and its nodes. Who may read and write is the owner's matter.
#[derive(Debug)]
pub(crate) struct CoreTree<E: Entry, C: Config> {
    pub(crate) root: Root,
    pub(crate) nodes: Nodes<E, C>,
}

impl<E: Entry, C: Config> CoreTree<E, C> {
    pub(crate) fn new() -> Self {
        Self {
            root: Root::new(),
            nodes: Nodes::new(),
        }
    }
}

/// The operations of a writer that leave what they displace in the retired log.
impl<E: Entry, C: Config> Writer<'_, E, C> {
    /// A view for the writer's own decisions, used before it writes.
    pub(crate) fn reader(&self) -> Reader<'_, E, C> {
        // SAFETY: `&self` borrows the only writer: nothing is freed meanwhile.
        unsafe { Reader::new(self.root) }
    }

    pub(crate) fn store(&mut self, span: Span, entry: E) -> Result<(), StoreError<E>> {
        if !span.is_valid() {
            let cause = WriteError::InvertedRange;
            return Err(StoreError { entry, cause });
        }
        let raw = entry.into_raw();
        self.replace(span, Some(raw)).map_err(|error| StoreError {
            // SAFETY: The write did not happen: the word is still ours.
            entry: unsafe { E::from_raw(raw) },
            cause: error.into(),
        })
    }

    pub(crate) fn insert(&mut self, span: Span, entry: E) -> Result<(), StoreError<E>> {
        if span.is_valid()
            && !cfg!(planted = "insert_overwrites")
            && let Some(occupant) = self.occupant(span)
        {
            let cause = WriteError::Occupied(occupant);
            return Err(StoreError { entry, cause });
        }
        self.store(span, entry)
    }

    /// The first entry that meets `span`.
    fn occupant(&self, span: Span) -> Option<Span> {
        let (found, _) = self.reader().find(span.first)?;
        (found.first <= span.last).then_some(found)
    }

    pub(crate) fn clear(&mut self, span: Span) -> Result<(), WriteError> {
        if !span.is_valid() {
            return Err(WriteError::InvertedRange);
        }
        Ok(self.replace(span, None)?)
    }

    /// Puts `entry` in the place of the one at `index`, whose word stays in the retired log.
    pub(crate) fn replace_at(
        &mut self,
        index: u64,
        entry: E,
    ) -> Result<(Span, NonNull<()>), StoreError<E>> {
        let (span, raw) = self.reader().walk(index);
        match NonNull::new(raw) {
            Some(raw) => self.store(span, entry).map(|()| (span, raw)),
            None => Err(StoreError {
                entry,
                cause: WriteError::Vacant,
            }),
        }
    }

    /// Empties the whole range of the entry at `index`; its word stays in the retired log.
    pub(crate) fn erase(&mut self, index: u64) -> Result<Option<(Span, NonNull<()>)>, AllocError> {
        let (span, raw) = self.reader().walk(index);
        let Some(raw) = NonNull::new(raw) else {
            return Ok(None);
        };
        self.replace(span, None)?;
        Ok(Some((span, raw)))
    }
}

impl<E: Entry, C: Config> Drop for CoreTree<E, C> {
    fn drop(&mut self) {
        // SAFETY: `&mut self`: no reader has a borrow left, and the retired log is ours.
        unsafe { self.nodes.free_retired(ptr::null_mut()) };
        // SAFETY: As above; the nodes are freed after this last look.
        let top = unsafe { self.root.load::<C>() }.map(|top| (top.as_ptr(), top.level()));
        self.root.publish(ptr::null_mut(), 0);
        let is_all_memory = !core::mem::needs_drop::<E>() && self.nodes.are_all_in_blocks();
        if let Some((top, level)) = top
            && !is_all_memory
        {
            // SAFETY: The tree owned them, and the root does not reach them any more.
            unsafe { self.nodes.free_subtree(top, level) };
        }
    }
}
