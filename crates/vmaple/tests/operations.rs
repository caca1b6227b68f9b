//! The hooks of a driver, beside a driver of the running kernel that counts its VMAs: System V
//! shared memory shows how often it was opened and closed as the number of attachments.
//!
//! # Safety
//!
//! The region from BASE on is free in this process; only the one test that makes calls uses it.
#![expect(unsafe_code, reason = "makes the calls on the running kernel")]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use vmaple::{
    AddrRange, Device, Errno, FileAccess, FileId, FileKind, FileRef, MappedFile, Mm, MmConfig,
    MmapArgs, Vma, VmaOperations,
};

const PAGE: u64 = 4096;
const BASE: u64 = 0x7000_0000_0000;
const SIZE: u64 = 16 * PAGE;
const READ: u64 = 1;
const READ_WRITE: u64 = 3;
const SHARED: u64 = 1;
const FIXED: u64 = 0x10;
const MAYMOVE_FIXED: u64 = 3;

/// A segment that counts its VMAs, and objects as it is told to.
#[derive(Debug, Default)]
struct Segment {
    nr_attached: AtomicI64,
    whole_pages: u64,
    is_fixed: bool,
}

impl VmaOperations for Segment {
    fn open(&self, _: &Vma) {
        self.nr_attached.fetch_add(1, Ordering::Relaxed);
    }

    fn close(&self, _: &Vma) {
        self.nr_attached.fetch_sub(1, Ordering::Relaxed);
    }

    fn has_close(&self) -> bool {
        true
    }

    fn may_split(&self, vma: &Vma, addr: u64) -> Result<(), Errno> {
        let is_whole =
            self.whole_pages == 0 || (addr - vma.start).is_multiple_of(self.whole_pages * PAGE);
        if is_whole { Ok(()) } else { Err(Errno::EINVAL) }
    }

    fn mremap(&self, _: &Vma) -> Result<(), Errno> {
        if self.is_fixed {
            Err(Errno::EPERM)
        } else {
            Ok(())
        }
    }
}

impl MappedFile for Segment {
    fn identity(&self) -> FileId {
        FileId(1)
    }
    fn device(&self) -> Device {
        Device::default()
    }
    fn inode(&self) -> u64 {
        1
    }
    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str("/segment")
    }
    fn access(&self) -> FileAccess {
        FileAccess::READ_WRITE
    }
    fn kind(&self) -> FileKind {
        FileKind::SystemV
    }
    fn len_hint(&self) -> Option<u64> {
        Some(SIZE)
    }
    fn operations(&self) -> Option<&dyn VmaOperations> {
        Some(self)
    }
}

/// A segment of the kernel's, removed at the end.
struct KernelSegment(libc::c_int);

impl KernelSegment {
    /// None where the kernel has no System V shared memory.
    fn new() -> Option<Self> {
        // SAFETY: Makes a segment; no memory of this process is concerned.
        let id = unsafe { libc::shmget(libc::IPC_PRIVATE, SIZE as usize, 0o600) };
        (id >= 0).then_some(Self(id))
    }

    fn nr_attached(&self) -> i64 {
        // SAFETY: All zeroes is a value of this plain structure.
        let mut state: libc::shmid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: Writes the state of a segment of ours into `state`.
        let result = unsafe { libc::shmctl(self.0, libc::IPC_STAT, &raw mut state) };
        assert_eq!(result, 0);
        i64::try_from(state.shm_nattch).expect("a small number")
    }
}

