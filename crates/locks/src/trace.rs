//! Tracepoints of `mmap_lock`, named as the kernel's, through the crate `tracing`; nothing without
//! the feature of that name.

use crate::raw_lock::Mode;

#[cfg(feature = "tracing")]
const TARGET: &str = "mmap_lock";

/// Somebody wants the lock.
#[doc(alias = "mmap_lock_start_locking")]
#[inline]
pub(crate) fn start_locking(address: usize, mode: Mode) {
    #[cfg(feature = "tracing")]
    tracing::trace!(target: TARGET, address, write = mode == Mode::Write, "start_locking");
    let _ = (address, mode);
}

/// Somebody has got the lock, or not.
#[doc(alias = "mmap_lock_acquire_returned")]
#[inline]
pub(crate) fn acquire_returned(address: usize, mode: Mode, success: bool) {
    #[cfg(feature = "tracing")]
    tracing::trace!(
        target: TARGET,
        address,
        write = mode == Mode::Write,
        success,
        "acquire_returned"
    );
    let _ = (address, mode, success);
}

/// Somebody gives the lock back.
#[doc(alias = "mmap_lock_released")]
#[inline]
pub(crate) fn released(address: usize, mode: Mode) {
    #[cfg(feature = "tracing")]
    tracing::trace!(target: TARGET, address, write = mode == Mode::Write, "released");
    let _ = (address, mode);
}
