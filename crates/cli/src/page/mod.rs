//! The picture of a run: one HTML file that needs nothing else, no network either.
//!
//! `page.html` is the frame, `page.css` how it looks, `page.js` draws; this file puts them and the
//! run's data together.

use std::io;
use std::path::Path;

use serde::Serialize;
use vmaple_linux::history::{History, Kind};
use vmaple_linux::report::ProcessReport;

const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the script finds in the page.
#[derive(Debug, Serialize)]
struct Data<'a> {
    command: &'a [String],
    summary: String,
    /// Names of the colours.
    kinds: &'static [&'static str],
    #[serde(flatten)]
    history: &'a History,
}

/// Writes the page of a run to `path`.
///
/// # Errors
/// Those of the file.
pub(crate) fn write(
    path: &Path,
    command: &[String],
    total: &ProcessReport,
    history: &History,
) -> io::Result<()> {
    std::fs::write(path, page(command, total, history)?)
}

fn page(command: &[String], total: &ProcessReport, history: &History) -> io::Result<String> {
    let data = Data {
        command,
        summary: summary(total, history),
        kinds: &Kind::LABELS,
        history,
    };
    Ok(FRAME
        .replace("/*STYLE*/", STYLE)
        .replace("/*SCRIPT*/", SCRIPT)
        // Last: what the data holds is not looked at any more.
        .replacen("/*DATA*/", &embedded(&serde_json::to_string(&data)?), 1))
}

/// JSON that cannot end the element it stands in, whatever names the program mapped.
fn embedded(json: &str) -> String {
    json.replace('<', "\\u003c")
}

fn summary(total: &ProcessReport, history: &History) -> String {
    let mut text = format!(
        "{} memory calls, {} merges, {} splits, {} mappings at most; {} comparisons with the \
         kernel's map, {} differences.",
        total.calls,
        total.merges,
        total.splits,
        total.peak_vmas,
        total.comparisons,
        total.differences
    );
    if history.dropped() > 0 {
        let more = format!(
            " {} address spaces with fewer calls are left out.",
            history.dropped()
        );
        text.push_str(&more);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty_page(command: &str) -> String {
        let (total, history) = (ProcessReport::default(), History::new());
        page(&[command.to_owned()], &total, &history).unwrap()
    }

    #[test]
    fn the_page_is_whole_and_asks_for_nothing() {
        let page = empty_page("ls");
        for mark in ["/*STYLE*/", "/*SCRIPT*/", "/*DATA*/"] {
            assert!(!page.contains(mark), "{mark} was left");
        }
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        for request in [
            "http:", "https:", "src=", "href=", "@import", "url(", "fetch(",
        ] {
            assert!(!page.contains(request), "{request} would need the network");
        }
    }

    #[test]
    fn the_script_names_only_elements_that_are_there() {
        let mut nr_named = 0;
        for part in SCRIPT.split("$(\"").skip(1) {
            let id = part.split('"').next().unwrap_or_default();
            assert!(FRAME.contains(&format!("id=\"{id}\"")), "no element {id}");
            nr_named += 1;
        }
        assert!(nr_named > 10, "only {nr_named} names found");
    }

    #[test]
    fn names_cannot_break_out_of_the_data() {
        let page = empty_page("</script><script>alert(1)</script>/*DATA*/");
        assert_eq!(page.matches("</script>").count(), 2);
        let data = page.split("id=\"data\">").nth(1).unwrap();
        let json = data.split("</script>").next().unwrap();
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(
            value["command"][0],
            "</script><script>alert(1)</script>/*DATA*/"
        );
        assert_eq!(value["kinds"].as_array().unwrap().len(), 8);
    }
}
