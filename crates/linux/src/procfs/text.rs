//! Small helpers for the text of /proc: numbers out of bytes, whole files into one buffer.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;

use super::Error;

/// Opens a file below /proc/TID.
pub(super) fn open(pid: Pid, name: &'static str) -> Result<File, Error> {
    File::open(format!("/proc/{pid}/{name}")).map_err(|source| Error::of(pid, name, source))
}

/// Reads `file` from its start to its end into `buffer`, whose former contents are replaced
/// and whose capacity is reused. Positioned reads: the file's own offset stays where it is.
pub(super) fn read_all(
    file: &File,
    pid: Pid,
    what: &'static str,
    buffer: &mut Vec<u8>,
) -> Result<(), Error> {
    const ROOM: usize = 16 * 1024;
    let mut filled = 0;
    loop {
        if buffer.len() < filled + ROOM / 2 {
            buffer.resize((filled + ROOM).max(buffer.capacity()), 0);
        }
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::of(pid, what, source)),
        }
    }
    buffer.truncate(filled);
    Ok(())
}

/// Reads a small file of /proc/TID whole.
pub(super) fn read_small(pid: Pid, name: &'static str) -> Result<Vec<u8>, Error> {
    std::fs::read(format!("/proc/{pid}/{name}")).map_err(|source| Error::of(pid, name, source))
}

/// A cursor over one line of text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        Cursor { line, at: 0 }
    }

    /// Bytes consumed so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Consumes one byte if it is `byte`.
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        (*self.line.get(self.at)? == byte).then(|| self.at += 1)
    }

    /// Consumes `N` bytes.
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.line.get(self.at..self.at + N)?.try_into().ok()?;
        self.at += N;
        Some(taken)
    }

    /// Consumes a lower-case hexadecimal number of 1 to 16 digits.
    pub(super) fn hex(&mut self) -> Option<u64> {
        self.number(16, |byte| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        })
    }

    /// Consumes a decimal number that fits 64 bits.
    pub(super) fn decimal(&mut self) -> Option<u64> {
        self.number(10, |byte| {
            byte.is_ascii_digit().then(|| byte.wrapping_sub(b'0'))
        })
    }

    #[inline]
    fn number(&mut self, base: u64, digit: impl Fn(u8) -> Option<u8>) -> Option<u64> {
        let first = self.at;
        let mut value = 0_u64;
        while let Some(found) = self.line.get(self.at).copied().and_then(&digit) {
            value = value.checked_mul(base)?.checked_add(u64::from(found))?;
            self.at += 1;
        }
        (self.at > first).then_some(value)
    }

    /// Everything not yet consumed.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.line[self.at..]
    }

    /// Consumes spaces and tabs.
    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.line.get(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }
}

/// The next line of `rest` without its newline, and what follows. `None` at the end.
#[inline]
pub(super) fn split_line(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    if rest.is_empty() {
        return None;
    }
    Some(match memchr::memchr(b'\n', rest) {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (rest, &[]),
    })
}
