//! The command `vmaple`.

mod args;
mod fuzz;
mod maps;
mod output;
mod page;
mod progress;
mod query;
mod replay;
mod run;
mod script;
mod size;
mod stress;
mod table;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Replay(args) if script::is_script(&args.trace) => script::replay(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Maps(args) => maps::maps(&args),
        Command::Query(args) => query::query(&args),
        Command::Fuzz(args) => fuzz::fuzz(&args),
        Command::Stress(args) => stress::stress(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "vmaple", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
    }
}
