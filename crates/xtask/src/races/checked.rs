//! Runs a test under its model checker with a bug planted, and takes the steps out of what it
//! prints.

use crate::plants::{Checker, Plant, Test};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The longest that a test may be silent.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// What is printed around the steps (`crates/sync/src/columns.rs`).
const HEAD: &str = "--- the steps of the execution that failed";
const FOOT: &str = "--- it failed with: ";

/// One test with one bug.
pub(crate) struct Checked<'p> {
    pub(crate) plant: &'p Plant,
    pub(crate) test: &'p Test,
    pub(crate) checker: Checker,
}

/// What the test made of the bug.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Found, by the test of this name.
    Caught { by: String, steps: String },
    /// Not found.
    Survived,
}

/// Test binaries in which every bug can be planted, built when one is first asked for.
pub(crate) struct Checks {
    root: PathBuf,
    target: PathBuf,
    binaries: HashMap<(String, String), PathBuf>,
}

impl Checks {
    pub(crate) fn new(root: &Path, target: &Path) -> Self {
        Self {
            root: root.to_owned(),
            target: target.to_owned(),
            binaries: HashMap::new(),
        }
    }

    /// Runs one.
    pub(crate) fn run(&mut self, checked: &Checked<'_>) -> Result<Outcome, String> {
        let binary = self.binary(checked)?;
        let mut command = Command::new(binary);
        command
            .args(["--test-threads=1", "--nocapture"])
            .env("PLANTED", &checked.plant.name)
            .env("RUST_BACKTRACE", "0")
            .env("LOOM_MAX_PREEMPTIONS", "2")
            .env("NR_SCHEDULES", "1000")
            .env("SHUTTLE_SILENCE_WARNINGS", "1")
            .current_dir(&self.root);
        if checked.test.name.starts_with("checks") {
            command.arg(&checked.test.name);
        }
        let (printed, ending) = run_until_found(&mut command)?;
        let crashed = || match ending {
            Ending::Crashed(signal) => Some(Outcome::Caught {
                by: running(&printed)?,
                steps: format!("      no steps: the program died by signal {signal}\n"),
            }),
            _ => None,
        };
        if ending == Ending::Passed {
            return Ok(Outcome::Survived);
        }
        steps_of(&printed).or_else(crashed).ok_or_else(|| {
            let last = printed.lines().rev().take(20).collect::<Vec<_>>();
            let last: Vec<_> = last.into_iter().rev().collect();
            format!(
                "{} fails under {:?} without steps:\n{}",
                checked.plant.name,
                checked.checker,
                last.join("\n")
            )
        })
    }

    fn binary(&mut self, checked: &Checked<'_>) -> Result<PathBuf, String> {
        let is_lib = checked.test.name.starts_with("checks");
        let target = if is_lib {
            "lib"
        } else {
            checked.test.name.as_str()
        };
        let key = (checked.test.package.clone(), target.to_owned());
        if let Some(binary) = self.binaries.get(&key) {
            return Ok(binary.clone());
        }
        let checker = match checked.checker {
            Checker::Loom => "loom",
            Checker::Shuttle => "shuttle",
        };
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["test", "--release", "--no-run", "--message-format=json"])
            .args(["--package", checked.test.package.as_str()])
            .env("RUSTFLAGS", format!("--cfg {checker} --cfg plantable"))
            .env("CARGO_TARGET_DIR", self.target.join("races").join(checker))
            .current_dir(&self.root)
            .stderr(Stdio::inherit());
        if is_lib {
            cargo.arg("--lib");
        } else {
            cargo.args(["--test", target]);
        }
        let output = cargo.output().map_err(|error| format!("cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("{} is not built for {checker}", key.0));
        }
        let binary = executable(&String::from_utf8_lossy(&output.stdout))
            .ok_or_else(|| format!("cargo names no test binary of {}", key.0))?;
        self.binaries.insert(key, binary.clone());
        Ok(binary)
    }
}

/// How a test binary ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Passed,
    Failed,
    /// By this signal, of its own.
    Crashed(i32),
}

/// A line of what cargo says.
#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}

/// The test binary that cargo has built last.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok()?.executable)
        .next_back()
}

/// Runs a test binary until it ends, has shown the steps of a failure, or has taken too long.
/// Returns what it printed, and how it ended.
fn run_until_found(command: &mut Command) -> Result<(String, Ending), String> {
    let (reader, writer) = std::io::pipe().map_err(|error| format!("a pipe: {error}"))?;
    let second = writer
        .try_clone()
        .map_err(|error| format!("a pipe: {error}"))?;
    let mut child = command
        .stdout(writer)
        .stderr(second)
        .spawn()
        .map_err(|error| format!("the test does not start: {error}"))?;
    // The command holds ends of the pipe for writing, which keep it open.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut printed = String::new();
    let mut is_found = false;
    let is_ended = loop {
        match lines.recv_timeout(TIME_LIMIT) {
            // What the checker does to go on after a failure is of no interest.
            Ok(line) if is_found && line.starts_with("thread '") => {
                printed.push_str(&line);
                break false;
            }
            Ok(line) => {
                is_found |= line.starts_with(FOOT);
                printed.push_str(&line);
                printed.push('\n');
            }
            Err(RecvTimeoutError::Disconnected) => break true,
            Err(RecvTimeoutError::Timeout) => break false,
        }
    };
    if !is_ended {
        // It may have ended by itself since.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("the test: {error}"))?;
    let ending = match status.signal() {
        _ if is_found => Ending::Failed,
        _ if status.success() => Ending::Passed,
        Some(signal) if is_ended => Ending::Crashed(signal),
        _ => Ending::Failed,
    };
    Ok((printed, ending))
}

/// The first failing execution: the test's name, and the steps with what they led to.
fn steps_of(printed: &str) -> Option<Outcome> {
    let (before, after) = printed.split_once(HEAD)?;
    let (steps, end) = after.split_once(FOOT)?;
    let (reason, end) = end.split_once("\nthread '").unwrap_or((end, ""));
    let by = end.split_once('\'').map(|(name, _)| name.to_owned());
    let reason = reason.trim().lines().next().unwrap_or_default();
    Some(Outcome::Caught {
        by: running(before).or(by)?,
        steps: format!("{}\n      {reason}\n", steps.trim_matches('\n')),
    })
}

/// The test that was running when this was printed.
fn running(printed: &str) -> Option<String> {
    let is_head = |line: &&str| line.starts_with("test ") && line.contains(" ... ");
    let line = printed.lines().rev().find(is_head)?;
    let name = line.strip_prefix("test ")?.split(' ').next()?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_taken_from_the_output() {
        let printed = "\
running 2 tests
test checks::fine ... ok
test checks::wrong ... --- the steps of the execution that failed
      writer     reader
   1  begins
--- it failed with: assertion failed
  left: 1 (src/lib.rs:1)

thread 'checks::wrong' panicked at src/lib.rs:1:
assertion failed
";
        let Some(Outcome::Caught { by, steps }) = steps_of(printed) else {
            panic!("there is one");
        };
        assert_eq!(by, "checks::wrong");
        assert_eq!(
            steps,
            "      writer     reader\n   1  begins\n      assertion failed\n"
        );
        assert_eq!(steps_of("test checks::fine ... ok\n"), None);
    }

    #[test]
    fn cargo_names_the_test_binary() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"executable\":\"deps/loom-1\"}\n\
            {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executable(messages), Some("deps/loom-1".into()));
    }
}
