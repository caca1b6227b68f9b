//! A run: the tracer's stops turned into events, each applied to the mirror at once and
//! compared with what the kernel shows.
//!
//! For one call, in this order:
//! 1. at its entry: which facts will the kernel's decision depend on? ([`facts`])
//! 2. at its exit: the event is complete; where another thread's page fault raced the call,
//!    the order of the two is taken from the outcome ([`races`]);
//! 3. the mirror makes the call; results are compared;
//! 4. the maps are compared ([`check`]), by the [`Check`] policy.
//!
//! After a difference or a call without a model the mirror goes on from a fresh image, which
//! is recorded like everything else ([`image`]).

mod check;
mod concerned;
mod decode;
mod facts;
mod image;
mod lost;
mod policy;
mod races;
mod space;

use std::collections::HashMap;
use std::path::PathBuf;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
pub use policy::Check;

use crate::call::Call;
use crate::event::{CallRecord, Cause, Event, Facts, Moment, Range, SpaceId, Start, Status};
use crate::history::History;
use crate::mirror::{MapDifference, Mirror, Outcome, Releases, ResultDifference};
use crate::procfs::files::FileTable;
use crate::procfs::machine::Machine;
use crate::procfs::maps::MapsText;
use crate::report::Report;
use crate::trace_file::{self, TraceError, Writer};
use crate::tracer::{
    self, Command, Decision, ExitStatus, ForkKind, MmId, Observer, RawCall, ShareKind, Stopped,
    Task, Verdict,
};
use lost::Lost;
use policy::Policy;
use space::Space;

/// What to do beside mirroring.
#[derive(Clone, Debug)]
pub struct Options {
    /// When to compare maps.
    pub check: Check,
    /// Compare `VmFlags` of smaps as well as maps.
    pub flags: bool,
    /// Kill the program at the first difference.
    pub fail_fast: bool,
    /// Where to write the trace.
    pub record: Option<PathBuf>,
    /// Keep the course of the run, to draw it.
    pub history: bool,
    /// A mistake to make on purpose, to see that it is found.
    pub plant: Option<Plant>,
    /// Passed on to the tracer.
    pub tracer: tracer::Options,
}

/// A mistake made on purpose, for whoever wants to see the checks find one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The mirror is told that the Nth call of the run (from 1) returned a page more.
    Result(u64),
    /// The mirror does not make the Nth call of the run.
    Skip(u64),
}

/// Hears of what a person wants to know at once.
pub trait Audience {
    /// The mirror and the kernel disagree, after `call` of process `pid` (none at exit).
    fn difference(&mut self, pid: i32, call: Option<&Call>, what: &Difference);

    /// Something could not be mirrored, and what that means.
    fn notice(&mut self, pid: i32, text: &str);

    /// Called about once a second.
    fn tick(&mut self, report: &Report) {
        let _ = report;
    }
}

/// Two sides of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// What a call returned.
    Result(ResultDifference),
    /// The map.
    Map(MapDifference),
}

/// Why a run ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The program could not be started or traced.
    #[error(transparent)]
    Tracer(#[from] tracer::Error),
    /// The machine's own settings could not be read.
    #[error(transparent)]
    Machine(#[from] crate::procfs::Error),
    /// The trace could not be written.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// How the program ended.
    pub status: ExitStatus,
    /// What was found.
    pub report: Report,
    /// Comparisons left out by [`Check::WhileAffordable`].
    pub skipped: u64,
    /// The course of the run, if it was to be kept.
    pub history: Option<History>,
}

/// Runs `command` to its end.
///
/// # Errors
/// [`RunError`]; no traced process is left then.
pub fn run(
    command: &Command,
    options: &Options,
    audience: &mut dyn Audience,
) -> Result<Finished, RunError> {
    let recorder = options.record.as_deref().map(Writer::create).transpose()?;
    let mut live = Live::new(options, recorder, audience)?;
    live.record(&live.start(command))?;
    let outcome = tracer::run(command, &options.tracer, &mut live);
    let flushed = live.recorder.as_mut().map_or(Ok(()), Writer::flush);
    let outcome = outcome?;
    flushed?;
    if let Some(history) = &mut live.history {
        history.finish(&live.mirror);
    }
    Ok(Finished {
        history: live.history.take(),
        status: outcome.root_status,
        skipped: live.policy.skipped(),
        report: live.mirror.report().clone(),
    })
}

/// Two descriptors a process are needed, and one a mapped file. The traced program started
/// with the old limit.
fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Where it cannot be raised, the first file that cannot be opened says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn kernel_release() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| String::new(),
        |names| names.release().to_string_lossy().into_owned(),
    )
}

