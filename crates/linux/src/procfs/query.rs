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
use vmaple::{AddrRange, QueryFlags};

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

const VSYSCALL: &[u8] = b"[vsyscall]";
/// The longest build id that the kernel gives, bytes.
const BUILD_ID_MAX: usize = 20;

impl MapsFile {
    /// The mapping that holds `addr`, or else the first one above it; `None` if there is
    /// none. Cost: one ioctl, 0.6 µs; reading the whole text on old kernels. (For
    /// a whole map the text is three times as fast.)
    ///
    /// # Errors
    /// [`Error::Gone`] if the address space has ended.
    pub fn mapping_at_or_after(&self, addr: u64) -> Result<Option<Mapping>, Error> {
        self.mapping_with(addr, QueryFlags::COVERING_OR_NEXT)
    }

    /// The mapping that holds `addr`, if any. Cost as [`Self::mapping_at_or_after`].
    ///
    /// # Errors
    /// [`Error::Gone`] if the address space has ended.
    pub fn mapping_at(&self, addr: u64) -> Result<Option<Mapping>, Error> {
        self.mapping_with(addr, QueryFlags::empty())
    }

    /// The mapping that holds `addr` and passes the filters of `flags`, or else, if `flags` say
    /// so, the first one above that does. Cost as [`Self::mapping_at_or_after`].
    ///
    /// # Errors
    /// [`Error::Gone`] if the address space has ended.
    pub fn mapping_with(&self, addr: u64, flags: QueryFlags) -> Result<Option<Mapping>, Error> {
        // The kernel refuses names longer than a page.
        let mut name = [0_u8; 4096];
        match self.ask(addr, flags, &mut name, &mut [])? {
            Asked::Found(found) => Ok(Some(mapping_of(&found, &name))),
            Asked::Nothing => Ok(None),
            Asked::Unable => self.query_text(addr, flags),
        }
    }

    /// The addresses alone of what [`Self::mapping_with`] finds: a quarter of its cost.
    ///
    /// # Errors
    /// [`Error::Gone`] if the address space has ended.
    pub fn range_with(&self, addr: u64, flags: QueryFlags) -> Result<Option<AddrRange>, Error> {
        match self.ask(addr, flags, &mut [], &mut [])? {
            Asked::Found(found) => Ok(Some(AddrRange::new(found.start, found.end))),
            Asked::Nothing => Ok(None),
            Asked::Unable => {
                let found = self.query_text(addr, flags)?;
                Ok(found.map(|found| AddrRange::new(found.start, found.end)))
            }
        }
    }

    /// The build id of the file mapped at `addr`; `None` where nothing is mapped, the file has
    /// no build id, or the kernel cannot be asked for it.
    ///
    /// # Errors
    /// [`Error::Gone`] if the address space has ended.
    pub fn build_id_at(&self, addr: u64) -> Result<Option<Vec<u8>>, Error> {
        let mut id = [0_u8; BUILD_ID_MAX];
        Ok(
            match self.ask(addr, QueryFlags::empty(), &mut [], &mut id)? {
                Asked::Found(found) => {
                    let len = (found.build_id_size as usize).min(id.len());
                    (len > 0).then(|| id[..len].to_vec())
                }
                Asked::Nothing | Asked::Unable => None,
            },
        )
    }

    fn ask(
        &self,
        addr: u64,
        flags: QueryFlags,
        name: &mut [u8],
        build_id: &mut [u8],
    ) -> Result<Asked, Error> {
        loop {
            let maps = self.file().as_fd();
            return match ioctl::procmap_query(maps, addr, flags.bits(), name, build_id) {
                Ok(found) => Ok(Asked::Found(found)),
                Err(Errno::EINTR) => continue,
                Err(Errno::ENOENT) => Ok(Asked::Nothing),
                // No such question before 6.11; or a name longer than a page, which the text
                // has whole.
                Err(Errno::ENOTTY | Errno::EINVAL | Errno::ENAMETOOLONG | Errno::E2BIG) => {
                    Ok(Asked::Unable)
                }
                Err(errno) => Err(Error::of_errno(self.pid(), "maps", errno)),
            };
        }
    }

