//! `cargo xtask check`: the house rules of this workspace, as code. `cargo xtask races`: the races
//! that its tests find, shown step by step.
//!
//! A written rule that nothing checks stops being true. So each rule of CONTRIBUTING.md that a
//! program can judge is a file in `rules/`, with tests that see it fail.

mod metadata;
mod plants;
mod races;
mod rules;
mod source;
mod violation;
mod workspace;

use std::process::ExitCode;

use violation::Severity;
use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask check [RULE…]
       cargo xtask races [OPTION…] [NAME…]

Checks the house rules (all of them, or those named), prints one line per violation:
    FILE:LINE: RULE: WHAT TO DO
and exits with status 1 if there is any. A warning is printed, but fails nothing.
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("check") => check(&args.collect::<Vec<_>>()),
        Some("races") => races::run(args),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}\n{}\nRules:\n", races::USAGE);
            for rule in rules::ALL {
                println!("    {:<12} {}", rule.name, rule.gist);
            }
            ExitCode::SUCCESS
        }
        _ => usage_error("what to do is missing"),
    }
}

fn usage_error(reason: &str) -> ExitCode {
    eprint!("xtask: {reason}\n{USAGE}");
    ExitCode::from(2)
}

fn check(names: &[String]) -> ExitCode {
    if let Some(unknown) = names
        .iter()
        .find(|name| rules::ALL.iter().all(|rule| rule.name != **name))
    {
        return usage_error(&format!("no rule is called {unknown}"));
    }
    let workspace = match Workspace::load() {
        Ok(workspace) => workspace,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            return ExitCode::from(2);
        }
    };
    let mut violations = Vec::new();
    for rule in rules::ALL {
        if names.is_empty() || names.iter().any(|name| name == rule.name) {
            (rule.check)(&workspace, &mut violations);
        }
    }
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    let errors = violations
        .iter()
        .filter(|v| v.severity == Severity::Error)
        .count();
    let warnings = violations.len() - errors;
    eprintln!(
        "xtask: {} files, {errors} violations, {warnings} warnings",
        workspace.sources.len()
    );
    if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
