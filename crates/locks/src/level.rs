//! The order of locks, as types.
//!
//! ```text
//! Nothing ─▶ MmapRead  ─▶ VmaRead ──┐
//!        ├─▶ MmapWrite ─▶ VmaWrite ─┼─▶ FileMapping ─▶ AnonVma
//!        └─▶ VmaRead ───────────────┘
//! ```
//!
//! A thread of control has one [`Held`]: it begins as `Held<Nothing>`, and a call that takes a
//! lock borrows it until the guard is dropped. So while a guard lives, the calls that need
//! `Held<Nothing>` do not compile; the guard lends a `Held` of its own level for what may be taken
//! under it. It has no size: at run time nothing is left of it.
//!
//! What types cannot see (two tokens made in one thread, another address space's lock) the
//! feature `lockdep` reports.

use crate::lockdep::{self, Note};
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use vmaple_sync::mutex::{Mutex, MutexGuard};
use vmaple_sync::wait::{DefaultWait, Wait};

/// A place in the order of locks.
pub trait Level: sealed::Sealed + 'static {
    /// As reports name it.
    const NAME: &'static str;
    /// Its rank: locks are taken in ascending order.
    const RANK: u8;
}

/// `L` may be taken by a thread whose innermost lock is of this level.
///
/// A trait that no lock order allows is not implemented, which is what the compiler says:
///
/// ```compile_fail,E0277
/// use vmaple_locks::level::{Before, FileMapping, MmapRead};
/// fn takes_mmap_lock_under<L: Before<MmapRead>>() {}
/// takes_mmap_lock_under::<FileMapping>();
/// ```
#[diagnostic::on_unimplemented(
    message = "a lock of level `{L}` cannot be taken while one of level `{Self}` is held",
    label = "this would turn the order of locks round",
    note = "the order is: mmap_lock, VMA lock, file mapping lock, anon_vma lock"
)]
pub trait Before<L: Level>: Level {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! levels {
    ($($(#[$doc:meta])* $name:ident = $rank:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Level for $name {
            const NAME: &'static str = stringify!($name);
            const RANK: u8 = $rank;
        }
    )*};
}

levels! {
    /// No lock is held.
    Nothing = 0;
    /// `mmap_lock` is held for reading.
    MmapRead = 1;
    /// `mmap_lock` is held for writing.
    MmapWrite = 2;
    /// A VMA is read-locked, with or without `mmap_lock`.
    VmaRead = 3;
    /// VMAs are write-locked, under `mmap_lock` held for writing.
    VmaWrite = 4;
    /// A file's tree of mappings is locked.
    #[doc(alias = "i_mmap_rwsem")]
    FileMapping = 5;
    /// An anon_vma's tree of mappings is locked.
    AnonVma = 6;
}

macro_rules! order {
    ($($before:ident => $($after:ident)*;)*) => {$($(
        impl Before<$after> for $before {}
    )*)*};
}

order! {
    Nothing => MmapRead MmapWrite VmaRead FileMapping AnonVma;
    MmapRead => VmaRead FileMapping AnonVma;
    MmapWrite => VmaWrite FileMapping AnonVma;
    VmaRead => FileMapping AnonVma;
    VmaWrite => FileMapping AnonVma;
    FileMapping => AnonVma;
}

/// What a thread of control holds: the level of its innermost lock. Stays on its thread.
///
/// # Examples
///
/// ```
/// use vmaple_locks::{Held, MmapLock};
///
/// let lock: MmapLock<u32> = MmapLock::new(7);
/// let mut held = Held::nothing();
/// assert_eq!(*lock.read(&mut held), 7);
/// *lock.write(&mut held) += 1;
/// assert_eq!(*lock.read(&mut held), 8);
/// ```
///
/// ```compile_fail,E0499
/// # use vmaple_locks::{Held, MmapLock};
/// # let lock: MmapLock<u32> = MmapLock::new(7);
/// # let mut held = Held::nothing();
/// let reading = lock.read(&mut held);
/// let writing = lock.write(&mut held); // would wait for itself
/// drop(reading);
/// ```
pub struct Held<L: Level = Nothing> {
    level: PhantomData<fn() -> L>,
    not_send: PhantomData<*const ()>,
}

impl<L: Level> fmt::Debug for Held<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held<{}>", L::NAME)
    }
}

