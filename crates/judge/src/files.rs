//! The files that both sides map.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC};
use nix::sys::statvfs::FsFlags;
use serde::{Deserialize, Serialize};
use vmaple::{Device, FileAccess, FileId, FileKind, FileRef, MapSync, MappedFile, SharedZero};

use crate::executor::BUILD_ID;

/// Names of the files in scripts, in the order of their numbers.
pub const NAMES: [&str; 9] = [
    "file", "file2", "file-ro", "file-wo", "memfd", "zero", "dir", "shm", "shm-ro",
];
/// Index of `/dev/zero`.
pub const DEV_ZERO: usize = 5;
/// First descriptor of the executor that is one of the files.
pub(crate) const FIRST_FD: i32 = 100;
/// Bytes of every file that has a length.
const LEN: u64 = 16 << 20;
/// Bytes in the System V segment.
pub(crate) const SEGMENT_LEN: u64 = 5 * 4096 - 7;

/// What of a file differs from machine to machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) inode: u64,
    pub(crate) name: String,
    /// Lies in a tmpfs.
    pub(crate) in_memory: bool,
    /// On a file system that aligns large mappings.
    pub(crate) huge: bool,
    /// On a mount without execution.
    pub(crate) noexec: bool,
    /// On a file system that refuses MAP_SYNC.
    #[serde(default)]
    pub(crate) refuses_sync: bool,
    /// Bytes that its file system can hold in a file.
    pub(crate) max_held: u64,
}

/// A file as the model sees it.
#[derive(Debug)]
pub(crate) struct KnownFile {
    id: FileId,
    facts: Facts,
    access: FileAccess,
    kind: FileKind,
    len: u64,
    max_len: u64,
    /// The executor's own.
    is_program: bool,
    /// For `/dev/zero`: the object of the shared mapping about to be made.
    pub(crate) object: Mutex<Option<SharedZero>>,
}

impl MappedFile for KnownFile {
    fn identity(&self) -> FileId {
        self.id
    }
    fn device(&self) -> Device {
        Device {
            major: self.facts.major,
            minor: self.facts.minor,
        }
    }
    fn inode(&self) -> u64 {
        self.facts.inode
    }
    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(&self.facts.name)
    }
    fn build_id(&self) -> Option<&[u8]> {
        self.is_program.then_some(&BUILD_ID[..])
    }
    fn access(&self) -> FileAccess {
        self.access
    }
    fn kind(&self) -> FileKind {
        self.kind
    }
    fn prefers_huge_alignment(&self) -> bool {
        self.facts.huge
    }
    fn len_hint(&self) -> Option<u64> {
        (self.kind != FileKind::DevZero).then_some(self.len)
    }
    fn is_on_mount(&self) -> bool {
        self.facts.in_memory && !self.facts.name.starts_with("/memfd:")
    }
    fn map_sync(&self) -> MapSync {
        if self.facts.refuses_sync {
            MapSync::Refused
        } else {
            MapSync::Ignored
        }
    }
    fn max_len(&self) -> u64 {
        self.max_len
    }
    fn max_held(&self) -> u64 {
        self.facts.max_held.min(self.max_len)
    }
    fn shared_zero_object(&self) -> Option<FileRef> {
        let object = self.object.lock().ok().and_then(|object| *object);
        object.map(|object| -> FileRef { Arc::new(object) })
    }
}

impl KnownFile {
    /// File number `index` of [`NAMES`].
    pub(crate) fn of_index(index: usize, facts: Facts) -> KnownFile {
        let kind = match index {
            DEV_ZERO => FileKind::DevZero,
            6 => FileKind::NoMmap,
            _ if facts.in_memory => FileKind::SharedMemory,
            _ => FileKind::Regular,
        };
        let access = match index {
            2 | 6 | 8 => FileAccess::READ_ONLY,
            3 => FileAccess::WRITE_ONLY,
            _ => FileAccess::READ_WRITE,
        };
        let sized = matches!(kind, FileKind::Regular | FileKind::SharedMemory);
        KnownFile {
            id: FileId(index as u64),
            access: FileAccess {
                noexec: facts.noexec,
                ..access
            },
            kind,
            len: if index == 1 { 0 } else { LEN },
            max_len: if sized { i64::MAX as u64 } else { u64::MAX },
            facts,
            is_program: false,
            object: Mutex::new(None),
        }
    }

    /// The executor's program.
    pub(crate) fn of_program(number: u64, facts: Facts) -> KnownFile {
        KnownFile {
            id: FileId(1000 + number),
            facts,
            access: FileAccess::READ_ONLY,
            kind: FileKind::Regular,
            len: u64::MAX >> 1,
            max_len: u64::MAX,
            is_program: true,
            object: Mutex::new(None),
        }
    }

    /// What one attachment of the System V segment `number` opens.
    pub(crate) fn of_segment(number: u64, id: FileId) -> KnownFile {
        KnownFile {
            id,
            facts: Facts {
                major: 0,
                minor: 1,
                inode: number,
                name: "/SYSV00000000 (deleted)".to_owned(),
                in_memory: true,
                huge: false,
                noexec: false,
                refuses_sync: false,
                max_held: u64::MAX,
            },
            access: FileAccess::READ_WRITE,
            kind: FileKind::SystemV,
            len: SEGMENT_LEN,
            max_len: u64::MAX,
            is_program: false,
            object: Mutex::new(None),
        }
    }
}

