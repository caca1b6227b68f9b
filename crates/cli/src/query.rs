//! `vmaple query`: what is mapped at an address of a process.

use std::fmt::Write as _;
use std::process::ExitCode;

use nix::unistd::Pid;
use serde::Serialize;
use vmaple::QueryFlags;
use vmaple_linux::procfs::Error;
use vmaple_linux::procfs::maps::MapsFile;

use crate::args::Query;
use crate::maps::{JsonMapping, explain, publish};
use crate::output::{TROUBLE, fail};
use crate::size::human;

/// No mapping fits.
const NOTHING: u8 = 1;

#[derive(Debug, Serialize)]
struct Json {
    pid: i32,
    addr: u64,
    #[serde(flatten)]
    mapping: JsonMapping,
    /// The build id of the mapped file in hexadecimal.
    build_id: Option<String>,
}

pub(crate) fn query(args: &Query) -> ExitCode {
    match ask(args) {
        Ok(Some(found)) => publish(args.json.as_deref(), &found, &text(&found)),
        Ok(None) => {
            let which = if args.filters.flags().is_empty() {
                "nothing"
            } else {
                "nothing that fits"
            };
            let or_above = if args.next { " or above it" } else { "" };
            let message = format!(
                "{which} is mapped at {:x}{or_above} in process {}",
                args.addr, args.pid
            );
            fail(NOTHING, &message)
        }
        Err(error) => fail(TROUBLE, &explain(&error)),
    }
}

fn ask(args: &Query) -> Result<Option<Json>, Error> {
    let file = MapsFile::open(Pid::from_raw(args.pid))?;
    let mut flags = args.filters.flags();
    flags.set(QueryFlags::COVERING_OR_NEXT, args.next);
    let Some(mapping) = file.mapping_with(args.addr, flags)? else {
        return Ok(None);
    };
    let id = file.build_id_at(mapping.start)?;
    Ok(Some(Json {
        pid: args.pid,
        addr: args.addr,
        mapping: JsonMapping::new(&mapping),
        build_id: id.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect()),
    }))
}

fn text(found: &Json) -> String {
    let Json {
        addr,
        mapping,
        build_id,
        ..
    } = found;
    let mut out = String::new();
    let mut line = |label: &str, value: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{label:<12}{value}");
    };
    let size = human(mapping.len());
    let name = match mapping.name.as_str() {
        "" => "anonymous memory",
        name => name,
    };
    line(
        "mapping",
        format_args!("{:08x}-{:08x} ({size})", mapping.start, mapping.end),
    );
    line("name", format_args!("{name}"));
    line("permissions", format_args!("{}", mapping.perms));
    if let Some(within) = addr.checked_sub(mapping.start) {
        line(
            "address",
            format_args!("{addr:x}, {within:#x} after its start"),
        );
        if mapping.inode != 0 {
            line(
                "file offset",
                format_args!("{:#x}", mapping.offset + within),
            );
        }
    } else {
        let distance = mapping.start - addr;
        line(
            "address",
            format_args!("{addr:x}, {distance:#x} before its start"),
        );
    }
    if mapping.inode != 0 {
        line(
            "file",
            format_args!("inode {} on device {}", mapping.inode, mapping.device),
        );
    }
    if let Some(id) = build_id {
        line("build id", format_args!("{id}"));
    }
    if let Some(bytes) = mapping.page_size {
        line("pages of", format_args!("{}", human(bytes)));
    }
    out
}
