//! Which pages count as anonymous: every row of the table in `pagemap.rs`, each asked in
//! both ways (scan and entries).

use std::io::Write;

use libc::{PROT_NONE, PROT_READ, PROT_WRITE};
use nix::unistd::Pid;
use vmaple_linux::procfs::machine::{Machine, ThpMode};
use vmaple_linux::procfs::maps::MapsText;
use vmaple_linux::procfs::pagemap::AnonScan;

use crate::area::{Area, MIB, PAGE, drop_capability};
use crate::child::Child;

fn holds(pid: Pid, start: u64, end: u64) -> bool {
    let scan = AnonScan::open(pid, PAGE as u64)
        .unwrap()
        .holds_anon(start, end)
        .unwrap();
    let entries = AnonScan::open_reading_entries(pid, PAGE as u64).unwrap();
    assert_eq!(
        entries.holds_anon(start, end).unwrap(),
        scan,
        "scan and entries disagree"
    );
    scan
}

fn own(area: &Area) -> bool {
    holds(Pid::this(), area.start(), area.end())
}

fn file_of(len: usize) -> std::fs::File {
    let mut file = tempfile();
    file.write_all(&vec![7; len]).unwrap();
    file
}

/// An unlinked file in the folder of the test binary (a disk, not tmpfs).
pub(crate) fn tempfile() -> std::fs::File {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only uniqueness matters.
    let nr = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("procfs-{}-{nr}", std::process::id()));
    let options = std::fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path);
    std::fs::remove_file(&path).unwrap();
    options.unwrap()
}

#[test]
fn untouched_anonymous_memory_holds_none() {
    assert!(!own(&Area::writable(16 * PAGE)));
}

#[test]
fn the_zero_page_does_not_count() {
    let area = Area::writable(16 * PAGE);
    for page in 0..16 {
        assert_eq!(area.read(page * PAGE), 0);
    }
    assert!(!own(&area));
    area.write(9 * PAGE);
    assert!(own(&area));
}

#[test]
fn the_huge_zero_page_does_not_count() {
    let machine = Machine::read().unwrap();
    if machine.thp.mode == ThpMode::Never || !machine.features.thp {
        return eprintln!("skipped: no transparent huge pages here");
    }
    let area = Area::writable(6 * MIB);
    assert!(area.advise(libc::MADV_HUGEPAGE));
    assert_eq!(area.read(area.aligned_offset()), 0);
    assert!(!own(&area));
}

#[test]
fn a_written_page_counts_wherever_it_lies() {
    for page in [0, 7, 15] {
        let area = Area::writable(16 * PAGE);
        area.write(page * PAGE);
        assert!(own(&area), "page {page}");
        let (start, at) = (area.start(), area.start() + (page * PAGE) as u64);
        assert!(!holds(Pid::this(), start, at), "before page {page}");
        assert!(
            !holds(Pid::this(), at + PAGE as u64, area.end()),
            "after page {page}"
        );
    }
}

#[test]
fn a_huge_page_counts() {
    let machine = Machine::read().unwrap();
    if machine.thp.mode == ThpMode::Never || !machine.features.thp {
        return eprintln!("skipped: no transparent huge pages here");
    }
    let area = Area::writable(6 * MIB);
    assert!(area.advise(libc::MADV_HUGEPAGE));
    area.write(area.aligned_offset() + 5 * PAGE);
    assert!(own(&area));
}

#[test]
fn file_pages_count_only_once_written() {
    let file = file_of(8 * PAGE);
    let area = Area::private_file(8 * PAGE, PROT_READ | PROT_WRITE, &file);
    assert!(!own(&area), "untouched");
    for page in 0..8 {
        assert_eq!(area.read(page * PAGE), 7);
    }
    assert!(!own(&area), "read");
    area.write(3 * PAGE);
    assert!(own(&area), "written");
    area.protect(PROT_READ);
    assert!(own(&area), "written, now read-only");
}

#[test]
fn shared_memory_never_counts() {
    let area = Area::shared_anonymous(4 * PAGE);
    area.write(0);
    assert!(!own(&area));
    let file = file_of(4 * PAGE);
    let area = Area::shared_file(4 * PAGE, PROT_READ | PROT_WRITE, &file);
    area.write(0);
    assert!(!own(&area));
}

