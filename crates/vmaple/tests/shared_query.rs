//! PROCMAP_QUERY beside a thread that splits and merges what is asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use vmaple::locks::{Cancel, Held};
use vmaple::{AddrRange, Errno, Mm, MmConfig, MmapArgs, Query, QueryFlags, SharedMm, answer_query};

const BASE: u64 = 0x1000_0000;
const PAGE: u64 = 4096;
const PAGES: u64 = 16;

/// The middle is read-only or not, whole or in pieces; both ends are always writable.
#[test]
fn each_answer_is_true_of_one_mapping() {
    let space = SharedMm::new(Mm::new(MmConfig::x86_64()));
    let whole = AddrRange::new(BASE, BASE + PAGES * PAGE);
    let args = MmapArgs::anonymous(BASE, whole.len(), 3, 0x32);
    space.write(&mut Held::nothing()).mmap(&args).unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = Held::nothing();
            for turn in 0..4000_u64 {
                let from = BASE + (1 + turn % 7) * PAGE;
                let len = (1 + turn % 8) * PAGE;
                let mut mm = space.write(&mut held);
                mm.mprotect(from, len, 1 + 2 * (turn % 2)).unwrap();
            }
            // Relaxed: tells the others to stop, and nothing else.
            is_done.store(true, Ordering::Relaxed);
        });
        for thread in 0..2 {
            let (space, is_done) = (&space, &is_done);
            scope.spawn(move || ask(space, is_done, thread, whole));
        }
    });
}

fn ask(space: &SharedMm, is_done: &AtomicBool, thread: u64, whole: AddrRange) {
    let (mut held, cancel) = (Held::nothing(), Cancel::new());
    let mut turn = thread;
    // Relaxed: see above.
    while !is_done.load(Ordering::Relaxed) || turn < 1000 {
        turn += 1;
        let addr = BASE + turn % PAGES * PAGE + turn % PAGE;
        let mut ask = |flags| {
            let mut query = Query {
                addr,
                flags,
                ..Query::default()
            };
            answer_query(&mut space.vma_source(&mut held, &cancel), &mut query)
        };
        let covering = ask(QueryFlags::empty()).unwrap();
        assert!(covering.range.contains(addr), "{covering:?} for {addr:#x}");
        assert!(whole.contains(covering.range.start) && covering.range.end <= whole.end);
        // The last page is always writable: there is always one at or above.
        let next = ask(QueryFlags::WRITABLE | QueryFlags::COVERING_OR_NEXT).unwrap();
        assert!(next.range.end > addr && next.flags.contains(QueryFlags::WRITABLE));
        assert_eq!(ask(QueryFlags::EXECUTABLE), Err(Errno::ENOENT));
    }
}
