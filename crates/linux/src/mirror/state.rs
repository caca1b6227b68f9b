//! One state of an address space, under its own locks.
//!
//! A call is made with `mmap_lock` held for writing, as one write section: what it changes is
//! write-locked, and unlocked when the call is over. Who looks holds `mmap_lock` for reading. The
//! text of the map is read beside it, under one VMA's lock at a time.

use vmaple::locks::{Cancel, Held};
use vmaple::{ForkError, MapsReader, Mm, SharedMm};

/// How much more of the text is asked for where there is no room: some tens of lines.
const MORE_BYTES: usize = 4 << 10;

#[derive(Debug)]
pub(super) struct State(SharedMm);

impl State {
    pub(super) fn new(mm: Mm) -> State {
        State(SharedMm::new(mm))
    }

    /// Looks at the address space. Looks do not nest, nor does a change stand within one.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Mm) -> T) -> T {
        look(&self.0.read(&mut Held::nothing()))
    }

    /// Changes the address space, in one write section.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Mm) -> T) -> T {
        change(&mut self.0.write(&mut Held::nothing()))
    }

    /// A state of its own that is the same now.
    pub(super) fn copy(&self) -> State {
        State::new(self.look(Mm::clone))
    }

    /// The child that a fork makes.
    pub(super) fn fork(&self) -> Result<State, ForkError> {
        self.change(Mm::fork).map(State::new)
    }

    /// The map as `/proc/PID/maps` would show it, into `out`, which is emptied first.
    pub(super) fn write_maps(&self, out: &mut String) {
        let (mut held, cancel) = (Held::nothing(), Cancel::new());
        let mut vmas = self.0.vma_source(&mut held, &cancel);
        let mut reader = MapsReader::new();
        // The last text's memory, as it is: what is read goes over it.
        let mut text = std::mem::take(out).into_bytes();
        let mut nr_read = 0;
        loop {
            if nr_read == text.len() {
                text.resize(nr_read + MORE_BYTES, 0);
            }
            // Nobody cancels the wait.
            match reader.read(&mut vmas, &mut text[nr_read..]) {
                Ok(0) | Err(_) => break,
                Ok(more) => nr_read += more,
            }
        }
        text.truncate(nr_read);
        // Names are strings, so the text is one.
        *out = String::from_utf8(text).unwrap_or_default();
    }
}
