//! The rows of the VMA layer: what a memory call costs without a system call around it.
//!
//! N mappings of 16 KiB lie 64 KiB apart, readable, writable, anonymous. An operation is a pair
//! of calls after which the map is as before, at a random mapping.

use crate::meter::{Meter, Sample};
use std::convert::Infallible;
use std::hint::black_box;
use vmaple::locks::Held;
use vmaple::locks::level::VmaRead;
use vmaple::{Access, Fault, FaultHandler, Handled, Mm, MmConfig, MmapArgs, SharedMm, Vma};
use vmaple_model::random::SplitMix64;

const SIDE: &str = "vmaple";

/// What the same shapes cost with Linux 7.3.4's VMA code in user space, recorded once on a machine
/// of this kind: ns at 100, 1,000 and 65,000 mappings, instructions at 1,000.
#[rustfmt::skip]
pub(crate) const LINUX: [(&str, [f64; 3], u64); 7] = [
    ("isolated", [263.0, 291.0, 525.0], 4365),
    ("merge", [438.0, 481.0, 822.0], 6867),
    ("split", [358.0, 388.0, 625.0], 6150),
    ("protect", [330.0, 381.0, 753.0], 5589),
    ("place", [349.0, 390.0, 738.0], 6045),
    ("find", [33.0, 44.0, 112.0], 431),
    ("iterate", [7.5, 7.1, 17.3], 173),
];

/// A fault on a random mapping with a handler that does nothing: lookup, lock, checks, unlock.
const FAULT: &str = "vma:fault/1000";

/// A pair of calls on what belongs to the mapping at an address.
type PairInSections = fn(&SharedMm, &mut Held, u64);

/// Pairs of calls on a [`SharedMm`], each call in a write section of its own: it locks anew every
/// VMA that it changes. No other thread takes part.
const IN_SECTIONS: [(&str, PairInSections); 2] = [
    ("isolated in sections", isolated_in_sections),
    ("protect in sections", protect_in_sections),
];

const SIZES: [u64; 3] = [100, 1000, 65_000];
const BASE: u64 = 0x1_0000_0000;
const SLOT: u64 = 64 << 10;
const LEN: u64 = 16 << 10;
const PAGE: u64 = 4096;
const READ_WRITE: u64 = 3;
const READ: u64 = 1;
const PRIVATE_ANONYMOUS: u64 = 0x22;
const FIXED: u64 = 0x10;

/// The rows, and who takes part in each.
pub(crate) fn rows(is_short: bool) -> Vec<(String, Vec<&'static str>)> {
    let sizes = if is_short { &SIZES[..2] } else { &SIZES };
    let mut rows = Vec::new();
    for (kind, ..) in LINUX {
        for size in sizes {
            rows.push((format!("vma:{kind}/{size}"), vec![SIDE]));
        }
    }
    for (kind, _) in IN_SECTIONS {
        rows.push((format!("vma:{kind}/1000"), vec![SIDE]));
    }
    rows.push((FAULT.to_owned(), vec![SIDE]));
    rows
}

/// An address space with the mappings, and the dice.
struct Bench {
    mm: Mm,
    random: SplitMix64,
    nr: u64,
}

impl Bench {
    fn new(nr: u64) -> Self {
        let mut bench = Self {
            mm: Mm::new(MmConfig::x86_64()),
            random: SplitMix64::new(nr),
            nr,
        };
        for slot in 0..nr {
            Self::map(&mut bench.mm, BASE + slot * SLOT, LEN);
        }
        assert_eq!(bench.mm.len() as u64, nr, "the mappings stay apart");
        bench
    }

    /// The start of a random mapping.
    fn any(&mut self) -> u64 {
        BASE + self.random.bounded(self.nr) * SLOT
    }

    fn map(mm: &mut Mm, addr: u64, len: u64) {
        let args = MmapArgs::anonymous(addr, len, READ_WRITE, PRIVATE_ANONYMOUS | FIXED);
        assert_eq!(mm.mmap(&args), Ok(addr));
    }

    fn unmap(mm: &mut Mm, addr: u64) {
        assert_eq!(mm.munmap(addr, PAGE), Ok(()));
    }

    fn set_access(mm: &mut Mm, addr: u64, prot: u64) {
        assert_eq!(mm.mprotect(addr, PAGE, prot), Ok(()));
    }

    fn isolated(&mut self) {
        let addr = self.any() + 2 * LEN;
        Self::map(&mut self.mm, addr, PAGE);
        Self::unmap(&mut self.mm, addr);
    }

    fn merge(&mut self) {
        let addr = self.any() + LEN;
        Self::map(&mut self.mm, addr, PAGE);
        Self::unmap(&mut self.mm, addr);
    }

    fn split(&mut self) {
        let addr = self.any() + PAGE;
        Self::unmap(&mut self.mm, addr);
        Self::map(&mut self.mm, addr, PAGE);
    }

