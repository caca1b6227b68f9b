//! Clock and processor counters of the calling thread, and what one measurement of a row yields.
//!
//! The clock is read next to the work; the counters' system calls stay outside of it. Counters
//! count user space only, and are absent where the system has none (many virtual machines).

use perf_event::events::Hardware;
use perf_event::{Builder, Counter, Group};
use std::time::{Duration, Instant};

/// The three counters of a thread, read together.
struct Counters {
    group: Group,
    members: [Counter; 3],
}

/// Cycles, instructions and branch misses.
pub(crate) type Counts = [u64; 3];

impl Counters {
    fn open() -> Option<Self> {
        let mut group = Group::new().ok()?;
        let mut add = |event| group.add(&Builder::new(event)).ok();
        let members = [
            add(Hardware::CPU_CYCLES)?,
            add(Hardware::INSTRUCTIONS)?,
            add(Hardware::BRANCH_MISSES)?,
        ];
        group.enable().ok()?;
        Some(Self { group, members })
    }

    fn read(&mut self) -> Option<Counts> {
        let data = self.group.read().ok()?;
        Some(self.members.each_ref().map(|member| data[member]))
    }
}

/// Adds up the stretches of work between its starts and stops, on one thread.
pub(crate) struct Meter {
    counters: Option<Counters>,
    time: Duration,
    counts: Counts,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            counters: Counters::open(),
            time: Duration::ZERO,
            counts: [0; 3],
        }
    }

    /// Measures `work`, adding to what was measured before.
    pub(crate) fn run<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let before = self.counters.as_mut().and_then(Counters::read);
        let start = Instant::now();
        let result = work();
        self.time += start.elapsed();
        let after = self.counters.as_mut().and_then(Counters::read);
        if let (Some(before), Some(after)) = (before, after) {
            for (count, (before, after)) in self.counts.iter_mut().zip(before.iter().zip(after)) {
                *count += after - before;
            }
        }
        result
    }

    /// Adds a time that was measured otherwise.
    pub(crate) fn add(&mut self, time: Duration) {
        self.time += time;
    }

    /// The measurement as a row.
    pub(crate) fn sample(&self, name: &str, ops: u64, checksum: u64, note: String) -> Sample {
        Sample {
            name: name.to_owned(),
            ops,
            ns: self.time.as_nanos() as u64,
            counts: self.counts,
            checksum,
            note,
        }
    }
}

/// One measurement of one row; times and counts are totals over `ops` operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) ops: u64,
    pub(crate) ns: u64,
    /// All zero where there are no counters.
    pub(crate) counts: Counts,
    pub(crate) checksum: u64,
    pub(crate) note: String,
}

impl Sample {
    /// The line that a measuring process prints; the C peer prints the same form.
    pub(crate) fn to_line(&self) -> String {
        let [cycles, instructions, misses] = self.counts;
        format!(
            "{}\t{}\t{}\t{cycles}\t{instructions}\t{misses}\t{}\t{}",
            self.name, self.ops, self.ns, self.checksum, self.note
        )
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, ops, ns, cycles, instructions, misses, checksum, note] = fields[..] else {
            return None;
        };
        Some(Self {
            name: name.to_owned(),
            ops: ops.parse().ok()?,
            ns: ns.parse().ok()?,
            counts: [
                cycles.parse().ok()?,
                instructions.parse().ok()?,
                misses.parse().ok()?,
            ],
            checksum: checksum.parse().ok()?,
            note: note.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_survives_its_line() {
        let mut meter = Meter::new();
        let sum = meter.run(|| (0..100_u64).sum());
        let sample = meter.sample("sum/100", 100, sum, "a note".to_owned());
        assert_eq!(Sample::parse(&sample.to_line()), Some(sample));
        assert_eq!(Sample::parse("too\tshort"), None);
    }
}
