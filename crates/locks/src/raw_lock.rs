//! The protocol of `mmap_lock`: a reader/writer lock that is handed over in the order of arrival.
//!
//! One word has the holders. Who finds it taken stands in line, a list of entries on the waiters'
//! own stacks behind a small mutex; then nobody gets in but from the line.
//!
//! ```text
//! state   WRITER | QUEUED | number of readers
//! line    first ─▶ [R] ─▶ [R] ─▶ [W] ─▶ [R]
//! ```
//!
//! Who leaves last hands the lock to the first in line: to one writer, or to all readers up to the
//! next writer. So a writer waits for those who were there before it, and readers behind a writer
//! get in before the next one. A waiter that is cancelled leaves the line, and lets those behind it
//! pass who may.
//!
//! One may also stand in line for nothing but the writer's end ([`RawLock::pass_writer`]): nobody
//! ever waits for such a one, as they would for a reader that was handed the lock in its sleep.
//!
//! # Safety
//!
//! An entry is linked and unlinked under the mutex by the thread whose stack it is on, or unlinked
//! by who grants the lock. Before that thread leaves the function it takes the mutex once more,
//! after which nobody else knows the entry.
#![expect(unsafe_code, reason = "stands in line with entries on stacks")]

use crate::cancel::{Cancel, Cancelled, raise, wait_until};
use crate::list::{List, Node};
use core::marker::PhantomData;
use vmaple_sync::atomic::{AtomicBool, AtomicU32, Ordering};
use vmaple_sync::mutex::Mutex;
use vmaple_sync::names::{Name, named};
use vmaple_sync::planted;
use vmaple_sync::wait::Wait;

/// A writer has the lock. Set by the writer or by who grants it, cleared by the writer.
const WRITER: u32 = 1 << 31;
/// Somebody stands in line. Changed under the mutex only.
const QUEUED: u32 = 1 << 30;
/// The most readers at once; more wait.
const MAX_READERS: u32 = QUEUED - 1;

static STATE: Name = Name::with_bits(
    "mmap_lock",
    &[(WRITER as u64, "WRITER"), (QUEUED as u64, "QUEUED")],
);
static IS_GRANTED: Name = Name::new("is_granted");
static EVENT: Name = Name::new("wake-ups");

/// How the lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
}

/// What somebody wants of the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// To hold it.
    Hold(Mode),
    /// That no writer has it.
    Pass,
}

/// One that stands in line.
#[derive(Debug)]
struct Waiting {
    wish: Wish,
    is_granted: AtomicBool,
    /// Raised when it is worth looking again.
    event: AtomicU32,
}

/// The lock, without what it protects.
#[derive(Debug)]
pub(crate) struct RawLock<W: Wait> {
    state: AtomicU32,
    line: Mutex<List<Waiting>, W>,
    wait: PhantomData<fn() -> W>,
}

fn readers(state: u32) -> u32 {
    state & MAX_READERS
}

impl Mode {
    /// The state after getting in, if that is possible without standing in line.
    #[inline]
    fn enter(self, state: u32) -> Option<u32> {
        match self {
            Mode::Read if state & (WRITER | QUEUED) == 0 && state < MAX_READERS => Some(state + 1),
            Mode::Write if state == 0 => Some(WRITER),
            _ => None,
        }
    }
}

impl Wish {
    /// The state in which the wish has come true, if that is possible without standing in line.
    fn enter(self, state: u32) -> Option<u32> {
        match self {
            Wish::Hold(mode) => mode.enter(state),
            Wish::Pass => (state & WRITER == 0).then_some(state),
        }
    }
}

impl<W: Wait> RawLock<W> {
    pub(crate) fn new() -> Self {
        Self {
            state: named(&STATE, AtomicU32::new(0)),
            line: Mutex::new(List::new()),
            wait: PhantomData,
        }
    }

