//! Does a range of another process hold at least one anonymous page?
//!
//! A mapping that was never written has no `anon_vma`, and merges with neighbours that one
//! with an `anon_vma` would not merge with. The kernel does not show that pointer, but it
//! shows the pages: a private mapping that holds an anonymous page has one.
//!
//! # What counts
//!
//! | Page table entry | Counts |
//! |---|---|
//! | nothing there | no |
//! | zero page (small or huge), read but never written | no |
//! | page of a file or of shared memory | no |
//! | page written in a private mapping, also if fork shares it, also if it is `PROT_NONE` now | yes |
//! | such a page swapped out or under migration | yes |
//! | guard marker, write-protection marker | no |
//! | memory without page descriptors mapped between ordinary pages (DAX) | no |
//! | anything in a mapping with the flag `pf` (`[vvar]`, device memory) | no: the kernel does not look, and such mappings never merge |
//!
//! # How
//!
//! `PAGEMAP_SCAN` (Linux 6.7) walks the page tables in the kernel and stops at the first page
//! that passes a filter. The filter cannot tell DAX memory, swapped pages and markers apart
//! in every kernel, so a hit is confirmed by its page-map entry: bit 56 (mapped once) is only
//! ever set for a page with a descriptor. Where it is clear (a page that fork shares), the
//! frame's flags decide if they are visible (`CAP_SYS_ADMIN`), and else the counts in smaps,
//! which are exact for whole mappings. Older kernels: every page-map entry of the range is
//! read and judged by the same rule.

use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::unistd::Pid;
use vmaple::AddrRange;

use super::ioctl::{self, PageFilter, page};
use super::{Error, smaps, text};

/// Which question the kernel understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// `PAGEMAP_SCAN` with the guard category (6.15).
    ScanWithGuards,
    /// `PAGEMAP_SCAN` without it (6.7).
    Scan,
    /// Reading entries.
    Entries,
}

/// Looks for anonymous pages in one address space; keeps /proc/TID/pagemap open.
///
/// Bound to the address space that the task had when it was opened.
#[derive(Debug)]
pub struct AnonScan {
    pid: Pid,
    pagemap: File,
    page_size: u64,
    method: Cell<Method>,
    /// /proc/kpageflags, if it may be read; opened at the first doubtful page.
    frame_flags: OnceCell<Option<File>>,
}

impl AnonScan {
    /// Opens /proc/TID/pagemap. `page_size` in bytes, see
    /// [`Machine::page_size`](super::machine::Machine::page_size).
    ///
    /// # Errors
    /// [`Error::Gone`], [`Error::Denied`].
    pub fn open(pid: Pid, page_size: u64) -> Result<AnonScan, Error> {
        Ok(AnonScan {
            pid,
            pagemap: text::open(pid, "pagemap")?,
            page_size,
            method: Cell::new(Method::ScanWithGuards),
            frame_flags: OnceCell::new(),
        })
    }

    /// The same, but reading entries even if the kernel can scan: for tests of the fallback.
    ///
    /// # Errors
    /// As [`AnonScan::open`].
    #[doc(hidden)]
    pub fn open_reading_entries(pid: Pid, page_size: u64) -> Result<AnonScan, Error> {
        let scan = AnonScan::open(pid, page_size)?;
        scan.method.set(Method::Entries);
        Ok(scan)
    }

    /// Whether `start..end` (bytes, page aligned, `end` exclusive) holds an anonymous page.
    /// Unmapped parts hold none.
    ///
    /// Cost: about 1 µs; the walk stops at the first hit (then 2 µs, and 3 µs without page
    /// tables before it). Ranges without page tables are skipped 2 MiB and more at a time:
    /// 1 GiB of untouched reservation costs 1 to 6 µs. Resident file pages and zero pages are
    /// looked at one by one, 15 to 25 ns each (2 MiB: 12 µs): a private file mapping that was
    /// never writable holds no anonymous page, so better not ask about it.
    ///
    /// Exact for ranges that consist of whole mappings. For part of a mapping it may say
    /// "yes" because of a page in the mapping's other part, only where the page found was
    /// doubtful (see the head of this file).
    ///
    /// # Errors
    /// [`Error::Gone`] if the address space has ended.
    pub fn holds_anon(&self, start: u64, end: u64) -> Result<bool, Error> {
        if start >= end {
            return Ok(false);
        }
        match self.method.get() {
            Method::ScanWithGuards => self.by_scan(start, end, page::GUARD),
            Method::Scan => self.by_scan(start, end, 0),
            Method::Entries => self.by_entries(start, end),
        }
    }

