//! Where a reader of maps or a query gets VMAs: one at a time, by address.
//!
//! Readers and queries know nothing of locks. Whoever hands out VMAs keeps each of them stable
//! for as long as it is shown, and may let the address space change between two.

use crate::areas::BrkArea;
use crate::mm::Mm;
use crate::plain::PlainVma;
use crate::vma::{GateVma, Vma};
use alloc::boxed::Box;
use core::convert::Infallible;
use core::fmt;
use vmaple_locks::Environment;
#[cfg(feature = "std")]
use vmaple_locks::Host;

/// A place to ask for the next VMA at or above an address.
pub trait VmaSource {
    /// Why a VMA cannot be shown: a lock that was not got, a caller that was killed.
    type Error;

    /// Whether others may wait while a VMA is shown: then it is shown as briefly as possible.
    const OTHERS_WAIT: bool = true;

    /// Shows the first VMA that ends above `addr` to `show`; None if there is none.
    ///
    /// The VMA does not change while it is shown, and `show` is called at most once. It must not
    /// block: a lock may be held meanwhile.
    ///
    /// # Errors
    /// Those of the source; `show` was not called then.
    #[doc(alias = "lock_next_vma")]
    fn with_next<R>(
        &mut self,
        addr: u64,
        show: impl FnOnce(&Vma, &BrkArea) -> R,
    ) -> Result<Option<R>, Self::Error>;

    /// The first VMA that ends above `addr`, if it can be told in full without a lock. The line of
    /// such a VMA costs its writers nothing.
    ///
    /// None says nothing: [`with_next`](Self::with_next) has to tell.
    fn glance_next(&mut self, addr: u64) -> Option<PlainVma> {
        let _ = addr;
        None
    }

    /// The gate VMA, which is shown after all others.
    #[doc(alias = "get_gate_vma")]
    fn gate(&self) -> Option<&GateVma>;

    /// Pages have `1 << page_shift` bytes.
    fn page_shift(&self) -> u32;
}

type Vmas<'a> = Box<dyn Iterator<Item = &'a Vma> + 'a>;

/// The VMAs of an [`Mm`] that nobody changes meanwhile; made by [`Mm::vma_source`].
///
/// The first VMA costs O(log n), each following one O(1).
pub struct MmSource<
    'a,
    #[cfg(feature = "std")] E: Environment = Host,
    #[cfg(not(feature = "std"))] E: Environment,
> {
    mm: &'a Mm<E>,
    /// End of the VMA that was shown last.
    end: u64,
    /// The VMAs from `end` on, once a second one was asked for.
    following: Option<Vmas<'a>>,
}

impl<E: Environment> fmt::Debug for MmSource<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MmSource").field("end", &self.end).finish()
    }
}

impl<E: Environment> Mm<E> {
    /// This address space as a source of VMAs for a reader.
    #[must_use]
    pub fn vma_source(&self) -> MmSource<'_, E> {
        MmSource {
            mm: self,
            end: u64::MAX,
            following: None,
        }
    }
}

impl<'a, E: Environment> MmSource<'a, E> {
    fn next(&mut self, addr: u64) -> Option<&'a Vma> {
        if addr != self.end {
            self.following = None;
            return self.mm.find(addr);
        }
        let mm = self.mm;
        let following = self
            .following
            .get_or_insert_with(|| Box::new(mm.overlapping(crate::AddrRange::new(addr, u64::MAX))));
        following.next()
    }
}

impl<E: Environment> VmaSource for MmSource<'_, E> {
    type Error = Infallible;
    /// The address space is borrowed: nobody changes it meanwhile.
    const OTHERS_WAIT: bool = false;

    fn with_next<R>(
        &mut self,
        addr: u64,
        show: impl FnOnce(&Vma, &BrkArea) -> R,
    ) -> Result<Option<R>, Infallible> {
        let next = self.next(addr);
        self.end = next.map_or(u64::MAX, |vma| vma.end);
        Ok(next.map(|vma| show(vma, &self.mm.areas)))
    }

    fn gate(&self) -> Option<&GateVma> {
        self.mm.gate.as_ref()
    }

    fn page_shift(&self) -> u32 {
        self.mm.config.page_shift()
    }
}
