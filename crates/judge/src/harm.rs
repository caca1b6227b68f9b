//! Which operations the executor survives, and the model has an answer to.

use vmaple::{AddrRange, Mm, Vma};

use crate::files::SEGMENT_LEN;
use crate::op::{CallName, Op};

const PAGE: u64 = 4096;
/// What is locked, populated or guarded at once may not be larger: the kernel takes seconds for
/// it, or all memory.
const MOST_LOCKED: u64 = 64 << 20;

/// Whether `op` touches none of the `taboo` ranges, needs no memory by the gigabyte, and is
/// modelled.
pub(crate) fn is_harmless(mm: &Mm, taboo: &[AddrRange], op: &Op) -> bool {
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
        CallName::Madvise if matches!(c, 22 | 23) => b <= MOST_LOCKED && clear(a, b),
        // Guards fill page tables: on terabytes they take all memory of the machine.
        CallName::Madvise if c == 102 => b <= MOST_LOCKED && clear(a, b),
        // MADV_COLLAPSE and memory failure hang on pages.
        CallName::Madvise => !matches!(c, 25 | 100 | 101) && clear(a, b),
        CallName::Munmap
        | CallName::Mprotect
        | CallName::PkeyMprotect
        | CallName::RemapFilePages
        | CallName::Mseal => clear(a, b),
        CallName::Mlock | CallName::Mlock2 => b <= MOST_LOCKED,
        CallName::Mlockall => {
            let all: u64 = mm.iter().map(Vma::len).sum();
            all <= MOST_LOCKED
        }
        // The kernel writes one byte for each page to the scratch page.
        CallName::Mincore => b <= PAGE * PAGE,
        CallName::Shmat => clear(a, SEGMENT_LEN),
        // An access at 0 by a system call fails whatever is mapped there.
        CallName::Store | CallName::Load => a >= PAGE && clear(a, 1),
        CallName::Mremap => clear(a, b) && (d & 2 == 0 || clear(e, c)),
        _ => true,
    }
}
