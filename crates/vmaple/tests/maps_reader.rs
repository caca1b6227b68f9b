//! Reading maps piece by piece: any buffer, any offset, several readers, and an address space
//! that changes between two reads.

use std::fmt;
use std::sync::Arc;
use vmaple::locks::{Cancel, Held};
use vmaple::{
    AddrRange, Backing, BrkArea, Device, FileAccess, FileId, FileKind, GateVma, MappedFile,
    MapsFormat, MapsPosition, MapsReader, Mm, MmConfig, MmapArgs, NoFigures, Query, ReadError,
    SharedMm, ShmemHuge, SmapsFormat, SmapsRules, ThpEnabled, VmFlags, Vma, VmaSource,
};

/// A file with a name of this length and a newline in it.
#[derive(Debug)]
struct Named(usize);

impl MappedFile for Named {
    fn identity(&self) -> FileId {
        FileId(self.0 as u64)
    }
    fn device(&self) -> Device {
        Device { major: 8, minor: 1 }
    }
    fn inode(&self) -> u64 {
        77
    }
    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "/{:x>1$}\\012", "", self.0)
    }
    fn write_path(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "/{:x>1$}", "", self.0)
    }
    fn access(&self) -> FileAccess {
        FileAccess::READ_ONLY
    }
    fn kind(&self) -> FileKind {
        FileKind::Regular
    }
}

struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

const BASE: u64 = 0x1000_0000;
const PAGE: u64 = 4096;

/// Mappings with and without names, some of them long, and a gate.
fn some_map() -> Mm {
    some_map_with(BrkArea::default())
}

fn some_map_with(areas: BrkArea) -> Mm {
    let gate = Some(GateVma::vsyscall());
    let mut config = MmConfig::x86_64();
    config.features.anon_vma_name = true;
    let mut mm = Mm::seed(config, areas, [], gate).unwrap();
    for slot in 0..40 {
        let addr = BASE + slot * 4 * PAGE;
        let args = match slot % 4 {
            0 => MmapArgs::file(
                addr,
                2 * PAGE,
                1,
                0x12,
                Arc::new(Named(slot as usize * 50)),
                0,
            ),
            1 => MmapArgs::anonymous(addr, 4 * PAGE, 1, 0x32),
            _ => MmapArgs::anonymous(addr, PAGE, 3, 0x32),
        };
        assert_eq!(mm.mmap(&args), Ok(addr));
    }
    mm
}

fn whole(mm: &Mm) -> Vec<u8> {
    let mut text = Vec::new();
    mm.append_maps(&mut text);
    text
}

#[test]
fn any_buffer_size_gives_the_same_text() {
    let mm = some_map();
    let text = whole(&mm);
    for size in (1..200).chain([511, 512, 513, 4096, text.len(), text.len() + 1]) {
        let mut reader = MapsReader::new();
        let mut read = Vec::new();
        let mut buf = vec![0; size];
        loop {
            // A new source each time: nothing but the reader remembers.
            let count = reader.read(&mut mm.vma_source(), &mut buf).unwrap();
            read.extend_from_slice(&buf[..count]);
            assert_eq!(reader.offset(), read.len() as u64);
            if count == 0 {
                break;
            }
            assert!(
                count == size || read.len() == text.len(),
                "a short read in the middle"
            );
        }
        assert!(read == text, "buffers of {size} bytes");
        assert_eq!(reader.position(), MapsPosition::End);
    }
}