    /// Takes the lock if nobody has it and nobody stands in line.
    #[inline]
    pub(crate) fn try_lock(&self, mode: Mode) -> bool {
        // Relaxed: a first guess for the exchange.
        let mut now = self.state.load(Ordering::Relaxed);
        while let Some(next) = mode.enter(now) {
            // Acquire: pairs with the Release in `unlock`.
            // Witness: `checks::mmap_lock_excludes`. Relaxed: a failure only looks again.
            match self
                .state
                .compare_exchange_weak(now, next, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
    }

    /// Takes the lock, waiting for it.
    ///
    /// # Errors
    ///
    /// When `cancel` ends the wait.
    #[inline]
    pub(crate) fn lock(&self, mode: Mode, cancel: Option<&Cancel<W>>) -> Result<(), Cancelled> {
        if self.try_lock(mode) {
            Ok(())
        } else {
            self.stand_in_line(Wish::Hold(mode), cancel)
        }
    }

    /// Waits until the writer who has the lock, if one has, gives it back. Takes nothing.
    ///
    /// # Errors
    ///
    /// When `cancel` ends the wait.
    pub(crate) fn pass_writer(&self, cancel: Option<&Cancel<W>>) -> Result<(), Cancelled> {
        // Relaxed: nothing is read because of it.
        if self.state.load(Ordering::Relaxed) & WRITER == 0 {
            return Ok(());
        }
        self.stand_in_line(Wish::Pass, cancel)
    }

    #[cold]
    fn stand_in_line(&self, wish: Wish, cancel: Option<&Cancel<W>>) -> Result<(), Cancelled> {
        let node = Node::new(Waiting {
            wish,
            is_granted: named(&IS_GRANTED, AtomicBool::new(false)),
            event: named(&EVENT, AtomicU32::new(0)),
        });
        {
            let mut line = self.line.lock();
            if self.enter_or_queue(wish) {
                return Ok(());
            }
            // SAFETY: Taken out by `Place::leave` before this function ends, by unwinding too.
            unsafe { line.push_back(&node) };
        }
        let mut place = Place {
            lock: self,
            node: &node,
            is_left: false,
        };
        // Acquire: pairs with the Release in `grant`: the lock's last holders are done.
        // Witness: `checks::mmap_lock_excludes`.
        let outcome = wait_until(&node.item.event, cancel, || {
            node.item.is_granted.load(Ordering::Acquire)
        });
        match place.leave() {
            Mine::Yes => Ok(()),
            Mine::No => outcome.and(Err(Cancelled)),
        }
    }

    /// Gets in after all, or sees to it that others stand in line too. Under the mutex.
    fn enter_or_queue(&self, wish: Wish) -> bool {
        // Relaxed: a first guess for the exchange.
        let mut now = self.state.load(Ordering::Relaxed);
        loop {
            let (next, is_in) = match wish.enter(now) {
                Some(next) => (next, true),
                None if now & QUEUED != 0 => return false,
                None => (now | QUEUED, false),
            };
            // Acquire: as in `try_lock`. Witness: `checks::mmap_lock_excludes`.
            match self
                .state
                .compare_exchange(now, next, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return is_in,
                Err(seen) => now = seen,
            }
        }
    }

    /// Gives the lock back.
    #[inline]
    pub(crate) fn unlock(&self, mode: Mode) {
        // Release, here and below: pairs with the Acquire in `try_lock` and `grant`; who gets the
        // lock next sees what this holder did. Witness: `checks::mmap_lock_excludes`.
        let order = if planted!("unlock_relaxed") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        let is_queued = match mode {
            Mode::Read => self.state.fetch_sub(1, order) == QUEUED | 1,
            // Relaxed: a failure changes nothing.
            Mode::Write => self
                .state
                .compare_exchange(WRITER, 0, order, Ordering::Relaxed)
                .is_err(),
        };
        if is_queued {
            self.hand_over(mode);
        }
    }

    #[cold]
    fn hand_over(&self, mode: Mode) {
        let mut line = self.line.lock();
        if mode == Mode::Write {
            // Release: as in `unlock`. Witness: `checks::mmap_lock_hands_over`.
            self.state.fetch_and(!WRITER, Ordering::Release);
        }
        self.grant(&mut line);
    }

    /// Turns the writer's hold into a reader's; readers who stand first in line join it.
    pub(crate) fn downgrade(&self) {
        // Release: as in `unlock`. Witness: `checks::downgrade_publishes`. Relaxed: a
        // failure changes nothing.
        let is_alone = self
            .state
            .compare_exchange(WRITER, 1, Ordering::Release, Ordering::Relaxed)
            .is_ok();
        if !is_alone {
            let mut line = self.line.lock();
            // Release: as above; WRITER | QUEUED becomes QUEUED | 1 in one step, lest it look free.
            // Witness: `checks::downgrade_publishes`.
            self.state.fetch_xor(WRITER | 1, Ordering::Release);
            self.grant(&mut line);
        }
    }

    /// Gives the lock to those first in line who may have it now. Does nothing if nobody may.
    fn grant(&self, line: &mut List<Waiting>) {
        loop {
            // Acquire: pairs with the Release in `unlock`: the readers who have left are done.
            // Witness: `checks::mmap_lock_hands_over`.
            let now = self.state.load(Ordering::Acquire);
            let gain = match line.front().map(|first| first.wish) {
                None => break,
                Some(_) if now & WRITER != 0 => return,
                Some(Wish::Hold(Mode::Write)) if readers(now) == 0 => WRITER,
                Some(Wish::Hold(Mode::Read)) if readers(now) < MAX_READERS => 1,
                Some(Wish::Hold(_)) => return,
                Some(Wish::Pass) if planted!("passer_keeps_line") => return,
                Some(Wish::Pass) => 0,
            };
            // Relaxed: the line's mutex and the Release below pass the lock on. While QUEUED is
            // set nobody else adds to the state.
            self.state.fetch_add(gain, Ordering::Relaxed);
            line.pop_front(|first| {
                // Release: pairs with the Acquire in `stand_in_line`.
                // Witness: `checks::mmap_lock_hands_over`.
                first.is_granted.store(true, Ordering::Release);
                raise::<W>(&first.event);
            });
        }
        // Relaxed: opens the way past the line; who takes the lock that way synchronizes with who
        // gave it back.
        self.state.fetch_and(!QUEUED, Ordering::Relaxed);
    }

    /// How it is held, if it is: a report.
    pub(crate) fn held_as(&self) -> Option<Mode> {
        // Relaxed: a report.
        let now = self.state.load(Ordering::Relaxed);
        if now & WRITER != 0 {
            Some(Mode::Write)
        } else {
            (readers(now) > 0).then_some(Mode::Read)
        }
    }
}

/// Whether a waiter has what it stood in line for.
#[derive(PartialEq, Eq)]
enum Mine {
    Yes,
    No,
}

/// A place in the line.
struct Place<'l, W: Wait> {
    lock: &'l RawLock<W>,
    node: &'l Node<Waiting>,
    is_left: bool,
}

impl<W: Wait> Place<'_, W> {
    /// Leaves the line. After that nobody knows the node.
    fn leave(&mut self) -> Mine {
        self.is_left = true;
        let mut line = self.lock.line.lock();
        // Relaxed: written under the mutex, which is held.
        if self.node.item.is_granted.load(Ordering::Relaxed) {
            return Mine::Yes;
        }
        // SAFETY: Pushed before, and only a grant takes it out.
        unsafe { line.unlink(self.node) };
        if !planted!("cancelled_blocks_line") {
            self.lock.grant(&mut line);
        }
        Mine::No
    }
}

impl<W: Wait> Drop for Place<'_, W> {
    /// Only for unwinding out of a wait: the entry must not stay in line.
    fn drop(&mut self) {
        if !self.is_left
            && self.leave() == Mine::Yes
            && let Wish::Hold(mode) = self.node.item.wish
        {
            self.lock.unlock(mode);
        }
    }
}

impl<W: Wait> Default for RawLock<W> {
    fn default() -> Self {
        Self::new()
    }
}
