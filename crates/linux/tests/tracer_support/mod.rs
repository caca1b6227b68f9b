//! What the tracer's tests share: C programs built on the spot, an observer that notes down
//! everything, and the rules every recording must obey.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod own_process;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use vmaple_linux::arch;
use vmaple_linux::tracer::{
    self, Command, Decision, ExitStatus, ForkKind, MmId, Observer, Options, Outcome, RawCall,
    ShareKind, Stopped, Task, Verdict,
};

/// A folder that goes away with the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("vmaple-tracer-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        Self(folder)
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    /// Compiles a C program.
    pub(crate) fn compile(&self, name: &str, source: &str) -> PathBuf {
        let (program, text) = (self.path(name), self.path(&format!("{name}.c")));
        std::fs::write(&text, source).expect("a source file");
        let built = Process::new("cc")
            .args(["-O1", "-pthread", "-D_GNU_SOURCE", "-o"])
            .args([&program, &text])
            .status()
            .expect("a C compiler");
        assert!(built.success(), "{name}.c does not compile");
        program
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One observer call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Exec(Task, Option<MmId>),
    Entry(Task, RawCall),
    Exit(Task, RawCall, i64),
    Restarted(Task, RawCall),
    Lost(Task, RawCall),
    ExecEntry(Task),
    ExecFailed(Task, i64),
    Forked(Task, Task, ForkKind),
    Started(Task, Task, ShareKind),
    Adopted(Task),
    /// With the number of lines of the map.
    Ending(Task, usize),
    Gone(MmId),
    Overlapped(Task, RawCall),
    Foreign(Task),
    Exited(i32, ExitStatus),
}

/// Notes down every call.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) events: Vec<Event>,
    pub(crate) ticks: u64,
}

impl Recorder {
    fn note(&mut self, event: Event) -> Decision {
        self.events.push(event);
        Ok(Verdict::Continue)
    }

    pub(crate) fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| which(event)).count()
    }

    /// The exits of calls with this number.
    pub(crate) fn exits(&self, nr: u64) -> impl Iterator<Item = (Task, RawCall, i64)> {
        self.events.iter().filter_map(move |event| match *event {
            Event::Exit(task, call, ret) if call.nr == nr => Some((task, call, ret)),
            _ => None,
        })
    }
}

pub(crate) fn map_lines(task: &Stopped<'_>) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", task.tid()));
    maps.map_or(0, |text| text.lines().count())
}

impl Observer for Recorder {
    fn exec(&mut self, task: &mut Stopped<'_>, old_mm: Option<MmId>) -> Decision {
        self.note(Event::Exec(task.task(), old_mm))
    }
    fn call_entry(&mut self, task: &mut Stopped<'_>, call: &RawCall) -> Decision {
        self.note(Event::Entry(task.task(), *call))
    }
    fn call_exit(&mut self, task: &mut Stopped<'_>, call: &RawCall, ret: i64) -> Decision {
        self.note(Event::Exit(task.task(), *call, ret))
    }
    fn call_restarted(&mut self, task: &mut Stopped<'_>, call: &RawCall) -> Decision {
        self.note(Event::Restarted(task.task(), *call))
    }
    fn call_lost(&mut self, task: Task, call: &RawCall) {
        self.events.push(Event::Lost(task, *call));
    }
    fn exec_entry(&mut self, task: &mut Stopped<'_>) -> Decision {
        self.note(Event::ExecEntry(task.task()))
    }
    fn exec_failed(&mut self, task: &mut Stopped<'_>, ret: i64) -> Decision {
        self.note(Event::ExecFailed(task.task(), ret))
    }
    fn forked(&mut self, parent: &mut Stopped<'_>, child: Task, kind: ForkKind) -> Decision {
        self.note(Event::Forked(parent.task(), child, kind))
    }
    fn thread_started(&mut self, parent: Task, child: Task, kind: ShareKind) {
        self.events.push(Event::Started(parent, child, kind));
    }
    fn adopted(&mut self, task: &mut Stopped<'_>) -> Decision {
        self.note(Event::Adopted(task.task()))
    }
    fn mm_ending(&mut self, task: &mut Stopped<'_>) {
        self.events
            .push(Event::Ending(task.task(), map_lines(task)));
    }
    fn mm_gone(&mut self, mm: MmId) {
        self.events.push(Event::Gone(mm));
    }
    fn overlapped(&mut self, blocked: Task, call: &RawCall) {
        self.events.push(Event::Overlapped(blocked, *call));
    }
    fn foreign_abi(&mut self, task: &mut Stopped<'_>) -> Decision {
        self.note(Event::Foreign(task.task()))
    }
    fn process_exited(&mut self, tgid: nix::unistd::Pid, status: ExitStatus) {
        self.events.push(Event::Exited(tgid.as_raw(), status));
    }
    fn tick(&mut self) {
        self.ticks += 1;
    }
}

