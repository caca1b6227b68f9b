//! Random PROCMAP_QUERY calls, answered by the kernel and by the model from the same memory.
#![expect(unsafe_code, reason = "a raw ioctl, and memory shared with the kernel")]

use std::fs::File;
use std::os::fd::AsRawFd;
use vmaple::{BadAddress, Errno, PROCMAP_QUERY_SIZE, UserMemory};
use vmaple_judge::{Rng, Session};

const PAGE: usize = 4096;
/// Pages that can be written; one follows that cannot be touched.
const PAGES: usize = 4;
const LEN: usize = PAGES * PAGE;
/// `_IOWR('f', 17, 104 bytes)`.
const PROCMAP_QUERY: u64 = 0xc068_6611;

/// Memory that the kernel writes its answers to.
struct Arena(*mut u8);

impl Arena {
    fn new() -> Arena {
        let (all, prot) = (LEN + PAGE, libc::PROT_READ | libc::PROT_WRITE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), all, prot, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED);
        // SAFETY: the last page of that mapping, which nothing else uses.
        let end = unsafe { base.cast::<u8>().add(LEN) };
        // SAFETY: as above.
        let protected = unsafe { libc::mprotect(end.cast(), PAGE, libc::PROT_NONE) };
        assert_eq!(protected, 0);
        Arena(base.cast())
    }

    fn base(&self) -> u64 {
        self.0 as u64
    }

    fn get(&self) -> Vec<u8> {
        // SAFETY: the first LEN bytes are ours, initialised, and nobody writes them now.
        unsafe { std::slice::from_raw_parts(self.0, LEN) }.to_vec()
    }

    fn set(&mut self, bytes: &[u8]) {
        assert_eq!(bytes.len(), LEN);
        // SAFETY: the first LEN bytes are ours, and `bytes` is another object.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0, LEN) };
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nobody refers to any more.
        unsafe { libc::munmap(self.0.cast(), LEN + PAGE) };
    }
}

/// The same memory for the model.
struct Copy {
    base: u64,
    bytes: Vec<u8>,
}

impl Copy {
    fn range(&self, addr: u64, len: usize) -> Result<std::ops::Range<usize>, BadAddress> {
        let from = addr.checked_sub(self.base).ok_or(BadAddress)? as usize;
        let to = from.checked_add(len).filter(|to| *to <= LEN);
        Ok(from..to.ok_or(BadAddress)?)
    }
}

impl UserMemory for Copy {
    fn read(&self, addr: u64, bytes: &mut [u8]) -> Result<(), BadAddress> {
        bytes.copy_from_slice(&self.bytes[self.range(addr, bytes.len())?]);
        Ok(())
    }

    fn write(&mut self, addr: u64, bytes: &[u8]) -> Result<(), BadAddress> {
        let range = self.range(addr, bytes.len())?;
        self.bytes[range].copy_from_slice(bytes);
        Ok(())
    }
}

/// What came of the queries.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answers: u64,
    pub(crate) build_ids: u64,
    pub(crate) errors: std::collections::BTreeMap<i32, u64>,
}

/// Asks `count` random questions about the map of `session`.
pub(crate) fn run(session: &Session<'_>, seed: u64, count: u64, tally: &mut Tally) {
    let mut rng = Rng::new(seed);
    let maps = File::open(format!("/proc/{}/maps", session.pid())).expect("its maps");
    let mut arena = Arena::new();
    for _ in 0..count {
        let (arg, bytes) = question(session, &mut rng, arena.base());
        arena.set(&bytes);
        let mut copy = Copy {
            base: arena.base(),
            bytes: bytes.clone(),
        };
        // SAFETY: the kernel writes to the arena only, or to addresses that nothing is mapped at.
        let result = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY as _, arg) };
        let kernel = match result {
            0 => 0,
            _ => std::io::Error::last_os_error().raw_os_error().unwrap_or(0),
        };
        let model = match session.mm().procmap_query(arg, &mut copy) {
            Ok(()) => 0,
            Err(errno) => errno.as_raw(),
        };
        let shown = || format!("argument {:x?}", words(&bytes, arg, arena.base()));
        assert_eq!(kernel, model, "seed {seed}: {}", shown());
        // How much of a buffer is written before a fault is not defined.
        if kernel != Errno::EFAULT.as_raw() {
            let (theirs, ours) = (arena.get(), copy.bytes);
            let first = theirs.iter().zip(&ours).position(|(a, b)| a != b);
            assert_eq!(first, None, "seed {seed}: answers differ: {}", shown());
            let id_size = word_at(&theirs, arg, arena.base(), 80) >> 32;
            tally.build_ids += u64::from(kernel == 0 && id_size == 20);
        }
        tally.answers += u64::from(kernel == 0);
        *tally.errors.entry(kernel).or_default() += 1;
    }
}

