//! Random operations, made so that neighbours meet.

use super::files;
use super::op::Op;
use super::profile::Profile;
use super::session::Session;
use vmaple::{AddrRange, VmFlags};

const PAGE: u64 = 4096;
const HUGE: u64 = 2 << 20;
/// Where fixed mappings crowd.
const ARENA: AddrRange = AddrRange::new(0x1000_0000_0000, 0x1000_0000_0000 + 48 * PAGE);

/// A small generator of pseudo-random numbers (xorshift64*).
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// Makes `count` operations; returns how many.
pub(crate) fn run(session: &mut Session, profile: &Profile, seed: u64, count: u64) -> u64 {
    let mut rng = Rng::new(seed);
    if profile.unprivileged {
        session.step(Op::DropPrivileges);
    }
    for index in 0..count {
        let op = next_op(session, profile, &mut rng);
        session.step(op);
        if index % 16 == 15 {
            session.check_flags();
        }
    }
    count
}

/// An operation that harms nothing the child needs.
fn next_op(session: &Session, profile: &Profile, rng: &mut Rng) -> Op {
    for _ in 0..100 {
        let op = propose(session, profile, rng);
        if is_harmless(session, &op) {
            return op;
        }
    }
    Op::Brk { addr: 0 }
}

/// Whether the operation leaves what was there at first alone.
fn is_harmless(session: &Session, op: &Op) -> bool {
    let clear = |start: u64, len: u64| {
        let range = AddrRange::new(start, start.saturating_add(len).saturating_add(PAGE));
        !session.taboo.iter().any(|taboo| taboo.overlaps(range))
    };
    match *op {
        Op::Mmap {
            addr, len, flags, ..
        } => flags & 0x10 == 0 || clear(addr, len),
        Op::Munmap { addr, len }
        | Op::Mprotect { addr, len, .. }
        | Op::Madvise {
            addr,
            len,
            advice: 0..=21 | 24..,
        }
        | Op::RemapFilePages { addr, len, .. }
        | Op::Mseal { addr, len } => clear(addr, len),
        // What guard pages do to populating is not in the map.
        Op::Madvise { addr, len, .. } => {
            let range = AddrRange::new(addr, addr + len);
            let guarded = |vma: &vmaple::Vma| vma.flags.contains(VmFlags::MAYBE_GUARD);
            clear(addr, len) && !session.mm.overlapping(range).any(guarded)
        }
        Op::Mlock { addr, len } | Op::Mlock2 { addr, len, .. } => {
            let range = AddrRange::new(addr & !(PAGE - 1), addr + len);
            let guarded = |vma: &vmaple::Vma| vma.flags.contains(VmFlags::MAYBE_GUARD);
            !session.mm.overlapping(range).any(guarded)
        }
        Op::Shmat { addr, .. } => clear(addr, files::SEGMENT_LEN),
        Op::Touch { addr } => clear(addr, 1),
        Op::Mremap {
            addr,
            old_len,
            new_len,
            flags,
            new_addr,
        } => clear(addr, old_len) && (flags & 2 == 0 || clear(new_addr, new_len)),
        _ => true,
    }
}

fn propose(session: &Session, profile: &Profile, rng: &mut Rng) -> Op {
    let profile_kind = profile.pick(rng.next());
    match profile_kind {
        0 => mmap_fixed(rng),
        1 => mmap_anywhere(session, profile, rng),
        2 | 3 | 5 | 8 | 9 => on_range(session, profile_kind, rng),
        4 => mremap(session, rng),
        6 => lock(session, rng),
        7 if rng.one_in(2) => Op::Munlockall,
        7 => Op::Mlockall {
            flags: rng.below(9),
        },
        10 => Op::Fork,
        11 => brk(session, rng),
        12 => limit(session, rng),
        13 => grow_stack(session, rng),
        14 => system_v(session, rng),
        _ => Op::ReadImpliesExec { on: rng.one_in(2) },
    }
}

