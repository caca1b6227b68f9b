//! The model's side of a session: [`Mm`] and what it has to be told.

use std::io::Write;
use std::sync::Arc;

use vmaple::{AddrRange, CallError, FileId, Mm, SharedZero};

use crate::apply::{Given, apply};
use crate::files::KnownFile;
use crate::finding::Finding;
use crate::op::{CallName, Op};
use crate::script::{Plant, Step};
use crate::userfault::Contexts;

/// What the kernel said to one operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// A value, or a negative error number.
    pub result: i64,
    /// Inode of the shared-memory object that was made, or 0.
    pub inode: u64,
}

/// An address space of vmaple's, beside one of the kernel's.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) mm: Mm,
    files: Vec<Arc<KnownFile>>,
    segment: i32,
    next_object: u64,
    pub(crate) contexts: Contexts,
    /// The map as text, after the last operation.
    text: Vec<u8>,
    /// Whether the next store touches a guard, where that was looked up.
    is_guard: Option<bool>,
    /// What was mapped before the first call and must stay.
    pub(crate) taboo: Vec<AddrRange>,
}

impl Model {
    pub(crate) fn new(
        mm: Mm,
        files: Vec<Arc<KnownFile>>,
        segment: i32,
        taboo: Vec<AddrRange>,
    ) -> Model {
        Model {
            mm,
            files,
            segment,
            next_object: 1,
            contexts: Contexts::default(),
            text: Vec::new(),
            is_guard: None,
            taboo,
        }
    }

    /// Tells which guard pages the next operation, `op`, meets.
    pub(crate) fn note_guards(&mut self, op: &Op, guards: &[AddrRange]) {
        let [addr, ..] = op.args;
        match op.call {
            CallName::Store => {
                let is_met = |guard: &AddrRange| (guard.start..guard.end).contains(&addr);
                self.is_guard = Some(guards.iter().any(is_met));
            }
            _ => self.mm.note_guards(guards.to_vec()),
        }
    }

    /// Makes the operation and holds the result against the kernel's.
    pub(crate) fn step(&mut self, step: &Step, answer: Answer) -> Result<(), Finding> {
        let Step { op, plant } = step;
        if *plant == Some(Plant::Skip) {
            return Ok(());
        }
        let given = Given {
            files: &self.files,
            segment: self.segment,
            object: SharedZero {
                id: FileId(1 << 40 | self.next_object),
                inode: answer.inode,
                len: op.page_rounded_len(),
            },
            kernel: answer.result,
            is_guard: self.is_guard.take(),
        };
        self.next_object += 1;
        let mut ours = match apply(op, &mut self.mm, &mut self.contexts, &given) {
            Ok(value) => value.cast_signed(),
            Err(CallError::Errno(errno)) => -i64::from(errno.as_raw()),
            Err(CallError::Unmodelled(what)) => return Err(Finding::Unmodelled(what.0.to_owned())),
        };
        if *plant == Some(Plant::Result) {
            ours ^= 4096;
        }
        if ours != answer.result && !op.call.has_other_result() {
            return Err(Finding::Result {
                kernel: answer.result,
                model: ours,
            });
        }
        Ok(())
    }

    /// Holds the map against the kernel's: the whole, or the mappings that begin below `limit`.
    pub(crate) fn check_map(&mut self, kernel: &[u8], limit: Option<u64>) -> Result<(), Finding> {
        self.text.clear();
        match limit {
            None => self.mm.append_maps(&mut self.text),
            Some(limit) => {
                for vma in self.mm.overlapping(AddrRange::new(0, limit)) {
                    // Writing to a vector cannot fail.
                    let _ = writeln!(self.text, "{}", self.mm.maps_line(vma));
                }
            }
        }
        if self.text != kernel {
            return Err(Finding::Map {
                kernel: String::from_utf8_lossy(kernel).into_owned(),
                model: String::from_utf8_lossy(&self.text).into_owned(),
            });
        }
        Ok(())
    }

    /// Checks the invariants of the model's tree: O(n), as costly as the comparison.
    pub(crate) fn check_own_rules(&self) -> Result<(), Finding> {
        self.mm
            .validate()
            .map_err(|violation| Finding::Invalid(violation.to_string()))
    }

    /// Whether the operation leaves alone what was there at first, and asks nothing of the model
    /// that it declines to answer.
    pub(crate) fn is_harmless(&self, op: &Op) -> bool {
        crate::harm::is_harmless(self, op)
    }
}
