//! Mappings that other calls make: System V shared memory, `remap_file_pages`, AIO rings.

use crate::addr::AddrRange;
use crate::errno::{CallError, Errno};
use crate::file::{Device, FileAccess, FileId, FileKind, FileRef, MappedFile, MemfdSeals};
use crate::flags::{MapFlags, Prot, VmFlags};
use crate::mm::Mm;
use crate::mmap::MmapArgs;
use crate::operations::VmaOperations;
use crate::vma::{Backing, Vma};
use crate::vma_tree::Freed;
use alloc::sync::Arc;
use core::fmt;
use vmaple_locks::Environment;

const SHM_RDONLY: u64 = 0o10000;
const SHM_RND: u64 = 0o20000;
const SHM_REMAP: u64 = 0o40000;
const SHM_EXEC: u64 = 0o100000;

/// A file whose description permits reading only.
#[derive(Clone, Debug)]
struct ReadOnly(FileRef);

impl MappedFile for ReadOnly {
    fn identity(&self) -> FileId {
        self.0.identity()
    }
    fn device(&self) -> Device {
        self.0.device()
    }
    fn inode(&self) -> u64 {
        self.0.inode()
    }
    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.0.write_name(out)
    }
    fn access(&self) -> FileAccess {
        FileAccess {
            writable: false,
            ..self.0.access()
        }
    }
    fn kind(&self) -> FileKind {
        self.0.kind()
    }
    fn max_len(&self) -> u64 {
        self.0.max_len()
    }
    fn len_hint(&self) -> Option<u64> {
        self.0.len_hint()
    }
    fn seals(&self) -> MemfdSeals {
        self.0.seals()
    }
    fn operations(&self) -> Option<&dyn VmaOperations> {
        self.0.operations()
    }
}

impl<E: Environment> Mm<E> {
    /// Attaches a System V segment of `size` bytes; returns the address.
    ///
    /// `segment` stands for the description that this attachment opens: its identity is its own,
    /// its kind [`FileKind::SystemV`], its length hint the size of the segment.
    ///
    /// # Errors
    /// EINVAL: misaligned address, something there without SHM_REMAP; and those of [`Mm::mmap`].
    #[doc(alias = "do_shmat")]
    pub fn shmat(
        &mut self,
        segment: FileRef,
        size: u64,
        addr: u64,
        shmflg: u64,
    ) -> Result<u64, CallError> {
        let mut at = addr;
        let mut flags = MapFlags::SHARED;
        if addr != 0 {
            if !self.config.is_aligned(addr) {
                if shmflg & SHM_RND == 0 {
                    return Err(Errno::EINVAL.into());
                }
                at = self.config.page_floor(addr);
            }
            if at == 0 && shmflg & SHM_REMAP != 0 {
                return Err(Errno::EINVAL.into());
            }
            flags |= MapFlags::FIXED;
        } else if shmflg & SHM_REMAP != 0 {
            return Err(Errno::EINVAL.into());
        }
        let mut prot = Prot::READ;
        let read_only = shmflg & SHM_RDONLY != 0;
        prot.set(Prot::WRITE, !read_only);
        prot.set(Prot::EXEC, shmflg & SHM_EXEC != 0);
        if at != 0 && shmflg & SHM_REMAP == 0 {
            let end = at.checked_add(size).ok_or(Errno::EINVAL)?;
            if self.overlapping(AddrRange::new(at, end)).next().is_some() {
                return Err(Errno::EINVAL.into());
            }
        }
        let file: FileRef = if read_only {
            Arc::new(ReadOnly(segment))
        } else {
            segment
        };
        self.mmap(&MmapArgs::file(
            at,
            size,
            prot.bits(),
            flags.bits(),
            file,
            0,
        ))
    }

