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
    read_until(file, pid, what, buffer, |_| false)
}

/// The same, but stops early after a read with which `enough` is there.
pub(super) fn read_until(
    file: &File,
    pid: Pid,
    what: &'static str,
    buffer: &mut Vec<u8>,
    enough: impl Fn(&[u8]) -> bool,
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
        if enough(&buffer[..filled]) {
            break;
        }
    }
    buffer.truncate(filled);
    Ok(())
}

/// Reads a small file of /proc/TID whole.
pub(super) fn read_small(pid: Pid, name: &'static str) -> Result<Vec<u8>, Error> {
    std::fs::read(format!("/proc/{pid}/{name}")).map_err(|source| Error::of(pid, name, source))
}

/// In [`HEX_DIGIT`]: not a digit.
const NO_DIGIT: u8 = 0xff;

/// Value of each byte as a lower-case hexadecimal digit. A table, because addresses are most
/// of a maps line and digits and letters alternate too wildly for a branch to be predicted.
const HEX_DIGIT: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

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
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        (*self.line.get(self.at)? == byte).then(|| self.at += 1)
    }

    /// Consumes `N` bytes.
    #[inline]
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.line.get(self.at..self.at + N)?.try_into().ok()?;
        self.at += N;
        Some(taken)
    }

    /// Consumes a lower-case hexadecimal number of 1 to 16 digits.
    #[inline]
    pub(super) fn hex(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let mut nr_digits = 0;
        for &byte in &self.line[self.at..] {
            let digit = HEX_DIGIT[usize::from(byte)];
            if digit == NO_DIGIT {
                break;
            }
            value = (value << 4) | u64::from(digit);
            nr_digits += 1;
        }
        self.at += nr_digits;
        (1..=16).contains(&nr_digits).then_some(value)
    }

    /// Consumes a decimal number that fits 64 bits.
    #[inline]
    pub(super) fn decimal(&mut self) -> Option<u64> {
        let first = self.at;
        let mut value = 0_u64;
        while let Some(byte @ b'0'..=b'9') = self.line.get(self.at) {
            value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
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
