//! What the threads of a checked execution do, step by step, to be shown when it fails.
//!
//! Each access to an atomic, a cell or a fence is noted with its thread, its place in the source
//! and what it saw. An execution that fails is printed as columns of steps, one for each thread:
//!
//! ```text
//!        writer                                reader
//!    1                                         try_get: vm_refcnt 1 → 2, acquire
//!    2   exclude_readers: vm_refcnt 2 → FLAG+2, relaxed
//! ```
//!
//! Both checkers run all threads of an execution on one thread of the host, so the log is a
//! thread-local one. It is kept from [`begin`] on; without that nothing is noted.

use crate::columns;
use crate::names::Name;
use core::panic::Location;
use core::sync::atomic::Ordering;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::string::String;
use std::vec::Vec;

/// One step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) thread: usize,
    pub(crate) at: &'static Location<'static>,
    pub(crate) what: What,
}

/// What is done in it.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Access(Subject, Access, Ordering),
    Fence(Ordering),
    Reads(Subject),
    Writes(Subject),
    Says(String),
}

/// An access to a word, by the bits of its values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    Load(Value),
    /// What is not the last that was stored, and that.
    LoadOld(Value, Value),
    Store(Value),
    Change(Value, Value),
    /// An exchange that found the first, and not the second.
    Kept(Value, Value),
}

/// The bits of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    Flag(bool),
    Pointer(usize),
}

/// What can be shown.
pub(crate) trait Raw {
    fn raw(self) -> Value;
}

macro_rules! raw {
    ($($type:ty)*) => {$(
        impl Raw for $type {
            fn raw(self) -> Value {
                Value::Number(self as u64)
            }
        }
    )*};
}

raw!(u8 u32 u64 usize);

impl Raw for bool {
    fn raw(self) -> Value {
        Value::Flag(self)
    }
}

impl<T> Raw for *mut T {
    fn raw(self) -> Value {
        Value::Pointer(self.addr())
    }
}

/// What a step is done to: which of those with its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) name: Option<&'static Name>,
    pub(crate) number: usize,
    pub(crate) made_at: &'static Location<'static>,
}

/// Which word or cell it is: by where and when it was made, because it may move.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) name: Option<&'static Name>,
    id: u64,
    made_at: &'static Location<'static>,
}

impl Word {
    #[track_caller]
    pub(crate) fn new() -> Self {
        std::thread_local! {
            static NEXT: Cell<u64> = const { Cell::new(0) };
        }
        let id = NEXT.get();
        NEXT.set(id + 1);
        Self {
            name: None,
            id,
            made_at: Location::caller(),
        }
    }

    #[cfg(loom)]
    #[track_caller]
    pub(crate) fn note(&self, access: Access, order: Ordering) {
        self.note_at(Location::caller(), access, order);
    }

    pub(crate) fn note_at(&self, at: &'static Location<'static>, access: Access, order: Ordering) {
        with_log(|log| {
            let subject = log.subject(self);
            let access = log.compare(self.id, access);
            log.push(at, What::Access(subject, access, order));
        });
    }

    #[track_caller]
    pub(crate) fn note_read(&self) {
        let at = Location::caller();
        with_log(|log| {
            let subject = log.subject(self);
            log.push(at, What::Reads(subject));
        });
    }

    #[track_caller]
    pub(crate) fn note_write(&self) {
        let at = Location::caller();
        with_log(|log| {
            let subject = log.subject(self);
            log.push(at, What::Writes(subject));
        });
    }
}

#[track_caller]
pub(crate) fn note_fence(order: Ordering) {
    let at = Location::caller();
    with_log(|log| log.push(at, What::Fence(order)));
}

/// Notes something that the test wants to tell of the calling thread.
#[track_caller]
pub(crate) fn say(text: &str) {
    let at = Location::caller();
    with_log(|log| log.push(at, What::Says(text.into())));
}

/// Gives the calling thread a name for its column.
pub(crate) fn name_thread(name: &str) {
    with_log(|log| {
        let thread = log.thread();
        log.names[thread] = name.into();
    });
}

/// The log of one execution.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) steps: Vec<Step>,
    /// By order of appearance.
    threads: Vec<ThreadId>,
    pub(crate) names: Vec<String>,
    /// The steps before there was a second thread.
    pub(crate) nr_before_spawn: usize,
    latest: HashMap<u64, Value>,
    /// Which of those with its name a word is.
    numbers: HashMap<u64, usize>,
    nr_of_name: HashMap<&'static str, usize>,
}

#[cfg(loom)]
type ThreadId = loom::thread::ThreadId;
#[cfg(shuttle)]
type ThreadId = shuttle::thread::ThreadId;

#[cfg(loom)]
fn current() -> ThreadId {
    loom::thread::current().id()
}
#[cfg(shuttle)]
fn current() -> ThreadId {
    shuttle::thread::current().id()
}

std::thread_local! {
    static LOG: RefCell<Option<Log>> = const { RefCell::new(None) };
}

fn with_log(note: impl FnOnce(&mut Log)) {
    let _ = LOG.try_with(|log| {
        if let Ok(mut log) = log.try_borrow_mut()
            && let Some(log) = log.as_mut()
        {
            note(log);
        }
    });
}

/// Begins the log of an execution, in which only the calling thread is there.
pub(crate) fn begin() {
    LOG.set(Some(Log::default()));
    name_thread("main");
}

/// Says that another thread is about to be there.
pub(crate) fn before_spawn() {
    with_log(|log| {
        if log.nr_before_spawn == 0 {
            log.nr_before_spawn = log.steps.len();
        }
    });
}

/// Ends the log, and prints it. Nothing if there is none.
pub(crate) fn print_failed(reason: &str) {
    let log = LOG.try_with(|log| log.try_borrow_mut().ok().and_then(|mut log| log.take()));
    if let Ok(Some(log)) = log {
        std::eprintln!("{}", columns::draw(&log, reason));
    }
}

/// Ends the log of an execution that did not fail.
pub(crate) fn end() {
    LOG.set(None);
}

impl Log {
    fn thread(&mut self) -> usize {
        let id = current();
        let known = self.threads.iter().position(|known| *known == id);
        known.unwrap_or_else(|| {
            self.threads.push(id);
            self.names.push(std::format!("thread {}", self.names.len()));
            self.threads.len() - 1
        })
    }

    fn push(&mut self, at: &'static Location<'static>, what: What) {
        let thread = self.thread();
        self.steps.push(Step { thread, at, what });
    }

    fn subject(&mut self, word: &Word) -> Subject {
        let of_name = &mut self.nr_of_name;
        let number = *self.numbers.entry(word.id).or_insert_with(|| {
            let nr = of_name.entry(word.name.map_or("", |name| name.word));
            let nr = nr.or_default();
            *nr += 1;
            *nr
        });
        Subject {
            name: word.name,
            number,
            made_at: word.made_at,
        }
    }

    /// Marks a load that did not see the last store.
    fn compare(&mut self, id: u64, access: Access) -> Access {
        match access {
            Access::Load(value) => match self.latest.get(&id) {
                Some(latest) if *latest != value => Access::LoadOld(value, *latest),
                _ => access,
            },
            Access::Store(value) | Access::Change(_, value) => {
                self.latest.insert(id, value);
                access
            }
            _ => access,
        }
    }

    /// How many words of this name there are.
    pub(crate) fn nr_of_name(&self, name: &str) -> usize {
        self.nr_of_name.get(name).copied().unwrap_or(0)
    }
}
