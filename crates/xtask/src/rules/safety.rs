//! Each `unsafe` block and `unsafe impl` has a `SAFETY:` proof directly above it.

use super::each;
use crate::source::{Source, words};
use crate::violation::Violation;
use crate::workspace::Workspace;

pub(super) const NAME: &str = "safety";

pub(super) fn check(workspace: &Workspace, found: &mut Vec<Violation>) {
    each(workspace, found, judge);
}

fn judge(source: &Source, found: &mut Vec<Violation>) {
    for (index, line) in source.lines.iter().enumerate() {
        if !needs_proof(&line.code) {
            continue;
        }
        if !source.has_comment_near(index, |comment| comment.contains("SAFETY:")) {
            let advice = "prove above it, after `// SAFETY:`, why this is sound";
            found.push(Violation::error(&source.path, index + 1, NAME, advice));
        } else if source.has_comment_near(index, is_empty_proof) {
            found.push(Violation::error(
                &source.path,
                index + 1,
                NAME,
                "write the proof that `SAFETY:` announces",
            ));
        }
    }
}

/// `unsafe {` and `unsafe impl`; not `unsafe fn`, `unsafe extern` or `unsafe trait`, whose
/// conditions are their documentation.
fn needs_proof(code: &str) -> bool {
    words(code)
        .filter(|(_, word)| *word == "unsafe")
        .any(|(at, word)| {
            let rest = code[at + word.len()..].trim_start();
            rest.starts_with('{') || rest.starts_with("impl")
        })
}

fn is_empty_proof(comment: &str) -> bool {
    comment
        .split_once("SAFETY:")
        .is_some_and(|(_, proof)| matches!(proof.trim(), "Untriaged." | "ok" | "OK" | "safe."))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NONE, lines};
    use super::*;

    #[test]
    fn unsafe_without_proof_is_found() {
        assert_eq!(
            lines(judge, "a.rs", "fn f() {\n    unsafe { g() }\n}\n"),
            [2]
        );
        assert_eq!(lines(judge, "a.rs", "unsafe impl Send for A {}\n"), [1]);
        assert_eq!(
            lines(
                judge,
                "a.rs",
                "// SAFETY: for something else.\n\nunsafe impl Send for A {}\n"
            ),
            [3]
        );
        assert_eq!(
            lines(judge, "a.rs", "// SAFETY: Untriaged.\nunsafe { g() }\n"),
            [2]
        );
    }

    #[test]
    fn proofs_and_declarations_are_fine() {
        assert_eq!(
            lines(
                judge,
                "a.rs",
                "// SAFETY: g has no conditions.\nlet x =\n    unsafe { g() };\n"
            ),
            NONE
        );
        assert_eq!(
            lines(
                judge,
                "a.rs",
                "pub unsafe fn f();\nunsafe trait T {}\nunsafe extern \"C\" {}\n"
            ),
            NONE
        );
        assert_eq!(lines(judge, "a.rs", "f(\"unsafe {\"); // unsafe {\n"), NONE);
    }
}
