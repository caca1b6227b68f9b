//! Sequences written by hand: what common programs do, and what needs a special setting.

use super::op::Op;
use super::session::Session;

const PAGE: u64 = 4096;
const BASE: u64 = 0x1000_0000_0000;

const fn map(addr: u64, pages: u64, prot: u64, flags: u64) -> Op {
    Op::Mmap {
        addr,
        len: pages * PAGE,
        prot,
        flags,
        file: None,
        offset: 0,
    }
}

const fn map_file(addr: u64, pages: u64, prot: u64, flags: u64, file: usize, page: u64) -> Op {
    Op::Mmap {
        addr,
        len: pages * PAGE,
        prot,
        flags,
        file: Some(file),
        offset: page * PAGE,
    }
}

const fn protect(addr: u64, pages: u64, prot: u64) -> Op {
    Op::Mprotect {
        addr,
        len: pages * PAGE,
        prot,
    }
}

const fn unmap(addr: u64, pages: u64) -> Op {
    Op::Munmap {
        addr,
        len: pages * PAGE,
    }
}

const fn touch(addr: u64) -> Op {
    Op::Touch { addr }
}

const fn advise(addr: u64, pages: u64, advice: i32) -> Op {
    Op::Madvise {
        addr,
        len: pages * PAGE,
        advice,
    }
}

/// Makes every operation, flags compared after each.
pub(crate) fn run(session: &mut Session, script: &[Op]) {
    for op in script {
        session.step(*op);
        session.check_flags();
    }
}

/// A shared library: reserved whole, segments put over it, bss behind, RELRO.
pub(crate) const SHARED_LIBRARY: &[Op] = &[
    map_file(BASE, 20, 1, 0x812, 2, 0),
    map_file(BASE + 4 * PAGE, 8, 5, 0x812, 2, 4),
    map_file(BASE + 12 * PAGE, 4, 1, 0x812, 2, 12),
    map_file(BASE + 16 * PAGE, 3, 3, 0x812, 2, 15),
    map(BASE + 19 * PAGE, 3, 3, 0x32),
    touch(BASE + 16 * PAGE),
    touch(BASE + 19 * PAGE),
    protect(BASE + 16 * PAGE, 1, 1),
    protect(BASE + 4 * PAGE, 8, 7),
    protect(BASE + 4 * PAGE, 8, 5),
    unmap(BASE, 22),
];

/// An allocator's arena: a large reservation trimmed to its alignment, opened bit by bit.
pub(crate) const ARENA: &[Op] = &[
    map(BASE + 5 * PAGE, 32768, 0, 0x4032),
    unmap(BASE + 5 * PAGE, 11),
    unmap(BASE + 16400 * PAGE, 16373),
    protect(BASE + 16 * PAGE, 33, 3),
    touch(BASE + 16 * PAGE),
    protect(BASE + 49 * PAGE, 7, 3),
    protect(BASE + 56 * PAGE, 1, 3),
    advise(BASE + 20 * PAGE, 4, 4),
    protect(BASE + 50 * PAGE, 7, 0),
    map(BASE + 40 * PAGE, 17, 0, 0x4032),
];

/// A thread's stack with its guard, given back.
pub(crate) const THREAD_STACK: &[Op] = &[
    map(0, 2049, 0, 0x2_0022),
    map(BASE, 2049, 0, 0x2_0032),
    protect(BASE + PAGE, 2048, 3),
    touch(BASE + 2040 * PAGE),
    advise(BASE, 2040, 4),
    advise(BASE + PAGE, 1, 102),
    advise(BASE, 2049, 10),
    Op::Fork,
    map(BASE + 2049 * PAGE, 3, 3, 0x32),
    unmap(BASE, 2049),
];

/// A compiler's code space: reserved, committed by new mappings, flipped between write and
/// execute.
pub(crate) const CODE_SPACE: &[Op] = &[
    map(BASE, 256, 0, 0x4032),
    map(BASE, 64, 3, 0x4032),
    map(BASE + 64 * PAGE, 64, 3, 0x4032),
    touch(BASE),
    protect(BASE + 8 * PAGE, 8, 5),
    protect(BASE + 16 * PAGE, 8, 5),
    protect(BASE + 12 * PAGE, 4, 3),
    protect(BASE + 8 * PAGE, 4, 3),
    protect(BASE + 16 * PAGE, 8, 3),
    map(BASE + 32 * PAGE, 16, 0, 0x4032),
    advise(BASE + 96 * PAGE, 16, 4),
];

