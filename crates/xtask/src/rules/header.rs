//! Every file says in its first lines, as `//!`, what it is for.

use super::each;
use crate::source::Source;
use crate::violation::Violation;
use crate::workspace::Workspace;

pub(super) const NAME: &str = "header";

/// Attributes may come before; more than this is not "first".
const FIRST_LINES: usize = 12;

pub(super) fn check(workspace: &Workspace, found: &mut Vec<Violation>) {
    each(workspace, found, judge);
}

fn judge(source: &Source, found: &mut Vec<Violation>) {
    let header = source
        .lines
        .iter()
        .take(FIRST_LINES)
        .position(|line| line.comment.starts_with("//!"));
    let (line, advice) = match header {
        None => (1, "say in a `//!` header what this file is for"),
        Some(index) if source.lines[index].comment.contains("Placeholder") => (
            index + 1,
            "say what this file is for, in place of the placeholder",
        ),
        Some(_) => return,
    };
    found.push(Violation::error(&source.path, line, NAME, advice));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NONE, lines};
    use super::*;

    #[test]
    fn a_file_without_header_is_found() {
        assert_eq!(lines(judge, "a.rs", "#![no_std]\n//! For this.\n"), NONE);
        assert_eq!(lines(judge, "a.rs", "// not a header\nfn f() {}\n"), [1]);
        assert_eq!(
            lines(
                judge,
                "a.rs",
                &format!("{}//! Too late.\n", "x();\n".repeat(FIRST_LINES))
            ),
            [1]
        );
        assert_eq!(lines(judge, "a.rs", ""), [1]);
    }

    #[test]
    fn a_placeholder_is_no_header() {
        assert_eq!(lines(judge, "a.rs", "\n//! Placeholder header.\n"), [2]);
    }
}
