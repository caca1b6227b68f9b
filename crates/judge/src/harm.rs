//! Which operations the executor survives, and the model has an answer to.

use vmaple::{AddrRange, Mm, VmFlags, Vma};

use crate::apply::HANDED_OVER;
use crate::executor::PLACES;
use crate::files::SEGMENT_LEN;
use crate::model::Model;
use crate::op::{CallName, Op};
use crate::userfault::FEATURES;

const PAGE: u64 = 4096;
/// What is locked, populated or guarded at once may not be larger: the kernel takes seconds for
/// it, or all memory.
const MOST_LOCKED: u64 = 64 << 20;

/// Whether `op` touches nothing that was there at first, needs no memory by the gigabyte, and is
/// modelled.
pub(crate) fn is_harmless(model: &Model, op: &Op) -> bool {
    let Model { mm, taboo, .. } = model;
    let clear = |start: u64, len: u64| {
        let start = start & !(PAGE - 1);
        let range = AddrRange::new(start, start.saturating_add(len).saturating_add(PAGE));
        !taboo.iter().any(|taboo| taboo.overlaps(range))
    };
    let [a, b, c, d, e, _] = op.args;
    match op.call {
        // Huge pages that need not be there are mapped.
        CallName::Mmap if d & 0x4_4020 == 0x4_4020 => false,
        CallName::Mmap if d & 0x4_0020 == 0x4_0020 => {
            d & 0x10 == 0 || clear(a, b.saturating_add(1 << 30))
        }
        CallName::Mmap => d & 0x10 == 0 || clear(a, b),
        CallName::Madvise if matches!(c, 22 | 23) => {
            b <= MOST_LOCKED && clear(a, b) && !brings_in_foreign(mm, a, b)
        }
        // Guards fill page tables: on terabytes they take all memory of the machine.
        CallName::Madvise if c == 102 => b <= MOST_LOCKED && clear(a, b),
        // MADV_COLLAPSE and memory failure hang on pages.
        CallName::Madvise => !matches!(c, 25 | 100 | 101) && clear(a, b),
        CallName::Munmap
        | CallName::Mprotect
        | CallName::PkeyMprotect
        | CallName::RemapFilePages
        | CallName::Mseal
        | CallName::AnonName => clear(a, b),
        CallName::Mlock | CallName::Mlock2 => b <= MOST_LOCKED && !brings_in_foreign(mm, a, b),
        CallName::Mlockall => {
            let all: u64 = mm.iter().map(Vma::len).sum();
            all <= MOST_LOCKED && !brings_in_foreign(mm, 0, u64::MAX)
        }
        // The kernel writes one byte for each page to the scratch page.
        CallName::Mincore => b <= PAGE * PAGE,
        CallName::Shmat => clear(a, SEGMENT_LEN),
        // An access at 0 by a system call fails whatever is mapped there.
        CallName::Store | CallName::Load => a >= PAGE && clear(a, 1) && !is_doubtful(mm, a),
        CallName::Mremap => clear(a, b) && (d & 2 == 0 || clear(e, c)),
        CallName::UserfaultOpen => a < PLACES && FEATURES.contains(&b),
        CallName::UserfaultClose => model.contexts.at(a).is_some(),
        CallName::UserfaultRegister => model.contexts.at(d).is_some() && clear(a, b),
        CallName::UserfaultUnregister => model.contexts.at(c).is_some() && clear(a, b),
        _ => true,
    }
}

/// Whether bringing in `len` bytes at `addr` would meet pages that a userfaultfd has to give. Which
/// ones are there already is not known.
fn brings_in_foreign(mm: &Mm, addr: u64, len: u64) -> bool {
    let start = addr & !(PAGE - 1);
    let range = AddrRange::new(start, addr.saturating_add(len).saturating_add(PAGE));
    mm.overlapping(range)
        .any(|vma| vma.flags.intersects(HANDED_OVER))
}

/// Whether an access at `addr` can fail for two reasons, of which one leaves the VMA an anon_vma.
fn is_doubtful(mm: &Mm, addr: u64) -> bool {
    let found = mm.find(addr).map(|vma| vma.flags);
    found.is_some_and(|flags| flags.contains(VmFlags::MAYBE_GUARD) && flags.intersects(HANDED_OVER))
}
