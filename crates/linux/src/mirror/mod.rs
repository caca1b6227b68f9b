//! The mirror: address spaces moved by [`Event`]s and by nothing else.
//!
//! `run` feeds it what the tracer saw, `replay` what a trace holds. It never looks at a
//! process: every fact it needs is in the event.
//!
//! **Invariant**: from an image on, a space changes by calls alone. The kernel's map is only
//! ever compared with, but for a growing stack (page faults move it, no call) and for an
//! image, and each image after the first is counted.

mod difference;
mod dispatch;
mod file;
mod image;
mod state;
mod worlds;

use std::collections::HashMap;

use vmaple::{AddrRange, Errno, Mm, UffdId};

pub use difference::MapDifference;
use file::FileBook;
pub use file::Releases;
pub use image::ImageError;
use state::State;
use worlds::Worlds;

use crate::call::Call;
use crate::event::{CallRecord, Cause, Event, Facts, Faults, FileSize, Image, Range, SpaceId};
use crate::procfs::files::FileName;
use crate::report::Report;

/// All mirrored address spaces of a run.
#[derive(Debug, Default)]
pub struct Mirror {
    spaces: HashMap<SpaceId, Worlds>,
    files: FileBook,
    report: Report,
}

/// The address space as a rehearsed call left it.
#[derive(Debug)]
pub struct Rehearsed(State);

impl Rehearsed {
    /// What `look` sees in it.
    pub fn look<T>(&self, look: impl FnOnce(&Mm) -> T) -> T {
        self.0.look(look)
    }
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The mirror came to what the kernel came to.
    Agrees,
    /// The mirror computed another result than the kernel returned.
    Result(ResultDifference),
    /// The mirror's map is another than the recorded one.
    Map(MapDifference),
    /// The call is outside of what vmaple models; an image must follow.
    Unmodelled(String),
}

/// Two results of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultDifference {
    /// What the mirror computed.
    pub mirror: Result<u64, Errno>,
    /// What the kernel returned: a value or a negative error number.
    pub kernel: i64,
}

/// An event that makes no sense after the ones before it.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// No image of this space came before.
    #[error("event for address space {} of which no image came before", .0.0)]
    UnknownSpace(SpaceId),
    /// The image cannot be taken.
    #[error("process {pid}: {source}")]
    Image {
        /// Whose.
        pid: i32,
        /// Why.
        source: ImageError,
    },
    /// The copy failed where the kernel's did not.
    #[error("process {pid}: fork failed in the mirror: {reason}")]
    Fork {
        /// The process that forked.
        pid: i32,
        /// Why.
        reason: String,
    },
}

impl Mirror {
    /// A mirror of nothing. `releases` hears of every file that no mapping uses any more.
    #[must_use]
    pub fn new(releases: Releases) -> Mirror {
        Mirror {
            files: FileBook::new(releases),
            ..Mirror::default()
        }
    }

    /// Applies one event.
    ///
    /// # Errors
    /// [`MirrorError`] where the event does not fit the ones before it; the mirror is then
    /// as it was.
    pub fn apply(&mut self, event: &Event) -> Result<Outcome, MirrorError> {
        match event {
            Event::Start(_) => Ok(Outcome::Agrees),
            Event::Image(image) => self.take_image(image).map(|()| Outcome::Agrees),
            Event::Join { pid, by, .. } => {
                self.join(*pid, *by);
                Ok(Outcome::Agrees)
            }
            Event::Fork {
                parent,
                parent_pid,
                child,
                pid,
                faulted,
            } => self
                .fork(*parent, *parent_pid, *child, *pid, faulted)
                .map(|()| Outcome::Agrees),
            Event::Call(record) => self.call(record),
            Event::Grew {
                space,
                pid,
                from,
                to,
                faulted,
            } => {
                let grown = self.worlds(*space)?.grow(*from, *to, faulted);
                self.report.process(*pid).stack_growths += u64::from(grown);
                Ok(if grown {
                    Outcome::Agrees
                } else {
                    Outcome::Unmodelled("stack growth".to_owned())
                })
            }
            Event::Unfollowed { pid, why, .. } => {
                self.report.process(*pid).count_reseed(why);
                Ok(Outcome::Agrees)
            }
            Event::Order { space, other } => {
                let known = self.worlds(*space)?.promote(*other);
                Ok(if known {
                    Outcome::Agrees
                } else {
                    Outcome::Unmodelled("order of faults".to_owned())
                })
            }
            Event::UffdReleased { space, context } => {
                self.worlds(*space)?
                    .each(|mm| mm.uffd_release(UffdId(*context)));
                Ok(Outcome::Agrees)
            }
            Event::Renamed { file, name } => {
                self.files.rename(*file, name);
                Ok(Outcome::Agrees)
            }
            Event::Map {
                space, pid, text, ..
            } => self.compare_recorded(*space, *pid, text),
            Event::Gone { space } => {
                self.spaces.remove(space);
                Ok(Outcome::Agrees)
            }
            Event::Exit { pid, status } => {
                self.report.ended(*pid, *status);
                Ok(Outcome::Agrees)
            }
        }
    }

