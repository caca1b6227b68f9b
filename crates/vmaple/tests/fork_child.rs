//! Merging of mappings that came through a fork with their parent's pages, against results
//! recorded from Linux 6.18.

use vmaple::{Apart, Mm, MmConfig, MmapArgs};

const PAGE: u64 = 4096;
const BASE: u64 = 0x1000_0000_0000;

/// ```text
/// AAAAA.B    A touched before the fork, B never
/// ```
fn child() -> Mm {
    let mut parent = Mm::new(MmConfig::x86_64());
    for (page, pages) in [(0, 5), (6, 1)] {
        let args = MmapArgs::anonymous(BASE + page * PAGE, pages * PAGE, 3, 0x32);
        parent.mmap(&args).unwrap();
    }
    parent.note_faulted(BASE + 4 * PAGE);
    parent.fork().unwrap()
}

/// ```text
/// AAAAA.B
/// AAAAAAA    grown by a page
/// ```
#[test]
fn one_that_grows_joins_an_untouched_neighbour() {
    let mut mm = child();
    let last = BASE + 4 * PAGE;
    assert_eq!(mm.mremap(last, PAGE, 2 * PAGE, 1, 0), Ok(last));
    assert_eq!(mm.len(), 1);
}

/// ```text
/// AAAAA.B
/// .....AB    moved
/// ```
#[test]
fn one_that_moves_does_not() {
    let mut mm = child();
    mm.munmap(BASE, 4 * PAGE).unwrap();
    let to = BASE + 5 * PAGE;
    assert_eq!(mm.mremap(BASE + 4 * PAGE, PAGE, PAGE, 3, to), Ok(to));
    assert_eq!(mm.len(), 2);
}

/// Here the offsets go on as well, so that nothing but the parent's pages keeps the two apart:
///
/// ```text
/// A......    touched before the fork
/// AB.....    B mapped in the child
/// .B....A    A moved away
/// AB.....    and back
/// ```
#[test]
fn one_that_comes_back_stays_alone() {
    let mut parent = Mm::new(MmConfig::x86_64());
    let page = |mm: &mut Mm, at| mm.mmap(&MmapArgs::anonymous(at, PAGE, 3, 0x32)).unwrap();
    page(&mut parent, BASE);
    parent.note_faulted(BASE);
    let mut mm = parent.fork().unwrap();
    page(&mut mm, BASE + PAGE);
    assert_eq!(mm.len(), 2);
    let away = BASE + 6 * PAGE;
    assert_eq!(mm.mremap(BASE, PAGE, PAGE, 3, away), Ok(away));
    assert_eq!(mm.mremap(away, PAGE, PAGE, 3, BASE), Ok(BASE));
    let vmas: Vec<_> = mm.iter().collect();
    let [moved, neighbour] = vmas[..] else {
        panic!("{} VMAs", vmas.len());
    };
    let reasons: Vec<_> = moved.reasons_apart(neighbour, 12).collect();
    assert_eq!(reasons, [Apart::Fork]);
}
