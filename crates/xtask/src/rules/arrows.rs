//! Dependencies between our crates point one way.
//!
//! ```text
//! cli → judge → linux → vmaple → locks → maple-tree → rcu → sync
//! ```
//! An arrow may skip crates, never turn back. The oracles (`model`) stand beside: tests of every
//! crate may use them.

use crate::metadata::{Dependency, Package};
use crate::violation::Violation;
use crate::workspace::{Workspace, line_of, relative};

pub(super) const NAME: &str = "arrows";

/// Our crates from the bottom up; each may use those before it.
const LAYERS: [&str; 8] = [
    "vmaple-sync",
    "vmaple-rcu",
    "maple-tree",
    "vmaple-locks",
    "vmaple",
    "vmaple-linux",
    "vmaple-judge",
    "vmaple-cli",
];

/// What the crates beside the layers may use.
const BESIDE: [(&str, &[&str]); 4] = [
    (
        "vmaple-model",
        &["vmaple-sync", "vmaple-rcu", "maple-tree", "vmaple"],
    ),
    (
        "vmaple-bench",
        &[
            "vmaple-sync",
            "vmaple-rcu",
            "maple-tree",
            "vmaple-locks",
            "vmaple",
            "vmaple-linux",
            "vmaple-model",
        ],
    ),
    (
        "vmaple-tests-build",
        &[
            "vmaple-sync",
            "vmaple-rcu",
            "maple-tree",
            "vmaple-locks",
            "vmaple",
        ],
    ),
    ("xtask", &[]),
];

/// What tests may use on top.
const FOR_TESTS: &str = "vmaple-model";

pub(super) fn check(workspace: &Workspace, found: &mut Vec<Violation>) {
    let members: Vec<&Package> = workspace.metadata.members().collect();
    let names: Vec<&str> = members
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    for package in members {
        let manifest = relative(&workspace.root, &package.manifest_path);
        let text = workspace.text(&manifest).unwrap_or_default();
        for fault in faults(package, &names) {
            let (line, advice) = match fault {
                Fault::Unlisted => (
                    1,
                    format!(
                        "give {} its place in crates/xtask/src/rules/arrows.rs",
                        package.name
                    ),
                ),
                Fault::Forbidden(name) => (
                    line_of(&text, |line| line.trim_start().starts_with(name)),
                    format!("do without {name}: {} may not depend on it", package.name),
                ),
            };
            found.push(Violation::error(&manifest, line, NAME, advice));
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Fault<'a> {
    Unlisted,
    Forbidden(&'a str),
}

fn faults<'a>(package: &'a Package, members: &[&str]) -> Vec<Fault<'a>> {
    let Some(allowed) = allowed(&package.name) else {
        return vec![Fault::Unlisted];
    };
    let ours = |dependency: &&Dependency| members.contains(&dependency.name.as_str());
    let forbidden = |dependency: &&Dependency| {
        let name = dependency.name.as_str();
        let for_tests = dependency.kind.as_deref() == Some("dev")
            && (name == FOR_TESTS || name == package.name);
        !for_tests && !allowed.contains(&name)
    };
    let dependencies = package.dependencies.iter().filter(ours).filter(forbidden);
    dependencies
        .map(|dependency| Fault::Forbidden(&dependency.name))
        .collect()
}

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    if let Some(layer) = LAYERS.iter().position(|layer| *layer == name) {
        return Some(&LAYERS[..layer]);
    }
    BESIDE
        .iter()
        .find(|(beside, _)| *beside == name)
        .map(|(_, allowed)| *allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
        };
        Package {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(dependency).collect(),
            ..Package::default()
        }
    }

    const MEMBERS: [&str; 4] = ["vmaple", "maple-tree", "vmaple-rcu", "vmaple-model"];

    #[test]
    fn arrows_down_are_fine_even_if_they_skip() {
        let down = package(
            "vmaple",
            &[
                ("maple-tree", None),
                ("vmaple-rcu", None),
                ("bitflags", None),
            ],
        );
        assert_eq!(faults(&down, &MEMBERS), vec![]);
    }

    #[test]
    fn an_arrow_up_is_found_in_every_kind() {
        for kind in [None, Some("dev"), Some("build")] {
            let up = package("maple-tree", &[("vmaple", kind)]);
            assert_eq!(faults(&up, &MEMBERS), [Fault::Forbidden("vmaple")]);
        }
    }

    #[test]
    fn oracles_are_for_tests_only() {
        let tests = package("maple-tree", &[("vmaple-model", Some("dev"))]);
        assert_eq!(faults(&tests, &MEMBERS), vec![]);
        let shipped = package("maple-tree", &[("vmaple-model", None)]);
        assert_eq!(
            faults(&shipped, &MEMBERS),
            [Fault::Forbidden("vmaple-model")]
        );
    }

    #[test]
    fn a_new_crate_must_be_listed() {
        assert_eq!(
            faults(&package("vmaple-new", &[]), &MEMBERS),
            [Fault::Unlisted]
        );
    }
}
