//! The modes of vm.overcommit_memory, against results read off Linux 6.18. The mode is the whole
//! machine's, so random calls judge mode 0 alone.

use vmaple::{Errno, Mm, MmConfig, MmapArgs, Overcommit};

const TIB: u64 = 1 << 40;
/// Private, anonymous; and that without a reservation.
const PLAIN: u64 = 0x22;
const NORESERVE: u64 = 0x4022;
const READ_WRITE: u64 = 3;

/// Flags as smaps shows them, without those that all mappings here have.
fn flags(mm: &mut Mm, len: u64, flags: u64) -> Result<String, Errno> {
    let addr = mm
        .mmap(&MmapArgs::anonymous(0, len, READ_WRITE, flags))
        .map_err(|error| error.errno().expect("a modelled call"))?;
    let shown = mm.vma_at(addr).expect("mapped").flags.mnemonics();
    let shown = shown.to_string();
    mm.munmap(addr, len).expect("mapped");
    let own = shown.strip_prefix("rd wr ").expect("readable, writable");
    Ok(own.replace("mr mw me", "").trim().replace("  ", " "))
}

/// 64 TiB, the same unreserved, 200 GiB, a page unreserved, the same shared, 64 TiB shared.
fn outcomes(overcommit: Overcommit) -> [Result<String, Errno>; 6] {
    let mut config = MmConfig::x86_64();
    config.overcommit = overcommit;
    let mm = &mut Mm::new(config);
    let outcomes = [
        flags(mm, 64 * TIB, PLAIN),
        flags(mm, 64 * TIB, NORESERVE),
        flags(mm, 200 << 30, PLAIN),
        flags(mm, 4096, NORESERVE),
        flags(mm, 4096, 0x4021),
        flags(mm, 64 * TIB, 0x21),
    ];
    assert_eq!(mm.counters().total_vm, 0);
    outcomes
}

fn shown(flags: &str) -> Result<String, Errno> {
    Ok(flags.to_owned())
}

const REFUSED: Result<String, Errno> = Err(Errno::ENOMEM);

#[test]
fn mode_0_refuses_what_exceeds_the_machine() {
    let total_pages = (48 << 30) / 4096;
    let expected = [
        REFUSED,
        shown("nr"),
        REFUSED,
        shown("nr"),
        shown("sh ms nr"),
        REFUSED,
    ];
    assert_eq!(outcomes(Overcommit::Heuristic { total_pages }), expected);
}

#[test]
fn mode_1_refuses_nothing() {
    let expected = [
        shown("ac"),
        shown("nr"),
        shown("ac"),
        shown("nr"),
        shown("sh ms nr"),
        shown("sh ms"),
    ];
    assert_eq!(outcomes(Overcommit::Always), expected);
}

/// Here with a limit of 1 TiB.
#[test]
fn mode_2_does_not_hear_of_noreserve() {
    let limit_pages = TIB / 4096;
    let expected = [
        REFUSED,
        REFUSED,
        shown("ac"),
        shown("ac"),
        shown("sh ms"),
        REFUSED,
    ];
    assert_eq!(outcomes(Overcommit::Never { limit_pages }), expected);
}

#[test]
fn what_becomes_writable_is_counted_then() {
    for (overcommit, expected) in [
        (
            Overcommit::Heuristic { total_pages: 1000 },
            Err(Errno::ENOMEM.into()),
        ),
        (Overcommit::Always, Ok(())),
        (
            Overcommit::Never { limit_pages: 1000 },
            Err(Errno::ENOMEM.into()),
        ),
    ] {
        let mut config = MmConfig::x86_64();
        config.overcommit = overcommit;
        let mut mm = Mm::new(config);
        let read_only = MmapArgs::anonymous(0, 64 * TIB, 1, PLAIN);
        let addr = mm.mmap(&read_only).expect("nothing to commit");
        let changed = mm.mprotect(addr, 64 * TIB, READ_WRITE);
        assert_eq!(changed, expected, "{overcommit:?}");
        let is_writable = mm.vma_at(addr).map(|vma| vma.flags.is_private_writable());
        assert_eq!(is_writable, Some(expected.is_ok()), "{overcommit:?}");
    }
}

/// The limit is one for all that a space holds.
#[test]
fn mode_2_adds_up() {
    let mut config = MmConfig::x86_64();
    config.overcommit = Overcommit::Never { limit_pages: 10 };
    let mut mm = Mm::new(config);
    let map =
        |mm: &mut Mm, pages: u64| mm.mmap(&MmapArgs::anonymous(0, pages << 12, READ_WRITE, PLAIN));
    let first = map(&mut mm, 6).expect("six of ten");
    assert_eq!(map(&mut mm, 5), Err(Errno::ENOMEM.into()));
    assert!(map(&mut mm, 4).is_ok());
    assert_eq!(map(&mut mm, 1), Err(Errno::ENOMEM.into()));
    mm.munmap(first, 6 << 12).expect("mapped");
    assert!(map(&mut mm, 6).is_ok());
}
