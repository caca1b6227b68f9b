//! The shapes that tests of Linux's own VMA code name, made by calls. Those that are decisions on
//! values are in `src/merge/tests.rs`; docs/fidelity.md has the list.

#![cfg(feature = "std")]

use vmaple::{AddrRange, Apart, Mm, MmConfig, MmapArgs, VmFlags};

const PAGE: u64 = 4096;
const BASE: u64 = 0x10_0000_0000;
const READ: u64 = 1;
const READ_WRITE: u64 = 3;
const FIXED: u64 = 0x32;
const MAYMOVE: u64 = 1;
const TO_PLACE: u64 = 3;

fn at(page: u64) -> u64 {
    BASE + page * PAGE
}

fn map(mm: &mut Mm, pages: std::ops::Range<u64>, prot: u64) {
    let len = (pages.end - pages.start) * PAGE;
    mm.mmap(&MmapArgs::anonymous(at(pages.start), len, prot, FIXED))
        .expect("room");
}

/// The VMAs as ranges of pages.
fn shape(mm: &Mm) -> Vec<(u64, u64)> {
    let pages = |vma: &vmaple::Vma| ((vma.start - BASE) / PAGE, (vma.end - BASE) / PAGE);
    mm.iter().map(pages).collect()
}

fn empty() -> Mm {
    Mm::new(MmConfig::x86_64())
}

/// ```text
/// AA  BB  →  AACCBB
/// ```
#[test]
fn a_range_between_two_makes_one_of_three() {
    let mut mm = empty();
    map(&mut mm, 0..2, READ_WRITE);
    map(&mut mm, 4..6, READ_WRITE);
    map(&mut mm, 2..4, READ_WRITE);
    assert_eq!(shape(&mm), [(0, 6)]);
    assert_eq!(mm.counters().merges.new_both, 1);
}

/// ```text
/// AAAAAA  →  AABBAA  →  AAAAAA
/// ```
#[test]
fn a_changed_middle_is_cut_out_and_joins_again() {
    let mut mm = empty();
    map(&mut mm, 0..6, READ_WRITE);
    mm.mprotect(at(2), 2 * PAGE, READ).unwrap();
    assert_eq!(shape(&mm), [(0, 2), (2, 4), (4, 6)]);
    mm.mprotect(at(2), 2 * PAGE, READ_WRITE).unwrap();
    assert_eq!(shape(&mm), [(0, 6)]);
    let counters = mm.counters();
    assert_eq!((counters.splits, counters.merges.whole_both), (2, 1));
}

/// ```text
/// AA..  →  AAAA  →  AA..
/// ```
#[test]
fn a_mapping_grows_and_shrinks_in_place() {
    let mut mm = empty();
    map(&mut mm, 0..2, READ_WRITE);
    let grown = mm.mremap(at(0), 2 * PAGE, 4 * PAGE, 0, 0);
    assert_eq!((grown, shape(&mm)), (Ok(at(0)), vec![(0, 4)]));
    let shrunk = mm.mremap(at(0), 4 * PAGE, 2 * PAGE, 0, 0);
    assert_eq!((shrunk, shape(&mm)), (Ok(at(0)), vec![(0, 2)]));
    assert_eq!(mm.counters().total_vm, 2);
}

/// The range that mremap adds joins what it meets:
///
/// ```text
/// AA..BB  →  AAAABB, one VMA
/// ```
#[test]
fn what_mremap_adds_joins_the_next_one() {
    let mut mm = empty();
    map(&mut mm, 0..2, READ_WRITE);
    map(&mut mm, 4..6, READ_WRITE);
    mm.mremap(at(0), 2 * PAGE, 4 * PAGE, 0, 0).unwrap();
    assert_eq!(shape(&mm), [(0, 6)]);
    // The whole can be named at once now, and what follows is the last mapping.
    assert_eq!(mm.vma_at(at(5)).map(|vma| vma.start), Some(at(0)));
    assert!(mm.find(at(6)).is_none());
}

