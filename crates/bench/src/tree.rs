//! The tree's rows: lookups, iteration, builds, mixed writes and gap search, by the definitions
//! and checksums that the C tree's benchmark uses.

use crate::report::{Report, timed};
use crate::subject::{Entry, Subject};
use crate::workload::{BASE, Layout, PAGE, word};
use maple_tree::{Gaps, MapleTree, SharedMapleTree, Span};
use std::hint::black_box;
use vmaple_model::random::SplitMix64;

/// The checksums that the definitions give, as the C tree's benchmark printed them.
const EXPECTED: &[(&str, u64)] = &[
    ("load/100", 0x4c87_92f0),
    ("load/1000", 0x2_efca_bf80),
    ("load/10000", 0x1d_506c_c5f0),
    ("load/65000", 0xbe_8283_6bf0),
    ("load/1000000", 0x3d0_f1ff_7bb0),
    ("find/1000", 0x13_4546_3a5a_7f80),
    ("find/1000000", 0x1a8b_6ecd_b5da_bbb0),
    ("mix14", 0x22_c575_9194),
    ("mix20", 0x988_4c5b_f423),
    ("remap/1000", 0x322_2cea_9204),
    ("remap/65000", 0x37_1be9_8b6b_1b04),
    ("gap_fwd/1000", 0x1481_1dbb_4000),
    ("gap_fwd/65000", 0x5_f6c1_8f7c_1000),
    ("gap_fwd/1000000", 0x5c_e059_e690_3000),
    ("gap_rev/1000", 0x13d3_d2c7_8000),
    ("gap_rev/65000", 0x5_f088_f3a5_c000),
    ("gap_rev/1000000", 0x5c_de33_3a62_6000),
    ("build_seq/1000", 0x322_2cea_9204),
    ("build_seq/65000", 0x37_1be9_8b6b_1b04),
    ("build_seq/1000000", 0x329c_334d_85e9_24a0),
    ("build_rnd/1000", 0x322_2cea_9204),
    ("build_rnd/65000", 0x37_1be9_8b6b_1b04),
    ("build_rnd/1000000", 0x329c_334d_85e9_24a0),
    ("iter/1000", 0xf4_cdf5_15cf_7880),
    ("iter/65000", 0x4216_7912_3171_65cc),
    ("iter/1000000", 0xf434_020e_7636_dc80),
];

/// How many passes over the queries a load row makes.
fn nr_load_passes(nr: usize) -> u64 {
    if nr >= 1_000_000 { 4 } else { 12 }
}

fn expected(report: &Report, row: &str) -> Option<u64> {
    let known = EXPECTED.iter().find(|(name, _)| *name == row);
    // The short form shortens the loops, and with them the sums.
    known.filter(|_| !report.is_short()).map(|(_, sum)| *sum)
}

/// Runs every row for both forms of the tree.
pub(crate) fn run(report: &mut Report) {
    run_for::<MapleTree<Entry, Gaps>>(report);
    run_for::<SharedMapleTree<Entry, Gaps>>(report);
}

fn run_for<S: Subject>(report: &mut Report) {
    let sizes: &[usize] = if report.is_short() {
        &[1000]
    } else {
        &[100, 1000, 10_000, 65_000, 1_000_000]
    };
    for nr in sizes {
        lookups::<S>(report, *nr);
        builds::<S>(report, *nr);
        if [1000, 65_000].contains(nr) {
            remap::<S>(report, *nr);
        }
        gaps::<S>(report, *nr);
    }
    mix::<S>(report, 14);
    if !report.is_short() {
        mix::<S>(report, 20);
    }
}

fn built<S: Subject>(spans: &[Span]) -> S {
    let mut tree = S::new();
    for (i, span) in (1..).zip(spans) {
        tree.store(*span, word(i));
    }
    tree
}

/// Whether any of the rows is wanted, so that its tree is worth building.
fn any_wanted<S: Subject>(report: &Report, rows: &[&str], nr: usize) -> bool {
    rows.iter()
        .any(|row| report.wants(&format!("{}:{row}/{nr}", S::PREFIX)))
}

fn lookups<S: Subject>(report: &mut Report, nr: usize) {
    if !any_wanted::<S>(report, &["load", "find", "iter"], nr) {
        return;
    }
    let layout = Layout::mappings(nr);
    let tree: S = built(&layout.spans);
    let queries = layout.queries(if report.is_short() { 1 << 12 } else { 1 << 20 });
    let row = format!("load/{nr}");
    let nr_passes = nr_load_passes(nr);
    report.row(
        &format!("{}:{row}", S::PREFIX),
        expected(report, &row),
        || {
            timed(nr_passes * queries.len() as u64, || {
                (0..nr_passes)
                    .flat_map(|_| &queries)
                    .fold(0, |sum, index| sum.wrapping_add(tree.load(*index)))
            })
        },
    );
    let row = format!("find/{nr}");
    report.row(
        &format!("{}:{row}", S::PREFIX),
        expected(report, &row),
        || {
            timed(nr_passes * queries.len() as u64, || {
                (0..nr_passes).flat_map(|_| &queries).fold(0, |sum, index| {
                    let (entry, next) = tree.find(*index).expect("inside a range");
                    sum.wrapping_add(entry).wrapping_add(next)
                })
            })
        },
    );
    let nr_passes = (if report.is_short() {
        200_000
    } else {
        20_000_000
    }) / nr as u64;
    let row = format!("iter/{nr}");
    report.row(
        &format!("{}:{row}", S::PREFIX),
        expected(report, &row),
        || {
            timed(nr_passes * nr as u64, || {
                (0..nr_passes).fold(0_u64, |sum, _| sum.wrapping_add(black_box(&tree).sum()))
            })
        },
    );
}

