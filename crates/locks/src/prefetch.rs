//! Asks the processor for memory before it is used; elsewhere than on x86-64 it does nothing.
//!
//! # Safety
//!
//! A prefetch reads and writes nothing, and takes any address.
#![cfg_attr(
    all(target_arch = "x86_64", not(any(loom, shuttle))),
    expect(unsafe_code, reason = "prefetches have no safe wrapper")
)]

/// One line, to be read soon.
#[inline]
pub(crate) fn to_read(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(any(loom, shuttle))))]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: Every x86-64 processor takes it, and it reads nothing: any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    let _ = address;
}

/// One line, to be written soon: other processors lose it.
#[inline]
pub(crate) fn to_write(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(any(loom, shuttle))))]
    {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: As in `to_read`.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(address.cast()) };
    }
    let _ = address;
}