/// Most lines of a shared address space are told without a lock, the others under one: both are
/// those of its single owner.
#[test]
fn a_shared_space_reads_the_same() {
    let heap = BASE + 2 * 4 * PAGE;
    let mut mm = some_map_with(BrkArea {
        start_brk: heap,
        brk: heap + 1,
        start_stack: BASE + 7 * 4 * PAGE + 8,
        ..BrkArea::default()
    });
    for slot in [5, 6] {
        let addr = BASE + slot * 4 * PAGE;
        assert_eq!(mm.prctl_set_vma_name(addr, PAGE, Some(b"arena")), Ok(()));
    }
    let text = whole(&mm);
    let part = |part: &str| String::from_utf8_lossy(&text).matches(part).count();
    assert_eq!(["[heap]", "[stack]", "[anon:arena]"].map(part), [1, 1, 2]);
    let space = SharedMm::new(mm);
    let (mut held, cancel) = (Held::nothing(), Cancel::new());
    for size in [1, 37, 4096, 100_000] {
        let (mut read, mut buf, mut reader) = (Vec::new(), vec![0; size], MapsReader::new());
        loop {
            let mut source = space.vma_source(&mut held, &cancel);
            match reader.read(&mut source, &mut buf).expect("never cancelled") {
                0 => break,
                len => read.extend_from_slice(&buf[..len]),
            }
        }
        assert!(read == text, "buffer of {size}");
    }
}

#[test]
fn any_offset_gives_that_part() {
    let mm = some_map();
    let text = whole(&mm);
    let mut rng = Rng(1);
    let mut readers = [(); 3].map(|()| MapsReader::new());
    for _ in 0..3000 {
        let offset = rng.below(text.len() as u64 + 10);
        let mut buf = vec![0; rng.below(700) as usize];
        let reader = &mut readers[rng.below(3) as usize];
        let count = reader
            .read_at(&mut mm.vma_source(), &mut buf, offset)
            .unwrap();
        let rest = text.get(offset as usize..).unwrap_or_default();
        assert_eq!(count, rest.len().min(buf.len()));
        assert_eq!(buf[..count], rest[..count]);
    }
}

#[test]
fn smaps_reads_piece_by_piece_too() {
    let mm = some_map();
    let rules = SmapsRules::of(&mm, ThpEnabled::Always, ShmemHuge::default());
    let mut text = String::new();
    mm.write_smaps(rules, &mut NoFigures, &mut text).unwrap();
    let mut reader = MapsReader::with_format(SmapsFormat::new(rules, NoFigures));
    let mut read = Vec::new();
    let mut buf = [0; 37];
    loop {
        match reader.read(&mut mm.vma_source(), &mut buf).unwrap() {
            0 => break,
            count => read.extend_from_slice(&buf[..count]),
        }
    }
    assert_eq!(String::from_utf8(read).unwrap(), text);
}

#[test]
fn readers_resume_at_an_address() {
    let mm = some_map();
    let middle = BASE + 80 * PAGE;
    let mut reader = MapsReader::starting_at(MapsFormat, MapsPosition::Address(middle));
    let mut buf = vec![0; 1 << 16];
    let count = reader.read(&mut mm.vma_source(), &mut buf).unwrap();
    let text = whole(&mm);
    assert!(text.ends_with(&buf[..count]));
    assert!(buf.starts_with(format!("{middle:08x}-").as_bytes()));
    let mut gate = MapsReader::starting_at(MapsFormat, MapsPosition::Gate);
    let count = gate.read(&mut mm.vma_source(), &mut buf).unwrap();
    assert!(buf[..count].ends_with(b"[vsyscall]\n") && buf.starts_with(b"ffffffffff600000-"));
}

/// Start and end of a line.
fn range_of(line: &str) -> AddrRange {
    let (start, rest) = line.split_once('-').unwrap();
    let end = rest.split_once(' ').unwrap().0;
    let hex = |text| u64::from_str_radix(text, 16).unwrap();
    AddrRange::new(hex(start), hex(end))
}

