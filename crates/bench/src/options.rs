//! The command line.

use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
usage: bench [OPTION…] [PART-OF-A-ROW'S-NAME…]

  --short          each row once at its small size, without the C peer and native builds
  --repeats N      measure each row N times and take medians (default 5)
  --up-to N        leave out rows with more than N ranges
  --no-c           leave out the C peer
  --no-native      leave out the builds for this machine's own processor
  --no-peers       leave out the other crates
  --json FILE      write every figure as JSON
  --markdown FILE  write the tables that are printed";

/// What to do.
#[derive(Debug)]
pub(crate) enum Options {
    Help,
    /// A measuring process: one row of one side.
    One {
        side: String,
        row: String,
        is_short: bool,
    },
    All(Plan),
}

/// What to measure, and where to write it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) is_short: bool,
    pub(crate) repeats: usize,
    pub(crate) up_to: usize,
    pub(crate) has_c: bool,
    pub(crate) has_native: bool,
    pub(crate) has_peers: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) markdown: Option<PathBuf>,
    /// The arguments as given.
    pub(crate) arguments: Vec<String>,
    wanted: Vec<String>,
}

impl Plan {
    /// Whether the caller asked for this row.
    pub(crate) fn wants(&self, row: &str) -> bool {
        let size = row.split_once('/').and_then(|(_, size)| size.parse().ok());
        if size.is_some_and(|size: usize| size > self.up_to) {
            return false;
        }
        self.wanted.is_empty() || self.wanted.iter().any(|part| row.contains(part.as_str()))
    }
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let all: Vec<String> = arguments.collect();
        if let [first, side, row, rest @ ..] = &all[..]
            && first == "--one"
        {
            return Ok(Self::One {
                side: side.clone(),
                row: row.clone(),
                is_short: rest.iter().any(|argument| argument == "--short"),
            });
        }
        let mut plan = Plan {
            repeats: 5,
            up_to: usize::MAX,
            has_c: true,
            has_native: true,
            has_peers: true,
            arguments: all.clone(),
            ..Plan::default()
        };
        let mut arguments = all.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--help" | "-h" => return Ok(Self::Help),
                "--short" => plan.is_short = true,
                "--no-c" => plan.has_c = false,
                "--no-native" => plan.has_native = false,
                "--no-peers" => plan.has_peers = false,
                "--json" => plan.json = Some(value()?.into()),
                "--markdown" => plan.markdown = Some(value()?.into()),
                "--repeats" => plan.repeats = count(&value()?)?,
                "--up-to" => plan.up_to = count(&value()?)?,
                unknown if unknown.starts_with('-') => {
                    return Err(format!("unknown option {unknown}"));
                }
                _ => plan.wanted.push(argument),
            }
        }
        if plan.is_short {
            plan.repeats = 1;
            plan.has_c = false;
            plan.has_native = false;
        }
        Ok(Self::All(plan))
    }
}

/// A number that is not 0.
fn count(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|count| *count > 0);
    number.ok_or(format!("{text} is no number above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_and_parts_of_names() {
        let Ok(Options::All(plan)) = parse("--repeats 3 load --no-c gap_") else {
            panic!("a plan");
        };
        assert_eq!(
            (plan.repeats, plan.has_c, plan.has_native),
            (3, false, true)
        );
        assert!(plan.wants("loaddep/100") && plan.wants("gap_fwd/1000") && !plan.wants("mix14"));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        assert!(parse("--repeats 0").is_err());
        assert!(parse("--json").is_err());
        assert!(parse("--up-to many").is_err());
        assert!(parse("--fast").is_err());
    }
}