/// Attaching and detaching the segment.
fn system_v(session: &Session, rng: &mut Rng) -> Op {
    const FLAGS: [u64; 8] = [0, 0, 0o10000, 0o20000, 0o40000, 0o100000, 0o60000, 0o110000];
    let range = some_range(session, rng);
    let addr = range.start + rng.of(&[0, 0, 0, 5]);
    if rng.one_in(2) {
        return Op::Shmdt { addr };
    }
    let addr = if rng.one_in(4) { 0 } else { addr };
    Op::Shmat {
        addr,
        flags: rng.of(&FLAGS),
    }
}

const PROTECTIONS: [u64; 14] = [
    0,
    1,
    1,
    3,
    3,
    3,
    5,
    7,
    2,
    4,
    8,
    0x0100_0003,
    0x0200_0001,
    16,
];
const ADVICE: [i32; 34] = [
    0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 102, 103, 0,
    1, 2, 10, 11, 16, 17, 102, 7, 100,
];

/// The operations on a range; `kind` as in [`Profile::pick`].
fn on_range(session: &Session, kind: usize, rng: &mut Rng) -> Op {
    let range = some_range(session, rng);
    let (addr, len) = (range.start, range.len());
    match kind {
        2 => Op::Munmap { addr, len },
        3 => Op::Mprotect {
            addr,
            len,
            prot: rng.of(&PROTECTIONS),
        },
        5 => Op::Madvise {
            addr,
            len,
            advice: rng.of(&ADVICE),
        },
        8 => Op::Mseal { addr, len: PAGE },
        _ if rng.one_in(12) => Op::RemapFilePages {
            addr,
            len,
            pgoff: rng.below(20),
        },
        _ => Op::Touch {
            addr: addr + rng.below(len),
        },
    }
}

/// A range in the arena, or one that has to do with a VMA there is.
fn some_range(session: &Session, rng: &mut Rng) -> AddrRange {
    let start = ARENA.start + rng.below(48) * PAGE;
    let random = AddrRange::new(start, start + (1 + rng.below(8)) * PAGE);
    let ours = |range: &AddrRange| !session.taboo.iter().any(|taboo| taboo.overlaps(*range));
    let vmas: Vec<AddrRange> = session
        .mm
        .iter()
        .map(vmaple::Vma::range)
        .filter(ours)
        .collect();
    if vmas.is_empty() || rng.one_in(4) {
        return random;
    }
    let vma = rng.of(&vmas);
    let pages = vma.len() / PAGE;
    let inner = |rng: &mut Rng| vma.start + rng.below(pages) * PAGE;
    match rng.below(7) {
        0 | 1 => vma,
        2 => AddrRange::new(vma.start, inner(rng) + PAGE),
        3 => AddrRange::new(inner(rng), vma.end),
        4 => {
            let start = inner(rng);
            AddrRange::new(start, start + PAGE)
        }
        5 => AddrRange::new(inner(rng), vma.end + rng.below(6) * PAGE),
        _ => AddrRange::new(
            vma.start.saturating_sub(rng.below(6) * PAGE),
            inner(rng) + PAGE,
        ),
    }
}

fn some_file(rng: &mut Rng) -> usize {
    rng.below(files::COUNT as u64) as usize
}

fn mmap_fixed(rng: &mut Rng) -> Op {
    let page = rng.below(48);
    let addr = ARENA.start + page * PAGE;
    let len = (1 + rng.below(6)) * PAGE;
    let prot = rng.of(&[0, 1, 3, 3, 3, 3, 5, 7, 2]);
    let fixed = rng.of(&[0x10, 0x10, 0x10, 0x10, 0x10_0000]);
    let extra = match rng.below(24) {
        0 | 5 => 0x4000,
        1 => 0x2_0000,
        2 => 0x8000,
        3 => 0x2000,
        4 => 0x100,
        6 => 0x80_0000,
        _ => 0,
    };
    if rng.one_in(3) {
        let kind = rng.of(&[1, 2, 2, 2, 3]);
        // Offsets that go with the address let neighbours merge.
        let offset = if rng.one_in(6) { rng.below(16) } else { page } * PAGE;
        let file = Some(some_file(rng));
        return Op::Mmap {
            addr,
            len,
            prot,
            flags: kind | fixed | extra,
            file,
            offset,
        };
    }
    let kind = rng.of(&[2, 2, 2, 2, 2, 2, 2, 2, 1, 8]);
    Op::Mmap {
        addr,
        len,
        prot,
        flags: 0x20 | kind | fixed | extra,
        file: None,
        offset: 0,
    }
}

