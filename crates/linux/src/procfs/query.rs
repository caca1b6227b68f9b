//! One mapping at or after an address, without reading the whole map.
//!
//! Uses the `PROCMAP_QUERY` ioctl (Linux 6.11) on the open maps file, and the text where the
//! kernel answers `ENOTTY`. Both give the same fields; the name comes out as /proc/TID/maps
//! prints it (the ioctl leaves newlines as they are, so they are escaped here).
//!
//! Differences that remain: the ioctl does not know the gate mapping (`[vsyscall]`), so the
//! text fallback leaves it out too.

use std::os::fd::AsFd;

use nix::errno::Errno;

use super::files::escape_newlines;
use super::ioctl::{self, ProcmapQuery};
use super::maps::{MapsFile, MapsLine, MapsText};
use super::{Error, MalformedText};

/// A mapping, with the fields of a maps line and its page size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// First address, bytes.
    pub start: u64,
    /// First address after it, bytes (exclusive).
    pub end: u64,
    /// Permission letters as maps prints them, for example `r-xp`.
    pub perms: [u8; 4],
    /// Size of its pages, bytes; larger than the machine's page for hugetlb. `None` where the
    /// kernel's text had to be used.
    pub page_size: Option<u64>,
    /// Offset into the file, bytes.
    pub offset: u64,
    /// Major number of the filesystem's device.
    pub major: u32,
    /// Minor number of the filesystem's device.
    pub minor: u32,
    /// Inode number; 0 without a file.
    pub inode: u64,
    /// Name as maps prints it.
    pub name: Vec<u8>,
}

impl From<MapsLine<'_>> for Mapping {
    fn from(line: MapsLine<'_>) -> Mapping {
        let MapsLine {
            start,
            end,
            perms,
            offset,
            major,
            minor,
            inode,
            name,
        } = line;
        let name = name.to_vec();
        Mapping {
            start,
            end,
            perms,
            page_size: None,
            offset,
            major,
            minor,
            inode,
            name,
        }
    }
}

const COVERING_OR_NEXT: u64 = 0x10;
const VSYSCALL: &[u8] = b"[vsyscall]";

impl MapsFile {
    /// The mapping that holds `addr`, or else the first one above it; `None` if there is
    /// none. Cost: one ioctl, 0.6 µs; reading the whole text on old kernels. (For
    /// a whole map the text is three times as fast.)
    ///
    /// # Errors
    /// [`Error::Gone`] if the address space has ended.
    pub fn mapping_at_or_after(&self, addr: u64) -> Result<Option<Mapping>, Error> {
        self.query(addr, COVERING_OR_NEXT)
    }

    /// The mapping that holds `addr`, if any. Cost as [`Self::mapping_at_or_after`].
    ///
    /// # Errors
    /// [`Error::Gone`] if the address space has ended.
    pub fn mapping_at(&self, addr: u64) -> Result<Option<Mapping>, Error> {
        self.query(addr, 0)
    }

    fn query(&self, addr: u64, flags: u64) -> Result<Option<Mapping>, Error> {
        // The kernel refuses name buffers larger than a page.
        let mut name = [0_u8; 4096];
        loop {
            return match ioctl::procmap_query(self.file().as_fd(), addr, flags, &mut name) {
                Ok(found) => Ok(Some(mapping_of(&found, &name))),
                Err(Errno::EINTR) => continue,
                Err(Errno::ENOENT) => Ok(None),
                // No such question before 6.11; or a name longer than a page, which the text
                // has whole.
                Err(Errno::ENOTTY | Errno::EINVAL | Errno::ENAMETOOLONG | Errno::E2BIG) => {
                    self.query_text(addr, flags)
                }
                Err(errno) => Err(Error::of_errno(self.pid(), "maps", errno)),
            };
        }
    }

    /// The same answer out of the text.
    pub(super) fn query_text(&self, addr: u64, flags: u64) -> Result<Option<Mapping>, Error> {
        let mut text = MapsText::new();
        self.read(&mut text)?;
        Ok(find_in_text(&text, addr, flags == COVERING_OR_NEXT)?)
    }
}

/// The mapping at `addr`, or, if `or_next`, the first after it.
fn find_in_text(
    text: &MapsText,
    addr: u64,
    or_next: bool,
) -> Result<Option<Mapping>, MalformedText> {
    for line in text.lines() {
        let line = line?;
        if line.end > addr && line.name != VSYSCALL {
            return Ok((or_next || line.start <= addr).then(|| line.into()));
        }
    }
    Ok(None)
}

fn mapping_of(found: &ProcmapQuery, name: &[u8]) -> Mapping {
    let letter = |bit: u64, letter: u8| if found.flags & bit != 0 { letter } else { b'-' };
    let shared = if found.flags & 8 != 0 { b's' } else { b'p' };
    // `name_size` counts the final NUL and is 0 without a name.
    let name_len = (found.name_size as usize).saturating_sub(1).min(name.len());
    Mapping {
        start: found.start,
        end: found.end,
        perms: [letter(1, b'r'), letter(2, b'w'), letter(4, b'x'), shared],
        page_size: Some(found.page_size),
        offset: found.offset,
        major: found.major,
        minor: found.minor,
        inode: found.inode,
        name: escape_newlines(&name[..name_len]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::Pid;

    #[test]
    fn text_and_ioctl_agree_on_every_mapping() {
        let file = MapsFile::open(Pid::this()).unwrap();
        let text = MapsText::of(Pid::this()).unwrap();
        let mut compared = 0;
        for line in text.lines() {
            let line = line.unwrap();
            let (Ok(Some(by_ioctl)), Ok(Some(by_text)), Ok(Some(again))) = (
                file.mapping_at(line.start),
                file.query_text(line.start, 0),
                file.mapping_at(line.start),
            ) else {
                continue;
            };
            // Other test threads may map meanwhile: only what is stable is compared.
            if by_ioctl != again {
                continue;
            }
            assert_eq!(
                by_text,
                Mapping {
                    page_size: None,
                    ..by_ioctl
                }
            );
            compared += 1;
        }
        assert!(compared > 10, "only {compared} mappings compared");
    }

    #[test]
    fn text_search_finds_covering_next_and_none() {
        let text = MapsText::from(
            b"00001000-00002000 r--p 00000000 00:00 0 \n\
              00005000-00006000 r--p 00000000 00:00 0 \n\
              ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
                .to_vec(),
        );
        let start = |addr, or_next| {
            find_in_text(&text, addr, or_next)
                .unwrap()
                .map(|found| found.start)
        };
        assert_eq!(start(0x1fff, false), Some(0x1000));
        assert_eq!(start(0x2000, false), None);
        assert_eq!(start(0x2000, true), Some(0x5000));
        assert_eq!(start(0x6000, true), None, "the gate mapping is left out");
    }
}
