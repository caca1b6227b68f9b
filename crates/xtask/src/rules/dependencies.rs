//! Every dependency from outside has a line in ARCHITECTURE.md that says what it is for.

use crate::metadata::Package;
use crate::violation::Violation;
use crate::workspace::{Workspace, line_of, relative};

pub(super) const NAME: &str = "dependencies";

const REASONS: &str = "ARCHITECTURE.md";

pub(super) fn check(workspace: &Workspace, found: &mut Vec<Violation>) {
    let reasons = workspace.text(REASONS).unwrap_or_default();
    let members: Vec<&Package> = workspace.metadata.members().collect();
    for package in &members {
        let manifest = relative(&workspace.root, &package.manifest_path);
        let text = workspace.text(&manifest).unwrap_or_default();
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let is_ours = members.iter().any(|member| member.name == name);
            if !is_ours && !has_row(&reasons, name) {
                let line = line_of(&text, |line| line.trim_start().starts_with(name));
                let advice = format!("say in the table of {REASONS} what {name} is for");
                found.push(Violation::error(&manifest, line, NAME, advice));
            }
        }
    }
}

/// Whether a row of a table has the name in its first cell, alone or among others, and text in
/// its second.
fn has_row(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let is_named = cells
            .next()
            .is_some_and(|names| names.split(", ").any(|one| one == name));
        is_named && cells.next().is_some_and(|reason| !reason.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| crate | for |\n|---|---|\n| serde, serde_json | JSON |\n| nix | |\n";

    #[test]
    fn rows_may_name_several() {
        assert!(has_row(TABLE, "serde"));
        assert!(has_row(TABLE, "serde_json"));
    }

    #[test]
    fn a_dependency_without_reason_is_found() {
        assert!(!has_row(TABLE, "libc"));
        assert!(!has_row(TABLE, "nix"));
        assert!(!has_row("libc is fine", "libc"));
    }
}
