//! Making a given sequence on both sides, and making it smaller while it still shows a difference.

use std::time::{Duration, Instant};

use vmaple::LayoutKind;
use vmaple_linux::procfs::maps::MapsText;

use crate::finding::Finding;
use crate::host::{Host, Unsuitable};
use crate::op::Op;
use crate::random::{PAGE, mmap};
use crate::script::{Script, Step};
use crate::session::Session;

/// Why a script did not run through.
#[derive(Debug, thiserror::Error)]
pub enum Verdict {
    /// It could not be judged.
    #[error(transparent)]
    Unsuitable(#[from] Unsuitable),
    /// Kernel and model differ.
    #[error("operation {}: {finding}", index + 1)]
    Differs {
        /// Number of the step, from 0.
        index: usize,
        /// What differs.
        finding: Box<Finding>,
    },
}

impl Verdict {
    pub(crate) fn differs(index: usize, finding: Finding) -> Verdict {
        Verdict::Differs {
            index,
            finding: Box::new(finding),
        }
    }
}

/// Makes the script's operations on the running kernel and on a model; compares after each one
/// everything there is to compare.
///
/// # Errors
/// A difference, or the kernel cannot judge.
pub fn replay(host: &Host, script: &Script) -> Result<(), Verdict> {
    let mut session = Session::start(host, script.layout)?;
    if let Some(room) = script.crowd {
        crowd(&mut session, room).map_err(|finding| Verdict::differs(0, finding))?;
    }
    for (index, step) in script.steps.iter().enumerate() {
        compare(&mut session, step).map_err(|finding| Verdict::differs(index, finding))?;
    }
    session
        .check_details()
        .map_err(|finding| Verdict::differs(script.steps.len().saturating_sub(1), finding))
}

/// One step with all comparisons, but those of a crowd: they would take a second each.
fn compare(session: &mut Session<'_>, step: &Step) -> Result<(), Finding> {
    session.step(step)?;
    if session.is_crowded() {
        return Ok(());
    }
    session.check_details()
}

/// The maps at a difference, as `/proc/PID/maps` shows them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scene {
    /// Before the operation, on both sides.
    pub before: String,
    /// The kernel's after it.
    pub kernel: String,
    /// The model's after it.
    pub model: String,
}

/// Makes the script's operations once more; the maps at the first difference, if there is one.
///
/// # Errors
/// The kernel cannot judge.
pub fn scene(host: &Host, script: &Script) -> Result<Option<Scene>, Unsuitable> {
    let mut session = Session::start(host, script.layout)?;
    if let Some(room) = script.crowd
        && crowd(&mut session, room).is_err()
    {
        return Ok(None);
    }
    for (index, step) in script.steps.iter().enumerate() {
        let is_last = index + 1 == script.steps.len();
        if compare(&mut session, step).is_err() || (is_last && session.check_details().is_err()) {
            let text = |maps: &MapsText| String::from_utf8_lossy(maps.as_bytes()).into_owned();
            let [before, kernel] = session.kernel_maps().map(text);
            let mut model = String::new();
            // Writing to a String cannot fail.
            let _ = session.mm().write_maps(&mut model);
            return Ok(Some(Scene {
                before,
                kernel,
                model,
            }));
        }
    }
    Ok(None)
}

/// Where a crowd of mappings begins: above all that operations are made on.
const CROWD: u64 = 0x3000_0000_0000;

/// Makes single pages with gaps until `room` fewer mappings than permitted are there.
pub(crate) fn crowd(session: &mut Session<'_>, room: usize) -> Result<(), Finding> {
    let limit = session.mm().config().max_map_count;
    let mut at = CROWD;
    while session.mm().len() + room < limit {
        session.step_unseen(mmap(at, PAGE, 3, 0x12))?;
        at += 2 * PAGE;
    }
    session.look_below(CROWD);
    Ok(())
}

/// Makes a sequence that shows a difference as small as it gets: operations left out, then
/// arguments made simpler, as long as a difference of the same kind is there.
#[derive(Debug)]
pub struct Shrinker<'h> {
    host: &'h Host,
    layout: LayoutKind,
    crowd: Option<usize>,
    /// Sequences tried.
    pub tried: u64,
    until: Instant,
}

/// Time after which what is there is small enough.
const PATIENCE: Duration = Duration::from_secs(40);

