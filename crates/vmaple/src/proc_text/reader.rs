//! Reads the text of maps, smaps or numa_maps piece by piece, as from an open file of `/proc`.
//!
//! A reader is a position and what is left of the line it stopped in. It borrows nothing: the
//! address space is passed to each read, and may have changed since the one before.

use super::buffer::TextBuffer;
use super::entry::MapsEntry;
use super::line::put_line;
use super::source::VmaSource;
use crate::vma::Vma;
use alloc::vec::Vec;
use core::fmt;

/// How one VMA reads.
pub trait VmaFormat {
    /// Writes what stands in the text for `entry`, into a buffer that may be too small.
    ///
    /// `vma` is what the entry was made of, None for the gate VMA. May be called again for the
    /// same entry with a larger buffer. A lock may be held: it must neither block nor allocate.
    fn put(&mut self, entry: &MapsEntry<'_>, vma: Option<&Vma>, out: &mut TextBuffer<'_>);

    /// Whether `put` needs nothing but the entry. Then the lock of a VMA whose entry borrows
    /// nothing of it is given back before the entry is written, and `vma` is None: a writer does
    /// not wait for a reader that lost its processor while it wrote.
    fn needs_entry_only(&self) -> bool {
        false
    }
}

/// The lines of `/proc/PID/maps`.
#[derive(Clone, Copy, Debug, Default)]
pub struct MapsFormat;

impl VmaFormat for MapsFormat {
    #[inline]
    fn put(&mut self, entry: &MapsEntry<'_>, _: Option<&Vma>, out: &mut TextBuffer<'_>) {
        put_line(entry, out);
    }

    #[inline]
    fn needs_entry_only(&self) -> bool {
        true
    }
}

/// How far a reader has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MapsPosition {
    /// Nothing was shown.
    #[default]
    Start,
    /// Everything below this address was shown.
    Address(u64),
    /// All VMAs were shown; the gate VMA is next.
    Gate,
    /// All was shown.
    End,
}

impl MapsPosition {
    /// The address from which the next VMA is looked for; None when no VMA is to come.
    #[must_use]
    pub const fn address(self) -> Option<u64> {
        match self {
            MapsPosition::Start => Some(0),
            MapsPosition::Address(addr) => Some(addr),
            MapsPosition::Gate | MapsPosition::End => None,
        }
    }
}

/// Why a read gave nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadError<E> {
    /// The source could not show a VMA.
    Source(E),
    /// A line is too long for the memory that there is.
    OutOfMemory,
}

