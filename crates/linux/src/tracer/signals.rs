//! Signals to the tracer itself: counted by a handler, looked at between two waits.
//!
//! Handlers are process-wide. They are installed by the first run that starts and removed by
//! the last that ends, and they do nothing but count, so several runs on several threads each
//! see every signal. None restarts an interrupted wait: that, and a timer that signals the
//! tracer's thread, brings it back from a wait without events. A signal that comes just before
//! the wait begins is seen at the next tick.

#![expect(
    unsafe_code,
    reason = "sigaction, and a handler that reads its siginfo"
)]

use super::{Error, inherited, sys};
use nix::errno::Errno;
use nix::sys::signal::{
    SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal, sigaction,
};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::unistd::{Pid, gettid};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Interrupts a wait. Ignored by default, and no program means anything by sending it.
const TICK: Signal = Signal::SIGURG;

/// Signals that are passed on to the program if they were meant for it alone.
pub(super) const FORWARDED: [Signal; 6] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];
/// Signals that stop a job.
pub(super) const STOPPING: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

const NR_SIGNALS: usize = 32;
/// How often each signal came.
static COUNTS: [AtomicU32; NR_SIGNALS] = [const { AtomicU32::new(0) }; NR_SIGNALS];
/// Who sent it last; 0: the kernel.
static SENDERS: [AtomicI32; NR_SIGNALS] = [const { AtomicI32::new(0) }; NR_SIGNALS];
/// How many signals came at all.
static TOTAL: AtomicU32 = AtomicU32::new(0);

/// Runs under way, and the dispositions that the first of them found.
static INSTALLED: Mutex<(usize, Vec<(Signal, SigAction)>)> = Mutex::new((0, Vec::new()));

/// Counts a signal. Atomics only: nothing else is allowed in a handler.
extern "C" fn count(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the handler is installed with SA_SIGINFO, so the kernel passes a valid pointer.
    let info = unsafe { &*info };
    let sender = sys::sender(info).map_or(0, Pid::as_raw);
    let at = signal.unsigned_abs() as usize % NR_SIGNALS;
    // Relaxed: a sender that belongs to the next signal of the same kind is as good.
    SENDERS[at].store(sender, Ordering::Relaxed);
    // Relaxed: a number that stands alone.
    COUNTS[at].fetch_add(1, Ordering::Relaxed);
    // Relaxed: who misses it looks again at the next tick.
    TOTAL.fetch_add(1, Ordering::Relaxed);
}

/// How many signals came at all, since the process started.
pub(super) fn total() -> u32 {
    // Relaxed: a number that stands alone.
    TOTAL.load(Ordering::Relaxed)
}

/// How many of this signal came, and who sent the last one (`None`: the kernel).
pub(super) fn received(signal: Signal) -> (u32, Option<Pid>) {
    let at = signal as usize % NR_SIGNALS;
    // Relaxed: a sender that belongs to the next signal of the same kind is as good.
    let sender = SENDERS[at].load(Ordering::Relaxed);
    // Relaxed: a number that stands alone.
    let count = COUNTS[at].load(Ordering::Relaxed);
    (count, (sender != 0).then(|| Pid::from_raw(sender)))
}

/// How many ticks there were.
pub(super) fn ticks() -> u32 {
    received(TICK).0
}

/// Handlers in place, and a ticking timer, for as long as it lives.
#[derive(Debug)]
pub(super) struct Handlers {
    _timer: Timer,
    /// The calling thread's mask before.
    mask: SigSet,
}

impl Handlers {
    /// Installs the handlers and starts the timer for the calling thread.
    pub(super) fn install(tick: Duration) -> Result<Self, Error> {
        let mask = SigSet::thread_get_mask().map_err(Error::os("sigprocmask"))?;
        let timer = start_timer(tick).map_err(Error::os("timer_create"))?;
        install_actions().map_err(Error::os("sigaction"))?;
        let handlers = Self {
            _timer: timer,
            mask,
        };
        SigSet::from(TICK)
            .thread_unblock()
            .map_err(Error::os("sigprocmask"))?;
        Ok(handlers)
    }

