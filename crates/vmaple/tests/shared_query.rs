//! PROCMAP_QUERY beside a thread that splits and merges what is asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use vmaple::locks::{Cancel, Held, WaitError};
use vmaple::{
    AddrRange, Errno, MapsReader, Mm, MmConfig, MmapArgs, Query, QueryFlags, ReadError, SharedMm,
};

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
            space.query(&mut held, &mut query, &cancel)
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

/// A reader or a query that waits for a call on its mapping is ended by its canceller, and holds
/// nothing afterwards.
#[test]
fn waits_are_killable() {
    let space = SharedMm::new(Mm::new(MmConfig::x86_64()));
    let mut held = Held::nothing();
    let args = MmapArgs::anonymous(BASE, PAGES * PAGE, 3, 0x32);
    space.write(&mut held).mmap(&args).unwrap();
    let cancel = Cancel::new();
    let mut writing = space.write(&mut held);
    writing.mprotect(BASE, PAGE, 1).unwrap();
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut query = Query {
                addr: BASE,
                ..Query::default()
            };
            space.query(&mut Held::nothing(), &mut query, &cancel)
        });
        let reading = scope.spawn(|| {
            let (mut held, mut buf) = (Held::nothing(), [0; 100]);
            MapsReader::new().read(&mut space.vma_source(&mut held, &cancel), &mut buf)
        });
        thread::sleep(Duration::from_millis(20));
        assert!(!asking.is_finished() && !reading.is_finished());
        cancel.cancel();
        assert_eq!(asking.join().unwrap(), Err(Errno::EINTR));
        let cancelled = ReadError::Source(WaitError::Cancelled);
        assert_eq!(reading.join().unwrap(), Err(cancelled));
    });
    writing.munmap(BASE, PAGES * PAGE).unwrap();
}
