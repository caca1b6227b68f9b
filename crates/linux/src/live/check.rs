//! The mirror's map against the kernel's, as text, byte for byte.
//!
//! Two things move a line without a memory call: a page fault below a growing stack, and a
//! rename of a mapped file. Both are followed here, counted or recorded, and nothing else is.

use std::time::Instant;

use super::concerned::all_stacks;
use super::{Difference, Live};
use crate::call::Call;
use crate::event::{Cause, Event, Moment, SpaceId};
use crate::mirror::MapDifference;
use crate::procfs::maps::MapsLine;
use crate::procfs::smaps::{self, MappingFlags};
use crate::tracer::{Decision, ObserverError, Stopped, Task, Verdict};
use vmaple::VmFlags;

/// A growsdown mapping found lower than the mirror has it.
struct Growth {
    from: u64,
    to: u64,
}

impl Live<'_> {
    /// Compares the maps of the stopped task's address space; `call` is what led there.
    pub(super) fn compare(&mut self, task: &mut Stopped<'_>, call: Option<&Call>) -> Decision {
        let started = Instant::now();
        let found = self.difference(task);
        self.policy.spend(started.elapsed());
        let who = task.task();
        let Some(difference) = found? else {
            if let Some(space) = self
                .spaces
                .get_mut(&who.mm)
                .filter(|space| space.pending.is_empty())
            {
                space.uncertain = None;
                space.lost.clear();
            }
            return Ok(Verdict::Continue);
        };
        if self.finish_a_lost_call(task)? {
            return Ok(Verdict::Continue);
        }
        let uncertain = self
            .spaces
            .get_mut(&who.mm)
            .and_then(|space| space.uncertain.take());
        if let Some(why) = uncertain {
            self.audience
                .notice(who.tgid.as_raw(), &format!("re-seed: {why}"));
            self.take_image(task, Cause::Unmodelled(why.to_owned()))?;
            return Ok(Verdict::Continue);
        }
        self.mirror
            .report_mut()
            .process(who.tgid.as_raw())
            .differences += 1;
        self.disagree(task, call, &Difference::Map(difference))
    }

    /// Keeps the kernel's map in the trace, for a replay to come to.
    pub(super) fn record_map(
        &mut self,
        task: &Stopped<'_>,
        moment: Moment,
    ) -> Result<(), ObserverError> {
        let who = task.task();
        if self.recorder.is_none() || !self.read_kernel(task)? {
            return Ok(());
        }
        let text = String::from_utf8_lossy(self.kernel_text.as_bytes()).into_owned();
        let space = SpaceId(who.mm.0);
        self.record(&Event::Map {
            space,
            pid: who.tgid.as_raw(),
            moment,
            text,
        })?;
        Ok(())
    }

    /// Reads the kernel's side; false where the process is gone.
    fn read_kernel(&mut self, task: &Stopped<'_>) -> Result<bool, ObserverError> {
        let Some(space) = self.spaces.get(&task.task().mm) else {
            return Ok(false);
        };
        let Some(maps) = &space.maps else {
            return Ok(false);
        };
        match maps.read(&mut self.kernel_text) {
            Ok(()) => Ok(!self.kernel_text.as_bytes().is_empty()),
            Err(error) if error.is_gone() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn difference(&mut self, task: &Stopped<'_>) -> Result<Option<MapDifference>, ObserverError> {
        let who = task.task();
        let space = SpaceId(who.mm.0);
        if !self.read_kernel(task)? {
            return Ok(None);
        }
        self.mirror
            .report_mut()
            .process(who.tgid.as_raw())
            .comparisons += 1;
        self.mirror.write_maps(space, &mut self.mirror_text)?;
        if self.mirror_text.as_bytes() == self.kernel_text.as_bytes() {
            return if self.compare_flags {
                self.flags_difference(who)
            } else {
                Ok(None)
            };
        }
        self.follow_faults_and_renames(who)?;
        self.mirror.write_maps(space, &mut self.mirror_text)?;
        let kernel = String::from_utf8_lossy(self.kernel_text.as_bytes()).into_owned();
        if let Some(other) = self.mirror.other_state(space, &kernel) {
            let _agrees = self.apply(&Event::Order { space, other })?;
            return Ok(None);
        }
        Ok(MapDifference::between(&self.mirror_text, &kernel))
    }

    /// Compares `VmFlags` too, which decide about merging and which maps does not show.
    fn flags_difference(&mut self, who: Task) -> Result<Option<MapDifference>, ObserverError> {
        let mirrored = self.mirror.look(SpaceId(who.mm.0), |mm| {
            let lines = mm
                .iter()
                .map(|vma| flags_line(vma.start, vma.end, vma.flags));
            (lines.collect::<String>(), mm.config().task_size)
        });
        let Some((ours, task_size)) = mirrored else {
            return Ok(None);
        };
        let kernel = match smaps::vm_flags(who.tid) {
            Ok(kernel) => kernel,
            Err(error) if error.is_gone() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut theirs = String::new();
        for mapping in kernel.iter().filter(|mapping| mapping.start < task_size) {
            let flags = VmFlags::from_mnemonics(&mapping.mnemonics)?;
            let pkey = u8::try_from(mapping.protection_key.unwrap_or(0)).unwrap_or(0);
            theirs += &flags_line(mapping.start, mapping.end, flags.with_pkey(pkey));
        }
        Ok(MapDifference::between(&ours, &theirs))
    }

    fn follow_faults_and_renames(&mut self, who: Task) -> Result<(), ObserverError> {
        let space = SpaceId(who.mm.0);
        for growth in self.growths(space) {
            self.stack_grew(who, growth.from, growth.to)?;
        }
        for context in self.closed_userfaults(who) {
            let _agrees = self.apply(&Event::UffdReleased { space, context })?;
        }
        for (file, known) in self.mirror.file_names(space) {
            let now = self
                .files
                .name_now(file)
                .filter(|now| **now != known)
                .cloned();
            if let Some(name) = now {
                let _agrees = self.apply(&Event::Renamed { file, name })?;
            }
        }
        Ok(())
    }

    /// Userfaultfds with registrations in the mirror of which the kernel shows none any more:
    /// they were closed, which is no memory call.
    fn closed_userfaults(&self, who: Task) -> Vec<u64> {
        let registered = self
            .mirror
            .look(SpaceId(who.mm.0), |mm| -> Vec<(u64, u64)> {
                mm.iter()
                    .filter_map(|vma| Some((vma.start, vma.uffd?.0)))
                    .collect()
            });
        let registered = registered.unwrap_or_default();
        if registered.is_empty() {
            return Vec::new();
        }
        let Ok(kernel) = smaps::vm_flags(who.tid) else {
            return Vec::new();
        };
        let is_open = |start: u64| {
            let holds = |mapping: &&MappingFlags| (mapping.start..mapping.end).contains(&start);
            let at = kernel.partition_point(|mapping| mapping.end <= start);
            let flags = kernel.get(at).filter(holds);
            flags.is_some_and(|mapping| ["um", "uw", "ui"].iter().any(|word| mapping.has(word)))
        };
        let mut closed: Vec<u64> = registered.iter().map(|&(_, context)| context).collect();
        closed.sort_unstable();
        closed.dedup();
        closed.retain(|&context| {
            let mut own = registered.iter().filter(|&&(_, other)| other == context);
            own.all(|&(start, _)| !is_open(start))
        });
        closed
    }

    /// Growsdown mappings of the mirror that the kernel shows with the same end and a lower
    /// start.
    fn growths(&self, space: SpaceId) -> Vec<Growth> {
        let stacks = self.mirror.look(space, all_stacks).unwrap_or_default();
        let lines: Vec<MapsLine<'_>> = self.kernel_text.lines().filter_map(Result::ok).collect();
        let mut growths = Vec::new();
        for stack in stacks {
            let same = lines
                .iter()
                .find(|line| line.end == stack.end && line.start < stack.start);
            if let Some(line) = same {
                growths.push(Growth {
                    from: stack.start,
                    to: line.start,
                });
            }
        }
        growths
    }
}

/// One mapping with its flags and protection key, in the form that [`MapDifference`] takes.
fn flags_line(start: u64, end: u64, flags: VmFlags) -> String {
    format!(
        "{start:x}-{end:x} VmFlags: {} key {}\n",
        flags.mnemonics(),
        flags.pkey()
    )
}
