//! `VmFlags`, protection keys and anonymous counts out of /proc/TID/smaps.
//!
//! smaps walks the page tables of every mapping, under the lock of the whole address space:
//! it costs microseconds per mapping where maps costs a fraction of one. It is read once per
//! exec, and for single mappings; [`vm_flags_at`] stops reading at the mapping it looks for.

use std::fs::File;
use std::io::Read;

use nix::unistd::Pid;

use super::maps::MapsLine;
use super::text::{self, Cursor};
use super::{Error, MalformedText};

/// What smaps tells about one mapping beyond its maps line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingFlags {
    /// First address, bytes.
    pub start: u64,
    /// First address after it, bytes (exclusive).
    pub end: u64,
    /// The `VmFlags` field without outer spaces: two-letter mnemonics, for example
    /// `rd wr mr mw me ac`.
    pub mnemonics: String,
    /// Protection key; `None` where the machine or kernel has none.
    pub protection_key: Option<u32>,
    /// Anonymous pages in memory, bytes (the field `Anonymous`; the zero page does not count).
    pub anonymous_bytes: u64,
    /// Pages swapped out, bytes (the field `Swap`).
    pub swap_bytes: u64,
}

impl MappingFlags {
    /// Whether `VmFlags` has the two-letter `mnemonic`.
    #[must_use]
    pub fn has(&self, mnemonic: &str) -> bool {
        self.mnemonics.split(' ').any(|word| word == mnemonic)
    }

    /// Whether the mapping holds an anonymous page, in memory or swapped out.
    #[must_use]
    pub fn holds_anonymous(&self) -> bool {
        self.anonymous_bytes + self.swap_bytes > 0
    }
}

/// The flags of all mappings of a task, in ascending order.
///
/// Cost: several microseconds per mapping, more where much memory is resident.
///
/// # Errors
/// [`Error::Gone`], [`Error::Denied`], or [`Error::Malformed`] with the line number.
pub fn vm_flags(pid: Pid) -> Result<Vec<MappingFlags>, Error> {
    let mut bytes = Vec::new();
    text::read_all(&text::open(pid, "smaps")?, pid, "smaps", &mut bytes)?;
    Ok(parse(&bytes)?)
}

/// The flags of the mappings that overlap `start..end`, in ascending order.
///
/// Reads only as far as the end of the range, one page of text at a time; the kernel offers
/// no way to begin in the middle.
///
/// # Errors
/// As [`vm_flags`].
pub fn vm_flags_at(pid: Pid, start: u64, end: u64) -> Result<Vec<MappingFlags>, Error> {
    let mut reader = text::open(pid, "smaps")?;
    let mut found = Vec::new();
    let mut parser = Parser::default();
    let mut pending = Vec::new();
    let mut is_open = true;
    while is_open {
        is_open = read_more(&mut reader, pid, &mut pending)?;
        let complete = if is_open {
            memchr::memrchr(b'\n', &pending).map_or(0, |newline| newline + 1)
        } else {
            pending.len()
        };
        parser.feed(&pending[..complete], |mapping| {
            if mapping.end > start && mapping.start < end {
                found.push(mapping);
            }
        })?;
        pending.drain(..complete);
        if parser.current_start().is_some_and(|current| current >= end) {
            return Ok(found);
        }
    }
    if let Some(last) = parser.finish()?
        && last.end > start
        && last.start < end
    {
        found.push(last);
    }
    Ok(found)
}

