//! Freeing addresses: VMAs go, or keep what lies outside, by one store into the index.

use super::changes::{ChangeError, Fate, Trimmed};
use super::{VmaTree, span_of};
use crate::env::Environment;
use crate::sequence::Section;
use crate::slot::Handle;
use crate::views::addresses;
use core::ops::Range;
use maple_tree::Span;
use vmaple_sync::planted;

impl<V, E: Environment> VmaTree<V, E> {
    /// Frees a range in one step. VMAs wholly in it go, one that reaches out of it on one side
    /// keeps that; `fate` is told.
    ///
    /// The section may map the range again: until it ends, readers that find free addresses ask
    /// the holder of `mmap_lock`. Where it will not, [`clear_for_good`](Self::clear_for_good)
    /// spares them that.
    ///
    /// # Errors
    ///
    /// For an empty range, one in the middle of a VMA, or without memory.
    #[doc(alias = "vms_gather_munmap_vmas")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn clear(
        &mut self,
        range: Range<u64>,
        fate: impl FnMut(Fate<'_, V>),
    ) -> Result<(), ChangeError> {
        if !planted!("gap_of_a_section") {
            let _: Section = self.shared.replacing.begin();
        }
        self.clear_for_good(range, fate)
    }

    /// As [`clear`](Self::clear), in a section that does not map any of the range again.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn clear_for_good(
        &mut self,
        range: Range<u64>,
        fate: impl FnMut(Fate<'_, V>),
    ) -> Result<(), ChangeError> {
        let span = span_of(&range).ok_or(ChangeError::EmptyRange)?;
        let section = self.shared.seq.begin();
        self.index.seek(span.first);
        let near = self.index.near();
        let first = match near.range_at(span.first) {
            (was, Some(slot)) => Some((was, slot)),
            (gap, None) if gap.last >= span.last => None,
            _ => near.find(span.first),
        };
        let Some(first) = first else {
            return Ok(());
        };
        match first {
            (was, _) if was.first > span.last => Ok(()),
            (was, slot) if was.last >= span.last => {
                let slot = Handle::of(slot);
                self.clear_of_one(section, span, (was, slot), fate)
            }
            _ => self.clear_of_all(section, span, fate),
        }
    }

    #[cfg_attr(feature = "lockdep", track_caller)]
    fn clear_of_all(
        &mut self,
        section: Section,
        span: Span,
        fate: impl FnMut(Fate<'_, V>),
    ) -> Result<(), ChangeError> {
        let met = self.meet(section, span, None)?;
        self.index.clear(span)?;
        self.settle(section, met, fate);
        Ok(())
    }

    /// Frees `span`, in which there is one VMA, or part of it.
    #[cfg_attr(feature = "lockdep", track_caller)]
    fn clear_of_one(
        &mut self,
        section: Section,
        span: Span,
        (was, handle): (Span, Handle<V>),
        mut fate: impl FnMut(Fate<'_, V>),
    ) -> Result<(), ChangeError> {
        let is = match (was.first < span.first, was.last > span.last) {
            (true, true) => return Err(ChangeError::WouldSplit(addresses(was))),
            (true, false) => Some(Span::new(was.first, span.first - 1)),
            (false, true) => Some(Span::new(span.last + 1, was.last)),
            (false, false) => None,
        };
        self.write_lock_slot(section, Self::slot(handle));
        self.index.clear(span)?;
        match is {
            Some(is) => Self::trim(&Trimmed { handle, was, is }, &mut fate),
            None => self.discard(section, handle, |span, value| {
                fate(Fate::Gone(addresses(span), value));
            }),
        }
        Ok(())
    }
}
