//! The library crates build and link where there is no operating system.
//!
//! `#![no_std]` alone proves little: a dependency can bring `std` back. So a static library is
//! generated that has its own panic handler and global allocator and links every library crate
//! without default features. Should `std` be among its crates, there are two panic handlers,
//! and the build fails.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use crate::source::Source;
use crate::violation::Violation;
use crate::workspace::Workspace;

pub(super) const NAME: &str = "no-std";

/// Package names with their folders.
const LIBRARIES: [(&str, &str); 5] = [
    ("vmaple-sync", "crates/sync"),
    ("vmaple-rcu", "crates/rcu"),
    ("maple-tree", "crates/maple-tree"),
    ("vmaple-locks", "crates/locks"),
    ("vmaple", "crates/vmaple"),
];

/// One program per library, so that the line names the culprit; all share a build folder.
pub(super) fn check(workspace: &Workspace, found: &mut Vec<Violation>) {
    let lock = workspace.text("Cargo.lock").unwrap_or_default();
    for (package, folder) in LIBRARIES {
        let root = format!("{folder}/src/lib.rs");
        let Some(source) = workspace.sources.iter().find(|source| source.path == root) else {
            found.push(Violation::error(
                &root,
                1,
                NAME,
                "create it: library crates have a lib.rs",
            ));
            continue;
        };
        if !declares_no_std(source) {
            found.push(Violation::error(&root, 1, NAME, "declare #![no_std]"));
        }
        let proof = workspace.target.join("no-std-proof").join(package);
        let build = workspace.target.join("no-std-proof/target");
        if let Err(reason) = prove(&proof, &build, package, &workspace.root.join(folder), &lock) {
            found.push(Violation::error(
                &root,
                1,
                NAME,
                format!("keep std out: {reason}"),
            ));
        }
    }
}

/// Unconditionally: `cfg_attr` would leave tests with another prelude than what ships.
fn declares_no_std(source: &Source) -> bool {
    source
        .lines
        .iter()
        .any(|line| line.code.trim() == "#![no_std]")
}

/// Generates the program in `folder` and builds it; the reason if that fails.
fn prove(
    folder: &Path,
    build: &Path,
    package: &str,
    library: &Path,
    lock: &str,
) -> Result<(), String> {
    generate(folder, package, library, lock)
        .map_err(|error| format!("cannot write the proof: {error}"))?;
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", build)
        .env_remove("RUSTFLAGS")
        .output()
        .map_err(|error| format!("cannot run cargo build: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(first_error(&String::from_utf8_lossy(&output.stderr)))
}

fn first_error(stderr: &str) -> String {
    let line = stderr
        .lines()
        .find(|line| line.starts_with("error"))
        .unwrap_or("the proof does not build");
    line.to_owned()
}

fn generate(folder: &Path, package: &str, library: &Path, lock: &str) -> std::io::Result<()> {
    fs::create_dir_all(folder.join("src"))?;
    let mut manifest = String::from(MANIFEST);
    writeln!(
        manifest,
        "{package} = {{ path = {:?}, default-features = false }}",
        library.display().to_string()
    )
    .map_err(std::io::Error::other)?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    // The same versions as ours; cargo leaves out what the proof does not use.
    if !lock.is_empty() {
        fs::write(folder.join("Cargo.lock"), lock)?;
    }
    fs::write(
        folder.join("src/lib.rs"),
        PROGRAM.replace("LIBRARY", &package.replace('-', "_")),
    )
}

const MANIFEST: &str = r#"[package]
name = "no-std-proof"
version = "0.0.0"
edition = "2024"

[lib]
crate-type = ["staticlib"]

[profile.dev]
panic = "abort"
debug = false

[workspace]

[dependencies]
"#;

const PROGRAM: &str = r#"//! Generated: links the library where nothing but core and alloc is.
#![no_std]
#![no_main]

extern crate alloc;
use LIBRARY as _;

use core::alloc::{GlobalAlloc, Layout};

struct Nothing;

unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NOTHING: Nothing = Nothing;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, text: &str) -> (std::path::PathBuf, Result<(), String>) {
        let folder = env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let library = folder.join("library");
        fs::create_dir_all(library.join("src")).unwrap();
        let manifest = "[package]\nname = \"some-library\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
        fs::write(library.join("Cargo.toml"), manifest).unwrap();
        fs::write(library.join("src/lib.rs"), text).unwrap();
        let result = prove(
            &folder.join("proof"),
            &folder.join("target"),
            "some-library",
            &library,
            "",
        );
        (folder, result)
    }

    #[test]
    fn a_library_without_std_links() {
        let (folder, result) = library(
            "core",
            "#![no_std]\nextern crate alloc;\npub use alloc::vec::Vec;\n",
        );
        fs::remove_dir_all(folder).unwrap();
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn std_that_creeps_in_is_found() {
        let (folder, result) = library(
            "std",
            "#![no_std]\nextern crate std;\npub use std::vec::Vec;\n",
        );
        fs::remove_dir_all(folder).unwrap();
        let reason = result.unwrap_err();
        assert!(reason.contains("E0152"), "{reason}");
    }

    #[test]
    fn the_attribute_must_be_unconditional() {
        let declares = |text| declares_no_std(&Source::parse("a.rs", text));
        assert!(declares("//! Head.\n#![no_std]\n"));
        assert!(!declares("#![cfg_attr(not(test), no_std)]\n"));
        assert!(!declares("// #![no_std]\n"));
    }
}
