//! A cell whose accesses go through closures, so that a model checker sees each of them.

#[cfg(not(any(loom, shuttle)))]
pub use plain::UnsafeCell;
#[cfg(any(loom, shuttle))]
pub use watched::UnsafeCell;

#[cfg(not(any(loom, shuttle)))]
mod plain {
    //! As core's, without a cost.

    /// `core::cell::UnsafeCell` with the access style of loom.
    ///
    /// # Examples
    ///
    /// ```
    /// use vmaple_sync::cell::UnsafeCell;
    ///
    /// let cell = UnsafeCell::new(1);
    /// cell.with_mut(|value| assert!(!value.is_null()));
    /// assert_eq!(cell.into_inner(), 1);
    /// ```
    #[derive(Debug)]
    #[repr(transparent)]
    pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    #[expect(clippy::inline_always, reason = "on every hot path of the tree")]
    impl<T> UnsafeCell<T> {
        /// Wraps a value.
        pub const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        /// Calls `access` with a pointer for reading. The caller answers for what it does with it.
        #[inline(always)]
        pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            access(self.0.get())
        }

        /// Calls `access` with a pointer for writing. The caller answers for what it does with it.
        #[inline(always)]
        pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }

        /// Takes the value out.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }
}

#[cfg(any(loom, shuttle))]
mod watched {
    //! As the checker's, each access noted before it is made: the checker may find it wrong.

    use crate::names::{Name, Nameable};
    use crate::steps::Word;

    #[cfg(loom)]
    type Inner<T> = loom::cell::UnsafeCell<T>;
    #[cfg(shuttle)]
    type Inner<T> = core::cell::UnsafeCell<T>;

    /// `core::cell::UnsafeCell` with the access style of loom.
    #[derive(Debug)]
    pub struct UnsafeCell<T> {
        inner: Inner<T>,
        word: Word,
    }

    impl<T> Nameable for UnsafeCell<T> {
        fn with_name(mut self, name: &'static Name) -> Self {
            self.word.name = Some(name);
            self
        }
    }

    impl<T> UnsafeCell<T> {
        /// Wraps a value.
        #[track_caller]
        pub fn new(value: T) -> Self {
            Self {
                inner: Inner::new(value),
                word: Word::new(),
            }
        }

        /// Calls `access` with a pointer for reading. The caller answers for what it does with it.
        #[track_caller]
        pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            self.word.note_read();
            #[cfg(loom)]
            return self.inner.with(access);
            #[cfg(shuttle)]
            return access(self.inner.get());
        }

        /// Calls `access` with a pointer for writing. The caller answers for what it does with it.
        #[track_caller]
        pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            self.word.note_write();
            #[cfg(loom)]
            return self.inner.with_mut(access);
            #[cfg(shuttle)]
            return access(self.inner.get());
        }

        /// Takes the value out.
        pub fn into_inner(self) -> T {
            self.inner.into_inner()
        }
    }
}

/// A value that is written while only its maker knows it, then published and only read.
///
/// Costs nothing; under loom every read is checked to come after the last write.
#[derive(Debug)]
#[repr(transparent)]
pub struct Frozen<T>(FrozenInner<T>);

#[cfg(not(loom))]
type FrozenInner<T> = T;
#[cfg(loom)]
type FrozenInner<T> = loom::cell::UnsafeCell<T>;

impl<T> Frozen<T> {
    /// Wraps a value.
    #[inline]
    pub fn new(value: T) -> Self {
        #[cfg(not(loom))]
        return Self(value);
        #[cfg(loom)]
        return Self(FrozenInner::new(value));
    }

    /// The value, for reading.
    #[inline]
    #[cfg_attr(loom, expect(unsafe_code, reason = "the checker hands out pointers"))]
    pub fn get(&self) -> &T {
        #[cfg(not(loom))]
        return &self.0;
        // SAFETY: Writing takes `&mut self`, so no write happens while the reference lives.
        #[cfg(loom)]
        return self.0.with(|value| unsafe { &*value });
    }

    /// The value, for its maker.
    #[inline]
    #[cfg_attr(loom, expect(unsafe_code, reason = "the checker hands out pointers"))]
    pub fn get_mut(&mut self) -> &mut T {
        #[cfg(not(loom))]
        return &mut self.0;
        // SAFETY: `&mut self` is the only access.
        #[cfg(loom)]
        return self.0.with_mut(|value| unsafe { &mut *value });
    }
}

// SAFETY: Shared access only reads.
#[cfg(loom)]
#[expect(unsafe_code, reason = "loom's cell is never Sync by itself")]
unsafe impl<T: Sync> Sync for Frozen<T> {}
