//! Runs the built command on programs, and compiles the C programs beside the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// One call of `vmaple` and what came of it.
pub(crate) struct Ran {
    pub(crate) output: Output,
    pub(crate) json: Value,
}

impl Ran {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    pub(crate) fn number(&self, field: &str) -> u64 {
        self.json[field]
            .as_u64()
            .unwrap_or_else(|| panic!("no number {field} in {:#}", self.json))
    }

    /// Nothing differed and nothing was read anew.
    #[track_caller]
    pub(crate) fn assert_equal(&self) {
        let found = (self.number("differences"), self.number("reseeds"));
        assert_eq!(found, (0, 0), "differences and re-seeds\n{}", self.stderr());
        assert!(
            self.number("comparisons") > 0,
            "nothing compared\n{}",
            self.stderr()
        );
    }
}

/// A scratch folder with a result file in it.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench {
            dir: TempDir::new().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `vmaple run OPTIONS… -- PROGRAM…`
    pub(crate) fn run(&self, options: &[&str], program: &[&str]) -> Ran {
        let mut command = vmaple();
        command
            .arg("run")
            .args(options)
            .arg("--json")
            .arg(self.path("result.json"));
        command.arg("--").args(program);
        self.finish(command)
    }

    /// `vmaple replay OPTIONS… TRACE`
    pub(crate) fn replay(&self, options: &[&str], trace: &Path) -> Ran {
        let mut command = vmaple();
        command
            .arg("replay")
            .args(options)
            .arg("--json")
            .arg(self.path("result.json"))
            .arg(trace);
        self.finish(command)
    }

    fn finish(&self, mut command: Command) -> Ran {
        let _ = std::fs::remove_file(self.path("result.json"));
        let output = command
            .current_dir(self.dir.path())
            .output()
            .expect("vmaple starts");
        let json = std::fs::read_to_string(self.path("result.json"))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or(Value::Null);
        Ran { output, json }
    }

    /// Compiles `tests/programs/NAME.c` and gives the program's path.
    pub(crate) fn compile(&self, name: &str) -> String {
        self.compile_with(name, &[])
    }

    /// The same with more options for the compiler.
    pub(crate) fn compile_with(&self, name: &str, options: &[&str]) -> String {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/programs")
            .join(format!("{name}.c"));
        let program = self.path(name);
        let status = Command::new("cc")
            .args(["-O1", "-g", "-pthread", "-D_GNU_SOURCE"])
            .args(options)
            .arg("-o")
            .arg(&program)
            .arg(&source)
            .status()
            .expect("cc, which Rust needs for linking too");
        assert!(status.success(), "cc {}", source.display());
        program.to_str().expect("a plain path").to_owned()
    }
}

/// The command under test.
pub(crate) fn vmaple() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vmaple"))
}

/// Whether `program` can be started here; says so where it cannot.
pub(crate) fn have(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}