/// A System V shared memory segment that goes away with whoever holds it.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Its number.
    pub(crate) id: i32,
    /// Where this process has it attached.
    at: usize,
}

#[expect(unsafe_code, reason = "no safe calls in the libraries used here")]
impl Segment {
    /// Makes one and removes it at once: Linux lets a removed segment be attached by its number
    /// for as long as one attachment is left. So it is gone with this process, however that ends.
    pub(crate) fn make() -> io::Result<Segment> {
        // SAFETY: no requirement.
        let id = unsafe { libc::shmget(libc::IPC_PRIVATE, SEGMENT_LEN as usize, 0o666) };
        if id < 0 {
            return Err(io::Error::last_os_error());
        }
        let segment = Segment::attach(id);
        // SAFETY: a null buffer is permitted for IPC_RMID.
        let removed = unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        if segment.is_ok() && removed < 0 {
            return Err(io::Error::last_os_error());
        }
        segment
    }

    /// Attaches the segment `id` to this process.
    fn attach(id: i32) -> io::Result<Segment> {
        // SAFETY: the kernel places the attachment where nothing is.
        let at = unsafe { libc::shmat(id, std::ptr::null(), 0) } as usize;
        if at == usize::MAX {
            return Err(io::Error::last_os_error());
        }
        Ok(Segment { id, at })
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "no safe call in the libraries used here")]
        // SAFETY: nothing refers to the attachment's memory: its address never leaves this type.
        unsafe {
            libc::shmdt(self.at as *const libc::c_void)
        };
    }
}

/// Opens all files, in the folder for temporary files and in `/dev/shm`; they have no name any
/// more when this returns.
///
/// # Errors
/// A file cannot be made.
pub(crate) fn open_all() -> io::Result<Vec<File>> {
    static NEXT: Mutex<u64> = Mutex::new(0);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    *next += 1;
    let number = *next;
    drop(next);
    let name = format!("vmaple-judge-{}-{number}", std::process::id());
    let dir = std::env::temp_dir();
    let paths = [
        dir.join(&name),
        dir.join(format!("{name}-2")),
        PathBuf::from("/dev/shm").join(&name),
    ];
    let opened = open(&paths, &dir);
    for path in &paths {
        // One that was never made cannot be removed.
        let _ = std::fs::remove_file(path);
    }
    opened
}

fn open([first, second, shm]: &[PathBuf; 3], dir: &PathBuf) -> io::Result<Vec<File>> {
    let mut read_write = OpenOptions::new();
    read_write.read(true).write(true);
    let mut new = read_write.clone();
    new.create_new(true);
    let mut read_only = OpenOptions::new();
    read_only.read(true);
    let memfd = memfd_create(c"judge", MFdFlags::MFD_CLOEXEC)?;
    let opened = vec![
        new.open(first)?,
        new.open(second)?,
        read_only.open(first)?,
        OpenOptions::new().write(true).open(first)?,
        File::from(memfd),
        read_write.open("/dev/zero")?,
        read_only.open(dir)?,
        new.open(shm)?,
        read_only.open(shm)?,
    ];
    for index in [0, 4, 7] {
        opened[index].set_len(LEN)?;
    }
    Ok(opened)
}

/// What the file system says about a file; what maps shows of it is filled in later.
pub(crate) fn facts_of(file: &File) -> io::Result<Facts> {
    let filesystem = nix::sys::statfs::fstatfs(file)?;
    let kind = filesystem.filesystem_type();
    let is_file = file.metadata()?.is_file();
    let flags = nix::sys::statvfs::fstatvfs(file)?.flags();
    let link = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    Ok(Facts {
        major: 0,
        minor: 0,
        inode: 0,
        name: link.to_string_lossy().into_owned(),
        in_memory: kind == TMPFS_MAGIC,
        huge: [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC].contains(&kind),
        noexec: flags.contains(FsFlags::ST_NOEXEC),
        refuses_sync: is_file && [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC].contains(&kind),
        max_held: max_held(file),
    })
}

/// The largest offset that the file system lets one seek to: what it can hold.
fn max_held(mut file: &File) -> u64 {
    let (mut good, mut bad) = (0, i64::MAX.cast_unsigned() + 1);
    while good + 1 < bad {
        let middle = good.midpoint(bad);
        match file.seek(SeekFrom::Start(middle)) {
            Ok(_) => good = middle,
            Err(_) => bad = middle,
        }
    }
    // Calls with an offset of their own do not look at this one; where it cannot be set back, it
    // was not moved.
    let _ = file.rewind();
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_removed_from_its_first_moment_and_can_still_be_attached() {
        let Ok(segment) = Segment::make() else {
            eprintln!("skipped: no System V memory");
            return;
        };
        let id = segment.id.to_string();
        let listed = |id: &str| {
            let text = std::fs::read_to_string("/proc/sysvipc/shm").expect("the list of segments");
            let mut lines = text.lines().map(str::split_whitespace);
            let line = lines.find(|words| words.clone().nth(1) == Some(id));
            line.and_then(|mut words| u32::from_str_radix(words.nth(2)?, 8).ok())
        };
        // SHM_DEST: gone with the last attachment.
        assert_eq!(listed(&id).map(|mode| mode & 0o1000), Some(0o1000));
        drop(Segment::attach(segment.id).expect("a segment that is attached already"));
        drop(segment);
        assert_eq!(listed(&id), None);
    }
}