/// Ten steps of one new range after the other:
///
/// ```text
/// A.........B..  no neighbour     A.C.......B..  no neighbour
/// AA.           left              BB right; and both, one after the other, until one is left
/// ```
#[test]
fn new_ranges_against_their_neighbours_step_by_step() {
    let mut mm = empty();
    let steps: [(u64, &[(u64, u64)]); 8] = [
        (0, &[(0, 1)]),
        (10, &[(0, 1), (10, 11)]),
        (3, &[(0, 1), (3, 4), (10, 11)]),
        (1, &[(0, 2), (3, 4), (10, 11)]),
        (9, &[(0, 2), (3, 4), (9, 11)]),
        (2, &[(0, 4), (9, 11)]),
        (7, &[(0, 4), (7, 8), (9, 11)]),
        (8, &[(0, 4), (7, 11)]),
    ];
    for (page, shapes) in steps {
        map(&mut mm, page..page + 1, READ_WRITE);
        assert_eq!(shape(&mm), shapes, "after page {page}");
    }
    map(&mut mm, 4..7, READ_WRITE);
    assert_eq!(shape(&mm), [(0, 11)]);
}

/// A mark that guard pages leave keeps nobody apart, and stays.
#[test]
fn sticky_flags_merge_and_stay_whichever_side_has_them() {
    const GUARD_INSTALL: i32 = 102;
    for marked in 0..8_u64 {
        let mut mm = empty();
        for (bit, pages) in [0..2, 4..6, 2..4].into_iter().enumerate() {
            let start = pages.start;
            // A mapping of its own first, so that the mark is on this part only.
            let prot = if bit == 2 { READ } else { READ_WRITE };
            map(&mut mm, pages, prot);
            if marked >> bit & 1 == 1 {
                mm.madvise(at(start), PAGE, GUARD_INSTALL).unwrap();
            }
        }
        mm.mprotect(at(2), 2 * PAGE, READ_WRITE).unwrap();
        // What guards made hold pages of its own keeps others apart that do as well.
        let vmas: Vec<_> = mm.iter().collect();
        for pair in vmas.windows(2) {
            let reasons: Vec<_> = pair[0].reasons_apart(pair[1], 12).collect();
            assert_eq!(reasons, [Apart::AnonVma], "marks {marked:03b}");
        }
        let any = vmas
            .iter()
            .any(|vma| vma.flags.contains(VmFlags::MAYBE_GUARD));
        assert_eq!(any, marked != 0, "marks {marked:03b}");
    }
}

