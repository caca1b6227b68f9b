//! Numbers that name things for good.

use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU64, Ordering};

/// A number that this process has given to nobody else, and never will.
///
/// No checker watches it: it orders nothing, and which number it is means nothing.
///
/// # Examples
///
/// ```
/// assert_ne!(vmaple_sync::unique::number(), vmaple_sync::unique::number());
/// ```
#[must_use]
pub fn number() -> NonZeroU64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: each gets another number, whatever the order. Given out every nanosecond, they last
    // for five centuries.
    NonZeroU64::new(NEXT.fetch_add(1, Ordering::Relaxed)).expect("there are enough")
}