    /// What `look` sees in the address space `space`, whose `mmap_lock` is held for reading
    /// meanwhile; none if no image of it came. Looks do not nest.
    pub fn look<T>(&self, space: SpaceId, look: impl FnOnce(&Mm) -> T) -> Option<T> {
        Some(self.spaces.get(&space)?.current().look(look))
    }

    /// Where an `mmap` with these facts would put its mapping; none where it would fail.
    #[must_use]
    pub fn landing(&self, space: SpaceId, call: &Call, facts: &Facts) -> Option<u64> {
        let args = dispatch::mmap_args_ahead(call, facts, &self.files);
        let args = args?;
        self.look(space, |mm| mm.placement(&args).ok())?
    }

    /// Makes the call of `record` on a copy of its space and writes the resulting map into
    /// `maps`. The copy, where the call came to the kernel's result.
    #[must_use]
    pub fn rehearse(
        &mut self,
        space: SpaceId,
        record: &CallRecord,
        maps: &mut String,
    ) -> Option<Rehearsed> {
        let copy = self.spaces.get(&space)?.current().copy();
        let outcome = play(&copy, &mut self.files, record, &record.facts.faults);
        copy.write_maps(maps);
        (outcome == Outcome::Agrees).then_some(Rehearsed(copy))
    }

    /// What the call of `record` would return if it were made now; none where only the kernel
    /// can tell.
    #[must_use]
    pub fn foresee(&mut self, space: SpaceId, record: &CallRecord) -> Option<i64> {
        let copy = self.spaces.get(&space)?.current().copy();
        match play(&copy, &mut self.files, record, &record.facts.faults) {
            Outcome::Result(difference) => Some(match difference.mirror {
                Ok(value) => value.cast_signed(),
                Err(errno) => -i64::from(errno.as_raw()),
            }),
            _ => None,
        }
    }

    /// The figures so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The figures so far, to add what only the caller knows (comparisons, differences).
    pub fn report_mut(&mut self) -> &mut Report {
        &mut self.report
    }

    /// The files that mappings of `space` stand on, as ids with the name the mirror knows.
    pub fn file_names(&self, space: SpaceId) -> Vec<(u64, FileName)> {
        let ids = self.look(space, |mm| -> Vec<u64> {
            mm.iter()
                .filter_map(|vma| vma.backing.file().map(|file| file.identity().0))
                .collect()
        });
        let mut ids = ids.unwrap_or_default();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
            .filter_map(|id| Some((id, self.files.name(id)?)))
            .collect()
    }

    /// Whether some mapping stands on open file description `id`.
    #[must_use]
    pub fn is_mapped(&self, id: u64) -> bool {
        self.files.name(id).is_some()
    }

    /// The files that mappings within `range` stand on, as ids with the size the mirror knows.
    pub fn file_sizes(&self, space: SpaceId, range: AddrRange) -> Vec<FileSize> {
        let sizes = self.look(space, |mm| {
            let files = mm.overlapping(range).filter_map(|vma| vma.backing.file());
            files
                .filter_map(|file| {
                    Some(FileSize {
                        file: file.identity().0,
                        bytes: file.len_hint()?,
                    })
                })
                .collect()
        });
        sizes.unwrap_or_default()
    }

    /// The other state of `space` whose map reads `text`, where faults left an order open.
    #[must_use]
    pub fn other_state(&self, space: SpaceId, text: &str) -> Option<usize> {
        self.spaces.get(&space)?.other_with(text)
    }

    fn worlds(&mut self, space: SpaceId) -> Result<&mut Worlds, MirrorError> {
        self.spaces
            .get_mut(&space)
            .ok_or(MirrorError::UnknownSpace(space))
    }

    fn take_image(&mut self, image: &Image) -> Result<(), MirrorError> {
        let mm = image::build(image, &mut self.files).map_err(|source| MirrorError::Image {
            pid: image.pid,
            source,
        })?;
        let process = self.report.process(image.pid);
        process.final_vmas = mm.len() as u64;
        process.peak_vmas = process.peak_vmas.max(process.final_vmas);
        process.program.clone_from(&image.program);
        process.threads = process.threads.max(1);
        match &image.cause {
            Cause::Exec => process.execs += 1,
            Cause::Unmodelled(name) => process.count_reseed(name),
            Cause::Difference => {}
        }
        self.spaces.insert(image.space, Worlds::new(State::new(mm)));
        Ok(())
    }

