//! An address space under real threads: faults and readers of its maps beside calls.
#![cfg(feature = "std")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use vmaple::locks::{Cancel, Held, level};
use vmaple::{
    Access, Fault, FaultError, FaultHandler, GateVma, Handled, MapsReader, Mm, MmConfig, MmapArgs,
    SharedMm, Vma,
};

const PAGE: u64 = 4096;
const BASE: u64 = 0x10_0000_0000;
const READ: u64 = 1;
const READ_WRITE: u64 = 3;
const PRIVATE_ANONYMOUS_FIXED: u64 = 0x32;
const GROWS_DOWN: u64 = 0x100;

/// One of those whom the writer goes on for; a panic ends that too.
struct Busy<'a>(&'a AtomicU64);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn at(page: u64) -> u64 {
    BASE + page * PAGE
}

fn map(mm: &mut Mm, page: u64, pages: u64, prot: u64) {
    let args = MmapArgs::anonymous(at(page), pages * PAGE, prot, PRIVATE_ANONYMOUS_FIXED);
    assert_eq!(mm.mmap(&args), Ok(at(page)));
}

fn shared(fill: impl FnOnce(&mut Mm)) -> SharedMm {
    let mut mm = Mm::new(MmConfig::x86_64());
    fill(&mut mm);
    SharedMm::new(mm)
}

/// Counts faults by kind of answer; each one must be about the VMA that it was given.
#[derive(Default)]
struct Pages {
    nr_handled: u64,
    nr_waits: u64,
    /// How often to ask for a wait first.
    nr_to_wait: u64,
}

impl FaultHandler for Pages {
    type Error = Infallible;

    fn handle(
        &mut self,
        vma: &Vma,
        fault: Fault,
        _: &mut Held<level::VmaRead>,
    ) -> Result<Handled, Infallible> {
        assert!(vma.range().contains(fault.addr) && vma.permits(fault.access));
        assert!(fault.access != Access::Write || !vma.lacks_anon_vma());
        if self.nr_waits < self.nr_to_wait {
            return Ok(Handled::Retry);
        }
        self.nr_handled += 1;
        Ok(Handled::Done)
    }

    fn wait(&mut self, _: &mut Held<level::Nothing>) {
        self.nr_waits += 1;
    }
}

fn writing(page: u64) -> Fault {
    Fault {
        addr: at(page),
        access: Access::Write,
    }
}

#[test]
fn a_first_write_gives_an_anon_vma_once() {
    let space = shared(|mm| map(mm, 0, 4, READ_WRITE));
    let (mut held, mut pages) = (Held::nothing(), Pages::default());
    for page in [1, 2, 1] {
        assert_eq!(space.fault(&mut held, writing(page), &mut pages), Ok(()));
    }
    assert_eq!(pages.nr_handled, 3);
    let mm = space.into_inner();
    assert!(mm.vma_at(at(0)).is_some_and(|vma| vma.anon_vma.is_some()));
}

#[test]
fn a_handler_may_wait_with_nothing_held() {
    let space = shared(|mm| map(mm, 0, 1, READ_WRITE));
    let mut pages = Pages {
        nr_to_wait: 2,
        ..Pages::default()
    };
    assert_eq!(
        space.fault(&mut Held::nothing(), writing(0), &mut pages),
        Ok(())
    );
    assert_eq!((pages.nr_waits, pages.nr_handled), (2, 1));
    assert_eq!(space.readers().events().nr_retry, 2);
}

#[test]
fn a_stack_grows_by_a_fault_and_stops_at_its_guard_gap() {
    let space = shared(|mm| {
        map(mm, 0, 1, READ_WRITE);
        let flags = PRIVATE_ANONYMOUS_FIXED | GROWS_DOWN;
        let args = MmapArgs::anonymous(at(1000), PAGE, READ_WRITE, flags);
        assert_eq!(mm.mmap(&args), Ok(at(1000)));
    });
    let (mut held, mut pages) = (Held::nothing(), Pages::default());
    assert_eq!(space.fault(&mut held, writing(700), &mut pages), Ok(()));
    assert_eq!(
        space.read(&mut held).vma_at(at(700)).map(|vma| vma.start),
        Some(at(700))
    );
    let below = space.fault(&mut held, writing(256), &mut pages);
    assert_eq!(
        below,
        Err(FaultError::NotMapped),
        "within 256 pages of what is mapped below"
    );
    assert_eq!(space.fault(&mut held, writing(257), &mut pages), Ok(()));
    assert_eq!(
        space.fault(&mut held, writing(5000), &mut pages),
        Err(FaultError::NotMapped)
    );
}

#[test]
fn a_fault_waits_for_the_call_that_changes_its_mapping() {
    let space = shared(|mm| map(mm, 0, 4, READ));
    let is_faulting = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut held = Held::nothing();
        let mut call = space.write(&mut held);
        call.mprotect(at(1), PAGE, READ_WRITE)
            .expect("a mapping of ours");
        let fault = scope.spawn(|| {
            is_faulting.store(true, Ordering::Release);
            space.fault(&mut Held::nothing(), writing(1), &mut Pages::default())
        });
        while !is_faulting.load(Ordering::Acquire) {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(20));
        assert!(!fault.is_finished(), "the mapping is write-locked");
        drop(call);
        assert_eq!(fault.join().expect("no panic"), Ok(()));
    });
}

