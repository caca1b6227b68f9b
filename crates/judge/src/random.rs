//! Random operations, made so that most succeed and neighbours meet.

use vmaple::{AddrRange, Mm, VmFlags, Vma};

use crate::files;
use crate::op::{ANONYMOUS, CallName, Op};
use crate::profile::{Kind, Profile};
use crate::rng::Rng;
use crate::session::Session;
use crate::userfault::Contexts;

mod placed;
mod special;

pub(crate) const PAGE: u64 = 4096;
/// Pages in the arena.
const ARENA_PAGES: u64 = 48;
/// Where fixed mappings crowd.
pub(crate) const ARENA: AddrRange =
    AddrRange::new(0x1000_0000_0000, 0x1000_0000_0000 + ARENA_PAGES * PAGE);

/// What a proposal is made from.
pub(crate) struct Sight<'a> {
    pub(crate) mm: &'a Mm,
    pub(crate) taboo: &'a [AddrRange],
    pub(crate) profile: &'a Profile,
    pub(crate) contexts: &'a Contexts,
}

/// An operation that harms nothing the executor needs.
pub(crate) fn next_op(session: &Session<'_>, profile: &Profile, rng: &mut Rng) -> Op {
    let sight = Sight {
        mm: session.mm(),
        taboo: session.taboo(),
        profile,
        contexts: session.contexts(),
    };
    for _ in 0..100 {
        let op = sight.propose(rng);
        if session.is_harmless(&op) {
            return op;
        }
    }
    Op::new(CallName::Brk, &[0])
}

