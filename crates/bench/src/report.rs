//! Timing, and the table.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Collects rows and prints them as they come.
pub(crate) struct Report {
    is_short: bool,
    wanted: Vec<String>,
    nr_wrong: usize,
    has_header: bool,
}

/// What one run of a row's timed loop did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    /// Operations in the timed loop.
    pub(crate) ops: u64,
    /// The timed loop's duration.
    pub(crate) ns: u128,
    /// What the operations computed.
    pub(crate) checksum: u64,
}

/// Times `work`, which returns the checksum.
pub(crate) fn timed(ops: u64, work: impl FnOnce() -> u64) -> Pass {
    let start = Instant::now();
    let checksum = work();
    Pass {
        ops,
        ns: start.elapsed().as_nanos(),
        checksum,
    }
}

impl Report {
    pub(crate) fn new(is_short: bool, wanted: Vec<String>) -> Self {
        Self {
            is_short,
            wanted,
            nr_wrong: 0,
            has_header: false,
        }
    }

    pub(crate) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Whether the caller asked for this row.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|part| name.contains(part.as_str()))
    }

    /// Runs a row a few times and prints its median and minimum. `expected` is the checksum that
    /// the definition of the row gives, if it is known at this size.
    pub(crate) fn row(
        &mut self,
        name: &str,
        expected: Option<u64>,
        mut pass: impl FnMut() -> Pass,
    ) {
        if !self.wants(name) {
            return;
        }
        self.print_header();
        let nr_passes = if self.is_short { 1 } else { 5 };
        let passes: Vec<Pass> = (0..nr_passes).map(|_| pass()).collect();
        let mut times: Vec<f64> = passes
            .iter()
            .map(|pass| pass.ns as f64 / pass.ops as f64)
            .collect();
        times.sort_by(f64::total_cmp);
        let checksum = passes[0].checksum;
        let verdict = match expected {
            Some(expected) if expected == checksum => "ok",
            Some(_) => {
                self.nr_wrong += 1;
                "WRONG"
            }
            None => "-",
        };
        println!(
            "| {name} | {:.2} | {:.2} | {} | {checksum:016x} | {verdict} |",
            times[times.len() / 2],
            times[0],
            passes[0].ops,
        );
    }

    fn print_header(&mut self) {
        if self.has_header {
            return;
        }
        self.has_header = true;
        println!("Date: {}. Machine: {}.\n", today(), machine());
        println!("| row | ns median | ns min | ops | checksum | as defined |");
        println!("|---|---|---|---|---|---|");
    }

    /// Whether every checksum was the expected one.
    pub(crate) fn finish(self) -> bool {
        if self.nr_wrong > 0 {
            eprintln!("bench: {} wrong checksums", self.nr_wrong);
        }
        self.nr_wrong == 0
    }
}

/// The day in UTC, by the civil calendar.
fn today() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut days = seconds / 86_400;
    let mut year = 1970;
    loop {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let len = 365 + u64::from(is_leap);
        if days < len {
            let february = 28 + u64::from(is_leap);
            let lens = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            let mut month = 0;
            while days >= lens[month] {
                days -= lens[month];
                month += 1;
            }
            return format!("{year}-{:02}-{:02}", month + 1, days + 1);
        }
        days -= len;
        year += 1;
    }
}

/// The processor's name and number, where the system tells.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        info.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split_once(": "))
            .map_or("?", |(_, value)| value)
    };
    let nr_cpus = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{nr_cpus} x {} (family {} model {})",
        field("model name"),
        field("cpu family"),
        field("model\t")
    )
}