    /// Detaches the segment attached at `addr`: all parts of it that are still in their place.
    ///
    /// # Errors
    /// EINVAL: misaligned, or no attachment begins there.
    #[doc(alias = "ksys_shmdt")]
    pub fn shmdt(&mut self, addr: u64) -> Result<(), CallError> {
        if !self.config.is_aligned(addr) {
            return Err(Errno::EINVAL.into());
        }
        let in_place = |mm: &Self, vma: &Vma| {
            let segment = vma
                .backing
                .file()
                .is_some_and(|f| f.kind() == FileKind::SystemV);
            segment && mm.pages(vma.start - addr) == vma.pgoff
        };
        let everything = AddrRange::new(addr, u64::MAX);
        let first = self
            .overlapping(everything)
            .find(|vma| vma.start >= addr && in_place(self, vma))
            .cloned();
        let first = first.ok_or(Errno::EINVAL)?;
        drop_part(self, &first);
        let size = first
            .backing
            .file()
            .and_then(|file| file.len_hint())
            .unwrap_or(u64::MAX);
        let limit = addr.saturating_add(self.config.page_ceil(size).max(size));
        let mut at = first.end;
        while let Some(vma) = self.find(at).filter(|vma| vma.end <= limit).cloned() {
            at = vma.end;
            if in_place(self, &vma) && vma.backing.is_same(&first.backing) {
                drop_part(self, &vma);
            }
        }
        Ok(())
    }

    /// Maps pages of a shared file mapping in another order, as one new mapping per call.
    ///
    /// # Errors
    /// EINVAL: `prot` not 0, not one shared mapping, overflow; and those of [`Mm::mmap`].
    pub fn remap_file_pages(
        &mut self,
        start: u64,
        size: u64,
        prot: u64,
        pgoff: u64,
        flags: u64,
    ) -> Result<(), CallError> {
        let start = self.config.page_floor(start);
        let size = self.config.page_floor(size);
        let end = start.wrapping_add(size);
        let offset_fits = pgoff.checked_add(self.pages(size)).is_some();
        if prot != 0 || end <= start || !offset_fits {
            return Err(Errno::EINVAL.into());
        }
        let vma = self.vma_at(start).ok_or(Errno::EINVAL)?;
        let Backing::File(file) = &vma.backing else {
            return Err(Errno::EINVAL.into());
        };
        let range = AddrRange::new(start, end);
        let alike = |other: &Vma| other.flags == vma.flags && other.backing.is_same(&vma.backing);
        let uniform = !self.has_hole(range) && self.overlapping(range).all(alike);
        if !vma.flags.contains(VmFlags::SHARED) || !uniform {
            return Err(Errno::EINVAL.into());
        }
        let access = (vma.flags & VmFlags::ACCESS).bits();
        let mut map = MapFlags::from_bits_retain(flags) & MapFlags::NONBLOCK;
        map |= MapFlags::SHARED | MapFlags::FIXED | MapFlags::POPULATE;
        map.set(MapFlags::LOCKED, vma.flags.contains(VmFlags::LOCKED));
        let offset = pgoff << self.config.page_shift();
        let args = MmapArgs::file(start, size, access, map.bits(), Arc::clone(file), offset);
        self.mmap(&args).map(|_| ())
    }

    /// Maps the ring of an AIO context (`io_setup`) of `len` bytes; returns its address.
    ///
    /// # Errors
    /// Those of [`Mm::mmap`].
    pub fn map_aio_ring(&mut self, len: u64, file: FileRef) -> Result<u64, CallError> {
        let flags = MapFlags::SHARED.bits();
        let addr = self.mmap(&MmapArgs::file(0, len, 3, flags, file, 0))?;
        if let Some(vma) = self.vma_at(addr) {
            self.set_flags(addr, vma.flags | VmFlags::DONTEXPAND);
        }
        Ok(addr)
    }

    /// Unmaps the ring of an AIO context (`io_destroy`).
    ///
    /// # Errors
    /// Those of [`Mm::munmap`].
    pub fn unmap_aio_ring(&mut self, addr: u64, len: u64) -> Result<(), CallError> {
        self.munmap(addr, len)
    }
}

/// Unmaps one whole VMA of a segment; a sealed one stays, silently.
fn drop_part<E: Environment>(mm: &mut Mm<E>, vma: &Vma) {
    let _ = mm.unmap(vma.range(), Freed::ForGood);
}
