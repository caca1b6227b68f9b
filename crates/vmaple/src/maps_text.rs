//! The text of `/proc/PID/maps`, byte for byte.
//!
//! A mirror prints a thousand lines after every call, so lines are put together by hand in a
//! buffer on the stack; nothing here goes through the formatting machinery but file names.

use crate::addr::AddrRange;
use crate::file::Device;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::vma::{Backing, GateVma, Vma};
use alloc::vec::Vec;
use core::fmt;

/// Column at which names start, counted from 0.
const NAME_COLUMN: usize = 73;
/// Room for the longest prefix (two addresses, offset and device of 16 digits, inode of 20) and
/// for what [`Prefix::hex`] writes past its end.
const PREFIX_ROOM: usize = 144;

/// The part of a line before the name, being written at the end of a text.
struct Prefix<'a> {
    bytes: &'a mut [u8; PREFIX_ROOM],
    len: usize,
}

impl Prefix<'_> {
    /// Writes the numbers and permissions; returns the length.
    fn write(
        out: &mut [u8; PREFIX_ROOM],
        range: AddrRange,
        flags: VmFlags,
        offset: u64,
        device: Device,
        inode: u64,
    ) -> usize {
        let mut prefix = Prefix { bytes: out, len: 0 };
        prefix.hex(range.start, 8);
        prefix.byte(b'-');
        prefix.hex(range.end, 8);
        let letter = |flag, letter| if flags.contains(flag) { letter } else { b'-' };
        let shared = if flags.contains(VmFlags::MAYSHARE) {
            b's'
        } else {
            b'p'
        };
        prefix.array([
            b' ',
            letter(VmFlags::READ, b'r'),
            letter(VmFlags::WRITE, b'w'),
            letter(VmFlags::EXEC, b'x'),
            shared,
            b' ',
        ]);
        prefix.hex(offset, 8);
        prefix.byte(b' ');
        prefix.hex(u64::from(device.major), 2);
        prefix.byte(b':');
        prefix.hex(u64::from(device.minor), 2);
        prefix.byte(b' ');
        prefix.decimal(inode);
        prefix.byte(b' ');
        prefix.len
    }

    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn array<const N: usize>(&mut self, text: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&text);
        self.len += N;
    }

    /// Lower-case hexadecimal of at least `min` digits; up to 15 bytes behind them are overwritten.
    fn hex(&mut self, value: u64, min: usize) {
        let significant = (67 - (value | 1).leading_zeros() as usize) / 4;
        let digits = significant.max(min);
        let high = u128::from(hex_digits((value >> 32) as u32));
        let all = (high << 64) | u128::from(hex_digits(value as u32));
        let left_aligned = all << (8 * (16 - digits));
        self.array(left_aligned.to_be_bytes());
        self.len -= 16 - digits;
    }

    fn decimal(&mut self, value: u64) {
        if value < 10 {
            return self.byte(b'0' + value as u8);
        }
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = value;
        while rest != 0 {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let text = &digits[at..];
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }
}

/// The eight hexadecimal digits of a number as ASCII, the first in the highest byte.
const fn hex_digits(value: u32) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut spread = value as u64;
    spread = (spread | (spread << 16)) & 0x0000_ffff_0000_ffff;
    spread = (spread | (spread << 8)) & 0x00ff_00ff_00ff_00ff;
    spread = (spread | (spread << 4)) & (0x0f * ONES);
    let is_letter = ((spread + 6 * ONES) >> 4) & ONES;
    spread + (b'0' as u64) * ONES + is_letter * (b'a' - b'0' - 10) as u64
}

/// Appends a line's prefix; with `padded`, up to the column where the name starts.
fn append_prefix(
    out: &mut Vec<u8>,
    range: AddrRange,
    flags: VmFlags,
    file: (u64, Device, u64),
    padded: bool,
) {
    let (offset, device, inode) = file;
    let mut bytes = [0; PREFIX_ROOM];
    let len = Prefix::write(&mut bytes, range, flags, offset, device, inode);
    if !padded {
        out.extend_from_slice(&bytes[..len]);
    } else if len < NAME_COLUMN {
        bytes[len..NAME_COLUMN].fill(b' ');
        out.extend_from_slice(&bytes[..NAME_COLUMN]);
    } else {
        bytes[len] = b' ';
        out.extend_from_slice(&bytes[..=len]);
    }
}

/// Offset, device and inode of what has no file.
const NO_FILE: (u64, Device, u64) = (0, Device { major: 0, minor: 0 }, 0);

/// Lets file names be written into bytes.
struct ByteWriter<'a>(&'a mut Vec<u8>);

