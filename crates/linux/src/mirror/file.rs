//! Files as the mirror knows them: facts out of events, behind [`vmaple::MappedFile`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use vmaple::{
    Device, Errno, FileAccess, FileId, FileKind, FileRef, MapSync, MappedFile, MemfdSeals, VmFlags,
    Vma, VmaOperations,
};

use crate::event::{FileSize, MappedFileFacts};
use crate::procfs::files;
use crate::procfs::files::FileName;

/// Ids of open file descriptions that no mapping uses any more, for whoever holds
/// descriptors of them. Clones share one list.
#[derive(Clone, Debug, Default)]
pub struct Releases(Arc<Mutex<Vec<u64>>>);

impl Releases {
    /// Takes the ids that came in since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, id: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(id);
    }
}

/// The files that mappings of any space stand on.
#[derive(Debug, Default)]
pub(super) struct FileBook {
    files: HashMap<u64, Weak<MirroredFile>>,
    releases: Releases,
}

impl FileBook {
    pub(super) fn new(releases: Releases) -> FileBook {
        FileBook {
            files: HashMap::new(),
            releases,
        }
    }

    /// The one object for the open description `facts.id`.
    pub(super) fn file(&mut self, facts: &MappedFileFacts) -> FileRef {
        if let Some(known) = self.files.get(&facts.id).and_then(Weak::upgrade) {
            known.changing().seals = facts.file.seals;
            return known;
        }
        self.fresh(facts, None)
    }

    /// The same without entering it: for a look ahead at a call that is still under way, whose
    /// file must not count as released when the look is over.
    pub(super) fn passing(&self, facts: &MappedFileFacts) -> FileRef {
        match self.files.get(&facts.id).and_then(Weak::upgrade) {
            Some(known) => known,
            None => Arc::new(MirroredFile::new(facts, None, None)),
        }
    }

    /// `/dev/zero` mapped shared: the device with the object the kernel made for the mapping.
    pub(super) fn shared_zero(
        &mut self,
        device: &MappedFileFacts,
        object: &MappedFileFacts,
    ) -> FileRef {
        let object = self.file(object);
        // Not entered in the book: this value lives for one call.
        Arc::new(MirroredFile::new(device, Some(object), None))
    }

    fn fresh(&mut self, facts: &MappedFileFacts, zero: Option<FileRef>) -> FileRef {
        let file = Arc::new(MirroredFile::new(facts, zero, Some(self.releases.clone())));
        self.files.insert(facts.id, Arc::downgrade(&file));
        // A dead weak reference costs 16 bytes; drop them when they are most of the book.
        if self.files.len() > 64 && self.files.len().is_power_of_two() {
            self.files.retain(|_, file| file.strong_count() > 0);
        }
        file
    }

    /// Gives the description another name.
    pub(super) fn rename(&mut self, id: u64, name: &FileName) {
        if let Some(file) = self.files.get(&id).and_then(Weak::upgrade) {
            file.changing().name = name.clone();
        }
    }

    /// The name of a file that is still mapped.
    pub(super) fn name(&self, id: u64) -> Option<FileName> {
        let file = self.files.get(&id)?.upgrade()?;
        Some(file.changing().name.clone())
    }

    /// Gives a file that is still mapped another size.
    pub(super) fn resize(&mut self, size: FileSize) {
        if let Some(file) = self.files.get(&size.file).and_then(Weak::upgrade) {
            file.changing().bytes = size.bytes;
        }
    }
}

/// What may change while a file is mapped.
struct Changing {
    name: FileName,
    bytes: u64,
    seals: u32,
}

/// An open file description, known by its facts.
struct MirroredFile {
    facts: MappedFileFacts,
    changing: Mutex<Changing>,
    zero: Option<FileRef>,
    releases: Option<Releases>,
}

impl MirroredFile {
    fn new(
        facts: &MappedFileFacts,
        zero: Option<FileRef>,
        releases: Option<Releases>,
    ) -> MirroredFile {
        MirroredFile {
            changing: Mutex::new(Changing {
                name: facts.file.name.clone(),
                bytes: facts.file.size_bytes,
                seals: facts.file.seals,
            }),
            facts: facts.clone(),
            zero,
            releases,
        }
    }
}

impl MappedFile for MirroredFile {
    fn identity(&self) -> FileId {
        FileId(self.facts.id)
    }

    fn device(&self) -> Device {
        let device = self.facts.file.device;
        Device {
            major: device.major,
            minor: device.minor,
        }
    }

