//! userfaultfd registration against results recorded from Linux 6.18.

use std::fmt;
use std::sync::Arc;

use vmaple::{
    CallError, Device, Errno, FileAccess, FileId, FileKind, MappedFile, Mm, MmConfig, MmapArgs,
    MmapSource, UffdFeatures, UffdId, VmFlags,
};

const BASE: u64 = 0x1000_0000_0000;
const OURS: UffdId = UffdId(1);
const OTHER: UffdId = UffdId(2);
const EINVAL: Result<(), CallError> = Err(CallError::Errno(Errno::EINVAL));

/// Eight pages at `BASE`.
fn eight_pages() -> Mm {
    let mut mm = Mm::new(MmConfig::x86_64());
    let mapped = mm.mmap(&MmapArgs::anonymous(BASE, 0x8000, 3, 0x32));
    assert_eq!(mapped, Ok(BASE));
    mm
}

/// Start page, end page and registration letters of each VMA.
fn picture(mm: &Mm) -> Vec<(u64, u64, String)> {
    let page = |addr: u64| (addr - BASE) >> 12;
    let uffd = |flags: VmFlags| (flags & VmFlags::UFFD_MASK).mnemonics().to_string();
    mm.iter()
        .map(|vma| (page(vma.start), page(vma.end), uffd(vma.flags)))
        .collect()
}

fn expect(mm: &Mm, parts: &[(u64, u64, &str)]) {
    let seen = picture(mm);
    let seen: Vec<_> = seen.iter().map(|(a, b, c)| (*a, *b, c.as_str())).collect();
    assert_eq!(seen, parts);
    mm.validate().unwrap();
}

#[test]
fn registration_splits_and_merges() {
    let mut mm = eight_pages();
    mm.uffd_register(OURS, BASE + 0x2000, 0x2000, 1).unwrap();
    expect(&mm, &[(0, 2, ""), (2, 4, "um"), (4, 8, "")]);
    mm.uffd_register(OURS, BASE + 0x3000, 0x2000, 3).unwrap();
    let parts = [(0, 2, ""), (2, 3, "um"), (3, 5, "um uw"), (5, 8, "")];
    expect(&mm, &parts);
    let busy = mm.uffd_register(OTHER, BASE + 0x1000, 0x2000, 1);
    assert_eq!(busy, Err(Errno::EBUSY.into()));
    assert_eq!(mm.uffd_unregister_by(OTHER, BASE, 0x8000), EINVAL);
    expect(&mm, &parts);
    mm.uffd_unregister_by(OURS, BASE, 0x8000).unwrap();
    expect(&mm, &[(0, 8, "")]);
}

#[test]
fn ranges_and_modes_are_checked() {
    let mut mm = eight_pages();
    assert_eq!(
        mm.uffd_register(OURS, BASE + 0x20000, 0x1000, 1),
        Err(Errno::ENOMEM.into())
    );
    for mode in [0, 8] {
        assert_eq!(mm.uffd_register(OURS, BASE, 0x1000, mode), EINVAL);
    }
    assert_eq!(mm.uffd_register(OURS, BASE + 1, 0x1000, 1), EINVAL);
    assert_eq!(
        mm.uffd_register(OURS, BASE, 0x1000, 4),
        EINVAL,
        "minor faults need a file"
    );
    // A hole at the start of the range is no error.
    mm.uffd_register(OURS, BASE - 0x2000, 0x3000, 1).unwrap();
    expect(&mm, &[(0, 1, "um"), (1, 8, "")]);
}

#[test]
fn copies_keep_a_registration_only_if_the_context_follows() {
    let mut mm = eight_pages();
    mm.uffd_register(OURS, BASE, 0x8000, 1).unwrap();
    expect(&mm.fork().unwrap(), &[(0, 8, "")]);
    mm.mremap(BASE, 0x2000, 0x2000, 3, BASE + 0x30000).unwrap();
    expect(&mm, &[(2, 8, "um"), (0x30, 0x32, "")]);
    let follows = UffdFeatures {
        event_fork: true,
        event_remap: true,
        ..UffdFeatures::default()
    };
    mm.uffd_set_features(OURS, follows).expect("memory");
    expect(&mm.fork().unwrap(), &[(2, 8, "um"), (0x30, 0x32, "")]);
    mm.mremap(BASE + 0x2000, 0x2000, 0x2000, 3, BASE + 0x40000)
        .unwrap();
    expect(&mm, &[(4, 8, "um"), (0x30, 0x32, ""), (0x40, 0x42, "um")]);
    mm.uffd_release(OURS);
    expect(&mm, &[(4, 8, ""), (0x30, 0x32, ""), (0x40, 0x42, "")]);
}

