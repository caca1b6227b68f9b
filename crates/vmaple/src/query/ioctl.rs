//! The ioctl PROCMAP_QUERY in its binary form: a structure in the caller's memory, in and out.
//!
//! For an embedder that takes the guest's system calls: sizes of earlier and later versions of
//! the structure, pointers to buffers, and the kernel's error codes in the kernel's order.

use super::{PATH_MAX, QueryAnswer, QueryFlags, answer, search};
use crate::errno::Errno;
use crate::mm::Mm;
use crate::proc_text::VmaSource;
use alloc::vec::Vec;
use vmaple_locks::Environment;

/// Bytes of the structure as this crate knows it (Linux 6.11 to 6.18).
pub const PROCMAP_QUERY_SIZE: usize = 104;
/// The smallest size taken: up to the address.
const SIZE_MIN: u64 = 24;

/// Places of the fields in the structure, in bytes.
mod at {
    pub(super) const QUERY_FLAGS: usize = 8;
    pub(super) const QUERY_ADDR: usize = 16;
    pub(super) const VMA_START: usize = 24;
    pub(super) const VMA_END: usize = 32;
    pub(super) const VMA_FLAGS: usize = 40;
    pub(super) const PAGE_SIZE: usize = 48;
    pub(super) const OFFSET: usize = 56;
    pub(super) const INODE: usize = 64;
    pub(super) const MAJOR: usize = 72;
    pub(super) const MINOR: usize = 76;
    pub(super) const NAME_SIZE: usize = 80;
    pub(super) const BUILD_ID_SIZE: usize = 84;
    pub(super) const NAME_ADDR: usize = 88;
    pub(super) const BUILD_ID_ADDR: usize = 96;
}

/// The longest build id that is given.
const BUILD_ID_MAX: usize = 20;

/// An address that the caller's memory does not have, or not for this use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadAddress;

impl From<BadAddress> for Errno {
    fn from(_: BadAddress) -> Errno {
        Errno::EFAULT
    }
}

/// The memory of the process that makes the call.
pub trait UserMemory {
    /// Reads `bytes.len()` bytes from `addr`.
    ///
    /// # Errors
    /// Some of them cannot be read.
    fn read(&self, addr: u64, bytes: &mut [u8]) -> Result<(), BadAddress>;

    /// Writes `bytes` to `addr`.
    ///
    /// # Errors
    /// Some of them cannot be written; others may have been.
    fn write(&mut self, addr: u64, bytes: &[u8]) -> Result<(), BadAddress>;
}

/// The structure, little-endian as on every machine that this crate models.
struct Record([u8; PROCMAP_QUERY_SIZE]);

impl Record {
    fn u64(&self, at: usize) -> u64 {
        let bytes = self.0.get(at..at + 8).and_then(|b| b.try_into().ok());
        u64::from_le_bytes(bytes.unwrap_or_default())
    }

    fn u32(&self, at: usize) -> u32 {
        let bytes = self.0.get(at..at + 4).and_then(|b| b.try_into().ok());
        u32::from_le_bytes(bytes.unwrap_or_default())
    }

    fn set(&mut self, at: usize, bytes: &[u8]) {
        if let Some(field) = self.0.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    }

    /// Reads as much of the structure as the caller has.
    fn take_in(arg: u64, page_size: u64, memory: &impl UserMemory) -> Result<(Record, u64), Errno> {
        let mut size = [0; 8];
        memory.read(arg, &mut size)?;
        let size = u64::from_le_bytes(size);
        if size > page_size {
            return Err(Errno::E2BIG);
        }
        if size < SIZE_MIN {
            return Err(Errno::EINVAL);
        }
        let mut record = Record([0; PROCMAP_QUERY_SIZE]);
        let known = size.min(PROCMAP_QUERY_SIZE as u64);
        let field = record.0.get_mut(..known as usize).unwrap_or_default();
        // A later version may be longer, but ask for nothing that is not known here.
        let mut at = known;
        while at < size {
            let mut rest = [0; 64];
            let room = (size - at).min(64);
            let rest = rest.get_mut(..room as usize).unwrap_or_default();
            memory.read(arg.wrapping_add(at), rest)?;
            if rest.iter().any(|byte| *byte != 0) {
                return Err(Errno::E2BIG);
            }
            at += room;
        }
        memory.read(arg, field)?;
        Ok((record, known))
    }

    fn fill_in(&mut self, answer: &QueryAnswer) {
        let name_size = match answer.name_len {
            0 => 0,
            len => len as u32 + 1,
        };
        let build_id_size = answer.build_id_len as u32;
        let words = [
            (at::VMA_START, answer.range.start),
            (at::VMA_END, answer.range.end),
            (at::VMA_FLAGS, answer.flags.bits()),
            (at::PAGE_SIZE, answer.page_size),
            (at::OFFSET, answer.offset),
            (at::INODE, answer.inode),
        ];
        for (at, word) in words {
            self.set(at, &word.to_le_bytes());
        }
        let halves = [
            (at::MAJOR, answer.device.major),
            (at::MINOR, answer.device.minor),
            (at::NAME_SIZE, name_size),
            (at::BUILD_ID_SIZE, build_id_size),
        ];
        for (at, half) in halves {
            self.set(at, &half.to_le_bytes());
        }
    }
}