/// Parts of a changed VMA go to the neighbours that fit; what touches neither end joins nobody.
///
/// ```text
/// AABBBBCC, A and C alike, part of B made like them
/// ```
#[test]
fn parts_of_an_existing_range_join_either_side() {
    /// A range of pages and what is there in the end.
    type Case = (std::ops::Range<u64>, &'static [(u64, u64)]);
    let cases: [Case; 6] = [
        (2..3, &[(0, 3), (3, 6), (6, 8)]),
        (5..6, &[(0, 2), (2, 5), (5, 8)]),
        (2..6, &[(0, 8)]),
        (3..5, &[(0, 2), (2, 3), (3, 5), (5, 6), (6, 8)]),
        (2..5, &[(0, 5), (5, 6), (6, 8)]),
        (3..6, &[(0, 2), (2, 3), (3, 8)]),
    ];
    for (part, shapes) in cases {
        let mut mm = empty();
        map(&mut mm, 0..2, READ_WRITE);
        map(&mut mm, 2..6, READ);
        map(&mut mm, 6..8, READ_WRITE);
        let len = (part.end - part.start) * PAGE;
        mm.mprotect(at(part.start), len, READ_WRITE).unwrap();
        assert_eq!(shape(&mm), shapes, "{part:?}");
        assert_eq!(mm.validate(), Ok(()));
    }
}

/// Equal in all but the pages: two mappings that were touched apart stay two.
#[test]
fn touched_apart_stay_apart() {
    let mut mm = empty();
    map(&mut mm, 0..2, READ_WRITE);
    mm.note_faulted(at(0));
    map(&mut mm, 4..6, READ_WRITE);
    mm.note_faulted(at(4));
    map(&mut mm, 2..4, READ_WRITE);
    assert_eq!(shape(&mm), [(0, 4), (4, 6)]);
}

/// Whose pages the merged VMA has: those of whichever had some.
#[test]
fn the_merged_have_the_pages_of_the_touched_one() {
    // Which of left, middle and right were touched, and how many VMAs there are in the end.
    let cases = [(0b000, 1), (0b001, 1), (0b010, 1), (0b100, 1), (0b101, 2)];
    for (touched, count) in cases {
        let mut mm = empty();
        for (bit, pages) in [0..2, 2..4, 4..6].into_iter().enumerate() {
            let start = pages.start;
            map(&mut mm, pages, if bit == 1 { READ } else { READ_WRITE });
            if touched >> bit & 1 == 1 {
                // Neighbours that differ in rights only would share what they have.
                mm.mprotect(at(start), 2 * PAGE, 7).unwrap();
                mm.madvise(at(start), 2 * PAGE, 16).unwrap();
                mm.note_faulted(at(start));
                mm.madvise(at(start), 2 * PAGE, 17).unwrap();
                let prot = if bit == 1 { READ } else { READ_WRITE };
                mm.mprotect(at(start), 2 * PAGE, prot).unwrap();
            }
        }
        mm.mprotect(at(2), 2 * PAGE, READ_WRITE).unwrap();
        assert_eq!(mm.len(), count, "touched {touched:03b}");
        let has_pages = mm.iter().any(|vma| vma.anon_vma.is_some());
        assert_eq!(has_pages, touched != 0, "touched {touched:03b}");
    }
}

/// Three calls that end as two mappings.
#[test]
fn three_calls_two_mappings() {
    let mut mm = empty();
    map(&mut mm, 0..3, READ_WRITE);
    map(&mut mm, 16..19, READ_WRITE);
    map(&mut mm, 3..5, READ_WRITE);
    assert_eq!(shape(&mm), [(0, 5), (16, 19)]);
    assert_eq!(mm.counters().total_vm, 8);
}

/// The copy that a move makes: alone where nothing fits, part of a neighbour where it does.
#[test]
fn a_moved_copy_is_new_or_part_of_a_neighbour() {
    let mut mm = empty();
    map(&mut mm, 0..2, READ_WRITE);
    map(&mut mm, 20..22, READ_WRITE);
    let moved = mm.mremap(at(0), 2 * PAGE, 2 * PAGE, TO_PLACE, at(30));
    assert_eq!((moved, shape(&mm)), (Ok(at(30)), vec![(20, 22), (30, 32)]));
    let moved = mm.mremap(at(30), 2 * PAGE, 2 * PAGE, TO_PLACE, at(22));
    assert_eq!((moved, shape(&mm)), (Ok(at(22)), vec![(20, 24)]));
    let refused = mm.mremap(at(22), 2 * PAGE, 2 * PAGE, MAYMOVE | 2, at(21));
    assert!(refused.is_err(), "onto itself");
}

/// Flags as a set: what the bitmap of newer kernels is tested for.
#[test]
fn flags_are_a_set() {
    let some = VmFlags::READ | VmFlags::WRITE;
    assert!(VmFlags::empty().is_empty() && !some.is_empty());
    assert!(some.contains(VmFlags::READ) && !some.contains(VmFlags::EXEC));
    assert!(!some.contains(VmFlags::READ | VmFlags::EXEC));
    assert!(some.intersects(VmFlags::READ | VmFlags::EXEC));
    assert_eq!(some - VmFlags::WRITE, VmFlags::READ);
    assert_eq!(some & VmFlags::WRITE, VmFlags::WRITE);
    assert_eq!(some ^ VmFlags::WRITE, VmFlags::READ);
    assert_eq!(some.difference(VmFlags::EXEC), some);
    assert_eq!((some | VmFlags::EXEC).iter().count(), 3);
    let mut changed = some;
    changed |= VmFlags::LOCKED;
    changed -= VmFlags::READ;
    assert_eq!(changed, VmFlags::WRITE | VmFlags::LOCKED);
    assert_eq!(VmFlags::from_bits_retain(some.bits()), some);
}

/// Ranges that end where the next begins are told from those that overlap.
#[test]
fn a_gap_of_one_page_keeps_apart() {
    let mut mm = empty();
    map(&mut mm, 0..2, READ_WRITE);
    map(&mut mm, 3..4, READ_WRITE);
    let (below, above) = (mm.vma_at(at(0)).unwrap(), mm.vma_at(at(3)).unwrap());
    // Page numbers go on with addresses, so the gap is the only reason, beside the offset.
    let reasons: Vec<_> = below.reasons_apart(above, 12).collect();
    assert_eq!(reasons, [Apart::Gap, Apart::Offset]);
    assert_eq!(mm.overlapping(AddrRange::new(at(2), at(3))).count(), 0);
}
