//! A walk over the VMAs of an address space, one read-locked at a time, beside its writers.

use crate::ahead::Ahead;
use crate::cancel::Cancel;
use crate::level::{self, Held, Nothing};
use crate::lockdep;
use crate::readers::{Contention, Found};
use crate::sequence::Known;
use crate::space::{AddressSpace, ReadOf, Space, WaitError, WaitOf};
use crate::views::addresses;
use crate::vma_lock::Visit;
use core::fmt;
use core::num::NonZeroU64;
use core::ops::Range;
use vmaple_sync::hint::spin_loop;

/// How often a walk looks at a VMA that it finds write-locked, before it waits for the writer:
/// most write sections are over by then.
const LOOKS: usize = if cfg!(any(loom, shuttle)) { 1 } else { 32 };

/// How many writers a walk waits for in turn before it takes `mmap_lock`, which stops those who
/// come after.
const WRITERS: usize = if cfg!(any(loom, shuttle)) { 1 } else { 8 };

/// A walk over the VMAs of an [`AddressSpace`]; made by [`AddressSpace::walk`].
///
/// It keeps what it has learnt of write sections that are over, so that it need not look at what
/// every section writes for each VMA.
///
/// It stands in nobody's way for long: it leaves no bias, waits for a writer without being waited
/// for by the next, and takes `mmap_lock` only after it has met many writers in turn.
pub struct VmaWalk<'l, T: Space> {
    space: &'l AddressSpace<T>,
    known: Known,
    ahead: Ahead<'l, T::Vma>,
}

/// What a walk sees of a VMA without a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Its addresses, in bytes.
    pub range: Range<u64>,
    /// What it publishes of its value.
    pub facts: NonZeroU64,
}

impl<T: Space> AddressSpace<T> {
    /// A walk over the VMAs.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use vmaple_locks::{AddressSpace, Cancel, Held, VmaTree};
    ///
    /// let space: AddressSpace<VmaTree<&str>> = AddressSpace::new(VmaTree::new());
    /// let mut held = Held::nothing();
    /// space.write(&mut held).insert(0x1000..0x2000, "text").expect("free");
    /// space.write(&mut held).insert(0x8000..0x9000, "data").expect("free");
    ///
    /// let (mut walk, cancel) = (space.walk(), Cancel::new());
    /// let (mut from, mut seen) = (0, vec![]);
    /// while let Some(vma) = walk.lock_next(&mut held, from, &cancel).expect("waits") {
    ///     from = vma.range().end;
    ///     seen.push(*vma);
    /// }
    /// assert_eq!(seen, ["text", "data"]);
    /// # }
    /// ```
    #[must_use]
    pub fn walk(&self) -> VmaWalk<'_, T> {
        VmaWalk {
            space: self,
            known: Known::default(),
            ahead: Ahead::default(),
        }
    }
}

impl<'l, T: Space> VmaWalk<'l, T> {
    /// What the VMA that contains `from`, or the first one above it, publishes of itself
    /// ([`VmaTree::publishing`]): nothing is locked, and nobody waits, in either direction. `also`
    /// is run at a moment when the VMA was just so, or its result is thrown away.
    ///
    /// Addresses from `from` to its start were free at some moment during the walk; an address that
    /// is mapped throughout the walk, by one VMA after another, is not passed over.
    ///
    /// None says nothing: there is no VMA, or it publishes nothing, or a writer is at it.
    /// [`lock_next`](Self::lock_next) has to tell.
    ///
    /// The index is looked at once for several VMAs. O(log n) for these.
    ///
    /// [`VmaTree::publishing`]: crate::VmaTree::publishing
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use vmaple_locks::{AddressSpace, Held, VmaTree};
    ///
    /// let space = AddressSpace::new(VmaTree::<u64>::new().publishing(|value| *value));
    /// let mut held = Held::nothing();
    /// space.write(&mut held).insert(0x1000..0x2000, 7).expect("free");
    /// space.write(&mut held).insert(0x8000..0x9000, 0).expect("free");
    ///
    /// let mut walk = space.walk();
    /// let (seen, ()) = walk.glance_next(0, || ()).expect("publishes 7");
    /// assert_eq!((seen.range, seen.facts.get()), (0x1000..0x2000, 7));
    /// assert!(walk.glance_next(0x2000, || ()).is_none(), "publishes nothing");
    /// # }
    /// ```
    pub fn glance_next<R>(&mut self, from: u64, also: impl FnOnce() -> R) -> Option<(Glance, R)> {
        let readers = self.space.readers();
        let seen = match self.ahead.next(from) {
            Some(seen) => seen,
            None => {
                readers.look_ahead(from, &mut self.ahead);
                self.ahead.next(from)?
            }
        };
        let (now, also) = readers.glance(&seen, from, &self.known, also)?;
        let range = addresses(now.span);
        let facts = now.facts;
        Some((Glance { range, facts }, also))
    }

    /// As [`AddressSpace::lock_next_vma`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// Not under `mmap_lock`, as bug 57 of a fallback had it:
    ///
    /// ```compile_fail,E0308
    /// # use vmaple_locks::{AddressSpace, Cancel, Held, VmaTree};
    /// # let space = AddressSpace::new(VmaTree::<u32>::new());
    /// # let mut held = Held::nothing();
    /// let mut walk = space.walk();
    /// let mut reading = space.read(&mut held);
    /// let (_, held) = reading.parts();
    /// let vma = walk.lock_next(held, 0x1000, &Cancel::new());
    /// ```
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn lock_next<'h>(
        &mut self,
        held: &'h mut Held<Nothing>,
        from: u64,
        cancel: &Cancel<WaitOf<T>>,
    ) -> Result<Option<ReadOf<'h, T>>, WaitError>
    where
        'l: 'h,
    {
        let space = self.space;
        lockdep::about_to_wait::<level::MmapRead>(core::ptr::from_ref(space).addr());
        for _ in 0..WRITERS {
            for _ in 0..LOOKS {
                match space.readers().lock_next(from, &self.known) {
                    Found::Locked(vma) => return Ok(Some(vma)),
                    Found::NotMapped => return Ok(None),
                    Found::Contended(Contention::WriteLocked) => spin_loop(),
                    Found::Contended(Contention::TooManyReaders) => {
                        return Err(WaitError::TooManyReaders);
                    }
                }
            }
            space.mmap_lock().pass_writer(held, cancel)?;
        }
        let state = space.mmap_lock().read_killable(held, cancel)?;
        space.lock_in(&state, Visit::Passing(&self.known), |tree| tree.find(from))
    }
}

impl<T: Space> fmt::Debug for VmaWalk<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmaWalk")
            .field("space", self.space)
            .finish_non_exhaustive()
    }
}
