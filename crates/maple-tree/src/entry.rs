//! What a tree holds: owned things that fit one non-null pointer.
//!
//! # Safety
//!
//! Every implementation turns an entry into a word and back by a pair of functions of its own
//! type (`Arc::into_raw`/`from_raw`, …), and borrows without taking.
#![expect(unsafe_code, reason = "entries travel as raw words")]

use crate::error::AllocError;
use alloc::alloc::Layout;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use core::ops::Deref;
use core::ptr::NonNull;

/// An owned value as wide as a pointer, which a tree can hold.
///
/// # Safety
///
/// 1. `from_raw(into_raw(e))` is `e`, and each word is turned back at most once.
/// 2. `borrow` and `try_duplicate` leave the word's owner in place, and may run on several
///    threads at once if the type is `Sync`.
/// 3. If `IS_PLAIN`, then a word may be turned back as often as there are copies of it.
pub unsafe trait Entry: Sized {
    /// Whether a copy of the word is a second owner by itself, as with integers and references.
    /// Whole nodes are then copied as they are.
    const IS_PLAIN: bool = false;

    /// What a reader gets: a reference or a copy, bounded by its read section.
    type Ref<'g>: Copy
    where
        Self: 'g;

    /// Gives up ownership for a word.
    fn into_raw(self) -> NonNull<()>;

    /// Takes ownership back.
    ///
    /// # Safety
    ///
    /// `raw` came from `into_raw` of this type and has not been taken back.
    unsafe fn from_raw(raw: NonNull<()>) -> Self;

    /// Looks at the entry.
    ///
    /// # Safety
    ///
    /// `raw` came from `into_raw` of this type and is not taken back during `'g`.
    unsafe fn borrow<'g>(raw: NonNull<()>) -> Self::Ref<'g>
    where
        Self: 'g;

    /// Makes a second owner, for a store into the middle of the entry's range.
    ///
    /// # Safety
    ///
    /// `raw` came from `into_raw` of this type and has not been taken back.
    ///
    /// # Errors
    ///
    /// When that needs memory and there is none.
    unsafe fn try_duplicate(raw: NonNull<()>) -> Result<Self, AllocError>;
}

/// A borrowed [`Arc`]: reads like `&T`, and can become an owner of its own.
///
/// # Examples
///
/// ```
/// use maple_tree::MapleTree;
/// use std::sync::Arc;
///
/// let mut tree: MapleTree<Arc<str_box::Name>> = MapleTree::new();
/// # mod str_box { pub struct Name(pub &'static str); }
/// tree.store(0..=9, Arc::new(str_box::Name("ten")))?;
/// let found = tree.get(5).expect("stored");
/// assert_eq!(found.0, "ten");
/// let owner: Arc<_> = found.to_arc();
/// assert_eq!(Arc::strong_count(&owner), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ArcRef<'g, T> {
    /// # Invariants
    ///
    /// From `Arc::into_raw`; that owner lives throughout `'g`.
    raw: NonNull<T>,
    bound: PhantomData<&'g Arc<T>>,
}

// SAFETY: It is a shared borrow of an `Arc<T>`, which is sendable when `Arc<T>` is `Sync`.
unsafe impl<T: Send + Sync> Send for ArcRef<'_, T> {}
// SAFETY: As for `Send`.
unsafe impl<T: Send + Sync> Sync for ArcRef<'_, T> {}

impl<T> Clone for ArcRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ArcRef<'_, T> {}

impl<'g, T> ArcRef<'g, T> {
    /// The value, for as long as the read section.
    #[must_use]
    pub fn get(self) -> &'g T {
        // SAFETY: By the invariant of `raw`.
        unsafe { self.raw.as_ref() }
    }

    /// A new owner, which outlives the read section.
    #[must_use]
    pub fn to_arc(self) -> Arc<T> {
        // SAFETY: By the invariant of `raw`, the strong count is at least 1.
        unsafe { Arc::increment_strong_count(self.raw.as_ptr()) };
        // SAFETY: The count just added belongs to this new `Arc`.
        unsafe { Arc::from_raw(self.raw.as_ptr()) }
    }
}

impl<T> Deref for ArcRef<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.get()
    }
}

impl<T: fmt::Debug> fmt::Debug for ArcRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

// SAFETY: 1 and 2 by the documentation of `Arc::into_raw`, `from_raw` and
// `increment_strong_count`; the word is the pointer.
unsafe impl<T> Entry for Arc<T> {
    type Ref<'g>
        = ArcRef<'g, T>
    where
        Self: 'g;

    fn into_raw(self) -> NonNull<()> {
        // SAFETY: `Arc::into_raw` is never null.
        unsafe { NonNull::new_unchecked(Self::into_raw(self).cast_mut().cast()) }
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: By the caller's promise.
        unsafe { Self::from_raw(raw.as_ptr().cast()) }
    }

    unsafe fn borrow<'g>(raw: NonNull<()>) -> ArcRef<'g, T>
    where
        Self: 'g,
    {
        // INVARIANT: By the caller's promise, the owner stays for 'g.
        ArcRef {
            raw: raw.cast(),
            bound: PhantomData,
        }
    }

