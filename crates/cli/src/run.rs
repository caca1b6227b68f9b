//! `vmaple run`.

use std::process::ExitCode;
use std::time::Instant;

use nix::sys::personality::{self, Persona};
use vmaple_linux::live::{self, Options, RunError};
use vmaple_linux::tracer::{self, Command, ExitStatus};

use crate::args::{Check, Run};
use crate::output::{
    DIFFERENT, Json, NOT_EXECUTABLE, NOT_FOUND, TROUBLE, Teller, cannot_write, fail, say,
};
use crate::page;
use crate::progress::Progress;
use crate::table;

pub(crate) fn run(args: &Run) -> ExitCode {
    let Some((program, arguments)) = args.program.split_first() else {
        return fail(TROUBLE, "no PROGRAM given: vmaple run -- PROGRAM ARG…");
    };
    let command = Command::new(program).args(arguments);
    if args.no_aslr
        && let Err(errno) =
            personality::get().and_then(|now| personality::set(now | Persona::ADDR_NO_RANDOMIZE))
    {
        return fail(
            TROUBLE,
            &format!("--no-aslr: the kernel refuses the personality: {errno}"),
        );
    }
    let progress = if args.output.quiet {
        None
    } else {
        Progress::new()
    };
    let mut teller = Teller::new(progress);
    let started = Instant::now();
    let finished = live::run(&command, &options(args), &mut teller);
    teller.finish();
    let finished = match finished {
        Ok(finished) => finished,
        Err(error) => return fail(status_of(&error), &error.to_string()),
    };
    let seconds = started.elapsed().as_secs_f64();
    if !args.output.quiet {
        let total = finished.report.total();
        let rate = total.calls as f64 / seconds;
        say(format_args!(
            "{}",
            table::render(&finished.report, finished.skipped)
        ));
        say(format_args!(
            "{seconds:.2} s, {rate:.0} memory calls a second\n"
        ));
    }
    let (exit_status, signal) = shell_status(finished.status);
    let words: Vec<String> = args
        .program
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some(path) = &args.output.html
        && let Some(history) = &finished.history
        && let Err(error) = page::write(path, &words, &finished.report.total(), history)
    {
        return cannot_write(path, &error);
    }
    if let Some(path) = &args.output.json {
        let json = Json {
            exit_status: Some(i32::from(exit_status)),
            signal,
            seconds,
            comparisons_left_out: finished.skipped,
            ..Json::new(&finished.report, &words)
        };
        if let Err(error) = json.write(path) {
            return cannot_write(path, &error);
        }
    }
    if finished.report.total().differences > 0 {
        return ExitCode::from(DIFFERENT);
    }
    ExitCode::from(exit_status)
}

fn options(args: &Run) -> Options {
    let check = match args.check {
        None => live::Check::WhileAffordable,
        Some(Check::Every) => live::Check::Every,
        Some(Check::Nth(n)) => live::Check::Nth(n),
        Some(Check::Exit) => live::Check::Exit,
    };
    let tracer = tracer::Options::default();
    Options {
        check,
        flags: args.flags,
        fail_fast: args.fail_fast,
        record: args.record.clone(),
        history: args.output.html.is_some(),
        plant: args.plant,
        tracer,
    }
}

/// The status a shell shows, and the signal if one killed the program.
fn shell_status(status: ExitStatus) -> (u8, Option<i32>) {
    match status {
        ExitStatus::Exited(code) => (code, None),
        ExitStatus::Signaled { signal, .. } => {
            (u8::try_from(128 + signal).unwrap_or(u8::MAX), Some(signal))
        }
    }
}

fn status_of(error: &RunError) -> u8 {
    match error {
        RunError::Tracer(tracer::Error::NotFound { .. }) => NOT_FOUND,
        RunError::Tracer(tracer::Error::NotExecutable { .. }) => NOT_EXECUTABLE,
        RunError::Tracer(_) | RunError::Trace(_) | RunError::Machine(_) => TROUBLE,
    }
}