    /// The guard pages (MADV_GUARD_INSTALL) of `start..end`, ascending, as ranges in bytes.
    ///
    /// Cost: one call for each run of guards, about 1 µs, and 15 to 25 ns for each page between
    /// them. Kernels without the guard category (before 6.15) have none to tell.
    ///
    /// # Errors
    /// [`Error::Gone`] if the address space has ended.
    pub fn guards(&self, start: u64, end: u64) -> Result<Vec<AddrRange>, Error> {
        let filter = PageFilter {
            inverted: 0,
            all: 0,
            any: page::GUARD,
        };
        let mut found: Vec<AddrRange> = Vec::new();
        let mut at = start;
        while at < end {
            match ioctl::pagemap_scan_first(self.pagemap.as_fd(), at, end, filter) {
                Ok(None) | Err(Errno::EINVAL | Errno::ENOTTY) => break,
                Ok(Some(hit)) => {
                    match found.last_mut() {
                        Some(last) if last.end == hit.start => last.end = hit.end,
                        _ => found.push(AddrRange::new(hit.start, hit.end)),
                    }
                    at = hit.end;
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::of_errno(self.pid, "pagemap", errno)),
            }
        }
        if found.is_empty() {
            self.none_if_alive()?;
        }
        Ok(found)
    }

    fn by_scan(&self, start: u64, end: u64, guard: u64) -> Result<bool, Error> {
        let none_of = page::FILE | page::PFNZERO | guard;
        let any = page::PRESENT | page::SWAPPED;
        let filter = PageFilter {
            inverted: none_of,
            all: none_of,
            any,
        };
        loop {
            let found = ioctl::pagemap_scan_first(self.pagemap.as_fd(), start, end, filter);
            return match found {
                Ok(None) => self.none_if_alive(),
                Ok(Some(hit)) => self.confirm(hit.start, hit.categories, start, end),
                Err(Errno::EINTR) => continue,
                Err(Errno::EINVAL | Errno::ENOTTY) => self.with_older_method(start, end),
                Err(errno) => Err(Error::of_errno(self.pid, "pagemap", errno)),
            };
        }
    }

    /// "No anonymous page", unless there are no pages at all any more: an address space that
    /// has ended looks empty to a scan.
    ///
    /// A read that is not aligned to entries is refused, but only after the kernel has
    /// found that the address space lives; else it gives the end of the file.
    fn none_if_alive(&self) -> Result<bool, Error> {
        match self.pagemap.read_at(&mut [0; 1], 1) {
            Ok(0) => Err(Error::Gone {
                pid: self.pid,
                what: "pagemap",
            }),
            Ok(_) | Err(_) => Ok(false),
        }
    }

    /// The kernel did not know the question: remembers the next older one and asks that.
    fn with_older_method(&self, start: u64, end: u64) -> Result<bool, Error> {
        self.method.set(match self.method.get() {
            Method::ScanWithGuards => Method::Scan,
            Method::Scan | Method::Entries => Method::Entries,
        });
        self.holds_anon(start, end)
    }

    /// Judges the page at `hit` that passed the filter, first of `start..end` to do so.
    fn confirm(&self, hit: u64, categories: u64, start: u64, end: u64) -> Result<bool, Error> {
        if categories & page::PRESENT != 0 {
            let mut entry = [0; 8];
            let at = hit / self.page_size * 8;
            let read = self.pagemap.read_exact_at(&mut entry, at);
            read.map_err(|source| Error::of(self.pid, "pagemap", source))?;
            match self.judge(Entry(u64::from_ne_bytes(entry))) {
                Verdict::Anonymous => return Ok(true),
                Verdict::NotAnonymous | Verdict::Doubtful => {}
            }
        }
        self.by_smaps(start, end)
    }

