//! One writer that replaces ranges beside one reader that looks indices up.
//!
//! Every index asked for is covered by the old and by the new range of its slot, so a lookup that
//! finds nothing is an anomaly, and so is a scan over adjacent slots that meets fewer ranges than
//! slots. Where a container can only remove and insert, its readers see what is between.

use super::{Peer, core_of, span_of};
use crate::meter::{Meter, Sample};
use maple_tree::Span;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use vmaple_model::random::SplitMix64;

/// A map that one thread reads while another writes.
pub(super) trait Pair: Peer + Sync {
    /// The reading half, for a thread of its own.
    type Reader<'a>: Reader
    where
        Self: 'a;
    fn reader(&self) -> Self::Reader<'_>;
    /// Puts a slot's new range in the place of its old one.
    fn replace(&self, old: Span, new: Span);
}

pub(super) trait Reader {
    fn covers(&self, at: u64) -> bool;
    /// How many of the slots from `slot` on have a range, of `nr` slots.
    fn scan(&self, slot: u64, nr: u64) -> u64;
}

const NR_SLOTS: u64 = 65_536;
const NR_SCANNED: u64 = 100;
/// Every so many lookups one is timed, and halfway between an empty stretch: what the clock and the
/// machine's other tenants do to a timing.
const TIMED: u64 = 32;

/// What a reader saw.
#[derive(Default)]
struct Seen {
    nr_lookups: u64,
    nr_missed: u64,
    nr_scans: u64,
    nr_torn: u64,
    seconds: f64,
    times: Vec<u64>,
    /// Timings of nothing.
    floor: Vec<u64>,
}

/// Looks up for some time, then scans for as long.
fn read(reader: &impl Reader, time: Duration, meter: &mut Meter) -> Seen {
    let mut random = SplitMix64::new(3);
    let mut seen = Seen::default();
    let start = Instant::now();
    meter.run(|| {
        while start.elapsed() < time {
            for i in 0..4096 {
                let at = core_of(random.bounded(NR_SLOTS), i);
                let since = (i % TIMED == 0).then(Instant::now);
                seen.nr_missed += u64::from(!reader.covers(at));
                if let Some(since) = since {
                    seen.times.push(since.elapsed().as_nanos() as u64);
                }
                if i % TIMED == TIMED / 2 {
                    seen.floor.push(Instant::now().elapsed().as_nanos() as u64);
                }
            }
            seen.nr_lookups += 4096;
        }
    });
    seen.seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    while start.elapsed() < time {
        let slot = random.bounded(NR_SLOTS - NR_SCANNED);
        seen.nr_torn += u64::from(reader.scan(slot, NR_SCANNED) < NR_SCANNED);
        seen.nr_scans += 1;
    }
    seen
}

/// Replaces ranges until told to stop; how many per second.
fn write(map: &impl Pair, is_over: &AtomicBool) -> f64 {
    let mut random = SplitMix64::new(5);
    let mut shifts = vec![0_u64; NR_SLOTS as usize];
    let mut nr_replaced = 0_u64;
    let start = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        let slot = random.bounded(NR_SLOTS);
        let shift = &mut shifts[slot as usize];
        let old = span_of(slot, *shift);
        *shift += 1;
        map.replace(old, span_of(slot, *shift));
        nr_replaced += 1;
    }
    nr_replaced as f64 / start.elapsed().as_secs_f64()
}

pub(super) fn run<P: Pair>(row: &str, is_short: bool) -> Sample {
    let mut map = P::new();
    for slot in 0..NR_SLOTS {
        map.insert(span_of(slot, 0));
    }
    let time = Duration::from_millis(if is_short { 20 } else { 500 });
    let mut meter = Meter::new();
    let alone = read(&map.reader(), time, &mut meter);
    assert_eq!(
        (alone.nr_missed, alone.nr_torn),
        (0, 0),
        "without a writer nothing is missed"
    );
    let is_over = AtomicBool::new(false);
    let mut meter = Meter::new();
    let (mut beside, replaces) = thread::scope(|scope| {
        let writer = scope.spawn(|| write(&map, &is_over));
        let seen = read(&map.reader(), time, &mut meter);
        is_over.store(true, Ordering::Relaxed);
        (seen, writer.join().expect("the writer does not panic"))
    });
    let p999 = |times: &mut Vec<u64>| {
        times.sort_unstable();
        times[times.len() * 999 / 1000]
    };
    let floor = p999(&mut beside.floor);
    let beside_p999 = p999(&mut beside.times);
    let note = format!(
        "alone={:.2} beside={:.2} writer={:.0} p999={beside_p999} floor={floor} missed={:.2} torn={:.1}",
        alone.nr_lookups as f64 / alone.seconds / 1e6,
        beside.nr_lookups as f64 / beside.seconds / 1e6,
        replaces / 1e3,
        1e6 * beside.nr_missed as f64 / beside.nr_lookups as f64,
        1e6 * beside.nr_torn as f64 / beside.nr_scans as f64,
    );
    meter.sample(row, beside.nr_lookups, 0, note)
}
