//! Compiles the programs; see the crate's head.

/// The compiler words its messages anew from release to release; they are compared on the one
/// they were taken from.
const MESSAGES_OF: &str = "rustc 1.95.";

#[test]
fn rules_are_enforced_by_the_compiler() {
    let version = std::process::Command::new("rustc")
        .arg("--version")
        .output();
    let version = version.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let cases = trybuild::TestCases::new();
    cases.pass("pass/*.rs");
    if version.is_ok_and(|version| version.starts_with(MESSAGES_OF)) {
        cases.compile_fail("fail/*.rs");
    } else {
        eprintln!("skipped: the messages are those of {MESSAGES_OF}x");
    }
}