impl Sight<'_> {
    fn propose(&self, rng: &mut Rng) -> Op {
        let kind = self.profile.pick(rng.next());
        match kind {
            Kind::Fixed => placed::fixed(rng),
            Kind::Anywhere => self.anywhere(rng),
            Kind::Unmap | Kind::Protect | Kind::Advise | Kind::Seal | Kind::Guard => {
                self.on_range(kind, rng)
            }
            Kind::Touch => self.touch(rng),
            Kind::Remap => self.remap(rng),
            Kind::Lock => self.lock(rng),
            Kind::LockAll if rng.one_in(2) => Op::new(CallName::Munlockall, &[]),
            Kind::LockAll => Op::new(CallName::Mlockall, &[rng.below(9)]),
            Kind::Fork => Op::new(CallName::Fork, &[]),
            Kind::Brk => self.brk(rng),
            Kind::Limit => self.limit(rng),
            Kind::Stack => self.stack(rng),
            Kind::SystemV => self.system_v(rng),
            Kind::Join => self.join(rng),
            Kind::Personality => Op::new(CallName::ReadImpliesExec, &[rng.below(2)]),
            Kind::Prctl => self.prctl(rng),
            Kind::Userfault => self.userfault(rng),
            Kind::Name => self.name(rng),
        }
    }

    /// The operations on a range.
    fn on_range(&self, kind: Kind, rng: &mut Rng) -> Op {
        let range = match kind {
            Kind::Unmap => self.some_range(rng),
            _ => self.mapped_range(rng),
        };
        let (addr, len) = (range.start, range.len());
        match kind {
            Kind::Unmap => Op::new(CallName::Munmap, &[addr, len]),
            Kind::Protect if rng.one_in(64) => {
                let prot = rng.of(&PROTECTIONS);
                let key = rng.of(&[u64::MAX, 0, 1, 16]);
                Op::new(CallName::PkeyMprotect, &[addr, len, prot, key])
            }
            Kind::Protect => {
                // Back to what most mappings have, so that what was cut can join again.
                let prot = if rng.one_in(3) {
                    3
                } else {
                    rng.of(&PROTECTIONS)
                };
                Op::new(CallName::Mprotect, &[addr, len, prot])
            }
            Kind::Seal => Op::new(CallName::Mseal, &[addr, PAGE, u64::from(rng.one_in(20))]),
            Kind::Guard => {
                let advice = rng.of(&[102, 102, 102, 103, 103, 4, 8, 22, 23, 24]);
                Op::new(CallName::Madvise, &[addr, len, advice])
            }
            _ => Op::new(CallName::Madvise, &[addr, len, rng.of(&ADVICE)]),
        }
    }

    fn touch(&self, rng: &mut Rng) -> Op {
        let range = self.some_range(rng);
        let (addr, len) = (range.start, range.len());
        match rng.below(16) {
            0 => Op::new(CallName::RemapFilePages, &[addr, len, 0, rng.below(20), 0]),
            1 => Op::new(CallName::Mincore, &[addr + rng.of(&[0, 0, 0, 1]), len]),
            2..=4 => Op::new(CallName::Load, &[addr + rng.below(len)]),
            _ => Op::new(CallName::Store, &[addr + rng.below(len)]),
        }
    }

    fn lock(&self, rng: &mut Rng) -> Op {
        let range = self.some_range(rng);
        let (addr, len) = (range.start + rng.of(&[0, 0, 7]), range.len());
        match rng.below(5) {
            0 | 1 => Op::new(CallName::Mlock, &[addr, len]),
            2 => Op::new(CallName::Mlock2, &[addr, len, rng.below(3)]),
            3 => Op::new(CallName::Msync, &[range.start, len, rng.below(8)]),
            _ => Op::new(CallName::Munlock, &[addr, len]),
        }
    }

    fn remap(&self, rng: &mut Rng) -> Op {
        let from = self.mapped_range(rng);
        let to = if rng.one_in(3) {
            self.some_range(rng).start
        } else {
            ARENA.start + rng.below(ARENA_PAGES) * PAGE
        };
        let flags = rng.of(&[0, 0, 1, 1, 1, 1, 3, 3, 3, 3, 3, 5, 7, 7, 2, 4, 8]);
        let new_len = match rng.below(4) {
            0 | 1 => from.len(),
            _ if flags & 4 != 0 && !rng.one_in(4) => from.len(),
            2 => (1 + rng.below(8)) * PAGE,
            _ => from.len() + rng.below(4) * PAGE,
        };
        let old_len = if rng.one_in(16) { 0 } else { from.len() };
        let new_addr = if flags & 2 == 0 && rng.one_in(2) {
            0
        } else {
            to
        };
        Op::new(
            CallName::Mremap,
            &[from.start, old_len, new_len, flags, new_addr],
        )
    }

    /// Gives part of a VMA the rights of the one next to it: what was cut joins again.
    fn join(&self, rng: &mut Rng) -> Op {
        let mut touching: Vec<(&Vma, &Vma)> = Vec::new();
        let mut below: Option<&Vma> = None;
        for vma in self.mm.overlapping(ARENA) {
            touching.extend(
                below
                    .filter(|below| below.end == vma.start)
                    .map(|below| (below, vma)),
            );
            below = Some(vma);
        }
        if touching.is_empty() {
            return placed::fixed(rng);
        }
        let (below, above) = rng.of(&touching);
        let rights = |vma: &Vma| (vma.flags & VmFlags::ACCESS).bits();
        let part = |rng: &mut Rng, vma: &Vma| {
            let pages = vma.len() / PAGE;
            PAGE * if rng.one_in(2) {
                pages
            } else {
                1 + rng.below(pages)
            }
        };
        if rng.one_in(2) {
            let len = part(rng, above);
            Op::new(CallName::Mprotect, &[above.start, len, rights(below)])
        } else {
            let len = part(rng, below);
            Op::new(CallName::Mprotect, &[below.end - len, len, rights(above)])
        }
    }

    /// Mostly a VMA or part of one; sometimes any range.
    pub(crate) fn mapped_range(&self, rng: &mut Rng) -> AddrRange {
        if rng.one_in(4) {
            return self.some_range(rng);
        }
        let Some(vma) = self.some_vma(rng) else {
            return self.some_range(rng);
        };
        let pages = vma.len() / PAGE;
        let (one, other) = (rng.below(pages), rng.below(pages));
        match rng.below(4) {
            0 => vma,
            1 => AddrRange::new(vma.start, vma.start + (1 + one) * PAGE),
            2 => AddrRange::new(vma.start + one * PAGE, vma.end),
            _ => {
                let (low, high) = (one.min(other), one.max(other));
                AddrRange::new(vma.start + low * PAGE, vma.start + (high + 1) * PAGE)
            }
        }
    }

    /// A range in the arena, or one that has to do with a VMA there is.
    pub(crate) fn some_range(&self, rng: &mut Rng) -> AddrRange {
        let start = ARENA.start + rng.below(ARENA_PAGES) * PAGE;
        let random = AddrRange::new(start, start + (1 + rng.below(8)) * PAGE);
        if rng.one_in(4) {
            return random;
        }
        let Some(vma) = self.some_vma(rng) else {
            return random;
        };
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

    /// The range of a VMA that is not the executor's own.
    fn some_vma(&self, rng: &mut Rng) -> Option<AddrRange> {
        // Of a crowd, those in the arena are enough.
        let within = if self.profile.crowded {
            AddrRange::new(ARENA.start, ARENA.end + (1 << 40))
        } else {
            AddrRange::new(0, u64::MAX)
        };
        let ours = |vma: &&Vma| !self.taboo.iter().any(|taboo| taboo.overlaps(vma.range()));
        let vmas: Vec<AddrRange> = self
            .mm
            .overlapping(within)
            .filter(ours)
            .map(Vma::range)
            .collect();
        (!vmas.is_empty()).then(|| rng.of(&vmas))
    }

    /// VMAs of these flags that are not the executor's own.
    pub(crate) fn with_flags(&self, flags: VmFlags) -> Vec<AddrRange> {
        let ours = |vma: &&Vma| vma.flags.contains(flags) && !self.taboo.contains(&vma.range());
        self.mm.iter().filter(ours).map(Vma::range).collect()
    }
}

pub(crate) fn mmap(addr: u64, len: u64, prot: u64, flags: u64) -> Op {
    Op::new(
        CallName::Mmap,
        &[addr, len, prot, flags | 0x20, ANONYMOUS, 0],
    )
}

pub(crate) fn some_file(rng: &mut Rng) -> u64 {
    rng.below(files::NAMES.len() as u64)
}

const PROTECTIONS: [u64; 14] = [0, 0, 1, 1, 3, 3, 3, 5, 7, 2, 4, 8, 0x0100_0003, 0x0200_0001];
const ADVICE: [u64; 34] = [
    0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 102, 103, 0,
    1, 2, 10, 11, 16, 17, 0, 7, 99,
];
