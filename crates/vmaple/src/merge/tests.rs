//! Each merge case with its picture: letters are VMAs, `*` is the range in question.

use super::{
    ExistingMerge, NewMerge, Proposal, Reach, absorb, decide_existing, decide_new,
    may_reuse_anon_vma,
};
use crate::addr::AddrRange;
use crate::file::{Device, FileAccess, FileId, FileKind, FileRef, MappedFile};
use crate::flags::VmFlags;
use crate::vma::{AnonVma, AnonVmaId, Backing, UffdId, Vma};
use alloc::sync::Arc;
use core::fmt;

const RW: VmFlags = VmFlags::READ.union(VmFlags::WRITE);
const PAGE: u64 = 4096;

/// A file whose driver may want to hear of every VMA that goes away.
#[derive(Debug)]
struct TestFile {
    id: u64,
    closes: bool,
}

impl MappedFile for TestFile {
    fn identity(&self) -> FileId {
        FileId(self.id)
    }
    fn device(&self) -> Device {
        Device::default()
    }
    fn inode(&self) -> u64 {
        0
    }
    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str("/test")
    }
    fn access(&self) -> FileAccess {
        FileAccess::READ_WRITE
    }
    fn kind(&self) -> FileKind {
        FileKind::Device {
            sets: VmFlags::empty(),
            closes: self.closes,
        }
    }
}

fn file(id: u64, closes: bool) -> Backing {
    let file: FileRef = Arc::new(TestFile { id, closes });
    Backing::File(file)
}

/// Pages `start..end` of anonymous memory that was never moved.
fn vma(start: u64, end: u64) -> Vma {
    let range = AddrRange::new(start * PAGE, end * PAGE);
    Vma::new(range, RW, start, Backing::Anonymous)
}

fn faulted(start: u64, end: u64, id: u64, inherited: bool) -> Vma {
    let anon_vma = Some(AnonVma {
        id: AnonVmaId(id),
        inherited,
    });
    Vma {
        anon_vma,
        ..vma(start, end)
    }
}

/// What `part` of a VMA like `like` is to become.
fn proposal(like: &Vma, flags: VmFlags) -> Proposal<'_> {
    Proposal {
        range: like.range(),
        flags,
        pgoff: like.pgoff,
        backing: &like.backing,
        anon_vma: like.anon_vma,
        anon_name: like.anon_name.as_ref(),
        uffd: like.uffd,
        page_shift: 12,
    }
}

fn new_merge(prev: Option<&Vma>, next: Option<&Vma>, new: &Vma) -> NewMerge {
    decide_new(prev, next, &proposal(new, new.flags), Reach::BothSides)
}

/// `middle` (not READ|WRITE until now) gets the flags of its neighbours in `range`.
fn existing(
    prev: Option<&Vma>,
    middle: &Vma,
    next: Option<&Vma>,
    range: (u64, u64),
) -> ExistingMerge {
    let mut wanted = proposal(middle, RW);
    wanted.range = AddrRange::new(range.0 * PAGE, range.1 * PAGE);
    wanted.pgoff = middle.pgoff_at(wanted.range.start, 12);
    decide_existing(prev, middle, next, &wanted)
}

/// ```text
/// AAAA****CCCC  ->  AAAAAAAAAAAA    both
/// AAAA****      ->  AAAAAAAA        left
///     ****CCCC  ->      CCCCCCCC    right
/// AAAA****  CC  ->  AAAAAAAA  CC    left
/// ```
#[test]
fn new_range_joins_what_touches_it() {
    let (a, new, c) = (vma(0, 4), vma(4, 8), vma(8, 12));
    assert_eq!(new_merge(Some(&a), Some(&c), &new), NewMerge::Both);
    assert_eq!(new_merge(Some(&a), None, &new), NewMerge::Left);
    assert_eq!(new_merge(None, Some(&c), &new), NewMerge::Right);
    assert_eq!(
        new_merge(Some(&a), Some(&vma(10, 12)), &new),
        NewMerge::Left
    );
    assert_eq!(new_merge(None, None, &new), NewMerge::None);
    let heap = decide_new(Some(&a), Some(&c), &proposal(&new, RW), Reach::LeftOnly);
    assert_eq!(heap, NewMerge::Left);
}

