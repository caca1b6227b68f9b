//! How many mappings more a call wants to have room for, as recorded from Linux 6.18 with 65530
//! permitted.

use vmaple::{CallError, Errno, Mm, MmConfig, MmapArgs};

const PAGE: u64 = 4096;
const BASE: u64 = 0x1000_0000_0000;
const MAY_MOVE: u64 = 1;
const FIXED: u64 = 3;
const DONT_UNMAP: u64 = 5;

/// One mapping of a page at `BASE`, and others until `room` more are permitted.
fn with_room(room: usize) -> Mm {
    let mut config = MmConfig::x86_64();
    config.max_map_count = 40;
    let mut mm = Mm::new(config);
    for number in 0..(40 - room) as u64 {
        let at = BASE + number * 2 * PAGE;
        mm.mmap(&MmapArgs::anonymous(at, PAGE, 3, 0x32)).unwrap();
    }
    mm
}

fn outcome(room: usize, old_len: u64, new_len: u64, flags: u64) -> Result<u64, CallError> {
    with_room(room).mremap(BASE, old_len, new_len, flags, BASE + (1 << 30))
}

#[test]
fn mremap_to_a_named_place_wants_room_for_six() {
    let full = Err(CallError::Errno(Errno::ENOMEM));
    for (old_len, new_len, flags) in [
        (PAGE, PAGE, FIXED),
        (PAGE, 2 * PAGE, FIXED),
        (PAGE, PAGE, DONT_UNMAP),
    ] {
        assert_eq!(outcome(5, old_len, new_len, flags), full);
        assert_eq!(outcome(6, old_len, new_len, flags), Ok(BASE + (1 << 30)));
    }
    // The room is asked for before the mapping is looked for.
    let nothing_there = BASE - PAGE;
    let mut mm = with_room(5);
    assert_eq!(
        mm.mremap(nothing_there, PAGE, PAGE, FIXED, BASE + (1 << 30)),
        full
    );
}

#[test]
fn mremap_that_moves_wants_room_for_four() {
    let grown = |room| {
        let mut mm = with_room(room);
        mm.mprotect(BASE, PAGE, 1).unwrap();
        // What lies behind is in the way.
        mm.mremap(BASE, PAGE, 3 * PAGE, MAY_MOVE, 0).map(drop)
    };
    assert_eq!(grown(3), Err(CallError::Errno(Errno::ENOMEM)));
    assert_eq!(grown(4), Ok(()));
}
