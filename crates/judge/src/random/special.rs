//! Random operations on what is one of its kind: heap, stacks, limits, System V memory, bounds.

use vmaple::VmFlags;

use super::{PAGE, Sight, mmap};
use crate::executor::PLACES;
use crate::op::{CallName, Op};
use crate::profile::Kind;
use crate::rng::Rng;
use crate::userfault::FEATURES;

/// Where growing mappings live.
const STACKS: u64 = 0x2000_0000_0000;

impl Sight<'_> {
    pub(super) fn brk(&self, rng: &mut Rng) -> Op {
        let start = self.mm.areas().start_brk;
        let first = self.taboo.iter().find(|taboo| taboo.contains(start));
        let low = first.map_or(start, |taboo| taboo.end);
        match rng.below(8) {
            0 => Op::new(CallName::Brk, &[start.wrapping_sub(1)]),
            1 => {
                // Locking a heap of gigabytes takes the kernel seconds.
                let locks = self.profile.has(Kind::LockAll);
                let most = if locks && rng.one_in(2) {
                    1 << 22
                } else {
                    1 << 40
                };
                let least = if locks && most > 1 << 22 { 1 << 36 } else { 0 };
                Op::new(CallName::Brk, &[low + least + rng.below(most)])
            }
            2 => {
                // Something in the heap's way.
                let flags = rng.of(&[0x12, 0x12, 0x112]);
                mmap(low + rng.below(40) * PAGE, PAGE, 3, flags)
            }
            3 => {
                let addr = low + rng.below(40) * PAGE;
                Op::new(CallName::Munmap, &[addr, PAGE * (1 + rng.below(3))])
            }
            4 => {
                let addr = low + rng.below(20) * PAGE;
                Op::new(CallName::Mprotect, &[addr, PAGE, rng.of(&[1, 3])])
            }
            _ => Op::new(CallName::Brk, &[low + rng.below(40 * PAGE)]),
        }
    }

    /// A limit close to what is in use, or none.
    pub(super) fn limit(&self, rng: &mut Rng) -> Op {
        let counters = self.mm.counters();
        let set = |which: u32, bytes: u64| Op::new(CallName::SetLimit, &[u64::from(which), bytes]);
        if rng.one_in(2) {
            let which = rng.of(&[libc::RLIMIT_AS, libc::RLIMIT_DATA]);
            return set(which, u64::MAX);
        }
        match rng.below(7) {
            0 | 1 => {
                let near = counters.locked_vm.wrapping_add(rng.below(20)) * PAGE;
                let bytes = rng.of(&[0, near.min(8 << 20), 8 << 20]);
                set(libc::RLIMIT_MEMLOCK, bytes)
            }
            2 | 3 => {
                let bytes = (counters.total_vm + rng.below(20)) * PAGE + rng.below(2);
                set(libc::RLIMIT_AS, bytes)
            }
            4 | 5 => {
                let bytes = (counters.data_vm + rng.below(20)) * PAGE;
                set(libc::RLIMIT_DATA, bytes)
            }
            _ => {
                let bytes = rng.of(&[8 << 20, 16 * PAGE, 8 << 20, 300 * PAGE]);
                set(libc::RLIMIT_STACK, bytes)
            }
        }
    }

    /// A growing VMA, or a fault below one, or something in its way.
    pub(super) fn stack(&self, rng: &mut Rng) -> Op {
        let stacks = self.with_flags(VmFlags::GROWSDOWN);
        if stacks.is_empty() || rng.one_in(6) {
            let addr = STACKS + rng.below(2000) * PAGE;
            return mmap(addr, (1 + rng.below(4)) * PAGE, 3, 0x112);
        }
        let stack = rng.of(&stacks);
        let below = stack
            .start
            .saturating_sub(rng.of(&[1, 2, 3, 10, 255, 256, 257, 258, 300]) * PAGE);
        match rng.below(6) {
            0 => mmap(below, PAGE, rng.of(&[0, 3]), rng.of(&[0x12, 0x112])),
            1 => mmap(below, PAGE, 3, 2),
            2 => Op::new(CallName::Mprotect, &[below, 12 * PAGE, 0x0100_0003]),
            3 => Op::new(CallName::Load, &[below]),
            _ => Op::new(CallName::Store, &[below]),
        }
    }

    /// Attaching and detaching the segment.
    pub(super) fn system_v(&self, rng: &mut Rng) -> Op {
        const FLAGS: [u64; 8] = [0, 0, 0o10000, 0o20000, 0o40000, 0o100000, 0o60000, 0o110000];
        let range = self.some_range(rng);
        let addr = range.start + rng.of(&[0, 0, 0, 5]);
        if rng.one_in(2) {
            return Op::new(CallName::Shmdt, &[addr]);
        }
        let addr = if rng.one_in(4) { 0 } else { addr };
        Op::new(CallName::Shmat, &[addr, rng.of(&FLAGS)])
    }

    /// A userfaultfd, or a range for one.
    pub(super) fn userfault(&self, rng: &mut Rng) -> Op {
        let place = rng.below(PLACES);
        let open = |rng: &mut Rng| {
            let features = rng.of(&FEATURES);
            Op::new(CallName::UserfaultOpen, &[place, features])
        };
        if self.contexts.at(place).is_none() {
            return open(rng);
        }
        let range = self.mapped_range(rng);
        // Now and then misaligned or empty.
        let start = range.start + u64::from(rng.one_in(40));
        let len = if rng.one_in(40) { 0 } else { range.len() };
        match rng.below(48) {
            0 => open(rng),
            1 => Op::new(CallName::UserfaultClose, &[place]),
            2..=14 => Op::new(CallName::UserfaultUnregister, &[start, len, place]),
            _ => {
                let mode = rng.of(&[1, 1, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 0, 8]);
                Op::new(CallName::UserfaultRegister, &[start, len, mode, place])
            }
        }
    }

    /// A name for part of what is mapped.
    pub(super) fn name(&self, rng: &mut Rng) -> Op {
        let range = self.mapped_range(rng);
        let name = rng.of(&[0, 0, 1, 1, 1, 2, 2, 3, 4, 5]);
        let start = range.start + u64::from(rng.one_in(40));
        Op::new(CallName::AnonName, &[start, range.len(), name])
    }

    /// A bound, set to what it is or next to it: what `/proc` shows hangs on it.
    pub(super) fn prctl(&self, rng: &mut Rng) -> Op {
        if rng.one_in(4) {
            return Op::new(CallName::ThpDisable, &[rng.below(2)]);
        }
        let areas = self.mm.areas();
        let option = 1 + rng.below(11);
        let near = match option {
            1 => areas.start_code,
            2 => areas.end_code,
            3 => areas.start_data,
            4 => areas.end_data,
            5 => areas.start_stack,
            6 => areas.start_brk,
            7 => areas.brk,
            8 => areas.arg_start,
            9 => areas.arg_end,
            10 => areas.env_start,
            _ => areas.env_end,
        };
        let addr = match rng.below(6) {
            0 => rng.of(&[0, 1, 1 << 63, PAGE]),
            1 => self.some_range(rng).start,
            2 => near.wrapping_add(rng.below(3 * PAGE)),
            _ => near,
        };
        let option = if rng.one_in(20) { 99 } else { option };
        Op::new(CallName::SetMm, &[option, addr])
    }
}
