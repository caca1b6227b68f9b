//! A page fault of one thread beside a memory call of another.
//!
//! Only memory calls are taken one at a time; page faults are not. A mapping that held no
//! anonymous page at the call's entry and holds one at its exit was written to in between,
//! before or after the kernel decided about merging, and both orders are right. Which one it
//! was, the outcome shows: the call is rehearsed on a copy for each order until the map comes
//! out as the kernel's. Where none does, the call is a difference like any other.

use vmaple::AddrRange;

use super::Live;
use crate::event::{CallRecord, Faults, Range, SpaceId};
use crate::tracer::{Stopped, Task};

/// Mappings whose order is tried out one by one; beyond, all before or all after.
const MOST_APART: usize = 4;

impl Live<'_> {
    /// Completes the faults of `record`, where `clean` lists what held no anonymous page at
    /// entry: the first order that explains the outcome, and as alternatives all others.
    pub(super) fn order_races(
        &mut self,
        task: &Stopped<'_>,
        record: &mut CallRecord,
        clean: &[AddrRange],
    ) {
        let who = task.task();
        let Some(space) = self.spaces.get(&who.mm) else {
            return;
        };
        if !space.shared || clean.is_empty() {
            return;
        }
        let raced: Vec<Range> = space
            .anonymous(clean)
            .into_iter()
            .map(Range::from)
            .collect();
        if raced.is_empty() {
            return;
        }
        let Some(maps) = &space.maps else { return };
        if maps.read(&mut self.kernel_text).is_err() {
            return;
        }
        let mut ways = self.explanations(who, record, &raced);
        if ways.is_empty() {
            record.facts.faults.after = raced;
            return;
        }
        record.facts.faults = ways.remove(0);
        record.facts.alternatives.append(&mut ways);
    }

    /// The orders of the raced faults that lead to the kernel's result and map.
    fn explanations(&mut self, who: Task, record: &mut CallRecord, raced: &[Range]) -> Vec<Faults> {
        let kernel = String::from_utf8_lossy(self.kernel_text.as_bytes()).into_owned();
        let space = SpaceId(who.mm.0);
        let before = record.facts.faults.before.clone();
        let mut ways: Vec<Faults> = Vec::new();
        for during in orders(raced) {
            record.facts.faults = Faults {
                before: before.clone(),
                during,
                after: Vec::new(),
            };
            let copy = self.mirror.rehearse(space, record, &mut self.mirror_text);
            let Some(copy) = copy.filter(|_| self.mirror_text == kernel) else {
                continue;
            };
            // What the call itself brought in (MAP_POPULATE, mlock) is no race and not clean.
            let mut way = record.facts.faults.clone();
            way.after = self.faulted_beside(who, &copy, raced);
            let explained = way.during.is_empty() && way.after.is_empty();
            if !ways.contains(&way) {
                ways.push(way);
            }
            if explained {
                break;
            }
        }
        record.facts.faults = Faults {
            before,
            ..Faults::default()
        };
        ways
    }
}

/// Which of the raced faults came before the kernel's decision: none of them first, then
/// every other choice.
fn orders(raced: &[Range]) -> Vec<Vec<Range>> {
    if raced.len() > MOST_APART {
        return vec![Vec::new(), raced.to_vec()];
    }
    let choices = 0..1_usize << raced.len();
    let chosen = |mask: usize| {
        let in_mask = |(index, _): &(usize, &Range)| mask >> index & 1 == 1;
        raced
            .iter()
            .enumerate()
            .filter(in_mask)
            .map(|(_, range)| *range)
            .collect()
    };
    choices.map(chosen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(count: u64) -> Vec<Range> {
        (0..count)
            .map(|start| Range {
                start,
                end: start + 1,
            })
            .collect()
    }

    #[test]
    fn all_choices_of_a_few() {
        let sizes: Vec<usize> = orders(&ranges(2)).iter().map(Vec::len).collect();
        assert_eq!(sizes, [0, 1, 1, 2]);
    }

    #[test]
    fn none_or_all_of_many() {
        let sizes: Vec<usize> = orders(&ranges(9)).iter().map(Vec::len).collect();
        assert_eq!(sizes, [0, 9]);
    }
}
