//! The project's benchmarks as one command: the tree beside the C tree and beside other crates.
//!
//! ```text
//! cargo run --release -p vmaple-bench -- [OPTION…] [PART-OF-A-ROW'S-NAME…]
//! ```
//!
//! Every measurement runs in a process of its own, ours and the C peer's alike, and prints one
//! line; this process starts them in turns, takes medians and writes tables. Exit status 1 if a
//! checksum is not the one that the row's definition gives.
#![cfg_attr(loom, allow(dead_code, reason = "not run under the checker"))]

mod behind;
mod locks;
mod maps;
mod markdown;
mod meter;
mod options;
mod peers;
mod reclaim;
mod results;
mod rows;
mod runner;
mod subject;
mod variants;
mod vma;
mod workload;

use options::Options;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(Options::Help) => {
            println!("{}", options::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Options::One {
            side,
            row,
            is_short,
        }) => match runner::measure_here(&side, &row, is_short) {
            Some(samples) => {
                for sample in samples {
                    println!("{}", sample.to_line());
                }
                ExitCode::SUCCESS
            }
            None => fail(&format!("no row {row} of {side}")),
        },
        Ok(Options::All(plan)) => {
            let results = runner::measure_all(&plan);
            match write_reports(&plan, &results) {
                Err(error) => fail(&format!("cannot write a report: {error}")),
                Ok(()) if results.is_right() => ExitCode::SUCCESS,
                Ok(()) => fail("a row has a wrong checksum or did not run"),
            }
        }
        Err(problem) => {
            eprintln!("bench: {problem}; see --help");
            ExitCode::from(2)
        }
    }
}

fn fail(problem: &str) -> ExitCode {
    eprintln!("bench: {problem}");
    ExitCode::FAILURE
}

fn write_reports(plan: &options::Plan, results: &results::Results) -> io::Result<()> {
    let text = markdown::render(plan, results);
    io::stdout().write_all(text.as_bytes())?;
    if let Some(file) = &plan.markdown {
        std::fs::write(file, &text)?;
    }
    if let Some(file) = &plan.json {
        std::fs::write(file, results.to_json())?;
    }
    Ok(())
}
