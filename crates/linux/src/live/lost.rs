//! Calls whose callers were killed before they came back.
//!
//! A process that exits or is killed takes its threads along, and one of them may be inside a
//! memory call then. Whether the call was still made nobody says, but the map shows it: it is
//! the map without the call, or with it. Anything else is a re-seed.

use super::Live;
use crate::event::{CallRecord, Event, SpaceId};
use crate::tracer::{ObserverError, Stopped, Task};

use super::Pending;

/// No call returns this.
const UNKNOWN: i64 = i64::MIN;

/// A call without an end.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) caller: Task,
    pub(super) pending: Pending,
}

impl Live<'_> {
    /// Makes one of the lost calls of the task's address space after all, if that leads to the
    /// kernel's map, which was read just now. Whether it did.
    pub(super) fn finish_a_lost_call(&mut self, task: &Stopped<'_>) -> Result<bool, ObserverError> {
        let mm = task.task().mm;
        let Some(space) = self.spaces.get_mut(&mm) else {
            return Ok(false);
        };
        for lost in std::mem::take(&mut space.lost) {
            if let Some(record) = self.as_it_went(task, lost) {
                let _agrees = self.apply(&Event::Call(Box::new(record)))?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The call as it must have gone, if it explains the kernel's map.
    fn as_it_went(&mut self, task: &Stopped<'_>, lost: Lost) -> Option<CallRecord> {
        let space = SpaceId(task.task().mm.0);
        let mut record = CallRecord {
            space,
            pid: lost.caller.tgid.as_raw(),
            tid: lost.caller.tid.as_raw(),
            call: lost.pending.call,
            ret: UNKNOWN,
            facts: lost.pending.facts,
        };
        record.ret = self.mirror.foresee(space, &record)?;
        self.facts_after(task, &mut record);
        let made = self
            .mirror
            .rehearse(space, &record, &mut self.mirror_text)
            .is_some();
        let explains = self.mirror_text.as_bytes() == self.kernel_text.as_bytes();
        (made && explains).then_some(record)
    }
}