/// Faults on a mapping that is always there, beside calls on it and around it.
#[test]
fn faults_beside_calls() {
    let space = shared(|mm| map(mm, 0, 64, READ_WRITE));
    let nr_busy = AtomicU64::new(2);
    thread::scope(|scope| {
        for seed in 0..2 {
            let (space, nr_busy) = (&space, &nr_busy);
            scope.spawn(move || {
                let _busy = Busy(nr_busy);
                let (mut held, mut pages) = (Held::nothing(), Pages::default());
                let mut page = seed;
                while pages.nr_handled < 3000 {
                    page = (page * 5 + 3) % 64;
                    let outcome = space.fault(&mut held, writing(page), &mut pages);
                    let refused = [Err(FaultError::NotMapped), Err(FaultError::NotPermitted)];
                    assert!(outcome == Ok(()) || page % 4 == 1 && refused.contains(&outcome));
                }
            });
        }
        let mut held = Held::nothing();
        let mut page = 1;
        while nr_busy.load(Ordering::Relaxed) > 0 {
            page = (page + 4) % 64;
            let mut mm = space.write(&mut held);
            mm.mprotect(at(page), PAGE, READ).expect("mapped");
            mm.mprotect(at(page), PAGE, READ_WRITE).expect("mapped");
            mm.munmap(at(page), PAGE).expect("in the region");
            drop(mm);
            map(&mut space.write(&mut held), page, 1, READ_WRITE);
        }
    });
}

/// The pages of the region that are mapped at all times, although by ever other VMAs.
fn is_always_mapped(page: u64) -> bool {
    page % 8 != 5
}

const PAGES: u64 = 64;

/// One turn of changes that leave gaps at known places only.
fn change(space: &SharedMm, held: &mut Held<level::Nothing>, turn: u64) {
    let page = (turn * 8) % PAGES;
    let mut mm = space.write(held);
    match turn % 4 {
        // Split and merge.
        0 => {
            mm.mprotect(at(page + 1), PAGE, READ).expect("mapped");
            drop(mm);
            let mut mm = space.write(held);
            mm.mprotect(at(page + 1), PAGE, READ_WRITE).expect("mapped");
        }
        // Replaced in one call, between two VMAs that it does not concern.
        1 => map(&mut mm, page + 3, 1, READ),
        // A hole that comes and goes.
        2 => {
            mm.munmap(at(page + 5), PAGE).expect("in the region");
            drop(mm);
            map(&mut space.write(held), page + 5, 1, READ_WRITE);
        }
        // Moved onto what was there.
        _ => {
            let (from, to) = (at(PAGES + 8), at(page + 6));
            map(&mut mm, PAGES + 8, 1, READ_WRITE);
            mm.mremap(from, PAGE, PAGE, 3, to).expect("both are mapped");
        }
    }
}

/// Reads the whole text with a buffer of `room` bytes and checks what it promises.
fn check_maps(space: &SharedMm, held: &mut Held<level::Nothing>, room: usize) {
    let (mut reader, cancel) = (MapsReader::new(), Cancel::new());
    let (mut text, mut buf) = (Vec::new(), vec![0; room]);
    loop {
        let mut source = space.vma_source(held, &cancel);
        let len = reader.read(&mut source, &mut buf).expect("never cancelled");
        if len == 0 {
            break;
        }
        text.extend_from_slice(&buf[..len]);
    }
    let text = String::from_utf8(text).expect("ASCII");
    let (mut end, mut covered) = (0, BASE);
    for line in text.lines() {
        let (range, _) = line.split_once(' ').expect("fields");
        let (first, last) = range.split_once('-').expect("a range");
        let [start, next] = [first, last].map(|n| u64::from_str_radix(n, 16).expect("hex"));
        assert!(end <= start && start < next, "lines overlap:\n{text}");
        while covered < start.min(at(PAGES)) {
            let page = (covered - BASE) / PAGE;
            assert!(!is_always_mapped(page), "page {page} is missing:\n{text}");
            covered += PAGE;
        }
        end = next;
        covered = covered.max(next);
    }
    assert!(text.ends_with("[vsyscall]\n") && covered >= at(PAGES));
}

#[test]
fn maps_beside_calls_are_ascending_and_without_false_holes() {
    let mut mm = Mm::seed(
        MmConfig::x86_64(),
        vmaple::BrkArea::default(),
        [],
        Some(GateVma::vsyscall()),
    )
    .expect("nothing to be wrong");
    map(&mut mm, 0, PAGES, READ_WRITE);
    for page in (3..PAGES).step_by(8) {
        map(&mut mm, page, 1, READ);
    }
    let space = SharedMm::new(mm);
    let nr_busy = AtomicU64::new(2);
    thread::scope(|scope| {
        for room in [37, 4096] {
            let (space, nr_busy) = (&space, &nr_busy);
            scope.spawn(move || {
                let _busy = Busy(nr_busy);
                let mut held = Held::nothing();
                for _ in 0..1500 {
                    check_maps(space, &mut held, room);
                }
            });
        }
        let (mut held, mut turn) = (Held::nothing(), 0);
        while nr_busy.load(Ordering::Relaxed) > 0 {
            change(&space, &mut held, turn);
            turn += 1;
        }
    });
}