/// Appends what one read call gives; `false` at the end of the file.
fn read_more(reader: &mut File, pid: Pid, pending: &mut Vec<u8>) -> Result<bool, Error> {
    let filled = pending.len();
    pending.resize(filled + 8192, 0);
    loop {
        return match reader.read(&mut pending[filled..]) {
            Ok(count) => {
                pending.truncate(filled + count);
                Ok(count > 0)
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(source) => Err(Error::of(pid, "smaps", source)),
        };
    }
}

/// Parses a whole smaps text.
///
/// # Errors
/// The first line that does not follow the format.
pub fn parse(text: &[u8]) -> Result<Vec<MappingFlags>, MalformedText> {
    let mut parser = Parser::default();
    let mut all = Vec::new();
    parser.feed(text, |mapping| all.push(mapping))?;
    all.extend(parser.finish()?);
    Ok(all)
}

/// Incremental parser: fed with whole lines, gives mappings as they become complete.
#[derive(Debug, Default)]
struct Parser {
    current: Option<MappingFlags>,
    saw_flags: bool,
    line: usize,
}

impl Parser {
    fn feed(
        &mut self,
        mut text: &[u8],
        mut complete: impl FnMut(MappingFlags),
    ) -> Result<(), MalformedText> {
        while let Some((line, rest)) = text::split_line(text) {
            text = rest;
            self.line += 1;
            // Fields begin with a capital letter, maps lines with a hexadecimal digit.
            if line.first().is_some_and(u8::is_ascii_uppercase) {
                self.field(line)
                    .map_err(|reason| self.malformed(reason, line))?;
            } else {
                let header =
                    MapsLine::parse(line).map_err(|reason| self.malformed(reason, line))?;
                if let Some(previous) = self.finish()? {
                    complete(previous);
                }
                self.current = Some(MappingFlags {
                    start: header.start,
                    end: header.end,
                    mnemonics: String::new(),
                    protection_key: None,
                    anonymous_bytes: 0,
                    swap_bytes: 0,
                });
            }
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let current = self
            .current
            .as_mut()
            .ok_or("a field before the first mapping")?;
        let colon = memchr::memchr(b':', line).ok_or("a field without ':'")?;
        let (key, value) = (&line[..colon], &line[colon + 1..]);
        match key {
            b"VmFlags" => {
                let words = std::str::from_utf8(value).map_err(|_| "VmFlags is not text")?;
                current.mnemonics = words.trim().to_owned();
                self.saw_flags = true;
            }
            b"Anonymous" => current.anonymous_bytes = kibibytes(value)?,
            b"Swap" => current.swap_bytes = kibibytes(value)?,
            b"ProtectionKey" => {
                let key = number(value).and_then(|key| u32::try_from(key).ok());
                current.protection_key = Some(key.ok_or("the protection key is no number")?);
            }
            _ => {}
        }
        Ok(())
    }

    /// First address of the mapping whose fields are being read.
    fn current_start(&self) -> Option<u64> {
        self.current.as_ref().map(|mapping| mapping.start)
    }

    fn finish(&mut self) -> Result<Option<MappingFlags>, MalformedText> {
        if self.current.is_some() && !self.saw_flags {
            return Err(self.malformed("the mapping before this line has no VmFlags", b""));
        }
        self.saw_flags = false;
        Ok(self.current.take())
    }

    fn malformed(&self, reason: &'static str, line: &[u8]) -> MalformedText {
        MalformedText::new("smaps", self.line, reason, line)
    }
}

fn number(value: &[u8]) -> Option<u64> {
    let mut at = Cursor::new(value);
    at.skip_blanks();
    at.decimal()
}

fn kibibytes(value: &[u8]) -> Result<u64, &'static str> {
    let count = number(value).ok_or("a size that is no number")?;
    count
        .checked_mul(1024)
        .ok_or("a size that does not fit 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] =
        b"00001000-00002000 rw-p 00000000 00:00 0                                  [heap]\n\
        Size:                  4 kB\nAnonymous:             4 kB\nSwap:                  8 kB\n\
        ProtectionKey:         3\nVmFlags: rd wr mr mw me ac \n\
        00003000-00004000 ---p 00000000 00:00 0 \n\
        Size:                  4 kB\nAnonymous:             0 kB\nSwap:                  0 kB\n\
        VmFlags: mr mw me \n";

    #[test]
    fn fields_of_two_mappings() {
        let all = parse(TWO).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].mnemonics, "rd wr mr mw me ac");
        assert_eq!((all[0].anonymous_bytes, all[0].swap_bytes), (4096, 8192));
        assert_eq!(
            (all[0].protection_key, all[1].protection_key),
            (Some(3), None)
        );
        assert!(all[0].has("wr") && !all[0].has("w") && !all[1].has("wr"));
        assert!(all[0].holds_anonymous() && !all[1].holds_anonymous());
    }

    #[test]
    fn malformed_lines_name_their_number() {
        let broken = |text: &[u8]| parse(text).unwrap_err();
        assert_eq!(broken(b"Size: 4 kB\n").line, 1);
        assert_eq!(
            broken(b"00001000-00002000 rw-p 00000000 00:00 0 \nAnonymous: x kB\n").line,
            2
        );
        let cut = &TWO[..TWO.len() - b"VmFlags: mr mw me \n".len()];
        assert_eq!(broken(cut).line, 10);
        assert_eq!(broken(b"garbage\n").line, 1);
    }
}