impl fmt::Write for ByteWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// What the name column shows.
enum Name<'a> {
    None,
    Plain(&'a str),
    Anonymous(&'a str),
    AnonymousShared(&'a str),
    File(&'a Vma),
}

impl Mm {
    /// Appends the text of `/proc/PID/maps` to `out`: the fast way.
    ///
    /// ```
    /// use vmaple::{Mm, MmConfig, MmapArgs};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// mm.mmap(&MmapArgs::anonymous(0x10000, 0x1000, 3, 0x32)).unwrap();
    /// let mut text = Vec::new();
    /// mm.append_maps(&mut text);
    /// assert_eq!(text, b"00010000-00011000 rw-p 00000000 00:00 0 \n");
    /// ```
    pub fn append_maps(&self, out: &mut Vec<u8>) {
        for vma in self.iter() {
            self.append_line(vma, out);
        }
        if let Some(gate) = &self.gate {
            append_gate(gate, out);
        }
    }

    /// Writes the text of `/proc/PID/maps`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_maps(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut line = Vec::with_capacity(256);
        for vma in self.iter() {
            line.clear();
            self.append_line(vma, &mut line);
            write_bytes(&line, out)?;
        }
        if let Some(gate) = &self.gate {
            line.clear();
            append_gate(gate, &mut line);
            write_bytes(&line, out)?;
        }
        Ok(())
    }

    /// The maps line of one VMA of this address space, without the newline, for display.
    #[must_use]
    pub fn maps_line<'a>(&'a self, vma: &'a Vma) -> MapsLine<'a> {
        MapsLine { mm: self, vma }
    }

    fn append_line(&self, vma: &Vma, out: &mut Vec<u8>) {
        let file = match &vma.backing {
            Backing::File(file) => {
                let offset = vma.pgoff << self.config.page_shift();
                (offset, file.device(), file.inode())
            }
            Backing::Anonymous | Backing::Special(_) => NO_FILE,
        };
        let name = self.name_of(vma);
        let named = !matches!(name, Name::None);
        append_prefix(out, vma.range(), vma.flags, file, named);
        append_name(&name, out);
        out.push(b'\n');
    }

    fn name_of<'a>(&self, vma: &'a Vma) -> Name<'a> {
        match &vma.backing {
            Backing::File(file) => match &vma.anon_name {
                Some(name) if file.is_shared_anonymous() => Name::AnonymousShared(name),
                _ => Name::File(vma),
            },
            Backing::Special(special) => Name::Plain(&special.name),
            Backing::Anonymous => {
                let areas = &self.areas;
                if vma.start < areas.brk && vma.end > areas.start_brk {
                    Name::Plain("[heap]")
                } else if vma.start <= areas.start_stack && vma.end >= areas.start_stack {
                    Name::Plain("[stack]")
                } else {
                    vma.anon_name.as_deref().map_or(Name::None, Name::Anonymous)
                }
            }
        }
    }
}

fn append_name(name: &Name<'_>, out: &mut Vec<u8>) {
    let bracketed = |before: &str, name: &str, out: &mut Vec<u8>| {
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(name.as_bytes());
        out.push(b']');
    };
    match name {
        Name::None => {}
        Name::Plain(name) => out.extend_from_slice(name.as_bytes()),
        Name::Anonymous(name) => bracketed("[anon:", name, out),
        Name::AnonymousShared(name) => bracketed("[anon_shmem:", name, out),
        Name::File(vma) => {
            if let Backing::File(file) = &vma.backing {
                // A Vec takes everything; a file that gives up leaves a short name.
                let _ = file.write_name(&mut ByteWriter(out));
            }
        }
    }
}

fn append_gate(gate: &GateVma, out: &mut Vec<u8>) {
    append_prefix(out, gate.range, gate.flags, NO_FILE, true);
    out.extend_from_slice(gate.name.as_bytes());
    out.push(b'\n');
}

/// Lines are made of ASCII and of names that were `str`.
fn write_bytes(line: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    out.write_str(core::str::from_utf8(line).map_err(|_| fmt::Error)?)
}

/// One line of `/proc/PID/maps`; made by [`Mm::maps_line`].
#[derive(Clone, Copy, Debug)]
pub struct MapsLine<'a> {
    mm: &'a Mm,
    vma: &'a Vma,
}

impl fmt::Display for MapsLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Vec::with_capacity(128);
        self.mm.append_line(self.vma, &mut line);
        line.pop();
        write_bytes(&line, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{NAME_COLUMN, PREFIX_ROOM, append_prefix, hex_digits};
    use crate::addr::AddrRange;
    use crate::file::Device;
    use crate::flags::VmFlags;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    #[test]
    fn hexadecimal_digits_are_those_of_the_formatter() {
        for value in [
            0,
            1,
            9,
            10,
            15,
            16,
            0xabc_def0,
            0x9999_9999,
            0x1234_5678,
            u32::MAX,
        ] {
            let ascii = hex_digits(value).to_be_bytes();
            assert_eq!(ascii, format!("{value:08x}").as_bytes());
        }
    }

    /// The line as the formatter writes it.
    fn formatted(range: AddrRange, offset: u64, device: Device, inode: u64) -> String {
        let Device { major, minor } = device;
        format!(
            "{:08x}-{:08x} r-xp {offset:08x} {major:02x}:{minor:02x} {inode} ",
            range.start, range.end
        )
    }

    #[test]
    fn prefixes_are_those_of_the_formatter() {
        let flags = VmFlags::READ | VmFlags::EXEC;
        let numbers = [0, 7, 10, 0xff, 0x1000, 0xffff_f000, 0x1_0000_0000, u64::MAX];
        for start in numbers {
            for inode in numbers {
                let range = AddrRange::new(start, start | 0xfff);
                let device = Device {
                    major: inode as u32,
                    minor: start as u32,
                };
                let expected = formatted(range, inode, device, inode);
                let mut out = Vec::new();
                append_prefix(&mut out, range, flags, (inode, device, inode), false);
                assert_eq!(out, expected.as_bytes());
                out.clear();
                append_prefix(&mut out, range, flags, (inode, device, inode), true);
                let column = NAME_COLUMN.max(expected.len() + 1);
                assert_eq!(out, format!("{expected:<column$}").as_bytes());
                assert!(out.len() < PREFIX_ROOM - 16);
            }
        }
    }
}
