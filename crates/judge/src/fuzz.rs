//! A run: random processes one after another, until something differs or the time is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::coverage::Coverage;
use crate::finding::Finding;
use crate::host::{Host, Unsuitable};
use crate::op::{CallName, Op};
use crate::processor::OneProcessor;
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
}

/// How far a run has come.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Progress {
    /// Operations made and compared.
    pub operations: u64,
    /// The same by profile.
    pub by_profile: BTreeMap<&'static str, u64>,
    /// Processes started.
    pub processes: u64,
    /// What the operations came to.
    pub coverage: Coverage,
    /// Since the start.
    pub elapsed: Duration,
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
/// The thread and its processes stay on one processor meanwhile: handing over between two costs
/// three times as much.
///
/// # Errors
/// No process can be started.
pub fn fuzz(
    host: &Host,
    plan: &Fuzz,
    tell: &mut dyn FnMut(&Progress),
) -> Result<(Progress, Option<Difference>), Unsuitable> {
    let _stay = OneProcessor::stay();
    let started = Instant::now();
    let mut progress = Progress::default();
    let mut turns = turns(&plan.profiles);
    loop {
        let over = plan.time.is_some_and(|time| started.elapsed() >= time);
        if progress.operations >= plan.ops || over {
            return Ok((progress, None));
        }
        let Some(profile) = turns.next() else {
            return Ok((progress, None));
        };
        progress.processes += 1;
        let mut process = Process::start(host, profile, plan, &progress)?;
        let difference = process.run(plan.ops - progress.operations);
        progress.operations += process.steps.len() as u64;
        *progress.by_profile.entry(profile.name).or_default() += process.steps.len() as u64;
        progress.coverage.merge(&process.coverage);
        progress.elapsed = started.elapsed();
        tell(&progress);
        if let Err(finding) = difference {
            let difference = Difference {
                profile,
                crowd: process.crowd,
                steps: process.steps,
                finding,
            };
            return Ok((progress, Some(difference)));
        }
    }
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
    };
    let mut process = Process::start(host, profile, &plan, &Progress::default())?;
    let result = process.run(ops);
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
fn turns(profiles: &[&'static Profile]) -> impl Iterator<Item = &'static Profile> {
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
    rng: Rng,
    steps: Vec<Step>,
    coverage: Coverage,
    /// Where in this process a mistake is to be made.
    plant: Option<(Plant, u64)>,
}

impl<'h> Process<'h> {
    fn start(
        host: &'h Host,
        profile: &'static Profile,
        plan: &Fuzz,
        progress: &Progress,
    ) -> Result<Process<'h>, Unsuitable> {
        let number = progress.processes;
        let mut rng = Rng::new(plan.seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ number);
        let crowd = profile.crowded.then(|| rng.below(9) as usize);
        let plant = plan.plant.and_then(|(plant, at)| {
            let at = at.checked_sub(progress.operations + 1)?;
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
            rng,
            steps: Vec::new(),
            coverage: Coverage::default(),
            plant,
        })
    }

    /// Makes the profile's operations, but no more than `most`.
    fn run(&mut self, most: u64) -> Result<(), Finding> {
        if let Some(room) = self.crowd {
            crowd(&mut self.session, room)?;
        }
        if self.profile.unprivileged {
            self.step(Op::new(CallName::DropPrivileges, &[]))?;
        }
        while (self.steps.len() as u64) < self.profile.per_process.min(most) {
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
        let before = *self.session.mm().counters();
        let answer = self.session.step(&step)?;
        let after = self.session.mm().counters();
        self.coverage.note(op.call, &before, after, answer.result);
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
