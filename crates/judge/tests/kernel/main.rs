//! The running kernel as judge over random sequences, scripts, and mistakes made on purpose.
//!
//! The rules are those of Linux 6.18 on x86-64; elsewhere, and where a resource is missing, the
//! tests say "skipped" with the reason. `VMAPLE_JUDGE_SEED` and `VMAPLE_JUDGE_OPS` run other and
//! longer sequences.

mod query;
mod settings;
mod smaps;

use std::fs;
use std::path::{Path, PathBuf};

use vmaple::LayoutKind;
use vmaple_judge::{
    Fuzz, Host, PROFILES, Plant, Profile, Script, Session, Shrinker, Verdict, fuzz, judge, picture,
    record, replay, scene, walk,
};

/// The kernel, or the reason why not on standard error; its settings stay as they are until the
/// test, which has a thread of its own, is over.
fn host() -> Option<Host> {
    settings::keep_steady();
    any_host()
}

/// The same without that.
fn any_host() -> Option<Host> {
    match Host::open() {
        Ok(host) => Some(host),
        Err(unsuitable) => {
            eprintln!("skipped: {unsuitable}");
            None
        }
    }
}

fn number_of(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn scripts(folder: &str) -> Vec<(PathBuf, Script)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata")
        .join(folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let script = text
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        found.push((path, script));
    }
    assert!(!found.is_empty(), "no scripts in {}", folder.display());
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

#[test]
fn every_profile_finds_no_difference() {
    let Some(host) = host() else { return };
    let seed = number_of("VMAPLE_JUDGE_SEED", 1);
    let ops = number_of("VMAPLE_JUDGE_OPS", 1200);
    for profile in PROFILES {
        let plan = Fuzz {
            seed,
            ops,
            time: None,
            profiles: vec![profile],
            plant: None,
            jobs: 1,
        };
        let (progress, difference) = fuzz(&host, &plan, &mut |_| {}).unwrap();
        if let Some(found) = difference {
            let mut shrinker = Shrinker::new(&host, profile.layout, found.crowd);
            let (script, finding) = shrinker.shrink(found.steps, found.finding);
            panic!("{}, seed {seed}: {finding}\n{script}", profile.name);
        }
        assert!(progress.operations >= ops);
        let succeeded = progress.coverage.successes();
        assert!(profile.crowded || succeeded * 2 > progress.operations);
    }
}

#[test]
fn scripts_agree_in_both_layouts() {
    let Some(host) = host() else { return };
    for (path, mut script) in scripts("scripts") {
        for layout in [LayoutKind::TopDown, LayoutKind::BottomUp] {
            script.layout = layout;
            if let Err(verdict) = replay(&host, &script) {
                panic!("{}, {layout:?}: {verdict}", path.display());
            }
        }
    }
}

#[test]
fn what_was_recorded_is_judged_without_a_kernel() {
    for (path, script) in scripts("recorded") {
        if let Err(verdict) = judge(&script) {
            panic!("{}: {verdict}", path.display());
        }
    }
}

#[test]
fn a_recording_with_a_changed_answer_is_refuted() {
    for (path, script) in scripts("recorded") {
        let last = script.steps.len() - 1;
        let mut wrong = script.clone();
        wrong.replies[last].result = wrong.replies[last].result.map(|result| result ^ 0x1000);
        assert!(
            matches!(judge(&wrong), Err(Verdict::Differs { index, .. }) if index == last),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_recording_reads_as_it_was_written() {
    let Some(host) = host() else { return };
    let mut scripts = scripts("scripts").into_iter();
    let (_, script) = scripts.find(|(_, script)| script.crowd.is_none()).unwrap();
    let recorded = record(&host, &script).expect("the script differs");
    let again: Script = recorded.to_string().parse().unwrap();
    assert_eq!(again, recorded);
    judge(&again).unwrap();
}

/// A mistake is found, and little is left of what led there.
fn planted(plant: Plant) {
    let Some(host) = host() else { return };
    let merge = Profile::named("merge").unwrap();
    let with_mistake_at = |number| {
        let plan = Fuzz {
            seed: 7,
            ops: 2000,
            time: None,
            profiles: vec![merge],
            plant: Some((plant, number)),
            jobs: 2,
        };
        fuzz(&host, &plan, &mut |_| {}).unwrap().1
    };
    // Leaving out an operation that fails is no mistake.
    let found = (40..50).find_map(with_mistake_at);
    let found = found.expect("the mistake was not found");
    assert!(found.steps.len() >= 40);
    let mut shrinker = Shrinker::new(&host, merge.layout, None);
    let (script, finding) = shrinker.shrink(found.steps, found.finding.clone());
    assert!(finding.is_like(&found.finding), "{finding}");
    assert!(script.steps.len() <= 3, "{script}");
    let scene = scene(&host, &script)
        .unwrap()
        .expect("nothing differs any more");
    let drawn = picture::draw(&scene.before, &scene.kernel, &scene.model);
    assert!(
        plant == Plant::Result || drawn.contains("after, vmaple"),
        "{drawn}"
    );
    // Without the mistake there is nothing to find.
    let honest: Script = script.to_string().parse().unwrap();
    replay(&host, &honest).unwrap();
}

#[test]
fn a_wrong_result_is_found_and_made_small() {
    planted(Plant::Result);
}

#[test]
fn an_operation_left_out_is_found_and_made_small() {
    planted(Plant::Skip);
}

#[test]
fn a_seed_makes_the_same_operations_again() {
    let Some(host) = host() else { return };
    let run = |jobs| {
        let plan = Fuzz {
            seed: 3,
            ops: 1000,
            time: None,
            profiles: vec![Profile::named("merge").unwrap()],
            plant: None,
            jobs,
        };
        let (progress, _) = fuzz(&host, &plan, &mut |_| {}).unwrap();
        progress.coverage
    };
    let alone = run(1);
    assert_eq!(alone, run(1));
    assert_eq!(alone, run(3), "whatever the number of threads");
}

/// Random maps, and random questions about each of them.
#[test]
fn queries() {
    let Some(host) = host() else { return };
    let mut tally = query::Tally::default();
    let profiles = ["merge", "placement", "fork", "system-v"];
    for (index, profile) in profiles.into_iter().enumerate() {
        let profile = Profile::named(profile).unwrap();
        let mut session = Session::start(&host, profile.layout).unwrap();
        let seed = number_of("VMAPLE_JUDGE_SEED", 1) + index as u64;
        for round in 0..5 {
            walk(&mut session, profile, seed * 100 + round, 40).unwrap();
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
    let Some(host) = host() else { return };
    let profiles = ["merge", "placement", "limits", "system-v"];
    let mut nr_rollups = 0;
    for profile in profiles {
        let profile = Profile::named(profile).unwrap();
        let mut session = Session::start(&host, profile.layout).unwrap();
        let seed = number_of("VMAPLE_JUDGE_SEED", 1);
        for round in 0..8 {
            walk(&mut session, profile, seed * 100 + round, 25).unwrap();
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
    if let Some(host) = host() {
        let mut session = Session::start(&host, LayoutKind::TopDown).unwrap();
        smaps::huge_pages(&mut session);
        smaps::compare(&session);
        let is_off = smaps::enabled("enabled") == vmaple::ThpEnabled::Never;
        assert_eq!(smaps::nr_eligible(&session) == 0, is_off);
    }
}

/// Which shared memory may have huge pages, by the words of `shmem_enabled`: for all sizes, for
/// 2 MiB, for 64 KiB.
#[test]
fn smaps_of_shared_memory_under_each_setting() {
    // Placement depends on the settings, too.
    let _alone = settings::alone();
    let Some(host) = any_host() else { return };
    let mut session = Session::start(&host, LayoutKind::TopDown).unwrap();
    smaps::huge_pages(&mut session);
    let mut nr_eligible = Vec::new();
    for all in ["never", "always", "within_size", "advise", "deny", "force"] {
        for (whole, small) in [
            ("inherit", "never"),
            ("inherit", "inherit"),
            ("never", "inherit"),
            ("never", "always"),
            ("never", "within_size"),
            ("never", "advise"),
            ("always", "never"),
            ("within_size", "never"),
            ("advise", "never"),
        ] {
            let mut changed = settings::Changed::none();
            let sizes =
                [(9, whole), (4, small)].map(|(order, word)| (settings::of_size(order), word));
            let all_sizes = ("shmem_enabled".to_owned(), all);
            for (setting, word) in sizes.into_iter().chain([all_sizes]) {
                if let Err(error) = changed.set(&setting, word) {
                    eprintln!("skipped: {setting} cannot be set to {word}: {error}");
                    return;
                }
            }
            let what = format!("smaps with {all}, 2 MiB {whole}, 64 KiB {small}");
            smaps::compare_smaps(&session, &what);
            nr_eligible.push(smaps::nr_eligible(&session));
        }
    }
    nr_eligible.sort_unstable();
    nr_eligible.dedup();
    assert!(
        nr_eligible.len() > 5,
        "the settings differ: {nr_eligible:?}"
    );
}