fn mmap_anywhere(session: &Session, profile: &Profile, rng: &mut Rng) -> Op {
    let len = match rng.below(8) {
        0 => HUGE * (1 + rng.below(3)),
        1 => HUGE * (1 + rng.below(3)) + PAGE * rng.below(600),
        2 => 1 + rng.below(9000),
        3 => 128 << 20,
        // Locking such ranges takes the kernel seconds.
        4 if profile.lock == 0 && rng.one_in(8) => {
            rng.of(&[1 << 46, 1 << 47, 1 << 63, 0, u64::MAX, 0x7fff_ffff_f000])
        }
        _ => (1 + rng.below(64)) * PAGE,
    };
    let addr = match rng.below(6) {
        0 => some_range(session, rng).start + rng.below(3) * PAGE,
        1 => some_range(session, rng).end.wrapping_sub(len) & !(PAGE - 1),
        2 => rng.of(&[
            1,
            0x1000,
            0x10000,
            0x7fff_f7ff_f000,
            0x7fff_ffff_e000,
            1 << 63,
            0x123,
        ]),
        _ => 0,
    };
    let prot = rng.of(&[0, 1, 3, 3, 5]);
    let extra = rng.of(&[0, 0, 0, 0, 0x40, 0x4000, 0x2_0000, 0x100, 0x80, 0x2_0100]);
    let kind = rng.of(&[1, 2, 2, 2, 2]);
    if rng.one_in(2) {
        let offset = rng.of(&[
            0,
            0,
            PAGE,
            HUGE,
            0x1f_f000,
            5 * PAGE,
            123,
            1 << 62,
            EDGE,
            0x7fff_ffff_ffff_f000,
        ]);
        let file = Some(some_file(rng));
        return Op::Mmap {
            addr,
            len,
            prot,
            flags: kind | extra,
            file,
            offset,
        };
    }
    Op::Mmap {
        addr,
        len,
        prot,
        flags: 0x20 | kind | extra,
        file: None,
        offset: 0,
    }
}

/// Two pages below the largest size of a file.
const EDGE: u64 = 0x7fff_ffff_ffff_d000;

fn mremap(session: &Session, rng: &mut Rng) -> Op {
    let from = some_range(session, rng);
    let to = some_range(session, rng);
    let flags = rng.of(&[0, 0, 1, 1, 1, 3, 3, 3, 5, 7, 7, 2, 4, 8]);
    let new_len = match rng.below(4) {
        0 | 1 => from.len(),
        2 => (1 + rng.below(8)) * PAGE,
        _ => from.len() + rng.below(4) * PAGE,
    };
    let old_len = if rng.one_in(16) { 0 } else { from.len() };
    let new_addr = if flags & 2 == 0 && rng.one_in(2) {
        0
    } else {
        to.start
    };
    Op::Mremap {
        addr: from.start,
        old_len,
        new_len,
        flags,
        new_addr,
    }
}

fn lock(session: &Session, rng: &mut Rng) -> Op {
    let range = some_range(session, rng);
    let (addr, len) = (range.start + rng.of(&[0, 0, 7]), range.len());
    match rng.below(5) {
        0 | 1 => Op::Mlock { addr, len },
        2 => Op::Mlock2 {
            addr,
            len,
            flags: rng.below(3),
        },
        3 => Op::Msync {
            addr: range.start,
            len,
            flags: rng.below(8),
        },
        _ => Op::Munlock { addr, len },
    }
}

