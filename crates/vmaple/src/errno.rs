//! Error numbers of the memory calls, and the outcome "this crate does not model that".

use core::fmt;

macro_rules! errnos {
    ($($(#[$doc:meta])* $name:ident = $number:literal),+ $(,)?) => {
        /// A Linux error number.
        ///
        /// The discriminants are the positive numbers of x86-64 and of every other architecture
        /// that uses the generic table.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum Errno {
            $($(#[$doc])* $name = $number),+
        }

        impl Errno {
            /// Every error number this crate knows, in ascending order.
            pub const ALL: &'static [Errno] = &[$(Errno::$name),+];

            /// The symbolic name, such as `"ENOMEM"`.
            ///
            /// ```
            /// assert_eq!(vmaple::Errno::ENOMEM.name(), "ENOMEM");
            /// ```
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Errno::$name => stringify!($name)),+
                }
            }

            /// The error with the (positive) Linux number `raw`, if this crate knows it.
            ///
            /// ```
            /// use vmaple::Errno;
            /// assert_eq!(Errno::from_raw(12), Some(Errno::ENOMEM));
            /// assert_eq!(Errno::from_raw(-12), None);
            /// ```
            #[must_use]
            pub const fn from_raw(raw: i32) -> Option<Errno> {
                match raw {
                    $($number => Some(Errno::$name),)+
                    _ => None,
                }
            }
        }
    };
}

errnos! {
    /// Operation not permitted.
    EPERM = 1,
    /// No such file, mapping or context.
    ENOENT = 2,
    /// No such process.
    ESRCH = 3,
    /// Interrupted by a signal.
    EINTR = 4,
    /// Input/output error.
    EIO = 5,
    /// An argument is longer than this kernel knows.
    E2BIG = 7,
    /// Bad file descriptor.
    EBADF = 9,
    /// Try again; for `mmap` and `mremap`: the lock limit is exceeded.
    EAGAIN = 11,
    /// No memory, no room in the address space, or (most range calls) a hole in the range.
    ENOMEM = 12,
    /// Permission denied.
    EACCES = 13,
    /// Bad address.
    EFAULT = 14,
    /// Device or resource busy.
    EBUSY = 16,
    /// Already exists.
    EEXIST = 17,
    /// No such device, or the file cannot be mapped.
    ENODEV = 19,
    /// Invalid argument.
    EINVAL = 22,
    /// Too many open files.
    EMFILE = 24,
    /// The file is busy (a swap file, an executing text).
    ETXTBSY = 26,
    /// A file would be too large.
    EFBIG = 27,
    /// No space left.
    ENOSPC = 28,
    /// Numerical result out of range.
    ERANGE = 34,
    /// A name does not fit its buffer.
    ENAMETOOLONG = 36,
    /// The system call does not exist in this kernel.
    ENOSYS = 38,
    /// Value too large for the type: an offset beyond what files can have.
    EOVERFLOW = 75,
    /// Operation not supported.
    EOPNOTSUPP = 95,
    /// A page is poisoned.
    EHWPOISON = 133,
}

impl Errno {
    /// The positive Linux number.
    ///
    /// ```
    /// assert_eq!(vmaple::Errno::EINVAL.as_raw(), 22);
    /// ```
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self as i32
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Errno {}

impl From<vmaple_locks::WaitError> for Errno {
    /// What a system call says that could not wait to the end.
    fn from(error: vmaple_locks::WaitError) -> Errno {
        match error {
            vmaple_locks::WaitError::Cancelled => Errno::EINTR,
            vmaple_locks::WaitError::TooManyReaders => Errno::EAGAIN,
            vmaple_locks::WaitError::TreeReplaced => Errno::ESRCH,
        }
    }
}

impl From<core::convert::Infallible> for Errno {
    fn from(never: core::convert::Infallible) -> Errno {
        match never {}
    }
}

/// Something a call asked for that this crate does not compute; the text names it.
///
/// The address space is unchanged when a call returns this. An embedder that mirrors another
/// address space has to read the result from there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Unmodelled(pub &'static str);

impl fmt::Display for Unmodelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not modelled: {}", self.0)
    }
}

impl core::error::Error for Unmodelled {}

/// Why a memory call did not succeed.
///
/// ```
/// use vmaple::{CallError, Errno, Unmodelled};
/// let refused: CallError = Errno::ENOMEM.into();
/// assert_eq!(refused.errno(), Some(Errno::ENOMEM));
/// assert_eq!(CallError::Unmodelled(Unmodelled("huge pages")).errno(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallError {
    /// Linux refuses the call with this error.
    Errno(Errno),
    /// This crate cannot tell what Linux would do; nothing changed.
    Unmodelled(Unmodelled),
}

impl CallError {
    /// The error number, if Linux's answer is known.
    #[must_use]
    pub const fn errno(self) -> Option<Errno> {
        match self {
            CallError::Errno(errno) => Some(errno),
            CallError::Unmodelled(_) => None,
        }
    }
}

impl From<Errno> for CallError {
    fn from(errno: Errno) -> Self {
        CallError::Errno(errno)
    }
}

impl From<Unmodelled> for CallError {
    fn from(what: Unmodelled) -> Self {
        CallError::Unmodelled(what)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Errno(errno) => errno.fmt(f),
            CallError::Unmodelled(what) => what.fmt(f),
        }
    }
}

impl core::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn numbers_and_names_round_trip() {
        for &errno in Errno::ALL {
            assert_eq!(Errno::from_raw(errno.as_raw()), Some(errno));
            assert!(errno.name().starts_with('E'));
        }
        assert_eq!(Errno::from_raw(0), None);
    }
}
