//! Advice, against results recorded from Linux 6.18.

use std::fmt;
use std::sync::Arc;

use vmaple::{
    CallError, Device, Errno, FileAccess, FileId, FileKind, MappedFile, Mm, MmConfig, MmapArgs,
};

/// `/dev/zero`, opened for reading and writing.
#[derive(Debug)]
struct Zero;

impl MappedFile for Zero {
    fn identity(&self) -> FileId {
        FileId(1)
    }

    fn device(&self) -> Device {
        Device { major: 0, minor: 6 }
    }

    fn inode(&self) -> u64 {
        4
    }

    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str("/dev/zero")
    }

    fn access(&self) -> FileAccess {
        FileAccess::READ_WRITE
    }

    fn kind(&self) -> FileKind {
        FileKind::DevZero
    }

    fn max_len(&self) -> u64 {
        u64::MAX
    }
}

#[test]
fn no_hole_is_punched_beyond_the_largest_offset() {
    const REMOVE: i32 = 9;
    let (read_write, shared) = (3, 1);
    let mut mm = Mm::new(MmConfig::x86_64());
    let mut map = |offset| {
        let args = MmapArgs::file(0, 0x2000, read_write, shared, Arc::new(Zero), offset);
        let at = mm.mmap(&args).unwrap();
        let whole = mm.madvise(at, 0x2000, REMOVE);
        let second = mm.madvise(at + 0x1000, 0x1000, REMOVE);
        (whole, second)
    };
    assert_eq!(map(0), (Ok(()), Ok(())));
    let errno = |errno| Err(CallError::Errno(errno));
    let last_page = 0x7fff_ffff_ffff_f000;
    assert_eq!(map(last_page), (errno(Errno::EFBIG), errno(Errno::EINVAL)));
}