fn brk(session: &Session, rng: &mut Rng) -> Op {
    let areas = session.mm.areas();
    let first = session
        .taboo
        .iter()
        .filter(|taboo| taboo.contains(areas.start_brk));
    let low = first
        .map(|taboo| taboo.end)
        .next()
        .unwrap_or(areas.start_brk);
    match rng.below(8) {
        0 => Op::Brk {
            addr: areas.start_brk.wrapping_sub(1),
        },
        1 => Op::Brk {
            addr: low + rng.below(1 << 40),
        },
        2 => {
            // Something in the heap's way.
            let addr = low + rng.below(40) * PAGE;
            let flags = rng.of(&[0x32, 0x32, 0x132]);
            Op::Mmap {
                addr,
                len: PAGE,
                prot: 3,
                flags,
                file: None,
                offset: 0,
            }
        }
        3 => {
            let addr = low + rng.below(40) * PAGE;
            Op::Munmap {
                addr,
                len: PAGE * (1 + rng.below(3)),
            }
        }
        4 => {
            let addr = low + rng.below(20) * PAGE;
            Op::Mprotect {
                addr,
                len: PAGE,
                prot: rng.of(&[1, 3]),
            }
        }
        _ => Op::Brk {
            addr: low + rng.below(40 * PAGE),
        },
    }
}

fn limit(session: &Session, rng: &mut Rng) -> Op {
    let counters = session.mm.counters();
    if rng.one_in(2) {
        let which = rng.of(&[libc::RLIMIT_AS, libc::RLIMIT_DATA]);
        return Op::SetLimit {
            which,
            bytes: u64::MAX,
        };
    }
    if rng.one_in(3) {
        let near = counters.locked_vm.wrapping_add(rng.below(20)) * PAGE;
        let bytes = rng.of(&[0, near.min(8 << 20), 8 << 20]);
        return Op::SetLimit {
            which: libc::RLIMIT_MEMLOCK,
            bytes,
        };
    }
    if rng.one_in(2) {
        let bytes = (counters.total_vm + rng.below(20)) * PAGE + rng.below(2);
        return Op::SetLimit {
            which: libc::RLIMIT_AS,
            bytes,
        };
    }
    let bytes = (counters.data_vm + rng.below(20)) * PAGE;
    Op::SetLimit {
        which: libc::RLIMIT_DATA,
        bytes,
    }
}

/// A growing VMA, or a fault below one, or something in its way.
fn grow_stack(session: &Session, rng: &mut Rng) -> Op {
    const ROOM: u64 = 0x2000_0000_0000;
    let grows = |vma: &&vmaple::Vma| vma.flags.contains(VmFlags::GROWSDOWN);
    let ours = |vma: &&vmaple::Vma| !session.taboo.contains(&vma.range());
    let stacks: Vec<AddrRange> = session
        .mm
        .iter()
        .filter(grows)
        .filter(ours)
        .map(vmaple::Vma::range)
        .collect();
    if stacks.is_empty() || rng.one_in(6) {
        let addr = ROOM + rng.below(2000) * PAGE;
        let len = (1 + rng.below(4)) * PAGE;
        return Op::Mmap {
            addr,
            len,
            prot: 3,
            flags: 0x132,
            file: None,
            offset: 0,
        };
    }
    let stack = rng.of(&stacks);
    let below = stack
        .start
        .saturating_sub(rng.of(&[1, 2, 3, 10, 255, 256, 257, 258, 300]) * PAGE);
    match rng.below(6) {
        0 => {
            let flags = rng.of(&[0x32, 0x132]);
            let prot = rng.of(&[0, 3]);
            Op::Mmap {
                addr: below,
                len: PAGE,
                prot,
                flags,
                file: None,
                offset: 0,
            }
        }
        1 => Op::Mmap {
            addr: below,
            len: PAGE,
            prot: 3,
            flags: 0x22,
            file: None,
            offset: 0,
        },
        2 => Op::Mprotect {
            addr: below,
            len: 12 * PAGE,
            prot: 0x0100_0003,
        },
        _ => Op::Touch { addr: below },
    }
}
