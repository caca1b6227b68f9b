//! Rows on one thread: lookups, iteration, remove and insert, gaps, memory.

use super::{Peer, core_of, span_of};
use crate::meter::{Meter, Sample};
use std::hint::black_box;
use vmaple_model::random::SplitMix64;

/// The kilobytes of memory that this process has; its growth is what a container holds.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Measures a row; None: there is no such row.
pub(super) fn run<P: Peer>(row: &str, is_short: bool) -> Option<Sample> {
    let (kind, size) = row.strip_prefix("peer:")?.split_once('/')?;
    let nr: u64 = size.parse().ok()?;
    let before = resident_bytes();
    let mut map = P::new();
    for slot in 0..nr {
        map.insert(span_of(slot, 0));
    }
    let bytes = resident_bytes().saturating_sub(before) as f64 / nr as f64;
    let mut random = SplitMix64::new(1);
    let mut meter = Meter::new();
    let nr_ops: u64 = if is_short { 20_000 } else { 2_000_000 };
    let (ops, sum) = match kind {
        "lookup" => {
            let indices: Vec<u64> = (0..nr_ops)
                .map(|_| core_of(random.bounded(nr), random.next_u64()))
                .collect();
            let found = |at: &u64| map.lookup(*at).expect("every index asked for is covered");
            let sum = meter.run(|| indices.iter().map(found).fold(0, u64::wrapping_add));
            (nr_ops, sum)
        }
        "iterate" => {
            let nr_passes = (5 * nr_ops / nr).max(2);
            black_box(map.sum());
            let pass = |sum: u64, _| sum.wrapping_add(black_box(&map).sum());
            (nr_passes * nr, meter.run(|| (0..nr_passes).fold(0, pass)))
        }
        "remove+insert" => {
            let slots: Vec<u64> = (0..nr_ops / 2).map(|_| random.bounded(nr)).collect();
            meter.run(|| {
                for slot in &slots {
                    map.remove(span_of(*slot, 0));
                    map.insert(span_of(*slot, 0));
                }
            });
            (nr_ops / 2, map.sum())
        }
        "gap" => {
            let nr_searches = if nr > 100_000 { 20 } else { 200 };
            let search = |_| {
                map.lowest_gap(black_box(0x1_0000))
                    .expect("behind the last")
            };
            (
                nr_searches,
                meter.run(|| (0..nr_searches).map(search).sum()),
            )
        }
        "bytes" => {
            meter.run(|| black_box(&map));
            return Some(meter.sample(row, nr, 0, format!("bytes_per_range={bytes:.1}")));
        }
        _ => return None,
    };
    Some(meter.sample(row, ops, sum, String::new()))
}
