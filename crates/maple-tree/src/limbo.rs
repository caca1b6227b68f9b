//! Limbo: what writes beside readers displaced, until no reader can see it any more.
//!
//! Displaced nodes and entries collect in the nodes' retired log. When a batch has come together
//! it is set apart and a grace period is started for it; when that has elapsed, a later write
//! frees the batch. Readers that come and go show that by themselves; only when much has come
//! together, one that does not show it is asked, which interrupts every reader. Both happen
//! *before* a write: what a write itself displaces stays at least until the next one.
//!
//! # Safety
//!
//! Something is freed only after a grace period that was started after it was displaced.
#![expect(
    unsafe_code,
    reason = "frees what a write displaced, after a grace period"
)]

use crate::config::Config;
use crate::entry::Entry;
use crate::nodes::{Nodes, Retired};
use alloc::vec::Vec;
use core::ptr;
use vmaple_rcu::{Backend, GracePeriod, strict};
use vmaple_sync::planted;

/// How many retired things make a batch: a batch costs one grace period. Small where a checker
/// should see batches close.
const BATCH: usize = if strict::IS_STRICT || cfg!(any(loom, shuttle)) {
    1
} else {
    128
};

/// How many come together before a reader that does not show itself is asked.
const MANY: usize = if strict::IS_STRICT || cfg!(any(loom, shuttle)) {
    2
} else {
    4096
};

/// The batch that waits for its grace period.
#[derive(Debug)]
pub(crate) struct Limbo {
    /// Displaced before `period` was started.
    waiting: Vec<Retired>,
    period: GracePeriod,
    /// The length of the retired log at which to look again.
    look_at: usize,
    /// For so many writes the log keeps the room it has.
    nr_held: usize,
    /// The length at which to ask readers that do not show themselves.
    ask_at: usize,
}

impl Limbo {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: Vec::new(),
            period: GracePeriod(0),
            look_at: BATCH,
            nr_held: 0,
            ask_at: MANY,
        }
    }

    /// Called before each write: frees the waiting batch if its time has come.
    #[inline]
    pub(crate) fn before_write<E: Entry, C: Config, B: Backend>(
        &mut self,
        nodes: &mut Nodes<E, C>,
    ) {
        if self.nr_held > 0 && !cfg!(planted = "reserve_unheld") {
            self.nr_held -= 1;
        } else {
            self.turn_when_full::<E, C, B>(nodes);
        }
    }

    /// Keeps the log where it is during the next `nr_writes` writes: they have room in it. It is
    /// emptied before, if its time has come and no earlier call forbids it.
    pub(crate) fn hold_for<E: Entry, C: Config, B: Backend>(
        &mut self,
        nr_writes: usize,
        nodes: &mut Nodes<E, C>,
    ) {
        if self.nr_held == 0 {
            self.turn_when_full::<E, C, B>(nodes);
        }
        self.nr_held = self.nr_held.max(nr_writes);
    }

    #[inline]
    fn turn_when_full<E: Entry, C: Config, B: Backend>(&mut self, nodes: &mut Nodes<E, C>) {
        if nodes.retired_mut().len() >= self.look_at {
            self.turn::<E, C, B>(nodes);
        }
    }

    /// Frees the waiting batch if its grace period has elapsed, and starts one for the next.
    #[cold]
    fn turn<E: Entry, C: Config, B: Backend>(&mut self, nodes: &mut Nodes<E, C>) {
        let nr_filling = nodes.retired_mut().len();
        if !self.waiting.is_empty() && !self.has_elapsed::<B>(nr_filling) {
            // Ask again when as much again has come together.
            self.look_at = nr_filling + BATCH;
            return;
        }
        // SAFETY: Displaced before `period` was started, and that has elapsed.
        unsafe { self.free_waiting(nodes) };
        core::mem::swap(nodes.retired_mut(), &mut self.waiting);
        self.period = B::start_grace_period();
        self.look_at = BATCH;
        self.ask_at = MANY;
    }

    /// Whether nobody can see the waiting batch any more, while `nr_filling` things have come
    /// together behind it.
    fn has_elapsed<B: Backend>(&mut self, nr_filling: usize) -> bool {
        if B::has_visibly_elapsed(self.period) || planted!("early_free") {
            return true;
        }
        if nr_filling < self.ask_at {
            return false;
        }
        self.ask_at = nr_filling + MANY;
        B::has_elapsed(self.period)
    }

    /// # Safety
    ///
    /// No reader can see what waits.
    unsafe fn free_waiting<E: Entry, C: Config>(&mut self, nodes: &mut Nodes<E, C>) {
        for retired in self.waiting.drain(..) {
            // SAFETY: By the contract above, and each is taken out once.
            unsafe { nodes.free(retired, ptr::null_mut()) };
        }
    }

    /// Frees everything that was displaced.
    ///
    /// # Safety
    ///
    /// No reader can see it.
    pub(crate) unsafe fn free_all<E: Entry, C: Config>(&mut self, nodes: &mut Nodes<E, C>) {
        // SAFETY: By the contract above.
        unsafe { self.free_waiting(nodes) };
        // SAFETY: As above.
        unsafe { nodes.free_retired(ptr::null_mut()) };
        self.look_at = BATCH;
        self.ask_at = MANY;
    }

    /// Frees what no reader can see any more; asks the readers, but waits for none.
    #[cold]
    pub(crate) fn try_free<E: Entry, C: Config, B: Backend>(&mut self, nodes: &mut Nodes<E, C>) {
        if B::has_elapsed(B::start_grace_period()) || planted!("stalled_free") {
            // SAFETY: All of it was displaced before that grace period.
            unsafe { self.free_all(nodes) };
        } else if B::has_elapsed(self.period) {
            // SAFETY: Displaced before `period` was started, and that has elapsed.
            unsafe { self.free_waiting(nodes) };
        }
    }

    /// How many things wait for a grace period that has been started.
    pub(crate) fn nr_waiting(&self) -> usize {
        self.waiting.len()
    }
}
