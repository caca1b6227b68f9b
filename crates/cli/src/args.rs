//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use vmaple_judge::{PROFILES, Profile};
use vmaple_linux::live::Plant;

use crate::stress::{EXAMPLES, Stress};

/// Address spaces, computed in Rust and proved equal to the running kernel's.
#[derive(Debug, Parser)]
#[command(name = "vmaple", version, about, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_STATUS: &str = "\
Exit status: 0 all equal (and PROGRAM succeeded), 1 a difference was found, 125 vmaple could
not do its work, 126 PROGRAM could not be executed, 127 PROGRAM was not found; otherwise the
status of PROGRAM (128 + N where signal N killed it).";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a program, mirror its memory calls and compare every map with the kernel's
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Make random memory calls on the running kernel and on vmaple, compared after each one
    #[command(after_help = FUZZ_EXAMPLES)]
    Fuzz(Fuzz),
    /// Replay a trace that `vmaple run --record` wrote, without the program, or a script of
    /// memory calls
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(Replay),
    /// Show the mappings of a process
    #[command(after_help = MAPS_EXAMPLES)]
    Maps(Maps),
    /// Show what is mapped at an address of a process
    #[command(after_help = QUERY_EXAMPLES)]
    Query(Query),
    /// Map, fault and read maps in many threads, under several ways of locking
    #[command(after_help = EXAMPLES)]
    Stress(Stress),
    /// Print shell completions
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: Shell,
    },
}

const RUN_EXAMPLES: &str = "\
Examples:
  vmaple run -- ls -lR /usr/share/doc
  vmaple run --check exit --json report.json -- node server.js
  vmaple run --html run.html -- python3 -c 'import json'
  vmaple run --record trace.jsonl -- bash -c 'ls | wc -l' && vmaple replay trace.jsonl";

const FUZZ_EXAMPLES: &str = "\
Examples:
  vmaple fuzz --ops 200000
  vmaple fuzz --profile merge --seed 7 --minutes 10
  vmaple fuzz --plant skip@500

A full run (all profiles, at least 200,000 operations) also fails if a merge, a cut or an error
that it must come to was never met.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  vmaple replay trace.jsonl
  vmaple replay testdata/scripts/arena.script
  vmaple replay --json - trace.jsonl | jq .differences";

const MAPS_EXAMPLES: &str = "\
Examples:
  vmaple maps $$
  vmaple maps --smaps --writable 4711
  vmaple maps --json - 4711 | jq '.mappings[].name'";

const QUERY_EXAMPLES: &str = "\
Examples:
  vmaple query 4711 7f3a5c0de123
  vmaple query --next --executable 4711 0

Exit status: 0 a mapping was found, 1 none fits, 125 the process cannot be looked at.";

/// Which mappings are wanted; each filter has to hold.
#[derive(Clone, Copy, Debug, Default, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Filters {
    /// Only mappings that may be read
    #[arg(long)]
    pub(crate) readable: bool,
    /// Only mappings that may be written
    #[arg(long)]
    pub(crate) writable: bool,
    /// Only mappings that may be executed
    #[arg(long)]
    pub(crate) executable: bool,
    /// Only mappings made with MAP_SHARED
    #[arg(long)]
    pub(crate) shared: bool,
    /// Only mappings of files and shared-memory objects
    #[arg(long)]
    pub(crate) file: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Maps {
    /// Show page figures and flags as well (reads smaps, which costs the kernel a walk over all
    /// pages)
    #[arg(long)]
    pub(crate) smaps: bool,
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// Write the mappings as one JSON object to FILE (`-`: standard output, without the table)
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The process
    #[arg(value_name = "PID", value_parser = pid)]
    pub(crate) pid: i32,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// Where nothing that fits covers the address, show the next mapping above that does
    #[arg(long)]
    pub(crate) next: bool,
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// Write the mapping as one JSON object to FILE (`-`: standard output, without the text)
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The process
    #[arg(value_name = "PID", value_parser = pid)]
    pub(crate) pid: i32,
    /// The address: hexadecimal, with or without 0x
    #[arg(value_name = "ADDR", value_parser = address)]
    pub(crate) addr: u64,
}

/// A process number.
fn pid(text: &str) -> Result<i32, String> {
    let number = text.parse().ok().filter(|pid| *pid > 0);
    number.ok_or_else(|| "give the number of a process".to_owned())
}

