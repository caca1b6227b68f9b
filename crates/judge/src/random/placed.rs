//! Random mmap calls.

use super::{ARENA, ARENA_PAGES, PAGE, Sight, mmap, some_file};
use crate::op::{CallName, Op};
use crate::profile::Kind;
use crate::rng::Rng;

const HUGE: u64 = 2 << 20;
/// MAP_HUGETLB, and logarithms of the sizes that go with it; 0 for none.
const HUGETLB: u64 = 0x4_0000;
const SIZES: [u64; 5] = [0, 0, 21, 30, 16];
/// Two pages below the largest size of a file.
const EDGE: u64 = 0x7fff_ffff_ffff_d000;

/// A mapping in the arena.
pub(super) fn fixed(rng: &mut Rng) -> Op {
    let page = rng.below(ARENA_PAGES);
    let addr = ARENA.start + page * PAGE;
    let len = (1 + rng.below(6)) * PAGE;
    let prot = rng.of(&[0, 1, 3, 3, 3, 3, 3, 3, 5, 7, 2]);
    let fixed = rng.of(&[0x10, 0x10, 0x10, 0x10, 0x10_0000]);
    let extra = match rng.below(28) {
        0 | 5 => 0x4000,
        1 => 0x2_0000,
        2 => 0x8000,
        3 => 0x2000,
        4 => 0x100,
        6 => 0x80_0000,
        // SYNC, UNINITIALIZED, NONBLOCK, and what has no effect any more.
        8 => 0x8_0000,
        9 => 0x400_0000,
        10 => 0x1_8000,
        11 => rng.of(&[0x800, 0x1000]),
        7 if rng.one_in(4) => HUGETLB | rng.of(&SIZES) << 26,
        _ => 0,
    };
    if rng.one_in(3) {
        let kind = rng.of(&[1, 2, 2, 2, 3]);
        // Offsets that go with the address let neighbours merge.
        let offset = if rng.one_in(6) { rng.below(16) } else { page } * PAGE;
        // So does one file that is used most of the time.
        let file = if rng.one_in(2) { 0 } else { some_file(rng) };
        return Op::new(
            CallName::Mmap,
            &[addr, len, prot, kind | fixed | extra, file, offset],
        );
    }
    let kind = rng.of(&[2, 2, 2, 2, 2, 2, 2, 2, 1, 8]);
    mmap(addr, len, prot, kind | fixed | extra)
}

impl Sight<'_> {
    /// A mapping that the kernel places.
    pub(super) fn anywhere(&self, rng: &mut Rng) -> Op {
        let locks = self.profile.has(Kind::Lock) || self.profile.has(Kind::LockAll);
        let len = match rng.below(8) {
            0 if !locks || rng.one_in(4) => HUGE * (1 + rng.below(3)),
            1 if !locks || rng.one_in(4) => HUGE * (1 + rng.below(3)) + PAGE * rng.below(600),
            2 => 1 + rng.below(9000),
            // Locking such ranges takes the kernel seconds.
            3 if !locks => 128 << 20,
            4 if !locks && rng.one_in(8) => {
                rng.of(&[1 << 46, 1 << 47, 1 << 63, 0, u64::MAX, 0x7fff_ffff_f000])
            }
            _ => (1 + rng.below(64)) * PAGE,
        };
        let addr = match rng.below(6) {
            0 => self.some_range(rng).start + rng.below(3) * PAGE,
            1 => self.some_range(rng).end.wrapping_sub(len) & !(PAGE - 1),
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
        let extra = rng.of(&[
            0, 0, 0, 0, 0x40, 0x4000, 0x2_0000, 0x100, 0x80, 0x2_0100, 0x20_0010,
        ]);
        let extra = if rng.one_in(32) {
            extra | HUGETLB | rng.of(&SIZES) << 26
        } else {
            extra
        };
        let kind = rng.of(&[1, 2, 2, 2, 2, 2, 0, 3]);
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
            let file = if rng.one_in(40) { 99 } else { some_file(rng) };
            return Op::new(
                CallName::Mmap,
                &[addr, len, prot, kind | extra, file, offset],
            );
        }
        mmap(addr, len, prot, kind | extra)
    }
}
