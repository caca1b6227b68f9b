//! `vmaple maps`: the mappings of a process as a table, or as JSON.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use nix::unistd::Pid;
use serde::Serialize;
use vmaple::{PageFigures, QueryFlags};
use vmaple_linux::procfs::Error;
use vmaple_linux::procfs::figures;
use vmaple_linux::procfs::maps::{MapsFile, MapsText};
use vmaple_linux::procfs::query::Mapping;

use crate::args::{Filters, Maps};
use crate::output::{TROUBLE, fail};
use crate::size::human;

impl Filters {
    /// As the kernel takes them.
    pub(crate) fn flags(self) -> QueryFlags {
        [
            (self.readable, QueryFlags::READABLE),
            (self.writable, QueryFlags::WRITABLE),
            (self.executable, QueryFlags::EXECUTABLE),
            (self.shared, QueryFlags::SHARED),
            (self.file, QueryFlags::FILE_BACKED),
        ]
        .into_iter()
        .filter_map(|(is_set, flag)| is_set.then_some(flag))
        .collect()
    }
}

/// One mapping in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct JsonMapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) perms: String,
    pub(crate) offset: u64,
    pub(crate) device: String,
    pub(crate) inode: u64,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) page_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vm_flags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) figures: Option<PageFigures>,
}

impl JsonMapping {
    pub(crate) fn new(mapping: &Mapping) -> JsonMapping {
        JsonMapping {
            start: mapping.start,
            end: mapping.end,
            perms: String::from_utf8_lossy(&mapping.perms).into_owned(),
            offset: mapping.offset,
            device: format!("{:02x}:{:02x}", mapping.major, mapping.minor),
            inode: mapping.inode,
            name: String::from_utf8_lossy(&mapping.name).into_owned(),
            page_size: mapping.page_size,
            vm_flags: None,
            figures: None,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }
}

#[derive(Debug, Serialize)]
struct Json<'a> {
    pid: i32,
    mappings: &'a [JsonMapping],
    bytes: u64,
}

pub(crate) fn maps(args: &Maps) -> ExitCode {
    let mappings = match mappings(args) {
        Ok(mappings) if mappings.is_empty() && args.filters.flags().is_empty() => {
            return fail(TROUBLE, &without_map(Pid::from_raw(args.pid)));
        }
        Ok(mappings) => mappings,
        Err(error) => return fail(TROUBLE, &explain(&error)),
    };
    let json = Json {
        pid: args.pid,
        bytes: mappings.iter().map(JsonMapping::len).sum(),
        mappings: &mappings,
    };
    let text = table(&mappings, args.smaps);
    publish(args.json.as_deref(), &json, &text)
}

/// Writes JSON where it is asked for, and the text unless the JSON took its place.
pub(crate) fn publish(json: Option<&Path>, value: &impl Serialize, text: &str) -> ExitCode {
    let mut to_text = true;
    if let Some(path) = json {
        to_text = path != Path::new("-");
        let written = serde_json::to_string_pretty(value)
            .map_err(io::Error::from)
            .and_then(|json| {
                if to_text {
                    std::fs::write(path, json + "\n")
                } else {
                    io::stdout().write_all((json + "\n").as_bytes())
                }
            });
        if let Err(error) = written {
            let message = format!("cannot write {}: {error}", path.display());
            return fail(TROUBLE, &message);
        }
    }
    if to_text
        && let Err(error) = io::stdout().write_all(text.as_bytes())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return fail(TROUBLE, &format!("cannot write the table: {error}"));
    }
    ExitCode::SUCCESS
}

fn without_map(pid: Pid) -> String {
    format!("process {pid} has no memory map (a kernel thread?)")
}

/// One line on why a process cannot be looked at.
pub(crate) fn explain(error: &Error) -> String {
    match error {
        Error::Gone { pid, .. } if Path::new(&format!("/proc/{pid}")).exists() => without_map(*pid),
        Error::Gone { pid, .. } => format!("no process {pid}, or it has ended"),
        other => other.to_string(),
    }
}

