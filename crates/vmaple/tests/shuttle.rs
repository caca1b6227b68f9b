//! Readers of maps and queries under shuttle, on real address spaces of a few pages, beside a writer
//! who makes each of the ten changes by which a line may be lost or come twice: five merges over
//! what is mapped, three into a gap, two splits; there and back. Run with
//! `RUSTFLAGS="--cfg shuttle" cargo test --release -p vmaple --test shuttle`; `NR_SCHEDULES` for
//! more.
#![cfg(shuttle)]

use shuttle::thread;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use vmaple::locks::{Biased, Cancel, Counted, Held, Host, ReadScheme};
use vmaple::{
    BrkArea, Errno, GateVma, MapsReader, Mm, MmConfig, MmapArgs, Query, QueryFlags, SharedMm,
};

const PAGE: u64 = 4096;
const BASE: u64 = 0x10_0000;
const R: u64 = 1;
const RW: u64 = 3;
const RX: u64 = 5;
/// Pages of the region.
const PAGES: u64 = 6;

/// One call, about the pages `first..end`.
#[derive(Clone, Copy)]
enum Call {
    Protect(u64, u64, u64),
    Map(u64, u64, u64),
    Unmap(u64, u64),
}

/// A change there, and the call that takes it back.
struct Case {
    name: &'static str,
    /// Pages and permissions of the mappings at the start.
    before: &'static [(u64, u64, u64)],
    there: Call,
    back: Call,
}

use Call::{Map, Protect, Unmap};
use vmaple_sync::model;

/// ```text
///                                    there        back
/// merge both          AABBCC  ->  AAAAAA      (B as A, C as A)
/// merge left, full    AABBXX  ->  AAAAXX
/// merge left, part    AABBXX  ->  AAABXX
/// merge right, full   XXBBCC  ->  XXCCCC
/// merge right, part   XXBBCC  ->  XXBCCC
/// gap, both           AA  AA  ->  AAAAAA
/// gap, left           AA  XX  ->  AAAAXX
/// gap, right          XX  AA  ->  XXAAAA
/// split low           AAAAAA  ->  BBBAAA
/// split high          AAAAAA  ->  AAABBB
/// ```
const CASES: [Case; 10] = [
    Case {
        name: "merge both",
        before: &[(0, 2, RW), (2, 4, R), (4, 6, RW)],
        there: Protect(2, 4, RW),
        back: Protect(2, 4, R),
    },
    Case {
        name: "merge left, full",
        before: &[(0, 2, RW), (2, 4, R), (4, 6, RX)],
        there: Protect(2, 4, RW),
        back: Protect(2, 4, R),
    },
    Case {
        name: "merge left, part",
        before: &[(0, 2, RW), (2, 4, R), (4, 6, RX)],
        there: Protect(2, 3, RW),
        back: Protect(2, 3, R),
    },
    Case {
        name: "merge right, full",
        before: &[(0, 2, RX), (2, 4, R), (4, 6, RW)],
        there: Protect(2, 4, RW),
        back: Protect(2, 4, R),
    },
    Case {
        name: "merge right, part",
        before: &[(0, 2, RX), (2, 4, R), (4, 6, RW)],
        there: Protect(3, 4, RW),
        back: Protect(3, 4, R),
    },
    Case {
        name: "gap, both",
        before: &[(0, 2, RW), (4, 6, RW)],
        there: Map(2, 4, RW),
        back: Unmap(2, 4),
    },
    Case {
        name: "gap, left",
        before: &[(0, 2, RW), (4, 6, R)],
        there: Map(2, 4, RW),
        back: Unmap(2, 4),
    },
    Case {
        name: "gap, right",
        before: &[(0, 2, R), (4, 6, RW)],
        there: Map(2, 4, RW),
        back: Unmap(2, 4),
    },
    Case {
        name: "split low",
        before: &[(0, 6, RW)],
        there: Protect(0, 3, R),
        back: Protect(0, 3, RW),
    },
    Case {
        name: "split high",
        before: &[(0, 6, RW)],
        there: Protect(3, 6, R),
        back: Protect(3, 6, RW),
    },
];

