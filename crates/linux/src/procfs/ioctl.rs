//! The system calls that neither std nor nix wraps: one per function, no decisions.
//!
//! # Safety
//!
//! This is the only file of the readers with `unsafe`. Three kinds of proof recur:
//! - *plain numbers*: the call takes and returns integers, reads and writes no memory of
//!   ours, and changes no mapping of ours;
//! - *one struct*: the kernel reads and writes exactly one `repr(C)` struct of integers that
//!   we borrow mutably for the call and whose size the struct or the request number states;
//! - *own scratch page*: see [`ScratchPage`].
#![expect(unsafe_code, reason = "raw system calls that no safe wrapper offers")]

use std::ffi::c_ulong;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;

use libc::{Ioctl, c_int, c_long};
use nix::errno::Errno;
use nix::unistd::Pid;

/// Request number of `_IOWR('f', nr, T)`.
const fn iowr_f<T>(nr: u8) -> Ioctl {
    // Direction (read and write), size, type, number: the layout of asm-generic.
    let number = (3 << 30) | ((size_of::<T>() as u32) << 16) | ((b'f' as u32) << 8) | nr as u32;
    number as Ioctl
}

/// Categories of a page in a page-map scan (`PAGE_IS_*`).
pub(super) mod page {
    pub(crate) const FILE: u64 = 1 << 2;
    pub(crate) const PRESENT: u64 = 1 << 3;
    pub(crate) const SWAPPED: u64 = 1 << 4;
    pub(crate) const PFNZERO: u64 = 1 << 5;
    /// Since 6.15; earlier kernels answer `EINVAL` to a mask that holds it.
    pub(crate) const GUARD: u64 = 1 << 8;
}

/// `struct page_region`.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct PageRegion {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) categories: u64,
}

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
struct PmScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

const PAGEMAP_SCAN: Ioctl = iowr_f::<PmScanArg>(16);

/// Which pages a scan reports: those where `categories ^ inverted` has all of `all` and at
/// least one of `any`.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageFilter {
    pub(super) inverted: u64,
    pub(super) all: u64,
    pub(super) any: u64,
}

/// `ioctl(PAGEMAP_SCAN)`: the first page of `start..end` that passes `filter`.
pub(super) fn pagemap_scan_first(
    pagemap: BorrowedFd<'_>,
    start: u64,
    end: u64,
    filter: PageFilter,
) -> Result<Option<PageRegion>, Errno> {
    let mut region = PageRegion::default();
    let mut arg = PmScanArg {
        size: size_of::<PmScanArg>() as u64,
        start,
        end,
        vec: (&raw mut region).expose_provenance() as u64,
        vec_len: 1,
        max_pages: 1,
        category_inverted: filter.inverted,
        category_mask: filter.all,
        category_anyof_mask: filter.any,
        return_mask: filter.inverted | filter.any,
        ..PmScanArg::default()
    };
    // SAFETY: one struct: `arg` is the `pm_scan_arg` of the size it states. Through `vec` the
    // kernel writes at most `vec_len` = 1 `page_region`, and `region` is one, alive and not
    // otherwise borrowed during the call. `flags` is 0, so no page is write-protected.
    let found = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) };
    Ok((Errno::result(found)? > 0).then_some(region))
}

/// `struct procmap_query`.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ProcmapQuery {
    size: u64,
    query_flags: u64,
    query_addr: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) flags: u64,
    pub(super) page_size: u64,
    pub(super) offset: u64,
    pub(super) inode: u64,
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) name_size: u32,
    pub(super) build_id_size: u32,
    name_addr: u64,
    build_id_addr: u64,
}

const PROCMAP_QUERY: Ioctl = iowr_f::<ProcmapQuery>(17);