/// An address as maps and debuggers print it.
fn address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16)
        .map_err(|_| "give a hexadecimal address, such as 7f3a5c0de123".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// When to compare the whole map: `every` memory call, every N calls, or at `exit`.
    /// exec, exit and the last call are always compared. By default every call, for as long
    /// as comparing takes less time than the program itself
    #[arg(long, value_name = "every|N|exit")]
    pub(crate) check: Option<Check>,
    /// Compare the flags that smaps shows (`VmFlags`) as well: slow, and sharper than maps,
    /// which shows a wrong flag only when mappings merge or do not
    #[arg(long)]
    pub(crate) flags: bool,
    /// Stop the program at the first difference
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Write the events of the run to FILE, for `vmaple replay`
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Make a mistake on purpose at the Nth call and see it found: `result@N` takes a wrong
    /// returned value for the kernel's, `skip@N` leaves the call out of the mirror
    #[arg(long, value_name = "KIND@N", value_parser = plant)]
    pub(crate) plant: Option<Plant>,
    #[command(flatten)]
    pub(crate) output: Output,
    /// Run the program without address space randomisation
    #[arg(long)]
    pub(crate) no_aslr: bool,
    /// The program and its arguments
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// Operations to make; with --minutes alone, as many as there is time for
    #[arg(long, value_name = "N")]
    pub(crate) ops: Option<u64>,
    /// The same seed makes the same operations; without one it is drawn, and shown
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Time after which no new process is started
    #[arg(long, value_name = "M")]
    pub(crate) minutes: Option<f64>,
    /// Threads, each with a process of its own; by default one for each processor
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// One profile only: merge, placement, legacy, mremap, fork, limits, unprivileged,
    /// heap-and-stack, guard-and-seal, system-v or crowded
    #[arg(long, value_name = "NAME", default_value = "all", value_parser = profiles)]
    pub(crate) profile: Profiles,
    /// Where a script of a difference goes
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) save: PathBuf,
    /// Write the operations of one process, with the kernel's answers, to FILE: a script that is
    /// judged without a kernel. Needs a profile; --ops are made, 100 by default
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Make a mistake on purpose at the Nth operation and see it found: `result@N` takes
    /// vmaple's result for another one, `skip@N` leaves the operation out of vmaple
    #[arg(long, value_name = "KIND@N", value_parser = plant)]
    pub(crate) plant: Option<Plant>,
    /// Write what the run came to as a table in Markdown to FILE (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// The profiles of a run.
#[derive(Clone, Debug)]
pub(crate) struct Profiles(pub(crate) Vec<&'static Profile>);

/// The argument of `--profile`.
fn profiles(name: &str) -> Result<Profiles, String> {
    if name == "all" {
        return Ok(Profiles(PROFILES.iter().collect()));
    }
    let names = || {
        let names: Vec<_> = PROFILES.iter().map(|profile| profile.name).collect();
        format!("give all or one of {}", names.join(", "))
    };
    let profile = Profile::named(name).ok_or_else(names)?;
    Ok(Profiles(vec![profile]))
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Judge a script by the answers that are recorded in it, not by the running kernel
    #[arg(long)]
    pub(crate) offline: bool,
    /// Stop at the first difference
    #[arg(long)]
    pub(crate) fail_fast: bool,
    #[command(flatten)]
    pub(crate) output: Output,
    /// The trace, or the script
    #[arg(value_name = "TRACE")]
    pub(crate) trace: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Write the result as one JSON object to FILE (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the run into FILE: one page that shows the address space over its calls
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// No table and no progress: only differences and errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// How often to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Every,
    Nth(u64),
    Exit,
}

impl FromStr for Check {
    type Err = String;

    fn from_str(text: &str) -> Result<Check, String> {
        match text {
            "every" => Ok(Check::Every),
            "exit" => Ok(Check::Exit),
            number => match number.parse() {
                Ok(0) | Err(_) => {
                    Err("give `every`, `exit` or a number of calls from 1".to_owned())
                }
                Ok(1) => Ok(Check::Every),
                Ok(n) => Ok(Check::Nth(n)),
            },
        }
    }
}

/// The argument of `--plant`.
fn plant(text: &str) -> Result<Plant, String> {
    let wrong = || "give result@N or skip@N, N being the number of a call from 1".to_owned();
    let (kind, number) = text.split_once('@').ok_or_else(wrong)?;
    let number = number
        .parse()
        .ok()
        .filter(|&number| number > 0)
        .ok_or_else(wrong)?;
    match kind {
        "result" => Ok(Plant::Result(number)),
        "skip" => Ok(Plant::Skip(number)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_programs_own_options_are_left_alone() {
        let cli =
            Cli::try_parse_from(["vmaple", "run", "--check", "7", "--", "ls", "--json", "-l"])
                .unwrap();
        let Command::Run(run) = cli.command else {
            panic!("not run")
        };
        assert_eq!(run.check, Some(Check::Nth(7)));
        assert_eq!(run.program, ["ls", "--json", "-l"]);
        assert_eq!(run.output.json, None);
    }

    #[test]
    fn a_mistake_has_a_kind_and_a_place() {
        assert_eq!(plant("result@3"), Ok(Plant::Result(3)));
        assert_eq!(plant("skip@1"), Ok(Plant::Skip(1)));
        for wrong in ["skip", "skip@0", "merge@3", "result@x"] {
            assert!(plant(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_hexadecimal() {
        assert_eq!(address("0x10"), Ok(16));
        assert_eq!(address("7f00"), Ok(0x7f00));
        for wrong in ["", "0x", "-1", "main", "10000000000000000"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
        assert!(pid("0").is_err() && pid("-4").is_err() && pid("12") == Ok(12));
    }

    #[test]
    fn profiles_are_all_or_one() {
        assert_eq!(profiles("all").unwrap().0.len(), PROFILES.len());
        assert_eq!(profiles("merge").unwrap().0[0].name, "merge");
        assert!(profiles("merges").unwrap_err().contains("heap-and-stack"));
    }

    #[test]
    fn check_takes_words_and_numbers_only() {
        assert_eq!("every".parse(), Ok(Check::Every));
        assert_eq!("exit".parse(), Ok(Check::Exit));
        assert_eq!("1".parse(), Ok(Check::Every));
        assert!("0".parse::<Check>().is_err());
        assert!("never".parse::<Check>().is_err());
    }
}
