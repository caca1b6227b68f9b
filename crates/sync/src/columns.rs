//! Draws the steps of an execution as columns, one for each thread.

use crate::names::Name;
use crate::steps::{Access, Log, Step, Subject, Value, What};
use core::fmt::Write;
use core::panic::Location;
use core::sync::atomic::Ordering;
use std::borrow::ToOwned;
use std::collections::HashMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// The lines around what is drawn, for programs that look for it.
const HEAD: &str = "--- the steps of the execution that failed";
const FOOT: &str = "--- it failed with: ";

/// Steps that are shown at most, if `NR_STEPS` says nothing else: the last ones.
const MAX_STEPS: usize = 60;

/// The widest column.
const MAX_WIDTH: usize = 46;

/// A step in words, and how often it was made in a row.
struct Line {
    thread: usize,
    text: String,
    nr_times: usize,
}

/// The log as text.
pub(crate) fn draw(log: &Log, reason: &str) -> String {
    let mut words = Words::default();
    let setup = log.nr_before_spawn.min(log.steps.len());
    let mut lines: Vec<Line> = Vec::new();
    for step in &log.steps[setup..] {
        let text = words.step(log, step);
        match lines.last_mut() {
            Some(last) if last.thread == step.thread && last.text == text => last.nr_times += 1,
            _ => lines.push(Line {
                thread: step.thread,
                text,
                nr_times: 1,
            }),
        }
    }
    for line in lines.iter_mut().filter(|line| line.nr_times > 1) {
        let _ = write!(line.text, " ({} times)", line.nr_times);
    }
    let wanted = std::env::var("NR_STEPS").ok();
    let wanted = wanted.and_then(|nr| nr.parse().ok()).unwrap_or(MAX_STEPS);
    let nr_left_out = lines.len().saturating_sub(wanted);
    format!(
        "{HEAD}\n{}{FOOT}{reason}",
        table(&log.names, &lines[nr_left_out..], nr_left_out)
    )
}

fn table(names: &[String], lines: &[Line], nr_left_out: usize) -> String {
    let widths: Vec<usize> = (0..names.len())
        .map(|thread| {
            let texts = lines.iter().filter(|line| line.thread == thread);
            let longest = texts.map(|line| line.text.chars().count()).max();
            longest.unwrap_or(0).max(names[thread].len()).min(MAX_WIDTH)
        })
        .collect();
    let mut out = String::new();
    let heads: Vec<&str> = names.iter().map(String::as_str).collect();
    row(&mut out, "", &widths, &heads);
    if nr_left_out > 0 {
        let _ = writeln!(out, "      … {nr_left_out} steps before");
    }
    for (index, line) in lines.iter().enumerate() {
        let number = (nr_left_out + index + 1).to_string();
        for (nr, part) in wrap(&line.text).iter().enumerate() {
            let mut cells = std::vec![""; names.len()];
            cells[line.thread] = part;
            row(
                &mut out,
                if nr == 0 { &number } else { "" },
                &widths,
                &cells,
            );
        }
    }
    out
}

