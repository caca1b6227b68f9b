//! No marks of unfinished work, no test that does not run.

use super::each;
use crate::source::{Source, words};
use crate::violation::Violation;
use crate::workspace::Workspace;

pub(super) const NAME: &str = "unfinished";

/// In pieces, lest this file break its own rule for a plain search.
const MARKS: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
];
const MACROS: [&str; 2] = [concat!("to", "do"), concat!("unimple", "mented")];
const SKIPPED_TEST: &str = concat!("#[", "ignore");

pub(super) fn check(workspace: &Workspace, found: &mut Vec<Violation>) {
    each(workspace, found, judge);
}

fn judge(source: &Source, found: &mut Vec<Violation>) {
    for (index, line) in source.lines.iter().enumerate() {
        let mut object =
            |advice: String| found.push(Violation::error(&source.path, index + 1, NAME, advice));
        if let Some(name) = MACROS.iter().find(|name| calls(&line.code, name)) {
            object(format!("finish what {name}! stands for"));
        }
        if let Some(mark) = MARKS
            .iter()
            .find(|mark| has_word(&line.comment, mark) || has_word(&line.code, mark))
        {
            object(format!(
                "do what {mark} asks for, or open an issue and remove it"
            ));
        }
        if line.code.contains(SKIPPED_TEST) {
            object("let the test run, or remove it".to_owned());
        }
    }
}

fn has_word(text: &str, wanted: &str) -> bool {
    words(text).any(|(_, word)| word == wanted)
}

fn calls(code: &str, name: &str) -> bool {
    words(code).any(|(at, word)| word == name && code[at + word.len()..].starts_with('!'))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NONE, lines};
    use super::*;

    #[test]
    fn every_mark_is_found() {
        for mark in MARKS {
            assert_eq!(
                lines(judge, "a.rs", &format!("x();\n// {mark}: later\n")),
                [2],
                "{mark}"
            );
        }
        for name in MACROS {
            assert_eq!(
                lines(judge, "a.rs", &format!("x();\n{name}!()\n")),
                [2],
                "{name}"
            );
        }
        assert_eq!(
            lines(
                judge,
                "a.rs",
                &format!("#[test]\n{SKIPPED_TEST}]\nfn f() {{}}\n")
            ),
            [2]
        );
    }

    #[test]
    fn texts_and_parts_of_words_are_fine() {
        let mark = MARKS[0];
        assert_eq!(
            lines(
                judge,
                "a.rs",
                &format!("f(\"{mark}\"); let {mark}S = 1; let ignored = 2;\n")
            ),
            NONE
        );
    }
}
