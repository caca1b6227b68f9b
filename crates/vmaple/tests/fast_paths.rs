//! What the short ways of the calls must not pass over: `planted.txt` has a bug for each.

use vmaple::{AddrRange, Errno, Mm, MmConfig, MmapArgs, Vma};

const PAGE: u64 = 0x1000;
const BASE: u64 = 0x10_0000;
const READ: u64 = 1;
const READ_WRITE: u64 = 3;
const PRIVATE_ANONYMOUS: u64 = 0x22;
const FIXED: u64 = 0x10;

/// `nr` pages from page `first` on, at exactly that place.
fn map(mm: &mut Mm, first: u64, nr: u64) {
    let addr = BASE + first * PAGE;
    let args = MmapArgs::anonymous(addr, nr * PAGE, READ_WRITE, PRIVATE_ANONYMOUS | FIXED);
    assert_eq!(mm.mmap(&args), Ok(addr));
}

/// The VMAs, as first page and the page after the last one.
fn pages(mm: &Mm) -> Vec<(u64, u64)> {
    let page = |addr: u64| (addr - BASE) / PAGE;
    mm.iter()
        .map(|vma| (page(vma.start), page(vma.end)))
        .collect()
}

#[test]
fn a_fixed_mapping_joins_what_it_touches_on_either_side() {
    let mut mm = Mm::new(MmConfig::x86_64());
    map(&mut mm, 4, 2);
    map(&mut mm, 8, 2);
    assert_eq!(pages(&mm), [(4, 6), (8, 10)], "it touches nothing");
    map(&mut mm, 6, 1);
    assert_eq!(pages(&mm), [(4, 7), (8, 10)], "it touches what is below");
    map(&mut mm, 3, 1);
    assert_eq!(pages(&mm), [(3, 7), (8, 10)], "it touches what is above");
    map(&mut mm, 7, 1);
    assert_eq!(pages(&mm), [(3, 10)], "it touches both");
}

#[test]
fn a_hint_gives_way_to_what_is_there() {
    let mut mm = Mm::new(MmConfig::x86_64());
    map(&mut mm, 0, 4);
    let hint = MmapArgs::anonymous(BASE + PAGE, PAGE, READ, PRIVATE_ANONYMOUS);
    let addr = mm.mmap(&hint).expect("there is room elsewhere");
    assert!(!(BASE..BASE + 4 * PAGE).contains(&addr));
    assert_eq!(mm.vma_at(BASE).map(Vma::len), Some(4 * PAGE));
}

#[test]
fn a_seal_keeps_all_and_part_of_a_vma_mapped() {
    let mut mm = Mm::new(MmConfig::x86_64());
    map(&mut mm, 0, 4);
    mm.mseal(BASE, 4 * PAGE, 0).expect("mapped");
    for (first, nr) in [(0, 4), (0, 1), (1, 2), (3, 1), (3, 9)] {
        let refused = mm.munmap(BASE + first * PAGE, nr * PAGE);
        assert_eq!(refused, Err(Errno::EPERM.into()), "{first}, {nr}");
        let whole = AddrRange::new(BASE, BASE + 4 * PAGE);
        assert_eq!(mm.find_exact(whole).map(Vma::len), Some(4 * PAGE));
    }
}

#[test]
fn the_end_of_a_vma_goes_over_to_the_next() {
    let mut mm = Mm::new(MmConfig::x86_64());
    map(&mut mm, 0, 8);
    mm.mprotect(BASE + 4 * PAGE, 4 * PAGE, READ)
        .expect("mapped");
    assert_eq!(pages(&mm), [(0, 4), (4, 8)]);
    mm.mprotect(BASE + 3 * PAGE, PAGE, READ).expect("mapped");
    assert_eq!(pages(&mm), [(0, 3), (3, 8)]);
    mm.mprotect(BASE + 3 * PAGE, PAGE, READ_WRITE)
        .expect("mapped");
    assert_eq!(pages(&mm), [(0, 4), (4, 8)]);
}
