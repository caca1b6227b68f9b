//! `mmap_lock`: the address space, read by many or written by one.
//!
//! # Safety
//!
//! The state is lent by guards only. A guard exists while the raw lock is held in its mode: made
//! after taking it, and giving it back when dropped.
#![expect(
    unsafe_code,
    reason = "lends the state of a cell to the holders of the lock"
)]

use crate::cancel::{Cancel, Cancelled};
use crate::level::{self, Held, Level, Nothing};
use crate::lockdep::{self, Note};
use crate::raw_lock::{Mode, RawLock};
use crate::trace;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use vmaple_sync::cell::UnsafeCell;
use vmaple_sync::planted;
use vmaple_sync::wait::{DefaultWait, Wait};

/// What is told where a write section of [`MmapLock`] begins and ends: it moves `mm_lock_seq`,
/// which lives in the VMA tree.
///
/// For a state that has no VMAs the defaults do.
pub trait WriteSection {
    /// The lock is held for writing from now on.
    fn begin_write(&mut self) {}

    /// The lock is about to be released, or downgraded: every VMA write lock ends now.
    fn end_write(&mut self) {}
}

macro_rules! without_vmas {
    ($($type:ty)*) => {$(impl WriteSection for $type {})*};
}
without_vmas! { () u8 u16 u32 u64 usize }

/// A reader/writer lock around an address space, with waits that can be cancelled.
///
/// Neither side starves the other: the lock goes to those who wait for it in the order of their
/// arrival, to readers that come one after another together. A panic under the lock does not
/// poison it.
///
/// Price: about 10 ns for each pair of lock and unlock without contention.
///
/// # Examples
///
/// ```
/// use vmaple_locks::{Held, MmapLock};
///
/// let lock: MmapLock<u32> = MmapLock::new(7);
/// let mut held = Held::nothing();
///
/// let mut writing = lock.write(&mut held);
/// *writing = 8;
/// let reading = writing.downgrade();
/// assert_eq!(*reading, 8);
/// drop(reading);
/// assert!(lock.try_write(&mut held).is_some());
/// ```
#[doc(alias = "mmap_lock")]
pub struct MmapLock<T, W: Wait = DefaultWait> {
    raw: RawLock<W>,
    state: UnsafeCell<T>,
}

// SAFETY: The lock owns its state; sending it sends that.
unsafe impl<T: Send, W: Wait> Send for MmapLock<T, W> {}
// SAFETY: Readers share the state (`Sync`), writers take it to their thread (`Send`).
unsafe impl<T: Send + Sync, W: Wait> Sync for MmapLock<T, W> {}

impl<T: WriteSection, W: Wait> MmapLock<T, W> {
    /// A free lock around `state`. A write section that is open in it ends.
    pub fn new(mut state: T) -> Self {
        state.end_write();
        Self {
            raw: RawLock::new(),
            state: UnsafeCell::new(state),
        }
    }