    /// The same answer out of the text.
    pub(super) fn query_text(
        &self,
        addr: u64,
        flags: QueryFlags,
    ) -> Result<Option<Mapping>, Error> {
        let mut text = MapsText::new();
        self.read(&mut text)?;
        Ok(find_in_text(&text, addr, flags)?)
    }
}

/// What the kernel says to a question.
enum Asked {
    Found(ProcmapQuery),
    Nothing,
    /// It cannot answer it: the text has to.
    Unable,
}

/// The mapping that the question is for.
fn find_in_text(
    text: &MapsText,
    addr: u64,
    flags: QueryFlags,
) -> Result<Option<Mapping>, MalformedText> {
    let or_next = flags.contains(QueryFlags::COVERING_OR_NEXT);
    for line in text.lines() {
        let line = line?;
        if line.end <= addr || line.name == VSYSCALL {
            continue;
        }
        let mapping = Mapping::from(line);
        if mapping.start > addr && !or_next {
            return Ok(None);
        }
        if mapping.passes(flags) {
            return Ok(Some(mapping));
        }
        if !or_next {
            return Ok(None);
        }
    }
    Ok(None)
}

impl Mapping {
    /// Whether the filters of `flags` hold of it, as the kernel understands them.
    #[must_use]
    pub fn passes(&self, flags: QueryFlags) -> bool {
        let is_file = self.inode != 0 || (self.major, self.minor) != (0, 0);
        let has = |flag, letter| !flags.contains(flag) || self.perms.contains(&letter);
        has(QueryFlags::READABLE, b'r')
            && has(QueryFlags::WRITABLE, b'w')
            && has(QueryFlags::EXECUTABLE, b'x')
            && has(QueryFlags::SHARED, b's')
            && (!flags.contains(QueryFlags::FILE_BACKED) || is_file)
    }
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
                file.query_text(line.start, QueryFlags::empty()),
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
        let start = |addr, or_next: bool| {
            let flags = if or_next {
                QueryFlags::COVERING_OR_NEXT
            } else {
                QueryFlags::empty()
            };
            find_in_text(&text, addr, flags)
                .unwrap()
                .map(|found| found.start)
        };
        assert_eq!(start(0x1fff, false), Some(0x1000));
        assert_eq!(start(0x2000, false), None);
        assert_eq!(start(0x2000, true), Some(0x5000));
        assert_eq!(start(0x6000, true), None, "the gate mapping is left out");
    }
    #[test]
    fn filters_hold_in_text_and_ioctl_alike() {
        let file = MapsFile::open(Pid::this()).unwrap();
        let mut compared = 0;
        for bits in 0..64 {
            let flags = QueryFlags::from_bits_truncate(bits);
            let mut addr = 0;
            for _ in 0..40 {
                let by_ioctl = file.range_with(addr, flags).unwrap();
                let by_text = file.query_text(addr, flags).unwrap();
                let by_text = by_text.map(|found| AddrRange::new(found.start, found.end));
                let again = file.range_with(addr, flags).unwrap();
                // Other test threads may map meanwhile: only what is stable is compared.
                if by_ioctl == again {
                    assert_eq!(by_ioctl, by_text, "{flags:?} at {addr:#x}");
                    compared += 1;
                }
                match by_ioctl {
                    Some(found) => addr = found.end,
                    None => addr += 0x1000_0000_0000,
                }
            }
        }
        assert!(compared > 1000, "only {compared} questions compared");
    }

    #[test]
    fn a_program_has_a_build_id_and_a_stack_has_none() {
        let file = MapsFile::open(Pid::this()).unwrap();
        let text = MapsText::of(Pid::this()).unwrap();
        let first = |name: &[u8]| {
            let mut lines = text.lines().filter_map(Result::ok);
            lines.find(|line| line.name.ends_with(name)).unwrap().start
        };
        let id = file.build_id_at(first(b"libc.so.6")).unwrap();
        assert!(id.is_none_or(|id| (8..=20).contains(&id.len())));
        assert_eq!(file.build_id_at(first(b"[stack]")).unwrap(), None);
    }
}
