//! What a memory call sees of an open file description.
//!
//! # Device and inode
//!
//! maps prints the device of the file's *superblock* and the kernel's inode number. `stat`
//! asks the filesystem, and btrfs (subvolumes), overlayfs, bcachefs and some others answer
//! with something else. For filesystems known to answer alike `stat` is used; for all others
//! the file is mapped for a moment in our own process, inaccessible and private, and the
//! kernel is asked what it prints for that mapping. Where we have no readable descriptor
//! (a file opened for writing only, which cannot be mapped anyway) `stat` has to do.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::statfs::fstatfs;
use nix::sys::statvfs::FsFlags;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::FileName;
use crate::procfs::Error;
use crate::procfs::ioctl::{self, ScratchPage};
use crate::procfs::machine;
use crate::procfs::maps::MapsFile;
use crate::procfs::query::Mapping;
use crate::procfs::smaps;

/// A device's two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceNumber {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// What kind of object it is, as far as mapping it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file of a filesystem, also one of /proc or /sys (see
    /// [`FileFacts::filesystem_magic`]).
    Regular,
    /// Memory with a name: tmpfs, /dev/shm, memfd, System V segment, shared anonymous.
    SharedMemory,
    /// The device 1:5. Mapped privately it is anonymous memory, mapped shared the kernel
    /// makes a new shared object.
    DevZero,
    /// Cannot be mapped.
    Directory,
    /// Another character device; its driver decides.
    CharDevice(DeviceNumber),
    /// A block device.
    BlockDevice(DeviceNumber),
    /// A file of hugetlbfs, or a memfd with huge pages.
    Hugetlb,
    /// eventfd, io_uring, perf event, the ring of `io_setup` and so on; its driver decides.
    AnonymousInode,
    /// Pipe, socket, symbolic link: cannot be mapped.
    Other,
}

/// Facts of an open file description at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Device as maps prints it.
    pub device: DeviceNumber,
    /// Inode as maps prints it.
    pub inode: u64,
    /// Name as maps prints it.
    pub name: FileName,
    /// Opened for reading.
    pub readable: bool,
    /// Opened for writing.
    pub writable: bool,
    /// The inode has the append-only attribute (not: opened with `O_APPEND`).
    pub append_only: bool,
    /// Kind of object.
    pub kind: FileKind,
    /// The mount forbids execution.
    pub noexec: bool,
    /// Type of the filesystem, the `f_type` of `statfs`.
    pub filesystem_magic: u64,
    /// Size, bytes.
    pub size_bytes: u64,
    /// `F_GET_SEALS` of shared memory, 0 where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seals: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

const TMPFS_MAGIC: u64 = 0x0102_1994;
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;
pub(crate) const ANON_INODE_FS_MAGIC: u64 = 0x0904_1934;
/// The rings of `io_setup`, whose inodes have no type at all.
const AIO_RING_MAGIC: u64 = 0xa10a_10a1;

/// Filesystems whose `stat` gives the device and inode that maps prints.
const STAT_AGREES: [u64; 12] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0xf2f5_2010, // f2fs
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // erofs
    0x4d44,      // vfat
    0x8584_58f6, // ramfs
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    TMPFS_MAGIC,
    HUGETLBFS_MAGIC,
    ANON_INODE_FS_MAGIC,
];

