//! One mapping as `/proc/PID/maps` shows it, and the iterator over all of them.

use super::line::put_line;
use crate::addr::AddrRange;
use crate::areas::BrkArea;
use crate::file::{Device, FileRef};
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::plain::PlainVma;
use crate::vma::{Backing, GateVma, Vma};
use alloc::vec::Vec;
use core::fmt;
use vmaple_locks::Environment;

/// What the name column shows.
#[derive(Clone, Copy, Debug)]
pub enum MappingName<'a> {
    /// Nothing.
    None,
    /// `[heap]`.
    Heap,
    /// `[stack]`.
    Stack,
    /// A mapping the kernel makes, such as `[vdso]`: the name with its brackets.
    Special(&'a str),
    /// The name of anonymous memory; maps shows `[anon:NAME]`.
    Anonymous(&'a str),
    /// The name of shared anonymous memory; maps shows `[anon_shmem:NAME]`.
    AnonymousShared(&'a str),
    /// A file, which writes its own name.
    File(&'a FileRef),
}

impl<'a> MappingName<'a> {
    /// The name of `vma` in an address space with these bounds.
    #[must_use]
    pub fn of(vma: &'a Vma, areas: &BrkArea) -> MappingName<'a> {
        match &vma.backing {
            Backing::File(file) => match &vma.anon_name {
                Some(name) if file.is_shared_anonymous() => MappingName::AnonymousShared(name),
                _ => MappingName::File(file),
            },
            Backing::Special(special) => MappingName::Special(&special.name),
            Backing::Anonymous => match MappingName::by_place(vma.range(), areas) {
                MappingName::None => {
                    let name = vma.anon_name.as_deref();
                    name.map_or(MappingName::None, MappingName::Anonymous)
                }
                name => name,
            },
        }
    }

    /// The name that anonymous memory has by where it lies.
    #[inline]
    fn by_place(range: AddrRange, areas: &BrkArea) -> MappingName<'a> {
        if range.start < areas.brk && range.end > areas.start_brk {
            MappingName::Heap
        } else if range.start <= areas.start_stack && range.end >= areas.start_stack {
            MappingName::Stack
        } else {
            MappingName::None
        }
    }
}

impl fmt::Display for MappingName<'_> {
    /// As maps shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MappingName::None => Ok(()),
            MappingName::Heap => f.write_str("[heap]"),
            MappingName::Stack => f.write_str("[stack]"),
            MappingName::Special(name) => f.write_str(name),
            MappingName::Anonymous(name) => write!(f, "[anon:{name}]"),
            MappingName::AnonymousShared(name) => write!(f, "[anon_shmem:{name}]"),
            MappingName::File(file) => file.write_name(f),
        }
    }
}

/// The fields of one line of `/proc/PID/maps`; its `Display` is the line without the newline.
///
/// ```
/// use vmaple::{Mm, MmConfig, MmapArgs};
/// let mut mm = Mm::new(MmConfig::x86_64());
/// mm.mmap(&MmapArgs::anonymous(0x10000, 0x1000, 3, 0x32)).unwrap();
/// let entry = mm.maps().next().unwrap();
/// assert_eq!(entry.range.len(), 0x1000);
/// assert_eq!(entry.to_string(), "00010000-00011000 rw-p 00000000 00:00 0 ");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MapsEntry<'a> {
    /// The addresses, in bytes.
    pub range: AddrRange,
    /// Permissions, and all other flags.
    pub flags: VmFlags,
    /// Offset in the file in bytes; 0 without a file.
    pub offset: u64,
    /// The file's device; 0:0 without a file.
    pub device: Device,
    /// The file's inode; 0 without a file.
    pub inode: u64,
    /// What the name column shows.
    pub name: MappingName<'a>,
}

/// Where in which file a mapping begins; all zero without a file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FilePlace {
    pub(crate) offset: u64,
    pub(crate) device: Device,
    pub(crate) inode: u64,
}

impl FilePlace {
    #[inline]
    pub(crate) fn of(vma: &Vma, page_shift: u32) -> FilePlace {
        match &vma.backing {
            Backing::File(file) => FilePlace {
                offset: vma.pgoff << page_shift,
                device: file.device(),
                inode: file.inode(),
            },
            Backing::Anonymous | Backing::Special(_) => FilePlace::default(),
        }
    }
}

