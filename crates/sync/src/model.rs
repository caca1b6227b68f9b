//! Running a test under the checker that the crate is built for, with a failing execution shown
//! step by step.

use crate::steps;
use std::format;
use std::string::String;
use std::sync::Once;

/// The checker's handle of a thread.
#[cfg(loom)]
pub use loom::thread::JoinHandle;
/// The checker's handle of a thread.
#[cfg(shuttle)]
pub use shuttle::thread::JoinHandle;

/// How many times a thread is taken off its processor while it could go on, at most, in each of
/// the executions that are tried.
#[cfg(loom)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preemptions {
    /// As many as `LOOM_MAX_PREEMPTIONS` says; without it any number.
    Free,
    /// As `Free`, but so many at most: for what does not come to an end without a bound.
    AtMost(usize),
    /// So many, whatever the environment says.
    Exactly(usize),
}

#[cfg(loom)]
impl Preemptions {
    fn bound(self, free: Option<usize>) -> Option<usize> {
        match self {
            Self::Free => free,
            Self::AtMost(nr) => Some(free.map_or(nr, |free| free.min(nr))),
            Self::Exactly(nr) => Some(nr),
        }
    }
}

/// Runs `test` in every interleaving of its threads.
///
/// # Panics
///
/// When one fails; its steps are printed.
#[cfg(loom)]
pub fn check(test: impl Fn() + Send + Sync + 'static) {
    check_with(Preemptions::Free, test);
}

/// Runs `test` in every interleaving of its threads that has no more preemptions.
///
/// # Panics
///
/// When one fails; its steps are printed.
#[cfg(loom)]
pub fn check_with(preemptions: Preemptions, test: impl Fn() + Send + Sync + 'static) {
    print_steps_of_failures();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions.bound(builder.preemption_bound);
    builder.check(move || {
        steps::begin();
        test();
    });
    steps::end();
}

/// Runs `test` under `nr` schedules that are drawn at random, and as many that change threads
/// rarely; returns how many that were.
///
/// # Panics
///
/// When one fails; its steps are printed.
#[cfg(shuttle)]
pub fn explore(nr: usize, test: impl Fn() + Send + Sync + Clone + 'static) -> usize {
    explore_fairly(nr, test.clone());
    shuttle::check_pct(noted(test), nr, 3);
    steps::end();
    2 * nr
}

/// Runs `test` under `nr` schedules that are drawn at random, in which each thread comes on again
/// and again: who waits for ever then is in a deadlock, or is passed over.
///
/// # Panics
///
/// When one fails; its steps are printed.
#[cfg(shuttle)]
pub fn explore_fairly(nr: usize, test: impl Fn() + Send + Sync + Clone + 'static) {
    print_steps_of_failures();
    shuttle::check_random(noted(test), nr);
    steps::end();
}

#[cfg(shuttle)]
fn noted(test: impl Fn() + Send + Sync + Clone + 'static) -> impl Fn() + Send + Sync + Clone {
    move || {
        steps::begin();
        test();
    }
}

/// How many schedules of each kind are to be tried: `NR_SCHEDULES`, or `otherwise`.
#[cfg(shuttle)]
#[must_use]
pub fn nr_schedules(otherwise: usize) -> usize {
    let wanted = std::env::var("NR_SCHEDULES").ok();
    wanted.map_or(otherwise, |nr| {
        nr.parse().expect("NR_SCHEDULES is a number")
    })
}

/// Starts a thread of the execution; `name` heads its column.
#[track_caller]
pub fn spawn<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    steps::before_spawn();
    let named = move || {
        steps::name_thread(name);
        work()
    };
    #[cfg(loom)]
    return loom::thread::spawn(named);
    #[cfg(shuttle)]
    return shuttle::thread::spawn(named);
}

/// Names the calling thread's column.
pub fn i_am(name: &str) {
    steps::name_thread(name);
}

/// Notes a step in the calling thread's column.
#[track_caller]
pub fn say(text: &str) {
    steps::say(text);
}

/// Prints the steps that were noted on the host's thread that panics, before the panic's own
/// message.
fn print_steps_of_failures() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(std::boxed::Box::new(move |info| {
            let message: String = info.payload_as_str().unwrap_or("a panic").into();
            let place = info.location().map_or(String::new(), |at| {
                format!(" ({}:{})", at.file(), at.line())
            });
            steps::print_failed(&format!("{message}{place}"));
            before(info);
        }));
    });
}
