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