    /// Takes the lock for reading, waiting for writers.
    #[doc(alias = "mmap_read_lock")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn read<'l>(&'l self, held: &'l mut Held<Nothing>) -> MmapRead<'l, T, W> {
        // Without a canceller there is no error.
        let _ = self.take::<level::MmapRead>(Mode::Read, None);
        self.reading(held)
    }

    /// Takes the lock for reading, unless `cancel` ends the wait.
    ///
    /// # Errors
    ///
    /// [`Cancelled`]; the lock is not held.
    #[doc(alias = "mmap_read_lock_killable")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn read_killable<'l>(
        &'l self,
        held: &'l mut Held<Nothing>,
        cancel: &Cancel<W>,
    ) -> Result<MmapRead<'l, T, W>, Cancelled> {
        self.take::<level::MmapRead>(Mode::Read, Some(cancel))?;
        Ok(self.reading(held))
    }

    /// Takes the lock for reading, if that needs no waiting.
    #[doc(alias = "mmap_read_trylock")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn try_read<'l>(&'l self, held: &'l mut Held<Nothing>) -> Option<MmapRead<'l, T, W>> {
        if self.try_take(Mode::Read) {
            Some(self.reading(held))
        } else {
            None
        }
    }

    /// Takes the lock for writing, waiting for readers and writers.
    #[doc(alias = "mmap_write_lock")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn write<'l>(&'l self, held: &'l mut Held<Nothing>) -> MmapWrite<'l, T, W> {
        // Without a canceller there is no error.
        let _ = self.take::<level::MmapWrite>(Mode::Write, None);
        self.writing(held)
    }

    /// Takes the lock for writing, unless `cancel` ends the wait.
    ///
    /// # Errors
    ///
    /// [`Cancelled`]; the lock is not held.
    #[doc(alias = "mmap_write_lock_killable")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn write_killable<'l>(
        &'l self,
        held: &'l mut Held<Nothing>,
        cancel: &Cancel<W>,
    ) -> Result<MmapWrite<'l, T, W>, Cancelled> {
        self.take::<level::MmapWrite>(Mode::Write, Some(cancel))?;
        Ok(self.writing(held))
    }

    /// Takes the lock for writing, if that needs no waiting.
    #[doc(alias = "mmap_write_trylock")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn try_write<'l>(&'l self, held: &'l mut Held<Nothing>) -> Option<MmapWrite<'l, T, W>> {
        if self.try_take(Mode::Write) {
            Some(self.writing(held))
        } else {
            None
        }
    }

    /// Waits until the writer who has the lock, if one has, gives it back. Takes nothing, so that
    /// nobody waits for the caller; another writer may have the lock by then.
    ///
    /// # Errors
    ///
    /// [`Cancelled`].
    pub(crate) fn pass_writer(
        &self,
        _held: &mut Held<Nothing>,
        cancel: &Cancel<W>,
    ) -> Result<(), Cancelled> {
        self.raw.pass_writer(Some(cancel))
    }

    /// Which lock it is, in reports.
    fn address(&self) -> usize {
        core::ptr::from_ref(&self.raw).addr()
    }

    #[cfg_attr(feature = "lockdep", track_caller)]
    #[inline]
    fn take<L: Level>(&self, mode: Mode, cancel: Option<&Cancel<W>>) -> Result<(), Cancelled> {
        lockdep::about_to_wait::<L>(self.address());
        trace::start_locking(self.address(), mode);
        let outcome = self.raw.lock(mode, cancel);
        trace::acquire_returned(self.address(), mode, outcome.is_ok());
        outcome
    }

    #[inline]
    fn try_take(&self, mode: Mode) -> bool {
        trace::start_locking(self.address(), mode);
        let is_taken = self.raw.try_lock(mode);
        trace::acquire_returned(self.address(), mode, is_taken);
        is_taken
    }

    /// The guard of a lock that was just taken for reading.
    #[cfg_attr(feature = "lockdep", track_caller)]
    fn reading<'l>(&'l self, _held: &'l mut Held<Nothing>) -> MmapRead<'l, T, W> {
        MmapRead {
            lock: self,
            held: Held::assume(),
            note: Note::new(self.address()),
            bound: PhantomData,
        }
    }

    /// The guard of a lock that was just taken for writing.
    #[cfg_attr(feature = "lockdep", track_caller)]
    fn writing<'l>(&'l self, _held: &'l mut Held<Nothing>) -> MmapWrite<'l, T, W> {
        let mut guard = MmapWrite {
            lock: self,
            held: Held::assume(),
            note: Note::new(self.address()),
            bound: PhantomData,
        };
        guard.begin_write();
        guard
    }

    /// Whether somebody holds it. A report: it may be otherwise by now.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.raw.held_as().is_some()
    }

    /// Whether somebody holds it for writing. A report: it may be otherwise by now.
    #[must_use]
    pub fn is_write_locked(&self) -> bool {
        self.raw.held_as() == Some(Mode::Write)
    }

    /// The state, without locking: the borrow proves that nobody holds the lock.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: `&mut self` means that no guard lives.
        self.state.with_mut(|state| unsafe { &mut *state })
    }

    /// Takes the state out.
    pub fn into_inner(self) -> T {
        self.state.into_inner()
    }
}

impl<T: WriteSection + Default, W: Wait> Default for MmapLock<T, W> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T, W: Wait> fmt::Debug for MmapLock<T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MmapLock")
            .field("held_as", &self.raw.held_as())
            .finish_non_exhaustive()
    }
}

