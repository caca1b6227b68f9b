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
/// Room for the longest prefix: two addresses, offset and device of 16 digits, inode of 20.
const PREFIX_ROOM: usize = 128;

/// The part of a line before the name.
struct Prefix {
    bytes: [u8; PREFIX_ROOM],
    len: usize,
}

impl Prefix {
    fn new(range: AddrRange, flags: VmFlags, offset: u64, device: Device, inode: u64) -> Prefix {
        let mut prefix = Prefix {
            bytes: [b' '; PREFIX_ROOM],
            len: 0,
        };
        prefix.hex(range.start, 8);
        prefix.byte(b'-');
        prefix.hex(range.end, 8);
        prefix.byte(b' ');
        let letter = |flag, letter| if flags.contains(flag) { letter } else { b'-' };
        prefix.byte(letter(VmFlags::READ, b'r'));
        prefix.byte(letter(VmFlags::WRITE, b'w'));
        prefix.byte(letter(VmFlags::EXEC, b'x'));
        prefix.byte(if flags.contains(VmFlags::MAYSHARE) {
            b's'
        } else {
            b'p'
        });
        prefix.byte(b' ');
        prefix.hex(offset, 8);
        prefix.byte(b' ');
        prefix.hex(u64::from(device.major), 2);
        prefix.byte(b':');
        prefix.hex(u64::from(device.minor), 2);
        prefix.byte(b' ');
        prefix.decimal(inode);
        prefix.byte(b' ');
        prefix
    }

    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// Lower-case hexadecimal of at least `min` digits.
    fn hex(&mut self, value: u64, min: usize) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let significant = (67 - (value | 1).leading_zeros() as usize) / 4;
        let digits = significant.max(min);
        let out = &mut self.bytes[self.len..self.len + digits];
        let mut rest = value;
        for place in out.iter_mut().rev() {
            *place = DIGITS[(rest & 15) as usize];
            rest >>= 4;
        }
        self.len += digits;
    }

    fn decimal(&mut self, value: u64) {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = value;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let text = &digits[at..];
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    /// The prefix alone, for a line without name.
    fn bare(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The prefix with the blanks up to the name. The rest of the buffer is blank already.
    fn padded(&self) -> &[u8] {
        let len = if self.len < NAME_COLUMN {
            NAME_COLUMN
        } else {
            self.len + 1
        };
        &self.bytes[..len]
    }
}

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
        let prefix = match &vma.backing {
            Backing::File(file) => {
                let offset = vma.pgoff << self.config.page_shift();
                Prefix::new(vma.range(), vma.flags, offset, file.device(), file.inode())
            }
            Backing::Anonymous | Backing::Special(_) => {
                Prefix::new(vma.range(), vma.flags, 0, Device::default(), 0)
            }
        };
        let name = self.name_of(vma);
        if matches!(name, Name::None) {
            out.extend_from_slice(prefix.bare());
        } else {
            out.extend_from_slice(prefix.padded());
            append_name(&name, out);
        }
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
    let prefix = Prefix::new(gate.range, gate.flags, 0, Device::default(), 0);
    out.extend_from_slice(prefix.padded());
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
