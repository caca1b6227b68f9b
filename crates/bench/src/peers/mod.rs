//! Other crates that hold ranges, or could: each behind one face, in a file of its own.
//!
//! Slot `i` owns the indices from `i << 16`; its range begins 0x2000 above that and is four to
//! seven pages long, so that there is a gap on both sides. Maps without ranges are keyed by the
//! last index and hold the first.

mod btree;
mod concurrent;
mod left_right;
mod maple;
mod masstree;
mod nodit;
mod pair;
mod rangemap;
mod rwlock;
mod scc;
mod single;
mod skiplist;

use crate::meter::Sample;
use maple_tree::Span;

/// A map of ranges. Each read includes the container's own guard.
pub(crate) trait Peer {
    fn new() -> Self;
    fn insert(&mut self, span: Span);
    fn remove(&mut self, span: Span);
    /// The first index of the range that covers `at`.
    fn lookup(&self, at: u64) -> Option<u64>;
    /// The sum of all first indices.
    fn sum(&self) -> u64;
    /// The lowest gap of a size, by what the container offers; None: nothing but a scan of ours.
    fn lowest_gap(&self, _size: u64) -> Option<u64> {
        None
    }
}

/// The range of a slot, `shift` pages later than where it begins at first.
fn span_of(slot: u64, shift: u64) -> Span {
    let first = (slot << 16) + 0x2000 + (shift % 3) * 0x1000;
    let len = 4 + (slot ^ shift) % 4;
    Span::new(first, first + len * 0x1000 - 1)
}

/// An index that every range of the slot covers.
fn core_of(slot: u64, offset: u64) -> u64 {
    (slot << 16) + 0x4000 + (offset & 0xfff)
}

const SINGLE: &[&str] = &[
    "maple owned",
    "maple shared",
    "maple owned, no gaps",
    "maple shared, no gaps",
    "BTreeMap",
    "rangemap",
    "nodit",
    "crossbeam-skiplist",
    "scc::TreeIndex",
    "concurrent-map",
    "masstree",
    "left-right",
    "RwLock<BTreeMap>",
];

const WITH_GAPS: &[&str] = &[
    "maple owned",
    "maple shared",
    "BTreeMap",
    "rangemap",
    "nodit",
];

const PAIRS: &[&str] = &[
    "maple shared",
    "RwLock<BTreeMap>",
    "left-right",
    "crossbeam-skiplist",
    "scc::TreeIndex",
    "concurrent-map",
    "masstree",
];

/// Rows with the sides that take part.
pub(crate) fn rows(is_short: bool) -> Vec<(String, Vec<&'static str>)> {
    let sizes: &[(&str, u64)] = if is_short {
        &[("1k", 1000)]
    } else {
        &[("1k", 1000), ("65k", 65_536), ("1M", 1_000_000)]
    };
    let mut rows = Vec::new();
    for kind in ["lookup", "iterate", "remove+insert", "gap", "bytes"] {
        let sides = if kind == "gap" { WITH_GAPS } else { SINGLE };
        for (_, nr) in sizes {
            rows.push((format!("peer:{kind}/{nr}"), sides.to_vec()));
        }
    }
    rows.push(("pair:reader and writer".to_owned(), PAIRS.to_vec()));
    rows
}

/// Measures a row for a crate; None: there is no such row.
pub(crate) fn run(side: &str, row: &str, is_short: bool) -> Option<Sample> {
    if row.starts_with("pair:") {
        return match side {
            "maple shared" => Some(pair::run::<maple::Shared>(row, is_short)),
            "RwLock<BTreeMap>" => Some(pair::run::<rwlock::Locked>(row, is_short)),
            "left-right" => Some(pair::run::<left_right::Twins>(row, is_short)),
            "crossbeam-skiplist" => Some(pair::run::<skiplist::Map>(row, is_short)),
            "scc::TreeIndex" => Some(pair::run::<scc::Map>(row, is_short)),
            "concurrent-map" => Some(pair::run::<concurrent::Shared>(row, is_short)),
            "masstree" => Some(pair::run::<masstree::Map>(row, is_short)),
            _ => None,
        };
    }
    match side {
        "maple owned" => single::run::<maple::Owned>(row, is_short),
        "maple shared" => single::run::<maple::Shared>(row, is_short),
        "maple owned, no gaps" => single::run::<maple::OwnedPlain>(row, is_short),
        "maple shared, no gaps" => single::run::<maple::SharedPlain>(row, is_short),
        "BTreeMap" => single::run::<btree::Map>(row, is_short),
        "rangemap" => single::run::<rangemap::Map>(row, is_short),
        "nodit" => single::run::<nodit::Map>(row, is_short),
        "crossbeam-skiplist" => single::run::<skiplist::Map>(row, is_short),
        "scc::TreeIndex" => single::run::<scc::Map>(row, is_short),
        "concurrent-map" => single::run::<concurrent::Map>(row, is_short),
        "masstree" => single::run::<masstree::Map>(row, is_short),
        "left-right" => single::run::<left_right::Twins>(row, is_short),
        "RwLock<BTreeMap>" => single::run::<rwlock::Locked>(row, is_short),
        _ => None,
    }
}
