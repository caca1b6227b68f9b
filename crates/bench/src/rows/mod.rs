//! The rows of the tree: their names, their checksums, and the way from a name to its loop.
//!
//! A name is `kind[/SIZE]`. Suffixes of the kind change what is built or who may read meanwhile:
//! `_r64` is a tree without gap tracking, `_rnd` one that was built in random order, `_rcu` one
//! with readers (the shared form).

mod kernel;
mod random;
mod threads;
mod whole;

use crate::meter::Sample;
use crate::subject::{Entry, Subject};
use crate::workload::{Layout, shuffled, word};
use maple_tree::{Gaps, MapleTree, NoGaps, SharedMapleTree};

/// How the tree is owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One owner; no readers beside writes.
    Owned,
    /// Readers in read sections, writers by a lock.
    Shared,
}

impl Form {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Owned => "owned",
            Self::Shared => "shared",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Owned, Self::Shared]
            .into_iter()
            .find(|form| form.name() == name)
    }
}

/// Every row with the checksum that its definition gives; 0: none is defined.
#[rustfmt::skip]
pub(crate) const ROWS: &[(&str, u64)] = &[
    ("k_slot_store", 0xc_4c93), ("k_node_store", 0xc030), ("k_awalk", 0x2_bcf3_5c00),
    ("k_walk", 0x14_8aea_f580), ("k_load", 0x14_8aea_f580), ("k_mt_for_each", 0x4_5b5a_1720),
    ("k_next_from_root", 0x4_5b5a_1720), ("k_mas_for_each", 0x8_b6b4_2e40), ("k_mas_prev", 0x8_b6b4_2e40), ("k_fork", 0x2b21_4280),
    ("load/100", 0x4c87_92f0), ("load/1000", 0x2_efca_bf80), ("load/10000", 0x1d_506c_c5f0),
    ("load/65000", 0xbe_8283_6bf0), ("load/1000000", 0x3d0_f1ff_7bb0),
    ("loaddep/100", 0x4c87_92f0), ("loaddep/1000", 0x2_efca_bf80), ("loaddep/10000", 0x1d_506c_c5f0),
    ("loaddep/65000", 0xbe_8283_6bf0), ("loaddep/1000000", 0x3d0_f1ff_7bb0),
    ("load_r64/1000", 0x2_efca_bf80), ("load_r64/10000", 0x1d_506c_c5f0),
    ("load_r64/1000000", 0x3d0_f1ff_7bb0), ("load_rnd/10000", 0x1d_506c_c5f0),
    ("load_rnd/1000000", 0x3d0_f1ff_7bb0), ("loaddep_rnd/1000000", 0x3d0_f1ff_7bb0),
    ("walk/1000", 0x13_3dc6_e32c_7f80), ("walk/1000000", 0x1a8b_6c5f_c007_7bb0),
    ("find/1000", 0x13_4546_3a5a_7f80), ("find/1000000", 0x1a8b_6ecd_b5da_bbb0),
    ("mix14", 0x22_c575_9194), ("mix14_rcu", 0x22_c575_9194),
    ("mix20", 0x988_4c5b_f423), ("mix20_rcu", 0x988_4c5b_f423),
    ("mix14_r64", 0x22_c575_9194), ("mix14_r64_rcu", 0x22_c575_9194),
    ("mix20_r64", 0x988_4c5b_f423), ("mix20_r64_rcu", 0x988_4c5b_f423),
    ("remap/1000", 0x322_2cea_9204), ("remap_rcu/1000", 0x322_2cea_9204),
    ("remap/65000", 0x37_1be9_8b6b_1b04), ("remap_rcu/65000", 0x37_1be9_8b6b_1b04),
    ("mmapsim/1000", 0xa261_8652_c178_d0aa), ("mmapsim_rcu/1000", 0xa261_8652_c178_d0aa),
    ("mmapsim/65000", 0x471d_f15a_1a53_c86b), ("mmapsim_rcu/65000", 0x471d_f15a_1a53_c86b),
    ("gap_fwd/1000", 0x1481_1dbb_4000), ("gap_fwd/65000", 0x5_f6c1_8f7c_1000),
    ("gap_fwd/1000000", 0x5c_e059_e690_3000), ("gap_rev/1000", 0x13d3_d2c7_8000),
    ("gap_rev/65000", 0x5_f088_f3a5_c000), ("gap_rev/1000000", 0x5c_de33_3a62_6000),
    ("build_seq/1000", 0x322_2cea_9204), ("build_seq/65000", 0x37_1be9_8b6b_1b04),
    ("build_seq/1000000", 0x329c_334d_85e9_24a0), ("build_seq_r64/1000000", 0x329c_334d_85e9_24a0),
    ("build_mas/1000", 0x322_2cea_9204), ("build_mas/1000000", 0x329c_334d_85e9_24a0),
    ("build_app/1000", 0x322_2cea_9204), ("build_app/65000", 0x37_1be9_8b6b_1b04),
    ("build_rnd/1000", 0x322_2cea_9204), ("build_rnd/65000", 0x37_1be9_8b6b_1b04),
    ("build_rnd/1000000", 0x329c_334d_85e9_24a0), ("build_rnd_r64/1000000", 0x329c_334d_85e9_24a0),
    ("iter/1000", 0xf4_cdf5_15cf_7880), ("iter/65000", 0x4216_7912_3171_65cc),
    ("iter/1000000", 0xf434_020e_7636_dc80), ("iter_rnd/1000000", 0xf434_020e_7636_dc80),
    ("iter_r64/1000000", 0xf434_020e_7636_dc80),
    ("mt_for_each/1000", 0x2_54a4_7a80), ("mt_for_each/1000000", 0x918_4f0b_3680),
    ("next_from_root/1000", 0x2_54a4_7a80), ("next_from_root/1000000", 0x918_4f0b_3680),
    ("dup/100", 0x6_5637_6822), ("dup/1000", 0x322_2cea_9204), ("dup/65000", 0x37_1be9_8b6b_1b04),
    ("dup_rnd/65000", 0x37_1be9_8b6b_1b04),
    ("mt_2readers/10000", 0), ("mt_reader_writer/10000", 0), ("mt_reader_writer/1000", 0),
];

