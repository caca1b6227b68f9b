//! The checkout as the rules see it: its packages and its Rust files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::metadata::Metadata;
use crate::source::Source;

/// Folders with Rust files of ours.
const FOLDERS: [&str; 3] = ["crates", "tests-build", "fuzz"];

/// Everything that a rule may look at.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Where generated things go.
    pub(crate) target: PathBuf,
    pub(crate) metadata: Metadata,
    pub(crate) sources: Vec<Source>,
}

impl Workspace {
    /// Reads the workspace that this program was built from.
    pub(crate) fn load() -> Result<Self, String> {
        let metadata = Metadata::of(Path::new(env!("CARGO_MANIFEST_DIR")))?;
        let (root, target) = (
            metadata.workspace_root.clone(),
            metadata.target_directory.clone(),
        );
        let mut files = Vec::new();
        for folder in FOLDERS {
            rust_files(&root.join(folder), &mut files);
        }
        files.sort();
        let sources = files
            .iter()
            .map(|file| Self::read(&root, file))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            root,
            target,
            metadata,
            sources,
        })
    }

    fn read(root: &Path, file: &Path) -> Result<Source, String> {
        let text = fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        Ok(Source::parse(&relative(root, file), &text))
    }

    /// A file of the workspace, if it is there.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }
}

/// `path` below `root`, with slashes.
pub(crate) fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// The line (from 1) of `text` that `wanted` picks first; 1 if none.
pub(crate) fn line_of(text: &str, wanted: impl Fn(&str) -> bool) -> usize {
    text.lines().position(wanted).map_or(1, |index| index + 1)
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                rust_files(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