fn builds<S: Subject>(report: &mut Report, nr: usize) {
    if !any_wanted::<S>(report, &["build_seq", "build_rnd"], nr) {
        return;
    }
    let layout = Layout::mappings(nr);
    let nr_reps = match nr {
        _ if report.is_short() => 3,
        0..10_000 => 2_000_000 / nr,
        10_000..1_000_000 => 20,
        _ => 3,
    };
    let ascending: Vec<usize> = (0..nr).collect();
    let mut shuffled = ascending.clone();
    let mut random = SplitMix64::new(7);
    for i in (1..nr).rev() {
        shuffled.swap(i, random.bounded(i as u64 + 1) as usize);
    }
    for (name, order) in [("build_seq", &ascending), ("build_rnd", &shuffled)] {
        let row = format!("{name}/{nr}");
        let mut bytes = 0;
        report.row(
            &format!("{}:{row}", S::PREFIX),
            expected(report, &row),
            || {
                let mut total = timed(0, || 0);
                for _ in 0..nr_reps {
                    let mut tree = S::new();
                    let pass = timed(nr as u64, || {
                        for i in order {
                            tree.store(layout.spans[*i], word(*i as u64 + 1));
                        }
                        0
                    });
                    total.ops += pass.ops;
                    total.ns += pass.ns;
                    total.checksum = tree.sum();
                    bytes = tree.bytes();
                }
                total
            },
        );
        if bytes > 0 {
            println!(
                "| {}:{row} bytes per entry | {:.1} |",
                S::PREFIX,
                bytes as f64 / nr as f64
            );
        }
    }
}

fn remap<S: Subject>(report: &mut Report, nr: usize) {
    if !any_wanted::<S>(report, &["remap"], nr) {
        return;
    }
    let layout = Layout::mappings(nr);
    let mut tree: S = built(&layout.spans);
    let nr_pairs = if report.is_short() { 10_000 } else { 1_000_000 };
    let row = format!("remap/{nr}");
    report.row(
        &format!("{}:{row}", S::PREFIX),
        expected(report, &row),
        || {
            let mut random = SplitMix64::new(99);
            let mut pass = timed(2 * nr_pairs, || {
                for _ in 0..nr_pairs {
                    let k = random.bounded(nr as u64);
                    let span = layout.spans[k as usize];
                    tree.clear(span);
                    tree.store(span, word(k + 1));
                }
                0
            });
            pass.checksum = tree.sum();
            pass
        },
    );
}

fn gaps<S: Subject>(report: &mut Report, nr: usize) {
    if !any_wanted::<S>(report, &["gap_fwd", "gap_rev"], nr) {
        return;
    }
    let layout = Layout::gappy(nr);
    let tree: S = built(&layout.spans);
    let nr_searches = if report.is_short() { 10_000 } else { 1_000_000 };
    let width = layout.top - BASE;
    for is_forward in [true, false] {
        let row = format!("{}/{nr}", if is_forward { "gap_fwd" } else { "gap_rev" });
        report.row(
            &format!("{}:{row}", S::PREFIX),
            expected(report, &row),
            || {
                let mut random = SplitMix64::new(555);
                timed(nr_searches, || {
                    (0..nr_searches).fold(0, |sum, _| {
                        let at = BASE + random.bounded(width) / PAGE * PAGE;
                        let size = PAGE << (random.next_u64() % 10);
                        let found = if is_forward {
                            tree.lowest_gap(size, Span::new(at, layout.top - 1))
                        } else {
                            tree.highest_gap(size, Span::new(BASE, at + PAGE - 1))
                        };
                        sum.wrapping_add(found.unwrap_or(0))
                    })
                })
            },
        );
    }
}

fn mix<S: Subject>(report: &mut Report, bits: u32) {
    let row = format!("mix{bits}");
    let domain = 1_u64 << bits;
    let nr_ops = if report.is_short() { 50_000 } else { 3_000_000 };
    report.row(
        &format!("{}:{row}", S::PREFIX),
        expected(report, &row),
        || {
            let mut random = SplitMix64::new(2024);
            let mut tree = S::new();
            let mut step = |tree: &mut S, is_prefill: bool| {
                let z = random.next_u64();
                let first = random.bounded(domain);
                if is_prefill || z & 3 != 0 {
                    let span = Span::new(first, first + ((z >> 8) & 15));
                    tree.store(span, word((z >> 20) & 0xff_ffff | 1));
                } else {
                    tree.erase(first);
                }
            };
            for _ in 0..domain / 8 {
                step(&mut tree, true);
            }
            let mut pass = timed(nr_ops, || {
                for _ in 0..nr_ops {
                    step(&mut tree, false);
                }
                0
            });
            pass.checksum = tree.sum();
            pass
        },
    );
}
