//! Sequences of operations as text that people can read and write.
//!
//! ```text
//! # Comments go to the end of the line.
//! layout top-down
//! mmap(0x100000000000, 0x3000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, anonymous, 0) = 0x100000000000
//! mprotect(0x100000001000, 0x1000, PROT_READ) = 0
//! munmap(0x100000001001, 0x1000) = -EINVAL
//! ```
//!
//! Arguments are those of the system calls, with one of [`crate::files::NAMES`] for a descriptor.
//! What stands after `=` is what the kernel returned when the script was recorded; it may be left
//! out, and is judged offline only. A recorded script also holds, on one line of JSON, what the
//! process looked like at first, and below each operation how the kernel's map changed: `-` lines
//! went, `+` lines came. `guards` lines tell where the guard pages are in what the operation brings
//! in.

use std::fmt;
use std::str::FromStr;

use vmaple::{AddrRange, Errno, LayoutKind};

use crate::finding::Returned;
use crate::op::{CallName, Op};
use crate::recorded::Beginning;
use crate::words::{self, Word};

/// First word of every script.
pub const MARK: &str = "# vmaple script";

/// A mistake made on purpose, to see that it is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plant {
    /// The model's result is taken for another one.
    Result,
    /// The model leaves the operation out.
    Skip,
}

/// One operation of a sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The operation.
    pub op: Op,
    /// A mistake to be made with it. Not part of the text.
    pub plant: Option<Plant>,
}

impl From<Op> for Step {
    fn from(op: Op) -> Step {
        Step { op, plant: None }
    }
}

/// What the kernel said to a step when it was recorded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reply {
    /// What it returned.
    pub result: Option<i64>,
    /// Lines that left its map.
    pub gone: Vec<String>,
    /// Lines that came.
    pub come: Vec<String>,
    /// Guard pages in what the operation brings in, if it has to know of them.
    pub guards: Option<Vec<AddrRange>>,
}

/// A sequence of operations and the process they are made in.
#[derive(Clone, PartialEq, Debug)]
pub struct Script {
    /// Direction of placement.
    pub layout: LayoutKind,
    /// Mappings are made first until so many fewer than permitted are there.
    pub crowd: Option<usize>,
    /// What the kernel's side looked like at first; for judging without a kernel.
    pub(crate) beginning: Option<Beginning>,
    /// The operations.
    pub steps: Vec<Step>,
    /// What the kernel said, for each step.
    pub replies: Vec<Reply>,
}

