//! The trait that an RCU implements, and the moments it hands out.
//!
//! # Safety
//!
//! Declares the unsafe trait; uses nothing unsafe itself.
#![expect(unsafe_code, reason = "the trait's promise cannot be checked")]

use crate::deferred::Deferred;

/// A grace period that was started: the moment from which readers can no longer see what was
/// made unreachable before. Ordered: an earlier one elapses no later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GracePeriod(pub u64);

/// One domain of read sections: an RCU implementation, named by a type.
///
/// # Safety
///
/// 1. When [`has_elapsed`](Self::has_elapsed) or
///    [`has_visibly_elapsed`](Self::has_visibly_elapsed) returns `true` for a period, every read
///    section entered before the matching [`start_grace_period`](Self::start_grace_period) has been left,
///    and its accesses happen before that return; a section entered later sees every store made
///    before the start.
/// 2. [`synchronize`](Self::synchronize) returns, and works given to [`defer`](Self::defer) run,
///    only after a grace period started no earlier than the call has elapsed.
/// 3. Sections nest: a thread is inside until it has left as often as it entered.
pub unsafe trait Backend: 'static {
    /// Enters a read section on this thread. Use [`ReadGuard::enter`](crate::ReadGuard::enter).
    fn enter();

    /// Leaves the section entered last on this thread.
    ///
    /// # Safety
    ///
    /// Pairs with an [`enter`](Self::enter) on the same thread that has not been left.
    unsafe fn leave();

    /// Starts a grace period for all that this thread has made unreachable before.
    #[doc(alias = "start_poll_synchronize_rcu")]
    fn start_grace_period() -> GracePeriod;

    /// Whether every section that was open at the start of `period` has been left. Never waits;
    /// costs up to a barrier on all processors, so ask once per batch.
    #[doc(alias = "poll_state_synchronize_rcu")]
    fn has_elapsed(period: GracePeriod) -> bool;

    /// The same at no cost to others: `false` also when it would take a barrier to know. Ask this
    /// often, and [`has_elapsed`](Self::has_elapsed) when it goes on saying no.
    fn has_visibly_elapsed(period: GracePeriod) -> bool {
        Self::has_elapsed(period)
    }

    /// Waits for a full grace period, then runs the deferred works that became due.
    ///
    /// # Panics
    ///
    /// When called inside a read section, where it could never return.
    fn synchronize();

    /// Runs `work` after a grace period.
    fn defer(work: Deferred);
}