/// Every property but the sticky ones has to agree.
#[test]
fn differences_prevent_merging() {
    let (a, new) = (vma(0, 4), vma(4, 8));
    let against = |prev: Vma| new_merge(Some(&prev), None, &new);
    assert_eq!(against(a.clone()), NewMerge::Left);
    for bit in 0..64 {
        let flag = VmFlags::from_bits_truncate(1 << bit);
        let sticky = flag.intersects(VmFlags::SOFTDIRTY | VmFlags::MAYBE_GUARD);
        let other = Vma {
            flags: a.flags ^ flag,
            ..a.clone()
        };
        let expected = if flag.is_empty() || sticky {
            NewMerge::Left
        } else {
            NewMerge::None
        };
        assert_eq!(against(other), expected, "{flag:?}");
    }
    assert_eq!(
        against(Vma {
            pgoff: 1,
            ..a.clone()
        }),
        NewMerge::None
    );
    let uffd = Some(UffdId(1));
    assert_eq!(against(Vma { uffd, ..a.clone() }), NewMerge::None);
    let anon_name = Some(Arc::from("heap"));
    assert_eq!(
        against(Vma {
            anon_name,
            ..a.clone()
        }),
        NewMerge::None
    );
    let backing = file(1, false);
    assert_eq!(against(Vma { backing, ..a }), NewMerge::None);
}

#[test]
fn special_mappings_never_merge() {
    for flag in [
        VmFlags::IO,
        VmFlags::PFNMAP,
        VmFlags::MIXEDMAP,
        VmFlags::DONTEXPAND,
    ] {
        let with = |vma: Vma| Vma {
            flags: RW | flag,
            ..vma
        };
        let (a, new, c) = (with(vma(0, 4)), with(vma(4, 8)), with(vma(8, 12)));
        assert_eq!(new_merge(Some(&a), Some(&c), &new), NewMerge::None);
        let same = decide_existing(Some(&a), &new, Some(&c), &proposal(&new, new.flags));
        assert_eq!(same, ExistingMerge::None);
    }
}

/// ```text
/// AAAAbbbbCCCC  ->  AAAAAAAAAAAA    whole, both
/// AAAAbbbb      ->  AAAAAAAA        whole, left
///     bbbbCCCC  ->      CCCCCCCC    whole, right
/// AAAA**bbCCCC  ->  AAAAAAbbCCCC    part, left
/// AAAAbb**CCCC  ->  AAAAbbCCCCCC    part, right
/// AAAAb**bCCCC  ->  (no merge)
/// ```
#[test]
fn changed_range_joins_what_touches_it() {
    let (a, c) = (vma(0, 4), vma(8, 12));
    let b = Vma {
        flags: VmFlags::READ,
        ..vma(4, 8)
    };
    let (left, right) = (Some(&a), Some(&c));
    assert_eq!(existing(left, &b, right, (4, 8)), ExistingMerge::WholeBoth);
    assert_eq!(existing(left, &b, None, (4, 8)), ExistingMerge::WholeLeft);
    assert_eq!(existing(None, &b, right, (4, 8)), ExistingMerge::WholeRight);
    assert_eq!(existing(left, &b, right, (4, 6)), ExistingMerge::PartLeft);
    assert_eq!(existing(left, &b, right, (6, 8)), ExistingMerge::PartRight);
    assert_eq!(existing(left, &b, right, (5, 7)), ExistingMerge::None);
    assert_eq!(existing(None, &b, None, (4, 8)), ExistingMerge::None);
}

/// A VMA whose backing must be closed may grow or shrink, but not vanish.
///
/// ```text
/// AAAA****CCCC  new, C closes       ->  AAAAAAAACCCC
/// AAAAbbbbCCCC  whole, b closes     ->  (no merge)
/// AAAA**bbCCCC  part, b closes      ->  AAAAAAbbCCCC
/// ```
#[test]
fn closing_vmas_do_not_vanish() {
    let with = |start, end, flags| Vma {
        flags,
        pgoff: start,
        backing: file(1, true),
        ..vma(start, end)
    };
    let (a, new, c) = (with(0, 4, RW), with(4, 8, RW), with(8, 12, RW));
    assert_eq!(new_merge(Some(&a), Some(&c), &new), NewMerge::Left);
    assert_eq!(new_merge(None, Some(&c), &new), NewMerge::Right);
    let b = with(4, 8, VmFlags::READ);
    assert_eq!(
        existing(Some(&a), &b, Some(&c), (4, 8)),
        ExistingMerge::None
    );
    assert_eq!(
        existing(Some(&a), &b, Some(&c), (4, 6)),
        ExistingMerge::PartLeft
    );
    assert_eq!(
        existing(Some(&a), &b, Some(&c), (6, 8)),
        ExistingMerge::PartRight
    );
}

