//! One address space, and what else it may be.
//!
//! Page faults of other threads leave an order open now and then: did the write come before
//! the mapping was cut in two (then both pieces share an `anon_vma`) or after? The map looks
//! the same either way until a later call merges the pieces, or does not. Until then every
//! possible state is carried along: the *current* one, and others. A call is made in all of
//! them; one that comes to another result than the kernel is dropped, and where the current
//! one does and another does not, that one takes its place.
//!
//! Nothing is accepted that no order of the faults explains.

use std::collections::HashMap;

use vmaple::{AnonVmaId, ForkError, Mm};

use super::file::FileBook;
use super::state::State;
use super::{Outcome, note_faulted, play};
use crate::event::{CallRecord, Faults, Range};

/// Other states carried along; the oldest goes when there are more.
const MOST: usize = 6;
/// Calls between looks for states that have become the same.
const PRUNE_EVERY: u32 = 64;

/// The states that an address space may be in.
#[derive(Debug)]
pub(super) struct Worlds {
    current: State,
    others: Vec<State>,
    calls: u32,
}

impl Worlds {
    pub(super) fn new(current: State) -> Worlds {
        Worlds {
            current,
            others: Vec::new(),
            calls: 0,
        }
    }

    /// The state that the mirror shows.
    pub(super) fn current(&self) -> &State {
        &self.current
    }

    /// Copies the state that the mirror shows, by vmaple's own fork.
    pub(super) fn fork(&self) -> Result<State, ForkError> {
        self.current.fork()
    }

    /// Does the same in every state; the answer is that of the current one.
    pub(super) fn each<T>(&self, mut change: impl FnMut(&mut Mm) -> T) -> T {
        for other in &self.others {
            other.change(&mut change);
        }
        self.current.change(change)
    }

    /// Makes a call in every state, and in a new one for each alternative of its facts.
    pub(super) fn call(&mut self, files: &mut FileBook, record: &CallRecord) -> Outcome {
        self.prune();
        let facts = &record.facts;
        let start = (!facts.alternatives.is_empty()).then(|| self.current.copy());
        let outcome = play(&self.current, files, record, &facts.faults);
        self.others
            .retain(|other| play(other, files, record, &facts.faults) == Outcome::Agrees);
        if let Some(start) = start {
            self.branch(&start, files, record, &facts.alternatives);
        }
        if matches!(outcome, Outcome::Result(_)) && !self.others.is_empty() {
            self.current = self.others.remove(0);
            return Outcome::Agrees;
        }
        outcome
    }

    /// Moves the start of a stack from `from` to `to`, after or before the first writes to
    /// `faulted`. False where the stack is another in the current state.
    pub(super) fn grow(&mut self, from: u64, to: u64, faulted: &[Range]) -> bool {
        let other = (!faulted.is_empty()).then(|| self.current.copy());
        let grown = self.each(|mm| {
            note_faulted(mm, faulted);
            grow(mm, from, to)
        });
        if let Some(other) = &other {
            other.change(|mm| {
                grow(mm, from, to);
                note_faulted(mm, faulted);
            });
        }
        self.keep(other);
        grown
    }

    /// Carries another state along, if it differs.
    fn keep(&mut self, other: Option<State>) {
        let Some(other) = other.filter(|other| !is_same(&self.current, other)) else {
            return;
        };
        if self.others.len() == MOST {
            self.others.remove(0);
        }
        self.others.push(other);
    }

    fn branch(
        &mut self,
        start: &State,
        files: &mut FileBook,
        record: &CallRecord,
        ways: &[Faults],
    ) {
        for way in ways {
            let other = start.copy();
            let agrees = play(&other, files, record, way) == Outcome::Agrees;
            self.keep(agrees.then_some(other));
        }
    }

    /// Drops other states that differ from the current one in nothing that could show.
    fn prune(&mut self) {
        self.calls = self.calls.wrapping_add(1);
        if !self.others.is_empty() && self.calls.is_multiple_of(PRUNE_EVERY) {
            let current = &self.current;
            self.others.retain(|other| !is_same(current, other));
        }
    }

    /// The first other state whose map reads `text`.
    pub(super) fn other_with(&self, text: &str) -> Option<usize> {
        let mut maps = String::with_capacity(text.len());
        self.others.iter().position(|other| {
            other.write_maps(&mut maps);
            maps == text
        })
    }

    /// Makes another state the current one; those before it read differently and go.
    pub(super) fn promote(&mut self, other: usize) -> bool {
        if other >= self.others.len() {
            return false;
        }
        self.current = self.others.remove(other);
        self.others.drain(..other);
        true
    }
}

fn grow(mm: &mut Mm, from: u64, to: u64) -> bool {
    mm.find(from).is_some_and(|vma| vma.start == from) && mm.expand_stack(to).is_ok()
}

/// Whether two states have the same mappings, with the same ones sharing an `anon_vma`.
fn is_same(a: &State, b: &State) -> bool {
    a.look(|a| b.look(|b| is_same_map(a, b)))
}

fn is_same_map(a: &Mm, b: &Mm) -> bool {
    let mut there: HashMap<AnonVmaId, AnonVmaId> = HashMap::new();
    let mut back: HashMap<AnonVmaId, AnonVmaId> = HashMap::new();
    a.len() == b.len()
        && a.iter().zip(b.iter()).all(|(a, b)| {
            let alike = (a.start, a.end, a.flags, a.pgoff) == (b.start, b.end, b.flags, b.pgoff);
            alike
                && match (a.anon_vma, b.anon_vma) {
                    (None, None) => true,
                    (Some(a), Some(b)) => {
                        a.inherited == b.inherited
                            && *there.entry(a.id).or_insert(b.id) == b.id
                            && *back.entry(b.id).or_insert(a.id) == a.id
                    }
                    _ => false,
                }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmaple::{MmConfig, MmapArgs};

    /// Two pieces of one mapping, written to before or after it was cut.
    fn pieces(before: bool) -> State {
        let mut mm = Mm::new(MmConfig::x86_64());
        let at = mm.mmap(&MmapArgs::anonymous(0, 3 << 12, 3, 0x22)).unwrap();
        if before {
            mm.note_faulted(at);
        }
        mm.munmap(at + 4096, 4096).unwrap();
        mm.note_faulted(at);
        mm.note_faulted(at + 8192);
        State::new(mm)
    }

    #[test]
    fn states_differ_in_who_shares_an_anon_vma() {
        assert!(is_same(&pieces(true), &pieces(true)));
        assert!(!is_same(&pieces(true), &pieces(false)));
    }

    #[test]
    fn the_state_that_reads_as_the_kernel_takes_over() {
        let mut worlds = Worlds::new(pieces(false));
        worlds.others.push(pieces(true));
        let text = |state: &State| {
            let mut text = String::new();
            state.write_maps(&mut text);
            text
        };
        let start = worlds.current().look(|mm| mm.iter().next().unwrap().start);
        // The gap is filled: the kernel merges all three where the pieces were one.
        worlds.each(|mm| {
            mm.mmap(&MmapArgs::anonymous(start + 4096, 4096, 3, 0x32))
                .unwrap()
        });
        let merged = text(&worlds.others[0]);
        assert_eq!(
            (
                merged.lines().count(),
                text(worlds.current()).lines().count()
            ),
            (1, 2)
        );
        let other = worlds.other_with(&merged).unwrap();
        assert!(worlds.promote(other));
        assert_eq!(text(worlds.current()), merged);
        assert!(!worlds.promote(0), "it was the only one");
    }
}
