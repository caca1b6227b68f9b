//! Freeing addresses: VMAs go, or keep what lies outside, by one store into the index.

use super::changes::{ChangeError, Fate, Met, Trimmed};
use super::{VmaTree, span_of};
use crate::env::Environment;
use crate::sequence::Section;
use crate::slot::Handle;
use crate::views::{VmaRef, addresses};
use core::ops::{ControlFlow, Range};
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
        match self.first_met(span) {
            None => Ok(()),
            Some((was, slot)) if was.last >= span.last => {
                self.clear_of_one(section, span, (was, slot), fate)
            }
            Some(_) => self.clear_of_all(section, span, fate),
        }
    }

    /// Frees a range in one step, wherever it lies, if `ask` agrees to that for every VMA that
    /// would go or lose some of it. Where it lies inside one VMA, what that has above it becomes a
    /// VMA with the value that `above` makes, as by [`punch`](Self::punch). Answers whether `ask`
    /// agreed; nothing has changed if not.
    ///
    /// The section may map the range again: see [`clear`](Self::clear).
    ///
    /// # Errors
    ///
    /// For an empty range, or without memory.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use vmaple_locks::VmaTree;
    ///
    /// let mut tree: VmaTree<u32> = VmaTree::new();
    /// tree.insert(0x1000..0x9000, 1).expect("free");
    /// tree.insert(0x9000..0xa000, 2).expect("free");
    /// assert!(!tree.unmap(0x8000..0xa000, |vma| *vma != 2, |old| *old, |_| ())?);
    /// assert!(tree.unmap(0x2000..0x3000, |vma| *vma != 2, |old| *old, |_| ())?);
    /// assert!(tree.unmap(0x8000..0x9000, |vma| *vma != 2, |old| *old, |_| ())?);
    /// let ranges: Vec<_> = tree.iter().map(|vma| vma.range()).collect();
    /// assert_eq!(ranges, [0x1000..0x2000, 0x3000..0x8000, 0x9000..0xa000]);
    /// # }
    /// # Ok::<(), vmaple_locks::ChangeError>(())
    /// ```
    #[doc(alias = "do_vmi_align_munmap")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn unmap(
        &mut self,
        range: Range<u64>,
        ask: impl FnMut(VmaRef<'_, V>) -> bool,
        above: impl FnOnce(&V) -> V,
        fate: impl FnMut(Fate<'_, V>),
    ) -> Result<bool, ChangeError> {
        let _: Section = self.shared.replacing.begin();
        self.unmap_for_good(range, ask, above, fate)
    }

    /// As [`unmap`](Self::unmap), in a section that does not map any of the range again.
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn unmap_for_good(
        &mut self,
        range: Range<u64>,
        mut ask: impl FnMut(VmaRef<'_, V>) -> bool,
        above: impl FnOnce(&V) -> V,
        mut fate: impl FnMut(Fate<'_, V>),
    ) -> Result<bool, ChangeError> {
        let span = span_of(&range).ok_or(ChangeError::EmptyRange)?;
        let section = self.shared.seq.begin();
        let Some((was, handle)) = self.first_met(span) else {
            return Ok(true);
        };
        if was.last < span.last {
            let near = self.index.near();
            let refused = near.try_for_each(span, |_, slot| match ask(self.lend(slot)) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            });
            if refused.is_break() {
                return Ok(false);
            }
            self.clear_of_all(section, span, fate)?;
            return Ok(true);
        }
        let slot = Self::slot(handle);
        if !ask(self.lend(slot)) {
            return Ok(false);
        }
        if was.first < span.first && was.last > span.last {
            let mut below = self.punch_slot(section, (span, was), slot, above)?;
            fate(Fate::Punched(range, &mut below));
        } else {
            self.clear_of_one(section, span, (was, handle), fate)?;
        }
        Ok(true)
    }

    /// The first VMA that meets `span`, with its range.
    #[inline(always)]
    fn first_met(&mut self, span: Span) -> Option<(Span, Handle<V>)> {
        self.index.seek(span.first);
        let near = self.index.near();
        let (was, slot) = match near.range_at(span.first) {
            (was, Some(slot)) => (was, slot),
            (gap, None) if gap.last >= span.last => return None,
            _ => near.find(span.first)?,
        };
        (was.first <= span.last).then_some((was, Handle::of(slot)))
    }

    #[cfg_attr(feature = "lockdep", track_caller)]
    fn clear_of_all(
        &mut self,
        section: Section,
        span: Span,
        fate: impl FnMut(Fate<'_, V>),
    ) -> Result<(), ChangeError> {
        let mut met = Met::NONE;
        self.meet(section, span, None, &mut met)?;
        self.index.clear(span)?;
        self.settle(section, met, fate);
        Ok(())
    }

    /// Frees `span`, in which there is one VMA, or part of it.
    #[inline]
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
            Some(is) => self.trim(&Trimmed { handle, was, is }, &mut fate),
            None => self.discard(section, handle, |span, value| {
                fate(Fate::Gone(addresses(span), value));
            }),
        }
        Ok(())
    }
}
