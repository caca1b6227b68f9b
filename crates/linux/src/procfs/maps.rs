//! The text of /proc/TID/maps: read it whole into one reused buffer, parse it line by line.
//!
//! # Why not a ready-made parser
//!
//! The `procfs` crate was looked at first. It turns names into an enum of `PathBuf`s and
//! known bracketed words, trims them, drops the distinction between the device's text and
//! its number, and allocates per line. A mirror has to compare every byte of a name, so the
//! fields stay raw here: [`MapsLine`] borrows from the text, and writing it out again gives
//! the same bytes ([`MapsLine`]'s `Display`).
//!
//! # The format
//!
//! ```text
//! 7f0c1a400000-7f0c1a428000 r--p 00000000 fe:00 1050644                    /usr/lib/libc.so.6
//! start        end          perms offset  dev   inode       padded to column 73, then the name
//! ```
//!
//! A newline inside a file's name arrives as the four characters `\012`; a backslash is not
//! escaped, so the name is a faithful *image* and not always reversible. `" (deleted)"` is
//! part of the name. Names may begin with and hold spaces: the name begins at a fixed column
//! and is not found by trimming.
//!
//! # Consistency
//!
//! The kernel fills at most one page of text per read call, and since 6.17 takes no lock of
//! the whole address space: while other threads change the map, one text may show a range
//! twice or go backwards. Stop the threads, or tolerate it.

use std::fmt;
use std::fs::File;

use nix::unistd::Pid;

use super::text::{self, Cursor};
use super::{Error, MalformedText, process};

/// Column where a name begins on 64-bit kernels, counted from 0.
const NAME_COLUMN: usize = 73;

/// An open /proc/TID/maps.
///
/// It stays bound to the address space that the task had when it was opened: after an
/// `execve` of the task, reads give [`Error::Gone`] and the file has to be opened again.
#[derive(Debug)]
pub struct MapsFile {
    pid: Pid,
    file: File,
}

impl MapsFile {
    /// Opens /proc/TID/maps. Cost: about 3 µs.
    ///
    /// # Errors
    /// [`Error::Gone`] and [`Error::Denied`] as everywhere in this module.
    pub fn open(pid: Pid) -> Result<MapsFile, Error> {
        Ok(MapsFile {
            pid,
            file: text::open(pid, "maps")?,
        })
    }

    /// The task it was opened for.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Replaces `text` by the current map. Keeps the descriptor and the buffer.
    ///
    /// Cost: one read call per 4 KiB of text (the kernel does not give more at once), about
    /// 220 ns per line, of which keeping the descriptor saves 7 µs per read. Parsing adds 35 ns
    /// per line.
    ///
    /// # Errors
    /// [`Error::Gone`] if the address space has ended, also by an `execve` of the task. A
    /// live task that has unmapped everything has an empty text and is no error.
    pub fn read(&self, text: &mut MapsText) -> Result<(), Error> {
        text::read_all(&self.file, self.pid, "maps", &mut text.bytes)?;
        if text.bytes.is_empty() {
            self.check_alive()?;
        }
        Ok(())
    }

    /// Reads the lines that begin below `limit`, for the price of those lines.
    ///
    /// # Errors
    /// As [`MapsFile::read`].
    pub fn read_below(&self, limit: u64, text: &mut MapsText) -> Result<(), Error> {
        text::read_until(&self.file, self.pid, "maps", &mut text.bytes, |bytes| {
            let line = bytes.rsplit(|byte| *byte == b'\n').nth(1).unwrap_or(&[]);
            MapsLine::parse(line).is_ok_and(|line| line.start >= limit)
        })?;
        if text.bytes.is_empty() {
            self.check_alive()?;
        }
        let mut below = 0;
        let mut rest = text.bytes.as_slice();
        while let Some((line, after)) = text::split_line(rest) {
            if MapsLine::parse(line).is_ok_and(|line| line.start >= limit) {
                break;
            }
            below = text.bytes.len() - after.len();
            rest = after;
        }
        text.bytes.truncate(below);
        Ok(())
    }

    /// Tells a really empty address space from one that has ended.
    fn check_alive(&self) -> Result<(), Error> {
        let gone = Error::Gone {
            pid: self.pid,
            what: "maps",
        };
        let mut now = Vec::new();
        text::read_all(&text::open(self.pid, "maps")?, self.pid, "maps", &mut now)?;
        if now.is_empty() && !process::Stat::read(self.pid)?.is_dead() {
            Ok(())
        } else {
            Err(gone)
        }
    }
}

/// The text of one /proc/TID/maps, in a buffer that is reused from read to read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct MapsText {
    bytes: Vec<u8>,
}

impl MapsText {
    /// An empty text.
    #[must_use]
    pub fn new() -> MapsText {
        MapsText::default()
    }

    /// Opens and reads /proc/TID/maps once. For repeated reads keep a [`MapsFile`].
    ///
    /// # Errors
    /// As [`MapsFile::open`] and [`MapsFile::read`].
    pub fn of(pid: Pid) -> Result<MapsText, Error> {
        let mut text = MapsText::new();
        MapsFile::open(pid)?.read(&mut text)?;
        Ok(text)
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The parsed lines, in the order of the text. Allocates nothing.
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        Lines::new(&self.bytes)
    }
}

