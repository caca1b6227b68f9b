//! `cargo xtask races`: plants each race, lets the model checker find it, and shows the steps of
//! the execution that fails, one column for each thread.

use crate::plants::{List, Plant, Test};
use crate::workspace::Workspace;
use checked::{Checked, Checks, Outcome};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod checked;

pub(crate) const USAGE: &str = "\
usage: cargo xtask races [--list | --short] [--markdown FILE] [NAME…]

Plants the races of crates/*/planted.txt one by one (all, or those with one of the names in
theirs), runs the model checker that is to catch each, and shows the steps of the execution that
fails. Exits with status 1 if one is not caught.

    --list            only says which there are
    --short           three of them
    --markdown FILE   writes what is shown as a page, too
";

/// Those of `--short`: one of each kind of checker and cause.
const SHORT: [&str; 3] = ["detach_does_not_wait", "end_relaxed", "identity_unchecked"];

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    is_list: bool,
    is_short: bool,
    page: Option<PathBuf>,
    names: Vec<String>,
}

impl Wanted {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wanted = Self::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => wanted.is_list = true,
                "--short" => wanted.is_short = true,
                "--markdown" => {
                    let file = args.next().ok_or("--markdown wants a file")?;
                    wanted.page = Some(file.into());
                }
                option if option.starts_with('-') => return Err(format!("what is {option}?")),
                _ => wanted.names.push(arg),
            }
        }
        Ok(wanted)
    }

    /// The command that writes the page.
    fn command(&self) -> String {
        let mut command = String::from("cargo xtask races");
        if self.is_short {
            command.push_str(" --short");
        }
        if let Some(page) = &self.page {
            let _ = write!(command, " --markdown {}", page.display());
        }
        for name in &self.names {
            let _ = write!(command, " {name}");
        }
        command
    }

    fn wants(&self, plant: &Plant) -> bool {
        let is_named = self.names.is_empty()
            || self
                .names
                .iter()
                .any(|name| plant.name.contains(name.as_str()));
        is_named && (!self.is_short || SHORT.contains(&plant.name.as_str()))
    }
}

/// Runs the command.
pub(crate) fn run(args: impl Iterator<Item = String>) -> ExitCode {
    match Wanted::parse(args).and_then(|wanted| show(&wanted)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(nr) => {
            eprintln!("xtask: {nr} not caught");
            ExitCode::FAILURE
        }
        Err(reason) => {
            eprint!("xtask: {reason}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Shows all that is wanted; returns how many were not caught.
fn show(wanted: &Wanted) -> Result<usize, String> {
    let workspace = Workspace::load()?;
    let list = List::load(&workspace.root)?;
    let races: Vec<&Plant> = list.plants.iter().filter(|plant| is_race(plant)).collect();
    let races: Vec<&Plant> = races
        .into_iter()
        .filter(|plant| wanted.wants(plant))
        .collect();
    if races.is_empty() {
        return Err("no race has such a name".to_owned());
    }
    if wanted.is_list {
        for plant in races {
            println!("{:<26}{}", plant.name, plant.what);
        }
        return Ok(0);
    }
    let mut checks = Checks::new(&workspace.root, &workspace.target);
    let mut page = format!("{PAGE_HEAD}\nWritten by `{}`.\n", wanted.command());
    let mut nr_survived = 0;
    for plant in races {
        let shown = Shown::of(plant, &list, &mut checks, &workspace.root)?;
        println!("{}", shown.as_text());
        page.push_str(&shown.as_markdown());
        nr_survived += usize::from(!shown.is_caught());
    }
    if let Some(path) = &wanted.page {
        fs::write(path, page).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(nr_survived)
}

const PAGE_HEAD: &str = "\
# Races, step by step

Each bug of this page was planted in the code, and found by the model checker: the steps are those
of the execution that failed. Steps go from top to bottom, one column for each thread; a step says
in which function it was made, what it did to which word, and with which memory ordering. `looks 1
(is 3)` is a load that did not see the last store, which weak memory allows.
";

/// Whether a model checker or a type catches it; what only memory calls show is for other tests.
fn is_race(plant: &Plant) -> bool {
    plant
        .tests
        .iter()
        .any(|test| test.checker().is_some() || test.program().is_some())
}

/// A race, and what came of planting it.
struct Shown<'p> {
    plant: &'p Plant,
    origins: Vec<String>,
    found: Vec<Found>,
}

/// What a test said.
enum Found {
    Checked(Test, Outcome),
    /// Does not compile: the program, and what the compiler says of it.
    Refused(String, String),
}

impl<'p> Shown<'p> {
    fn of(plant: &'p Plant, list: &List, checks: &mut Checks, root: &Path) -> Result<Self, String> {
        let origins = plant
            .from
            .iter()
            .map(|number| origin(list, number))
            .collect();
        let mut found = Vec::new();
        for test in &plant.tests {
            if let Some(program) = test.program() {
                let said = root.join(format!("tests-build/fail/{program}.stderr"));
                let said = fs::read_to_string(&said)
                    .map_err(|error| format!("{}: {error}", said.display()))?;
                found.push(Found::Refused(program.to_owned(), said));
            } else if let Some(checker) = test.checker() {
                let outcome = checks.run(&Checked {
                    plant,
                    test,
                    checker,
                })?;
                found.push(Found::Checked(test.clone(), outcome));
            }
        }
        Ok(Self {
            plant,
            origins,
            found,
        })
    }

    fn is_caught(&self) -> bool {
        self.found
            .iter()
            .all(|found| !matches!(found, Found::Checked(_, Outcome::Survived)))
    }

    /// What it is called, what it is, where it is from, each test with what it said.
    fn parts(&self) -> Vec<(String, &str)> {
        self.found
            .iter()
            .map(|found| match found {
                Found::Refused(program, said) => (
                    format!("does not compile: tests-build/fail/{program}.rs"),
                    said.as_str(),
                ),
                Found::Checked(test, Outcome::Survived) => {
                    (format!("NOT CAUGHT by {}: {}", test.package, test.name), "")
                }
                Found::Checked(test, Outcome::Caught { by, steps }) => {
                    (format!("caught by {}: {by}", test.package), steps.as_str())
                }
            })
            .collect()
    }

    fn as_text(&self) -> String {
        let mut text = format!("=== {}: {}\n", self.plant.name, self.plant.what);
        for origin in &self.origins {
            let _ = writeln!(text, "    from {origin}");
        }
        for (verdict, steps) in self.parts() {
            let _ = write!(text, "    {verdict}\n{steps}");
        }
        text
    }

    fn as_markdown(&self) -> String {
        let mut text = format!("\n## {}\n\n{}", self.plant.name, capital(&self.plant.what));
        text.push_str(".\n");
        for origin in &self.origins {
            let _ = writeln!(text, "\nFrom {origin}.");
        }
        for (verdict, steps) in self.parts() {
            let _ = writeln!(text, "\n{}:\n\n```text\n{steps}```", capital(&verdict));
        }
        text
    }
}

fn origin(list: &List, number: &str) -> String {
    match (list.origin(number), number) {
        (Some(known_as), _) => known_as.to_owned(),
        (None, "own") => "our own list of what could go wrong".to_owned(),
        (None, number) => number.to_owned(),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(args: &[&str]) -> Result<Wanted, String> {
        Wanted::parse(args.iter().map(|arg| (*arg).to_owned()))
    }

    fn plant(name: &str, test: &str) -> Plant {
        Plant {
            name: name.to_owned(),
            from: vec![],
            what: "goes wrong".to_owned(),
            tests: vec![Test {
                package: "vmaple-locks".to_owned(),
                name: test.to_owned(),
            }],
        }
    }

    #[test]
    fn names_and_options_choose() {
        let all = wanted(&[]).expect("fine");
        assert!(all.wants(&plant("detach_does_not_wait", "loom")));
        let some = wanted(&["relaxed"]).expect("fine");
        assert!(some.wants(&plant("put_relaxed", "loom")));
        assert!(!some.wants(&plant("false_gap", "loom")));
        let short = wanted(&["--short"]).expect("fine");
        assert!(short.wants(&plant(SHORT[0], "loom")));
        assert!(!short.wants(&plant("false_gap", "loom")));
        assert!(wanted(&["--markdown"]).is_err());
        assert!(wanted(&["--loud"]).is_err());
    }

    #[test]
    fn only_what_a_checker_sees_is_a_race() {
        assert!(is_race(&plant("a", "checks::vma_lock::x")));
        assert!(is_race(&plant("a", "shuttle")));
        assert!(!is_race(&plant("a", "oracle")));
    }

    #[test]
    fn what_survives_is_counted_and_said() {
        let plant = plant("a", "loom");
        let shown = Shown {
            plant: &plant,
            origins: vec![],
            found: vec![Found::Checked(plant.tests[0].clone(), Outcome::Survived)],
        };
        assert!(!shown.is_caught());
        assert!(shown.as_text().contains("NOT CAUGHT by vmaple-locks: loom"));
    }
}