/// Answers the ioctl PROCMAP_QUERY, whose argument is the address of a structure in `memory`.
///
/// # Errors
/// EFAULT: the structure or a buffer cannot be read or written. EINVAL: the size is below 24, a
/// flag is unknown, or a buffer has a size without an address or an address without a size. E2BIG:
/// the size is above a page, or the structure has something set that is not known here. ENOENT: no
/// mapping fits. ENAMETOOLONG: a buffer is too small. ENOMEM: no memory for the name. Those of the
/// source. The structure is as it was in all of these cases.
pub fn answer_ioctl<S>(source: &mut S, arg: u64, memory: &mut impl UserMemory) -> Result<(), Errno>
where
    S: VmaSource,
    Errno: From<S::Error>,
{
    let page_shift = source.page_shift();
    let (mut record, known) = Record::take_in(arg, 1 << page_shift, memory)?;
    let flags = QueryFlags::from_bits(record.u64(at::QUERY_FLAGS)).ok_or(Errno::EINVAL)?;
    let name_addr = record.u64(at::NAME_ADDR);
    let build_id_addr = record.u64(at::BUILD_ID_ADDR);
    let name_size = record.u32(at::NAME_SIZE) as usize;
    let build_id_size = record.u32(at::BUILD_ID_SIZE) as usize;
    if (name_size == 0) != (name_addr == 0) || (build_id_size == 0) != (build_id_addr == 0) {
        return Err(Errno::EINVAL);
    }
    let mut name = Vec::new();
    let name_room = name_size.min(PATH_MAX);
    if name.try_reserve_exact(name_room).is_err() {
        return Err(Errno::ENOMEM);
    }
    name.resize(name_room, 0_u8);
    let mut build_id = [0; BUILD_ID_MAX];
    let id_room = build_id.get_mut(..build_id_size.min(BUILD_ID_MAX));
    let id_room = id_room.unwrap_or_default();
    let found = search(source, record.u64(at::QUERY_ADDR), flags, |vma, areas| {
        answer(vma, areas, page_shift, &mut name, id_room)
    })?;
    let found = found.ok_or(Errno::ENOENT)??;
    // The byte after the name is the final zero: the buffer was zeroed, and has room for it.
    if found.name_len > 0 {
        memory.write(name_addr, name.get(..=found.name_len).unwrap_or_default())?;
    }
    if found.build_id_len > 0 {
        let id = build_id.get(..found.build_id_len).unwrap_or_default();
        memory.write(build_id_addr, id)?;
    }
    record.fill_in(&found);
    memory.write(arg, record.0.get(..known as usize).unwrap_or_default())?;
    Ok(())
}

impl<E: Environment> Mm<E> {
    /// Answers the ioctl PROCMAP_QUERY of a program whose address space this is, or of one that
    /// has its maps file open: `arg` is the address of the structure in `memory`.
    ///
    /// # Errors
    /// As [`answer_ioctl`].
    ///
    /// ```
    /// use vmaple::{BadAddress, Errno, Mm, MmConfig, MmapArgs, UserMemory};
    ///
    /// /// Guest memory that begins at address 0.
    /// struct Guest(Vec<u8>);
    ///
    /// impl UserMemory for Guest {
    ///     fn read(&self, addr: u64, bytes: &mut [u8]) -> Result<(), BadAddress> {
    ///         let from = self.0.get(addr as usize..).and_then(|rest| rest.get(..bytes.len()));
    ///         bytes.copy_from_slice(from.ok_or(BadAddress)?);
    ///         Ok(())
    ///     }
    ///     fn write(&mut self, addr: u64, bytes: &[u8]) -> Result<(), BadAddress> {
    ///         let to = self.0.get_mut(addr as usize..).and_then(|rest| rest.get_mut(..bytes.len()));
    ///         to.ok_or(BadAddress)?.copy_from_slice(bytes);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// mm.mmap(&MmapArgs::anonymous(0x10000, 0x1000, 3, 0x32)).unwrap();
    /// let mut guest = Guest(vec![0; 4096]);
    /// guest.0[0] = 104; // size
    /// assert_eq!(mm.procmap_query(0, &mut guest), Err(Errno::ENOENT));
    /// guest.0[8] = 0x10; // covering or next
    /// assert_eq!(mm.procmap_query(0, &mut guest), Ok(()));
    /// assert_eq!(guest.0[24..32], 0x10000_u64.to_le_bytes());
    /// ```
    #[doc(alias = "PROCMAP_QUERY")]
    pub fn procmap_query(&self, arg: u64, memory: &mut impl UserMemory) -> Result<(), Errno> {
        answer_ioctl(&mut self.vma_source(), arg, memory)
    }
}
