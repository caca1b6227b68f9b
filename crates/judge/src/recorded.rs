//! Scripts with the kernel's answers in them: judged where there is no kernel to ask.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vmaple::AddrRange;
use vmaple_linux::procfs::maps::MapsLine;

use crate::files::{Facts, KnownFile};
use crate::finding::Finding;
use crate::host::{Host, Unsuitable};
use crate::model::{Answer, Model};
use crate::replay::{self, Verdict};
use crate::script::{Reply, Script};
use crate::seed::Seed;
use crate::session::Session;

/// What the kernel's side looked like before the first operation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Beginning {
    /// Release of the kernel.
    kernel: String,
    seed: Seed,
    files: Vec<Facts>,
    segment: i32,
    /// Its map as text.
    maps: Vec<String>,
}

/// Makes the script's operations on the running kernel, and writes down what it says. The model
/// is compared on the way, as ever.
///
/// # Errors
/// The kernel cannot judge, or differs from the model.
pub fn record(host: &Host, script: &Script) -> Result<Script, Verdict> {
    let mut session = Session::start(host, script.layout).map_err(Verdict::Unsuitable)?;
    if let Some(room) = script.crowd {
        replay::crowd(&mut session, room).map_err(|finding| Verdict::differs(0, finding))?;
    }
    let lines = |text: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(text)
            .lines()
            .map(str::to_owned)
            .collect()
    };
    let mut recorded = script.clone();
    recorded.beginning = Some(Beginning {
        kernel: Host::kernel(),
        seed: session.seed.clone(),
        files: host.facts.clone(),
        segment: host.segment.id,
        maps: lines(session.kernel_maps()[1].as_bytes()),
    });
    for (index, step) in script.steps.iter().enumerate() {
        let answer = session.step(step);
        let answer = answer.map_err(|finding| Verdict::differs(index, finding))?;
        let [before, after] = session.kernel_maps().map(|text| lines(text.as_bytes()));
        recorded.replies[index] = Reply {
            result: Some(answer.result),
            gone: only_in(&before, &after),
            come: only_in(&after, &before),
            guards: session.guards().map(<[AddrRange]>::to_vec),
        };
    }
    Ok(recorded)
}

fn only_in(these: &[String], others: &[String]) -> Vec<String> {
    let others: std::collections::HashSet<&String> = others.iter().collect();
    let only = these.iter().filter(|line| !others.contains(line));
    only.cloned().collect()
}

/// Judges a recorded script by what it says the kernel said.
///
/// # Errors
/// A difference, or a script that is not recorded or not whole.
pub fn judge(script: &Script) -> Result<(), Verdict> {
    let unsuitable = |what: &str| Verdict::Unsuitable(Unsuitable(what.to_owned()));
    let beginning = script.beginning.as_ref();
    let beginning = beginning.ok_or_else(|| unsuitable("nothing is recorded in the script"))?;
    let numbered = beginning.files.iter().cloned().enumerate();
    let files = numbered
        .map(|(index, facts)| Arc::new(KnownFile::of_index(index, facts)))
        .collect();
    let mm = beginning.seed.model().map_err(|error| unsuitable(&error))?;
    let taboo = beginning.seed.taboo();
    let mut model = Model::new(mm, files, beginning.segment, taboo);
    let mut maps = beginning.maps.clone();
    for (index, (step, reply)) in script.steps.iter().zip(&script.replies).enumerate() {
        let missing = || unsuitable(&format!("operation {} has no result", index + 1));
        let result = reply.result.ok_or_else(missing)?;
        maps.retain(|line| !reply.gone.contains(line));
        maps.extend_from_slice(&reply.come);
        maps.sort_by_key(|line| start_of(line));
        let inode = if step.op.makes_object() && result >= 0 {
            inode_at(&maps, result.cast_unsigned())
        } else {
            0
        };
        let mut compare = || -> Result<(), Finding> {
            if let Some(guards) = &reply.guards {
                model.note_guards(&step.op, guards);
            }
            model.step(step, Answer { result, inode })?;
            let mut text = maps.join("\n");
            text.push('\n');
            model.check_map(text.as_bytes(), None)?;
            model.check_own_rules()
        };
        compare().map_err(|finding| Verdict::differs(index, finding))?;
    }
    Ok(())
}

fn start_of(line: &str) -> u64 {
    MapsLine::parse(line.as_bytes()).map_or(u64::MAX, |line| line.start)
}

fn inode_at(maps: &[String], addr: u64) -> u64 {
    let lines = maps.iter();
    let mut lines = lines.filter_map(|line| MapsLine::parse(line.as_bytes()).ok());
    lines
        .find(|line| line.start <= addr && addr < line.end)
        .map_or(0, |line| line.inode)
}