/// A call between its entry and its exit.
#[derive(Debug)]
struct Pending {
    call: Call,
    facts: Facts,
    /// Ranges that held no anonymous page at entry.
    clean: Vec<vmaple::AddrRange>,
}

struct Live<'a> {
    mirror: Mirror,
    history: Option<History>,
    spaces: HashMap<MmId, Space>,
    files: FileTable,
    releases: Releases,
    machine: Machine,
    policy: Policy,
    recorder: Option<Writer>,
    fail_fast: bool,
    compare_flags: bool,
    plant: Option<Plant>,
    calls: u64,
    audience: &'a mut dyn Audience,
    kernel_text: MapsText,
    mirror_text: String,
}

impl<'a> Live<'a> {
    fn new(
        options: &Options,
        recorder: Option<Writer>,
        audience: &'a mut dyn Audience,
    ) -> Result<Live<'a>, RunError> {
        let releases = Releases::default();
        Ok(Live {
            mirror: Mirror::new(releases.clone()),
            history: options.history.then(History::new),
            spaces: HashMap::new(),
            files: FileTable::new(),
            releases,
            machine: Machine::read()?,
            policy: Policy::new(options.check),
            recorder,
            fail_fast: options.fail_fast,
            compare_flags: options.flags,
            plant: options.plant,
            calls: 0,
            audience,
            kernel_text: MapsText::new(),
            mirror_text: String::new(),
        })
    }

    fn start(&self, command: &Command) -> Event {
        let words = std::iter::once(&command.program).chain(&command.args);
        Event::Start(Start {
            version: trace_file::VERSION,
            kernel: kernel_release(),
            command: words
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
        })
    }

    fn record(&mut self, event: &Event) -> Result<(), TraceError> {
        self.recorder
            .as_mut()
            .map_or(Ok(()), |recorder| recorder.write(event))
    }

    /// Records an event and applies it.
    fn apply(&mut self, event: &Event) -> Result<Outcome, tracer::ObserverError> {
        self.record(event)?;
        if let (Event::Gone { .. }, Some(history)) = (event, &mut self.history) {
            // Its last map is to be seen while it is there.
            history.note(event, &self.mirror);
        }
        let outcome = self.mirror.apply(event)?;
        if let Some(history) = &mut self.history {
            history.note(event, &self.mirror);
        }
        for id in self.releases.take() {
            // A description may be mapped anew before its release is looked at.
            if !self.mirror.is_mapped(id) {
                self.files.release(id);
            }
        }
        Ok(outcome)
    }

    /// Whether the space is one that vmaple follows; foreign programs are not.
    fn follows(&self, mm: MmId) -> bool {
        self.spaces.get(&mm).is_some_and(|space| space.mirrored)
    }

    /// Reports, takes a fresh image, and says whether the program goes on.
    fn disagree(
        &mut self,
        task: &mut Stopped<'_>,
        call: Option<&Call>,
        what: &Difference,
    ) -> Decision {
        let pid = task.task().tgid.as_raw();
        self.audience.difference(pid, call, what);
        self.flush()?;
        if self.fail_fast {
            return Ok(Verdict::Stop);
        }
        self.take_image(task, Cause::Difference)?;
        Ok(Verdict::Continue)
    }

    /// Says by name what has no model, and goes on from the kernel's map.
    fn reseed(
        &mut self,
        task: &mut Stopped<'_>,
        call: &Call,
        what: String,
    ) -> Result<(), tracer::ObserverError> {
        let who = task.task();
        let name = call.name();
        let what = if what == name {
            what
        } else {
            format!("{name}: {what}")
        };
        let text = format!("re-seed: {what} is outside of vmaple's model");
        self.audience.notice(who.tgid.as_raw(), &text);
        if let Some(space) = self.spaces.get_mut(&who.mm) {
            space.uncertain = None;
        }
        self.take_image(task, Cause::Unmodelled(what))
    }

    /// Opens what is needed of a new address space.
    fn open_space(&mut self, task: Task) -> Result<(), tracer::ObserverError> {
        raise_descriptor_limit();
        self.spaces.insert(task.mm, Space::open(task)?);
        Ok(())
    }

    /// Writes out what there is of the trace. What cannot be written stays in the buffer: the
    /// next event that does not fit, or the end of the run, says so once.
    fn try_to_flush(&mut self) {
        let _ = self.flush();
    }

    fn flush(&mut self) -> Result<(), TraceError> {
        self.recorder.as_mut().map_or(Ok(()), Writer::flush)
    }

    /// The event of a call that came back, applied and judged.
    fn finish_call(&mut self, task: &mut Stopped<'_>, pending: Pending, ret: i64) -> Decision {
        let who = task.task();
        let mut record = CallRecord {
            space: SpaceId(who.mm.0),
            pid: who.tgid.as_raw(),
            tid: who.tid.as_raw(),
            call: pending.call,
            ret,
            facts: pending.facts,
        };
        let space = self.spaces.get(&who.mm);
        record.facts.unordered = space.and_then(|space| space.uncertain).map(str::to_owned);
        self.facts_after(task, &mut record);
        self.order_races(task, &mut record, &pending.clean);
        self.calls += 1;
        if self.plant == Some(Plant::Skip(self.calls)) {
            return self.compare(task, Some(&record.call));
        }
        if self.plant == Some(Plant::Result(self.calls)) {
            record.ret = record
                .ret
                .wrapping_add(self.machine.page_size.cast_signed());
        }
        let event = Event::Call(Box::new(record));
        let outcome = self.apply(&event)?;
        let Event::Call(record) = event else {
            return Ok(Verdict::Continue);
        };
        match outcome {
            Outcome::Agrees => {}
            Outcome::Result(difference) => {
                return self.disagree(task, Some(&record.call), &Difference::Result(difference));
            }
            Outcome::Map(difference) => {
                return self.disagree(task, Some(&record.call), &Difference::Map(difference));
            }
            Outcome::Unmodelled(what) => {
                self.reseed(task, &record.call, what)?;
                return Ok(Verdict::Continue);
            }
        }
        if self.policy.is_due() {
            self.compare(task, Some(&record.call))
        } else {
            Ok(Verdict::Continue)
        }
    }
}