#[test]
fn a_move_joins_as_it_was_registered_and_then_all_of_it_is_not() {
    let mut mm = eight_pages();
    mm.uffd_register(OURS, BASE, 0x2000, 1).unwrap();
    let beside = mm.mmap(&MmapArgs::anonymous(BASE + 0x1_0000, 0x2000, 3, 0x32));
    assert_eq!(beside, Ok(BASE + 0x1_0000));
    // The neighbour is no reason to join, for it was not registered.
    mm.mremap(BASE, 0x1000, 0x1000, 3, BASE + 0xf000).unwrap();
    expect(&mm, &[(1, 2, "um"), (2, 8, ""), (15, 16, ""), (16, 18, "")]);
    // This one was, and is not any more.
    mm.uffd_register(OURS, BASE + 0x1_0000, 0x2000, 1).unwrap();
    mm.mremap(BASE + 0x1000, 0x1000, 0x1000, 3, BASE + 0x1_2000)
        .unwrap();
    expect(&mm, &[(2, 8, ""), (15, 16, ""), (16, 19, "")]);
    assert!(mm.iter().all(|vma| vma.uffd.is_none()));
}

#[test]
fn page_0_can_be_registered() {
    let mut mm = Mm::new(MmConfig::x86_64());
    assert_eq!(mm.mmap(&MmapArgs::anonymous(0, 0x1000, 0, 0x32)), Ok(0));
    assert_eq!(mm.uffd_register(OURS, 0, 0x1000, 1), Ok(()));
    assert_eq!(mm.uffd_unregister(0, 0x1000), Ok(()));
}

/// Linux 6.18, by the random calls of the profile `userfault`.
#[test]
fn asynchronous_write_protection_takes_any_mapping() {
    let mut mm = Mm::new(MmConfig::x86_64());
    let map = MmapArgs {
        source: MmapSource::File(Arc::new(Plain)),
        ..MmapArgs::anonymous(BASE, 0x3000, 3, 0x12)
    };
    assert_eq!(mm.mmap(&map), Ok(BASE));
    let (missing, write_protection) = (1, 2);
    assert_eq!(
        mm.uffd_register(OURS, BASE, 0x1000, write_protection),
        EINVAL
    );
    let asynchronous = UffdFeatures {
        wp_async: true,
        ..UffdFeatures::default()
    };
    mm.uffd_set_features(OURS, asynchronous).expect("memory");
    for mode in [missing, missing | write_protection] {
        assert_eq!(mm.uffd_register(OURS, BASE, 0x1000, mode), EINVAL);
    }
    let registered = mm.uffd_register(OURS, BASE + 0x1000, 0x1000, write_protection);
    assert_eq!(registered, Ok(()));
    expect(&mm, &[(0, 1, ""), (1, 2, "uw"), (2, 3, "")]);
    // What is not registered stands in the way.
    assert_eq!(mm.uffd_unregister_by(OURS, BASE, 0x3000), EINVAL);
    assert_eq!(mm.uffd_unregister_by(OURS, BASE + 0x1000, 0x1000), Ok(()));
    expect(&mm, &[(0, 3, "")]);
}

/// A file of an ordinary file system.
#[derive(Debug)]
struct Plain;

impl MappedFile for Plain {
    fn identity(&self) -> FileId {
        FileId(1)
    }
    fn device(&self) -> Device {
        Device::default()
    }
    fn inode(&self) -> u64 {
        1
    }
    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str("/plain")
    }
    fn access(&self) -> FileAccess {
        FileAccess::READ_WRITE
    }
    fn kind(&self) -> FileKind {
        FileKind::Regular
    }
}

#[test]
fn registrations_with_two_contexts_stay_two() {
    let mut mm = eight_pages();
    mm.uffd_register(OURS, BASE, 0x4000, 1).unwrap();
    mm.uffd_register(OTHER, BASE + 0x4000, 0x4000, 1).unwrap();
    expect(&mm, &[(0, 4, "um"), (4, 8, "um")]);
    mm.uffd_release(OTHER);
    mm.uffd_register(OURS, BASE + 0x4000, 0x4000, 1).unwrap();
    expect(&mm, &[(0, 8, "um")]);
}
