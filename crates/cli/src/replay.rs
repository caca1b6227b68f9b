//! `vmaple replay`.

use std::process::ExitCode;
use std::time::Instant;

use vmaple_linux::event::{Event, Status};
use vmaple_linux::history::History;
use vmaple_linux::live::{Audience, Difference};
use vmaple_linux::mirror::{Mirror, Outcome, Releases};
use vmaple_linux::report::Report;
use vmaple_linux::trace_file::Reader;

use crate::args::Replay;
use crate::output::{DIFFERENT, Json, TROUBLE, Teller, cannot_write, fail, say};
use crate::page;
use crate::progress::Progress;
use crate::table;

/// What a whole trace came to.
struct Replayed {
    report: Report,
    command: Vec<String>,
    /// How the first process of the trace ended.
    status: Option<Status>,
    /// Its course, if it is to be drawn.
    history: Option<History>,
}

pub(crate) fn replay(args: &Replay) -> ExitCode {
    let progress = if args.output.quiet {
        None
    } else {
        Progress::new()
    };
    let mut teller = Teller::new(progress);
    let started = Instant::now();
    let replayed = play(args, &mut teller);
    teller.finish();
    let replayed = match replayed {
        Ok(replayed) => replayed,
        Err(message) => return fail(TROUBLE, &message),
    };
    if !args.output.quiet {
        say(format_args!("{}", table::render(&replayed.report, 0)));
    }
    if let Some(path) = &args.output.html
        && let Some(history) = &replayed.history
        && let Err(error) = page::write(path, &replayed.command, &replayed.report.total(), history)
    {
        return cannot_write(path, &error);
    }
    if let Some(path) = &args.output.json {
        let (exit_status, signal) = match replayed.status {
            Some(Status::Exited(code)) => (Some(code), None),
            Some(Status::Killed(signal)) => (Some(128 + signal), Some(signal)),
            None => (None, None),
        };
        let seconds = started.elapsed().as_secs_f64();
        let json = Json {
            exit_status,
            signal,
            seconds,
            ..Json::new(&replayed.report, &replayed.command)
        };
        if let Err(error) = json.write(path) {
            return cannot_write(path, &error);
        }
    }
    if replayed.report.total().differences > 0 {
        ExitCode::from(DIFFERENT)
    } else {
        ExitCode::SUCCESS
    }
}

fn play(args: &Replay, teller: &mut Teller) -> Result<Replayed, String> {
    let mut reader = Reader::open(&args.trace)
        .map_err(|error| error.to_string())?
        .tolerate_torn_end();
    let mut mirror = Mirror::new(Releases::default());
    let mut command = Vec::new();
    let mut first = None;
    let mut history = args.output.html.as_ref().map(|_| History::new());
    while let Some(event) = reader.next_event().map_err(|error| error.to_string())? {
        match &event {
            Event::Start(start) => command.clone_from(&start.command),
            Event::Image(image) => _ = first.get_or_insert(image.pid),
            _ => {}
        }
        let line = reader.line();
        if let (Event::Gone { .. }, Some(history)) = (&event, &mut history) {
            // Its last map is to be seen while it is there.
            history.note(&event, &mirror);
        }
        let outcome = mirror
            .apply(&event)
            .map_err(|error| format!("trace {}, line {line}: {error}", args.trace.display()))?;
        if let Some(history) = &mut history {
            history.note(&event, &mirror);
        }
        if !tell(teller, &event, outcome) && args.fail_fast {
            break;
        }
        if line.is_multiple_of(1 << 14) {
            teller.tick(mirror.report());
        }
    }
    if let Some(history) = &mut history {
        history.finish(&mirror);
    }
    let report = mirror.report().clone();
    let status = first.and_then(|pid| {
        report
            .processes()
            .find(|process| process.pid == pid)?
            .status
    });
    Ok(Replayed {
        report,
        command,
        status,
        history,
    })
}

/// Shows a difference; false if there was one.
fn tell(teller: &mut Teller, event: &Event, outcome: Outcome) -> bool {
    let (pid, call) = match event {
        Event::Call(record) => (record.pid, Some(&record.call)),
        Event::Map { pid, .. } => (*pid, None),
        _ => (0, None),
    };
    let difference = match outcome {
        // An image follows in the trace, and counts.
        Outcome::Agrees | Outcome::Unmodelled(_) => return true,
        Outcome::Result(results) => Difference::Result(results),
        Outcome::Map(lines) => Difference::Map(lines),
    };
    teller.difference(pid, call, &difference);
    false
}
