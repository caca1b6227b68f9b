//! What the README tells people to type is what the checks run.
//!
//! Each `cargo` line of a block marked `sh` is a promise, and must stand in `.ci/run` as it is.
//! Blocks with another mark (`text`, `console`) show things and promise nothing.

use crate::violation::Violation;
use crate::workspace::Workspace;

pub(super) const NAME: &str = "readme";

const README: &str = "README.md";
const RUN: &str = ".ci/run";

pub(super) fn check(workspace: &Workspace, found: &mut Vec<Violation>) {
    let Some(readme) = workspace.text(README) else {
        found.push(Violation::error(
            README,
            1,
            NAME,
            "write it: what vmaple is, and how to run and test it",
        ));
        return;
    };
    let run = workspace.text(RUN).unwrap_or_default();
    for (line, command) in commands(&readme) {
        if !runs(&run, command) {
            found.push(Violation::error(
                README,
                line,
                NAME,
                format!("let {RUN} run it as it stands here: {command}"),
            ));
        }
    }
}

/// The promised commands with their lines, without prompt and trailing comment.
fn commands(readme: &str) -> Vec<(usize, &str)> {
    let mut commands = Vec::new();
    let mut is_promise = false;
    for (index, line) in readme.lines().enumerate() {
        if let Some(mark) = line.trim_start().strip_prefix("```") {
            is_promise = matches!(mark.trim(), "sh" | "bash");
            continue;
        }
        let line = line.trim().trim_start_matches("$ ");
        let command = line
            .split_once("  #")
            .map_or(line, |(command, _)| command)
            .trim_end();
        if is_promise && command.starts_with("cargo ") {
            commands.push((index + 1, command));
        }
    }
    commands
}

/// Whether a line of the script that is no comment has the command, and nothing grown onto it.
fn runs(script: &str, command: &str) -> bool {
    script
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .any(|line| {
            line.match_indices(command).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + command.len()..].chars().next();
                before.is_none_or(|c| c.is_whitespace() || c == '(')
                    && after.is_none_or(|c| c.is_whitespace() || c == ')')
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_the_cargo_lines_of_sh_blocks() {
        let readme = "cargo a\n```sh\n$ cargo b -- c   # why\nls\n```\n```text\ncargo d\n```\n";
        assert_eq!(commands(readme), [(3, "cargo b -- c")]);
    }

    #[test]
    fn a_command_that_does_not_run_is_found() {
        assert!(runs(
            "step \"tests\" cargo test --workspace\n",
            "cargo test --workspace"
        ));
        assert!(!runs(
            "# cargo test --workspace\n",
            "cargo test --workspace"
        ));
        assert!(!runs(
            "cargo test --workspace-only\n",
            "cargo test --workspace"
        ));
        assert!(!runs("", "cargo test"));
    }
}
