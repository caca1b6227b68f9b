//! `vmaple stress` as a user runs it, briefly: what it prints, writes and promises.

use crate::support::vmaple;
use serde_json::Value;

/// Runs with small figures; the output, after a success.
fn stress(arguments: &[&str]) -> String {
    let output = vmaple()
        .args(["stress", "--vmas", "50", "--seconds", "0.1"])
        .args(arguments)
        .output()
        .expect("vmaple starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_side_makes_calls_faults_and_reads() {
    let json: Value = serde_json::from_str(&stress(&["--json", "-"])).expect("JSON");
    let sides = json["sides"].as_array().expect("sides");
    let names: Vec<&str> = sides
        .iter()
        .filter_map(|side| side["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "vmaple, no reader",
            "vmaple, VMA locks",
            "vmaple, mmap_lock",
            "running kernel, no reader",
            "running kernel",
        ]
    );
    for side in sides {
        assert!(side["calls"]["count"].as_u64() > Some(0), "{side}");
        assert!(side["faults"]["count"].as_u64() > Some(0), "{side}");
        let has_readers = side["is_baseline"] == Value::Bool(false);
        assert_eq!(
            side["reads"]["count"].as_u64() > Some(0),
            has_readers,
            "{side}"
        );
        assert_eq!(side["violations"]["holes"], 0, "{side}");
        if side["locking"] != "kernel" {
            assert_eq!(side["violations"]["overlaps"], 0, "{side}");
        }
        let [p50, p99, max] = ["p50", "p99", "max"].map(|key| side["calls"][key].as_u64());
        assert!(p50 <= p99 && p99 <= max);
    }
}

#[test]
fn one_side_alone_and_its_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stress.html");
    let path = path.to_str().expect("a name");
    let arguments = ["--lock", "vma", "--no-baseline", "--calm", "--html", path];
    let table = stress(&arguments);
    assert!(table.contains("vmaple, VMA locks: 0 overlapping lines, 0 false holes"));
    assert!(!table.contains("running kernel"));
    let page = std::fs::read_to_string(path).expect("written");
    assert_eq!(
        page.matches("<polyline").count(),
        3,
        "calls, faults and reads"
    );
    assert!(
        page.ends_with("</html>\n") && !page.contains("http"),
        "needs nothing else"
    );
}

#[test]
fn what_is_wrong_is_refused() {
    for wrong in [
        &["--readers", "65"][..],
        &["--vmas", "0"],
        &["--seconds", "0"],
        &["--lock", "none"],
    ] {
        let output = vmaple().arg("stress").args(wrong).output().expect("starts");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    let output = vmaple()
        .args([
            "stress",
            "--lock",
            "vma",
            "--vmas",
            "4",
            "--seconds",
            "0.01",
            "--html",
            "/none/x",
        ])
        .output()
        .expect("starts");
    assert_eq!(output.status.code(), Some(125));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("cannot write /none/x"), "{said}");
}