impl<'a> MapsEntry<'a> {
    /// The entry of `vma` in an address space with these bounds and pages of
    /// `1 << page_shift` bytes.
    #[must_use]
    pub fn of(vma: &'a Vma, areas: &BrkArea, page_shift: u32) -> MapsEntry<'a> {
        let FilePlace {
            offset,
            device,
            inode,
        } = FilePlace::of(vma, page_shift);
        MapsEntry {
            range: vma.range(),
            flags: vma.flags,
            offset,
            device,
            inode,
            name: MappingName::of(vma, areas),
        }
    }

    /// The entry of a VMA that was told without a lock.
    #[inline]
    #[must_use]
    pub fn of_plain(vma: &PlainVma) -> MapsEntry<'static> {
        let FilePlace {
            offset,
            device,
            inode,
        } = FilePlace::default();
        MapsEntry {
            range: vma.range,
            flags: vma.flags,
            offset,
            device,
            inode,
            name: MappingName::by_place(vma.range, &vma.areas),
        }
    }

    /// The entry of the gate VMA.
    #[must_use]
    pub fn of_gate(gate: &'a GateVma) -> MapsEntry<'a> {
        MapsEntry {
            range: gate.range,
            flags: gate.flags,
            offset: 0,
            device: Device::default(),
            inode: 0,
            name: MappingName::Special(&gate.name),
        }
    }

    /// The entry as a value of its own, where it borrows nothing of the VMA: where it has no name,
    /// or one that is the same for all.
    #[inline]
    pub(crate) fn owned(&self) -> Option<MapsEntry<'static>> {
        let name = match self.name {
            MappingName::None => MappingName::None,
            MappingName::Heap => MappingName::Heap,
            MappingName::Stack => MappingName::Stack,
            MappingName::Special(_)
            | MappingName::Anonymous(_)
            | MappingName::AnonymousShared(_)
            | MappingName::File(_) => return None,
        };
        let &MapsEntry {
            range,
            flags,
            offset,
            device,
            inode,
            name: _,
        } = self;
        Some(MapsEntry {
            range,
            flags,
            offset,
            device,
            inode,
            name,
        })
    }

    /// The part of the entry from `addr` on; all of it if it begins there or above.
    ///
    /// A reader that has come to `addr` and finds a mapping that begins below it (it was merged
    /// in the meantime) shows this part, so that its lines never overlap.
    #[must_use]
    pub fn from_addr(mut self, addr: u64) -> MapsEntry<'a> {
        if self.range.start < addr && addr < self.range.end {
            if matches!(
                self.name,
                MappingName::File(_) | MappingName::AnonymousShared(_)
            ) {
                self.offset = self.offset.wrapping_add(addr - self.range.start);
            }
            self.range.start = addr;
        }
        self
    }
}

impl fmt::Display for MapsEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Vec::with_capacity(128);
        put_line(self, &mut line);
        line.pop();
        write_bytes(&line, f)
    }
}

/// Lines are made of ASCII and of names that were `str`.
pub(crate) fn write_bytes(line: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    out.write_str(core::str::from_utf8(line).map_err(|_| fmt::Error)?)
}

impl<E: Environment> Mm<E> {
    /// The entries of `/proc/PID/maps` in ascending order, the gate VMA last.
    ///
    /// O(log n) for the first, O(1) for each further one; nothing is allocated.
    pub fn maps(&self) -> impl Iterator<Item = MapsEntry<'_>> {
        let vmas = self.iter().map(|vma| self.maps_line(vma));
        vmas.chain(self.gate.as_ref().map(MapsEntry::of_gate))
    }

    /// The maps entry of one VMA of this address space; displays as its line.
    #[must_use]
    pub fn maps_line<'a>(&self, vma: &'a Vma) -> MapsEntry<'a> {
        MapsEntry::of(vma, &self.areas, self.config.page_shift())
    }

    /// Appends the text of `/proc/PID/maps` to `out`: the fast way.
    ///
    /// ```
    /// use vmaple::{Mm, MmConfig, MmapArgs};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// mm.mmap(&MmapArgs::anonymous(0x10000, 0x1000, 3, 0x32)).unwrap();
    /// let mut text = Vec::new();
    /// mm.append_maps(&mut text);
    /// assert_eq!(text, b"00010000-00011000 rw-p 00000000 00:00 0 \n");
    /// ```
    pub fn append_maps(&self, out: &mut Vec<u8>) {
        for entry in self.maps() {
            put_line(&entry, out);
        }
    }

    /// Writes the text of `/proc/PID/maps`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_maps(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut line = Vec::with_capacity(256);
        for entry in self.maps() {
            line.clear();
            put_line(&entry, &mut line);
            write_bytes(&line, out)?;
        }
        Ok(())
    }
}