impl Observer for Live<'_> {
    fn exec(&mut self, task: &mut Stopped<'_>, old_mm: Option<MmId>) -> Decision {
        if let Some(old) = old_mm {
            self.forget(old)?;
        }
        let who = task.task();
        self.open_space(who)?;
        self.take_image(task, Cause::Exec)?;
        self.compare(task, None)
    }

    fn call_entry(&mut self, task: &mut Stopped<'_>, raw: &RawCall) -> Decision {
        if self.follows(task.task().mm) {
            let pending = self.facts_before(task, raw)?;
            if let Some(space) = self.spaces.get_mut(&task.task().mm) {
                space.pending.insert(task.task().tid, pending);
            }
        }
        Ok(Verdict::Continue)
    }

    fn call_exit(&mut self, task: &mut Stopped<'_>, _raw: &RawCall, ret: i64) -> Decision {
        let who = task.task();
        let pending = self
            .spaces
            .get_mut(&who.mm)
            .and_then(|space| space.pending.remove(&who.tid));
        match pending {
            Some(pending) => self.finish_call(task, pending, ret),
            None => Ok(Verdict::Continue),
        }
    }

    fn call_restarted(&mut self, task: &mut Stopped<'_>, _raw: &RawCall) -> Decision {
        // Parts may be done; the same call comes again and finishes the work. The maps are
        // compared then.
        let who = task.task();
        if let Some(space) = self.spaces.get_mut(&who.mm) {
            space.pending.remove(&who.tid);
        }
        Ok(Verdict::Continue)
    }

    fn call_lost(&mut self, task: Task, _raw: &RawCall) {
        if let Some(space) = self.spaces.get_mut(&task.mm) {
            let pending = space.pending.remove(&task.tid);
            space.lost.extend(pending.map(|pending| Lost {
                caller: task,
                pending,
            }));
            space.uncertain = Some("a thread killed inside a memory call");
        }
    }

    fn exec_entry(&mut self, task: &mut Stopped<'_>) -> Decision {
        let who = task.task();
        if !self.follows(who.mm) {
            return Ok(Verdict::Continue);
        }
        let verdict = self.compare(task, Some(&Call::Exec))?;
        self.record_map(task, Moment::Exec)?;
        Ok(verdict)
    }

    fn forked(&mut self, parent: &mut Stopped<'_>, child: Task, _kind: ForkKind) -> Decision {
        if self.follows(parent.task().mm) {
            self.copy_space(parent.task(), child)?;
        }
        Ok(Verdict::Continue)
    }

    fn thread_started(&mut self, parent: Task, child: Task, _kind: ShareKind) {
        let Some(space) = self.spaces.get_mut(&child.mm) else {
            return;
        };
        space.shared = true;
        let joined = Event::Join {
            space: SpaceId(child.mm.0),
            pid: child.tgid.as_raw(),
            tid: child.tid.as_raw(),
            by: parent.tgid.as_raw(),
        };
        self.apply_or_note(child.tgid.as_raw(), &joined);
    }

    fn adopted(&mut self, task: &mut Stopped<'_>) -> Decision {
        let who = task.task();
        self.open_space(who)?;
        self.audience.notice(
            who.tgid.as_raw(),
            "re-seed: its parent was killed while it forked",
        );
        self.take_image(
            task,
            Cause::Unmodelled("fork by a killed process".to_owned()),
        )?;
        Ok(Verdict::Continue)
    }

    fn mm_ending(&mut self, task: &mut Stopped<'_>) {
        let who = task.task();
        if self.follows(who.mm) {
            let compared = self
                .compare(task, None)
                .and_then(|_| self.record_map(task, Moment::Exit));
            if let Err(error) = compared {
                self.audience.notice(who.tgid.as_raw(), &error.to_string());
            }
        }
        self.gone(who.mm, who.tgid.as_raw());
    }

    fn mm_gone(&mut self, mm: MmId) {
        let pid = self.spaces.get(&mm).map_or(0, |space| space.pid);
        self.gone(mm, pid);
    }

    fn overlapped(&mut self, blocked: Task, _call: &RawCall) {
        if let Some(space) = self.spaces.get_mut(&blocked.mm) {
            space.uncertain = Some("calls of two threads overlapped");
        }
    }

    fn foreign_abi(&mut self, task: &mut Stopped<'_>) -> Decision {
        let who = task.task();
        if let Some(space) = self.spaces.get_mut(&who.mm) {
            space.mirrored = false;
        }
        let pid = who.tgid.as_raw();
        let unfollowed = Event::Unfollowed {
            space: SpaceId(who.mm.0),
            pid,
            why: "32-bit system calls".to_owned(),
        };
        let _agrees = self.apply(&unfollowed)?;
        self.audience
            .notice(pid, "not mirrored from here: it makes 32-bit system calls");
        Ok(Verdict::Continue)
    }

    fn process_exited(&mut self, tgid: nix::unistd::Pid, status: ExitStatus) {
        let status = match status {
            ExitStatus::Exited(code) => Status::Exited(i32::from(code)),
            ExitStatus::Signaled { signal, .. } => Status::Killed(signal),
        };
        self.apply_or_note(
            tgid.as_raw(),
            &Event::Exit {
                pid: tgid.as_raw(),
                status,
            },
        );
        self.try_to_flush();
    }

    fn tick(&mut self) {
        self.try_to_flush();
        self.audience.tick(self.mirror.report());
    }
}

