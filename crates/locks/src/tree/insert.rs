//! Putting a VMA in: it is attached, write-locked, and then stored into the index, or detached again.
//!
//! # Safety
//!
//! As in the parent module.
#![expect(unsafe_code, reason = "lends the slot that was just attached")]

use super::changes::{ChangeError, InsertError};
use super::{VmaTree, span_of};
use crate::env::Environment;
use crate::slot::Handle;
use crate::views::VmaWrite;
use core::ops::Range;
use maple_tree::{Span, WriteError};

impl<V, E: Environment> VmaTree<V, E> {
    /// Puts in a VMA where nothing is. It is write-locked.
    ///
    /// # Errors
    ///
    /// For an empty range, one that is not free, or without memory.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use vmaple_locks::{ChangeError, VmaTree};
    ///
    /// let mut tree: VmaTree<&str> = VmaTree::new();
    /// tree.insert(0x1000..0x3000, "text").expect("free");
    /// let refused = tree.insert(0x2000..0x4000, "data").expect_err("taken");
    /// assert_eq!(refused.cause, ChangeError::Occupied(0x1000..0x3000));
    /// # }
    /// ```
    #[doc(alias = "vma_iter_store_new")]
    pub fn insert(
        &mut self,
        range: Range<u64>,
        value: V,
    ) -> Result<VmaWrite<'_, V>, InsertError<V>> {
        let Some(span) = span_of(&range) else {
            let cause = ChangeError::EmptyRange;
            return Err(InsertError { value, cause });
        };
        self.store_new(span, value, |index, handle| {
            index.insert(span, handle).map_err(|error| error.cause)
        })
    }

    /// As [`insert`](Self::insert), with a value that is made where it is to be. Nothing makes it
    /// if there is no memory for its slot, and without memory for the index it is dropped.
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn insert_with(
        &mut self,
        range: Range<u64>,
        value: impl FnOnce() -> V,
    ) -> Result<VmaWrite<'_, V>, ChangeError> {
        let span = span_of(&range).ok_or(ChangeError::EmptyRange)?;
        let section = self.shared.seq.begin();
        self.index.seek(span.first);
        let handle = self.take_slot()?;
        self.attach_to(handle, section, span, value);
        if let Err(error) = self.index.insert(span, handle) {
            self.detach(section, handle);
            return Err(error.cause.into());
        }
        // SAFETY: Attached to this tree, which is borrowed by `&mut`, and write-locked.
        Ok(unsafe { VmaWrite::new(Self::slot(handle), self.facts) })
    }

    /// Attaches a VMA and stores it; undoes the first if the second fails.
    pub(super) fn store_new(
        &mut self,
        span: Span,
        value: V,
        store: impl FnOnce(&mut super::Index<V, E>, Handle<V>) -> Result<(), WriteError>,
    ) -> Result<VmaWrite<'_, V>, InsertError<V>> {
        let section = self.shared.seq.begin();
        self.index.seek(span.first);
        let handle = self.attach(section, span, value)?;
        match store(&mut self.index, handle) {
            // SAFETY: Attached to this tree, which is borrowed by `&mut`, and write-locked.
            Ok(()) => Ok(unsafe { VmaWrite::new(Self::slot(handle), self.facts) }),
            Err(error) => {
                let (_, value) = self.detach(section, handle);
                let cause = error.into();
                Err(InsertError { value, cause })
            }
        }
    }
}