    /// What a program started now is to find.
    pub(super) fn for_program(&self) -> Inherited {
        let pipe = if inherited::pipe_ignored() {
            SigHandler::SigIgn
        } else {
            SigHandler::SigDfl
        };
        let mut actions = vec![(Signal::SIGPIPE, plain(pipe))];
        // An exec turns handlers into the default action by itself.
        actions.extend(saved().1.iter().filter(|(_, action)| is_ignored(action)));
        Inherited {
            mask: self.mask,
            actions,
        }
    }
}

impl Drop for Handlers {
    fn drop(&mut self) {
        let mut saved = saved();
        saved.0 -= 1;
        if saved.0 == 0 {
            for (signal, action) in saved.1.drain(..) {
                // SAFETY: this puts back what was there before.
                let _ = unsafe { sigaction(signal, &action) };
            }
        }
        drop(saved);
        let _ = self.mask.thread_set_mask();
    }
}

/// Signal state to be set up in a new program.
#[derive(Debug)]
pub(super) struct Inherited {
    mask: SigSet,
    actions: Vec<(Signal, SigAction)>,
}

impl Inherited {
    /// Sets it up. For use between fork and exec: allocates nothing.
    pub(super) fn apply(&self) -> nix::Result<()> {
        for (signal, action) in &self.actions {
            // SAFETY: these actions ignore the signal or take the default: no handler runs.
            unsafe { sigaction(*signal, action) }?;
        }
        self.mask.thread_set_mask()
    }
}

fn saved() -> MutexGuard<'static, (usize, Vec<(Signal, SigAction)>)> {
    // A panic cannot leave it half-written: both fields change by single steps.
    INSTALLED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn install_actions() -> nix::Result<()> {
    let mut saved = saved();
    if saved.0 == 0 {
        let handler = SigAction::new(
            SigHandler::SigAction(count),
            SaFlags::SA_SIGINFO,
            SigSet::empty(),
        );
        for signal in FORWARDED
            .into_iter()
            .chain(STOPPING)
            .chain([Signal::SIGCONT, TICK])
        {
            saved.1.push((signal, replace(signal, &handler)?));
        }
        // Ignored, dead children would vanish unseen.
        let default = plain(SigHandler::SigDfl);
        // SAFETY: the default action of SIGCHLD runs no code.
        let old = unsafe { sigaction(Signal::SIGCHLD, &default) }?;
        saved.1.push((Signal::SIGCHLD, old));
    }
    saved.0 += 1;
    Ok(())
}

/// Installs the handler, unless the signal is ignored: then the program ignores it as well, as
/// under `nohup`, and there is nothing to pass on. The tick is needed in any case.
fn replace(signal: Signal, handler: &SigAction) -> nix::Result<SigAction> {
    // SAFETY: the handler touches atomics only, so it may run at any point of the program.
    let old = unsafe { sigaction(signal, handler) }?;
    if is_ignored(&old) && signal != TICK {
        // SAFETY: this puts back what was there before.
        unsafe { sigaction(signal, &old) }?;
    }
    Ok(old)
}

fn plain(handler: SigHandler) -> SigAction {
    SigAction::new(handler, SaFlags::empty(), SigSet::empty())
}

fn is_ignored(action: &SigAction) -> bool {
    matches!(action.handler(), SigHandler::SigIgn)
}

fn start_timer(tick: Duration) -> nix::Result<Timer> {
    let notify = SigevNotify::SigevThreadId {
        signal: TICK,
        thread_id: gettid().as_raw(),
        si_value: 0,
    };
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(notify))?;
    let interval = TimeSpec::from_duration(tick.max(Duration::from_millis(1)));
    timer.set(Expiration::Interval(interval), TimerSetTimeFlags::empty())?;
    Ok(timer)
}

/// Stops this process as the default action of a signal does; returns when it continues.
pub(super) fn stop_self(signal: Signal) -> Result<(), Errno> {
    let default = plain(SigHandler::SigDfl);
    // SAFETY: the default action runs no code.
    let handler = unsafe { sigaction(signal, &default) }?;
    // To this thread, so that it is taken before the handler is back; it stops all threads.
    let stopped = nix::sys::signal::raise(signal);
    // SAFETY: this puts back what was there before.
    unsafe { sigaction(signal, &handler) }?;
    stopped
}