type Space<S> = SharedMm<Host<S>>;
/// First page, end and permissions, ascending.
type Snapshot = Vec<(u64, u64, u64)>;

fn at(page: u64) -> u64 {
    BASE + page * PAGE
}

fn make<S: ReadScheme>(mm: &mut Mm<Host<S>>, call: Call) {
    match call {
        Protect(first, end, prot) => mm.mprotect(at(first), (end - first) * PAGE, prot),
        Unmap(first, end) => mm.munmap(at(first), (end - first) * PAGE),
        Map(first, end, prot) => {
            let args = MmapArgs::anonymous(at(first), (end - first) * PAGE, prot, 0x32);
            mm.mmap(&args).map(|_| ())
        }
    }
    .expect("a call that Linux allows");
}

fn new_mm<S: ReadScheme>(case: &Case) -> Mm<Host<S>> {
    let gate = Some(GateVma::vsyscall());
    let mm = Mm::seed_in(MmConfig::x86_64(), BrkArea::default(), [], gate);
    let mut mm = mm.expect("nothing to be wrong");
    for &(first, end, prot) in case.before {
        make(&mut mm, Map(first, end, prot));
    }
    mm
}

fn snapshot<S: ReadScheme>(mm: &Mm<Host<S>>) -> Snapshot {
    mm.iter()
        .map(|vma| {
            let page = |addr: u64| (addr - BASE) / PAGE;
            (page(vma.start), page(vma.end), vma.flags.bits() & 7)
        })
        .collect()
}

/// Every state that there is between two sections.
fn states<S: ReadScheme>(case: &Case) -> [Snapshot; 2] {
    let mut mm = new_mm::<S>(case);
    let before = snapshot(&mm);
    make(&mut mm, case.there);
    let after = snapshot(&mm);
    assert_ne!(before, after, "{}", case.name);
    make(&mut mm, case.back);
    assert_eq!(snapshot(&mm), before, "{}: back again", case.name);
    [before, after]
}

/// Whether a page is free in one of the states.
fn was_free(states: &[Snapshot], page: u64) -> bool {
    let is_mapped = |state: &Snapshot| state.iter().any(|vma| (vma.0..vma.1).contains(&page));
    states.iter().any(|state| !is_mapped(state))
}

/// First page, end and permissions of a line.
fn parse(line: &str) -> (u64, u64, u64) {
    let (range, rest) = line.split_once(' ').expect("fields");
    let (start, end) = range.split_once('-').expect("a range");
    let page = |text| (u64::from_str_radix(text, 16).expect("hex") - BASE) / PAGE;
    let bit = |letter, bit| if rest.contains(letter) { bit } else { 0 };
    let prot = bit("r", 1) | bit("w", 2) | bit("x", 4);
    (page(start), page(end), prot)
}

/// Lines that show a part of a mapping, of all schedules.
static NR_PARTS: AtomicUsize = AtomicUsize::new(0);

/// The promise, word for word: lines never overlap and never go backwards, no hole that never was,
/// each line true at some moment.
fn judge(case: &Case, states: &[Snapshot], text: &str) {
    let mut lines: Vec<&str> = text.lines().collect();
    let gate = lines.pop().unwrap_or_default();
    assert!(gate.ends_with("[vsyscall]"), "{}: {text}", case.name);
    let mut end_before = 0;
    for line in lines {
        let (first, end, prot) = parse(line);
        assert!(first >= end_before, "{}: backwards:\n{text}", case.name);
        for page in end_before..first {
            assert!(
                was_free(states, page),
                "{}: page {page}:\n{text}",
                case.name
            );
        }
        let has_end = |vma: &&(u64, u64, u64)| (vma.1, vma.2) == (end, prot);
        let mut candidates = states.iter().flatten().filter(has_end);
        let is_whole = candidates.clone().any(|vma| vma.0 == first);
        let is_part = !is_whole && candidates.any(|vma| vma.0 < first && first == end_before);
        NR_PARTS.fetch_add(usize::from(is_part), Relaxed);
        assert!(
            is_whole || is_part,
            "{}: never so: {line}\n{text}",
            case.name
        );
        end_before = end;
    }
    for page in end_before..PAGES {
        assert!(
            was_free(states, page),
            "{}: page {page}:\n{text}",
            case.name
        );
    }
}