impl Drop for KernelSegment {
    fn drop(&mut self) {
        // SAFETY: Marks our own segment for removal.
        unsafe { libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

/// One call on both sides; both succeed.
#[derive(Clone, Copy, Debug)]
enum Call {
    Unmap(u64, u64),
    Protect(u64, u64, u64),
    Move { from: u64, len: u64, to: u64 },
    MapOver(u64, u64),
}

fn pointer(page: u64) -> *mut libc::c_void {
    (BASE + page * PAGE) as *mut libc::c_void
}

fn make_real(call: Call) {
    let at = |page: u64| BASE + page * PAGE;
    let private_anonymous_fixed = 0x32;
    let (number, arguments) = match call {
        Call::Unmap(page, pages) => (libc::SYS_munmap, [at(page), pages * PAGE, 0, 0, 0]),
        Call::Protect(page, pages, prot) => {
            (libc::SYS_mprotect, [at(page), pages * PAGE, prot, 0, 0])
        }
        Call::Move { from, len, to } => (
            libc::SYS_mremap,
            [at(from), len * PAGE, len * PAGE, MAYMOVE_FIXED, at(to)],
        ),
        Call::MapOver(page, pages) => (
            libc::SYS_mmap,
            [
                at(page),
                pages * PAGE,
                READ,
                private_anonymous_fixed,
                u64::MAX,
            ],
        ),
    };
    let [one, two, three, four, five] = arguments;
    // SAFETY: All calls concern the region at BASE, which is free but for what this test maps.
    let result = unsafe { libc::syscall(number, one, two, three, four, five, 0) };
    assert_ne!(result, -1, "{call:?}: {}", std::io::Error::last_os_error());
}

fn make_modelled(mm: &mut Mm, call: Call) {
    let at = |page: u64| BASE + page * PAGE;
    let result = match call {
        Call::Unmap(page, pages) => mm.munmap(at(page), pages * PAGE),
        Call::Protect(page, pages, prot) => mm.mprotect(at(page), pages * PAGE, prot),
        Call::Move { from, len, to } => mm
            .mremap(at(from), len * PAGE, len * PAGE, MAYMOVE_FIXED, at(to))
            .map(|_| ()),
        Call::MapOver(page, pages) => mm
            .mmap(&MmapArgs::anonymous(at(page), pages * PAGE, READ, 0x32))
            .map(|_| ()),
    };
    assert_eq!(result, Ok(()), "{call:?}");
}

#[test]
fn counts_are_those_of_a_real_driver() {
    let Some(kernel) = KernelSegment::new() else {
        eprintln!("skipped: no System V shared memory here");
        return;
    };
    // SAFETY: Maps a segment of ours at a free place.
    let attached = unsafe { libc::shmat(kernel.0, pointer(0), 0) };
    assert_eq!(attached, pointer(0));
    let segment = Arc::new(Segment::default());
    let mut mm = Mm::new(MmConfig::x86_64());
    assert_eq!(mm.shmat(segment.clone(), SIZE, BASE, 0), Ok(BASE));
    // An attachment counts from its mmap on.
    segment.nr_attached.fetch_add(1, Ordering::Relaxed);
    let calls = [
        Call::Protect(2, 3, READ),
        Call::Protect(2, 3, READ_WRITE),
        Call::Unmap(8, 1),
        Call::Protect(4, 4, READ),
        Call::Move {
            from: 0,
            len: 2,
            to: 100,
        },
        Call::Move {
            from: 10,
            len: 6,
            to: 110,
        },
        Call::Protect(111, 1, READ),
        Call::MapOver(112, 2),
        Call::Unmap(100, 1),
        Call::Unmap(0, 16),
        Call::Unmap(100, 20),
    ];
    for call in calls {
        make_real(call);
        make_modelled(&mut mm, call);
        let ours = segment.nr_attached.load(Ordering::Relaxed);
        assert_eq!(ours, kernel.nr_attached(), "after {call:?}");
    }
    assert_eq!(kernel.nr_attached(), 0);
}

fn with(segment: Segment) -> (Mm, Arc<Segment>) {
    let segment = Arc::new(segment);
    let mut mm = Mm::new(MmConfig::x86_64());
    let file: FileRef = segment.clone();
    let args = MmapArgs::file(BASE, SIZE, READ_WRITE, SHARED | FIXED, file, 0);
    assert_eq!(mm.mmap(&args), Ok(BASE));
    segment.nr_attached.fetch_add(1, Ordering::Relaxed);
    (mm, segment)
}

#[test]
fn a_driver_keeps_its_mapping_whole() {
    let (mut mm, segment) = with(Segment {
        whole_pages: 4,
        ..Segment::default()
    });
    assert_eq!(mm.munmap(BASE + PAGE, PAGE), Err(Errno::EINVAL.into()));
    assert_eq!(
        mm.mprotect(BASE + PAGE, PAGE, READ),
        Err(Errno::EINVAL.into())
    );
    assert_eq!(
        (mm.len(), segment.nr_attached.load(Ordering::Relaxed)),
        (1, 1)
    );
    assert_eq!(mm.munmap(BASE + 4 * PAGE, 4 * PAGE), Ok(()));
    assert_eq!(segment.nr_attached.load(Ordering::Relaxed), 2);
}

#[test]
fn a_refused_move_leaves_the_source() {
    let (mut mm, segment) = with(Segment {
        is_fixed: true,
        ..Segment::default()
    });
    let there = BASE + (1 << 30);
    let moved = mm.mremap(BASE, SIZE, SIZE, MAYMOVE_FIXED, there);
    assert_eq!(moved, Err(Errno::EPERM.into()));
    let whole: Vec<AddrRange> = mm.iter().map(Vma::range).collect();
    assert_eq!(whole, [AddrRange::new(BASE, BASE + SIZE)]);
    assert_eq!(segment.nr_attached.load(Ordering::Relaxed), 1);
}

#[test]
fn fork_opens_and_exit_closes() {
    let (mut mm, segment) = with(Segment::default());
    let mut child = mm.fork().expect("memory");
    assert_eq!(segment.nr_attached.load(Ordering::Relaxed), 2);
    child.exit().expect("memory");
    mm.exit().expect("memory");
    assert_eq!((mm.len(), child.len()), (0, 0));
    assert_eq!(segment.nr_attached.load(Ordering::Relaxed), 0);
}