/// Faulted neighbours (1, 2: their anon_vma; ' inherited) around a new range.
///
/// ```text
/// 1111****      ->  left        1'1'****    ->  no merge
/// 1111****1111  ->  both        1111****2222  ->  left only
/// 1111****....  ->  both        1'1'****1111  ->  right only
/// ```
#[test]
fn new_range_between_faulted_vmas() {
    let new = vma(4, 8);
    let both = |a: &Vma, c: &Vma| new_merge(Some(a), Some(c), &new);
    let (one, other) = (faulted(0, 4, 1, false), faulted(8, 12, 2, false));
    assert_eq!(new_merge(Some(&one), None, &new), NewMerge::Left);
    assert_eq!(
        new_merge(Some(&faulted(0, 4, 1, true)), None, &new),
        NewMerge::None
    );
    assert_eq!(both(&one, &faulted(8, 12, 1, false)), NewMerge::Both);
    assert_eq!(both(&one, &other), NewMerge::Left);
    assert_eq!(both(&one, &vma(8, 12)), NewMerge::Both);
    assert_eq!(both(&faulted(0, 4, 1, true), &other), NewMerge::Right);
}

/// A copy made by `mremap` brings an anon_vma along.
///
/// ```text
/// 1111[1111]    ->  left        1111[2222]    ->  no merge
/// ....[1111]    ->  left, and the result has anon_vma 1
/// ....[1'1']    ->  no merge
/// ```
#[test]
fn copy_with_an_anon_vma() {
    let copy = |id, inherited| faulted(4, 8, id, inherited);
    let left = |prev: &Vma, copy: &Vma| new_merge(Some(prev), None, copy);
    let one = faulted(0, 4, 1, false);
    assert_eq!(left(&one, &copy(1, false)), NewMerge::Left);
    assert_eq!(left(&one, &copy(2, false)), NewMerge::None);
    assert_eq!(left(&vma(0, 4), &copy(1, false)), NewMerge::Left);
    assert_eq!(left(&vma(0, 4), &copy(1, true)), NewMerge::None);
    assert_eq!(
        left(&faulted(0, 4, 1, true), &copy(1, true)),
        NewMerge::Left
    );
    let (prev, source) = (vma(0, 4), copy(1, false));
    let whole = AddrRange::new(0, 8 * PAGE);
    let merged = absorb(&prev, whole, 0, &proposal(&source, RW), None);
    assert_eq!(merged.anon_vma, source.anon_vma);
}

/// Which anon_vma the result has: the target's, else that of the other neighbour, else the
/// range's own.
#[test]
fn result_takes_over_anon_vma_and_sticky_flags() {
    let (prev, middle, mut next) = (vma(0, 4), vma(4, 8), faulted(8, 12, 7, false));
    next.flags |= VmFlags::MAYBE_GUARD;
    let whole = AddrRange::new(0, 12 * PAGE);
    let merged = absorb(&prev, whole, 0, &proposal(&middle, RW), Some(&next));
    assert_eq!(merged.anon_vma, next.anon_vma);
    assert_eq!(merged.flags, RW | VmFlags::MAYBE_GUARD);
    assert_eq!((merged.range, merged.pgoff), (whole, 0));
    let kept = absorb(
        &faulted(0, 4, 1, false),
        whole,
        0,
        &proposal(&middle, RW),
        Some(&next),
    );
    assert_eq!(kept.anon_vma.map(|anon| anon.id), Some(AnonVmaId(1)));
}

/// ```text
/// 11112222  only the access differs: a fault in the second could have used 1
/// ```
#[test]
fn anon_vma_is_shared_across_access_rights() {
    let below = vma(0, 4);
    let above = Vma {
        flags: VmFlags::EXEC,
        ..vma(4, 8)
    };
    assert!(may_reuse_anon_vma(&below, &above, 12));
    let apart = vma(5, 8);
    assert!(!may_reuse_anon_vma(&below, &apart, 12));
    let locked = Vma {
        flags: RW | VmFlags::LOCKED,
        ..vma(4, 8)
    };
    assert!(!may_reuse_anon_vma(&below, &locked, 12));
    let moved = Vma {
        pgoff: 99,
        ..vma(4, 8)
    };
    assert!(!may_reuse_anon_vma(&below, &moved, 12));
}
