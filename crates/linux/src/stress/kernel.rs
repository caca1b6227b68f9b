//! The load by system calls on the running kernel, in a part of this process's own memory.
//!
//! # Safety
//!
//! All calls concern a region that [`Reserved`] owns: nothing else is ever there.
#![expect(unsafe_code, reason = "maps, protects and touches memory of its own")]

use super::checker::Checker;
use super::crew::{self, Crew, End};
use super::outcome::{Share, Watch};
use super::region::{Dice, PAGE, Region, Step};
use super::{Load, Locking, Outcome, StressError};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::ptr;

/// What a reader gets at once.
const CHUNK: usize = 4096;

/// Addresses that were free and are ours until dropped.
struct Reserved(Region);

fn failed(what: &'static str) -> StressError {
    StressError::System {
        what,
        cause: io::Error::last_os_error(),
    }
}

fn map(addr: u64, prot: i32) -> Result<(), StressError> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: A page of the region, which is ours.
    let at = unsafe { libc::mmap(addr as *mut _, PAGE as usize, prot, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(failed("map a page"));
    }
    Ok(())
}

fn unmap(addr: u64, len: u64) -> Result<(), StressError> {
    // SAFETY: Pages of the region, which is ours.
    let result = unsafe { libc::munmap(addr as *mut _, len as usize) };
    if result != 0 {
        return Err(failed("unmap a page"));
    }
    Ok(())
}

fn protect(addr: u64, prot: i32) -> Result<(), StressError> {
    // SAFETY: A page of the region, which is ours.
    let result = unsafe { libc::mprotect(addr as *mut _, PAGE as usize, prot) };
    if result != 0 {
        return Err(failed("protect a page"));
    }
    Ok(())
}

impl Reserved {
    fn new(vmas: u64) -> Result<Self, StressError> {
        let len = 2 * vmas * PAGE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: The kernel chooses free addresses.
        let at = unsafe { libc::mmap(ptr::null_mut(), len as usize, 0, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(failed("reserve the region"));
        }
        let base = at as u64;
        let reserved = Reserved(Region { base, vmas });
        unmap(base, len)?;
        for slot in 0..vmas {
            map(
                reserved.0.addr(2 * slot),
                libc::PROT_READ | libc::PROT_WRITE,
            )?;
        }
        Ok(reserved)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let range = self.0.addresses();
        // What cannot be given back stays with the process, which ends soon.
        let _ = unmap(range.start, range.end - range.start);
    }
}

struct Calls {
    reserved: Reserved,
    mappers: u64,
}

pub(super) fn run(load: &Load) -> Result<Outcome, StressError> {
    let calls = Calls {
        reserved: Reserved::new(load.vmas)?,
        mappers: load.mappers as u64,
    };
    crew::run(&calls, Locking::Kernel, load)
}

impl Crew for Calls {
    fn map(&self, me: usize, end: &End) -> Result<Watch, StressError> {
        let region = &self.reserved.0;
        let mut watch = Watch::new();
        let mut dice = Dice::new(me as u64 + 1);
        let mut is_mapped = vec![false; usize::try_from(region.vmas).unwrap_or(usize::MAX)];
        while !end.is_near() {
            match dice.step(region, me as u64, self.mappers) {
                Step::Toggle(page) => {
                    let Some(now) = is_mapped.get_mut((page / 2) as usize) else {
                        continue;
                    };
                    let addr = region.addr(page);
                    watch.time(|| {
                        if *now {
                            unmap(addr, PAGE)
                        } else {
                            map(addr, libc::PROT_READ)
                        }
                    })?;
                    *now = !*now;
                }
                Step::Protect(page) => {
                    let addr = region.addr(page);
                    watch.time(|| protect(addr, libc::PROT_READ))?;
                    watch.time(|| protect(addr, libc::PROT_READ | libc::PROT_WRITE))?;
                }
            }
        }
        Ok(watch)
    }

    fn fault(&self, me: usize, end: &End) -> Result<Watch, StressError> {
        let region = &self.reserved.0;
        let mut watch = Watch::new();
        let mut dice = Dice::new(me as u64 + 101);
        while !end.is_near() {
            let at = region.addr(2 * dice.below(region.vmas)) as *mut u8;
            // SAFETY: A page that is always mapped and holds nothing.
            let result = unsafe { libc::madvise(at.cast(), PAGE as usize, libc::MADV_DONTNEED) };
            if result != 0 {
                return Err(failed("empty a page"));
            }
            // SAFETY: A page that is always mapped and readable.
            watch.time(|| unsafe { at.read_volatile() });
        }
        Ok(watch)
    }

    fn read(&self, _: usize, end: &End) -> Result<Share, StressError> {
        let cannot = |cause| StressError::System {
            what: "read /proc/self/maps",
            cause,
        };
        let mut maps = File::open("/proc/self/maps").map_err(cannot)?;
        let mut watch = Watch::new();
        let mut checker = Checker::new(self.reserved.0.addresses(), 2 * PAGE, PAGE);
        let mut buf = vec![0; CHUNK];
        while !end.is_near() {
            watch
                .time(|| {
                    maps.rewind()?;
                    loop {
                        let len = maps.read(&mut buf)?;
                        if len == 0 {
                            return Ok::<(), io::Error>(());
                        }
                        checker.feed(buf.get(..len).unwrap_or_default());
                    }
                })
                .map_err(cannot)?;
            checker.end_of_text();
        }
        Ok(Share {
            watch,
            nr_lines: checker.nr_lines(),
            violations: checker.violations(),
        })
    }
}