/// `mmap_lock` held for reading, until dropped. Stays on its thread.
#[must_use = "the lock is given back where the guard is dropped"]
pub struct MmapRead<'l, T: WriteSection, W: Wait = DefaultWait> {
    lock: &'l MmapLock<T, W>,
    held: Held<level::MmapRead>,
    note: Note<level::MmapRead>,
    bound: PhantomData<&'l mut Held<Nothing>>,
}

impl<'l, T: WriteSection, W: Wait> MmapRead<'l, T, W> {
    /// The state, and what locks taken under this one borrow.
    pub fn parts(&mut self) -> (&T, &mut Held<level::MmapRead>) {
        // SAFETY: The lock is held for reading while this guard lives.
        let state = self.lock.state.with(|state| unsafe { &*state });
        (state, &mut self.held)
    }
}

impl<T: WriteSection, W: Wait> Deref for MmapRead<'_, T, W> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The lock is held for reading while this guard lives.
        self.lock.state.with(|state| unsafe { &*state })
    }
}

impl<T: WriteSection, W: Wait> Drop for MmapRead<'_, T, W> {
    fn drop(&mut self) {
        self.note.forget();
        trace::released(self.lock.address(), Mode::Read);
        self.lock.raw.unlock(Mode::Read);
    }
}

impl<T: WriteSection + fmt::Debug, W: Wait> fmt::Debug for MmapRead<'_, T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// `mmap_lock` held for writing, until dropped. Stays on its thread.
///
/// It is a *write section*: VMAs that are write-locked in it stay so until it ends.
#[must_use = "the lock is given back where the guard is dropped"]
pub struct MmapWrite<'l, T: WriteSection, W: Wait = DefaultWait> {
    lock: &'l MmapLock<T, W>,
    held: Held<level::MmapWrite>,
    note: Note<level::MmapWrite>,
    bound: PhantomData<&'l mut Held<Nothing>>,
}

impl<'l, T: WriteSection, W: Wait> MmapWrite<'l, T, W> {
    /// The state, and what locks taken under this one borrow.
    pub fn parts(&mut self) -> (&mut T, &mut Held<level::MmapWrite>) {
        // SAFETY: The lock is held for writing while this guard lives, and `&mut self` is its only
        // use.
        let state = self.lock.state.with_mut(|state| unsafe { &mut *state });
        (state, &mut self.held)
    }

    /// Keeps the lock for reading only; readers who wait get in. Every VMA write lock ends.
    #[doc(alias = "mmap_write_downgrade")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn downgrade(self) -> MmapRead<'l, T, W> {
        let mut this = ManuallyDrop::new(self);
        if !planted!("downgrade_keeps_section") {
            this.end_write();
        }
        this.note.forget();
        this.lock.raw.downgrade();
        MmapRead {
            lock: this.lock,
            held: Held::assume(),
            note: Note::new(this.lock.address()),
            bound: PhantomData,
        }
    }
}

impl<T: WriteSection, W: Wait> Deref for MmapWrite<'_, T, W> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The lock is held for writing while this guard lives, and its borrow forbids
        // `deref_mut` meanwhile.
        self.lock.state.with(|state| unsafe { &*state })
    }
}

impl<T: WriteSection, W: Wait> DerefMut for MmapWrite<'_, T, W> {
    fn deref_mut(&mut self) -> &mut T {
        self.parts().0
    }
}

impl<T: WriteSection, W: Wait> Drop for MmapWrite<'_, T, W> {
    fn drop(&mut self) {
        /// Gives the lock back even if the section's end panics.
        struct Unlock<'a, W: Wait>(&'a RawLock<W>);
        impl<W: Wait> Drop for Unlock<'_, W> {
            fn drop(&mut self) {
                self.0.unlock(Mode::Write);
            }
        }
        let lock = self.lock;
        let _unlock = Unlock(&lock.raw);
        self.note.forget();
        trace::released(lock.address(), Mode::Write);
        self.end_write();
    }
}

impl<T: WriteSection + fmt::Debug, W: Wait> fmt::Debug for MmapWrite<'_, T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
