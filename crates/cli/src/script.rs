//! `vmaple replay` of a script.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use vmaple_judge::{self as judge, Finding, Host, MARK, Script, Verdict, picture};
use vmaple_linux::mirror::MapDifference;

use crate::args::Replay;
use crate::output::{DIFFERENT, TROUBLE, fail, say, write_json};

/// The result for machines.
#[derive(Debug, Serialize)]
struct Json {
    version: &'static str,
    operations: usize,
    differences: u64,
    difference: Option<String>,
}

/// Longer scripts are not shown.
const MOST_SHOWN: usize = 40;

/// Whether the file begins as scripts do.
pub(crate) fn is_script(path: &Path) -> bool {
    let mut first = [0; MARK.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && first == MARK.as_bytes()
}

pub(crate) fn replay(args: &Replay) -> ExitCode {
    let path = args.trace.display();
    let text = match std::fs::read_to_string(&args.trace) {
        Ok(text) => text,
        Err(error) => return fail(TROUBLE, &format!("script {path}: {error}")),
    };
    let script: Script = match text.parse() {
        Ok(script) => script,
        Err(error) => return fail(TROUBLE, &format!("script {path}, {error}")),
    };
    let verdict = if args.offline {
        judge::judge(&script)
    } else {
        live(&script)
    };
    let operations = script.steps.len();
    let difference = match verdict {
        Ok(()) => None,
        Err(Verdict::Unsuitable(error)) => return fail(TROUBLE, &error.to_string()),
        Err(differs) => Some(differs.to_string()),
    };
    if let Some(difference) = &difference {
        say(format_args!("vmaple: {path}: {difference}\n"));
    } else if !args.output.quiet {
        say(format_args!("all equal: {operations} operations\n"));
    }
    let status = if difference.is_some() {
        ExitCode::from(DIFFERENT)
    } else {
        ExitCode::SUCCESS
    };
    let json = Json {
        version: env!("CARGO_PKG_VERSION"),
        operations,
        differences: u64::from(difference.is_some()),
        difference,
    };
    if let Some(path) = &args.output.json
        && let Err(error) = write_json(path, &json)
    {
        let path = path.display();
        return fail(TROUBLE, &format!("cannot write {path}: {error}"));
    }
    status
}

/// On the running kernel and on vmaple.
fn live(script: &Script) -> Result<(), Verdict> {
    let host = Host::open()?;
    let result = judge::replay(&host, script);
    if let Err(Verdict::Differs { finding, .. }) = &result {
        show(&host, script, finding);
    }
    result
}

/// A script that shows a difference, what differs, and a picture of it.
pub(crate) fn show(host: &Host, script: &Script, finding: &Finding) {
    if script.steps.len() <= MOST_SHOWN {
        say(format_args!("{script}"));
    }
    say(format_args!("vmaple: {finding}\n"));
    let Ok(Some(scene)) = judge::scene(host, script) else {
        return;
    };
    if let Some(lines) = MapDifference::between(&scene.model, &scene.kernel) {
        say(format_args!("{lines}"));
    }
    let drawn = picture::draw(&scene.before, &scene.kernel, &scene.model);
    say(format_args!("{drawn}"));
}