#[test]
fn discarded_pages_no_longer_count() {
    let area = Area::writable(8 * PAGE);
    area.write(2 * PAGE);
    assert!(own(&area));
    assert!(area.advise(libc::MADV_DONTNEED));
    assert!(!own(&area));
}

#[test]
fn written_then_inaccessible_counts() {
    let area = Area::writable(8 * PAGE);
    area.write(2 * PAGE);
    area.protect(PROT_NONE);
    assert!(own(&area));
    assert!(!own(&Area::anonymous(8 * PAGE, PROT_NONE)));
}

#[test]
fn guard_markers_do_not_count() {
    const MADV_GUARD_INSTALL: i32 = 102;
    let area = Area::writable(8 * PAGE);
    if !area.advise(MADV_GUARD_INSTALL) {
        return eprintln!("skipped: the kernel has no guard regions");
    }
    assert!(!own(&area));
    assert!(area.advise(103), "MADV_GUARD_REMOVE");
    area.write(PAGE);
    assert!(own(&area));
    assert!(area.advise(MADV_GUARD_INSTALL), "guards replace the pages");
    assert!(!own(&area));
}

#[test]
fn pages_shared_by_fork_count_in_both() {
    let area = Area::writable(8 * PAGE);
    area.write(2 * PAGE);
    area.read(3 * PAGE);
    let child = Child::fork(|| 0);
    assert!(holds(child.pid, area.start(), area.end()));
    assert!(own(&area));
    // A part of a mapping, of zero pages: only a scan can tell without privilege.
    let zero = area.start() + 3 * PAGE as u64;
    let scan = AnonScan::open(child.pid, PAGE as u64).unwrap();
    assert!(!scan.holds_anon(zero, zero + PAGE as u64).unwrap());
}

#[test]
fn pages_shared_by_fork_count_without_privilege() {
    const CAP_SYS_ADMIN: u32 = 21;
    let area = Area::writable(8 * PAGE);
    area.write(2 * PAGE);
    let untouched = Area::anonymous(8 * PAGE, PROT_READ);
    untouched.read(0);
    let _child = Child::fork(|| 0);
    // Frame numbers are hidden from whoever opens the file without the capability.
    let [shared, zero] = [&area, &untouched].map(|area| (area.start(), area.end()));
    let asked = std::thread::spawn(move || {
        drop_capability(CAP_SYS_ADMIN);
        let ask = |(start, end)| holds(Pid::this(), start, end);
        (ask(shared), ask(zero))
    });
    assert_eq!(asked.join().unwrap(), (true, false));
}

#[test]
fn special_mappings_do_not_count() {
    // Reads the clock's page, so that it is there to be found.
    std::hint::black_box(std::time::Instant::now());
    let text = MapsText::of(Pid::this()).unwrap();
    let mut seen = 0;
    for line in text
        .lines()
        .map(Result::unwrap)
        .filter(|line| line.name.starts_with(b"[v"))
    {
        if line.name != b"[vsyscall]" {
            assert!(!holds(Pid::this(), line.start, line.end), "{line}");
            seen += 1;
        }
    }
    assert!(seen > 0, "no [vdso] and no [vvar]");
}

#[test]
fn empty_and_unmapped_ranges_hold_none() {
    let area = Area::writable(8 * PAGE);
    area.write(0);
    assert!(!holds(Pid::this(), area.start(), area.start()));
    let (start, end) = (area.start(), area.end());
    drop(area);
    // Other test threads may have mapped there meanwhile; a hole below 64 KiB stays one.
    assert!(!holds(Pid::this(), 0, 0x1000));
    assert!(end > start);
}

#[test]
fn a_process_that_ended_is_gone() {
    let child = Child::fork(|| 0);
    let scan = AnonScan::open(child.pid, PAGE as u64).unwrap();
    let entries = AnonScan::open_reading_entries(child.pid, PAGE as u64).unwrap();
    let (start, end) = (0x1000, 0x10_0000);
    assert!(!scan.holds_anon(start, end).unwrap());
    assert!(!entries.holds_anon(start, end).unwrap());
    child.kill();
    for ended in [scan, entries] {
        let error = ended.holds_anon(start, end).unwrap_err();
        assert!(error.is_gone(), "{error}");
    }
}