    fn protect(&mut self) {
        let addr = self.any() + PAGE;
        Self::set_access(&mut self.mm, addr, READ);
        Self::set_access(&mut self.mm, addr, READ_WRITE);
    }

    /// A search from a random limit downwards.
    fn place(&mut self) {
        self.mm.config_mut().mmap_base = self.any() + SLOT;
        let args = MmapArgs::anonymous(0, PAGE, READ_WRITE, PRIVATE_ANONYMOUS);
        match self.mm.mmap(&args) {
            Ok(addr) => Self::unmap(&mut self.mm, addr),
            Err(error) => panic!("no room below the limit: {error}"),
        }
    }

    fn find(&mut self) {
        let addr = self.any() + self.random.bounded(LEN);
        black_box(self.mm.find(addr).map(|vma| vma.start));
    }
}

/// Measures a row; None: there is no such row.
pub(crate) fn run(side: &str, row: &str, is_short: bool) -> Option<Sample> {
    let (kind, size) = row.strip_prefix("vma:")?.split_once('/')?;
    if side != SIDE {
        return None;
    }
    let ops = if is_short { 10_000 } else { 1_000_000 };
    let mut bench = Bench::new(size.parse().ok()?);
    if let Some((_, pair)) = IN_SECTIONS.iter().find(|(name, _)| *name == kind) {
        return Some(in_sections(row, bench, ops, *pair));
    }
    let operation = match kind {
        "isolated" => Bench::isolated,
        "merge" => Bench::merge,
        "split" => Bench::split,
        "protect" => Bench::protect,
        "place" => Bench::place,
        "find" => Bench::find,
        "fault" => return Some(faults(row, bench, ops)),
        "iterate" => return Some(iterate(row, &bench, ops)),
        _ => return None,
    };
    let mut meter = Meter::new();
    meter.run(|| {
        for _ in 0..ops {
            operation(&mut bench);
        }
    });
    assert_eq!(bench.mm.len() as u64, bench.nr, "the map is as before");
    Some(meter.sample(row, ops, 0, String::new()))
}

/// Visits all mappings, as often as makes about `ops` visits.
fn iterate(row: &str, bench: &Bench, ops: u64) -> Sample {
    let mut meter = Meter::new();
    let passes = ops.div_ceil(bench.nr);
    meter.run(|| {
        for _ in 0..passes {
            black_box(
                bench
                    .mm
                    .iter()
                    .map(|vma| vma.start)
                    .fold(0, u64::wrapping_add),
            );
        }
    });
    meter.sample(row, passes * bench.nr, 0, String::new())
}

/// Pages are nobody's business here.
struct NoPages;

impl FaultHandler for NoPages {
    type Error = Infallible;

    fn handle(
        &mut self,
        vma: &Vma,
        _: Fault,
        _: &mut Held<VmaRead>,
    ) -> Result<Handled, Infallible> {
        black_box(vma.flags);
        Ok(Handled::Done)
    }
}

fn isolated_in_sections(space: &SharedMm, held: &mut Held, addr: u64) {
    let addr = addr + 2 * LEN;
    Bench::map(&mut space.write(held), addr, PAGE);
    Bench::unmap(&mut space.write(held), addr);
}

fn protect_in_sections(space: &SharedMm, held: &mut Held, addr: u64) {
    for prot in [READ, READ_WRITE] {
        Bench::set_access(&mut space.write(held), addr + PAGE, prot);
    }
}

/// Pairs of calls at random mappings, each call in a write section of its own.
fn in_sections(row: &str, bench: Bench, ops: u64, pair: PairInSections) -> Sample {
    let Bench { mm, mut random, nr } = bench;
    let space = SharedMm::new(mm);
    let mut held = Held::nothing();
    let mut meter = Meter::new();
    meter.run(|| {
        for _ in 0..ops {
            pair(&space, &mut held, BASE + random.bounded(nr) * SLOT);
        }
    });
    assert_eq!(
        space.read(&mut held).len() as u64,
        nr,
        "the map is as before"
    );
    meter.sample(row, ops, 0, String::new())
}

/// Read faults on random mappings.
fn faults(row: &str, bench: Bench, ops: u64) -> Sample {
    let Bench { mm, mut random, nr } = bench;
    let space = SharedMm::new(mm);
    let mut held = Held::nothing();
    let mut fault = || {
        let addr = BASE + random.bounded(nr) * SLOT;
        let access = Access::Read;
        let outcome = space.fault(&mut held, Fault { addr, access }, &mut NoPages);
        assert_eq!(outcome, Ok(()));
    };
    (0..1000 * nr).for_each(|_| fault());
    let mut meter = Meter::new();
    meter.run(|| (0..ops).for_each(|_| fault()));
    meter.sample(row, ops, 0, String::new())
}