impl<'h> Shrinker<'h> {
    /// A shrinker for sequences in such processes.
    #[must_use]
    pub fn new(host: &'h Host, layout: LayoutKind, crowd: Option<usize>) -> Shrinker<'h> {
        Shrinker {
            host,
            layout,
            crowd,
            tried: 0,
            until: Instant::now() + PATIENCE,
        }
    }

    /// The smallest sequence found in some 40 seconds, and what differs in it.
    pub fn shrink(&mut self, steps: Vec<Step>, finding: Finding) -> (Script, Finding) {
        let mut best = (steps, finding);
        // A crowd costs most of the time.
        let crowd = self.crowd.take();
        if !self.try_instead(&mut best, <[Step]>::to_vec) {
            self.crowd = crowd;
        }
        loop {
            let before = best.0.clone();
            self.leave_out(&mut best);
            self.simplify(&mut best);
            if best.0 == before || Instant::now() >= self.until {
                break;
            }
        }
        (Script::new(self.layout, self.crowd, best.0), best.1)
    }

    /// Keeps what `change` makes of the best sequence, if it shows a difference of the same kind.
    fn try_instead(
        &mut self,
        best: &mut (Vec<Step>, Finding),
        change: impl FnOnce(&[Step]) -> Vec<Step>,
    ) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        self.tried += 1;
        let mut steps = change(&best.0);
        let Some((index, finding)) = self.difference(&steps) else {
            return false;
        };
        if !finding.is_like(&best.1) {
            return false;
        }
        steps.truncate(index + 1);
        *best = (steps, finding);
        true
    }

    /// The first difference, in a process of its own.
    fn difference(&self, steps: &[Step]) -> Option<(usize, Finding)> {
        let mut session = Session::start(self.host, self.layout).ok()?;
        if let Some(room) = self.crowd {
            crowd(&mut session, room).ok()?;
        }
        for (index, step) in steps.iter().enumerate() {
            if !session.is_harmless(&step.op) {
                return None;
            }
            if let Err(finding) = compare(&mut session, step) {
                return Some((index, finding));
            }
        }
        let last = steps.len().checked_sub(1)?;
        let finding = session.check_details().err()?;
        Some((last, finding))
    }

    /// Leaves out runs of operations, long ones first.
    fn leave_out(&mut self, best: &mut (Vec<Step>, Finding)) {
        let mut run = best.0.len() / 2;
        while run > 0 {
            let mut at = 0;
            while at < best.0.len() {
                let end = (at + run).min(best.0.len());
                let without = |steps: &[Step]| [&steps[..at], &steps[end..]].concat();
                if !self.try_instead(best, without) {
                    at += run;
                }
            }
            run /= 2;
        }
    }

    /// Makes arguments simpler, one at a time.
    fn simplify(&mut self, best: &mut (Vec<Step>, Finding)) {
        let mut at = 0;
        while at < best.0.len() {
            for simpler in simpler_ones(best.0[at].op) {
                let instead = |steps: &[Step]| {
                    let mut steps = steps.to_vec();
                    steps[at].op = simpler;
                    steps
                };
                self.try_instead(best, instead);
                if at >= best.0.len() {
                    return;
                }
            }
            at += 1;
        }
    }
}

/// The operation with one argument made simpler, in several ways.
fn simpler_ones(op: Op) -> Vec<Op> {
    use crate::op::Arg;
    let mut found = Vec::new();
    for (index, arg) in op.call.args().iter().enumerate() {
        let value = op.args[index];
        let mut with = |simpler: u64| {
            if simpler != value {
                let mut op = op;
                op.args[index] = simpler;
                found.push(op);
            }
        };
        match arg {
            Arg::Len => {
                with(value & !(PAGE - 1));
                with((value / 2) & !(PAGE - 1));
                if value <= 16 * PAGE {
                    with(value.saturating_sub(PAGE));
                }
            }
            Arg::Addr => with(value & !(PAGE - 1)),
            Arg::Prot => {
                let common = [0, 1, 3].into_iter();
                common.take_while(|prot| *prot != value).for_each(with);
            }
            Arg::UserfaultMode | Arg::UserfaultFeatures => {
                let bits = (0..64).map(|bit| 1 << bit);
                bits.filter(|bit| value & bit != 0)
                    .for_each(|bit| with(value & !bit));
            }
            Arg::MapFlags | Arg::MremapFlags | Arg::LockAll => {
                let bits = (4..64).map(|bit| 1 << bit);
                bits.filter(|bit| value & bit != 0)
                    .for_each(|bit| with(value & !bit));
            }
            Arg::Number | Arg::Name => with(0),
            Arg::File | Arg::Advice | Arg::Limit => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::CallName;

    #[test]
    fn simpler_operations_differ_in_one_argument() {
        let op = mmap(0x1000, 0x3000, 7, 0x4012);
        let simpler = simpler_ones(op);
        assert!(simpler.contains(&mmap(0x1000, 0x2000, 7, 0x4012)));
        assert!(simpler.contains(&mmap(0x1000, 0x3000, 1, 0x4012)));
        assert!(simpler.contains(&mmap(0x1000, 0x3000, 7, 0x12)));
        for one in simpler {
            let changed = one.args.iter().zip(op.args).filter(|(a, b)| *a != b);
            assert_eq!(changed.count(), 1, "{one}");
        }
        assert_eq!(simpler_ones(Op::new(CallName::Fork, &[])), []);
    }
}
