//! Cancelling a wait, as a value.
//!
//! # Safety
//!
//! Lists words that waiting threads sleep on. An entry is listed from its registration until the
//! registration is dropped, which is before the word can go away.
#![expect(unsafe_code, reason = "lists words on other stacks")]

use crate::list::{List, Node};
use core::fmt;
use core::ptr::NonNull;
use vmaple_sync::atomic::{AtomicU32, Ordering};
use vmaple_sync::hint::spin_loop;
use vmaple_sync::mutex::Mutex;
use vmaple_sync::names::{Name, named};
use vmaple_sync::planted;
use vmaple_sync::wait::{DefaultWait, Wait};

/// Ends the killable waits that were given it: a pending fatal signal, a deadline, a shutdown.
///
/// Once cancelled it stays so until [`reset`](Self::reset). One may serve any number of waits on
/// any number of threads.
///
/// # Examples
///
/// ```
/// use vmaple_locks::{Cancel, Held, MmapLock};
///
/// let lock: MmapLock<u32> = MmapLock::new(7);
/// let signal = Cancel::new();
/// signal.cancel();
/// let mut held = Held::nothing();
/// assert!(lock.read_killable(&mut held, &signal).is_ok(), "nothing to wait for");
/// ```
pub struct Cancel<W: Wait = DefaultWait> {
    /// 0 or 1.
    is_cancelled: AtomicU32,
    sleepers: Mutex<List<Sleeper>, W>,
}

/// The wait was ended by its [`Cancel`]; nothing was taken and nothing left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "EINTR")]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the wait was cancelled")
    }
}

impl core::error::Error for Cancelled {}

static IS_CANCELLED: Name = Name::new("is_cancelled");

/// The word that a thread sleeps on.
struct Sleeper(NonNull<AtomicU32>);

// SAFETY: An atomic, shared by reference.
unsafe impl Sync for Sleeper {}

impl<W: Wait> Default for Cancel<W> {
    fn default() -> Self {
        Self::with_wait()
    }
}

impl Cancel {
    /// Not cancelled, for the environment's default way of waiting.
    #[must_use]
    pub fn new() -> Self {
        Self::with_wait()
    }
}

impl<W: Wait> Cancel<W> {
    /// Not cancelled, for a way of waiting that the type names.
    #[must_use]
    pub fn with_wait() -> Self {
        Self {
            is_cancelled: named(&IS_CANCELLED, AtomicU32::new(0)),
            sleepers: Mutex::new(List::new()),
        }
    }

    /// Ends the waits that use it, now and until it is reset. O(waiting threads).
    pub fn cancel(&self) {
        // Release: pairs with the Acquire in `is_cancelled`; what the canceller did before is
        // seen by the cancelled. There is no witness: no data travels with it in the tests.
        self.is_cancelled.store(1, Ordering::Release);
        let sleepers = self.sleepers.lock();
        sleepers.for_each(|sleeper| {
            // SAFETY: Listed, hence alive while the list is locked.
            let word = unsafe { sleeper.0.as_ref() };
            // Release: pairs with the Acquire in `wait_until`: who sees the new count sees the
            // flag. Witness: `checks::a_cancelled_writer_leaves_no_flag`.
            word.fetch_add(1, Ordering::Release);
            W::wake_all(word);
        });
    }

    /// Whether waits that use it end at once.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        // Acquire: pairs with the Release in `cancel`. There is no witness: see there.
        self.is_cancelled.load(Ordering::Acquire) != 0
    }

    /// Makes it usable again.
    pub fn reset(&mut self) {
        // Relaxed: `&mut`, nobody else looks.
        self.is_cancelled.store(0, Ordering::Relaxed);
    }
}

impl<W: Wait> fmt::Debug for Cancel<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel")
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// Takes the entry out however the wait ends.
struct Registration<'w, W: Wait> {
    cancel: &'w Cancel<W>,
    node: &'w Node<Sleeper>,
}

impl<W: Wait> Drop for Registration<'_, W> {
    fn drop(&mut self) {
        // SAFETY: Put in by `wait_until`, and taken out only here.
        unsafe { self.cancel.sleepers.lock().unlink(self.node) };
    }
}

/// Looks before the first sleep: about as long as it takes to fall asleep and be woken. Locks of
/// VMAs are held for much less, unless their holder has lost its processor.
const LOOKS: usize = if cfg!(any(loom, shuttle)) { 0 } else { 100 };

/// Waits until `is_done`: awake for a moment, then asleep on `event`, a word that counts events and
/// is raised by whoever makes `is_done` true.
///
/// # Errors
///
/// When `cancel` ends the wait first.
pub(crate) fn wait_until<W: Wait>(
    event: &AtomicU32,
    cancel: Option<&Cancel<W>>,
    mut is_done: impl FnMut() -> bool,
) -> Result<(), Cancelled> {
    for _ in 0..LOOKS {
        if is_done() {
            return Ok(());
        }
        spin_loop();
    }
    let mut sleep = |is_cancelled: &dyn Fn() -> bool| loop {
        // Acquire: pairs with the Release of whoever raises the count; what it made true before is
        // seen below, so that no wake-up is lost.
        // Witness: `checks::no_wake_up_is_lost`.
        let seen = event.load(Ordering::Acquire);
        if is_done() {
            return Ok(());
        }
        if is_cancelled() {
            return Err(Cancelled);
        }
        W::wait(event, seen);
    };
    let Some(cancel) = cancel else {
        return sleep(&|| false);
    };
    let node = Node::new(Sleeper(NonNull::from(event)));
    // SAFETY: The registration below takes it out before this function ends, by unwinding too.
    unsafe { cancel.sleepers.lock().push_back(&node) };
    let _registration = Registration {
        cancel,
        node: &node,
    };
    sleep(&|| cancel.is_cancelled())
}

/// Tells a sleeping writer that something has changed.
pub(crate) fn raise<W: Wait>(event: &AtomicU32) {
    // Release: pairs with the Acquire in `wait_until`: the change made before is seen by whoever
    // sees the new count. Witness: `checks::no_wake_up_is_lost`.
    event.fetch_add(1, Ordering::Release);
    if !planted!("no_wake_up") {
        W::wake_all(event);
    }
}