    fn inode(&self) -> u64 {
        self.facts.file.inode
    }

    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let name = &self.changing().name;
        // Bytes that are no UTF-8 come out as the replacement character, on the kernel's
        // side of a comparison as well.
        match std::str::from_utf8(name.as_bytes()) {
            Ok(name) => out.write_str(name),
            Err(_) => out.write_str(&String::from_utf8_lossy(name.as_bytes())),
        }
    }

    fn write_path(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        // A newline in the path reaches maps as four characters, and a query as it is. Only the
        // path of the descriptor could tell it from a path that holds those four.
        let mut lines = String::new();
        self.write_name(&mut lines)?;
        for (index, part) in lines.split("\\012").enumerate() {
            if index > 0 {
                out.write_char('\n')?;
            }
            out.write_str(part)?;
        }
        Ok(())
    }

    fn access(&self) -> FileAccess {
        let file = &self.facts.file;
        FileAccess {
            readable: file.readable,
            writable: file.writable,
            // Files without a place of their own are never executed, since 6.18 by mmap either.
            noexec: file.noexec || file.filesystem_magic == files::ANON_INODE_FS_MAGIC,
            append_only: file.append_only,
            swap_file: false,
        }
    }

    fn kind(&self) -> FileKind {
        match self.facts.file.kind {
            files::FileKind::Regular => FileKind::Regular,
            files::FileKind::SharedMemory if self.is_segment() => FileKind::SystemV,
            files::FileKind::SharedMemory => FileKind::SharedMemory,
            files::FileKind::DevZero => FileKind::DevZero,
            files::FileKind::Hugetlb => FileKind::Hugetlb,
            files::FileKind::Directory | files::FileKind::Other => FileKind::NoMmap,
            _ => FileKind::Device {
                sets: self.driver_flags(),
                closes: true,
            },
        }
    }

    fn prefers_huge_alignment(&self) -> bool {
        /// ext2 to ext4, xfs, btrfs, f2fs, bcachefs.
        const ALIGNING: [u64; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0xca45_1a4e];
        ALIGNING.contains(&self.facts.file.filesystem_magic)
    }

    fn is_on_mount(&self) -> bool {
        let name = self.facts.file.name.as_bytes();
        let is_shared = self.facts.file.kind == files::FileKind::SharedMemory;
        is_shared && !self.is_shared_anonymous() && !name.starts_with(b"/memfd:")
    }

    fn map_sync(&self) -> MapSync {
        /// ext2 to ext4, xfs: the file systems that know of persistent memory. A file that is on
        /// it shows in nothing that is known here.
        const KNOWING: [u64; 2] = [0xef53, 0x5846_5342];
        let file = &self.facts.file;
        let is_regular = file.kind == files::FileKind::Regular;
        if is_regular && KNOWING.contains(&file.filesystem_magic) {
            MapSync::Refused
        } else {
            MapSync::Ignored
        }
    }

    fn max_len(&self) -> u64 {
        match self.kind() {
            // A device has no bytes to count: any page number will do.
            FileKind::DevZero | FileKind::Device { .. } => u64::MAX,
            _ => i64::MAX.cast_unsigned(),
        }
    }

    fn len_hint(&self) -> Option<u64> {
        let sized = [files::FileKind::Regular, files::FileKind::SharedMemory];
        sized
            .contains(&self.facts.file.kind)
            .then(|| self.changing().bytes)
    }

    fn seals(&self) -> MemfdSeals {
        let seals = self.changing().seals;
        let has = |seal: libc::c_int| seals & seal.cast_unsigned() != 0;
        MemfdSeals {
            write: has(libc::F_SEAL_WRITE),
            future_write: has(libc::F_SEAL_FUTURE_WRITE),
        }
    }

    fn is_shared_anonymous(&self) -> bool {
        self.facts.file.name.as_bytes() == b"/dev/zero (deleted)"
    }

    fn shared_zero_object(&self) -> Option<FileRef> {
        self.zero.clone()
    }

    fn operations(&self) -> Option<&dyn VmaOperations> {
        let is_perf_event = self.facts.file.name.as_bytes() == b"anon_inode:[perf_event]";
        is_perf_event.then_some(&PerfEvent)
    }
}

/// The driver of `perf_event_open`'s rings.
#[derive(Debug)]
struct PerfEvent;

impl VmaOperations for PerfEvent {
    fn has_close(&self) -> bool {
        true
    }

    /// A ring is mapped whole.
    fn may_split(&self, _: &Vma, _: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }
}

impl MirroredFile {
    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A System V segment, whose mappings Linux counts one by one.
    fn is_segment(&self) -> bool {
        self.facts.file.name.as_bytes().starts_with(b"/SYSV")
    }

    /// The flags that a driver's mmap gave, as the facts of the call have them.
    fn driver_flags(&self) -> VmFlags {
        let flags = self.facts.driver_flags.as_deref().unwrap_or_default();
        let driver = VmFlags::SPECIAL
            .union(VmFlags::DONTDUMP)
            .union(VmFlags::DONTCOPY);
        VmFlags::from_mnemonics(flags)
            .unwrap_or_default()
            .intersection(driver)
    }
}

impl Drop for MirroredFile {
    fn drop(&mut self) {
        if let Some(releases) = &self.releases {
            releases.push(self.facts.id);
        }
    }
}

impl fmt::Debug for MirroredFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {} {}", self.facts.id, self.facts.file.name)
    }
}
