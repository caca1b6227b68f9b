//! Signals to the tracer alone, and job control.
//!
//! Whoever deals with the traced program deals with the tracer: the shell, `timeout`, a
//! terminal. What a terminal or `kill -- -GROUP` sends reaches the program by itself. What a
//! process sends to the tracer alone is passed on, once it is clear (a tick later) that the
//! program did not get the same from the same sender. When the program's group-stop follows a
//! stop signal that the tracer got too, the tracer stops as well: the shell sees a stopped job.

use super::signals::{self, FORWARDED, STOPPING};
use super::stops::Stop;
use super::sys;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// For how many ticks a program may tidy up before it stops; a stop that comes later has
/// another reason, and is not the tracer's.
const STOP_DELAY: u64 = 60;

/// A signal that came to the tracer.
#[derive(Clone, Copy, Debug, Default)]
struct Letter {
    /// How many came before, as counted by the handler.
    seen: u32,
    /// Came at this tick from this sender, and is not dealt with.
    open: Option<(u64, Pid)>,
    /// The program got the same signal last at this tick, from this sender.
    delivered: Option<(u64, Pid)>,
}

/// The tracer's side of job control.
#[derive(Debug)]
pub(super) struct Jobs {
    root: Pid,
    letters: [Letter; FORWARDED.len()],
    stops_seen: [u32; STOPPING.len()],
    continues_seen: u32,
    /// A stop signal came to the tracer at this tick; the program may be about to stop.
    stop_asked: Option<(u64, Signal)>,
    root_stopped: bool,
    /// A `SIGCONT` came to the tracer at this tick.
    resumed: Option<u64>,
}

impl Jobs {
    pub(super) fn new(root: Pid) -> Self {
        Self {
            root,
            letters: FORWARDED.map(|signal| Letter {
                seen: signals::received(signal).0,
                ..Letter::default()
            }),
            stops_seen: STOPPING.map(|signal| signals::received(signal).0),
            continues_seen: signals::received(Signal::SIGCONT).0,
            stop_asked: None,
            root_stopped: false,
            resumed: None,
        }
    }

    /// Takes note of what the program's leader does.
    pub(super) fn saw(&mut self, tid: Pid, stop: Stop, now: u64) {
        if tid != self.root {
            return;
        }
        self.root_stopped = stop == Stop::Group;
        if self.root_stopped {
            self.stop_too(now);
        }
    }

    /// Takes note of a signal that the program gets.
    pub(super) fn delivered(&mut self, tid: Pid, signal: i32, now: u64) {
        let place = FORWARDED
            .iter()
            .position(|&forwarded| forwarded as i32 == signal);
        if let Some(letter) = place.and_then(|at| self.letters.get_mut(at))
            && let Some(sender) = sys::signal_sender(tid)
        {
            letter.delivered = Some((now, sender));
        }
    }

    /// Deals with what came to the tracer since the last look.
    pub(super) fn look(&mut self, now: u64) {
        for at in 0..FORWARDED.len() {
            self.forward(at, now);
        }
        self.look_for_stops(now);
        self.look_for_continue(now);
    }

    fn forward(&mut self, at: usize, now: u64) {
        let (signal, letter) = (FORWARDED[at], &mut self.letters[at]);
        let (count, sender) = signals::received(signal);
        if count != letter.seen {
            letter.seen = count;
            // The kernel sends to the whole foreground group: nothing to pass on.
            letter.open = sender.map(|sender| (now, sender));
        }
        let Some((came, sender)) = letter.open else {
            return;
        };
        let same = |(when, whose): (u64, Pid)| whose == sender && when + 2 > came;
        if letter.delivered.is_some_and(same) {
            letter.open = None;
        } else if now > came + 1 {
            letter.open = None;
            // Fails only if the program is gone.
            let _ = kill(self.root, signal);
        }
    }

    fn look_for_stops(&mut self, now: u64) {
        for (at, signal) in STOPPING.into_iter().enumerate() {
            let count = signals::received(signal).0;
            if count != self.stops_seen[at] {
                self.stops_seen[at] = count;
                self.stop_asked = Some((now, signal));
            }
        }
        if self.root_stopped {
            self.stop_too(now);
        }
    }

    /// Stops the tracer if the program was stopped by what the tracer got as well.
    fn stop_too(&mut self, now: u64) {
        if let Some((asked, signal)) = self.stop_asked.take()
            && now <= asked + STOP_DELAY
        {
            // Fails only for a signal that does not exist.
            let _ = signals::stop_self(signal);
        }
    }

    /// A `SIGCONT` to the tracer alone is for the program, too.
    fn look_for_continue(&mut self, now: u64) {
        let count = signals::received(Signal::SIGCONT).0;
        if count != self.continues_seen {
            self.continues_seen = count;
            self.stop_asked = None;
            self.resumed = Some(now);
        }
        if let Some(when) = self.resumed
            && now > when.saturating_add(1)
        {
            self.resumed = None;
            if self.root_stopped {
                let _ = kill(self.root, Signal::SIGCONT);
            }
        }
    }
}