/// Splits, merges and holes around the place that a reader has come to: lines never overlap and
/// never go backwards, and what is mapped all the time is never missing.
#[test]
fn lines_stay_in_order_while_the_map_changes() {
    let mut rng = Rng(5);
    let mut nr_clipped = 0;
    for _ in 0..400 {
        let mut mm = Mm::new(MmConfig::x86_64());
        let len = 64 * PAGE;
        mm.mmap(&MmapArgs::anonymous(BASE, len, 3, 0x32)).unwrap();
        let mut reader = MapsReader::new();
        let mut text = Vec::new();
        loop {
            for _ in 0..rng.below(6) {
                let at = BASE + rng.below(64) * PAGE;
                let most = (BASE + len - at) / PAGE;
                let pages = 1 + rng.below(most);
                mm.mprotect(at, pages * PAGE, 1 | (rng.below(2) << 1))
                    .unwrap();
            }
            let mut buf = vec![0; 1 + rng.below(60) as usize];
            let count = reader.read(&mut mm.vma_source(), &mut buf).unwrap();
            text.extend_from_slice(&buf[..count]);
            if count == 0 {
                break;
            }
        }
        let text = String::from_utf8(text).unwrap();
        let mut end = BASE;
        for line in text.lines() {
            let range = range_of(line);
            assert_eq!(range.start, end, "overlap or hole: {text}");
            end = range.end;
            nr_clipped += u32::from(
                mm.vma_at(range.start)
                    .is_some_and(|vma| vma.start != range.start),
            );
        }
        assert_eq!(end, BASE + len, "an end is missing: {text}");
    }
    assert!(
        nr_clipped > 100,
        "only {nr_clipped} lines were affected by changes"
    );
}

#[test]
fn the_part_of_a_mapping_has_its_own_offset() {
    let file = Backing::File(Arc::new(Named(3)));
    let vma = Vma::new(AddrRange::new(0x4000, 0x8000), VmFlags::READ, 10, file);
    let mm = Mm::seed(MmConfig::x86_64(), BrkArea::default(), [vma], None).unwrap();
    let entry = mm.maps().next().unwrap();
    let part = entry.from_addr(0x6000).to_string();
    assert!(
        part.starts_with("00006000-00008000 r--p 0000c000 08:01 77 "),
        "{part}"
    );
    assert_eq!(entry.from_addr(0x4000).to_string(), entry.to_string());
    assert_eq!(entry.from_addr(0x8000).to_string(), entry.to_string());
}

#[test]
fn a_query_gives_newlines_as_they_are() {
    let vma = Vma::new(
        AddrRange::new(0x4000, 0x8000),
        VmFlags::READ,
        0,
        Backing::File(Arc::new(Named(3))),
    );
    let mm = Mm::seed(MmConfig::x86_64(), BrkArea::default(), [vma], None).unwrap();
    let mut name = [0; 16];
    let mut query = Query {
        addr: 0x4000,
        name: &mut name,
        ..Query::default()
    };
    let answer = mm.query(&mut query).unwrap();
    assert_eq!(&name[..answer.name_len], b"/xxx\n");
    assert!(whole(&mm).ends_with(b"/xxx\\012\n"));
}

/// Fails at every third VMA.
struct Flaky<'a> {
    inner: vmaple::MmSource<'a>,
    turn: u32,
}

impl VmaSource for Flaky<'_> {
    type Error = &'static str;

    fn with_next<R>(
        &mut self,
        addr: u64,
        show: impl FnOnce(&Vma, &BrkArea) -> R,
    ) -> Result<Option<R>, &'static str> {
        self.turn += 1;
        if self.turn.is_multiple_of(3) {
            return Err("interrupted");
        }
        let Ok(shown) = self.inner.with_next(addr, show);
        Ok(shown)
    }
    fn gate(&self) -> Option<&GateVma> {
        self.inner.gate()
    }
    fn page_shift(&self) -> u32 {
        self.inner.page_shift()
    }
}

#[test]
fn an_error_loses_nothing() {
    let mm = some_map();
    let text = whole(&mm);
    let mut source = Flaky {
        inner: mm.vma_source(),
        turn: 0,
    };
    let mut reader = MapsReader::new();
    let (mut read, mut nr_errors) = (Vec::new(), 0);
    let mut buf = [0; 100];
    loop {
        match reader.read(&mut source, &mut buf) {
            Ok(0) => break,
            Ok(count) => read.extend_from_slice(&buf[..count]),
            Err(ReadError::Source("interrupted")) => nr_errors += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(read == text && nr_errors > 0, "{nr_errors} errors");
}