/// `ioctl(PROCMAP_QUERY)`: the mapping at `addr` or, with the flag
/// `PROCMAP_QUERY_COVERING_OR_NEXT_VMA` in `query_flags`, after it. The name, with a final
/// NUL that `name_size` counts, goes to `name`, the build id to `build_id`; what has an empty
/// buffer is not asked for.
pub(super) fn procmap_query(
    maps: BorrowedFd<'_>,
    addr: u64,
    query_flags: u64,
    name: &mut [u8],
    build_id: &mut [u8],
) -> Result<ProcmapQuery, Errno> {
    let place = |buffer: &mut [u8]| match buffer.len() {
        0 => (0, 0),
        len => (
            u32::try_from(len).unwrap_or(u32::MAX),
            buffer.as_mut_ptr().expose_provenance() as u64,
        ),
    };
    let (name_size, name_addr) = place(name);
    let (build_id_size, build_id_addr) = place(build_id);
    let mut query = ProcmapQuery {
        size: size_of::<ProcmapQuery>() as u64,
        query_flags,
        query_addr: addr,
        name_size,
        name_addr,
        build_id_size,
        build_id_addr,
        ..ProcmapQuery::default()
    };
    // SAFETY: one struct: `query` is the `procmap_query` of the size it states. Through
    // `name_addr` the kernel writes at most `name_size` bytes, which is at most the length of
    // `name`, and through `build_id_addr` at most `build_id_size`, which is at most the length
    // of `build_id`; both are borrowed mutably for the call.
    let done = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY, &raw mut query) };
    Errno::result(done)?;
    Ok(query)
}

