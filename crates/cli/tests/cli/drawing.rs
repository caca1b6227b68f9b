//! `--html`: the page holds the run, and a replay draws the same.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Bench, have, vmaple};

/// The data in a page.
fn data(path: &Path) -> Value {
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    let json = page.split("id=\"data\">").nth(1).unwrap();
    serde_json::from_str(json.split("</script>").next().unwrap()).unwrap()
}

fn sum(columns: &Value, field: &str) -> u64 {
    let columns = columns.as_array().unwrap().iter();
    columns.map(|column| column[field].as_u64().unwrap()).sum()
}

#[test]
fn the_page_holds_every_call_and_the_last_map() {
    let bench = Bench::new();
    let ran = bench.run(&["--html", "run.html"], &["true"]);
    ran.assert_equal();
    let data = data(&bench.path("run.html"));
    assert_eq!(data["command"], serde_json::json!(["true"]));
    let spaces = data["spaces"].as_array().unwrap();
    assert_eq!(spaces.len(), 1, "{spaces:?}");
    let space = &spaces[0];
    for field in ["calls", "merges", "splits"] {
        assert_eq!(sum(&space["columns"], field), ran.number(field), "{field}");
    }
    assert_eq!(
        space["log"].as_array().unwrap().len() as u64,
        ran.number("calls")
    );
    // What is there in the last state is the final map.
    let nr_states = space["columns"].as_array().unwrap().len() as u64 + 1;
    let rects = space["rects"].as_array().unwrap();
    let is_last = |rect: &&Value| rect[6].as_u64() == Some(nr_states);
    let process = &ran.json["per_process"][0];
    assert_eq!(
        rects.iter().filter(is_last).count() as u64,
        process["final_vmas"].as_u64().unwrap()
    );
    let names: Vec<&str> = data["names"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(names.contains(&"[stack]") && names.iter().any(|name| name.ends_with("/true")));
}

#[test]
fn no_two_mappings_of_one_state_overlap() {
    let bench = Bench::new();
    let ran = bench.run(&["--html", "run.html"], &["sh", "-c", "ls / | cat"]);
    ran.assert_equal();
    let data = data(&bench.path("run.html"));
    assert!(data["spaces"].as_array().unwrap().len() >= 3);
    for space in data["spaces"].as_array().unwrap() {
        let nr_states = space["columns"].as_array().unwrap().len() as u64 + 1;
        let rects = space["rects"].as_array().unwrap();
        for state in 0..nr_states {
            let number = |rect: &Value, index: usize| rect[index].as_u64().unwrap();
            let is_there = |rect: &&Value| number(rect, 5) <= state && state < number(rect, 6);
            let there = rects.iter().filter(is_there);
            let mut ranges: Vec<(u64, u64)> = there
                .map(|rect| (number(rect, 0), number(rect, 1)))
                .collect();
            ranges.sort_unstable();
            assert!(
                ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0),
                "state {state}: {ranges:x?}"
            );
            if let Some(column) = (state as usize).checked_sub(1) {
                assert_eq!(
                    ranges.len() as u64,
                    space["columns"][column]["vmas"].as_u64().unwrap()
                );
            }
        }
    }
}

#[test]
fn a_replay_draws_the_same() {
    let bench = Bench::new();
    let options = ["--html", "run.html", "--record", "trace.jsonl"];
    bench
        .run(&options, &["sh", "-c", "ls / | cat"])
        .assert_equal();
    let replayed = bench.replay(&["--html", "replay.html"], &bench.path("trace.jsonl"));
    assert!(replayed.output.status.success(), "{}", replayed.stderr());
    let (run, replay) = (
        data(&bench.path("run.html")),
        data(&bench.path("replay.html")),
    );
    for field in ["command", "names", "spaces", "kinds"] {
        assert_eq!(run[field], replay[field], "{field}");
    }
}

#[test]
fn a_page_that_cannot_be_written_is_said() {
    let output = vmaple()
        .args([
            "run",
            "--quiet",
            "--html",
            "/nowhere/run.html",
            "--",
            "true",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.starts_with("vmaple: cannot write /nowhere/run.html: "),
        "{told}"
    );
}

/// The script runs: the picture is drawn, and the tables are filled.
#[test]
fn a_browser_draws_it() {
    const BROWSERS: [&str; 3] = ["chromium-headless-shell", "chromium", "google-chrome"];
    let Some(browser) = BROWSERS.into_iter().find(|browser| have(browser)) else {
        return;
    };
    let bench = Bench::new();
    let ran = bench.run(&["--html", "run.html"], &["sh", "-c", "ls / | cat"]);
    ran.assert_equal();
    let page = bench.path("run.html");
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=5000",
        ])
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let drawn = dom
        .split("data-drawn=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let drawn: usize = drawn.and_then(|number| number.parse().ok()).unwrap_or(0);
    let data = data(&page);
    let rects = data["spaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|space| space["rects"].as_array().unwrap().len());
    assert!(
        rects.clone().any(|nr| nr == drawn),
        "{drawn} drawn of {:?}",
        rects.collect::<Vec<_>>()
    );
    assert!(
        dom.contains("<td class=\"code\">mmap</td>"),
        "no table of calls"
    );
    assert!(dom.contains("<li><i style=\"background: "), "no legend");
}
