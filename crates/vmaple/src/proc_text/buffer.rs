//! Where text goes: a vector that grows, or a buffer of fixed size that never allocates.

use alloc::vec::Vec;
use core::fmt;

/// Takes bytes; never fails, so that whoever writes need not stop half-way.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Text being written into a buffer of fixed size.
///
/// It never allocates, so it may be written to while a VMA is locked. What does not fit is left
/// out and remembered ([`TextBuffer::fits`]): the writer then asks for a larger buffer and writes
/// again.
#[derive(Debug)]
pub struct TextBuffer<'a> {
    bytes: &'a mut [u8],
    len: usize,
    overflowed: bool,
}

impl<'a> TextBuffer<'a> {
    /// An empty text in `bytes`.
    #[must_use]
    pub fn new(bytes: &'a mut [u8]) -> TextBuffer<'a> {
        TextBuffer {
            bytes,
            len: 0,
            overflowed: false,
        }
    }

    /// Bytes written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether all that was put in is in it.
    #[must_use]
    pub fn fits(&self) -> bool {
        !self.overflowed
    }
}

impl Sink for TextBuffer<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let Some(room) = self.bytes.get_mut(self.len..self.len + bytes.len()) else {
            self.overflowed = true;
            return;
        };
        room.copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

impl fmt::Write for TextBuffer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// Lets file names be written into a sink.
pub(crate) struct FmtSink<'a, S>(pub(crate) &'a mut S);

impl<S: Sink> fmt::Write for FmtSink<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.put(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_remembered() {
        let mut bytes = [0; 4];
        let mut text = TextBuffer::new(&mut bytes);
        text.put(b"abc");
        assert!(text.fits() && text.len() == 3);
        text.put(b"de");
        assert!(!text.fits() && text.len() == 3);
    }
}
