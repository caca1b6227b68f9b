//! Timings. Printed by `cargo test --release -p vmaple-linux --test procfs_suite -- --nocapture
//! --test-threads 1 speed`; what must hold anywhere is asserted: that a question about much
//! memory does not cost as much as looking at all of it.

use std::hint::black_box;
use std::os::fd::AsRawFd;
use std::time::Instant;

use libc::{PROT_NONE, PROT_READ};
use nix::unistd::Pid;
use vmaple_linux::procfs::files::{FileTable, map_files_facts};
use vmaple_linux::procfs::maps::{MapsFile, MapsText};
use vmaple_linux::procfs::pagemap::AnonScan;
use vmaple_linux::procfs::smaps::{vm_flags, vm_flags_at};

use crate::area::{Area, MIB, PAGE};
use crate::child::Child;

const ROUNDS: usize = 11;

/// The median of several rounds, nanoseconds per call.
fn time(label: &str, calls: u32, mut call: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            start.elapsed().as_nanos() as f64 / f64::from(calls)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{label:<52} {:>12.0} ns", rounds[ROUNDS / 2]);
    rounds[ROUNDS / 2]
}

#[test]
fn speed_of_maps() {
    let area = Area::anonymous(2000 * PAGE, PROT_NONE);
    for page in (0..1000).step_by(2) {
        area.protect_part(page * PAGE, PAGE, PROT_READ);
    }
    let child = Child::fork(|| 0);
    let maps = MapsFile::open(child.pid).unwrap();
    let mut text = MapsText::new();
    maps.read(&mut text).unwrap();
    let lines = text.lines().count() as f64;
    println!("{lines} lines, {} bytes", text.as_bytes().len());
    let read = time("maps: read, descriptor kept", 10, || {
        maps.read(&mut text).unwrap();
    });
    let once = time("maps: open, read, close", 10, || {
        drop(MapsText::of(child.pid).unwrap());
    });
    let parse = time("maps: parse", 10, || {
        black_box(text.lines().map(|line| line.unwrap().len()).sum::<u64>());
    });
    println!(
        "per line: {:.0} kept, {:.0} opened, {:.1} parse",
        read / lines,
        once / lines,
        parse / lines
    );
    let walk = time("maps: the same by PROCMAP_QUERY", 5, || {
        let mut at = 0;
        while let Some(found) = maps.mapping_at_or_after(at).unwrap() {
            at = found.end;
        }
    });
    println!("per mapping: {:.0}", walk / lines);
    time("query: one mapping", 1000, || {
        black_box(maps.mapping_at(area.start()).unwrap());
    });
    let all = time("smaps: all", 2, || drop(vm_flags(child.pid).unwrap()));
    println!("per mapping: {:.0}", all / lines);
    let end = text.lines().next().unwrap().unwrap().end;
    let first = time("smaps: the first mapping only", 20, || {
        drop(vm_flags_at(child.pid, 0, end).unwrap());
    });
    assert!(first * 4.0 < all, "a single range reads the whole file");
}

#[test]
fn speed_of_pagemap() {
    let scan = AnonScan::open(Pid::this(), PAGE as u64).unwrap();
    let ask = |label: &str, area: &Area, calls| {
        time(label, calls, || {
            black_box(scan.holds_anon(area.start(), area.end()).unwrap());
        })
    };
    ask("pagemap: 4 KiB untouched", &Area::writable(PAGE), 1000);
    ask("pagemap: 1 MiB untouched", &Area::writable(MIB), 1000);
    ask(
        "pagemap: 128 MiB untouched",
        &Area::writable(128 * MIB),
        100,
    );
    ask(
        "pagemap: 1 GiB PROT_NONE",
        &Area::anonymous(1024 * MIB, PROT_NONE),
        100,
    );
    let written = Area::writable(MIB);
    written.write(0);
    ask("pagemap: hit at the first page", &written, 1000);
    let read = Area::anonymous(2 * MIB, PROT_READ);
    read.read_every_page();
    ask("pagemap: 2 MiB of zero pages", &read, 100);
    let last = Area::writable(128 * MIB);
    last.write(128 * MIB - PAGE);
    ask("pagemap: 128 MiB, hit at the last page", &last, 100);
    for len in [2 * MIB, 64 * MIB] {
        let file = crate::pages::tempfile();
        file.set_len(len as u64).unwrap();
        let area = Area::private_file(len, PROT_READ, &file);
        ask(
            &format!("pagemap: {} MiB of file, untouched", len / MIB),
            &area,
            100,
        );
        area.read_every_page();
        ask(
            &format!("pagemap: {} MiB of file, resident", len / MIB),
            &area,
            20,
        );
    }
    time("pagemap: open and close", 100, || {
        drop(AnonScan::open(Pid::this(), 4096).unwrap());
    });
}

#[test]
fn speed_of_files() {
    let file = crate::pages::tempfile();
    file.set_len(PAGE as u64).unwrap();
    let fd = file.as_raw_fd();
    let mut table = FileTable::new();
    let id = table.identify(Pid::this(), fd).unwrap().unwrap().id;
    time("files: identify a known description", 100, || {
        black_box(table.identify(Pid::this(), fd).unwrap());
    });
    let name = time("files: name now", 1000, || {
        black_box(table.name_now(id));
    });
    assert!(name < 1e6);
    let area = Area::private_file(PAGE, PROT_READ, &file);
    time("files: facts of a mapped file", 100, || {
        black_box(map_files_facts(Pid::this(), area.start(), area.end()).unwrap());
    });
}
