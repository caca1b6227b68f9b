//! What the address space has to know of a file: identity, name, access and mapping rules.
//!
//! The embedder implements [`MappedFile`] for its open file descriptions. The methods are asked
//! during a call, so they must answer quickly and always the same for one object.

use crate::flags::VmFlags;
use crate::operations::VmaOperations;
use alloc::sync::Arc;
use core::fmt;

/// Identity of an open file description.
///
/// Two mappings merge only if their ids are equal: two `open` calls on one path give two ids, a
/// `dup` or a fork shares one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FileId(pub u64);

/// A device number, as the maps line shows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// What the open file description permits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FileAccess {
    /// Opened for reading.
    pub readable: bool,
    /// Opened for writing.
    pub writable: bool,
    /// The mount forbids execution.
    pub noexec: bool,
    /// The inode is append-only.
    pub append_only: bool,
    /// An active swap file.
    pub swap_file: bool,
}

impl FileAccess {
    /// Opened for reading and writing on an ordinary mount.
    pub const READ_WRITE: FileAccess = FileAccess {
        readable: true,
        writable: true,
        noexec: false,
        append_only: false,
        swap_file: false,
    };
    /// Opened for reading on an ordinary mount.
    pub const READ_ONLY: FileAccess = FileAccess {
        writable: false,
        ..FileAccess::READ_WRITE
    };
    /// Opened for writing only on an ordinary mount.
    pub const WRITE_ONLY: FileAccess = FileAccess {
        readable: false,
        ..FileAccess::READ_WRITE
    };
}

/// Seals of a memfd that bear on mapping it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MemfdSeals {
    /// F_SEAL_WRITE: no writable shared mapping can be made.
    pub write: bool,
    /// F_SEAL_FUTURE_WRITE: no new writable shared mapping can be made.
    pub future_write: bool,
}

/// What a file system makes of MAP_SYNC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MapSync {
    /// It does not know of it: MAP_SHARED_VALIDATE is refused before anything else happens, other
    /// mappings show the flag (sf), which does nothing.
    #[default]
    Ignored,
    /// It knows of it, and the file is not on persistent memory: EOPNOTSUPP. That comes last, when
    /// what was mapped there has gone.
    Refused,
    /// The file is on persistent memory.
    Supported,
}

/// How a file behaves when mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FileKind {
    /// A file of an ordinary file system.
    Regular,
    /// tmpfs, memfd, or the object behind a shared anonymous mapping.
    SharedMemory,
    /// A System V shared memory segment as `shmat` maps it.
    SystemV,
    /// `/dev/zero`: private mappings are anonymous memory, shared ones a new shared-memory object.
    DevZero,
    /// A directory, pipe, socket or anything else that has no mapping operation.
    NoMmap,
    /// A device whose driver sets flags of its own.
    Device {
        /// Flags the driver adds, such as `IO | PFNMAP | DONTEXPAND | DONTDUMP`.
        sets: VmFlags,
        /// The driver wants to hear of every VMA that goes away, so none may vanish in a merge.
        closes: bool,
    },
    /// A huge-page file: not modelled.
    Hugetlb,
}

/// An open file description that can be mapped.
pub trait MappedFile: fmt::Debug + Send + Sync {
    /// Which open file description this is.
    fn identity(&self) -> FileId;

    /// The device the maps line shows.
    fn device(&self) -> Device;

    /// The inode number the maps line shows.
    fn inode(&self) -> u64;

    /// Writes the name as the maps line shows it: newlines as `\012`, ` (deleted)` appended.
    ///
    /// # Errors
    /// Those of `out`.
    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result;

    /// Writes the path as PROCMAP_QUERY gives it: as [`MappedFile::write_name`], but a newline
    /// stays a newline. To be implemented where names can hold one.
    ///
    /// # Errors
    /// Those of `out`.
    fn write_path(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.write_name(out)
    }

    /// The build id in the file's ELF notes, at most 20 bytes; None if it has none or that is
    /// not known.
    fn build_id(&self) -> Option<&[u8]> {
        None
    }

    /// What the description permits.
    fn access(&self) -> FileAccess;

    /// How the file behaves when mapped.
    fn kind(&self) -> FileKind;

    /// Whether the file system aligns large mappings to huge pages (ext4, xfs, btrfs and others
    /// do; see [`crate::ThpRule`] for the rule).
    fn prefers_huge_alignment(&self) -> bool {
        false
    }

    /// The largest size in bytes the file could have; mapping beyond it is EOVERFLOW.
    ///
    /// The default, `i64::MAX`, is right for every regular file (whatever its file system could
    /// hold) and for shared memory; devices have none, `u64::MAX`.
    fn max_len(&self) -> u64 {
        i64::MAX as u64
    }

    /// The largest size in bytes that its file system can hold: advice to remove what lies beyond
    /// (MADV_REMOVE) is EFBIG. At most [`MappedFile::max_len`], which is the default.
    fn max_held(&self) -> u64 {
        self.max_len()
    }

    /// The present size in bytes, where known: `mlock` beyond the end of file fails.
    fn len_hint(&self) -> Option<u64> {
        None
    }

    /// The hooks of whoever stands behind the mappings.
    fn operations(&self) -> Option<&dyn VmaOperations> {
        None
    }

    /// Seals, for a memfd.
    fn seals(&self) -> MemfdSeals {
        MemfdSeals::default()
    }

    /// What its file system makes of MAP_SYNC; by default it does not look at it.
    fn map_sync(&self) -> MapSync {
        MapSync::Ignored
    }

    /// Whether this is the object of a shared anonymous mapping, which can have a name.
    fn is_shared_anonymous(&self) -> bool {
        false
    }

    /// For [`FileKind::SharedMemory`]: whether it is a file of a tmpfs that is mounted, and neither
    /// a memfd nor shared anonymous memory. Such a mount has its own rule for huge pages.
    fn is_on_mount(&self) -> bool {
        false
    }

    /// For [`FileKind::DevZero`] mapped shared: the shared-memory object made for this mapping.
    /// Without one the mapping gets a [`SharedZero`] with inode 0.
    fn shared_zero_object(&self) -> Option<FileRef> {
        None
    }
}

/// A shared reference to an open file description.
pub type FileRef = Arc<dyn MappedFile>;

/// The object behind a shared anonymous mapping: shows as `/dev/zero (deleted)` on device 00:01.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SharedZero {
    /// Identity; each mapping has its own.
    pub id: FileId,
    /// Inode number.
    pub inode: u64,
    /// Size in bytes: the length of the mapping it was made for.
    pub len: u64,
}

impl MappedFile for SharedZero {
    fn identity(&self) -> FileId {
        self.id
    }

    fn device(&self) -> Device {
        Device { major: 0, minor: 1 }
    }

    fn inode(&self) -> u64 {
        self.inode
    }

    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str("/dev/zero (deleted)")
    }

    fn access(&self) -> FileAccess {
        FileAccess::READ_WRITE
    }

    fn kind(&self) -> FileKind {
        FileKind::SharedMemory
    }

    fn is_shared_anonymous(&self) -> bool {
        true
    }

    fn len_hint(&self) -> Option<u64> {
        Some(self.len)
    }
}
