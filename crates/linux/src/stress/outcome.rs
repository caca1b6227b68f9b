//! What a load came to.

use super::{Load, Locking, Violations};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::{Duration, Instant};

/// A point of a latency curve.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Percentile {
    /// So many of a hundred took no longer.
    pub percent: f64,
    /// Nanoseconds.
    pub ns: u64,
}

/// How long the operations of one kind took, in nanoseconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Latency {
    /// How many there were.
    pub count: u64,
    /// How many a second, over all threads.
    pub per_second: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// The longest.
    pub max: u64,
    /// Half took no longer.
    pub p50: u64,
    /// 99 of 100 took no longer.
    pub p99: u64,
    /// 999 of 1,000.
    pub p99_9: u64,
    /// 9,999 of 10,000.
    pub p99_99: u64,
    /// The whole curve.
    pub curve: Vec<Percentile>,
}

/// What one way of locking made of a load.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Outcome {
    /// Which way.
    pub locking: Locking,
    /// The load.
    pub load: Load,
    /// Calls of the mappers.
    pub calls: Latency,
    /// Faults; none where there are no faulters.
    pub faults: Option<Latency>,
    /// Whole texts of maps; none where there are no readers.
    pub reads: Option<Latency>,
    /// Lines of maps a second, over all readers.
    pub lines_per_second: f64,
    /// What readers saw that they should not have seen.
    pub violations: Violations,
}

/// One thread's stopwatch and its histogram.
pub(super) struct Watch(Histogram<u64>);

/// The longest time that is told apart from longer ones: a minute.
const LONGEST: u64 = 60_000_000_000;

impl Watch {
    pub(super) fn new() -> Self {
        // These bounds are valid.
        Watch(Histogram::new_with_bounds(1, LONGEST, 3).expect("valid bounds"))
    }

    /// Does something and notes how long it took.
    pub(super) fn time<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let since = Instant::now();
        let result = work();
        let ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(LONGEST);
        self.0.saturating_record(ns);
        result
    }

    pub(super) fn add(&mut self, other: &Watch) {
        // Both have the same bounds.
        self.0.add(&other.0).expect("the same bounds");
    }

    pub(super) fn latency(&self, over: Duration) -> Latency {
        let histogram = &self.0;
        let curve = histogram
            .iter_quantiles(5)
            .filter(|step| step.count_since_last_iteration() > 0)
            .map(|step| Percentile {
                percent: step.percentile(),
                ns: step.value_iterated_to(),
            })
            .collect();
        Latency {
            count: histogram.len(),
            per_second: histogram.len() as f64 / over.as_secs_f64(),
            mean: histogram.mean(),
            max: histogram.max(),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p99_9: histogram.value_at_quantile(0.999),
            p99_99: histogram.value_at_quantile(0.9999),
            curve,
        }
    }
}

/// What one thread brings home.
pub(super) struct Share {
    pub(super) watch: Watch,
    pub(super) nr_lines: u64,
    pub(super) violations: Violations,
}

impl Share {
    pub(super) fn of(watch: Watch) -> Self {
        Share {
            watch,
            nr_lines: 0,
            violations: Violations::default(),
        }
    }
}

/// The shares of all threads of one role.
#[derive(Default)]
pub(super) struct Sum {
    all: Option<Watch>,
    pub(super) nr_lines: u64,
    pub(super) violations: Violations,
}

impl Sum {
    pub(super) fn add(&mut self, share: &Share) {
        self.all.get_or_insert_with(Watch::new).add(&share.watch);
        self.nr_lines += share.nr_lines;
        self.violations.add(&share.violations);
    }

    pub(super) fn latency(&self, over: Duration) -> Option<Latency> {
        self.all.as_ref().map(|watch| watch.latency(over))
    }
}
