//! The bugs that can be planted, as `crates/*/planted.txt` lists them.

use std::fs;
use std::path::{Path, PathBuf};

/// One bug of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plant {
    pub(crate) name: String,
    /// Where it comes from, in the list's own numbers; empty if the list does not say.
    pub(crate) from: Vec<String>,
    pub(crate) what: String,
    pub(crate) tests: Vec<Test>,
}

/// A test that is to catch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) package: String,
    /// A test binary, `lib`, or a test inside the library.
    pub(crate) name: String,
}

/// What runs a test's threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checker {
    Loom,
    Shuttle,
}

/// A list, and what its numbers mean.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) plants: Vec<Plant>,
    /// Numbers as they stand in the lines, and what is known by them.
    pub(crate) origins: Vec<(String, String)>,
}

impl Test {
    /// The model checker that runs it, if one does.
    pub(crate) fn checker(&self) -> Option<Checker> {
        match self.name.as_str() {
            "loom" => Some(Checker::Loom),
            "shuttle" => Some(Checker::Shuttle),
            name if name.starts_with("checks") => Some(Checker::Loom),
            _ => None,
        }
    }

    /// The program that must not compile, if that is what catches the bug.
    pub(crate) fn program(&self) -> Option<&str> {
        (self.package == TYPES).then_some(self.name.as_str())
    }
}

/// What stands for a package where types catch the bug.
const TYPES: &str = "types";

impl List {
    /// All lists of the workspace, one after the other.
    pub(crate) fn load(root: &Path) -> Result<Self, String> {
        let mut all = Self::default();
        for path in paths(root)? {
            let text = fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let package = package_beside(&path)?;
            let list = parse(&text, &package);
            all.plants.extend(list.plants);
            all.origins.extend(list.origins);
        }
        Ok(all)
    }

    /// What is known by a number of the lists.
    pub(crate) fn origin(&self, number: &str) -> Option<&str> {
        let (_, known_as) = self.origins.iter().find(|(known, _)| known == number)?;
        Some(known_as)
    }
}

fn paths(root: &Path) -> Result<Vec<PathBuf>, String> {
    let crates = root.join("crates");
    let entries =
        fs::read_dir(&crates).map_err(|error| format!("{}: {error}", crates.display()))?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path().join("planted.txt")))
        .filter(|path| path.exists())
        .collect();
    paths.sort();
    Ok(paths)
}

fn package_beside(list: &Path) -> Result<String, String> {
    let manifest = list.with_file_name("Cargo.toml");
    let text = fs::read_to_string(&manifest)
        .map_err(|error| format!("{}: {error}", manifest.display()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .ok_or_else(|| format!("{}: the package has no name", manifest.display()))
}

/// A list of the crate `package`. Its comments say whether lines have the column `from`, and what
/// the numbers in it mean (`# 45 = …`).
fn parse(text: &str, package: &str) -> List {
    let mut list = List::default();
    let mut has_from = false;
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.split_whitespace();
            has_from |= words.next() == Some("name") && words.next() == Some("from");
            if let Some((number, known_as)) = comment.split_once(" = ") {
                list.origins
                    .push((number.trim().to_owned(), known_as.trim().to_owned()));
            }
        } else if let Some(plant) = parse_line(line, has_from, package) {
            list.plants.push(plant);
        }
    }
    list
}

fn parse_line(line: &str, has_from: bool, package: &str) -> Option<Plant> {
    let (name, rest) = line.split_once(char::is_whitespace)?;
    let (from, rest) = if has_from {
        rest.trim_start().split_once(char::is_whitespace)?
    } else {
        ("", rest)
    };
    let (what, tests) = rest.trim().rsplit_once(char::is_whitespace)?;
    let tests = tests.split(',').map(|test| {
        let (package, name) = test.split_once('/').unwrap_or((package, test));
        Test {
            package: package.to_owned(),
            name: name.to_owned(),
        }
    });
    Some(Plant {
        name: name.to_owned(),
        from: from
            .split(',')
            .filter(|from| !from.is_empty())
            .map(str::to_owned)
            .collect(),
        what: what.trim().to_owned(),
        tests: tests.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Bugs.
# 45 = CVE-2025-38554
# name     from   what it is        tests
gone       45,own freed too early   loom,other/shuttle
wrong      1      not to be written types/no_such_thing
";

    #[test]
    fn a_line_is_name_origin_description_and_tests() {
        let list = parse(TEXT, "own-crate");
        let [gone, wrong] = &list.plants[..] else {
            panic!("two lines");
        };
        assert_eq!(
            (gone.name.as_str(), gone.what.as_str()),
            ("gone", "freed too early")
        );
        assert_eq!(gone.from, ["45", "own"]);
        assert_eq!(gone.tests[0].package, "own-crate");
        assert_eq!(gone.tests[0].checker(), Some(Checker::Loom));
        assert_eq!(gone.tests[1].package, "other");
        assert_eq!(gone.tests[1].checker(), Some(Checker::Shuttle));
        assert_eq!(wrong.tests[0].program(), Some("no_such_thing"));
        assert_eq!(list.origin("45"), Some("CVE-2025-38554"));
        assert_eq!(list.origin("own"), None);
    }

    #[test]
    fn a_list_need_not_say_where_bugs_come_from() {
        let list = parse("# name what tests\nleak  forgets it  oracle\n", "tree");
        assert_eq!(list.plants[0].what, "forgets it");
        assert_eq!(list.plants[0].from, [""; 0]);
        assert_eq!(list.plants[0].tests[0].checker(), None);
    }
}