/// Runs a program to its end and checks the recording.
pub(crate) fn record(command: &Command) -> (Outcome, Recorder) {
    let mut recorder = Recorder::default();
    let outcome = tracer::run(command, &Options::default(), &mut recorder).expect("a run");
    check(&recorder.events);
    (outcome, recorder)
}

pub(crate) fn command(program: &Path, args: &[&str]) -> Command {
    Command::new(program).args(args.iter().copied())
}

/// What holds of every recording.
pub(crate) fn check(events: &[Event]) {
    let mut in_call: HashMap<MmId, (Task, RawCall)> = HashMap::new();
    let mut loose: HashSet<Task> = HashSet::new();
    let mut alive: HashSet<MmId> = HashSet::new();
    for (at, event) in events.iter().enumerate() {
        match *event {
            Event::Exec(task, old) => {
                if let Some(old) = old {
                    assert!(alive.remove(&old), "{at}: {old:?} was not there");
                }
                assert!(alive.insert(task.mm), "{at}: {event:?} is not new");
            }
            Event::Forked(parent, child, _) => {
                assert!(alive.contains(&parent.mm), "{at}: {event:?}");
                assert!(
                    !in_call.contains_key(&parent.mm),
                    "{at}: {event:?} within a call"
                );
                assert!(alive.insert(child.mm), "{at}: {event:?} is not new");
            }
            Event::Adopted(task) => assert!(alive.insert(task.mm), "{at}: {event:?}"),
            Event::Started(parent, child, _) => assert_eq!(parent.mm, child.mm, "{at}"),
            Event::Entry(task, call) => {
                assert!(arch::syscall(call.nr).is_some(), "{at}: {event:?}");
                assert!(alive.contains(&task.mm), "{at}: {event:?}");
                let before = in_call.insert(task.mm, (task, call));
                assert_eq!(before, None, "{at}: {event:?} while another is in a call");
            }
            Event::Exit(task, call, _) | Event::Restarted(task, call) | Event::Lost(task, call) => {
                if !loose.remove(&task) {
                    assert_eq!(
                        in_call.remove(&task.mm),
                        Some((task, call)),
                        "{at}: {event:?}"
                    );
                }
            }
            Event::Overlapped(task, _) => {
                in_call.remove(&task.mm);
                loose.insert(task);
            }
            Event::Ending(task, lines) => {
                assert!(lines > 0, "{at}: {event:?}: the map is not readable");
                assert!(alive.remove(&task.mm), "{at}: {event:?} ends twice");
            }
            Event::Gone(mm) => assert!(alive.remove(&mm), "{at}: {event:?} ends twice"),
            Event::ExecEntry(_) | Event::ExecFailed(..) | Event::Foreign(_) | Event::Exited(..) => {
            }
        }
    }
    assert!(in_call.is_empty(), "calls without an end: {in_call:?}");
    assert!(alive.is_empty(), "address spaces without an end: {alive:?}");
}
