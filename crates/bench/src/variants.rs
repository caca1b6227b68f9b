//! The programs that measure: this one, this one built for the machine's own processor, and the C
//! peer in both builds. What is not there yet is built on demand, beside this program.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a program was compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// What the architecture guarantees.
    Default,
    /// The processor of this machine.
    Native,
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Native => "native",
        }
    }
}

/// Where the programs are; absent ones could not be built, or were not wanted.
#[derive(Debug)]
pub(crate) struct Programs {
    ours: PathBuf,
    ours_native: Option<PathBuf>,
    c_folder: Option<PathBuf>,
}

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
const C_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/c-peer/build.sh");

impl Programs {
    pub(crate) fn prepare(wants_c: bool, wants_native: bool) -> std::io::Result<Self> {
        let ours = std::env::current_exe()?;
        let release = ours.parent().unwrap_or(Path::new("."));
        let folder = release.parent().unwrap_or(release).to_owned();
        Ok(Self {
            ours_native: wants_native.then(|| build_native(&folder)).flatten(),
            c_folder: wants_c.then(|| build_c(&folder)).flatten(),
            ours,
        })
    }

    pub(crate) fn ours(&self, target: Target) -> Option<&Path> {
        match target {
            Target::Default => Some(&self.ours),
            Target::Native => self.ours_native.as_deref(),
        }
    }

    pub(crate) fn c(&self, target: Target) -> Option<PathBuf> {
        let name = match target {
            Target::Default => "c-peer",
            Target::Native => "c-peer-native",
        };
        self.c_folder.as_ref().map(|folder| folder.join(name))
    }
}

/// Runs a command to its end; says so if that fails.
fn succeeds(what: &str, command: &mut Command) -> bool {
    match command.status() {
        Ok(status) if status.success() => true,
        Ok(status) => {
            eprintln!("bench: {what} left out: its build ended with {status}");
            false
        }
        Err(error) => {
            eprintln!("bench: {what} left out: {error}");
            false
        }
    }
}

fn build_native(folder: &Path) -> Option<PathBuf> {
    let folder = folder.join("native");
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--release", "--manifest-path", MANIFEST])
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", "-C target-cpu=native");
    let program = folder.join("release").join("bench");
    succeeds("our native build", &mut command).then_some(program)
}

fn build_c(folder: &Path) -> Option<PathBuf> {
    let folder = folder.join("c-peer");
    let mut command = Command::new(C_SCRIPT);
    command.arg(&folder);
    succeeds("the C peer", &mut command).then_some(folder)
}
