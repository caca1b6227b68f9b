//! Looks at the text of maps while it is read, for what it promises.

use serde::Serialize;
use std::ops::Range;

/// What was not as promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Violations {
    /// Lines that begin below the end of the one before.
    pub overlaps: u64,
    /// Pages that were mapped throughout and are in no line.
    pub holes: u64,
    /// Lines that are no mapping at all.
    pub garbled: u64,
}

impl Violations {
    /// Whether all was as promised.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Violations::default()
    }

    pub(super) fn add(&mut self, other: &Violations) {
        self.overlaps += other.overlaps;
        self.holes += other.holes;
        self.garbled += other.garbled;
    }
}

/// Checks one reader's texts, piece by piece.
///
/// ```
/// use vmaple_linux::stress::Checker;
/// let mut checker = Checker::new(0x1000..0x4000, 0x2000, 0x1000);
/// checker.feed(b"1000-2000 rw-p 0");
/// checker.feed(b"0000000 00:00 0\n3000-4000 r--p 00000000 00:00 0\n");
/// checker.end_of_text();
/// assert!(checker.violations().is_none());
/// checker.feed(b"1000-3000 rw-p 00000000 00:00 0\n2000-4000 r--p 00000000 00:00 0\n");
/// checker.end_of_text();
/// assert_eq!(checker.violations().overlaps, 1);
/// ```
#[derive(Debug)]
pub struct Checker {
    /// Where pages are known to be mapped throughout: the first of every `stride` bytes.
    region: Range<u64>,
    stride: u64,
    page: u64,
    /// A line that was cut by the end of a piece.
    cut: Vec<u8>,
    /// End of the line before.
    end: u64,
    /// All pages of the region below this were looked at.
    looked: u64,
    nr_lines: u64,
    violations: Violations,
}

impl Checker {
    /// In `region`, in bytes, the first `page` bytes of every `stride` are mapped throughout.
    #[must_use]
    pub fn new(region: Range<u64>, stride: u64, page: u64) -> Checker {
        Checker {
            looked: region.start,
            region,
            stride,
            page,
            cut: Vec::new(),
            end: 0,
            nr_lines: 0,
            violations: Violations::default(),
        }
    }

    /// Takes the next piece of a text.
    pub fn feed(&mut self, mut piece: &[u8]) {
        while let Some(len) = memchr::memchr(b'\n', piece) {
            let (line, rest) = piece.split_at(len);
            if self.cut.is_empty() {
                self.line(line);
            } else {
                let mut whole = std::mem::take(&mut self.cut);
                whole.extend_from_slice(line);
                self.line(&whole);
                whole.clear();
                self.cut = whole;
            }
            piece = rest.get(1..).unwrap_or_default();
        }
        self.cut.extend_from_slice(piece);
    }

    /// The text is at its end; the next piece begins another.
    pub fn end_of_text(&mut self) {
        self.violations.garbled += u64::from(!self.cut.is_empty());
        self.cut.clear();
        self.pass_over(self.region.end);
        (self.end, self.looked) = (0, self.region.start);
    }

    /// Lines so far.
    #[must_use]
    pub fn nr_lines(&self) -> u64 {
        self.nr_lines
    }

    /// What was not as promised so far.
    #[must_use]
    pub fn violations(&self) -> Violations {
        self.violations
    }

    fn line(&mut self, line: &[u8]) {
        self.nr_lines += 1;
        let Some(range) = range_of(line) else {
            self.violations.garbled += 1;
            return;
        };
        self.violations.overlaps += u64::from(range.start < self.end);
        self.pass_over(range.start);
        self.looked = self.looked.max(range.end);
        self.end = range.end;
    }

    /// Nothing is mapped from the end of the line before up to `addr`.
    fn pass_over(&mut self, addr: u64) {
        let to = addr.min(self.region.end);
        while self.looked < to {
            let offset = (self.looked - self.region.start) % self.stride;
            self.violations.holes += u64::from(offset < self.page);
            self.looked += self.page;
        }
    }
}

/// The addresses at the beginning of a line.
fn range_of(line: &[u8]) -> Option<Range<u64>> {
    let number = |text: &[u8]| {
        let mut value = 0_u64;
        for &digit in text {
            value = (value << 4) | u64::from(char::from(digit).to_digit(16)?);
        }
        (!text.is_empty() && text.len() <= 16).then_some(value)
    };
    let dash = line.iter().position(|&byte| byte == b'-')?;
    let blank = line.iter().position(|&byte| byte == b' ')?;
    let range = number(line.get(..dash)?)?..number(line.get(dash + 1..blank)?)?;
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Violations {
        let mut checker = Checker::new(0x1000..0x5000, 0x2000, 0x1000);
        for piece in text.as_bytes().chunks(7) {
            checker.feed(piece);
        }
        checker.end_of_text();
        checker.violations()
    }

    #[test]
    fn each_violation_is_counted() {
        assert!(checked("1000-2000 r\n3000-5000 r\n").is_none());
        assert_eq!(checked("1000-2000 r\n4000-5000 r\n").holes, 1);
        assert_eq!(checked("").holes, 2);
        assert_eq!(checked("1000-4000 r\n1000-5000 r\n").overlaps, 1);
        assert_eq!(checked("1000-5000 r\nnonsense\n").garbled, 1);
        assert_eq!(checked("1000-5000 r\n5000-60").garbled, 1);
    }
}
