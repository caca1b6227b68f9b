//! Starts a process for each measurement, all sides of a row in turns, and collects the samples.

use crate::meter::Sample;
use crate::options::Plan;
use crate::results::Results;
use crate::rows::{self, Form};
use crate::variants::{Programs, Target};
use crate::{locks, maps, peers, reclaim, vma};
use std::path::PathBuf;
use std::process::Command;

/// One side of a row: the program that measures it, with its arguments.
struct Side {
    name: String,
    target: Target,
    program: PathBuf,
    arguments: Vec<String>,
}

/// The work of a measuring process.
pub(crate) fn measure_here(side: &str, row: &str, is_short: bool) -> Option<Vec<Sample>> {
    if let Some(form) = Form::parse(side) {
        return rows::run(form, row);
    }
    if row.starts_with("rcu:") {
        return Some(vec![reclaim::run(side, row, is_short)?]);
    }
    if row.starts_with("locks:") {
        return Some(vec![locks::run(side, row, is_short)?]);
    }
    if row.starts_with("vma:") {
        return Some(vec![vma::run(side, row, is_short)?]);
    }
    if row.starts_with("maps:") {
        return Some(vec![maps::run(side, row, is_short)?]);
    }
    Some(vec![peers::run(side, row, is_short)?])
}

pub(crate) fn measure_all(plan: &Plan) -> Results {
    let mut results = Results::default();
    let programs = match Programs::prepare(plan.has_c, plan.has_native) {
        Ok(programs) => programs,
        Err(error) => {
            eprintln!("bench: cannot find this program: {error}");
            results.nr_failed += 1;
            return results;
        }
    };
    let mut targets = vec![Target::Default];
    if plan.has_native {
        targets.push(Target::Native);
    }
    for (row, checksum) in rows::ROWS {
        if !plan.wants(row) || plan.is_short && !rows::is_short(row) {
            continue;
        }
        let mut sides = Vec::new();
        for &target in &targets {
            if let Some(program) = programs.c(target) {
                sides.push(Side {
                    name: "c".to_owned(),
                    target,
                    program,
                    arguments: vec![(*row).to_owned()],
                });
            }
            for form in rows::forms(row) {
                sides.extend(ours(&programs, plan, form.name(), row, target));
            }
        }
        measure_row(
            plan,
            row,
            Some(*checksum).filter(|sum| *sum != 0),
            &sides,
            &mut results,
        );
    }
    if plan.has_peers {
        measure_peers(plan, &programs, &mut results);
    }
    results
}

/// The rows beside other crates, in the best build there is.
fn measure_peers(plan: &Plan, programs: &Programs, results: &mut Results) {
    let target = match programs.ours(Target::Native) {
        Some(_) => Target::Native,
        None => Target::Default,
    };
    let rows = peers::rows(plan.is_short)
        .into_iter()
        .chain(reclaim::rows())
        .chain(locks::rows())
        .chain(vma::rows(plan.is_short))
        .chain(maps::rows(plan.is_short));
    for (row, sides) in rows {
        let wanted = sides.iter().filter(|_| plan.wants(&row));
        let sides: Vec<Side> = wanted
            .filter_map(|side| ours(programs, plan, side, &row, target))
            .collect();
        measure_row(plan, &row, None, &sides, results);
    }
}

fn ours(programs: &Programs, plan: &Plan, side: &str, row: &str, target: Target) -> Option<Side> {
    let mut arguments = vec!["--one".to_owned(), side.to_owned(), row.to_owned()];
    if plan.is_short {
        arguments.push("--short".to_owned());
    }
    Some(Side {
        name: side.to_owned(),
        target,
        program: programs.ours(target)?.to_owned(),
        arguments,
    })
}

fn measure_row(
    plan: &Plan,
    row: &str,
    expected: Option<u64>,
    sides: &[Side],
    results: &mut Results,
) {
    if sides.is_empty() {
        return;
    }
    eprintln!("bench: {row}");
    for _ in 0..plan.repeats {
        for side in sides {
            let samples = measure(side);
            if samples.is_empty() {
                eprintln!("bench: {row} of {} did not run", side.name);
                results.nr_failed += 1;
            }
            for sample in samples {
                results.add(&side.name, side.target, sample, expected);
            }
        }
    }
}

/// One measurement in a process of its own; empty if it failed.
fn measure(side: &Side) -> Vec<Sample> {
    match Command::new(&side.program).args(&side.arguments).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines().filter_map(Sample::parse).collect()
        }
        Ok(output) => {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            Vec::new()
        }
        Err(error) => {
            eprintln!("bench: {}: {error}", side.program.display());
            Vec::new()
        }
    }
}
