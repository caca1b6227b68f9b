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
use crate::write::{Fill, Way, Writer};
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
        let outcome = self.replace(span, Fill::entry(raw));
        // SAFETY: The word is that of the write.
        unsafe { handed_back(outcome, raw) }
    }

    pub(crate) fn insert(&mut self, span: Span, entry: E) -> Result<(), StoreError<E>> {
        if !span.is_valid() {
            let cause = WriteError::InvertedRange;
            return Err(StoreError { entry, cause });
        }
        let mut way = Way::new();
        let Some(at) = self.locate(&mut way, span.first) else {
            return self.store(span, entry);
        };
        let from = at.slot_of(span.first);
        let is_free = from.raw.is_null() && span.last <= from.span.last;
        if !is_free
            && !cfg!(planted = "insert_overwrites")
            && let Some(occupant) = self.occupant(span)
        {
            let cause = WriteError::Occupied(occupant);
            return Err(StoreError { entry, cause });
        }
        let raw = entry.into_raw();
        let outcome = self.replace_at_leaf(&way, &at, from, span, Fill::entry(raw));
        // SAFETY: The word is that of the write.
        unsafe { handed_back(outcome, raw) }
    }

    /// Puts `middle`, or nothing, over `span`, which lies inside the range of one entry with some
    /// of it on both sides, and `above` over what that entry has above.
    pub(crate) fn carve(
        &mut self,
        span: Span,
        middle: Option<E>,
        above: E,
    ) -> Result<(), StoreError<(Option<E>, E)>> {
        let entry = (middle, above);
        if !span.is_valid() {
            let cause = WriteError::InvertedRange;
            return Err(StoreError { entry, cause });
        }
        let mut way = Way::new();
        let at = self.locate(&mut way, span.first);
        let held = at.map(|at| (at, at.slot_of(span.first)));
        let Some((at, from)) = held.filter(|(_, from)| !from.raw.is_null()) else {
            let cause = WriteError::Vacant;
            return Err(StoreError { entry, cause });
        };
        let held = from.span;
        if held.first >= span.first || held.last <= span.last {
            let cause = WriteError::NotInside(held);
            return Err(StoreError { entry, cause });
        }
        let (middle, above) = (entry.0.map(E::into_raw), entry.1.into_raw());
        let whole = Span::new(span.first, held.last);
        let fill = Fill::two_parts(span.last, middle, above);
        self.replace_at_leaf(&way, &at, from, whole, fill)
            .map_err(|error| {
                // SAFETY: The write did not happen: the word is still ours.
                let middle = middle.map(|raw| unsafe { E::from_raw(raw) });
                // SAFETY: As above.
                let above = unsafe { E::from_raw(above) };
                let (entry, cause) = ((middle, above), error.into());
                StoreError { entry, cause }
            })
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
        Ok(self.replace(span, Fill::nothing())?)
    }

    /// Puts `entry` in the place of the one at `index`, whose word stays in the retired log.
    pub(crate) fn replace_at(
        &mut self,
        index: u64,
        entry: E,
    ) -> Result<(Span, NonNull<()>), StoreError<E>> {
        let mut way = Way::new();
        let at = self.locate(&mut way, index);
        let held = at.and_then(|at| {
            let from = at.slot_of(index);
            Some((at, from, NonNull::new(from.raw)?))
        });
        let Some((at, from, displaced)) = held else {
            let cause = WriteError::Vacant;
            return Err(StoreError { entry, cause });
        };
        let raw = entry.into_raw();
        let outcome = self.replace_at_leaf(&way, &at, from, from.span, Fill::entry(raw));
        // SAFETY: The word is that of the write.
        unsafe { handed_back(outcome, raw) }?;
        Ok((from.span, displaced))
    }

    /// Empties the whole range of the entry at `index`; its word stays in the retired log.
    pub(crate) fn erase(&mut self, index: u64) -> Result<Option<(Span, NonNull<()>)>, AllocError> {
        let mut way = Way::new();
        let Some(at) = self.locate(&mut way, index) else {
            return Ok(None);
        };
        let from = at.slot_of(index);
        let Some(raw) = NonNull::new(from.raw) else {
            return Ok(None);
        };
        self.replace_at_leaf(&way, &at, from, from.span, Fill::nothing())?;
        Ok(Some((from.span, raw)))
    }
}

/// Hands the entry of `raw` back if the write did not happen that was to store it.
///
/// # Safety
///
/// `outcome` is that of the write, and the word is the caller's if it failed.
unsafe fn handed_back<E: Entry>(
    outcome: Result<(), AllocError>,
    raw: NonNull<()>,
) -> Result<(), StoreError<E>> {
    outcome.map_err(|error| StoreError {
        // SAFETY: The write did not happen, and the word is ours, by the contract above.
        entry: unsafe { E::from_raw(raw) },
        cause: error.into(),
    })
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
