//! Strict mode: makes a use of freed memory loud.
//!
//! With the feature `strict`, structures overwrite retired memory with [`POISON`] just before it
//! is freed and give it back to the allocator at once instead of pooling it.
//!
//! # Safety
//!
//! Writes only where the caller owns the memory.
#![expect(unsafe_code, reason = "overwrites memory that is about to be freed")]

/// The byte that fills retired memory. As a pointer it is not canonical, so following it traps.
pub const POISON: u8 = 0xDD;

/// Whether strict mode is on in this build.
pub const IS_STRICT: bool = cfg!(feature = "strict");

/// Fills `len` bytes at `memory` with [`POISON`] in strict mode; else does nothing.
///
/// # Safety
///
/// `memory` is valid for writes of `len` bytes, and nobody reads it again before it is
/// initialized anew.
#[inline]
pub unsafe fn poison(memory: *mut u8, len: usize) {
    if IS_STRICT {
        // SAFETY: By the contract above.
        unsafe { memory.write_bytes(POISON, len) };
    }
}
