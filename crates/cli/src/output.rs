//! The result as JSON, messages on standard error, exit statuses.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use vmaple_linux::Errno;
use vmaple_linux::call::Call;
use vmaple_linux::live::{Audience, Difference};
use vmaple_linux::report::{ProcessReport, Report};

use crate::progress::Progress;

/// vmaple could not do its work.
pub(crate) const TROUBLE: u8 = 125;
/// PROGRAM could not be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// PROGRAM was not found.
pub(crate) const NOT_FOUND: u8 = 127;
/// A difference was found.
pub(crate) const DIFFERENT: u8 = 1;

/// Differences shown in full; each further one is counted only.
const MOST_SHOWN: u64 = 10;

/// Says something on standard error. Where that is closed or full nobody hears it, and the
/// program under observation is to go on all the same.
pub(crate) fn say(text: std::fmt::Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// One clear line, and the status for it.
pub(crate) fn fail(status: u8, message: &str) -> ExitCode {
    say(format_args!("vmaple: {message}\n"));
    ExitCode::from(status)
}

/// A result could not be written where it was to go.
pub(crate) fn cannot_write(path: &Path, error: &io::Error) -> ExitCode {
    fail(
        TROUBLE,
        &format!("cannot write {}: {error}", path.display()),
    )
}

/// The JSON form of a result: totals first, then each process.
#[derive(Debug, Serialize)]
pub(crate) struct Json<'a> {
    pub(crate) version: &'static str,
    pub(crate) command: &'a [String],
    pub(crate) processes: usize,
    pub(crate) threads: u64,
    pub(crate) calls: u64,
    pub(crate) calls_by_kind: std::collections::BTreeMap<String, u64>,
    pub(crate) comparisons: u64,
    pub(crate) comparisons_left_out: u64,
    pub(crate) reseeds: u64,
    pub(crate) reseeds_by_kind: std::collections::BTreeMap<String, u64>,
    pub(crate) differences: u64,
    pub(crate) peak_vmas: u64,
    pub(crate) merges: u64,
    pub(crate) splits: u64,
    pub(crate) stack_growths: u64,
    pub(crate) fault_races: u64,
    pub(crate) drawn_addresses: u64,
    /// As a shell shows it: 128 + N for signal N. None in a replay of a torn trace.
    pub(crate) exit_status: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) seconds: f64,
    pub(crate) per_process: Vec<&'a ProcessReport>,
}

impl<'a> Json<'a> {
    pub(crate) fn new(report: &'a Report, command: &'a [String]) -> Json<'a> {
        let total = report.total();
        Json {
            version: env!("CARGO_PKG_VERSION"),
            command,
            processes: report.processes().count(),
            threads: total.threads,
            calls: total.calls,
            calls_by_kind: total.calls_by_kind,
            comparisons: total.comparisons,
            comparisons_left_out: 0,
            reseeds: total.reseeds,
            reseeds_by_kind: total.reseeds_by_kind,
            differences: total.differences,
            peak_vmas: total.peak_vmas,
            merges: total.merges,
            splits: total.splits,
            stack_growths: total.stack_growths,
            fault_races: total.fault_races,
            drawn_addresses: total.drawn_addresses,
            exit_status: None,
            signal: None,
            seconds: 0.0,
            per_process: report.processes().collect(),
        }
    }

    /// Writes to `path`, `-` being standard output.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        write_json(path, self)
    }
}

/// Writes one JSON object to `path`, `-` being standard output.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    write_text(path, &text)
}

/// Writes to a file, or to standard output for `-`.
pub(crate) fn write_text(path: &Path, text: &str) -> io::Result<()> {
    let mut out: Box<dyn Write> = if path == Path::new("-") {
        Box::new(io::stdout().lock())
    } else {
        Box::new(File::create(path)?)
    };
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Tells a person on standard error, which is not the program's standard output.
#[derive(Debug)]
pub(crate) struct Teller {
    shown: u64,
    progress: Option<Progress>,
}

impl Teller {
    pub(crate) fn new(progress: Option<Progress>) -> Teller {
        Teller { shown: 0, progress }
    }

    /// Clears the progress line, for what is printed next.
    pub(crate) fn finish(&mut self) {
        if let Some(progress) = &mut self.progress {
            progress.clear();
        }
    }
}

impl Audience for Teller {
    fn difference(&mut self, pid: i32, call: Option<&Call>, what: &Difference) {
        self.finish();
        self.shown += 1;
        if self.shown > MOST_SHOWN {
            return;
        }
        let after = call.map_or_else(|| "at its end".to_owned(), |call| format!("after {call}"));
        say(format_args!(
            "vmaple: difference in process {pid} {after}\n"
        ));
        match what {
            Difference::Result(results) => {
                let mirror = match results.mirror {
                    Ok(value) => format!("{value:#x}"),
                    Err(errno) => errno.to_string(),
                };
                say(format_args!(
                    "  - mirror returned {mirror}\n  + kernel returned {}\n",
                    kernel(results.kernel)
                ));
            }
            Difference::Map(lines) => say(format_args!("{lines}")),
        }
        if self.shown == MOST_SHOWN {
            say(format_args!(
                "vmaple: further differences are counted, not shown\n"
            ));
        }
    }

    fn notice(&mut self, pid: i32, text: &str) {
        self.finish();
        say(format_args!("vmaple: process {pid}: {text}\n"));
    }

    fn tick(&mut self, report: &Report) {
        if let Some(progress) = &mut self.progress {
            progress.show(report);
        }
    }
}

/// What the kernel returned, errors by name.
fn kernel(value: i64) -> String {
    let errno = i32::try_from(-value)
        .ok()
        .filter(|errno| (1..4096).contains(errno));
    match errno.and_then(Errno::from_raw) {
        Some(errno) => errno.name().to_owned(),
        None if errno.is_some() => format!("error {}", -value),
        None => format!("{value:#x}"),
    }
}
