//! Each memory ordering of code that ships says why it is enough.
//!
//! An acquire or release names its partner and, after `Witness:`, the test
//! that fails without it, or says that there is `no witness` and why. A relaxed access gives its
//! reason after the word `Relaxed`; one that does not is pointed at. Tests and benchmarks are
//! left alone.

use super::each;
use crate::source::{Source, words};
use crate::violation::Violation;
use crate::workspace::Workspace;

pub(super) const NAME: &str = "orderings";

/// The shim names orderings for others to choose; benchmarks are not shipped.
const EXEMPT: [&str; 2] = ["crates/sync/", "crates/bench/"];

pub(super) fn check(workspace: &Workspace, found: &mut Vec<Violation>) {
    each(workspace, found, judge);
}

fn judge(source: &Source, found: &mut Vec<Violation>) {
    if EXEMPT.iter().any(|folder| source.path.starts_with(folder)) {
        return;
    }
    for (index, line) in source.lines.iter().enumerate() {
        let relaxed_has_reason =
            || source.has_comment_near(index, |c| c.contains("Relaxed") || names_witness(c));
        let has_witness = || source.has_comment_near(index, names_witness);
        let violation = match strongest(&line.code) {
            Some("Relaxed") if !source.is_test(index) && !relaxed_has_reason() => {
                Violation::warning(
                    &source.path,
                    index + 1,
                    NAME,
                    "say in a comment above why Relaxed is enough",
                )
            }
            Some(ordering) if ordering != "Relaxed" && !source.is_test(index) && !has_witness() => {
                let advice = format!(
                    "say above what this {ordering} pairs with and name its test: `Witness: …`"
                );
                Violation::error(&source.path, index + 1, NAME, advice)
            }
            _ => continue,
        };
        found.push(violation);
    }
}

fn names_witness(comment: &str) -> bool {
    comment.contains("Witness:") || comment.contains("no witness")
}

/// The strongest atomic ordering that the line names, if any. Those of comparisons have other
/// names; imports order nothing.
fn strongest(code: &str) -> Option<&'static str> {
    const WEAKEST_FIRST: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
    let start = code.trim_start();
    if start.starts_with("use ") || start.starts_with("pub use ") {
        return None;
    }
    let ordering = |(at, word): (usize, &str)| {
        let qualified = code[..at].ends_with("::") && !code[..at].ends_with("Ordering::");
        if qualified {
            None
        } else {
            WEAKEST_FIRST.iter().position(|name| *name == word)
        }
    };
    words(code)
        .filter_map(ordering)
        .max()
        .map(|index| WEAKEST_FIRST[index])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NONE, lines};
    use super::*;
    use crate::violation::Severity;

    const SRC: &str = "crates/rcu/src/lib.rs";

    #[test]
    fn strong_orderings_need_a_witness() {
        assert_eq!(lines(judge, SRC, "x.load(Ordering::Acquire);\n"), [1]);
        assert_eq!(
            lines(judge, SRC, "// Acquire: pairs with f.\nx.load(Acquire);\n"),
            [2]
        );
        assert_eq!(
            lines(
                judge,
                SRC,
                "// Acquire: pairs with f. Witness: `g`.\nx.load(Acquire);\n"
            ),
            NONE
        );
    }

    #[test]
    fn relaxed_without_reason_is_pointed_at() {
        let mut found = Vec::new();
        judge(
            &Source::parse(SRC, "x.load(Ordering::Relaxed);\n"),
            &mut found,
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Warning);
        assert_eq!(
            lines(judge, SRC, "// Relaxed: a statistic.\nx.load(Relaxed);\n"),
            NONE
        );
    }

    #[test]
    fn imports_comparisons_tests_and_the_shim_are_left_alone() {
        assert_eq!(
            lines(judge, SRC, "use Ordering::{Acquire, Release};\n"),
            NONE
        );
        assert_eq!(
            lines(judge, SRC, "a.cmp(b) == Ordering::Less; State::Release;\n"),
            NONE
        );
        assert_eq!(
            lines(judge, "crates/rcu/tests/a.rs", "x.load(SeqCst);\n"),
            NONE
        );
        assert_eq!(
            lines(judge, "crates/sync/src/lib.rs", "x.load(SeqCst);\n"),
            NONE
        );
    }

    #[test]
    fn the_strongest_of_a_line_counts() {
        assert_eq!(
            strongest("x.compare_exchange(a, b, AcqRel, Relaxed)"),
            Some("AcqRel")
        );
    }
}