    fn join(&mut self, pid: i32, by: i32) {
        let program = self.report.process(by).program.clone();
        let process = self.report.process(pid);
        process.threads += 1;
        if process.program.is_empty() {
            process.program = program;
        }
    }

    fn fork(
        &mut self,
        parent: SpaceId,
        parent_pid: i32,
        child: SpaceId,
        pid: i32,
        faulted: &[Range],
    ) -> Result<(), MirrorError> {
        let worlds = self.worlds(parent)?;
        worlds.each(|mm| note_faulted(mm, faulted));
        let copy = worlds.fork().map_err(|error| MirrorError::Fork {
            pid: parent_pid,
            reason: error.to_string(),
        })?;
        let vmas = copy.look(Mm::len) as u64;
        self.spaces.insert(child, Worlds::new(copy));
        self.join(pid, parent_pid);
        self.report
            .process(parent_pid)
            .count_call(Call::Fork.name());
        let process = self.report.process(pid);
        process.final_vmas = vmas;
        process.peak_vmas = process.peak_vmas.max(vmas);
        Ok(())
    }

    fn call(&mut self, record: &CallRecord) -> Result<Outcome, MirrorError> {
        let process = self.report.process(record.pid);
        process.count_call(record.call.name());
        if record.facts.drawn.is_some() {
            process.drawn_addresses += 1;
        }
        let faults = &record.facts.faults;
        if !faults.during.is_empty() || !faults.after.is_empty() {
            process.fault_races += 1;
        }
        let worlds = self
            .spaces
            .get_mut(&record.space)
            .ok_or(MirrorError::UnknownSpace(record.space))?;
        let before = worlds.current().look(|mm| *mm.counters());
        let outcome = worlds.call(&mut self.files, record);
        let (after, vmas) = worlds
            .current()
            .look(|mm| (*mm.counters(), mm.len() as u64));
        process.merges += after.merges.total().saturating_sub(before.merges.total());
        process.splits += after.splits.saturating_sub(before.splits);
        process.final_vmas = vmas;
        process.peak_vmas = process.peak_vmas.max(vmas);
        Ok(match (outcome, &record.facts.unordered) {
            (Outcome::Result(_), Some(why)) => Outcome::Unmodelled(why.clone()),
            (Outcome::Result(difference), None) => {
                process.differences += 1;
                Outcome::Result(difference)
            }
            (outcome, _) => outcome,
        })
    }

    fn compare_recorded(
        &mut self,
        space: SpaceId,
        pid: i32,
        text: &str,
    ) -> Result<Outcome, MirrorError> {
        let mut ours = String::with_capacity(text.len());
        self.write_maps(space, &mut ours)?;
        if ours != text
            && let Some(other) = self.other_state(space, text)
        {
            self.worlds(space)?.promote(other);
            self.write_maps(space, &mut ours)?;
        }
        let process = self.report.process(pid);
        process.comparisons += 1;
        let Some(difference) = MapDifference::between(&ours, text) else {
            return Ok(Outcome::Agrees);
        };
        process.differences += 1;
        Ok(Outcome::Map(difference))
    }

    /// The map of `space` as `/proc/PID/maps` would show it, into `out`, which is emptied
    /// first.
    ///
    /// # Errors
    /// [`MirrorError::UnknownSpace`].
    pub fn write_maps(&self, space: SpaceId, out: &mut String) -> Result<(), MirrorError> {
        let worlds = self.spaces.get(&space);
        let worlds = worlds.ok_or(MirrorError::UnknownSpace(space))?;
        worlds.current().write_maps(out);
        Ok(())
    }
}

/// One call with its facts, as one write section: what it locks is unlocked when it is over.
fn play(state: &State, files: &mut FileBook, record: &CallRecord, faults: &Faults) -> Outcome {
    state.change(|mm| play_locked(mm, files, record, faults))
}

/// One call with its facts, in the order in which the kernel had them.
fn play_locked(mm: &mut Mm, files: &mut FileBook, record: &CallRecord, faults: &Faults) -> Outcome {
    for &size in &record.facts.sizes {
        files.resize(size);
    }
    if let Some(limits) = record.facts.limits {
        mm.config_mut().limits = limits;
    }
    if let Some(capabilities) = record.facts.capabilities {
        mm.config_mut().capabilities = capabilities;
    }
    if let Some(guards) = &record.facts.guards {
        let ranges = guards.iter();
        mm.note_guards(
            ranges
                .map(|one| AddrRange::new(one.start, one.end))
                .collect(),
        );
    }
    note_faulted(mm, &faults.before);
    note_faulted(mm, &faults.during);
    let outcome = dispatch::call(mm, files, record);
    note_faulted(mm, &faults.after);
    outcome
}

/// Tells `mm` that the mappings in `ranges` hold anonymous pages.
fn note_faulted(mm: &mut Mm, ranges: &[Range]) {
    for range in ranges {
        mm.note_faulted(range.start);
    }
}
