//! Calls when memory is out: an allocator fails the k-th allocation, for every k. The call answers
//! ENOMEM and has changed nothing, or goes through.
#![cfg(feature = "std")]

#[path = "../../maple-tree/tests/failing/mod.rs"]
mod failing;

use failing::{IS_ONCE, with_failures};
use vmaple::{
    BrkArea, CallError, Errno, ForkError, GateVma, Mm, MmConfig, MmapArgs, UffdFeatures, UffdId,
};

const PAGE: u64 = 4096;
const BASE: u64 = 0x10_0000_0000;
const READ: u64 = 1;
const READ_WRITE: u64 = 3;
const PRIVATE_ANONYMOUS_FIXED: u64 = 0x32;
const MAYMOVE: u64 = 1;

fn at(page: u64) -> u64 {
    BASE + page * PAGE
}

fn map(mm: &mut Mm, page: u64, pages: u64, prot: u64) -> Result<(), CallError> {
    let args = MmapArgs::anonymous(at(page), pages * PAGE, prot, PRIVATE_ANONYMOUS_FIXED);
    mm.mmap(&args).map(|_| ())
}

/// Mappings of eight pages, eight pages apart: enough for a tree of some height.
fn full() -> Mm {
    let mut mm = Mm::new(MmConfig::x86_64());
    for slot in 0..200 {
        map(&mut mm, 16 * slot, 8, READ_WRITE).expect("memory");
    }
    map(&mut mm, 16 * 100 - 1, 1, READ).expect("memory");
    mm
}

type Call = fn(&mut Mm) -> Result<(), CallError>;

#[rustfmt::skip]
const CALLS: [(&str, Call); 12] = [
    ("a mapping of its own", |mm| map(mm, 16 * 77 + 10, 2, READ_WRITE)),
    ("one that joins both neighbours", |mm| map(mm, 16 * 77 + 8, 8, READ_WRITE)),
    ("one in the middle of another", |mm| map(mm, 16 * 77 + 2, 2, READ)),
    ("one over many", |mm| map(mm, 16 * 77 + 2, 16 * 60, READ)),
    ("a hole", |mm| mm.munmap(at(16 * 77 + 3), 2 * PAGE)),
    ("many gone, two cut", |mm| mm.munmap(at(16 * 77 + 3), 16 * 60 * PAGE)),
    ("the middle protected", |mm| mm.mprotect(at(16 * 77 + 3), 2 * PAGE, READ)),
    ("the start protected", |mm| mm.mprotect(at(16 * 77), 2 * PAGE, READ)),
    ("moved", |mm| {
        mm.mremap(at(16 * 77 + 2), 2 * PAGE, 2000 * PAGE, MAYMOVE, 0).map(|_| ())
    }),
    ("everything", |mm| mm.exit()),
    ("the start protected as what is below", |mm| mm.mprotect(at(16 * 100), 2 * PAGE, READ)),
    ("all of it", |mm| mm.mprotect(at(16 * 100), 8 * PAGE, READ)),
];

fn text(mm: &Mm) -> String {
    let mut text = String::new();
    mm.write_maps(&mut text).expect("a String takes all");
    text
}

#[test]
fn a_call_without_memory_changes_nothing() {
    for (what, call) in CALLS {
        let mut nr_failures = 0;
        loop {
            let mut mm = full();
            let before = text(&mm);
            let outcome = with_failures(nr_failures, || call(&mut mm));
            assert_eq!(mm.validate(), Ok(()), "{what}, {nr_failures}");
            if outcome.is_ok() {
                assert_ne!(text(&mm), before, "{what}");
                break;
            }
            assert_eq!(outcome, Err(Errno::ENOMEM.into()), "{what}, {nr_failures}");
            assert_eq!(text(&mm), before, "{what}, {nr_failures}");
            nr_failures += 1;
            assert!(nr_failures < 1000, "{what} never goes through");
        }
    }
}

/// Memory that is out for a moment makes no third outcome: a merge that could not be made is not
/// taken for one that does not fit.
#[test]
fn a_call_is_made_whole_or_not_at_all_when_one_allocation_fails() {
    for (what, call) in CALLS {
        let before = text(&full());
        // As many allocations as the call needs at the most.
        let (mut enough, mut whole) = (1, full());
        while with_failures(enough, || call(&mut whole)).is_err() {
            (enough, whole) = (2 * enough, full());
        }
        let after = text(&whole);
        for nr_allowed in 0..enough {
            let mut mm = full();
            IS_ONCE.with(|once| once.set(true));
            let outcome = with_failures(nr_allowed, || call(&mut mm));
            IS_ONCE.with(|once| once.set(false));
            assert_eq!(mm.validate(), Ok(()), "{what}, {nr_allowed}");
            match outcome {
                Ok(()) => assert_eq!(text(&mm), after, "{what}, {nr_allowed}"),
                Err(error) => {
                    assert_eq!(error, Errno::ENOMEM.into(), "{what}, {nr_allowed}");
                    assert_eq!(text(&mm), before, "{what}, {nr_allowed}");
                }
            }
        }
    }
}

#[test]
fn a_fork_without_memory_makes_no_child() {
    let mut parent = Mm::seed(
        MmConfig::x86_64(),
        BrkArea::default(),
        full().iter().cloned(),
        Some(GateVma::vsyscall()),
    )
    .expect("memory");
    let follows = UffdFeatures {
        event_fork: true,
        ..UffdFeatures::default()
    };
    parent
        .uffd_set_features(UffdId(7), follows)
        .expect("memory");
    parent
        .uffd_register(UffdId(7), at(0), 4 * PAGE, 1)
        .expect("anonymous memory");
    parent.note_faulted(at(0));
    let before = text(&parent);
    for nr_failures in 0.. {
        assert!(nr_failures < 1000, "a fork never goes through");
        let outcome = with_failures(nr_failures, || parent.fork());
        assert_eq!(text(&parent), before, "{nr_failures}");
        assert_eq!(parent.validate(), Ok(()), "{nr_failures}");
        match outcome {
            Ok(child) => {
                assert!(nr_failures > 3, "a child takes memory");
                assert_eq!(text(&child), before);
                assert_eq!(
                    child.vma_at(at(0)).and_then(|vma| vma.uffd),
                    Some(UffdId(7))
                );
                break;
            }
            Err(error) => assert_eq!(error, ForkError(Errno::ENOMEM), "{nr_failures}"),
        }
    }
}
