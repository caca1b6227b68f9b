//! A cell whose accesses go through closures, so that a model checker sees each of them.

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
pub struct UnsafeCell<T>(Inner<T>);

#[cfg(not(loom))]
type Inner<T> = core::cell::UnsafeCell<T>;
#[cfg(loom)]
type Inner<T> = loom::cell::UnsafeCell<T>;

#[cfg_attr(
    not(loom),
    expect(clippy::inline_always, reason = "on every hot path of the tree")
)]
impl<T> UnsafeCell<T> {
    /// Wraps a value.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// Wraps a value.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// Calls `access` with a pointer for reading. The caller answers for what it does with it.
    #[cfg_attr(not(loom), inline(always))]
    pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        #[cfg(not(loom))]
        return access(self.0.get());
        #[cfg(loom)]
        return self.0.with(access);
    }

    /// Calls `access` with a pointer for writing. The caller answers for what it does with it.
    #[cfg_attr(not(loom), inline(always))]
    pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(not(loom))]
        return access(self.0.get());
        #[cfg(loom)]
        return self.0.with_mut(access);
    }

    /// Takes the value out.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
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
