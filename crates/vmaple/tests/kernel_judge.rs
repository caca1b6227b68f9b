//! The running kernel as judge: a child process makes memory calls for real, `Mm` makes the same
//! calls, and result and maps text are compared after each one.
//!
//! The rules are those of Linux 6.18 on x86-64; elsewhere the tests say so and pass.
//! `VMAPLE_JUDGE_SEED` and `VMAPLE_JUDGE_OPS` run other and longer sequences.

mod judge;

use judge::session::{Session, Unsuitable};
use judge::{child, profile::Profile, query, random, scripts, smaps};
use vmaple::LayoutKind;

/// Not a test of its own: what the tests start as their child process.
#[test]
fn judge_child() {
    if std::env::var_os(child::MARK).is_some() {
        child::serve();
    }
}

fn number_of(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn judge_profile(profile: &Profile) {
    let first_seed = number_of("VMAPLE_JUDGE_SEED", 1);
    let total = number_of("VMAPLE_JUDGE_OPS", 900);
    let per_process = 300;
    let mut done = 0;
    let mut seed = first_seed;
    while done < total {
        let Some(mut session) = session(profile.layout) else {
            return;
        };
        done += random::run(&mut session, profile, seed, per_process);
        seed += 1;
    }
    eprintln!("{}: {done} operations from seed {first_seed}", profile.name);
}

/// A session, or the reason why not on standard error.
fn session(layout: LayoutKind) -> Option<Session> {
    match Session::start(layout) {
        Ok(session) => Some(session),
        Err(Unsuitable(reason)) => {
            eprintln!("skipped: {reason}");
            None
        }
    }
}

#[test]
fn what_programs_do() {
    for script in [
        scripts::SHARED_LIBRARY,
        scripts::ARENA,
        scripts::THREAD_STACK,
        scripts::CODE_SPACE,
        scripts::MOVED_BLOCKS,
        scripts::FAULTED_BESIDE_UNFAULTED,
    ] {
        for layout in [LayoutKind::TopDown, LayoutKind::BottomUp] {
            let Some(mut session) = session(layout) else {
                return;
            };
            scripts::run(&mut session, script);
        }
    }
}

#[test]
fn the_limit_of_mappings() {
    if let Some(mut session) = session(LayoutKind::TopDown) {
        scripts::at_the_limit(&mut session);
    }
}

#[test]
fn merge_heavy() {
    judge_profile(&Profile::MERGE);
}

#[test]
fn placement_heavy() {
    judge_profile(&Profile::PLACEMENT);
}

#[test]
fn legacy_layout() {
    judge_profile(&Profile::LEGACY);
}

#[test]
fn unprivileged() {
    judge_profile(&Profile::UNPRIVILEGED);
}

#[test]
fn system_v_and_personality() {
    judge_profile(&Profile::SYSTEM_V);
}

#[test]
fn mremap_heavy() {
    judge_profile(&Profile::MREMAP);
}

#[test]
fn forks_and_faults() {
    judge_profile(&Profile::FORK);
}

#[test]
fn locks_and_limits() {
    judge_profile(&Profile::LIMITS);
}

#[test]
fn heap_and_stack() {
    judge_profile(&Profile::HEAP_AND_STACK);
}

/// Random maps, and random questions about each of them.
#[test]
fn queries() {
    let mut tally = query::Tally::default();
    let profiles = [
        &Profile::MERGE,
        &Profile::PLACEMENT,
        &Profile::FORK,
        &Profile::SYSTEM_V,
    ];
    for (index, profile) in profiles.into_iter().enumerate() {
        let Some(mut session) = session(profile.layout) else {
            return;
        };
        let seed = number_of("VMAPLE_JUDGE_SEED", 1) + index as u64;
        for round in 0..5 {
            random::run(&mut session, profile, seed * 100 + round, 40);
            query::run(
                &session,
                seed * 100 + round,
                number_of("VMAPLE_JUDGE_OPS", 1000),
                &mut tally,
            );
        }
    }
    eprintln!("queries: {tally:?}");
    assert!(tally.answers > 4000 && tally.build_ids > 100, "{tally:?}");
    // ENOENT, E2BIG, EFAULT, EINVAL, ENAMETOOLONG.
    for errno in [2, 7, 14, 22, 36] {
        assert!(
            tally.errors.get(&errno).is_some_and(|count| *count > 20),
            "{tally:?}"
        );
    }
}

/// Random maps whose smaps, smaps_rollup and numa_maps read as the kernel's.
#[test]
fn smaps_texts() {
    let profiles = [
        &Profile::MERGE,
        &Profile::PLACEMENT,
        &Profile::LIMITS,
        &Profile::SYSTEM_V,
    ];
    let mut nr_rollups = 0;
    for profile in profiles {
        let Some(mut session) = session(profile.layout) else {
            return;
        };
        let seed = number_of("VMAPLE_JUDGE_SEED", 1);
        for round in 0..8 {
            random::run(&mut session, profile, seed * 100 + round, 25);
            nr_rollups += u32::from(smaps::compare(&session));
        }
    }
    assert!(
        nr_rollups > 0,
        "not one quiet moment to compare a rollup in"
    );
}

#[test]
fn smaps_of_huge_pages() {
    if let Some(mut session) = session(LayoutKind::TopDown) {
        smaps::huge_pages(&mut session);
        smaps::compare(&session);
        let is_off = smaps::enabled("enabled") == vmaple::ThpEnabled::Never;
        assert_eq!(smaps::nr_eligible(&session) == 0, is_off);
    }
}