fn mappings(args: &Maps) -> Result<Vec<JsonMapping>, Error> {
    let pid = Pid::from_raw(args.pid);
    let filters = args.filters.flags();
    if args.smaps {
        let all = figures::figures(pid)?;
        let wanted = all.iter().filter(|one| one.mapping.passes(filters));
        let figured = wanted.map(|one| JsonMapping {
            vm_flags: Some(one.flags.clone()),
            figures: Some(one.figures),
            ..JsonMapping::new(&one.mapping)
        });
        return Ok(figured.collect());
    }
    let file = MapsFile::open(pid)?;
    let mut found = Vec::new();
    if filters.is_empty() {
        // For a whole map the text is three times as fast as questions, and says the same.
        let mut text = MapsText::new();
        file.read(&mut text)?;
        for line in text.lines() {
            found.push(JsonMapping::new(&line?.into()));
        }
        return Ok(found);
    }
    let flags = filters | QueryFlags::COVERING_OR_NEXT;
    let mut addr = 0;
    while let Some(mapping) = file.mapping_with(addr, flags)? {
        addr = mapping.end;
        found.push(JsonMapping::new(&mapping));
    }
    Ok(found)
}

/// Room for eight flags.
const FLAGS_WIDTH: usize = 23;

fn table(mappings: &[JsonMapping], smaps: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(out, "{:<33}{:>7}  perms", "addresses", "size");
    if smaps {
        let _ = write!(
            out,
            "{:>8}{:>8}{:>8}{:>8}",
            "present", "share", "dirty", "swap"
        );
    }
    let _ = writeln!(
        out,
        "{:>10}  {}",
        "offset",
        if smaps { "flags, name" } else { "name" }
    );
    let mut total = PageFigures::default();
    for mapping in mappings {
        let range = format!("{:08x}-{:08x}", mapping.start, mapping.end);
        let _ = write!(
            out,
            "{range:<33}{:>7}  {} ",
            human(mapping.len()),
            mapping.perms
        );
        if let Some(figures) = &mapping.figures {
            let dirty = figures.private_dirty + figures.shared_dirty;
            let _ = write!(
                out,
                "{}",
                columns([figures.rss, figures.pss, dirty, figures.swap])
            );
            total.rss += figures.rss;
            total.pss += figures.pss;
            total.private_dirty += dirty;
            total.swap += figures.swap;
        }
        let _ = write!(out, "{:>10x}", mapping.offset);
        if let Some(flags) = &mapping.vm_flags {
            let _ = write!(out, "  {flags:<FLAGS_WIDTH$}");
        }
        if !mapping.name.is_empty() {
            let _ = write!(out, "  {}", mapping.name);
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
    let bytes: u64 = mappings.iter().map(JsonMapping::len).sum();
    let count = format!("{} mappings", mappings.len());
    let _ = write!(out, "{count:<33}{:>7}", human(bytes));
    if smaps {
        let sums = [total.rss, total.pss, total.private_dirty, total.swap];
        let _ = write!(out, "       {}", columns(sums));
    }
    out.push('\n');
    out
}

fn columns(figures: [u64; 4]) -> String {
    figures.map(|bytes| format!("{:>8}", human(bytes))).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, len: u64) -> JsonMapping {
        JsonMapping {
            start,
            end: start + len,
            perms: "rw-p".to_owned(),
            offset: 0,
            device: "00:00".to_owned(),
            inode: 0,
            name: "[heap]".to_owned(),
            page_size: None,
            vm_flags: None,
            figures: None,
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_and_a_total() {
        let text = table(&[mapping(0x1000, 4096), mapping(0x4000, 8192)], false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].starts_with("00001000-00002000"), "{text}");
        assert!(
            lines[2].ends_with("[heap]") && lines[2].contains("8 K"),
            "{text}"
        );
        assert!(
            lines[3].starts_with("2 mappings") && lines[3].ends_with("12 K"),
            "{text}"
        );
    }

    #[test]
    fn figures_stand_below_their_titles() {
        let figured = JsonMapping {
            figures: Some(PageFigures {
                rss: 4096,
                ..PageFigures::default()
            }),
            vm_flags: Some("rd wr".to_owned()),
            ..mapping(0x1000, 4096)
        };
        let text = table(&[figured], true);
        let lines: Vec<&str> = text.lines().collect();
        let end_of = |line: &str, word: &str| line.find(word).map(|at| at + word.len());
        let column = end_of(lines[0], "present");
        assert_eq!(
            lines[1]
                .get(..column.unwrap())
                .map(|text| text.ends_with("4 K")),
            Some(true)
        );
        assert_eq!(
            lines[2]
                .get(..column.unwrap())
                .map(|text| text.ends_with("4 K")),
            Some(true)
        );
    }
}