    unsafe fn try_duplicate(raw: NonNull<()>) -> Result<Self, AllocError> {
        // SAFETY: By the caller's promise there is an owner.
        Ok(unsafe { <Self as Entry>::borrow(raw) }.to_arc())
    }
}

// SAFETY: 1: the word is the reference. 2 and 3: references are copied.
unsafe impl<T> Entry for &'static T {
    const IS_PLAIN: bool = true;

    type Ref<'g> = &'static T;

    fn into_raw(self) -> NonNull<()> {
        NonNull::from(self).cast()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: By the caller's promise the word is such a reference.
        unsafe { raw.cast().as_ref() }
    }

    unsafe fn borrow<'g>(raw: NonNull<()>) -> &'static T
    where
        Self: 'g,
    {
        // SAFETY: As in `from_raw`.
        unsafe { raw.cast().as_ref() }
    }

    unsafe fn try_duplicate(raw: NonNull<()>) -> Result<Self, AllocError> {
        // SAFETY: As in `from_raw`.
        Ok(unsafe { raw.cast().as_ref() })
    }
}

// SAFETY: 1: the word is the box's pointer. 2: cloning reads through a shared reference.
unsafe impl<T: Clone> Entry for Box<T> {
    type Ref<'g>
        = &'g T
    where
        Self: 'g;

    fn into_raw(self) -> NonNull<()> {
        NonNull::from(Self::leak(self)).cast()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: By the caller's promise.
        unsafe { Self::from_raw(raw.as_ptr().cast()) }
    }

    unsafe fn borrow<'g>(raw: NonNull<()>) -> &'g T
    where
        Self: 'g,
    {
        // SAFETY: By the caller's promise the box lives for 'g, and is not written meanwhile.
        unsafe { raw.cast().as_ref() }
    }

    unsafe fn try_duplicate(raw: NonNull<()>) -> Result<Self, AllocError> {
        // SAFETY: By the caller's promise.
        let value: &T = unsafe { <Self as Entry>::borrow(raw) };
        let layout = Layout::new::<T>();
        if layout.size() == 0 {
            return Ok(Self::new(value.clone()));
        }
        let copy = value.clone();
        // SAFETY: The size is not zero.
        let memory = unsafe { alloc::alloc::alloc(layout) }.cast::<T>();
        if memory.is_null() {
            return Err(AllocError);
        }
        // SAFETY: Fresh memory of the layout of `T`.
        unsafe { memory.write(copy) };
        // SAFETY: Allocated by the global allocator with the layout of `T`, and initialized.
        Ok(unsafe { Self::from_raw(memory) })
    }
}

macro_rules! integer_entry {
    ($($int:ty: $to_word:expr, $from_word:expr;)*) => {$(
        // SAFETY: 1: the word is the integer, invertibly and never zero. 2 and 3: integers are
        // copied.
        unsafe impl Entry for $int {
            const IS_PLAIN: bool = true;

            type Ref<'g> = $int;

            #[inline]
            fn into_raw(self) -> NonNull<()> {
                let to_word: fn($int) -> NonZeroUsize = $to_word;
                NonNull::without_provenance(to_word(self))
            }

            #[inline]
            unsafe fn from_raw(raw: NonNull<()>) -> Self {
                let from_word: fn(NonZeroUsize) -> $int = $from_word;
                from_word(raw.addr())
            }

            #[inline]
            unsafe fn borrow<'g>(raw: NonNull<()>) -> $int
            where
                Self: 'g,
            {
                // SAFETY: Taking an integer back leaves nothing behind to own.
                unsafe { Self::from_raw(raw) }
            }

            #[inline]
            unsafe fn try_duplicate(raw: NonNull<()>) -> Result<Self, AllocError> {
                // SAFETY: As in `borrow`.
                Ok(unsafe { Self::from_raw(raw) })
            }
        }
    )*};
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<u64>() == size_of::<usize>());

#[cfg(target_pointer_width = "64")]
integer_entry! {
    NonZeroUsize: |value| value, |word| word;
    NonZeroU64: |value| nonzero(value.get()), |word| nonzero_u64(word);
    NonZeroU32: |value| nonzero(u64::from(value.get())), |word| nonzero_u32(word);
    u32: |value| nonzero(u64::from(value) + 1), |word| (nonzero_u64(word).get() - 1) as u32;
}

#[cfg(target_pointer_width = "64")]
#[inline]
fn nonzero(value: u64) -> NonZeroUsize {
    NonZeroUsize::new(value as usize).expect("made from a value that is not zero")
}

#[cfg(target_pointer_width = "64")]
#[inline]
fn nonzero_u64(word: NonZeroUsize) -> NonZeroU64 {
    NonZeroU64::new(word.get() as u64).expect("made from a value that is not zero")
}

#[cfg(target_pointer_width = "64")]
#[inline]
fn nonzero_u32(word: NonZeroUsize) -> NonZeroU32 {
    NonZeroU32::new(word.get() as u32).expect("made from a u32 that is not zero")
}
