//! What is done while a VMA is locked allocates nothing: not the lookup, not a line or a name, not a
//! query's answer. Every allocation fails meanwhile.
#![cfg(feature = "std")]

#[path = "../../maple-tree/tests/failing/mod.rs"]
mod failing;

use failing::with_failures;
use std::fmt;
use std::sync::Arc;
use vmaple::locks::{Cancel, Held};
use vmaple::{
    BrkArea, Device, Errno, FileAccess, FileId, FileKind, GateVma, MappedFile, MapsReader, Mm,
    MmConfig, MmapArgs, NoFigures, Query, QueryFlags, ReadError, SharedMm, ShmemHuge, SmapsFormat,
    SmapsRules, ThpEnabled, VmaFormat,
};

const PAGE: u64 = 4096;
const BASE: u64 = 0x1000_0000;

#[derive(Debug)]
struct Program;

impl MappedFile for Program {
    fn identity(&self) -> FileId {
        FileId(7)
    }
    fn device(&self) -> Device {
        Device { major: 8, minor: 1 }
    }
    fn inode(&self) -> u64 {
        77
    }
    fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str("/usr/bin/program")
    }
    fn access(&self) -> FileAccess {
        FileAccess::READ_ONLY
    }
    fn kind(&self) -> FileKind {
        FileKind::Regular
    }
    fn build_id(&self) -> Option<&[u8]> {
        Some(&[0xab; 20])
    }
}

/// A file, a named mapping and a nameless one, with free pages between them, and the gate.
fn some_map() -> Mm {
    let mut config = MmConfig::x86_64();
    config.features.anon_vma_name = true;
    let gate = Some(GateVma::vsyscall());
    let mut mm = Mm::seed(config, BrkArea::default(), [], gate).expect("nothing to be wrong");
    let file = MmapArgs::file(BASE, 2 * PAGE, 1, 0x12, Arc::new(Program), 0);
    assert_eq!(mm.mmap(&file), Ok(BASE));
    for (page, pages) in [(4, 1), (8, 2)] {
        let at = BASE + page * PAGE;
        let args = MmapArgs::anonymous(at, pages * PAGE, 3, 0x32);
        assert_eq!(mm.mmap(&args), Ok(at));
    }
    mm.prctl_set_vma_name(BASE + 4 * PAGE, PAGE, Some(b"arena"))
        .expect("anonymous memory");
    mm
}

/// Reads the whole text, without an allocation, into a buffer that holds it.
fn read<F: VmaFormat>(space: &SharedMm, format: F) -> String {
    let (mut held, cancel) = (Held::nothing(), Cancel::new());
    let mut reader = MapsReader::with_format(format);
    let mut buf = vec![0; 1 << 16];
    let len = with_failures(0, || {
        reader.read(&mut space.vma_source(&mut held, &cancel), &mut buf)
    });
    let len = len.expect("nobody cancels, and nothing is allocated");
    buf.truncate(len);
    String::from_utf8(buf).expect("ASCII")
}

#[test]
fn texts_are_read_without_an_allocation() {
    let mm = some_map();
    let rules = SmapsRules::of(&mm, ThpEnabled::Always, ShmemHuge::default());
    let (mut maps, mut smaps) = (String::new(), String::new());
    mm.write_maps(&mut maps).expect("a String takes all");
    mm.write_smaps(rules, &mut NoFigures, &mut smaps)
        .expect("a String takes all");
    let space = SharedMm::new(mm);
    // What a thread needs once, it gets with its first read section.
    assert!(!space.readers().is_mapped(0));
    assert_eq!(read(&space, vmaple::MapsFormat), maps);
    assert_eq!(read(&space, SmapsFormat::new(rules, NoFigures)), smaps);
    for name in ["/usr/bin/program", "[anon:arena]", "[vsyscall]"] {
        assert!(maps.contains(name), "{maps}");
    }
}

#[test]
fn queries_are_answered_without_an_allocation() {
    let space = SharedMm::new(some_map());
    assert!(!space.readers().is_mapped(0));
    let (mut held, cancel) = (Held::nothing(), Cancel::new());
    let mut ask = |page: u64, flags, room: usize| {
        let (mut name, mut build_id) = ([0; 64], [0; 20]);
        let mut query = Query {
            addr: BASE + page * PAGE,
            flags,
            name: &mut name[..room],
            build_id: &mut build_id,
        };
        let answer = with_failures(0, || space.query(&mut held, &mut query, &cancel))?;
        assert!(answer.build_id_len == 0 || build_id == [0xab; 20]);
        let name = String::from_utf8_lossy(&name[..answer.name_len]).into_owned();
        Ok((answer.range.start, name))
    };
    let at = |page| BASE + page * PAGE;
    let (exact, next) = (QueryFlags::empty(), QueryFlags::COVERING_OR_NEXT);
    assert_eq!(ask(1, exact, 64), Ok((at(0), "/usr/bin/program".into())));
    assert_eq!(ask(2, next, 64), Ok((at(4), "[anon:arena]".into())));
    assert_eq!(
        ask(2, next | QueryFlags::WRITABLE, 64),
        Ok((at(4), "[anon:arena]".into()))
    );
    assert_eq!(ask(5, next, 64), Ok((at(8), String::new())));
    assert_eq!(
        ask(0, next | QueryFlags::FILE_BACKED, 64).map(|a| a.0),
        Ok(at(0))
    );
    assert_eq!(
        ask(2, next | QueryFlags::FILE_BACKED, 64),
        Err(Errno::ENOENT)
    );
    assert_eq!(ask(0, next | QueryFlags::SHARED, 64), Err(Errno::ENOENT));
    assert_eq!(
        ask(0, next | QueryFlags::EXECUTABLE, 64),
        Err(Errno::ENOENT)
    );
    assert_eq!(
        ask(4, exact | QueryFlags::READABLE, 64).map(|a| a.0),
        Ok(at(4))
    );
    assert_eq!(ask(2, exact, 64), Err(Errno::ENOENT));
    assert_eq!(ask(1, exact, 8), Err(Errno::ENAMETOOLONG));
}

/// A line longer than the buffer is put aside, which takes memory: none is taken under the lock, and
/// without memory the read says so and goes on later.
#[test]
fn a_line_put_aside_without_memory_is_not_lost() {
    let space = SharedMm::new(some_map());
    assert!(!space.readers().is_mapped(0));
    let (mut held, cancel) = (Held::nothing(), Cancel::new());
    let (mut reader, mut buf) = (MapsReader::new(), [0; 10]);
    let outcome = with_failures(0, || {
        reader.read(&mut space.vma_source(&mut held, &cancel), &mut buf)
    });
    assert_eq!(outcome, Err(ReadError::OutOfMemory));
    let outcome = reader.read(&mut space.vma_source(&mut held, &cancel), &mut buf);
    assert_eq!((outcome, &buf), (Ok(10), b"10000000-1"));
}
