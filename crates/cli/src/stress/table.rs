//! The figures of a load as a table for people.

use std::fmt::Write;

use vmaple_linux::stress::{Latency, Locking, Violations};

use super::Side;

const HEADER: [&str; 9] = [
    "", "ops/s", "mean", "p50", "p99", "p99.9", "p99.99", "max", "lines/s",
];

/// A time in at most four digits.
fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e4 => format!("{:.2} us", ns / 1e3),
        ns if ns < 1e6 => format!("{:.0} us", ns / 1e3),
        ns if ns < 1e7 => format!("{:.2} ms", ns / 1e6),
        ns if ns < 1e9 => format!("{:.0} ms", ns / 1e6),
        ns => format!("{:.1} s", ns / 1e9),
    }
}

/// A rate in at most four digits.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate < 1e3 => format!("{rate:.0}"),
        rate if rate < 1e6 => format!("{:.1} k", rate / 1e3),
        rate => format!("{:.2} M", rate / 1e6),
    }
}

fn row(out: &mut String, cells: &[String]) {
    for (column, cell) in cells.iter().enumerate() {
        let _ = if column == 0 {
            write!(out, "{cell:<28}")
        } else {
            write!(out, "{cell:>10}")
        };
    }
    let _ = writeln!(out);
}

fn cells(name: &str, latency: &Latency, lines: Option<f64>) -> Vec<String> {
    vec![
        name.to_owned(),
        rate(latency.per_second),
        time(latency.mean),
        time(latency.p50 as f64),
        time(latency.p99 as f64),
        time(latency.p99_9 as f64),
        time(latency.p99_99 as f64),
        time(latency.max as f64),
        lines.map_or(String::new(), rate),
    ]
}

pub(super) fn render(sides: &[Side]) -> String {
    let mut out = String::new();
    let header = HEADER.map(str::to_owned);
    for (title, of) in [
        ("mmap, munmap, mprotect", 0),
        ("page faults", 1),
        ("whole reads of maps", 2),
    ] {
        let mut rows = Vec::new();
        for side in sides {
            let outcome = &side.outcome;
            let (latency, lines) = match of {
                0 => (Some(&outcome.calls), None),
                1 => (outcome.faults.as_ref(), None),
                _ => (outcome.reads.as_ref(), Some(outcome.lines_per_second)),
            };
            if let Some(latency) = latency.filter(|latency| latency.count > 0) {
                rows.push(cells(&format!("  {}", side.name), latency, lines));
            }
        }
        if rows.is_empty() {
            continue;
        }
        let mut titles = header.clone();
        titles[0] = title.to_owned();
        row(&mut out, if of == 2 { &titles } else { &titles[..8] });
        for cells in rows {
            row(&mut out, &cells);
        }
    }
    promises(&mut out, sides);
    ratios(&mut out, sides);
    out
}

/// What readers saw that they should not have.
fn promises(out: &mut String, sides: &[Side]) {
    for side in sides.iter().filter(|side| side.outcome.reads.is_some()) {
        let Violations {
            overlaps,
            holes,
            garbled,
        } = side.outcome.violations;
        let _ = writeln!(
            out,
            "{}: {overlaps} overlapping lines, {holes} false holes, {garbled} garbled lines",
            side.name
        );
    }
}

/// What the old way costs, and what readers cost at all.
fn ratios(out: &mut String, sides: &[Side]) {
    let find = |locking, is_baseline| {
        let is_it =
            |side: &&Side| side.outcome.locking == locking && side.is_baseline == is_baseline;
        sides.iter().find(is_it).map(|side| &side.outcome.calls)
    };
    let times = |of: &Latency, to: &Latency| {
        (
            of.mean / to.mean.max(1.0),
            of.p99_9 as f64 / (to.p99_9 as f64).max(1.0),
        )
    };
    let vma = find(Locking::Vma, false);
    if let (Some(vma), Some(alone)) = (vma, find(Locking::Vma, true)) {
        let (mean, tail) = times(vma, alone);
        let _ = writeln!(
            out,
            "readers under VMA locks make calls {mean:.2} times as long, at p99.9 {tail:.2} times"
        );
    }
    if let (Some(vma), Some(mmap)) = (vma, find(Locking::Mmap, false)) {
        let (mean, tail) = times(mmap, vma);
        let _ = writeln!(
            out,
            "mmap_lock instead of VMA locks makes them {mean:.2} times as long, at p99.9 {tail:.2} times"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_units() {
        assert_eq!(time(999.0), "999 ns");
        assert_eq!(time(1500.0), "1.50 us");
        assert_eq!(time(2_000_000.0), "2.00 ms");
        assert_eq!(rate(1_234_567.0), "1.23 M");
        assert_eq!(rate(999.4), "999");
    }
}
