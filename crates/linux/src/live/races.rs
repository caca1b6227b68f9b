//! A page fault of one thread beside a memory call of another.
//!
//! Only memory calls are taken one at a time; page faults are not. A mapping that held no
//! anonymous page at the call's entry and holds one at its exit was written to in between,
//! before or after the kernel decided about merging, and both orders are right. Which one it
//! was, the outcome shows: the call is rehearsed on a copy for each order until the map comes
//! out as the kernel's. Where none does, the call is a difference like any other.

use vmaple::AddrRange;

use super::Live;
use crate::event::{CallRecord, Range, SpaceId};
use crate::tracer::Stopped;

/// Mappings whose order is tried out one by one; beyond, all before or all after.
const MOST_APART: usize = 4;

impl Live<'_> {
    /// Fills `faulted_during` and `faulted_after` of `record`, where `clean` lists what held
    /// no anonymous page at entry.
    pub(super) fn order_races(
        &mut self,
        task: &Stopped<'_>,
        record: &mut CallRecord,
        clean: &[AddrRange],
    ) {
        let mm = task.task().mm;
        let Some(space) = self.spaces.get_mut(&mm) else { return };
        if !space.shared || clean.is_empty() {
            return;
        }
        let raced: Vec<Range> = space.anonymous(clean).into_iter().map(Range::from).collect();
        if raced.is_empty() {
            return;
        }
        let Some(maps) = &space.maps else { return };
        if maps.read(&mut self.kernel_text).is_err() {
            return;
        }
        let kernel = String::from_utf8_lossy(self.kernel_text.as_bytes());
        let space = SpaceId(mm.0);
        if let Some(copy) = self.mirror.rehearse(space, record, &mut self.mirror_text)
            && self.mirror_text == kernel
        {
            // Pages that the call itself brought in (MAP_POPULATE, mlock) are no race.
            record.facts.faulted_after = self.faulted_beside(task.task(), &copy, &raced);
            return;
        }
        for (during, after) in orders(&raced) {
            record.facts.faulted_during = during;
            record.facts.faulted_after = after;
            let agrees = self.mirror.rehearse(space, record, &mut self.mirror_text).is_some();
            if agrees && self.mirror_text == kernel {
                return;
            }
        }
        record.facts.faulted_during = Vec::new();
        record.facts.faulted_after = raced;
    }
}

/// Every way to put at least one fault before the call and the rest after it.
fn orders(raced: &[Range]) -> impl Iterator<Item = (Vec<Range>, Vec<Range>)> + '_ {
    let apart = raced.len().min(MOST_APART);
    let all = (1_usize << apart) - 1;
    let masks: Vec<usize> = if raced.len() <= MOST_APART { (1..=all).collect() } else { vec![all] };
    masks.into_iter().map(move |mask| {
        let before = |index: usize| {
            raced.len() > MOST_APART || mask >> index & 1 == 1
        };
        let mut during = Vec::new();
        let mut after = Vec::new();
        for (index, range) in raced.iter().enumerate() {
            if before(index) { &mut during } else { &mut after }.push(*range);
        }
        (during, after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(count: u64) -> Vec<Range> {
        (0..count).map(|start| Range { start, end: start + 1 }).collect()
    }

    #[test]
    fn all_orders_of_a_few() {
        let raced = ranges(2);
        let found: Vec<(usize, usize)> = orders(&raced).map(|(d, a)| (d.len(), a.len())).collect();
        assert_eq!(found, [(1, 1), (1, 1), (2, 0)]);
    }

    #[test]
    fn all_of_many() {
        let raced = ranges(9);
        let found: Vec<(usize, usize)> = orders(&raced).map(|(d, a)| (d.len(), a.len())).collect();
        assert_eq!(found, [(9, 0)]);
    }
}
