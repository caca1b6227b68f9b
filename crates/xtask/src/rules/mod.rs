//! The rules, one file each.

mod arrows;
mod dependencies;
mod file_length;
mod header;
mod licences;
mod modules;
mod no_std;
mod orderings;
mod readme;
mod safety;
mod unfinished;

use crate::source::Source;
use crate::violation::Violation;
use crate::workspace::Workspace;

/// A rule: its name in the output, what it asks for, and the judge.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) gist: &'static str,
    pub(crate) check: fn(&Workspace, &mut Vec<Violation>),
}

/// In the order of `cargo xtask help`.
pub(crate) const ALL: &[Rule] = &[
    Rule {
        name: arrows::NAME,
        gist: "dependencies between our crates point one way",
        check: arrows::check,
    },
    Rule {
        name: no_std::NAME,
        gist: "library crates link without std",
        check: no_std::check,
    },
    Rule {
        name: licences::NAME,
        gist: "dependencies have a licence from the list",
        check: licences::check,
    },
    Rule {
        name: dependencies::NAME,
        gist: "dependencies have a line in ARCHITECTURE.md",
        check: dependencies::check,
    },
    Rule {
        name: file_length::NAME,
        gist: "a file is one concept: at most 600 lines",
        check: file_length::check,
    },
    Rule {
        name: header::NAME,
        gist: "a file says in `//!` what it is for",
        check: header::check,
    },
    Rule {
        name: modules::NAME,
        gist: "a module is named for what it knows",
        check: modules::check,
    },
    Rule {
        name: safety::NAME,
        gist: "each use of unsafe has its proof above it",
        check: safety::check,
    },
    Rule {
        name: orderings::NAME,
        gist: "each memory ordering names its partner and witness",
        check: orderings::check,
    },
    Rule {
        name: unfinished::NAME,
        gist: "no marks of unfinished work, no test that does not run",
        check: unfinished::check,
    },
    Rule {
        name: readme::NAME,
        gist: "the README's commands run in .ci/run",
        check: readme::check,
    },
];

/// Applies a rule of single files to all of them.
fn each(
    workspace: &Workspace,
    found: &mut Vec<Violation>,
    judge: fn(&Source, &mut Vec<Violation>),
) {
    for source in &workspace.sources {
        judge(source, found);
    }
}

#[cfg(test)]
mod testing {
    //! How the rules' tests call them.

    use super::{Source, Violation};

    /// No objections.
    pub(super) const NONE: [usize; 0] = [];

    /// The lines at which `judge` objects to a file of this text.
    pub(super) fn lines(
        judge: fn(&Source, &mut Vec<Violation>),
        path: &str,
        text: &str,
    ) -> Vec<usize> {
        let mut found = Vec::new();
        judge(&Source::parse(path, text), &mut found);
        found.iter().map(|violation| violation.line).collect()
    }
}
