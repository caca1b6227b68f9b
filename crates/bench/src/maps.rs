//! The rows of the maps reader and of queries, beside the running kernel's own.
//!
//! The process maps N pages, every second of them read-only, so that none merge; the kernel's
//! side reads `/proc/self/maps` or asks PROCMAP_QUERY, ours does the same with an `Mm` that was
//! seeded with that very text and is checked to give it back to the byte.

use crate::meter::{Meter, Sample};
use memmap2::{Mmap, MmapMut};
use nix::unistd::Pid;
use std::fmt;
use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::sync::Arc;
use vmaple::{
    AddrRange, Backing, BrkArea, Device, FileAccess, FileId, FileKind, GateVma, MappedFile,
    MapsReader, Mm, MmConfig, Query, QueryFlags, SpecialMapping, VmFlags, Vma,
};
use vmaple_linux::procfs::maps::{MapsFile, MapsLine, MapsText};
use vmaple_model::random::SplitMix64;

const SIDES: [&str; 2] = ["vmaple", "kernel"];
const SIZES: [usize; 3] = [1000, 20_000, 60_000];
const PAGE: usize = 4096;
/// What a read of either side may give: the kernel gives no more at once.
const BUFFER: usize = 4096;

/// The rows, and who takes part in each.
pub(crate) fn rows(is_short: bool) -> Vec<(String, Vec<&'static str>)> {
    let sizes = if is_short { &SIZES[..1] } else { &SIZES };
    let mut rows = Vec::new();
    for kind in ["text", "query"] {
        for size in sizes {
            rows.push((format!("maps:{kind}/{size}"), SIDES.to_vec()));
        }
    }
    rows
}

/// Pages that the process keeps mapped.
#[derive(Default)]
struct Pages {
    _read_write: Vec<MmapMut>,
    _read_only: Vec<Mmap>,
}

fn map_pages(nr: usize) -> Option<Pages> {
    let mut pages = Pages::default();
    for index in 0..nr {
        let page = MmapMut::map_anon(PAGE).ok()?;
        if index % 2 == 0 {
            pages._read_write.push(page);
        } else {
            pages._read_only.push(page.make_read_only().ok()?);
        }
    }
    Some(pages)
}

/// A file of which nothing is known but its line.
#[derive(Debug)]
struct LineFile {
    device: Device,
    inode: u64,
    name: String,
}

impl MappedFile for LineFile {
    fn identity(&self) -> FileId {
        FileId(self.inode)
    }
    fn device(&self) -> Device {
        self.device
    }
    fn inode(&self) -> u64 {
        self.inode
    }
    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(&self.name)
    }
    fn access(&self) -> FileAccess {
        FileAccess::READ_ONLY
    }
    fn kind(&self) -> FileKind {
        FileKind::Regular
    }
}

fn vma_of(line: &MapsLine<'_>) -> Vma {
    let name = String::from_utf8_lossy(line.name).into_owned();
    let mut flags = VmFlags::empty();
    for (letter, flag) in line
        .perms
        .iter()
        .zip([VmFlags::READ, VmFlags::WRITE, VmFlags::EXEC])
    {
        flags.set(flag, *letter != b'-');
    }
    flags.set(VmFlags::MAYSHARE, line.perms[3] == b's');
    let range = AddrRange::new(line.start, line.end);
    let backing = if line.inode != 0 {
        let device = Device {
            major: line.major,
            minor: line.minor,
        };
        let inode = line.inode;
        Backing::File(Arc::new(LineFile {
            device,
            inode,
            name,
        }))
    } else if name.is_empty() {
        Backing::Anonymous
    } else {
        Backing::Special(SpecialMapping {
            name: name.into(),
            may_split: false,
        })
    };
    Vma::new(range, flags, line.offset / PAGE as u64, backing)
}

/// An address space that reads as this process's maps do.
fn mirror() -> Option<Mm> {
    let text = MapsText::of(Pid::this()).ok()?;
    let lines: Vec<MapsLine<'_>> = text.lines().collect::<Result<_, _>>().ok()?;
    let (gates, lines): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.start >> 63 == 1);
    let vmas = lines.into_iter().map(vma_of);
    let gate = gates.first().map(|_| GateVma::vsyscall());
    let mm = Mm::seed(MmConfig::x86_64(), BrkArea::default(), vmas, gate).ok()?;
    let mut ours = Vec::new();
    mm.append_maps(&mut ours);
    assert!(ours == text.as_bytes(), "the mirror reads otherwise");
    Some(mm)
}

