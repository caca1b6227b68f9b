//! Every dependency can be used under licences from a list.

use crate::metadata::Package;
use crate::violation::Violation;
use crate::workspace::{Workspace, line_of};

pub(super) const NAME: &str = "licences";

const LOCK: &str = "Cargo.lock";

const ALLOWED: [&str; 11] = [
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unlicense",
];

pub(super) fn check(workspace: &Workspace, found: &mut Vec<Violation>) {
    let lock = workspace.text(LOCK).unwrap_or_default();
    for package in &workspace.metadata.packages {
        if let Some(advice) = objection(package) {
            let name = format!("name = \"{}\"", package.name);
            found.push(Violation::error(
                LOCK,
                line_of(&lock, |line| line == name),
                NAME,
                advice,
            ));
        }
    }
}

fn objection(package: &Package) -> Option<String> {
    let Package {
        name,
        version,
        license,
        ..
    } = package;
    match license {
        None => Some(format!(
            "do without {name} {version}: it declares no licence"
        )),
        Some(expression) if !is_allowed(expression) => Some(format!(
            "do without {name} {version}: its licence is {expression}"
        )),
        Some(_) => None,
    }
}

/// Whether the expression (SPDX; a slash as in old manifests means OR) can be met by the list.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words };
    parser.any_of() && parser.words.is_empty()
}

/// Recursive descent: `any_of` := `all_of` (OR `all_of`)*; `all_of` := one (AND one)*.
struct Parser<'a> {
    words: &'a [&'a str],
}

impl Parser<'_> {
    fn any_of(&mut self) -> bool {
        let mut allowed = self.all_of();
        while self.eat("OR") {
            allowed |= self.all_of();
        }
        allowed
    }

    fn all_of(&mut self) -> bool {
        let mut allowed = self.one();
        while self.eat("AND") {
            allowed &= self.one();
        }
        allowed
    }

    fn one(&mut self) -> bool {
        if self.eat("(") {
            let allowed = self.any_of();
            return self.eat(")") && allowed;
        }
        let Some((name, rest)) = self.words.split_first() else {
            return false;
        };
        self.words = rest;
        // An exception only ever grants more.
        if self.eat("WITH") {
            self.words = self.words.get(1..).unwrap_or_default();
        }
        ALLOWED.contains(name)
    }

    fn eat(&mut self, word: &str) -> bool {
        let is_next = self.words.first() == Some(&word);
        if is_next {
            self.words = &self.words[1..];
        }
        is_next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_expressions_are_allowed() {
        for expression in [
            "MIT",
            "MIT/Apache-2.0",
            "Unlicense OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
            "GPL-2.0 OR MIT",
        ] {
            assert!(is_allowed(expression), "{expression}");
        }
    }

    #[test]
    fn others_are_not() {
        for expression in [
            "GPL-2.0",
            "MIT AND GPL-2.0",
            "(MIT OR ISC) AND LGPL-2.1",
            "",
            "(MIT",
            "MIT )",
            "MPL-2.0",
        ] {
            assert!(!is_allowed(expression), "{expression}");
        }
    }

    #[test]
    fn no_licence_is_no_permission() {
        let package = Package {
            name: "a".to_owned(),
            ..Package::default()
        };
        assert!(objection(&package).is_some());
    }
}