/// Takes a descriptor number that a system call has just created.
fn own(fd: c_long) -> Result<OwnedFd, Errno> {
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: every caller passes the result of a call that opened this descriptor for us, so
    // it is open and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `pidfd_open`; `thread` asks for the thread itself and not its group's leader (Linux 6.9).
pub(super) fn pidfd_open(pid: Pid, thread: bool) -> Result<OwnedFd, Errno> {
    // `PIDFD_THREAD` is `O_EXCL`.
    let flags = if thread { libc::O_EXCL } else { 0 };
    // SAFETY: plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), flags) };
    own(fd)
}

/// `pidfd_getfd`: a duplicate of descriptor `target` of the process behind `pidfd`, close on
/// exec.
pub(super) fn pidfd_getfd(pidfd: BorrowedFd<'_>, target: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: plain numbers; the descriptor it creates is ours alone.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), target, 0) };
    own(fd)
}

/// `fcntl(F_DUPFD_QUERY)`, Linux 6.10: whether both descriptors are the same open file
/// description. `EINVAL` on older kernels.
pub(super) fn dupfd_query(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool, Errno> {
    const F_DUPFD_QUERY: c_int = 1027;
    // SAFETY: plain numbers.
    let same = unsafe { libc::fcntl(one.as_raw_fd(), F_DUPFD_QUERY, other.as_raw_fd()) };
    Ok(Errno::result(same)? == 1)
}

/// `kcmp(KCMP_FILE)` on two descriptors of ours: whether they are the same open file
/// description. `ENOSYS` where the kernel is built without it.
pub(super) fn kcmp_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool, Errno> {
    const KCMP_FILE: c_int = 0;
    let own = Pid::this().as_raw();
    let (one, other) = (one.as_raw_fd(), other.as_raw_fd());
    // SAFETY: plain numbers.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one, other) };
    Ok(Errno::result(order)? == 0)
}

/// `statx` of an open descriptor (also one opened with `O_PATH`).
pub(super) fn statx(fd: BorrowedFd<'_>) -> Result<libc::statx, Errno> {
    // SAFETY: `libc::statx` consists of integers, for which all-zero bytes are a value.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    let (flags, mask) = (libc::AT_EMPTY_PATH, libc::STATX_BASIC_STATS);
    // SAFETY: one struct: the kernel fills one `statx`, borrowed mutably for the call; the
    // path is a string literal that ends with NUL.
    let done = unsafe { libc::statx(fd.as_raw_fd(), c"".as_ptr(), flags, mask, &raw mut found) };
    Errno::result(done)?;
    Ok(found)
}

/// `prlimit` of another process: its soft and hard limit, nothing changed.
pub(super) fn prlimit_get(pid: Pid, resource: c_int) -> Result<(u64, u64), Errno> {
    let mut limit = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let none: *const libc::rlimit64 = std::ptr::null();
    // SAFETY: one struct: no new limit is given (null), the old one is written to `limit`,
    // which has the layout of `rlimit64` and is borrowed mutably for the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid.as_raw(),
            resource,
            none,
            &raw mut limit,
        )
    };
    Errno::result(done)?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// `mseal(0, 0, 0)`: succeeds, and seals nothing, where the call exists.
pub(super) fn mseal_nothing() -> Result<(), Errno> {
    // The same number on every architecture since the call was added in 6.10.
    const SYS_MSEAL: c_long = 462;
    // SAFETY: plain numbers; an empty range seals nothing.
    let done = unsafe { libc::syscall(SYS_MSEAL, 0_usize, 0_usize, 0_usize) };
    Errno::result(done).map(drop)
}

/// Allocates a protection key and frees it again.
pub(super) fn pkey_alloc_and_free() -> Result<(), Errno> {
    // SAFETY: plain numbers; a fresh key marks no memory.
    let key = unsafe { libc::syscall(libc::SYS_pkey_alloc, 0_usize, 0_usize) };
    let key = Errno::result(key)?;
    // SAFETY: plain numbers; the key is the one just allocated and marks no memory.
    let freed = unsafe { libc::syscall(libc::SYS_pkey_free, key) };
    Errno::result(freed).map(drop)
}

/// `userfaultfd` opened for user-mode faults and closed again.
pub(super) fn userfaultfd_open() -> Result<OwnedFd, Errno> {
    const UFFD_USER_MODE_ONLY: c_int = 1;
    let flags = libc::O_CLOEXEC | UFFD_USER_MODE_ONLY;
    // SAFETY: plain numbers; the descriptor it creates is ours alone.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
    own(fd)
}

/// One page mapped in our own address space for a probe, unmapped when dropped.
///
/// # Invariants
/// `start` is the beginning of a mapping of `len` bytes that this value created and alone
/// knows; no Rust reference into it is ever made.
#[derive(Debug)]
pub(super) struct ScratchPage {
    start: NonNull<libc::c_void>,
    len: usize,
}

impl ScratchPage {
    /// A private anonymous page, readable and writable.
    pub(super) fn anonymous(len: usize) -> Result<ScratchPage, Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        ScratchPage::map(len, libc::PROT_READ | libc::PROT_WRITE, flags, -1)
    }

    /// The first page of `file`, private and inaccessible: no page of it is ever read.
    pub(super) fn of_file(len: usize, file: BorrowedFd<'_>) -> Result<ScratchPage, Errno> {
        ScratchPage::map(len, libc::PROT_NONE, libc::MAP_PRIVATE, file.as_raw_fd())
    }

    fn map(len: usize, prot: c_int, flags: c_int, fd: RawFd) -> Result<ScratchPage, Errno> {
        // SAFETY: no address is asked for and `MAP_FIXED` is never among the flags, so the
        // kernel picks a range that nothing of ours occupies.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        // INVARIANT: just created by us; nobody else knows the address.
        let start = NonNull::new(start).ok_or(Errno::ENOMEM)?;
        Ok(ScratchPage { start, len })
    }

    /// Its first address.
    pub(super) fn address(&self) -> u64 {
        self.start.as_ptr().expose_provenance() as u64
    }

    /// `madvise` on the page.
    pub(super) fn advise(&self, advice: c_int) -> Result<(), Errno> {
        // SAFETY: by the type's invariants the range is ours and no reference points into it,
        // so whatever the advice does to its contents disturbs nobody.
        let done = unsafe { libc::madvise(self.start.as_ptr(), self.len, advice) };
        Errno::result(done).map(drop)
    }

    /// `prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME)` on the page.
    pub(super) fn set_anon_name(&self, name: &std::ffi::CStr) -> Result<(), Errno> {
        const PR_SET_VMA: c_int = 0x5356_4d41;
        const PR_SET_VMA_ANON_NAME: c_ulong = 0;
        let (start, len) = (self.start.as_ptr(), self.len as c_ulong);
        // SAFETY: by the type's invariants the range is ours; naming changes no contents; the
        // kernel copies the name, which ends with NUL, during the call.
        let done =
            unsafe { libc::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, len, name.as_ptr()) };
        Errno::result(done).map(drop)
    }
}

impl Drop for ScratchPage {
    fn drop(&mut self) {
        // SAFETY: by the type's invariants exactly this range is ours and nothing points into
        // it.
        let done = unsafe { libc::munmap(self.start.as_ptr(), self.len) };
        debug_assert_eq!(done, 0, "unmapping our own page succeeds");
    }
}
