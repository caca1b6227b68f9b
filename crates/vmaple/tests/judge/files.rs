//! The files that both sides map.

use std::ffi::CString;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use vmaple::{Device, FileAccess, FileId, FileKind, FileRef, MappedFile, SharedZero};

/// A file as the model sees it.
#[derive(Debug)]
pub(crate) struct KnownFile {
    pub(crate) id: FileId,
    pub(crate) device: Device,
    pub(crate) inode: u64,
    pub(crate) name: String,
    pub(crate) access: FileAccess,
    pub(crate) kind: FileKind,
    pub(crate) huge: bool,
    pub(crate) len: u64,
    pub(crate) max_len: u64,
    /// For `/dev/zero`: the object of the shared mapping about to be made.
    pub(crate) object: Mutex<Option<SharedZero>>,
    pub(crate) build_id: Option<Vec<u8>>,
}

impl MappedFile for KnownFile {
    fn identity(&self) -> FileId {
        self.id
    }
    fn device(&self) -> Device {
        self.device
    }
    fn inode(&self) -> u64 {
        self.inode
    }
    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(&self.name)
    }
    fn build_id(&self) -> Option<&[u8]> {
        self.build_id.as_deref()
    }
    fn access(&self) -> FileAccess {
        self.access
    }
    fn kind(&self) -> FileKind {
        self.kind
    }
    fn prefers_huge_alignment(&self) -> bool {
        self.huge
    }
    fn len_hint(&self) -> Option<u64> {
        (self.kind != FileKind::DevZero).then_some(self.len)
    }
    fn max_len(&self) -> u64 {
        self.max_len
    }
    fn shared_zero_object(&self) -> Option<FileRef> {
        let object = self.object.lock().ok().and_then(|object| *object);
        object.map(|object| -> FileRef { Arc::new(object) })
    }
}

/// An open file with its number in the child.
#[derive(Debug)]
pub(crate) struct TestFile {
    /// The parent's descriptor.
    pub(crate) file: File,
    /// The child's descriptor.
    pub(crate) fd: i32,
    /// For the model.
    pub(crate) known: Arc<KnownFile>,
}

/// First descriptor of the child that is a test file.
pub(crate) const FIRST_FD: i32 = 100;
/// Index of `/dev/zero`.
pub(crate) const DEV_ZERO: usize = 5;
/// How many there are.
pub(crate) const COUNT: usize = 9;

/// Bytes in the System V segment.
pub(crate) const SEGMENT_LEN: u64 = 5 * 4096 - 7;

/// A System V shared memory segment, removed in the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment(pub(crate) i32);

impl Segment {
    pub(crate) fn make() -> io::Result<Segment> {
        #[expect(unsafe_code, reason = "no safe call in the standard library")]
        // SAFETY: no requirement.
        let id = unsafe { libc::shmget(libc::IPC_PRIVATE, SEGMENT_LEN as usize, 0o666) };
        if id < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Segment(id))
    }

    pub(crate) fn remove(self) {
        #[expect(unsafe_code, reason = "no safe call in the standard library")]
        // SAFETY: a null buffer is permitted for IPC_RMID.
        unsafe {
            libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut())
        };
    }

    /// The description that one attachment opens.
    pub(crate) fn attached(self, id: FileId) -> KnownFile {
        KnownFile {
            id,
            device: Device { major: 0, minor: 1 },
            inode: self.0 as u64,
            name: "/SYSV00000000 (deleted)".to_owned(),
            access: FileAccess::READ_WRITE,
            kind: FileKind::SystemV,
            huge: false,
            len: SEGMENT_LEN,
            max_len: u64::MAX,
            object: Mutex::new(None),
            build_id: None,
        }
    }
}

/// Opens all of them, in a directory below the build folder.
pub(crate) fn open_all() -> io::Result<Vec<TestFile>> {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&dir)?;
    let path = dir.join(format!(
        "judge-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let shm = PathBuf::from("/dev/shm").join(path.file_name().unwrap_or_default());
    let read_write = |path: &PathBuf| {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
    };
    let opened = [
        read_write(&path)?,
        read_write(&path)?,
        OpenOptions::new().read(true).open(&path)?,
        OpenOptions::new().write(true).open(&path)?,
        memfd()?,
        OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/zero")?,
        File::open(&dir)?,
        read_write(&shm)?,
        OpenOptions::new().read(true).open(&shm)?,
    ];
    for index in [0, 4, 7] {
        opened[index].set_len(16 << 20)?;
    }
    let files = opened
        .into_iter()
        .enumerate()
        .map(|(index, file)| describe(index, file))
        .collect();
    std::fs::remove_file(&path)?;
    std::fs::remove_file(&shm)?;
    files
}

fn memfd() -> io::Result<File> {
    let name = CString::new("judge")?;
    #[expect(unsafe_code, reason = "no safe call in the standard library")]
    // SAFETY: `name` is a C string that outlives the call.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    #[expect(unsafe_code, reason = "the descriptor becomes owned here")]
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(File::from(owned))
}

fn describe(index: usize, file: File) -> io::Result<TestFile> {
    let meta = file.metadata()?;
    let dev = meta.dev();
    // The files are unlinked before they are mapped.
    let name = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let mut name = name.to_string_lossy().into_owned();
    let kind = match index {
        4 | 7 | 8 => FileKind::SharedMemory,
        DEV_ZERO => FileKind::DevZero,
        6 => FileKind::NoMmap,
        _ => FileKind::Regular,
    };
    if matches!(index, 0..=3 | 7 | 8) {
        name.push_str(" (deleted)");
    }
    let access = match index {
        2 | 6 | 8 => FileAccess::READ_ONLY,
        3 => FileAccess::WRITE_ONLY,
        _ => FileAccess::READ_WRITE,
    };
    let regular = matches!(index, 0..=3);
    let known = KnownFile {
        id: FileId(index as u64),
        device: Device {
            major: libc::major(dev),
            minor: libc::minor(dev),
        },
        inode: meta.ino(),
        name,
        access,
        kind,
        huge: regular && prefers_huge(&file),
        len: 16 << 20,
        max_len: match kind {
            FileKind::Regular | FileKind::SharedMemory => i64::MAX as u64,
            _ => u64::MAX,
        },
        object: Mutex::new(None),
        build_id: None,
    };
    let fd = FIRST_FD + i32::try_from(index).unwrap_or(0);
    Ok(TestFile {
        file,
        fd,
        known: Arc::new(known),
    })
}

/// ext4, xfs and btrfs.
fn prefers_huge(file: &File) -> bool {
    let mut info = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    #[expect(unsafe_code, reason = "no safe call in the standard library")]
    // SAFETY: `info` is valid for writes.
    let failed = unsafe { libc::fstatfs(file.as_raw_fd(), info.as_mut_ptr()) } != 0;
    #[expect(unsafe_code, reason = "plain numbers, zeroed at first")]
    // SAFETY: all bytes are initialised and any pattern is valid.
    let info = unsafe { info.assume_init() };
    !failed && [0xEF53, 0x5846_5342, 0x9123_683E].contains(&info.f_type)
}