fn words(bytes: &[u8], arg: u64, base: u64) -> Vec<u64> {
    (0..13)
        .map(|index| word_at(bytes, arg, base, index * 8))
        .collect()
}

fn word_at(bytes: &[u8], arg: u64, base: u64, at: usize) -> u64 {
    let from = arg.wrapping_sub(base) as usize;
    let word = from.checked_add(at).and_then(|at| bytes.get(at..at + 8));
    word.map_or(0, |word| {
        u64::from_le_bytes(word.try_into().unwrap_or_default())
    })
}

/// A question somewhere in an arena at `base`; most of them make sense.
fn question(session: &Session<'_>, rng: &mut Rng, base: u64) -> (u64, Vec<u8>) {
    let end = base + LEN as u64;
    let mut bytes = vec![0; LEN];
    let arg = match rng.below(40) {
        0 => end - rng.below(120),
        1 => rng.of(&[0, 8, u64::MAX - 7, 0xffff_8000_0000_0000]),
        _ => base,
    };
    let known = PROCMAP_QUERY_SIZE as u64;
    let size = match rng.below(8) {
        0 => rng.below(130),
        1 => rng.of(&[0, 16, 23, 24, 40, 88, 96, 105, 4095, 4096, 4097, u64::MAX]),
        _ => known,
    };
    let flags = match rng.below(8) {
        0 => 1 << rng.below(64),
        1 => rng.next() & 0x3f,
        2 | 3 => rng.below(16) & rng.below(16) | 0x10 | (rng.below(2) << 5),
        4 => 0,
        _ => 0x10,
    };
    let (name_size, name_addr) = buffer(rng, base + 8192, end, 60);
    let (id_size, id_addr) = buffer(rng, base + 2048, end, 20);
    let fields = [
        size,
        flags,
        address(session, rng),
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        name_size | id_size << 32,
        name_addr,
        id_addr,
    ];
    let record: Vec<u8> = fields.iter().flat_map(|word| word.to_le_bytes()).collect();
    let from = arg.wrapping_sub(base) as usize;
    if let Some(room) = bytes.get_mut(from..) {
        let len = room.len().min(record.len());
        room[..len].copy_from_slice(&record[..len]);
    }
    if rng.one_in(10) {
        // Something beyond the structure that may be within its size.
        bytes[rng.below(300) as usize + 104] = 1;
    }
    (arg, bytes)
}

/// A buffer's size and address: not asked for, right, too small, half asked for, unwritable.
fn buffer(rng: &mut Rng, at: u64, end: u64, usual: u64) -> (u64, u64) {
    match rng.below(10) {
        0..=3 => (0, 0),
        4 | 5 => (4096, at),
        6 => (rng.below(usual + 10), at),
        7 => (usual + rng.below(3), at),
        8 => (
            rng.of(&[0, 1, 4096, 5000, 0xffff_ffff]),
            rng.of(&[0, at, at]),
        ),
        _ => (64, rng.of(&[8, end - 10, end])),
    }
}

/// An address near a boundary of the map, or anywhere.
fn address(session: &Session<'_>, rng: &mut Rng) -> u64 {
    let index = rng.below(session.mm().len() as u64) as usize;
    let Some(vma) = session.mm().iter().nth(index) else {
        return 0;
    };
    match rng.below(8) {
        0 => vma.start,
        1 => vma.end,
        2 => vma.end - 1,
        3 => vma.start.wrapping_sub(1),
        4 => rng.of(&[0, u64::MAX, 0xffff_ffff_ff60_0000, 0x7fff_ffff_f000]),
        _ => vma.start + rng.below(vma.len()),
    }
}