impl From<Vec<u8>> for MapsText {
    fn from(bytes: Vec<u8>) -> Self {
        MapsText { bytes }
    }
}

/// One line of maps, every field as the kernel printed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapsLine<'a> {
    /// First address, bytes.
    pub start: u64,
    /// First address after the mapping, bytes (exclusive).
    pub end: u64,
    /// `r` or `-`, `w` or `-`, `x` or `-`, `s` (may be shared) or `p`.
    pub perms: [u8; 4],
    /// Offset into the file, bytes; 0 where there is no file.
    pub offset: u64,
    /// Major number of the filesystem's device; 0 where there is no file.
    pub major: u32,
    /// Minor number of the filesystem's device.
    pub minor: u32,
    /// Inode number; 0 where there is no file.
    pub inode: u64,
    /// The name as printed, empty where there is none: path with `\012` for newlines and
    /// `" (deleted)"`, or a bracketed word such as `[heap]`.
    pub name: &'a [u8],
}

impl<'a> MapsLine<'a> {
    /// Parses one line, given without its newline.
    ///
    /// # Errors
    /// What was expected and missing. The caller knows the line number.
    pub fn parse(line: &'a [u8]) -> Result<MapsLine<'a>, &'static str> {
        let mut at = Cursor::new(line);
        let start = at.hex().ok_or("no start address")?;
        at.expect(b'-').ok_or("no '-' after the start address")?;
        let end = at.hex().ok_or("no end address")?;
        at.expect(b' ').ok_or("no space after the end address")?;
        let perms = at.take::<4>().ok_or("no permissions")?;
        if !perms_are_valid(perms) {
            return Err("unknown permission letters");
        }
        at.expect(b' ').ok_or("no space after the permissions")?;
        let offset = at.hex().ok_or("no offset")?;
        at.expect(b' ').ok_or("no space after the offset")?;
        let major = at
            .hex()
            .and_then(|n| u32::try_from(n).ok())
            .ok_or("no major number")?;
        at.expect(b':').ok_or("no ':' in the device")?;
        let minor = at
            .hex()
            .and_then(|n| u32::try_from(n).ok())
            .ok_or("no minor number")?;
        at.expect(b' ').ok_or("no space after the device")?;
        let inode = at.decimal().ok_or("no inode")?;
        at.expect(b' ').ok_or("no space after the inode")?;
        if end <= start {
            return Err("the end is not after the start");
        }
        let name = name_after(line, at.position())?;
        Ok(MapsLine {
            start,
            end,
            perms,
            offset,
            major,
            minor,
            inode,
            name,
        })
    }

    /// Length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the last permission letter is `s`.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.perms[3] == b's'
    }
}

fn perms_are_valid(perms: [u8; 4]) -> bool {
    matches!(perms[0], b'r' | b'-')
        && matches!(perms[1], b'w' | b'-')
        && matches!(perms[2], b'x' | b'-')
        && matches!(perms[3], b's' | b'p')
}

/// The name field, where `inode_end` is just after the space that follows the inode.
///
/// The kernel pads to [`NAME_COLUMN`] - 1 and puts one more space, also where the fields are
/// already wider than that.
fn name_after(line: &[u8], inode_end: usize) -> Result<&[u8], &'static str> {
    if line.len() == inode_end {
        return Ok(&[]);
    }
    let start = NAME_COLUMN.max(inode_end + 1);
    let padding = line
        .get(inode_end..start)
        .ok_or("the name is not at its column")?;
    if padding.iter().all(|&byte| byte == b' ') {
        Ok(&line[start..])
    } else {
        Err("the name is not at its column")
    }
}

impl fmt::Display for MapsLine<'_> {
    /// The line as the kernel prints it, without the newline; bytes of a name that are not
    /// UTF-8 become replacement characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MapsLine {
            start,
            end,
            perms,
            offset,
            major,
            minor,
            inode,
            name,
        } = self;
        let perms = String::from_utf8_lossy(perms);
        let fields =
            format!("{start:08x}-{end:08x} {perms} {offset:08x} {major:02x}:{minor:02x} {inode} ");
        if name.is_empty() {
            return f.write_str(&fields);
        }
        write!(f, "{fields:<72} {}", String::from_utf8_lossy(name))
    }
}

/// Iterator over the lines of a maps text; ends after the first malformed line.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Lines<'a> {
    /// The lines of `text`, which is or has the format of /proc/TID/maps.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Lines<'a> {
        Lines {
            rest: text,
            line: 0,
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<MapsLine<'a>, MalformedText>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, rest) = text::split_line(self.rest)?;
        self.rest = rest;
        self.line += 1;
        let parsed = MapsLine::parse(line);
        if parsed.is_err() {
            self.rest = &[];
        }
        Some(parsed.map_err(|reason| MalformedText::new("maps", self.line, reason, line)))
    }
}