fn row(out: &mut String, number: &str, widths: &[usize], cells: &[&str]) {
    let mut line = format!("{number:>4}");
    for (width, cell) in widths.iter().zip(cells) {
        let _ = write!(line, "  {cell:<width$}");
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

/// Cuts a text that is wider than a column at its blanks.
fn wrap(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match parts.last_mut() {
            Some(part) if part.chars().count() + 1 + word.chars().count() <= MAX_WIDTH => {
                part.push(' ');
                part.push_str(word);
            }
            Some(_) => parts.push(format!("  {word}")),
            None => parts.push(word.to_owned()),
        }
    }
    parts
}

/// Puts steps into words.
#[derive(Default)]
struct Words {
    /// Short names for addresses, in order of appearance.
    pointers: Vec<u64>,
    sources: HashMap<&'static str, Vec<String>>,
}

impl Words {
    fn step(&mut self, log: &Log, step: &Step) -> String {
        let what = match &step.what {
            What::Access(subject, access, order) => {
                let word = word(log, *subject);
                let order = order_name(*order);
                let name = subject.name;
                format!("{word} {}, {order}", self.access(name, *access))
            }
            What::Fence(order) => format!("fence, {}", order_name(*order)),
            What::Reads(subject) => format!("reads {}", word(log, *subject)),
            What::Writes(subject) => format!("writes {}", word(log, *subject)),
            What::Says(text) => return text.clone(),
        };
        match self.function(step.at) {
            Some(function) => format!("{function}: {what}"),
            None => what,
        }
    }

    fn access(&mut self, name: Option<&Name>, access: Access) -> String {
        let mut show = |value| self.value(name, value);
        match access {
            Access::Load(value) => format!("is {}", show(value)),
            Access::LoadOld(value, latest) => {
                format!("looks {} (is {})", show(value), show(latest))
            }
            Access::Store(value) => format!("= {}", show(value)),
            Access::Change(before, after) if before == after => {
                format!("stays {}", show(before))
            }
            Access::Change(before, after) => format!("{} → {}", show(before), show(after)),
            Access::Kept(found, wanted) => format!("is {}, not {}", show(found), show(wanted)),
        }
    }

    fn value(&mut self, name: Option<&Name>, value: Value) -> String {
        match value {
            Value::Number(number) => {
                let bits = name.map_or(&[][..], |name| name.bits);
                let has_meaning = bits.iter().any(|(bit, _)| *bit == number);
                if number <= u64::from(u32::MAX) || has_meaning {
                    in_bits(bits, number)
                } else {
                    // Nothing but an address is that large in these tests.
                    self.pointer(number)
                }
            }
            Value::Flag(flag) => flag.to_string(),
            Value::Pointer(0) => "null".to_owned(),
            Value::Pointer(address) => self.pointer(address as u64),
        }
    }

    fn pointer(&mut self, address: u64) -> String {
        let known = self.pointers.iter().position(|known| *known == address);
        let index = known.unwrap_or_else(|| {
            self.pointers.push(address);
            self.pointers.len() - 1
        });
        format!("p{}", index + 1)
    }

    /// The function of our sources in which a step is made; none for a test's own steps.
    fn function(&mut self, at: &'static Location<'static>) -> Option<String> {
        if at.file().contains("/tests/") || at.file().contains("/checks/") {
            return None;
        }
        let lines = self.sources.entry(at.file()).or_insert_with(|| {
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
            let text = std::fs::read_to_string(format!("{root}{}", at.file()));
            text.map_or_else(
                |_| Vec::new(),
                |text| text.lines().map(String::from).collect(),
            )
        });
        let above = lines.get(..at.line() as usize)?.iter().rev();
        let mut heads = above.filter_map(|line| {
            let (before, after) = line.split_once("fn ")?;
            let name = after.split(['(', '<']).next()?;
            let is_head = |word: &str| {
                word.starts_with("pub") || matches!(word, "const" | "unsafe" | "async")
            };
            before
                .split_whitespace()
                .all(is_head)
                .then(|| name.to_owned())
        });
        heads.next()
    }
}

fn word(log: &Log, subject: Subject) -> String {
    let Some(name) = subject.name else {
        let file = subject.made_at.file();
        let file = file.rsplit('/').next().unwrap_or(file);
        return format!("a word of {file}:{}", subject.made_at.line());
    };
    if log.nr_of_name(name.word) > 1 {
        format!("{} #{}", name.word, subject.number)
    } else {
        name.word.to_owned()
    }
}

/// A number as the bits that mean something, and the rest.
fn in_bits(bits: &[(u64, &str)], number: u64) -> String {
    let mut rest = number;
    let mut parts = Vec::new();
    for (bit, meaning) in bits {
        if rest & bit == *bit {
            parts.push((*meaning).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 || parts.is_empty() {
        parts.push(rest.to_string());
    }
    parts.join("+")
}

fn order_name(order: Ordering) -> &'static str {
    match order {
        Ordering::Relaxed => "relaxed",
        Ordering::Acquire => "acquire",
        Ordering::Release => "release",
        Ordering::AcqRel => "acquire-release",
        _ => "seqcst",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_named_and_the_rest_is_a_number() {
        let bits = [(u64::from(u32::MAX), "never"), (1 << 30, "FLAG")];
        assert_eq!(in_bits(&bits, (1 << 30) + 2), "FLAG+2");
        assert_eq!(in_bits(&bits, 1 << 30), "FLAG");
        assert_eq!(in_bits(&bits, 0), "0");
        assert_eq!(in_bits(&bits, u64::from(u32::MAX)), "never");
    }

    #[test]
    fn columns_are_as_wide_as_their_longest_step() {
        let line = |thread, text: &str| Line {
            thread,
            text: text.to_owned(),
            nr_times: 1,
        };
        let names = ["writer".to_owned(), "reader".to_owned()];
        let lines = [line(0, "begins"), line(1, "looks about"), line(0, "ends")];
        assert_eq!(
            table(&names, &lines, 3),
            "      writer  reader\n      … 3 steps before\n   4  begins\n   5          looks about\n   6  ends\n"
        );
    }

    #[test]
    fn long_steps_are_cut_at_blanks() {
        let parts = wrap("is_write_locked_in: vm_lock_seq looks never (is 3), relaxed");
        assert_eq!(
            parts,
            [
                "is_write_locked_in: vm_lock_seq looks never",
                "  (is 3), relaxed"
            ]
        );
    }
}
