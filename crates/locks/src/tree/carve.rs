//! Carving: a VMA that lies inside a range of its own kind becomes two or three, by one store into
//! the index.
//!
//! ```text
//!   carve  |      a      |  =>  |  a  | middle | above |
//!   punch  |      a      |  =>  |  a  |        | above |
//! ```
//!
//! # Safety
//!
//! As in the parent module; the slot that is cut may be written because `&mut self` and its write
//! lock are held.
#![expect(unsafe_code, reason = "moves the end of a slot under its lock")]

use super::changes::ChangeError;
use super::{VmaTree, span_of};
use crate::env::Environment;
use crate::sequence::Section;
use crate::slot::{Handle, VmaSlot};
use crate::views::{VmaWrite, addresses};
use core::ops::Range;
use maple_tree::Span;

impl<V, E: Environment> VmaTree<V, E> {
    /// Makes `range`, which lies inside a VMA with some of it on both sides, a VMA of its own, and
    /// what that VMA has above it another one. What it has below stays in it. `middle` and `above`
    /// make the two new values from the old one. All three are write-locked; hands out the one
    /// below.
    ///
    /// # Errors
    ///
    /// If there is no such VMA, or without memory.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use vmaple_locks::{ChangeError, VmaTree};
    ///
    /// let mut tree: VmaTree<u32> = VmaTree::new();
    /// tree.insert(0x1000..0x9000, 10).expect("free");
    /// tree.carve(0x2000..0x3000, |old| old + 1, |old| old + 2)?;
    /// tree.punch(0x5000..0x6000, |old| old + 3)?;
    /// let starts: Vec<_> = tree.iter().map(|vma| (vma.range().start, *vma)).collect();
    /// assert_eq!(starts, [(0x1000, 10), (0x2000, 11), (0x3000, 12), (0x6000, 15)]);
    /// let refused = tree.punch(0x8000..0x9000, |old| *old).expect_err("at its end");
    /// assert_eq!(refused, ChangeError::OutOfRange(0x6000..0x9000));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "__split_vma")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn carve(
        &mut self,
        range: Range<u64>,
        middle: impl FnOnce(&V) -> V,
        above: impl FnOnce(&V) -> V,
    ) -> Result<VmaWrite<'_, V>, ChangeError> {
        let section = self.shared.seq.begin();
        let (span, was, slot) = self.inside(&range)?;
        let for_middle = self.take_slot()?;
        let for_above = match self.take_slot() {
            Ok(for_above) => for_above,
            Err(cause) => {
                self.free_slot(for_middle);
                return Err(cause);
            }
        };
        self.write_lock_slot(section, slot);
        // SAFETY: Attached to this tree, which is borrowed, and write-locked.
        let old = unsafe { slot.value() };
        self.attach_to(for_middle, section, span, || middle(old));
        let rest = Span::new(span.last + 1, was.last);
        self.attach_to(for_above, section, rest, || above(old));
        self.cut_out(section, (span, was), slot, Some(for_middle), for_above)
    }

    /// Frees `range`, which lies inside a VMA with some of it on both sides. What that has above
    /// becomes a VMA with the value that `above` makes from the old one; what it has below stays in
    /// it. Both are write-locked; hands out the one below.
    ///
    /// The section may map the range again: see [`clear`](Self::clear).
    ///
    /// # Errors
    ///
    /// As [`carve`](Self::carve).
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn punch(
        &mut self,
        range: Range<u64>,
        above: impl FnOnce(&V) -> V,
    ) -> Result<VmaWrite<'_, V>, ChangeError> {
        let _: Section = self.shared.replacing.begin();
        self.punch_for_good(range, above)
    }

    /// As [`punch`](Self::punch), in a section that does not map any of the range again.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn punch_for_good(
        &mut self,
        range: Range<u64>,
        above: impl FnOnce(&V) -> V,
    ) -> Result<VmaWrite<'_, V>, ChangeError> {
        let section = self.shared.seq.begin();
        let (span, was, slot) = self.inside(&range)?;
        self.punch_slot(section, (span, was), slot, above)
    }

    /// Frees `span`, which lies inside the VMA in `slot`, whose range is `was`.
    #[inline]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub(super) fn punch_slot<'t>(
        &'t mut self,
        section: Section,
        (span, was): (Span, Span),
        slot: &'t VmaSlot<V>,
        above: impl FnOnce(&V) -> V,
    ) -> Result<VmaWrite<'t, V>, ChangeError> {
        let handle = self.take_slot()?;
        self.write_lock_slot(section, slot);
        // SAFETY: Attached to this tree, which is borrowed, and write-locked.
        let old = unsafe { slot.value() };
        let rest = Span::new(span.last + 1, was.last);
        self.attach_to(handle, section, rest, || above(old));
        self.cut_out(section, (span, was), slot, None, handle)
    }

    /// Stores the new VMAs, which are attached, in the place of what the VMA in `slot` has from
    /// `span` on.
    fn cut_out<'t>(
        &'t mut self,
        section: Section,
        (span, was): (Span, Span),
        slot: &'t VmaSlot<V>,
        middle: Option<Handle<V>>,
        above: Handle<V>,
    ) -> Result<VmaWrite<'t, V>, ChangeError> {
        if let Err(error) = self.index.carve(span, middle, above) {
            self.detach(section, above);
            if let Some(middle) = middle {
                self.detach(section, middle);
            }
            return Err(error.cause.into());
        }
        slot.set_span(Span::new(was.first, span.first - 1));
        // SAFETY: Attached to this tree, borrowed by `&mut`, and write-locked by the callers.
        Ok(unsafe { VmaWrite::new(slot, self.facts) })
    }

    /// The range as a span, and the VMA that it lies inside of, with that one's span.
    #[inline]
    fn inside<'s>(
        &mut self,
        range: &Range<u64>,
    ) -> Result<(Span, Span, &'s VmaSlot<V>), ChangeError> {
        let span = span_of(range).ok_or(ChangeError::EmptyRange)?;
        self.index.seek(span.first);
        match self.index.near().range_at(span.first) {
            (_, None) => Err(ChangeError::NotMapped(span.first)),
            (was, Some(_)) if was.first >= span.first || was.last <= span.last => {
                Err(ChangeError::OutOfRange(addresses(was)))
            }
            (was, Some(slot)) => Ok((span, was, Self::slot(Handle::of(slot)))),
        }
    }
}