fn read<S: ReadScheme>(space: &Space<S>, room: usize) -> String {
    let (mut held, cancel) = (Held::nothing(), Cancel::with_wait());
    let (mut reader, mut text, mut buf) = (MapsReader::new(), Vec::new(), vec![0; room]);
    loop {
        let mut source = space.vma_source(&mut held, &cancel);
        match reader.read(&mut source, &mut buf).expect("nobody cancels") {
            0 => return String::from_utf8(text).expect("ASCII"),
            len => text.extend_from_slice(&buf[..len]),
        }
        assert!(text.len() < 10_000, "it never ends");
    }
}

fn ask<S: ReadScheme>(case: &Case, states: &[Snapshot], space: &Space<S>) {
    let (mut held, cancel) = (Held::nothing(), Cancel::with_wait());
    for page in [1, 3, 5] {
        for flags in [QueryFlags::empty(), QueryFlags::COVERING_OR_NEXT] {
            let mut query = Query {
                addr: at(page),
                flags,
                ..Query::default()
            };
            match space.query(&mut held, &mut query, &cancel) {
                Err(error) => {
                    assert_eq!(error, Errno::ENOENT);
                    assert!(was_free(states, page), "{}: page {page}", case.name);
                }
                Ok(answer) => {
                    let page_of = |addr: u64| (addr - BASE) / PAGE;
                    let range = page_of(answer.range.start)..page_of(answer.range.end);
                    let prot = answer.flags.bits() & 7;
                    let mut all = states.iter().flatten();
                    let is_true = all.any(|vma| *vma == (range.start, range.end, prot));
                    assert!(is_true, "{}: {answer:?}", case.name);
                    for page in page..range.start {
                        assert!(was_free(states, page), "{}: page {page}", case.name);
                    }
                }
            }
        }
    }
}

fn one_schedule<S: ReadScheme>(case: &'static Case, known: &OnceLock<Arc<[Snapshot; 2]>>) {
    let states = known.get_or_init(|| Arc::new(states::<S>(case)));
    let space = Arc::new(Space::<S>::new(new_mm(case)));
    let mut threads = Vec::new();
    for room in [37, 4096] {
        let (space, states) = (Arc::clone(&space), Arc::clone(states));
        threads.push(thread::spawn(move || {
            judge(case, &*states, &read(&space, room));
        }));
    }
    {
        let (space, states) = (Arc::clone(&space), Arc::clone(states));
        threads.push(thread::spawn(move || ask(case, &*states, &space)));
    }
    let mut held = Held::nothing();
    for call in [case.there, case.back, case.there] {
        make(&mut space.write(&mut held), call);
    }
    for thread in threads {
        thread.join().expect("no anomaly");
    }
    assert_eq!(snapshot(&space.read(&mut held)), states[1]);
}

/// Schedules drawn at random, and as many that change threads rarely, where it hurts.
fn explore<S: ReadScheme>() {
    let nr = (model::nr_schedules(500) / CASES.len()).max(10);
    for case in &CASES {
        // The first schedule finds out; all have the same.
        let states = Arc::new(OnceLock::new());
        model::explore(nr, move || one_schedule::<S>(case, &states));
    }
}

#[test]
fn ten_changes_beside_counted_readers() {
    explore::<Counted>();
    assert!(NR_PARTS.load(Relaxed) > 0, "readers never met a merge");
}

#[test]
fn ten_changes_beside_biased_readers() {
    explore::<Biased>();
}