impl Held<Nothing> {
    /// For a thread of control that holds nothing: once where it begins (a thread's main function,
    /// the entry of a system call or fault), passed down from there by `&mut`.
    ///
    /// A second one would let locks be taken in the wrong order, which no type can see; it can end
    /// in a deadlock, never in a data race.
    #[must_use]
    pub fn nothing() -> Self {
        Self::assume()
    }
}

impl<L: Level> Held<L> {
    /// For a guard, which holds a lock of that level.
    pub(crate) fn assume() -> Self {
        Self {
            level: PhantomData,
            not_send: PhantomData,
        }
    }
}

/// A lock of the embedder with a place in the order: a file's mappings, an anon_vma.
///
/// # Examples
///
/// ```
/// use vmaple_locks::level::{AnonVma, FileMapping};
/// use vmaple_locks::{Held, LeveledMutex};
///
/// let file: LeveledMutex<FileMapping, Vec<u64>> = LeveledMutex::new(vec![]);
/// let anon: LeveledMutex<AnonVma, Vec<u64>> = LeveledMutex::new(vec![]);
/// let mut held = Held::nothing();
/// let mut file = file.lock(&mut held);
/// let (mappings, held) = file.parts();
/// anon.lock(held).push(0x1000);
/// mappings.push(0x1000);
/// ```
///
/// The other way round:
///
/// ```compile_fail,E0277
/// # use vmaple_locks::level::{AnonVma, FileMapping};
/// # use vmaple_locks::{Held, LeveledMutex};
/// # let file: LeveledMutex<FileMapping, Vec<u64>> = LeveledMutex::new(vec![]);
/// # let anon: LeveledMutex<AnonVma, Vec<u64>> = LeveledMutex::new(vec![]);
/// # let mut held = Held::nothing();
/// let mut anon = anon.lock(&mut held);
/// let (pages, held) = anon.parts();
/// file.lock(held).push(0x1000);
/// ```
pub struct LeveledMutex<L: Level, T, W: Wait = DefaultWait> {
    mutex: Mutex<T, W>,
    level: PhantomData<fn() -> L>,
}

impl<L: Level, T, W: Wait> LeveledMutex<L, T, W> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        Self {
            mutex: Mutex::new(value),
            level: PhantomData,
        }
    }

    /// Takes the lock, waiting until it is free.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn lock<'h, B: Before<L>>(&'h self, _held: &'h mut Held<B>) -> LeveledGuard<'h, L, T, W> {
        let address = core::ptr::from_ref(&self.mutex).addr();
        lockdep::about_to_wait::<L>(address);
        LeveledGuard {
            value: self.mutex.lock(),
            held: Held::assume(),
            _note: Note::new(address),
        }
    }

    /// Takes the value out.
    pub fn into_inner(self) -> T {
        self.mutex.into_inner()
    }
}

impl<L: Level, T, W: Wait> fmt::Debug for LeveledMutex<L, T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeveledMutex<{}>({:?})", L::NAME, self.mutex)
    }
}

/// The right to use what a [`LeveledMutex`] protects, until dropped.
#[must_use = "the lock is given back where the guard is dropped"]
pub struct LeveledGuard<'h, L: Level, T, W: Wait = DefaultWait> {
    value: MutexGuard<'h, T, W>,
    held: Held<L>,
    _note: Note<L>,
}

impl<L: Level, T, W: Wait> LeveledGuard<'_, L, T, W> {
    /// The value, and what locks taken under this one borrow.
    pub fn parts(&mut self) -> (&mut T, &mut Held<L>) {
        (&mut self.value, &mut self.held)
    }
}

impl<L: Level, T, W: Wait> Deref for LeveledGuard<'_, L, T, W> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<L: Level, T, W: Wait> DerefMut for LeveledGuard<'_, L, T, W> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<L: Level, T: fmt::Debug, W: Wait> fmt::Debug for LeveledGuard<'_, L, T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
