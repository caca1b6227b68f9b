//! A file is one concept: at most 600 lines, tests included.

use super::each;
use crate::source::Source;
use crate::violation::Violation;
use crate::workspace::Workspace;

pub(super) const NAME: &str = "file-length";

const LIMIT: usize = 600;

pub(super) fn check(workspace: &Workspace, found: &mut Vec<Violation>) {
    each(workspace, found, judge);
}

fn judge(source: &Source, found: &mut Vec<Violation>) {
    let len_lines = source.lines.len();
    if len_lines > LIMIT {
        let advice = format!("split {}: {len_lines} lines, at most {LIMIT}", source.path);
        found.push(Violation::error(&source.path, LIMIT + 1, NAME, advice));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NONE, lines};
    use super::*;

    #[test]
    fn the_line_too_many_is_found() {
        assert_eq!(lines(judge, "a.rs", &"x\n".repeat(LIMIT)), NONE);
        assert_eq!(lines(judge, "a.rs", &"x\n".repeat(LIMIT + 1)), [LIMIT + 1]);
    }
}