    /// Whether smaps counts an anonymous or swapped page in a mapping that overlaps.
    fn by_smaps(&self, start: u64, end: u64) -> Result<bool, Error> {
        let mappings = smaps::vm_flags_at(self.pid, start, end)?;
        Ok(mappings.iter().any(smaps::MappingFlags::holds_anonymous))
    }

    fn by_entries(&self, start: u64, end: u64) -> Result<bool, Error> {
        let mut buffer = vec![0_u8; 64 * 1024];
        let mut at = start / self.page_size * 8;
        let last = end.div_ceil(self.page_size) * 8;
        while at < last {
            let wanted = usize::try_from(last - at).map_or(buffer.len(), |n| n.min(buffer.len()));
            let count = match self.pagemap.read_at(&mut buffer[..wanted], at) {
                Ok(0) => return self.none_if_alive(),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::of(self.pid, "pagemap", source)),
            };
            for entry in buffer[..count]
                .chunks_exact(8)
                .filter_map(|raw| raw.try_into().ok())
            {
                match self.judge(Entry(u64::from_ne_bytes(entry))) {
                    Verdict::NotAnonymous => {}
                    Verdict::Anonymous => return Ok(true),
                    Verdict::Doubtful => return self.by_smaps(start, end),
                }
            }
            at += count as u64;
        }
        self.none_if_alive()
    }

    fn judge(&self, entry: Entry) -> Verdict {
        if entry.is_guard() || entry.is_file_or_shared() {
            Verdict::NotAnonymous
        } else if entry.is_swapped() {
            // A swapped page, a page under migration, or a marker: alike in the entry.
            Verdict::Doubtful
        } else if !entry.is_present() {
            Verdict::NotAnonymous
        } else if entry.is_mapped_once() {
            Verdict::Anonymous
        } else {
            self.judge_frame(entry.frame())
        }
    }

    /// A present page of no file, mapped more than once or without page descriptor: zero
    /// page, page shared by fork, same-page merging, or special memory.
    fn judge_frame(&self, frame: u64) -> Verdict {
        /// Frame flag: anonymous page.
        const ANON: u64 = 1 << 12;
        if frame == 0 {
            return Verdict::Doubtful;
        }
        let flags = self
            .frame_flags
            .get_or_init(|| File::open("/proc/kpageflags").ok());
        let Some(flags) = flags else {
            return Verdict::Doubtful;
        };
        let mut raw = [0; 8];
        match flags.read_exact_at(&mut raw, frame * 8) {
            Ok(()) if u64::from_ne_bytes(raw) & ANON != 0 => Verdict::Anonymous,
            Ok(()) => Verdict::NotAnonymous,
            Err(_) => Verdict::Doubtful,
        }
    }
}

/// What an entry proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Anonymous,
    NotAnonymous,
    Doubtful,
}

/// One 64-bit entry of /proc/TID/pagemap.
#[derive(Debug, Clone, Copy)]
struct Entry(u64);

impl Entry {
    fn has(self, bit: u32) -> bool {
        self.0 & (1 << bit) != 0
    }

    fn is_present(self) -> bool {
        self.has(63)
    }

    fn is_swapped(self) -> bool {
        self.has(62)
    }

    fn is_file_or_shared(self) -> bool {
        self.has(61)
    }

    fn is_guard(self) -> bool {
        self.has(58)
    }

    /// Only ever set for pages with a descriptor that are mapped at one place.
    fn is_mapped_once(self) -> bool {
        self.has(56)
    }

    /// Frame number; 0 where it is hidden from us.
    fn frame(self) -> u64 {
        self.0 & ((1 << 55) - 1)
    }
}