impl Live<'_> {
    /// For the calls of [`Observer`] that cannot fail.
    fn apply_or_note(&mut self, pid: i32, event: &Event) {
        if let Err(error) = self.apply(event) {
            self.audience.notice(pid, &error.to_string());
        }
    }

    fn gone(&mut self, mm: MmId, pid: i32) {
        if let Err(error) = self.forget(mm) {
            self.audience.notice(pid, &error.to_string());
        }
    }

    fn forget(&mut self, mm: MmId) -> Result<(), tracer::ObserverError> {
        if self.spaces.remove(&mm).is_some() {
            let _agrees = self.apply(&Event::Gone {
                space: SpaceId(mm.0),
            })?;
        }
        Ok(())
    }

    /// Starts the mirror of a copy. It stands still since it was made, so the anonymous pages
    /// in it are those that its parent had at that moment.
    fn copy_space(&mut self, parent: Task, child: Task) -> Result<(), tracer::ObserverError> {
        self.open_space(child)?;
        let clean = self.unfaulted(parent);
        let held = self
            .spaces
            .get(&child.mm)
            .map(|copy| copy.anonymous(&clean));
        let faulted = held
            .unwrap_or_default()
            .into_iter()
            .map(Range::from)
            .collect();
        let forked = Event::Fork {
            parent: SpaceId(parent.mm.0),
            parent_pid: parent.tgid.as_raw(),
            child: SpaceId(child.mm.0),
            pid: child.tgid.as_raw(),
            faulted,
        };
        let _agrees = self.apply(&forked)?;
        Ok(())
    }
}