/// Blocks that move: unfaulted ones take page numbers of the new place, faulted ones keep theirs.
pub(crate) const MOVED_BLOCKS: &[Op] = &[
    map(BASE, 4, 3, 0x32),
    Op::Mremap {
        addr: BASE,
        old_len: 4 * PAGE,
        new_len: 4 * PAGE,
        flags: 3,
        new_addr: BASE + 64 * PAGE,
    },
    map(BASE + 68 * PAGE, 4, 3, 0x32),
    touch(BASE + 64 * PAGE),
    Op::Mremap {
        addr: BASE + 64 * PAGE,
        old_len: 8 * PAGE,
        new_len: 8 * PAGE,
        flags: 3,
        new_addr: BASE,
    },
    map(BASE + 8 * PAGE, 4, 3, 0x32),
    Op::Mremap {
        addr: BASE,
        old_len: 8 * PAGE,
        new_len: 10 * PAGE,
        flags: 1,
        new_addr: 0,
    },
];

/// The faulted block moves beside an unfaulted one, and leaves an empty mapping behind
/// (CVE-2026-23077).
pub(crate) const FAULTED_BESIDE_UNFAULTED: &[Op] = &[
    map(BASE + 12 * PAGE, 4, 3, 0x32),
    map(BASE + 8 * PAGE, 4, 3, 0x32),
    touch(BASE + 8 * PAGE),
    protect(BASE + 12 * PAGE, 4, 1),
    Op::Mremap {
        addr: BASE + 8 * PAGE,
        old_len: 4 * PAGE,
        new_len: 4 * PAGE,
        flags: 7,
        new_addr: BASE + 32 * PAGE,
    },
    map(BASE + 36 * PAGE, 4, 3, 0x32),
    Op::Mremap {
        addr: BASE + 32 * PAGE,
        old_len: 4 * PAGE,
        new_len: 4 * PAGE,
        flags: 3,
        new_addr: BASE + 8 * PAGE,
    },
    protect(BASE + 12 * PAGE, 4, 3),
];

/// Fills the address space up to `room` VMAs below the limit.
fn fill(session: &mut Session, room: usize) {
    let limit = session.mm.config().max_map_count;
    let mut at = BASE;
    while session.mm.len() + room < limit {
        session.step_unseen(map(at, 1, 3, 0x32));
        at += 2 * PAGE;
    }
}

/// The limit of VMAs is enforced at different counts by different calls.
pub(crate) fn at_the_limit(session: &mut Session) {
    let high = BASE + (1 << 40);
    let big = |index: u64| high + index * 64 * PAGE;
    for index in 0..8 {
        session.step(map(big(index), 8, 3, 0x32));
    }
    fill(session, 4);
    for op in [
        protect(big(0) + PAGE, 1, 1),
        protect(big(1) + PAGE, 1, 1),
        unmap(big(2) + PAGE, 1),
        Op::Mremap {
            addr: big(3),
            old_len: 8 * PAGE,
            new_len: 16 * PAGE,
            flags: 1,
            new_addr: 0,
        },
        Op::Mremap {
            addr: big(3),
            old_len: 8 * PAGE,
            new_len: 8 * PAGE,
            flags: 3,
            new_addr: big(20),
        },
        protect(big(3) + PAGE, 1, 1),
        advise(big(4) + PAGE, 1, 10),
        unmap(big(4) + PAGE, 1),
        unmap(big(4), 1),
        Op::Mlock {
            addr: big(5) + PAGE,
            len: PAGE,
        },
        map(big(30), 1, 1, 0x32),
        map(big(31), 1, 1, 0x32),
        map(big(32), 1, 1, 0x32),
        map(big(30), 2, 3, 0x32),
        Op::Brk {
            addr: session.mm.areas().brk + 64 * PAGE,
        },
        protect(big(5), 1, 1),
        unmap(big(5) + PAGE, 1),
        unmap(big(6), 9),
        protect(big(5), 1, 1),
        unmap(big(5) + 4 * PAGE, 1),
    ] {
        session.step(op);
    }
}
