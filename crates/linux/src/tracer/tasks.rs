//! Who is traced: the tasks, their address spaces, and who uses which.

use super::observer::{MmId, RawCall, Task};
use super::order::Gate;
use crate::arch::Role;
use nix::unistd::Pid;
use std::collections::HashMap;
use std::collections::hash_map::Values;
use std::hash::{BuildHasherDefault, Hasher};

/// Where a task is between two memory calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Announced by its creator; its first stop has not come yet.
    Embryo,
    /// Running, or stopped for something that needs no memory.
    Running,
    /// Stopped at the entry of a call, in line for its turn.
    Waiting(Call),
    /// In a call, from entry to exit.
    InCall(Call),
    /// Past its exit event: it uses its address space no more.
    Leaving,
}

/// A call a task is in or about to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) role: Role,
    pub(super) raw: RawCall,
}

/// One live task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) task: Task,
    pub(super) phase: Phase,
}

/// One address space in use.
#[derive(Debug, Default)]
pub(super) struct Mm {
    /// Tasks in it that have not passed their exit event. Never 0 in the table.
    users: usize,
    pub(super) gate: Gate,
    /// A call by a foreign table has been reported.
    pub(super) foreign: bool,
}

/// Ids are small and dense: multiply and let the table take the high bits.
#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0.rotate_left(5) ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_i32(&mut self, id: i32) {
        self.write_u64(u64::from(id.cast_unsigned()));
    }
}

/// A map keyed by ids.
pub(super) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    slots: IdMap<Pid, Slot>,
    mms: IdMap<MmId, Mm>,
    next_mm: u64,
    /// Processes ever seen.
    pub(super) processes: u64,
    /// Tasks ever seen.
    pub(super) threads: u64,
}

impl Tasks {
    /// An id for a new address space; [`insert`](Self::insert) brings it into use.
    pub(super) fn new_mm(&mut self) -> MmId {
        self.next_mm += 1;
        MmId(self.next_mm)
    }

    /// Adds a task, and its address space if it is the first in it.
    pub(super) fn insert(&mut self, task: Task, phase: Phase) {
        self.threads += 1;
        self.processes += u64::from(task.tid == task.tgid);
        self.mms.entry(task.mm).or_default().users += 1;
        self.slots.insert(task.tid, Slot { task, phase });
    }

    pub(super) fn get(&self, tid: Pid) -> Option<&Slot> {
        self.slots.get(&tid)
    }

    pub(super) fn get_mut(&mut self, tid: Pid) -> Option<&mut Slot> {
        self.slots.get_mut(&tid)
    }

    pub(super) fn mm_mut(&mut self, mm: MmId) -> Option<&mut Mm> {
        self.mms.get_mut(&mm)
    }

    pub(super) fn mms_mut(&mut self) -> impl Iterator<Item = &mut Mm> {
        self.mms.values_mut()
    }

    pub(super) fn iter(&self) -> Values<'_, Pid, Slot> {
        self.slots.values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes a dead task out. Its address space is to be [left](Self::leave_mm) separately.
    pub(super) fn remove(&mut self, tid: Pid) -> Option<Slot> {
        self.slots.remove(&tid)
    }

    /// Whether nobody but one task uses this address space.
    pub(super) fn is_last_user(&self, mm: MmId) -> bool {
        self.mms.get(&mm).is_some_and(|mm| mm.users == 1)
    }

    /// One user less. Says whether that was the last.
    pub(super) fn leave_mm(&mut self, mm: MmId) -> bool {
        let Some(state) = self.mms.get_mut(&mm) else {
            return false;
        };
        state.users -= 1;
        let last = state.users == 0;
        if last {
            self.mms.remove(&mm);
        }
        last
    }

    /// Puts a task that has exec'd under its new id, in a new address space.
    pub(super) fn rename(&mut self, mut slot: Slot, tid: Pid, mm: MmId) -> Task {
        slot.task = Task { tid, tgid: tid, mm };
        slot.phase = Phase::Running;
        self.mms.entry(mm).or_default().users += 1;
        self.slots.insert(tid, slot);
        slot.task
    }
}
