//! Mappings of the test's own, touched page by page.
#![expect(
    unsafe_code,
    reason = "tests make the mappings that the readers look at"
)]

use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;

pub(crate) const PAGE: usize = 4096;
pub(crate) const MIB: usize = 1 << 20;

/// A mapping that nothing else refers to; unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Area {
    mapped: NonNull<u8>,
    /// Bytes before and after that are mapped too, inaccessible.
    margin: usize,
    len: usize,
}

impl Area {
    pub(crate) fn anonymous(len: usize, prot: i32) -> Area {
        Area::map(len, prot, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    /// Private, anonymous, with an inaccessible page on either side: a mapping of its own,
    /// which merges with no other test's.
    pub(crate) fn writable(len: usize) -> Area {
        let mut area = Area::anonymous(len + 2 * PAGE, libc::PROT_NONE);
        area.protect_part(PAGE, len, libc::PROT_READ | libc::PROT_WRITE);
        area.margin = PAGE;
        area.len = len;
        area
    }

    pub(crate) fn shared_anonymous(len: usize) -> Area {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        Area::map(len, prot, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)
    }

    pub(crate) fn private_file(len: usize, prot: i32, file: &impl AsRawFd) -> Area {
        Area::map(len, prot, libc::MAP_PRIVATE, file.as_raw_fd())
    }

    pub(crate) fn shared_file(len: usize, prot: i32, file: &impl AsRawFd) -> Area {
        Area::map(len, prot, libc::MAP_SHARED, file.as_raw_fd())
    }

    pub(crate) fn map(len: usize, prot: i32, flags: i32, fd: RawFd) -> Area {
        // SAFETY: no address is asked for and no caller passes `MAP_FIXED`.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, fd, 0) };
        assert_ne!(
            start,
            libc::MAP_FAILED,
            "mmap: {}",
            std::io::Error::last_os_error()
        );
        Area {
            mapped: NonNull::new(start.cast()).unwrap(),
            margin: 0,
            len,
        }
    }

    pub(crate) fn start(&self) -> u64 {
        self.mapped.as_ptr() as u64 + self.margin as u64
    }

    pub(crate) fn end(&self) -> u64 {
        self.start() + self.len as u64
    }

    /// The 2 MiB aligned address inside, relative to the start; for areas of 4 MiB and more.
    pub(crate) fn aligned_offset(&self) -> usize {
        assert!(self.len >= 4 * MIB);
        (self.start() as usize).next_multiple_of(2 * MIB) - self.start() as usize
    }

    fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.len);
        self.mapped.as_ptr().wrapping_add(self.margin + offset)
    }

    pub(crate) fn write(&self, offset: usize) {
        // SAFETY: inside the mapping, which the test made writable and alone refers to.
        unsafe { self.at(offset).write_volatile(1) }
    }

    pub(crate) fn read(&self, offset: usize) -> u8 {
        // SAFETY: inside the mapping, which the test made readable and alone refers to.
        unsafe { self.at(offset).read_volatile() }
    }

    pub(crate) fn read_every_page(&self) {
        for offset in (0..self.len).step_by(PAGE) {
            self.read(offset);
        }
    }

    /// `madvise`; `false` if the kernel does not know the advice.
    pub(crate) fn advise(&self, advice: i32) -> bool {
        // SAFETY: the range is the test's own; nothing but volatile accesses refers to it.
        unsafe { libc::madvise(self.at(0).cast(), self.len, advice) == 0 }
    }

    pub(crate) fn protect(&self, prot: i32) {
        self.protect_part(0, self.len, prot);
    }

    pub(crate) fn protect_part(&self, offset: usize, len: usize, prot: i32) {
        assert!(offset + len <= self.len);
        // SAFETY: inside the test's own mapping, which no reference points into.
        let done = unsafe { libc::mprotect(self.at(offset).cast(), len, prot) };
        assert_eq!(done, 0, "mprotect: {}", std::io::Error::last_os_error());
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: exactly the range that this value mapped.
        unsafe { libc::munmap(self.mapped.as_ptr().cast(), self.len + 2 * self.margin) };
    }
}

/// Takes one capability from the calling thread's effective set, which no other thread sees.
pub(crate) fn drop_capability(bit: u32) {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    // Three sets (effective, permitted, inheritable), low words first, then high words.
    let mut header = Header {
        version: 0x2008_0522,
        pid: 0,
    };
    let mut sets = [[0_u32; 3]; 2];
    // SAFETY: version 3 of the call fills two triples of words, as `sets` has them.
    let got = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, &raw mut sets) };
    assert_eq!(got, 0);
    sets[bit as usize / 32][0] &= !(1 << (bit % 32));
    // SAFETY: version 3 of the call reads two triples of words.
    let set = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, &raw const sets) };
    assert_eq!(set, 0, "capset: {}", std::io::Error::last_os_error());
}
