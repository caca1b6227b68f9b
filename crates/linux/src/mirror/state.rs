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
        if cfg!(planted = "text_under_mmap_lock") {
            out.clear();
            // Writing to a string cannot fail.
            let _ = self.look(|mm| mm.write_maps(out));
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::thread;
    use std::time::Duration;
    use vmaple::{MmConfig, MmapArgs};

    const BASE: u64 = 0x1000_0000_0000;

    /// Three mappings with gaps between them.
    fn state() -> State {
        let mut mm = Mm::new(MmConfig::x86_64());
        for number in 0..3 {
            let map = MmapArgs::anonymous(BASE + number * 0x1_0000, 0x4000, 3, 0x32);
            assert!(mm.mmap(&map).is_ok());
        }
        State::new(mm)
    }

    fn text(state: &State) -> String {
        let mut text = String::new();
        state.write_maps(&mut text);
        text
    }

    /// Makes `call`; while its write section stands, another thread reads the text, for which it
    /// has so long. What it has read by then, and in the end.
    fn read_beside(
        state: &State,
        patience: Duration,
        call: impl FnOnce(&mut Mm),
    ) -> (Result<String, RecvTimeoutError>, String) {
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            let meanwhile = state.change(|mm| {
                call(mm);
                scope.spawn(|| tell.send(text(state)));
                told.recv_timeout(patience)
            });
            let last = match &meanwhile {
                Ok(text) => text.clone(),
                Err(_) => told.recv().expect("the reader sends what it read"),
            };
            (meanwhile, last)
        })
    }

    #[test]
    fn the_text_is_read_beside_a_call_that_holds_mmap_lock() {
        let state = state();
        let before = text(&state);
        assert_eq!(before.lines().count(), 3);
        let (meanwhile, _) = read_beside(&state, Duration::from_secs(20), |_| {});
        assert_eq!(meanwhile, Ok(before));
    }

    #[test]
    fn what_a_call_changes_is_read_when_the_call_is_over() {
        let state = state();
        let before = text(&state);
        let call = |mm: &mut Mm| assert_eq!(mm.mprotect(BASE + 0x1_0000, 0x4000, 1), Ok(()));
        let (meanwhile, last) = read_beside(&state, Duration::from_millis(300), call);
        assert_eq!(meanwhile, Err(RecvTimeoutError::Timeout));
        assert_eq!(last, text(&state));
        assert_ne!(last, before);
    }
}
