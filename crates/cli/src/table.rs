//! The result as a table for people.

use std::fmt::Write;

use vmaple_linux::event::Status;
use vmaple_linux::report::{ProcessReport, Report};

/// Rows of processes shown; the rest is in `--json`.
const MOST_PROCESSES: usize = 24;
/// Kinds of calls on one line.
const KINDS_A_LINE: usize = 5;

/// The whole table, with a closing line that says whether all was equal.
pub(crate) fn render(report: &Report, skipped: u64) -> String {
    let mut out = String::new();
    let total = report.total();
    let processes: Vec<&ProcessReport> = report.processes().collect();
    row(&mut out, &HEADER.map(str::to_owned));
    for process in processes.iter().take(MOST_PROCESSES) {
        row(&mut out, &cells(process, &process.pid.to_string()));
        if processes.len() > 1 {
            kinds(&mut out, "", &process.calls_by_kind);
        }
    }
    if let Some(more) = processes
        .len()
        .checked_sub(MOST_PROCESSES)
        .filter(|&more| more > 0)
    {
        let _ = writeln!(out, "{more:>9} more processes (all of them with --json)");
    }
    if processes.len() > 1 {
        row(&mut out, &cells(&total, "total"));
    }
    kinds(&mut out, "calls", &total.calls_by_kind);
    kinds(&mut out, "re-seeds", &total.reseeds_by_kind);
    beside(&mut out, &total, skipped);
    let _ = writeln!(out, "{}", verdict(&total));
    out
}

const HEADER: [&str; 11] = [
    "pid",
    "threads",
    "calls",
    "VMAs peak",
    "final",
    "merges",
    "splits",
    "compared",
    "re-seeds",
    "differ",
    "program",
];
const WIDTHS: [usize; 10] = [9, 8, 9, 10, 7, 8, 8, 9, 9, 7];

fn row(out: &mut String, cells: &[String; 11]) {
    for (cell, width) in cells.iter().zip(WIDTHS) {
        let _ = write!(out, "{cell:>width$}");
    }
    let _ = writeln!(out, "  {}", cells[10]);
}

fn cells(process: &ProcessReport, name: &str) -> [String; 11] {
    let number = |n: u64| n.to_string();
    [
        name.to_owned(),
        number(process.threads),
        number(process.calls),
        number(process.peak_vmas),
        number(process.final_vmas),
        number(process.merges),
        number(process.splits),
        number(process.comparisons),
        number(process.reseeds),
        number(process.differences),
        format!("{}{}", process.program, ending(process.status)),
    ]
}

/// How a process ended, where that is not the usual way.
fn ending(status: Option<Status>) -> String {
    match status {
        Some(Status::Killed(signal)) => format!(" (signal {signal})"),
        Some(Status::Exited(code)) if code != 0 => format!(" (status {code})"),
        _ => String::new(),
    }
}

/// `calls: 12 mmap, 3 brk, …`, most frequent first; without a title when it stands below a
/// process.
fn kinds(out: &mut String, title: &str, counts: &std::collections::BTreeMap<String, u64>) {
    let mut counts: Vec<(&String, &u64)> = counts.iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    for (index, line) in counts.chunks(KINDS_A_LINE).enumerate() {
        let title = if index == 0 && !title.is_empty() {
            format!("{title}:")
        } else {
            String::new()
        };
        let words: Vec<String> = line
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        let _ = writeln!(out, "{title:>9} {}", words.join(", "));
    }
}

/// What happened beside calls.
fn beside(out: &mut String, total: &ProcessReport, skipped: u64) {
    let mut words = Vec::new();
    let mut say = |count: u64, what: &str| {
        if count > 0 {
            words.push(format!("{count} {what}"));
        }
    };
    say(total.stack_growths, "stack growths by fault");
    say(
        total.fault_races,
        "calls raced by a page fault of another thread",
    );
    say(total.drawn_addresses, "addresses drawn by the kernel");
    say(
        skipped,
        "comparisons left out to keep pace (--check every compares all)",
    );
    if !words.is_empty() {
        let _ = writeln!(out, "   beside: {}", words.join(", "));
    }
}

fn verdict(total: &ProcessReport) -> String {
    match total.differences {
        0 => format!(
            "all equal: {} calls, {} comparisons, 0 differences",
            total.calls, total.comparisons
        ),
        1 => "1 difference".to_owned(),
        n => format!("{n} differences"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_tells_equal_from_not() {
        let mut report = Report::default();
        report.process(7).count_call("mmap");
        assert!(render(&report, 0).ends_with("all equal: 1 calls, 0 comparisons, 0 differences\n"));
        report.process(7).differences = 2;
        assert!(render(&report, 0).ends_with("2 differences\n"));
    }

    #[test]
    fn many_processes_are_cut_and_the_total_is_not() {
        let mut report = Report::default();
        for pid in 1..=30 {
            report.process(pid).count_call("brk");
        }
        let text = render(&report, 0);
        assert!(text.contains("6 more processes"), "{text}");
        assert!(text.contains("calls: 30 brk"), "{text}");
    }

    #[test]
    fn a_violent_end_is_shown() {
        assert_eq!(ending(Some(Status::Killed(11))), " (signal 11)");
        assert_eq!(ending(Some(Status::Exited(3))), " (status 3)");
        assert_eq!(ending(Some(Status::Exited(0))), "");
    }
}
