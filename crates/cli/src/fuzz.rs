//! `vmaple fuzz`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use vmaple_judge::{
    self as judge, Case, Difference, Host, PROFILES, Progress as Reached, Share, Shrinker,
};
use vmaple_linux::live::Plant;

use crate::args::Fuzz;
use crate::output::{DIFFERENT, TROUBLE, fail, say, write_json, write_text};
use crate::progress::Progress;
use crate::script;

/// Operations where nothing says how many.
const OPS: u64 = 100_000;
/// Operations that are recorded where nothing says how many.
const RECORDED_OPS: u64 = 100;
/// A run of all profiles that is as long as this comes to every case that it must.
const FULL_RUN: u64 = 200_000;

/// The result for machines.
#[derive(Debug, Serialize)]
struct Json {
    version: &'static str,
    kernel: String,
    seed: u64,
    operations: u64,
    jobs: usize,
    operations_by_profile: BTreeMap<&'static str, u64>,
    /// For each second of a thread.
    rate_by_profile: BTreeMap<&'static str, f64>,
    successes: u64,
    processes: u64,
    seconds: f64,
    cases: BTreeMap<String, u64>,
    /// Of a full run only.
    never_met: Vec<String>,
    differences: u64,
    /// The smallest sequence that shows the difference.
    script: Option<String>,
}

pub(crate) fn fuzz(args: &Fuzz) -> ExitCode {
    let host = match Host::open() {
        Ok(host) => host,
        Err(error) => return fail(TROUBLE, &error.to_string()),
    };
    let seed = args.seed.unwrap_or_else(drawn_seed);
    if let Some(file) = &args.record {
        return record(args, &host, seed, file);
    }
    let plan = judge::Fuzz {
        seed,
        ops: args.ops.unwrap_or(match args.minutes {
            Some(_) => u64::MAX,
            None => OPS,
        }),
        time: args
            .minutes
            .map(|minutes| Duration::from_secs_f64(minutes.max(0.0) * 60.0)),
        profiles: args.profile.0.clone(),
        plant: args.plant.map(planted),
        jobs: args.jobs.unwrap_or_else(judge::Fuzz::all_processors).max(1),
    };
    let mut progress = (!args.output.quiet).then(Progress::new).flatten();
    let mut tell = |reached: &Reached| {
        if let Some(progress) = &mut progress {
            let operations = reached.operations;
            let rate = operations as f64 / reached.elapsed.as_secs_f64();
            progress.show_line(format_args!("{operations} operations, {rate:.0} a second"));
        }
    };
    let run = judge::fuzz(&host, &plan, &mut tell);
    if let Some(progress) = &mut progress {
        progress.clear();
    }
    let (reached, difference) = match run {
        Ok(run) => run,
        Err(error) => return fail(TROUBLE, &error.to_string()),
    };
    let script = difference.map(|found| made_small(&host, found, seed, args));
    let full = args.profile.0.len() == PROFILES.len() && reached.operations >= FULL_RUN;
    let never_met = if full && script.is_none() {
        reached.coverage.never_met(host.abilities())
    } else {
        Vec::new()
    };
    if !args.output.quiet {
        say(format_args!("{}", summary(&reached, seed)));
    }
    for case in &never_met {
        say(format_args!("vmaple: never met: {case}\n"));
    }
    let status = if script.is_some() || !never_met.is_empty() {
        ExitCode::from(DIFFERENT)
    } else {
        ExitCode::SUCCESS
    };
    if let Some(path) = &args.summary
        && let Err(error) = write_text(path, &markdown(&reached, seed, plan.jobs))
    {
        let path = path.display();
        return fail(TROUBLE, &format!("cannot write {path}: {error}"));
    }
    if let Some(path) = &args.output.json
        && let Err(error) = write_json(path, &json(&reached, &plan, &never_met, script))
    {
        let path = path.display();
        return fail(TROUBLE, &format!("cannot write {path}: {error}"));
    }
    status
}

fn json(reached: &Reached, plan: &judge::Fuzz, never_met: &[Case], script: Option<String>) -> Json {
    let coverage = &reached.coverage;
    Json {
        version: env!("CARGO_PKG_VERSION"),
        kernel: Host::kernel(),
        seed: plan.seed,
        jobs: plan.jobs,
        operations: reached.operations,
        successes: coverage.successes(),
        cases: coverage
            .met()
            .map(|(case, count)| (case.to_string(), count))
            .collect(),
        never_met: never_met.iter().map(Case::to_string).collect(),
        differences: u64::from(script.is_some()),
        operations_by_profile: by_profile(reached, |share| share.operations),
        rate_by_profile: by_profile(reached, rate_of),
        processes: reached.processes,
        seconds: reached.elapsed.as_secs_f64(),
        script,
    }
}

