//! A run: random processes one after another, until something differs or the time is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::coverage::{Before, Coverage};
use crate::finding::Finding;
use crate::host::{Host, Unsuitable};
use crate::op::{CallName, Op};
use crate::processor::{OneProcessor, permitted};
use crate::profile::Profile;
use crate::random;
use crate::replay::{Verdict, crowd};
use crate::rng::Rng;
use crate::script::{Plant, Script, Step};
use crate::session::Session;

/// How long and with what to run.
#[derive(Clone, Debug)]
pub struct Fuzz {
    /// The same seed makes the same operations, as long as nothing differs.
    pub seed: u64,
    /// Operations after which no new process is started.
    pub ops: u64,
    /// Time after which no new process is started.
    pub time: Option<Duration>,
    /// Taken in turns.
    pub profiles: Vec<&'static Profile>,
    /// A mistake to be made at the operation of this number, from 1.
    pub plant: Option<(Plant, u64)>,
    /// Threads, each with a process of its own; at least one.
    pub jobs: usize,
}

impl Fuzz {
    /// As many threads as there are processors that this one may use.
    #[must_use]
    pub fn all_processors() -> usize {
        permitted().len()
    }
}

/// How far a run has come.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Progress {
    /// Operations made and compared.
    pub operations: u64,
    /// The same by profile.
    pub by_profile: BTreeMap<&'static str, Share>,
    /// Processes started.
    pub processes: u64,
    /// What the operations came to.
    pub coverage: Coverage,
    /// Since the start.
    pub elapsed: Duration,
}

/// What one profile has had of a run.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Share {
    /// Operations made and compared.
    pub operations: u64,
    /// Time of the threads that made them, their processes' start and end included.
    pub time: Duration,
}

/// A difference and the way to it.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The profile in which it was found.
    pub profile: &'static Profile,
    /// Mappings made first, as in [`crate::Script::crowd`].
    pub crowd: Option<usize>,
    /// All operations of the process up to the one that shows it.
    pub steps: Vec<Step>,
    /// What differs.
    pub finding: Finding,
}

/// Flags and sizes are compared after so many operations.
const DETAILS_EVERY: usize = 16;
/// The same in a crowd, where it takes a tenth of a second.
const CROWD_DETAILS_EVERY: usize = 64;
/// A crowded process comes in one of so many rounds of profiles: it is slow.
const CROWD_EVERY: u64 = 64;

/// Runs until the operations are done, the time is over, or something differs; says how far it
/// has come after each process.
///
/// Each of `plan.jobs` threads stays on a processor of its own together with the process that it
/// judges: handing over between two costs three times as much. What a process does hangs on its
/// number alone, so the operations of a run are the same with any number of threads; where two find
/// a difference, that of the lower number is told.
///
/// # Errors
/// No process can be started.
pub fn fuzz(
    host: &Host,
    plan: &Fuzz,
    tell: &mut (dyn FnMut(&Progress) + Send),
) -> Result<(Progress, Option<Difference>), Unsuitable> {
    let run = Run {
        host,
        plan,
        started: Instant::now(),
        state: Mutex::new(State {
            turns: Box::new(turns(&plan.profiles)),
            claimed: 0,
            number: 0,
            is_over: false,
            progress: Progress::default(),
            outcome: None,
            tell,
        }),
    };
    let processors = permitted();
    std::thread::scope(|scope| {
        for job in 0..plan.jobs.max(1) {
            let (run, cpu) = (&run, processors[job % processors.len()]);
            scope.spawn(move || {
                let _stay = OneProcessor::stay(cpu);
                run.work();
            });
        }
    });
    let state = run.state.into_inner();
    let state = state.unwrap_or_else(PoisonError::into_inner);
    match state.outcome {
        Some((_, Err(unsuitable))) => Err(unsuitable),
        Some((_, Ok(difference))) => Ok((state.progress, Some(difference))),
        None => Ok((state.progress, None)),
    }
}

/// What the threads of a run have in common.
struct Run<'r> {
    host: &'r Host,
    plan: &'r Fuzz,
    started: Instant,
    state: Mutex<State<'r>>,
}

/// What they tell each other.
struct State<'r> {
    turns: Box<dyn Iterator<Item = &'static Profile> + Send>,
    /// Operations that were given out.
    claimed: u64,
    /// Number of the last process, from 1.
    number: u64,
    is_over: bool,
    progress: Progress,
    /// What ended the run early, with the number of the process.
    outcome: Option<(u64, Result<Difference, Unsuitable>)>,
    tell: &'r mut (dyn FnMut(&Progress) + Send),
}

/// The work of one process.
#[derive(Clone, Copy)]
struct Turn {
    profile: &'static Profile,
    number: u64,
    /// Operations of the processes before it.
    before: u64,
    /// Its own.
    ops: u64,
}

