//! The project's benchmarks as one command: prints a table, with the date and the machine.
//!
//! ```text
//! cargo run --release -p vmaple-bench -- [--short] [PART-OF-A-ROW'S-NAME…]
//! ```
//!
//! `--short` runs every row at its small sizes with few operations: for CI, to see that all rows
//! run and that checksums hold. Exit status 1 if a checksum is not the expected one.
#![cfg_attr(loom, allow(dead_code, reason = "not run under the checker"))]

mod reclaim;
mod report;
mod subject;
mod tree;
mod workload;

use report::Report;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut is_short = false;
    let mut wanted = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--short" => is_short = true,
            "--help" | "-h" => {
                println!("usage: bench [--short] [PART-OF-A-ROW'S-NAME…]");
                return ExitCode::SUCCESS;
            }
            unknown if unknown.starts_with('-') => {
                eprintln!("bench: unknown option {unknown}; see --help");
                return ExitCode::from(2);
            }
            part => wanted.push(part.to_owned()),
        }
    }
    let mut report = Report::new(is_short, wanted);
    reclaim::run(&mut report);
    tree::run(&mut report);
    if report.finish() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