impl FileFacts {
    /// Facts of `fd`, a descriptor of ours, whose description has the status flags `flags`.
    pub(super) fn of(fd: BorrowedFd<'_>, flags: OFlag) -> Result<FileFacts, Errno> {
        let found = ioctl::statx(fd)?;
        let filesystem = fstatfs(fd)?;
        let magic = magic_of(filesystem.filesystem_type().0);
        let rdev = DeviceNumber {
            major: found.stx_rdev_major,
            minor: found.stx_rdev_minor,
        };
        let kind = kind_of(u32::from(found.stx_mode), rdev, magic);
        let mut facts = FileFacts {
            device: DeviceNumber {
                major: found.stx_dev_major,
                minor: found.stx_dev_minor,
            },
            inode: found.stx_ino,
            name: FileName::default(),
            readable: is_readable(flags),
            writable: is_writable(flags),
            append_only: found.stx_attributes & libc::STATX_ATTR_APPEND as u64 != 0,
            kind,
            noexec: filesystem.flags().contains(FsFlags::ST_NOEXEC),
            filesystem_magic: magic,
            size_bytes: found.stx_size,
            seals: if kind == FileKind::SharedMemory {
                seals_of(fd)
            } else {
                0
            },
        };
        let mapping = facts.needs_mapping().then(|| mapping_of(fd)).flatten();
        if let Some(mapping) = &mapping {
            facts.set_mapping(mapping);
        }
        match (FileName::of_descriptor(fd), mapping) {
            (Ok(name), _) => facts.name = name,
            // Too long for readlink: a mapping prints it whole.
            (Err(_), None) => facts.name = name_by_mapping(fd),
            (Err(_), Some(_)) => {}
        }
        Ok(facts)
    }

    fn needs_mapping(&self) -> bool {
        self.kind == FileKind::Regular
            && self.readable
            && !STAT_AGREES.contains(&self.filesystem_magic)
    }

    /// Takes over what the kernel prints for a mapping of the file.
    fn set_mapping(&mut self, mapping: &Mapping) {
        self.device = DeviceNumber {
            major: mapping.major,
            minor: mapping.minor,
        };
        self.inode = mapping.inode;
        self.name = FileName::from_maps(&mapping.name);
    }
}

/// The seals of shared memory; files that cannot be sealed have none.
fn seals_of(fd: BorrowedFd<'_>) -> u32 {
    fcntl(fd, FcntlArg::F_GET_SEALS).map_or(0, i32::cast_unsigned)
}

/// `f_type` has different integer types on different systems.
fn magic_of(raw: impl Into<i128>) -> u64 {
    // The numbers are 32 bits wide and may arrive sign-extended.
    (raw.into() & 0xffff_ffff) as u64
}

pub(super) fn is_readable(flags: OFlag) -> bool {
    matches!(
        flags.bits() & libc::O_ACCMODE,
        libc::O_RDONLY | libc::O_RDWR
    )
}

pub(super) fn is_writable(flags: OFlag) -> bool {
    matches!(
        flags.bits() & libc::O_ACCMODE,
        libc::O_WRONLY | libc::O_RDWR
    )
}

fn kind_of(mode: u32, rdev: DeviceNumber, magic: u64) -> FileKind {
    const DEV_ZERO: DeviceNumber = DeviceNumber { major: 1, minor: 5 };
    match mode & libc::S_IFMT {
        _ if matches!(magic, ANON_INODE_FS_MAGIC | AIO_RING_MAGIC) => FileKind::AnonymousInode,
        libc::S_IFREG => match magic {
            TMPFS_MAGIC => FileKind::SharedMemory,
            HUGETLBFS_MAGIC => FileKind::Hugetlb,
            _ => FileKind::Regular,
        },
        libc::S_IFDIR => FileKind::Directory,
        libc::S_IFCHR if rdev == DEV_ZERO => FileKind::DevZero,
        libc::S_IFCHR => FileKind::CharDevice(rdev),
        libc::S_IFBLK => FileKind::BlockDevice(rdev),
        _ => FileKind::Other,
    }
}

/// What maps prints for a mapping of `fd`, tried out in our own process.
fn mapping_of(fd: BorrowedFd<'_>) -> Option<Mapping> {
    let len = usize::try_from(machine::page_size()).ok()?;
    let page = ScratchPage::of_file(len, fd).ok()?;
    let maps = MapsFile::open(Pid::this()).ok()?;
    maps.mapping_at(page.address()).ok()?
}

fn name_by_mapping(fd: BorrowedFd<'_>) -> FileName {
    mapping_of(fd).map_or_else(FileName::default, |mapping| {
        FileName::from_maps(&mapping.name)
    })
}