/// The forms that a row is about: reads are measured in both, writes where the name says.
pub(crate) fn forms(row: &str) -> &'static [Form] {
    const READS: [&str; 11] = [
        "load", "walk", "find", "gap_", "iter", "mt_for", "next", "k_load", "k_walk", "k_m",
        "k_next",
    ];
    if row.contains("_rcu") || row.starts_with("mt_2") || row.starts_with("mt_r") {
        &[Form::Shared]
    } else if READS.iter().any(|read| row.starts_with(read)) {
        &[Form::Owned, Form::Shared]
    } else {
        &[Form::Owned]
    }
}

/// Whether the short form runs the row: one of each kind, at its small size.
pub(crate) fn is_short(row: &str) -> bool {
    let size = row
        .split_once('/')
        .map_or(0, |(_, size)| size.parse().unwrap_or(usize::MAX));
    size <= 1000 && !row.starts_with("mix20")
}

/// A row's name, taken apart.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    name: &'a str,
    /// Without size and suffixes.
    kind: &'a str,
    size: usize,
    is_random_order: bool,
}

/// Measures a row once; what it yields is one sample or two (`dup`). None: no such row.
pub(crate) fn run(form: Form, name: &str) -> Option<Vec<Sample>> {
    let (kind, size) = match name.split_once('/') {
        Some((kind, size)) => (kind, size.parse().ok()?),
        None => (name, 0),
    };
    let kind = kind.strip_suffix("_rcu").unwrap_or(kind);
    let (kind, has_gaps) = match kind.strip_suffix("_r64") {
        Some(kind) => (kind, false),
        None => (kind, true),
    };
    let (kind, is_random_order) = match kind.strip_suffix("_rnd") {
        Some(kind) => (kind, true),
        None => (kind, false),
    };
    let row = Row {
        name,
        kind,
        size,
        is_random_order,
    };
    let special = match kind {
        "k_fork" => Some(vec![kernel::fork(row)]),
        "build_app" => Some(vec![whole::append(row)]),
        "dup" => Some(whole::duplicate(row)),
        "mt_2readers" => Some(vec![threads::two_readers(row)]),
        "mt_reader_writer" => Some(vec![threads::reader_and_writer(row)]),
        _ => None,
    };
    if special.is_some() {
        return special;
    }
    let sample = match (form, has_gaps) {
        (Form::Owned, true) => with_gaps::<MapleTree<Entry, Gaps>>(row),
        (Form::Owned, false) => plain::<MapleTree<Entry, NoGaps>>(row),
        (Form::Shared, true) => with_gaps::<SharedMapleTree<Entry, Gaps>>(row),
        (Form::Shared, false) => plain::<SharedMapleTree<Entry, NoGaps>>(row),
    };
    Some(vec![sample?])
}

fn with_gaps<S: crate::subject::GapSubject>(row: Row<'_>) -> Option<Sample> {
    Some(match row.kind {
        "k_awalk" => kernel::gap::<S>(row),
        "mmapsim" => random::mmapsim::<S>(row),
        "gap_fwd" => random::gap::<S>(row, true),
        "gap_rev" => random::gap::<S>(row, false),
        _ => return plain::<S>(row),
    })
}

fn plain<S: Subject>(row: Row<'_>) -> Option<Sample> {
    Some(match row.kind {
        "k_slot_store" => kernel::slot_store::<S>(row),
        "k_node_store" => kernel::node_store::<S>(row),
        "k_walk" => kernel::walk::<S>(row),
        "k_load" => kernel::load::<S>(row),
        "k_mt_for_each" => kernel::next_each::<S>(row),
        "k_next_from_root" => kernel::find_each::<S>(row),
        "k_mas_for_each" => kernel::each::<S>(row),
        "k_mas_prev" => kernel::each_rev::<S>(row),
        "load" => random::load::<S>(row),
        "loaddep" => random::load_dependent::<S>(row),
        "walk" => random::walk::<S>(row),
        "find" => random::find::<S>(row),
        "mix14" => random::mix::<S>(row, 14),
        "mix20" => random::mix::<S>(row, 20),
        "remap" => random::remap::<S>(row),
        "build_seq" | "build_mas" | "build" => whole::build::<S>(row),
        "iter" => whole::iterate::<S>(row),
        "mt_for_each" => whole::next_each::<S>(row),
        "next_from_root" => whole::find_each::<S>(row),
        _ => return None,
    })
}

/// Stores the layout's ranges, in order or shuffled.
fn built<S: Subject>(layout: &Layout, is_random_order: bool) -> S {
    let nr = layout.spans.len();
    let order = if is_random_order {
        shuffled(nr)
    } else {
        (0..nr).collect()
    };
    let mut tree = S::new();
    store_all(&mut tree, layout, &order);
    tree
}

fn store_all<S: Subject>(tree: &mut S, layout: &Layout, order: &[usize]) {
    for i in order {
        tree.store(layout.spans[*i], word(*i as u64 + 1));
    }
}

fn memory_note<S: Subject>(tree: &S, nr: u64) -> String {
    format!("bytes_per_entry={:.1}", tree.bytes() as f64 / nr as f64)
}
