//! A progress line for long runs, where it disturbs nobody.
//!
//! Standard error must be a terminal, and no program may draw on it: a full-screen program
//! switches the terminal's line mode off, and then nothing is printed.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use nix::sys::termios::{self, LocalFlags};
use vmaple_linux::report::Report;

use crate::output::say;

/// Runs shorter than this show none.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is drawn.
const EVERY: Duration = Duration::from_secs(1);
/// Return to the line's start, erase the line.
const ERASE: &str = "\r\x1b[2K";

#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// None where standard error is no terminal.
    pub(crate) fn new() -> Option<Progress> {
        io::stderr().is_terminal().then(|| Progress {
            started: Instant::now(),
            drawn: None,
        })
    }

    /// Draws the line anew, if it is time.
    pub(crate) fn show(&mut self, report: &Report) {
        let total = report.total();
        self.show_line(format_args!(
            "{} calls, {} VMAs at most, {} comparisons, {} differences",
            total.calls, total.peak_vmas, total.comparisons, total.differences
        ));
    }

    /// The same with other figures.
    pub(crate) fn show_line(&mut self, figures: fmt::Arguments<'_>) {
        let recent = self.drawn.is_some_and(|drawn| drawn.elapsed() < EVERY);
        if recent || self.started.elapsed() < PATIENCE || !is_line_mode() {
            return;
        }
        let seconds = self.started.elapsed().as_secs();
        say(format_args!("{ERASE}vmaple: {seconds} s, {figures}"));
        self.drawn = Some(Instant::now());
        let _ = io::stderr().flush();
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            say(format_args!("{ERASE}"));
        }
    }
}

fn is_line_mode() -> bool {
    termios::tcgetattr(io::stderr())
        .is_ok_and(|settings| settings.local_flags.contains(LocalFlags::ICANON))
}