impl<E: fmt::Display> fmt::Display for ReadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Source(error) => error.fmt(f),
            ReadError::OutOfMemory => f.write_str("no memory for a line of the map"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for ReadError<E> {}

/// A reader of `/proc/PID/maps` with a position of its own.
///
/// Any number of readers may be at work on one address space. Where it changes between two VMAs,
/// lines never overlap and never go backwards: a VMA that begins below the reader's position is
/// shown from there on. [`SharedMm::vma_source`](crate::SharedMm::vma_source) has all that is
/// promised beside calls of other threads.
///
/// ```
/// use vmaple::{MapsReader, Mm, MmConfig, MmapArgs};
/// let mut mm = Mm::new(MmConfig::x86_64());
/// mm.mmap(&MmapArgs::anonymous(0x10000, 0x1000, 3, 0x32)).unwrap();
/// let mut reader = MapsReader::new();
/// let mut buf = [0; 17];
/// assert_eq!(reader.read(&mut mm.vma_source(), &mut buf), Ok(17));
/// assert_eq!(&buf, b"00010000-00011000");
/// mm.munmap(0x10000, 0x1000).unwrap();
/// // The line that was begun is read to its end; then there is no more.
/// let mut rest = [0; 80];
/// assert_eq!(reader.read(&mut mm.vma_source(), &mut rest), Ok(24));
/// assert_eq!(reader.read(&mut mm.vma_source(), &mut rest), Ok(0));
/// ```
#[derive(Clone, Debug, Default)]
pub struct MapsReader<F = MapsFormat> {
    format: F,
    position: MapsPosition,
    /// Bytes given so far.
    offset: u64,
    /// Room for one line that did not fit the caller's buffer.
    line: Vec<u8>,
    /// What of `line` has not been given yet.
    pending: core::ops::Range<usize>,
}

/// A position that all readers share, as in bug 56.
#[cfg(planted = "shared_position")]
static SHARED: vmaple_sync::atomic::AtomicU64 = vmaple_sync::atomic::AtomicU64::new(0);

/// Room for a line with a name of usual length.
const LINE_ROOM: usize = 512;

impl MapsReader {
    /// A reader at the start of maps.
    #[must_use]
    pub fn new() -> MapsReader {
        MapsReader::with_format(MapsFormat)
    }
}

/// What of an entry a reader shows that has come to `addr`.
#[inline]
fn rest(entry: MapsEntry<'_>, addr: u64) -> MapsEntry<'_> {
    if vmaple_sync::planted!("whole_line_again") {
        entry
    } else {
        entry.from_addr(addr)
    }
}

impl<F: VmaFormat> MapsReader<F> {
    /// A reader at the start of a text of this format.
    #[must_use]
    pub fn with_format(format: F) -> MapsReader<F> {
        MapsReader::starting_at(format, MapsPosition::Start)
    }

    /// A reader whose first line is the one after `position`.
    #[must_use]
    pub fn starting_at(format: F, position: MapsPosition) -> MapsReader<F> {
        MapsReader {
            format,
            position,
            offset: 0,
            line: Vec::new(),
            pending: 0..0,
        }
    }

    /// How far it has come; a line that was begun counts as shown.
    #[must_use]
    pub fn position(&self) -> MapsPosition {
        self.position
    }

    /// Bytes given so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Fills `buf` with the text that follows; returns how many bytes, 0 at the end of the text.
    ///
    /// Lines are cut where `buf` ends and continued by the next read. Nothing is allocated while
    /// the source shows a VMA.
    ///
    /// # Errors
    /// Those of the source, and lack of memory for one line. The position is as it was: the next
    /// read tries again. Where part of `buf` was filled before the error, that is returned first.
    pub fn read<S: VmaSource>(
        &mut self,
        source: &mut S,
        buf: &mut [u8],
    ) -> Result<usize, ReadError<S::Error>> {
        let mut filled = self.take_pending(buf);
        while filled < buf.len() {
            match self.step(source, &mut buf[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if filled == 0 => return Err(error),
                Err(_) => break,
            }
        }
        self.offset += filled as u64;
        Ok(filled)
    }

    /// Reads at a byte offset, as `pread` does: where that is not where the last read ended, the
    /// text is gone through from its start, as the kernel does.
    ///
    /// # Errors
    /// As [`MapsReader::read`].
    pub fn read_at<S: VmaSource>(
        &mut self,
        source: &mut S,
        buf: &mut [u8],
        offset: u64,
    ) -> Result<usize, ReadError<S::Error>> {
        if offset != self.offset {
            self.rewind();
            let mut skipped = [0; 1024];
            while self.offset < offset {
                let room = (offset - self.offset).min(skipped.len() as u64) as usize;
                if self.read(source, &mut skipped[..room])? == 0 {
                    return Ok(0);
                }
            }
        }
        self.read(source, buf)
    }

    /// Back to the start.
    pub fn rewind(&mut self) {
        self.position = MapsPosition::Start;
        self.offset = 0;
        self.pending = 0..0;
    }

    /// Gives what is left of the line that was begun.
    fn take_pending(&mut self, buf: &mut [u8]) -> usize {
        let count = self.pending.len().min(buf.len());
        let from = self.pending.start;
        if let (Some(to), Some(text)) = (buf.get_mut(..count), self.line.get(from..from + count)) {
            to.copy_from_slice(text);
        }
        self.pending.start += count;
        count
    }

    /// Shows one more VMA; returns how many bytes of it went to `room`, 0 if there was none.
    fn step<S: VmaSource>(
        &mut self,
        source: &mut S,
        room: &mut [u8],
    ) -> Result<usize, ReadError<S::Error>> {
        loop {
            if self.position == MapsPosition::End {
                return Ok(0);
            }
            // Where the VMA's text fits the caller's buffer, it is written there at once.
            let mut text = TextBuffer::new(room);
            let next = self.show(source, &mut text).map_err(ReadError::Source)?;
            if text.fits() {
                let count = text.len();
                self.position = next;
                if count > 0 {
                    return Ok(count);
                }
                continue;
            }
            self.show_aside(source)?;
            return Ok(self.take_pending(room));
        }
    }

    /// Shows one more VMA in the reader's own buffer, enlarged for as long as it is too small.
    fn show_aside<S: VmaSource>(&mut self, source: &mut S) -> Result<(), ReadError<S::Error>> {
        let mut line = core::mem::take(&mut self.line);
        let mut wanted = line.capacity().max(LINE_ROOM);
        let outcome = loop {
            let more = wanted.saturating_sub(line.len());
            if line.try_reserve_exact(more).is_err() {
                break Err(ReadError::OutOfMemory);
            }
            line.resize(wanted, 0);
            let mut text = TextBuffer::new(&mut line);
            match self.show(source, &mut text) {
                Err(error) => break Err(ReadError::Source(error)),
                Ok(next) if text.fits() => break Ok((next, text.len())),
                Ok(_) => wanted = wanted.saturating_mul(2),
            }
        };
        self.line = line;
        let (next, len) = outcome?;
        self.position = next;
        self.pending = 0..len;
        Ok(())
    }

    /// Writes what follows the position into `text`; returns the position after it.
    fn show<S: VmaSource>(
        &mut self,
        source: &mut S,
        text: &mut TextBuffer<'_>,
    ) -> Result<MapsPosition, S::Error> {
        let Some(addr) = self.position.address() else {
            if let Some(gate) = source.gate()
                && self.position == MapsPosition::Gate
            {
                self.format.put(&MapsEntry::of_gate(gate), None, text);
            }
            return Ok(MapsPosition::End);
        };
        #[cfg(planted = "shared_position")]
        // Relaxed: it is wrong in any order.
        let addr = addr.max(SHARED.fetch_max(addr, vmaple_sync::atomic::Ordering::Relaxed));
        let page_shift = source.page_shift();
        let may_copy = S::OTHERS_WAIT && self.format.needs_entry_only();
        if may_copy && let Some(plain) = source.glance_next(addr) {
            self.format
                .put(&rest(MapsEntry::of_plain(&plain), addr), None, text);
            return Ok(MapsPosition::Address(plain.range.end));
        }
        let shown = source.with_next(addr, |vma, areas| {
            let entry = rest(MapsEntry::of(vma, areas, page_shift), addr);
            if may_copy && let Some(copy) = entry.owned() {
                return (MapsPosition::Address(vma.end), Some(copy));
            }
            self.format.put(&entry, Some(vma), text);
            (MapsPosition::Address(vma.end), None)
        })?;
        let Some((next, copy)) = shown else {
            return Ok(if vmaple_sync::planted!("gate_overwritten") {
                MapsPosition::End
            } else {
                MapsPosition::Gate
            });
        };
        if let Some(entry) = copy {
            self.format.put(&entry, None, text);
        }
        Ok(next)
    }
}
