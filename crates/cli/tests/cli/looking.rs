//! `vmaple maps` and `vmaple query` on real processes.

use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::support::vmaple;

/// A process that waits until it is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Sleeper {
        let mut command = Command::new("sleep");
        let child = command.arg("1000").stdout(Stdio::null()).spawn().unwrap();
        let sleeper = Sleeper(child);
        // It sleeps once it has executed sleep, and its map then stays as it is.
        loop {
            let wchan = std::fs::read_to_string(format!("/proc/{}/syscall", sleeper.pid()));
            if wchan.is_ok_and(|text| text.starts_with("230 ")) || !is_x86_64() {
                return sleeper;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn maps(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/maps", self.pid())).unwrap()
    }
}

fn is_x86_64() -> bool {
    cfg!(target_arch = "x86_64")
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(args: &[&str]) -> Output {
    vmaple().args(args).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The line of maps that the fields make.
fn line_of(mapping: &Value) -> String {
    let number = |field: &str| mapping[field].as_u64().unwrap();
    let text = |field: &str| mapping[field].as_str().unwrap().to_owned();
    let fields = format!(
        "{:08x}-{:08x} {} {:08x} {} {} ",
        number("start"),
        number("end"),
        text("perms"),
        number("offset"),
        text("device"),
        number("inode")
    );
    match text("name") {
        name if name.is_empty() => fields,
        name => format!("{fields:<73}{name}"),
    }
}

#[test]
fn maps_shows_each_mapping() {
    let sleeper = Sleeper::new();
    let output = run(&["maps", "--json", "-", &sleeper.pid()]);
    let all = json(&output);
    let lines: Vec<String> = all["mappings"]
        .as_array()
        .unwrap()
        .iter()
        .map(line_of)
        .collect();
    assert_eq!(lines, sleeper.maps().lines().collect::<Vec<_>>());
    let table = String::from_utf8(run(&["maps", &sleeper.pid()]).stdout).unwrap();
    assert_eq!(table.lines().count(), lines.len() + 2);
    assert!(
        table.contains("[stack]") && table.contains("mappings"),
        "{table}"
    );
}

#[test]
fn filters_leave_out_the_rest() {
    let sleeper = Sleeper::new();
    for (option, letter) in [
        ("--writable", 'w'),
        ("--executable", 'x'),
        ("--readable", 'r'),
    ] {
        for smaps in [false, true] {
            let mut args = vec!["maps", option, "--json", "-"];
            args.extend(smaps.then_some("--smaps"));
            let pid = sleeper.pid();
            args.push(&pid);
            let all = json(&run(&args));
            let lines: Vec<String> = all["mappings"]
                .as_array()
                .unwrap()
                .iter()
                .map(line_of)
                .collect();
            let text = sleeper.maps();
            let is_wanted = |line: &&str| {
                line.split(' ').nth(1).unwrap().contains(letter)
                    && (smaps || !line.ends_with("[vsyscall]"))
            };
            let wanted: Vec<&str> = text.lines().filter(is_wanted).collect();
            assert_eq!(lines, wanted, "{option}");
        }
    }
}

#[test]
fn smaps_adds_figures() {
    let sleeper = Sleeper::new();
    let all = json(&run(&["maps", "--smaps", "--json", "-", &sleeper.pid()]));
    let mappings = all["mappings"].as_array().unwrap();
    let stack = mappings
        .iter()
        .find(|one| one["name"] == "[stack]")
        .unwrap();
    assert!(stack["figures"]["rss"].as_u64().unwrap() >= 4096);
    assert!(stack["vm_flags"].as_str().unwrap().contains("gd"));
    let table = String::from_utf8(run(&["maps", "--smaps", &sleeper.pid()]).stdout).unwrap();
    assert!(
        table.contains("present") && table.contains("rd wr"),
        "{table}"
    );
}

#[test]
fn query_finds_covering_and_next() {
    let sleeper = Sleeper::new();
    let text = sleeper.maps();
    let code = text
        .lines()
        .find(|line| line.contains("r-xp") && line.contains("libc"))
        .unwrap();
    let start = code.split('-').next().unwrap();
    let inside = format!("0x{:x}", u64::from_str_radix(start, 16).unwrap() + 0x123);
    let output = run(&["query", "--json", "-", &sleeper.pid(), &inside]);
    assert_eq!(line_of(&json(&output)), code);
    let shown = String::from_utf8(run(&["query", &sleeper.pid(), &inside]).stdout).unwrap();
    assert!(
        shown.contains("0x123 after its start") && shown.contains("libc"),
        "{shown}"
    );

    let output = run(&["query", &sleeper.pid(), "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("nothing is mapped at 0 in process"),
        "{}",
        told(&output)
    );
    let output = run(&["query", "--next", "--json", "-", &sleeper.pid(), "0"]);
    assert_eq!(line_of(&json(&output)), text.lines().next().unwrap());
    let output = run(&[
        "query",
        "--next",
        "--writable",
        "--json",
        "-",
        &sleeper.pid(),
        "0",
    ]);
    let writable = text.lines().find(|line| line.contains(" rw-p ")).unwrap();
    assert_eq!(line_of(&json(&output)), writable);
}

#[test]
fn what_cannot_be_looked_at_is_said_in_one_line() {
    let gone = run(&["maps", "2147483646"]);
    assert_eq!(gone.status.code(), Some(125));
    assert_eq!(
        told(&gone),
        "vmaple: no process 2147483646, or it has ended\n"
    );
    let gone = run(&["query", "2147483646", "0"]);
    assert_eq!(gone.status.code(), Some(125));
    assert_eq!(told(&gone).lines().count(), 1);
    // Process 2 is the kernel's own where we see the whole machine.
    let status = std::fs::read_to_string("/proc/2/status").unwrap_or_default();
    if status.contains("Kthread:\t1") {
        for arguments in [&["maps", "2"][..], &["query", "2", "0"]] {
            let output = run(arguments);
            assert_eq!(output.status.code(), Some(125));
            let expected = "vmaple: process 2 has no memory map (a kernel thread?)\n";
            assert_eq!(told(&output), expected);
        }
    }
    for wrong in [
        &["maps", "self"][..],
        &["query", "1", "main"],
        &["query", "1"],
    ] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

/// A kernel thread has no map, and another user's process none that may be seen.
#[test]
fn kernel_threads_and_strangers() {
    let thread = std::fs::read_to_string("/proc/2/comm").unwrap_or_default();
    if thread == "kthreadd\n" {
        let output = run(&["maps", "2"]);
        assert_eq!(output.status.code(), Some(125));
        assert_eq!(told(&output).lines().count(), 1, "{}", told(&output));
    } else {
        eprintln!("skipped: process 2 is no kernel thread here");
    }
}

#[test]
fn a_full_pipe_end_is_no_error() {
    let sleeper = Sleeper::new();
    let mut child = vmaple()
        .args(["maps", &sleeper.pid()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

/// Only a privileged test can make a stranger.
#[test]
fn a_strangers_process_is_forbidden() {
    use std::os::unix::process::CommandExt;
    let sleeper = Sleeper::new();
    for args in [&["maps"][..], &["maps", "--smaps"], &["query"]] {
        let mut command = vmaple();
        command.args(args).arg(sleeper.pid());
        command.args((args == ["query"]).then_some("0"));
        match command.uid(65534).output() {
            Ok(output) => {
                assert_eq!(output.status.code(), Some(125));
                let told = told(&output);
                assert!(
                    told.contains("may not be read") && told.lines().count() == 1,
                    "{told}"
                );
            }
            Err(error) => eprintln!("skipped: cannot become another user: {error}"),
        }
    }
}
