//! How readers of a VMA say that they read it: in its reference count, or in a spot of their own.

#[cfg(feature = "std")]
use crate::cancel::raise;
use crate::cancel::{Cancel, Cancelled};
#[cfg(feature = "std")]
use crate::spots::{self, Spot};
#[cfg(feature = "std")]
use crate::threads;
use crate::vma_lock::VmaLock;
use core::fmt;
#[cfg(feature = "std")]
use vmaple_rcu::fence;
use vmaple_sync::wait::Wait;

/// What is read-locked, as a scheme sees it.
#[derive(Debug, Clone, Copy)]
pub struct Target<'l>(
    #[cfg_attr(
        not(feature = "std"),
        expect(dead_code, reason = "only spots look at it")
    )]
    pub(crate) &'l VmaLock,
);

/// How readers say that they read: [`Counted`] or [`Biased`]. Both behind the same guards.
pub trait ReadScheme: fmt::Debug + Send + Sync + 'static + sealed::Sealed {
    /// Where a reader has said so, if not in the reference count.
    #[doc(hidden)]
    type Spot: Copy + fmt::Debug;

    /// Says so without writing to the VMA, if that is possible now.
    #[doc(hidden)]
    fn enter<W: Wait>(target: Target<'_>) -> Option<Self::Spot>;

    /// Takes it back, and wakes a writer who waits for that.
    #[doc(hidden)]
    fn leave<W: Wait>(target: Target<'_>, spot: Self::Spot);

    /// Notes a read lock by the count, while it is held.
    #[doc(hidden)]
    fn note_read(target: Target<'_>);

    /// Waits for the readers that the count does not know.
    #[doc(hidden)]
    fn revoke<W: Wait>(target: Target<'_>, cancel: Option<&Cancel<W>>) -> Result<(), Cancelled>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Counted {}
    #[cfg(feature = "std")]
    impl Sealed for super::Biased {}
}

/// Every reader counts itself in the VMA's word, as in Linux. Needs nothing from the host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted;

/// No such thing: counted readers have no spots.
#[derive(Debug, Clone, Copy)]
pub enum NoSpot {}

impl ReadScheme for Counted {
    type Spot = NoSpot;

    #[inline]
    fn enter<W: Wait>(_target: Target<'_>) -> Option<NoSpot> {
        None
    }

    #[inline]
    fn leave<W: Wait>(_target: Target<'_>, spot: NoSpot) {
        match spot {}
    }

    #[inline]
    fn note_read(_target: Target<'_>) {}

    #[inline]
    fn revoke<W: Wait>(_target: Target<'_>, _cancel: Option<&Cancel<W>>) -> Result<(), Cancelled> {
        Ok(())
    }
}

/// Readers of a VMA that is rarely written leave a mark in a place of their own thread instead.
///
/// The price: a write lock of such a VMA costs a barrier on all processors (some microseconds)
/// and a look at one pair of cache lines for each thread that reads.
#[cfg(feature = "std")]
#[derive(Debug, Clone, Copy, Default)]
pub struct Biased;

#[cfg(feature = "std")]
impl ReadScheme for Biased {
    type Spot = &'static Spot;

    #[inline]
    fn enter<W: Wait>(target: Target<'_>) -> Option<&'static Spot> {
        if !target.0.bias.is_biased() {
            return None;
        }
        let spot = threads::free_spot()?;
        spots::set(spot, target.0.place());
        fence::light();
        if target.0.bias.is_biased() {
            return Some(spot);
        }
        Self::leave::<W>(target, spot);
        None
    }

    #[inline]
    fn leave<W: Wait>(target: Target<'_>, spot: &'static Spot) {
        spots::clear(spot);
        if target.0.bias.must_wake() {
            raise::<W>(&target.0.event);
        }
    }

    #[inline]
    fn note_read(target: Target<'_>) {
        target.0.bias.note_read();
    }

    #[inline]
    fn revoke<W: Wait>(target: Target<'_>, cancel: Option<&Cancel<W>>) -> Result<(), Cancelled> {
        let lock = target.0;
        lock.bias
            .revoke(&lock.event, cancel, || threads::is_held(lock.place()))
    }
}