/// A line that is none of a script.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ScriptError {
    /// From 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Script {
    /// A script without anything recorded.
    #[must_use]
    pub fn new(layout: LayoutKind, crowd: Option<usize>, steps: Vec<Step>) -> Script {
        let replies = vec![Reply::default(); steps.len()];
        Script {
            layout,
            crowd,
            beginning: None,
            steps,
            replies,
        }
    }

    /// Whether it can be judged without a kernel.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.beginning.is_some()
    }

    fn read_line(&mut self, line: &str) -> Result<(), String> {
        if let Some(layout) = line.strip_prefix("layout ") {
            self.layout = match layout.trim() {
                "top-down" => LayoutKind::TopDown,
                "bottom-up" => LayoutKind::BottomUp,
                other => return Err(format!("layout {other:?}: give top-down or bottom-up")),
            };
        } else if let Some(room) = line.strip_prefix("crowd ") {
            self.crowd = Some(words::parse_number(room.trim())? as usize);
        } else if let Some(json) = line.strip_prefix("beginning ") {
            self.beginning = Some(serde_json::from_str(json).map_err(|error| error.to_string())?);
        } else if let Some(gone) = line.strip_prefix("- ") {
            self.last_reply()?.gone.push(gone.to_owned());
        } else if let Some(come) = line.strip_prefix("+ ") {
            self.last_reply()?.come.push(come.to_owned());
        } else if let Some(guards) = line.strip_prefix("guards") {
            let ranges = guards.split_whitespace().map(parse_range);
            self.last_reply()?.guards = Some(ranges.collect::<Result<_, _>>()?);
        } else {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                return Ok(());
            }
            let (call, result) = match line.rsplit_once(" = ") {
                Some((call, result)) => (call, Some(parse_result(result.trim())?)),
                None => (line, None),
            };
            self.steps.push(Step::from(call.trim().parse::<Op>()?));
            self.replies.push(Reply {
                result,
                ..Reply::default()
            });
        }
        Ok(())
    }

    fn last_reply(&mut self) -> Result<&mut Reply, String> {
        let none = || "lines of a map go below an operation".to_owned();
        self.replies.last_mut().ok_or_else(none)
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Script, ScriptError> {
        let mut script = Script::new(LayoutKind::TopDown, None, Vec::new());
        for (index, line) in text.lines().enumerate() {
            script.read_line(line).map_err(|reason| ScriptError {
                line: index + 1,
                reason,
            })?;
        }
        Ok(script)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{MARK}")?;
        match self.layout {
            LayoutKind::TopDown => writeln!(f, "layout top-down")?,
            LayoutKind::BottomUp => writeln!(f, "layout bottom-up")?,
        }
        if let Some(room) = self.crowd {
            writeln!(f, "crowd {room}")?;
        }
        if let Some(beginning) = &self.beginning {
            let json = serde_json::to_string(beginning).map_err(|_| fmt::Error)?;
            writeln!(f, "beginning {json}")?;
        }
        for (step, reply) in self.steps.iter().zip(&self.replies) {
            match reply.result {
                Some(result) => writeln!(f, "{} = {}", step.op, Returned(result))?,
                None => writeln!(f, "{}", step.op)?,
            }
            if let Some(guards) = &reply.guards {
                f.write_str("guards")?;
                for range in guards {
                    write!(f, " {range}")?;
                }
                writeln!(f)?;
            }
            for line in &reply.gone {
                writeln!(f, "- {line}")?;
            }
            for line in &reply.come {
                writeln!(f, "+ {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.call.name())?;
        for (index, (arg, value)) in self.call.args().iter().zip(self.args).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", Word(*arg, value))?;
        }
        f.write_str(")")
    }
}

impl FromStr for Op {
    type Err = String;

    fn from_str(text: &str) -> Result<Op, String> {
        let parts = text.split_once('(');
        let (name, rest) =
            parts.ok_or_else(|| format!("{text:?} is no call: name(argument, …)"))?;
        let call = CallName::from_name(name.trim()).ok_or_else(|| {
            let names: Vec<_> = CallName::ALL.iter().map(|call| call.name()).collect();
            format!("no call {name:?}: there are {}", names.join(", "))
        })?;
        let list = rest
            .strip_suffix(')')
            .ok_or_else(|| format!("{text:?} has no closing bracket"))?;
        let list: Vec<&str> = match list.trim() {
            "" => Vec::new(),
            list => list.split(',').map(str::trim).collect(),
        };
        if list.len() != call.args().len() {
            let (has, wants) = (list.len(), call.args().len());
            return Err(format!("{name} takes {wants} arguments, not {has}"));
        }
        let mut args = [0; 6];
        for ((slot, arg), text) in args.iter_mut().zip(call.args()).zip(list) {
            *slot = words::parse(*arg, text)?;
        }
        Ok(Op { call, args })
    }
}

fn parse_range(text: &str) -> Result<AddrRange, String> {
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let ends = text.split_once('-');
    let ends = ends.and_then(|(start, end)| Some((hex(start)?, hex(end)?)));
    match ends {
        Some((start, end)) if start < end => Ok(AddrRange::new(start, end)),
        _ => Err(format!("{text:?} is no range such as 1000-3000")),
    }
}

fn parse_result(text: &str) -> Result<i64, String> {
    let negative = text.strip_prefix('-');
    let named = negative.and_then(|name| Errno::ALL.iter().find(|errno| errno.name() == name));
    match named {
        Some(errno) => Ok(-i64::from(errno.as_raw())),
        None => words::parse_number(text).map(u64::cast_signed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn a_script_written_by_hand_is_read() {
        let text = "# vmaple script\nlayout bottom-up\n\
            mmap(0x1000, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, anonymous, 0) = 0x1000 # two\n\
            mprotect(0x1000, 4096, PROT_NONE) = -EACCES\n";
        let script: Script = text.parse().unwrap();
        assert_eq!(script.layout, LayoutKind::BottomUp);
        assert_eq!(
            script.steps[0].op,
            Op::new(CallName::Mmap, &[0x1000, 8192, 3, 0x32, ANONYMOUS, 0])
        );
        assert_eq!(script.replies[1].result, Some(-13));
    }

    const ANONYMOUS: u64 = crate::op::ANONYMOUS;

    #[test]
    fn any_operation_survives_its_text() {
        let mut rng = Rng::new(5);
        for call in CallName::ALL {
            for _ in 0..200 {
                let mut args = [0; 6];
                for slot in args.iter_mut().take(call.args().len()) {
                    *slot = rng.next() << 8 >> rng.below(64);
                }
                let op = Op { call, args };
                assert_eq!(op.to_string().parse(), Ok(op), "{op}");
            }
        }
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, part) in [
            ("layout sideways", "top-down"),
            ("mmap(1)", "6 arguments"),
            ("nmap(1)", "munmap"),
            ("munmap(1, x)", "neither a number"),
            ("munmap(1, 2", "bracket"),
            ("+ 1000-2000", "below an operation"),
        ] {
            let error = format!("\n{text}").parse::<Script>().unwrap_err();
            assert_eq!(error.line, 2);
            assert!(error.reason.contains(part), "{error}");
        }
    }
}
