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
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(help) = help(&args) {
        print!("{help}");
        return ExitCode::SUCCESS;
    }
    let mut args = args.into_iter();
    match args.next().as_deref() {
        Some("check") => check(&args.collect::<Vec<_>>()),
        Some("races") => races::run(args),
        _ => usage_error("what to do is missing"),
    }
}

/// The text for those who ask for it, of one command or of all.
fn help(args: &[String]) -> Option<String> {
    let asks = |arg: &String| matches!(arg.as_str(), "--help" | "-h");
    let rules = rules::ALL
        .iter()
        .map(|rule| format!("    {:<12} {}\n", rule.name, rule.gist));
    let of_check = || format!("{USAGE}\nRules:\n{}", rules.collect::<String>());
    match args {
        [command, rest @ ..] if command == "races" => {
            rest.iter().any(asks).then(|| races::USAGE.to_owned())
        }
        [command, rest @ ..] if command == "check" => rest.iter().any(asks).then(of_check),
        [first, ..] if first == "help" || asks(first) => {
            Some(format!("{}\n{}", of_check(), races::USAGE))
        }
        _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn help_of(line: &str) -> Option<String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        help(&args)
    }

    #[test]
    fn each_command_tells_what_it_takes_when_asked() {
        for line in ["races --help", "races -h", "races --list --help"] {
            assert_eq!(help_of(line).as_deref(), Some(races::USAGE), "{line}");
        }
        for line in ["check --help", "check arrows -h"] {
            let text = help_of(line).expect(line);
            assert!(text.contains("usage: cargo xtask check") && text.contains("  arrows"));
        }
        for line in ["help", "--help", "-h"] {
            let text = help_of(line).expect(line);
            assert!(text.contains("  arrows") && text.contains(races::USAGE));
        }
        for line in ["", "check arrows", "races --list", "nothing --help"] {
            assert_eq!(help_of(line), None, "{line}");
        }
    }
}
