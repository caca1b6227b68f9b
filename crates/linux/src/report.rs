//! What a run or a replay found, counted per process and in total.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::Status;

/// The figures of one process over its whole life, all programs it executed included.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProcessReport {
    /// Process number.
    pub pid: i32,
    /// The program it executed last.
    pub program: String,
    /// Threads it ever had, the first included.
    pub threads: u64,
    /// Programs it executed.
    pub execs: u64,
    /// Memory calls, by name.
    pub calls_by_kind: BTreeMap<String, u64>,
    /// Memory calls.
    pub calls: u64,
    /// The most mappings it had after any call.
    pub peak_vmas: u64,
    /// Mappings at its end.
    pub final_vmas: u64,
    /// Mappings that were merged into a neighbour.
    pub merges: u64,
    /// Mappings that were split.
    pub splits: u64,
    /// Comparisons of the whole map with the kernel's.
    pub comparisons: u64,
    /// Calls after which the map was read anew because vmaple has no model of them, by name.
    pub reseeds_by_kind: BTreeMap<String, u64>,
    /// Their number.
    pub reseeds: u64,
    /// Calls with another result, and comparisons with another map.
    pub differences: u64,
    /// Stacks found to have grown by a page fault.
    pub stack_growths: u64,
    /// Calls during which another thread wrote first to a neighbouring mapping, so that the
    /// order of the two was taken from the outcome.
    pub fault_races: u64,
    /// Addresses that the kernel drew at random and vmaple checked to be legal.
    pub drawn_addresses: u64,
    /// How it ended; none while it runs or when its end was not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// The whole result.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which they appeared.
    processes: Vec<ProcessReport>,
    /// Where those are that have not ended: numbers are used again.
    alive: BTreeMap<i32, usize>,
}

impl Report {
    /// The figures of the process that has number `pid` now, made when first asked for.
    pub fn process(&mut self, pid: i32) -> &mut ProcessReport {
        let processes = &mut self.processes;
        let index = *self.alive.entry(pid).or_insert_with(|| {
            processes.push(ProcessReport {
                pid,
                ..ProcessReport::default()
            });
            processes.len() - 1
        });
        &mut self.processes[index]
    }

    /// Notes how the process that has number `pid` ended. The next with that number is another.
    pub fn ended(&mut self, pid: i32, status: Status) {
        self.process(pid).status = Some(status);
        self.alive.remove(&pid);
    }

    /// All processes in the order in which they appeared.
    pub fn processes(&self) -> impl Iterator<Item = &ProcessReport> {
        self.processes.iter()
    }

    /// The sum over all processes; peaks are the highest of any one process.
    #[must_use]
    pub fn total(&self) -> ProcessReport {
        let mut total = ProcessReport::default();
        for process in &self.processes {
            total.threads += process.threads;
            total.execs += process.execs;
            total.calls += process.calls;
            total.peak_vmas = total.peak_vmas.max(process.peak_vmas);
            total.final_vmas = total.final_vmas.max(process.final_vmas);
            total.merges += process.merges;
            total.splits += process.splits;
            total.comparisons += process.comparisons;
            total.reseeds += process.reseeds;
            total.differences += process.differences;
            total.stack_growths += process.stack_growths;
            total.fault_races += process.fault_races;
            total.drawn_addresses += process.drawn_addresses;
            for (name, count) in &process.calls_by_kind {
                *total.calls_by_kind.entry(name.clone()).or_default() += count;
            }
            for (name, count) in &process.reseeds_by_kind {
                *total.reseeds_by_kind.entry(name.clone()).or_default() += count;
            }
        }
        total
    }
}

impl ProcessReport {
    /// Counts one memory call.
    pub fn count_call(&mut self, name: &str) {
        self.calls += 1;
        bump(&mut self.calls_by_kind, name);
    }

    /// Counts one re-seed and the call that made it necessary.
    pub fn count_reseed(&mut self, name: &str) {
        self.reseeds += 1;
        bump(&mut self.reseeds_by_kind, name);
    }
}

/// Adds one without making a `String` where the name is there already.
fn bump(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_used_again_is_another_process() {
        let mut report = Report::default();
        report.process(7).count_call("brk");
        report.ended(7, Status::Exited(0));
        report.process(7).count_call("mmap");
        let calls: Vec<u64> = report.processes().map(|process| process.calls).collect();
        assert_eq!(calls, [1, 1]);
        assert_eq!(report.total().calls, 2);
    }

    #[test]
    fn totals_add_up_and_peaks_do_not() {
        let mut report = Report::default();
        report.process(10).count_call("mmap");
        report.process(10).peak_vmas = 5;
        report.process(4).count_call("mmap");
        report.process(4).count_call("brk");
        report.process(4).peak_vmas = 3;
        report.process(4).count_reseed("mbind");
        let total = report.total();
        assert_eq!((total.calls, total.peak_vmas, total.reseeds), (3, 5, 1));
        assert_eq!(total.calls_by_kind["mmap"], 2);
        let order: Vec<i32> = report.processes().map(|p| p.pid).collect();
        assert_eq!(order, [10, 4], "in order of appearance");
    }
}