impl Run<'_> {
    /// One thread: process after process.
    fn work(&self) {
        while let Some(turn) = self.claim() {
            let began = Instant::now();
            let started = Process::start(self.host, self.plan, turn);
            let finished = started.map(|mut process| {
                let result = process.run();
                (process, result)
            });
            self.finish(turn, began.elapsed(), finished);
        }
    }

    /// The next process, if there is to be one.
    fn claim(&self) -> Option<Turn> {
        let mut state = lock(&self.state);
        let is_late = (self.plan.time).is_some_and(|time| self.started.elapsed() >= time);
        if state.is_over || is_late || state.claimed >= self.plan.ops {
            return None;
        }
        let profile = state.turns.next()?;
        state.number += 1;
        let turn = Turn {
            profile,
            number: state.number,
            before: state.claimed,
            ops: profile.per_process.min(self.plan.ops - state.claimed),
        };
        state.claimed += turn.ops;
        Some(turn)
    }

    /// Adds what a process has come to.
    fn finish(
        &self,
        turn: Turn,
        time: Duration,
        finished: Result<(Process<'_>, Result<(), Finding>), Unsuitable>,
    ) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let outcome = match finished {
            Err(unsuitable) => Some(Err(unsuitable)),
            Ok((process, result)) => {
                let made = process.steps.len() as u64;
                let progress = &mut state.progress;
                progress.processes += 1;
                progress.operations += made;
                let share = progress.by_profile.entry(turn.profile.name).or_default();
                share.operations += made;
                share.time += time;
                progress.coverage.merge(&process.coverage);
                progress.elapsed = self.started.elapsed();
                (state.tell)(&state.progress);
                result.err().map(|finding| {
                    Ok(Difference {
                        profile: turn.profile,
                        crowd: process.crowd,
                        steps: process.steps,
                        finding,
                    })
                })
            }
        };
        let Some(outcome) = outcome else { return };
        state.is_over = true;
        let is_first = (state.outcome.as_ref()).is_none_or(|(number, _)| turn.number < *number);
        if is_first {
            state.outcome = Some((turn.number, outcome));
        }
    }
}

/// A thread that panicked leaves whole figures behind, and the panic goes on at the end.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A random sequence of one process, as a script. It has been compared.
///
/// # Errors
/// No process can be started, or something differs.
pub fn sample(
    host: &Host,
    profile: &'static Profile,
    seed: u64,
    ops: u64,
) -> Result<Script, Verdict> {
    let plan = Fuzz {
        seed,
        ops,
        time: None,
        profiles: vec![profile],
        plant: None,
        jobs: 1,
    };
    let turn = Turn {
        profile,
        number: 0,
        before: 0,
        ops,
    };
    let mut process = Process::start(host, &plan, turn)?;
    let result = process.run();
    let last = process.steps.len().saturating_sub(1);
    result.map_err(|finding| Verdict::differs(last, finding))?;
    Ok(Script::new(profile.layout, process.crowd, process.steps))
}

/// Makes `count` random operations of the profile, for tests that look at the maps they lead to.
///
/// # Errors
/// Something differs.
pub fn walk(
    session: &mut Session<'_>,
    profile: &'static Profile,
    seed: u64,
    count: u64,
) -> Result<(), Finding> {
    let mut rng = Rng::new(seed);
    for _ in 0..count {
        let op = random::next_op(session, profile, &mut rng);
        session.step(&Step::from(op))?;
    }
    session.check_details()
}

/// The profiles in the order in which processes take them, without end.
fn turns(profiles: &[&'static Profile]) -> impl Iterator<Item = &'static Profile> + Send + use<> {
    let alone = profiles.len() == 1;
    let profiles = profiles.to_vec();
    (0_u64..).flat_map(move |round| {
        let crowded = alone || round % CROWD_EVERY == CROWD_EVERY / 2;
        let of_round = profiles.clone().into_iter();
        of_round.filter(move |profile| crowded || !profile.crowded)
    })
}

/// One process of a run.
struct Process<'h> {
    session: Session<'h>,
    profile: &'static Profile,
    crowd: Option<usize>,
    details_every: usize,
    /// Operations to make.
    most: u64,
    rng: Rng,
    steps: Vec<Step>,
    coverage: Coverage,
    /// Where in this process a mistake is to be made.
    plant: Option<(Plant, u64)>,
}

impl<'h> Process<'h> {
    fn start(host: &'h Host, plan: &Fuzz, turn: Turn) -> Result<Process<'h>, Unsuitable> {
        let profile = turn.profile;
        let mut rng = Rng::new(plan.seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ turn.number);
        let crowd = profile.crowded.then(|| rng.below(9) as usize);
        let plant = plan.plant.and_then(|(plant, at)| {
            let at = at.checked_sub(turn.before + 1)?;
            Some((plant, at))
        });
        Ok(Process {
            session: Session::start(host, profile.layout)?,
            profile,
            crowd,
            details_every: if profile.crowded {
                CROWD_DETAILS_EVERY
            } else {
                DETAILS_EVERY
            },
            most: turn.ops.min(profile.per_process),
            rng,
            steps: Vec::new(),
            coverage: Coverage::default(),
            plant,
        })
    }

    /// Makes its operations.
    fn run(&mut self) -> Result<(), Finding> {
        if let Some(room) = self.crowd {
            crowd(&mut self.session, room)?;
        }
        if self.profile.unprivileged {
            self.step(Op::new(CallName::DropPrivileges, &[]))?;
        }
        while (self.steps.len() as u64) < self.most {
            let op = random::next_op(&self.session, self.profile, &mut self.rng);
            self.step(op)?;
            if self.steps.len().is_multiple_of(self.details_every) {
                self.session.check_details()?;
            }
        }
        self.session.check_details()
    }

    fn step(&mut self, op: Op) -> Result<(), Finding> {
        let now = self.steps.len() as u64;
        let plant = self.plant.filter(|(_, at)| *at == now);
        let step = Step {
            op,
            plant: plant.map(|(plant, _)| plant),
        };
        self.steps.push(step);
        let before = Before::of(self.session.mm(), &op);
        let answer = self.session.step(&step)?;
        self.coverage
            .note(&op, &before, self.session.mm(), answer.result);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::PROFILES;

    #[test]
    fn a_crowd_comes_seldom_unless_it_is_all_there_is() {
        let all: Vec<_> = PROFILES.iter().collect();
        let rounds = CROWD_EVERY as usize * all.len();
        let crowds = turns(&all).take(rounds).filter(|profile| profile.crowded);
        assert_eq!(crowds.count(), 1);
        let crowded = Profile::named("crowded").unwrap();
        assert!(turns(&[crowded]).take(3).all(|profile| profile.crowded));
    }
}