/// Facts of the file mapped at exactly `start..end` (bytes) in process `pid`; `None` if that
/// is no file mapping. Does not keep the file busy.
///
/// The access of the description that was mapped is not to be had in full. `readable` is
/// true, since nothing else can be mapped. `writable` is exact for shared mappings, and false
/// for private ones, where no memory call asks for it. (The permission bits of the links in
/// /proc/TID/map_files seem to tell it, but the kernel keeps them when another file comes to
/// be mapped at the same range.)
///
/// Without `CAP_CHECKPOINT_RESTORE` (or `CAP_SYS_ADMIN`) the file is found by its path
/// instead; a deleted or replaced file then gives only what maps prints, with kind
/// [`FileKind::SharedMemory`] for the names of shared memory and [`FileKind::Regular`]
/// otherwise, and magic and size 0.
///
/// # Errors
/// [`Error::Gone`], [`Error::Denied`].
pub fn map_files_facts(pid: Pid, start: u64, end: u64) -> Result<Option<FileFacts>, Error> {
    Ok(open_mapped(pid, start, end)?.map(|(facts, _)| facts))
}

/// The same, and an `O_PATH` descriptor of the file if one could be opened.
pub(super) fn open_mapped(
    pid: Pid,
    start: u64,
    end: u64,
) -> Result<Option<(FileFacts, Option<OwnedFd>)>, Error> {
    let found = MapsFile::open(pid)?.mapping_at(start)?;
    let is_file = |mapping: &Mapping| {
        (mapping.start, mapping.end) == (start, end)
            && (mapping.major, mapping.minor, mapping.inode) != (0, 0, 0)
    };
    let Some(mapping) = found.filter(is_file) else {
        return Ok(None);
    };
    let link = PathBuf::from(format!("/proc/{pid}/map_files/{start:x}-{end:x}"));
    let path = open_path(&link)
        .or_else(|_| open_same_file(&link, &mapping))
        .ok();
    let flags = if mapping.perms[3] == b's' && may_write(pid, start, end)? {
        OFlag::O_RDWR
    } else {
        OFlag::O_RDONLY
    };
    let known = path
        .as_ref()
        .and_then(|path| FileFacts::of(path.as_fd(), flags).ok());
    let mut facts = known.unwrap_or_else(|| facts_of_name(&mapping, flags));
    facts.set_mapping(&mapping);
    Ok(Some((facts, path)))
}

/// Whether a shared mapping may be made writable: only if its description is open for
/// writing.
fn may_write(pid: Pid, start: u64, end: u64) -> Result<bool, Error> {
    Ok(smaps::vm_flags_at(pid, start, end)?
        .iter()
        .any(|mapping| mapping.has("mw")))
}

/// Opens without reading or writing: keeps no file busy.
pub(super) fn open_path(path: &Path) -> io::Result<OwnedFd> {
    let opened = File::options()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)?;
    Ok(opened.into())
}

/// Opens the path that the link names, if the mapped file is still there.
fn open_same_file(link: &Path, mapping: &Mapping) -> io::Result<OwnedFd> {
    let path = std::fs::read_link(link)?;
    let opened = open_path(&path)?;
    let found = ioctl::statx(opened.as_fd())?;
    let is_same = found.stx_ino == mapping.inode
        && super::escape_newlines(path.as_os_str().as_bytes()) == mapping.name;
    if is_same {
        Ok(opened)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// What can be said about a mapped file that cannot be opened.
fn facts_of_name(mapping: &Mapping, flags: OFlag) -> FileFacts {
    let is_shared_memory = [
        &b"/dev/zero (deleted)"[..],
        b"/memfd:",
        b"/SYSV",
        b"/dev/shm/",
    ]
    .iter()
    .any(|prefix| mapping.name.starts_with(prefix));
    FileFacts {
        device: DeviceNumber {
            major: mapping.major,
            minor: mapping.minor,
        },
        inode: mapping.inode,
        name: FileName::from_maps(&mapping.name),
        readable: is_readable(flags),
        writable: is_writable(flags),
        append_only: false,
        kind: if is_shared_memory {
            FileKind::SharedMemory
        } else {
            FileKind::Regular
        },
        noexec: false,
        filesystem_magic: 0,
        size_bytes: 0,
        seals: 0,
    }
}