/// Measures a row; None: there is no such row, or the kernel gives no such text.
pub(crate) fn run(side: &str, row: &str, is_short: bool) -> Option<Sample> {
    let (kind, size) = row.strip_prefix("maps:")?.split_once('/')?;
    let size: usize = size.parse().ok()?;
    let pages = map_pages(size)?;
    let ops = if is_short { 20_000 } else { 2_000_000 };
    let sample = match (kind, side) {
        ("text", "vmaple") => our_text(row, &mirror()?, ops),
        ("text", "kernel") => kernel_text(row, ops)?,
        ("query", "vmaple") => our_query(row, &mirror()?, ops),
        ("query", "kernel") => kernel_query(row, &mirror()?, ops)?,
        _ => return None,
    };
    drop(pages);
    Some(sample)
}

fn lines_in(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn our_text(row: &str, mm: &Mm, ops: u64) -> Sample {
    let mut whole = Vec::new();
    mm.append_maps(&mut whole);
    let lines = lines_in(&whole);
    let passes = ops.div_ceil(lines);
    let mut buffer = [0; BUFFER];
    let mut meter = Meter::new();
    meter.run(|| {
        for _ in 0..passes {
            let mut reader = MapsReader::new();
            while let Ok(1..) = reader.read(&mut mm.vma_source(), black_box(&mut buffer)) {}
            assert_eq!(reader.offset(), whole.len() as u64);
        }
    });
    meter.sample(row, passes * lines, 0, String::new())
}

fn kernel_text(row: &str, ops: u64) -> Option<Sample> {
    let lines = lines_in(MapsText::of(Pid::this()).ok()?.as_bytes());
    let passes = ops.div_ceil(lines).div_ceil(4);
    let mut buffer = [0; BUFFER];
    let mut meter = Meter::new();
    meter.run(|| -> Option<()> {
        for _ in 0..passes {
            let mut file = File::open("/proc/self/maps").ok()?;
            while file.read(black_box(&mut buffer)).ok()? > 0 {}
        }
        Some(())
    })?;
    Some(meter.sample(row, passes * lines, 0, String::new()))
}

/// Random addresses inside random mappings.
fn addresses(mm: &Mm) -> Vec<u64> {
    let ranges: Vec<AddrRange> = mm.iter().map(Vma::range).collect();
    let mut random = SplitMix64::new(9);
    let mut any = || {
        let range = ranges[random.bounded(ranges.len() as u64) as usize];
        range.start + random.bounded(range.len())
    };
    (0..1 << 16).map(|_| any()).collect()
}

const FLAGS: QueryFlags = QueryFlags::COVERING_OR_NEXT;

fn our_query(row: &str, mm: &Mm, ops: u64) -> Sample {
    let addresses = addresses(mm);
    let mut meter = Meter::new();
    let mut nr_found = 0;
    meter.run(|| {
        for addr in addresses.iter().cycle().take(ops as usize) {
            let mut query = Query {
                addr: *addr,
                flags: FLAGS,
                ..Query::default()
            };
            let found = mm.query(&mut query);
            nr_found += u64::from(found.is_ok_and(|found| found.range.contains(*addr)));
        }
    });
    assert_eq!(nr_found, ops, "each address is mapped");
    meter.sample(row, ops, 0, String::new())
}

fn kernel_query(row: &str, mm: &Mm, ops: u64) -> Option<Sample> {
    let addresses = addresses(mm);
    let maps = MapsFile::open(Pid::this()).ok()?;
    let ops = ops / 4;
    let mut meter = Meter::new();
    let mut nr_found = 0;
    meter.run(|| {
        for addr in addresses.iter().cycle().take(ops as usize) {
            let found = maps.range_with(*addr, FLAGS).ok().flatten();
            nr_found += u64::from(found.is_some_and(|found| found.contains(*addr)));
        }
    });
    // What was mapped when the mirror was seeded may be gone by now, but hardly any of it.
    assert!(
        nr_found > ops / 100 * 99,
        "{nr_found} of {ops} addresses found"
    );
    Some(meter.sample(row, ops, 0, String::new()))
}
