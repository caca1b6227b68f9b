//! `vmaple stress`: one load under several ways of locking, side by side.

mod page;
mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use vmaple_linux::stress::{self, Load, Locking, Outcome, StressError};

use crate::output::{DIFFERENT, TROUBLE, cannot_write, fail, say};

pub(crate) const EXAMPLES: &str = "\
Examples:
  vmaple stress
  vmaple stress --vmas 20000 --seconds 10 --html stress.html
  vmaple stress --lock vma --readers 4 --json - | jq .sides[].calls.p99_9
  vmaple stress --kernel

Exit status: 0 readers saw what they are promised, 1 they did not, 125 the load could not be made.";

/// Who holds what while it works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Lock {
    /// Faults and readers take the lock of one VMA
    Vma,
    /// A reader holds mmap_lock for each read, and a fault for its duration
    Mmap,
}

#[derive(Debug, Args)]
pub(crate) struct Stress {
    /// Which locking of vmaple's; may be given twice. Without --lock and --kernel: all three
    #[arg(long, value_name = "HOW")]
    lock: Vec<Lock>,
    /// The same load by system calls on the running kernel
    #[arg(long)]
    kernel: bool,
    /// Mappings that are always there; as many come and go between them
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    vmas: u64,
    /// Threads that map, unmap and protect pages
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads)]
    mappers: usize,
    /// Threads that fault
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads)]
    faulters: usize,
    /// Threads that read the maps in a loop
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = threads)]
    readers: usize,
    /// Seconds for each side
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Mappers and faulters on the first processor, readers on the last
    #[arg(long)]
    pin: bool,
    /// Let readers keep their processor: neither low priority nor a busy thread beside them
    #[arg(long)]
    calm: bool,
    /// Leave out the same load without readers, which the others are compared with
    #[arg(long)]
    no_baseline: bool,
    /// Write the figures as one JSON object to FILE (`-`: standard output, without the table)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw latency curves and throughput into FILE, a page that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// No table and no progress
    #[arg(short, long)]
    quiet: bool,
}

fn threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= 64);
    number.ok_or_else(|| "give a number of threads up to 64".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|s| (0.01..=86_400.0).contains(s));
    number.ok_or_else(|| "give a number of seconds from 0.01 to 86400".to_owned())
}

/// One side of the comparison.
#[derive(Debug, Serialize)]
struct Side {
    name: String,
    /// Whether it is the same load without readers.
    is_baseline: bool,
    #[serde(flatten)]
    outcome: Outcome,
}

/// The result as JSON and for the page.
#[derive(Debug, Serialize)]
struct Json<'a> {
    version: &'static str,
    sides: &'a [Side],
}

pub(crate) fn stress(args: &Stress) -> ExitCode {
    let sides = match all_sides(args) {
        Ok(sides) => sides,
        Err(error) => return fail(TROUBLE, &error.to_string()),
    };
    let table = table::render(&sides);
    let json = Json {
        version: env!("CARGO_PKG_VERSION"),
        sides: &sides,
    };
    if let Some(path) = &args.json
        && let Err(error) = write_json(path, &json)
    {
        return cannot_write(path, &error);
    }
    if let Some(path) = &args.html
        && let Err(error) = fs::write(path, page::render(&sides))
    {
        return cannot_write(path, &error);
    }
    let owns_output = args.json.as_deref() == Some(Path::new("-"));
    if !args.quiet && !owns_output {
        print!("{table}");
    }
    let ours = sides
        .iter()
        .filter(|side| side.outcome.locking != Locking::Kernel);
    if ours
        .into_iter()
        .any(|side| !side.outcome.violations.is_none())
    {
        return fail(
            DIFFERENT,
            "a reader saw what it must not see; see the table",
        );
    }
    ExitCode::SUCCESS
}

fn write_json(path: &Path, json: &Json<'_>) -> io::Result<()> {
    let text = serde_json::to_string_pretty(json)? + "\n";
    if path == Path::new("-") {
        print!("{text}");
        return Ok(());
    }
    fs::write(path, text)
}

fn all_sides(args: &Stress) -> Result<Vec<Side>, StressError> {
    let load = Load {
        vmas: args.vmas,
        mappers: args.mappers,
        faulters: args.faulters,
        readers: args.readers,
        duration: Duration::from_secs_f64(args.seconds),
        pinned: args.pin,
        preempted: !args.calm,
    };
    let mut sides = Vec::new();
    for (kinds, alone) in [
        (model_sides(args), Locking::Vma),
        (kernel_sides(args), Locking::Kernel),
    ] {
        if kinds.is_empty() {
            continue;
        }
        if load.readers > 0 && !args.no_baseline {
            let quiet = Load { readers: 0, ..load };
            sides.push(side(args, alone, &quiet, true)?);
        }
        for locking in kinds {
            sides.push(side(args, locking, &load, false)?);
        }
    }
    Ok(sides)
}

fn model_sides(args: &Stress) -> Vec<Locking> {
    let all = args.lock.is_empty() && !args.kernel;
    let mut kinds = Vec::new();
    if all || args.lock.contains(&Lock::Vma) {
        kinds.push(Locking::Vma);
    }
    if all || args.lock.contains(&Lock::Mmap) {
        kinds.push(Locking::Mmap);
    }
    kinds
}

fn kernel_sides(args: &Stress) -> Vec<Locking> {
    let all = args.lock.is_empty();
    if all || args.kernel {
        vec![Locking::Kernel]
    } else {
        Vec::new()
    }
}

fn side(
    args: &Stress,
    locking: Locking,
    load: &Load,
    is_baseline: bool,
) -> Result<Side, StressError> {
    let what = match locking {
        Locking::Vma if is_baseline => "vmaple",
        Locking::Vma => "vmaple, VMA locks",
        Locking::Mmap => "vmaple, mmap_lock",
        Locking::Kernel => "running kernel",
    };
    let without = if is_baseline { ", no reader" } else { "" };
    let name = format!("{what}{without}");
    if !args.quiet {
        say(format_args!(
            "vmaple: {:.1} s of load on: {name}\n",
            args.seconds
        ));
    }
    Ok(Side {
        name,
        is_baseline,
        outcome: stress::run(locking, load)?,
    })
}
