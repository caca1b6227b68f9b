//! A module is named for what it knows; `utils` knows nothing and attracts everything.

use super::each;
use crate::source::{Source, words};
use crate::violation::Violation;
use crate::workspace::Workspace;

pub(super) const NAME: &str = "modules";

const EMPTY_NAMES: [&str; 7] = [
    "util", "utils", "common", "helper", "helpers", "misc", "stuff",
];

pub(super) fn check(workspace: &Workspace, found: &mut Vec<Violation>) {
    each(workspace, found, judge);
}

fn judge(source: &Source, found: &mut Vec<Violation>) {
    let mut object = |line, name: &str| {
        let advice = format!("name the module for what it knows: {name} says nothing");
        found.push(Violation::error(&source.path, line, NAME, advice));
    };
    let parts = source
        .path
        .split('/')
        .map(|part| part.strip_suffix(".rs").unwrap_or(part));
    if let Some(name) = parts.into_iter().find(|part| EMPTY_NAMES.contains(part)) {
        object(1, name);
    }
    for (index, line) in source.lines.iter().enumerate() {
        let mut words = words(&line.code)
            .map(|(_, word)| word)
            .skip_while(|word| *word != "mod")
            .skip(1);
        if let Some(name) = words.next().filter(|name| EMPTY_NAMES.contains(name)) {
            object(index + 1, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NONE, lines};
    use super::*;

    #[test]
    fn files_folders_and_modules_are_found() {
        assert_eq!(lines(judge, "crates/a/src/utils.rs", "x"), [1]);
        assert_eq!(lines(judge, "crates/a/tests/common/mod.rs", "x"), [1]);
        assert_eq!(
            lines(
                judge,
                "crates/a/src/lib.rs",
                "x\npub(crate) mod helpers {\n"
            ),
            [2]
        );
    }

    #[test]
    fn telling_names_are_fine() {
        assert_eq!(
            lines(
                judge,
                "crates/a/src/gaps.rs",
                "mod walk;\n// mod utils;\nlet common = 1;\n"
            ),
            NONE
        );
    }
}
