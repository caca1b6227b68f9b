//! One line of `/proc/PID/maps`, byte for byte.
//!
//! A mirror prints a thousand lines after every call, so lines are put together by hand in a
//! buffer on the stack; nothing here goes through the formatting machinery but file names.

use super::buffer::{FmtSink, Sink};
use super::entry::{MappingName, MapsEntry};
use crate::addr::AddrRange;
use crate::file::Device;
use crate::flags::VmFlags;

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
        // Most mappings have no file.
        if offset == 0 && inode == 0 && device == Device::default() {
            prefix.array(*b"00000000 00:00 0 ");
            return prefix.len;
        }
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

    /// Lower-case hexadecimal of at least `min` digits, at most 8; up to 7 bytes behind them are
    /// overwritten.
    #[inline]
    fn hex(&mut self, value: u64, min: usize) {
        let (high, low) = ((value >> 32) as u32, value as u32);
        if high == 0 {
            return self.digits(hex_digits(low), significant(low).max(min));
        }
        self.digits(hex_digits(high), significant(high));
        self.array(hex_digits(low).to_be_bytes());
    }

    /// The last `nr` of eight digits, which stand in `ascii` with the first in the highest byte.
    #[inline]
    fn digits(&mut self, ascii: u64, nr: usize) {
        let left_aligned = ascii << (8 * (8 - nr));
        self.array(left_aligned.to_be_bytes());
        self.len -= 8 - nr;
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

/// Hexadecimal digits that a number needs, 1 to 8.
const fn significant(value: u32) -> usize {
    (35 - (value | 1).leading_zeros() as usize) / 4
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
fn put_prefix(
    out: &mut impl Sink,
    range: AddrRange,
    flags: VmFlags,
    file: (u64, Device, u64),
    padded: bool,
) {
    let (offset, device, inode) = file;
    let mut bytes = [0; PREFIX_ROOM];
    let len = Prefix::write(&mut bytes, range, flags, offset, device, inode);
    if !padded {
        out.put(&bytes[..len]);
    } else if len < NAME_COLUMN {
        bytes[len..NAME_COLUMN].fill(b' ');
        out.put(&bytes[..NAME_COLUMN]);
    } else {
        bytes[len] = b' ';
        out.put(&bytes[..=len]);
    }
}

/// Appends the whole line of `entry`, its newline included.
pub(crate) fn put_line(entry: &MapsEntry<'_>, out: &mut impl Sink) {
    let file = (entry.offset, entry.device, entry.inode);
    let named = !matches!(entry.name, MappingName::None);
    put_prefix(out, entry.range, entry.flags, file, named);
    put_name(&entry.name, out);
    out.put(b"\n");
}

/// Appends a name as the maps line shows it.
pub(crate) fn put_name(name: &MappingName<'_>, out: &mut impl Sink) {
    let bracketed = |before: &str, name: &str, out: &mut _| {
        Sink::put(out, before.as_bytes());
        Sink::put(out, name.as_bytes());
        Sink::put(out, b"]");
    };
    match name {
        MappingName::None => {}
        MappingName::Heap => out.put(b"[heap]"),
        MappingName::Stack => out.put(b"[stack]"),
        MappingName::Special(name) => out.put(name.as_bytes()),
        MappingName::Anonymous(name) => bracketed("[anon:", name, out),
        MappingName::AnonymousShared(name) => bracketed("[anon_shmem:", name, out),
        // A sink takes everything; a file that gives up leaves a short name.
        MappingName::File(file) => {
            let _ = file.write_name(&mut FmtSink(out));
        }
    }
}

/// Appends a decimal number, right-aligned in `width` columns.
pub(crate) fn put_decimal(value: u64, width: usize, out: &mut impl Sink) {
    let mut bytes = [0; PREFIX_ROOM];
    let mut digits = Prefix {
        bytes: &mut bytes,
        len: 0,
    };
    digits.decimal(value);
    let len = digits.len;
    for _ in len..width {
        out.put(b" ");
    }
    out.put(&bytes[..len]);
}

/// Appends an address as maps does: at least eight hexadecimal digits.
pub(crate) fn put_address(addr: u64, out: &mut impl Sink) {
    let mut bytes = [0; PREFIX_ROOM];
    let mut digits = Prefix {
        bytes: &mut bytes,
        len: 0,
    };
    digits.hex(addr, 8);
    let len = digits.len;
    out.put(&bytes[..len]);
}

#[cfg(test)]
mod tests {
    use super::{NAME_COLUMN, PREFIX_ROOM, hex_digits, put_prefix};
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
                put_prefix(&mut out, range, flags, (inode, device, inode), false);
                assert_eq!(out, expected.as_bytes());
                out.clear();
                put_prefix(&mut out, range, flags, (inode, device, inode), true);
                let column = NAME_COLUMN.max(expected.len() + 1);
                assert_eq!(out, format!("{expected:<column$}").as_bytes());
                assert!(out.len() < PREFIX_ROOM - 16);
            }
        }
    }
}