fn by_profile<T>(reached: &Reached, of: impl Fn(&Share) -> T) -> BTreeMap<&'static str, T> {
    let shares = reached.by_profile.iter();
    shares.map(|(name, share)| (*name, of(share))).collect()
}

/// Operations for each second of the threads that made them.
fn rate_of(share: &Share) -> f64 {
    share.operations as f64 / share.time.as_secs_f64().max(1e-9)
}

/// What a run came to, as documents show it.
fn markdown(reached: &Reached, seed: u64, jobs: usize) -> String {
    let operations = reached.operations;
    let seconds = reached.elapsed.as_secs_f64();
    let percent = reached.coverage.successes() as f64 / operations.max(1) as f64 * 100.0;
    let met = reached.coverage.met().count();
    let mut text = format!(
        "Seed {seed} on Linux {}: {operations} calls in {} processes, {percent:.0} % of them \
         successful, {met} cases met; {seconds:.0} s with {jobs} threads, {:.0} calls a second.\n\n\
         | profile | calls | calls a second of one thread |\n|---|---|---|\n",
        Host::kernel(),
        reached.processes,
        operations as f64 / seconds,
    );
    for (profile, share) in &reached.by_profile {
        text += &format!(
            "| {profile} | {} | {:.0} |\n",
            share.operations,
            rate_of(share)
        );
    }
    text
}

/// Shrinks what was found, shows it, and keeps it; the script as text.
fn made_small(host: &Host, found: Difference, seed: u64, args: &Fuzz) -> String {
    let profile = found.profile;
    say(format_args!(
        "vmaple: difference after {} operations of profile {}: {}\n",
        found.steps.len(),
        profile.name,
        found.finding
    ));
    let mut shrinker = Shrinker::new(host, profile.layout, found.crowd);
    let (small, finding) = shrinker.shrink(found.steps, found.finding);
    let tried = shrinker.tried;
    say(format_args!(
        "vmaple: {} are enough, found in {tried} tries:\n",
        small.steps.len()
    ));
    script::show(host, &small, &finding);
    let text = format!(
        "{}# {} with seed {seed} on {}: {finding}\n",
        small,
        profile.name,
        Host::kernel()
    );
    // A mistake that was made on purpose is none of vmaple's.
    if args.plant.is_none() {
        let file = args
            .save
            .join(format!("difference-{}-{seed}.script", profile.name));
        match std::fs::write(&file, &text) {
            Ok(()) => say(format_args!(
                "vmaple: see it again with: vmaple replay {}\n",
                file.display()
            )),
            Err(error) => say(format_args!(
                "vmaple: cannot write {}: {error}\n",
                file.display()
            )),
        }
    }
    text
}

fn record(args: &Fuzz, host: &Host, seed: u64, file: &Path) -> ExitCode {
    let [profile] = args.profile.0[..] else {
        return fail(TROUBLE, "--record writes one process: give its --profile");
    };
    let ops = args.ops.unwrap_or(RECORDED_OPS);
    let recorded =
        judge::sample(host, profile, seed, ops).and_then(|script| judge::record(host, &script));
    match recorded {
        Ok(script) => match std::fs::write(file, script.to_string()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(
                TROUBLE,
                &format!("cannot write {}: {error}", file.display()),
            ),
        },
        Err(judge::Verdict::Unsuitable(error)) => fail(TROUBLE, &error.to_string()),
        Err(differs) => fail(DIFFERENT, &differs.to_string()),
    }
}

fn planted(plant: Plant) -> (judge::Plant, u64) {
    match plant {
        Plant::Result(number) => (judge::Plant::Result, number),
        Plant::Skip(number) => (judge::Plant::Skip, number),
    }
}

/// Another one each time.
fn drawn_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_nanos()) ^ now.as_secs())
}

fn summary(reached: &Reached, seed: u64) -> String {
    let operations = reached.operations;
    let seconds = reached.elapsed.as_secs_f64();
    let rate = operations as f64 / seconds;
    let succeeded = reached.coverage.successes() as f64 / operations.max(1) as f64 * 100.0;
    let mut text = String::new();
    for (profile, share) in &reached.by_profile {
        text += &format!("{:>12}  {profile}\n", share.operations);
    }
    let merges = |case: &Case| matches!(case, Case::Merge(_));
    for (case, count) in reached.coverage.met().filter(|(case, _)| merges(case)) {
        text += &format!("{count:>12}  {case}\n");
    }
    text + &format!(
        "{operations} operations in {} processes with seed {seed}, {succeeded:.0} % of them \
         successful\n{seconds:.2} s, {rate:.0} compared operations a second\n",
        reached.processes
    )
}
