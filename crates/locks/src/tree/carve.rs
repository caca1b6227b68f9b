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

use super::changes::{ChangeError, InsertError};
use super::{VmaTree, span_of};
use crate::env::Environment;
use crate::sequence::Section;
use crate::slot::{Handle, VmaSlot};
use crate::views::{VmaWrite, addresses};
use core::ops::Range;
use maple_tree::Span;

/// What comes of carving: the VMA below, or the values that were to be put in.
type Carved<'t, V> = Result<VmaWrite<'t, V>, InsertError<(Option<V>, V)>>;

impl<V, E: Environment> VmaTree<V, E> {
    /// Makes `range`, which lies inside a VMA with some of it on both sides, a VMA with the value
    /// `middle`, and what that VMA has above it one with the value `above`. What it has below stays
    /// in it. All three are write-locked; hands out the one below.
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
    /// let mut tree: VmaTree<&str> = VmaTree::new();
    /// tree.insert(0x1000..0x9000, "low").expect("free");
    /// tree.carve(0x2000..0x3000, "middle", "high").expect("inside");
    /// tree.punch(0x5000..0x6000, "highest").expect("inside");
    /// let starts: Vec<_> = tree.iter().map(|vma| (vma.range().start, *vma)).collect();
    /// assert_eq!(starts, [(0x1000, "low"), (0x2000, "middle"), (0x3000, "high"), (0x6000, "highest")]);
    /// let refused = tree.punch(0x8000..0x9000, "nothing").expect_err("at its end");
    /// assert_eq!(refused.cause, ChangeError::OutOfRange(0x6000..0x9000));
    /// # }
    /// ```
    #[doc(alias = "__split_vma")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn carve(&mut self, range: Range<u64>, middle: V, above: V) -> Carved<'_, V> {
        let section = self.shared.seq.begin();
        self.cut_out(section, range, Some(middle), above)
    }

    /// Frees `range`, which lies inside a VMA with some of it on both sides. What that has above
    /// becomes a VMA with the value `above`; what it has below stays in it. Both are write-locked;
    /// hands out the one below.
    ///
    /// The section may map the range again: see [`clear`](Self::clear).
    ///
    /// # Errors
    ///
    /// As [`carve`](Self::carve).
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn punch(&mut self, range: Range<u64>, above: V) -> Carved<'_, V> {
        let _: Section = self.shared.replacing.begin();
        self.punch_for_good(range, above)
    }

    /// As [`punch`](Self::punch), in a section that does not map any of the range again.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn punch_for_good(&mut self, range: Range<u64>, above: V) -> Carved<'_, V> {
        let section = self.shared.seq.begin();
        self.cut_out(section, range, None, above)
    }

    #[cfg_attr(feature = "lockdep", track_caller)]
    fn cut_out(
        &mut self,
        section: Section,
        range: Range<u64>,
        middle: Option<V>,
        above: V,
    ) -> Carved<'_, V> {
        let prepared = self.inside(&range).and_then(|inside| {
            let handles = self.take_slots(middle.is_some())?;
            Ok((inside, handles))
        });
        let ((span, was, slot), (middle_slot, above_slot)) = match prepared {
            Ok(prepared) => prepared,
            Err(cause) => {
                let value = (middle, above);
                return Err(InsertError { value, cause });
            }
        };
        self.write_lock_slot(section, slot);
        if let (Some(handle), Some(value)) = (middle_slot, middle) {
            self.attach_to(handle, section, span, value);
        }
        let rest = Span::new(span.last + 1, was.last);
        self.attach_to(above_slot, section, rest, above);
        if let Err(error) = self.index.carve(span, middle_slot, above_slot) {
            let (_, above) = self.detach(section, above_slot);
            let middle = middle_slot.map(|handle| self.detach(section, handle).1);
            let (value, cause) = ((middle, above), error.cause.into());
            return Err(InsertError { value, cause });
        }
        // SAFETY: Attached to this tree, borrowed by `&mut`, and write-locked.
        unsafe { slot.set_span(Span::new(was.first, span.first - 1)) };
        // SAFETY: As above.
        Ok(unsafe { VmaWrite::new(slot) })
    }

    /// Free slots for what is carved out, if that is anything, and what lies above it.
    fn take_slots(
        &mut self,
        has_middle: bool,
    ) -> Result<(Option<Handle<V>>, Handle<V>), ChangeError> {
        let above = self.take_slot()?;
        if !has_middle {
            return Ok((None, above));
        }
        match self.take_slot() {
            Ok(middle) => Ok((Some(middle), above)),
            Err(cause) => {
                self.free_slot(above);
                Err(cause)
            }
        }
    }

    /// The range as a span, and the VMA that it lies inside of, with that one's span.
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
