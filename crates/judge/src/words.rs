//! Arguments as words: flags by name, numbers where there is none.

use std::fmt;

use crate::files;
use crate::names;
use crate::op::{ANONYMOUS, Arg};

/// Names of single bits.
type Names = &'static [(u64, &'static str)];

const PROT: Names = &[
    (1, "PROT_READ"),
    (2, "PROT_WRITE"),
    (4, "PROT_EXEC"),
    (8, "PROT_SEM"),
    (0x0100_0000, "PROT_GROWSDOWN"),
    (0x0200_0000, "PROT_GROWSUP"),
];
/// Values of the lowest four bits of mmap's flags.
const MAP_TYPES: Names = &[
    (1, "MAP_SHARED"),
    (2, "MAP_PRIVATE"),
    (3, "MAP_SHARED_VALIDATE"),
    (8, "MAP_DROPPABLE"),
];
const MAP: Names = &[
    (0x10, "MAP_FIXED"),
    (0x20, "MAP_ANONYMOUS"),
    (0x40, "MAP_32BIT"),
    (0x80, "MAP_ABOVE4G"),
    (0x100, "MAP_GROWSDOWN"),
    (0x800, "MAP_DENYWRITE"),
    (0x1000, "MAP_EXECUTABLE"),
    (0x2000, "MAP_LOCKED"),
    (0x4000, "MAP_NORESERVE"),
    (0x8000, "MAP_POPULATE"),
    (0x1_0000, "MAP_NONBLOCK"),
    (0x2_0000, "MAP_STACK"),
    (0x4_0000, "MAP_HUGETLB"),
    (0x8_0000, "MAP_SYNC"),
    (0x10_0000, "MAP_FIXED_NOREPLACE"),
    (0x400_0000, "MAP_UNINITIALIZED"),
];
const HUGETLB: u64 = 0x4_0000;
/// Where the logarithm of a size stands with MAP_HUGETLB.
const HUGE_SIZES: u64 = 0x3f << 26;
const MREMAP: Names = &[
    (1, "MREMAP_MAYMOVE"),
    (2, "MREMAP_FIXED"),
    (4, "MREMAP_DONTUNMAP"),
];
const LOCK_ALL: Names = &[(1, "MCL_CURRENT"), (2, "MCL_FUTURE"), (4, "MCL_ONFAULT")];
const ADVICE: Names = &[
    (0, "MADV_NORMAL"),
    (1, "MADV_RANDOM"),
    (2, "MADV_SEQUENTIAL"),
    (3, "MADV_WILLNEED"),
    (4, "MADV_DONTNEED"),
    (8, "MADV_FREE"),
    (9, "MADV_REMOVE"),
    (10, "MADV_DONTFORK"),
    (11, "MADV_DOFORK"),
    (12, "MADV_MERGEABLE"),
    (13, "MADV_UNMERGEABLE"),
    (14, "MADV_HUGEPAGE"),
    (15, "MADV_NOHUGEPAGE"),
    (16, "MADV_DONTDUMP"),
    (17, "MADV_DODUMP"),
    (18, "MADV_WIPEONFORK"),
    (19, "MADV_KEEPONFORK"),
    (20, "MADV_COLD"),
    (21, "MADV_PAGEOUT"),
    (22, "MADV_POPULATE_READ"),
    (23, "MADV_POPULATE_WRITE"),
    (24, "MADV_DONTNEED_LOCKED"),
    (25, "MADV_COLLAPSE"),
    (102, "MADV_GUARD_INSTALL"),
    (103, "MADV_GUARD_REMOVE"),
];
const LIMIT: Names = &[
    (2, "RLIMIT_DATA"),
    (3, "RLIMIT_STACK"),
    (8, "RLIMIT_MEMLOCK"),
    (9, "RLIMIT_AS"),
];

const USERFAULT_MODE: Names = &[
    (1, "UFFDIO_REGISTER_MODE_MISSING"),
    (2, "UFFDIO_REGISTER_MODE_WP"),
    (4, "UFFDIO_REGISTER_MODE_MINOR"),
];
const USERFAULT_FEATURES: Names = &[
    (1 << 7, "UFFD_FEATURE_SIGBUS"),
    (1 << 10, "UFFD_FEATURE_MINOR_SHMEM"),
    (1 << 12, "UFFD_FEATURE_WP_HUGETLBFS_SHMEM"),
    (1 << 13, "UFFD_FEATURE_WP_UNPOPULATED"),
    (1 << 15, "UFFD_FEATURE_WP_ASYNC"),
];

/// An argument as it is written.
pub(crate) struct Word(pub(crate) Arg, pub(crate) u64);

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Word(arg, value) = *self;
        match arg {
            Arg::Prot => bits(f, PROT, value, "PROT_NONE"),
            Arg::MremapFlags => bits(f, MREMAP, value, "0"),
            Arg::LockAll => bits(f, LOCK_ALL, value, "0"),
            Arg::UserfaultMode => bits(f, USERFAULT_MODE, value, "0"),
            Arg::UserfaultFeatures => bits(f, USERFAULT_FEATURES, value, "0"),
            Arg::MapFlags => match named(MAP_TYPES, value & 15) {
                Some(name) => {
                    f.write_str(name)?;
                    if value & !15 != 0 {
                        f.write_str("|")?;
                        bits(f, MAP, value & !15, "")?;
                    }
                    Ok(())
                }
                None => bits(f, MAP, value, "0"),
            },
            Arg::Advice => one(f, ADVICE, value),
            Arg::Limit => one(f, LIMIT, value),
            Arg::File if value == ANONYMOUS => f.write_str("anonymous"),
            Arg::File => {
                let index = usize::try_from(value).unwrap_or(usize::MAX);
                match files::NAMES.get(index) {
                    Some(name) => f.write_str(name),
                    None => number(f, value),
                }
            }
            Arg::Name => {
                let index = usize::try_from(value).unwrap_or(usize::MAX);
                match names::NAMES.get(index) {
                    Some((name, _)) => f.write_str(name),
                    None => number(f, value),
                }
            }
            Arg::Addr | Arg::Len | Arg::Number => number(f, value),
        }
    }
}

fn number(f: &mut fmt::Formatter<'_>, value: u64) -> fmt::Result {
    if value == u64::MAX {
        f.write_str("-1")
    } else if value < 10 {
        write!(f, "{value}")
    } else {
        write!(f, "{value:#x}")
    }
}

fn named(names: Names, value: u64) -> Option<&'static str> {
    let found = names.iter().find(|(of, _)| *of == value);
    found.map(|(_, name)| *name)
}

fn one(f: &mut fmt::Formatter<'_>, names: Names, value: u64) -> fmt::Result {
    match named(names, value) {
        Some(name) => f.write_str(name),
        None => number(f, value),
    }
}

fn bits(f: &mut fmt::Formatter<'_>, names: Names, value: u64, none: &str) -> fmt::Result {
    if value == 0 {
        return f.write_str(none);
    }
    let mut rest = value;
    let mut between = "";
    for (bit, name) in names {
        if rest & bit != 0 {
            write!(f, "{between}{name}")?;
            between = "|";
            rest &= !bit;
        }
    }
    if rest != 0 {
        write!(f, "{between}{rest:#x}")?;
    }
    Ok(())
}

/// What an argument is put together of: its bits, or what it is as a whole. Nothing for numbers,
/// which there are too many of.
pub(crate) fn parts(arg: Arg, value: u64) -> impl Iterator<Item = u64> {
    let (whole, bits) = match arg {
        Arg::MapFlags if value & HUGETLB != 0 => (Some(value & 15), value & !15 & !HUGE_SIZES),
        Arg::MapFlags => (Some(value & 15), value & !15),
        Arg::Prot | Arg::MremapFlags | Arg::LockAll | Arg::UserfaultMode => {
            ((value == 0).then_some(0), value)
        }
        Arg::File | Arg::Advice | Arg::Limit => (Some(value), 0),
        Arg::Addr | Arg::Len | Arg::Number | Arg::UserfaultFeatures | Arg::Name => (None, 0),
    };
    let bits = (0..64)
        .map(|bit| 1 << bit)
        .filter(move |bit| bits & bit != 0);
    whole.into_iter().chain(bits)
}

/// The value of a written argument.
pub(crate) fn parse(arg: Arg, text: &str) -> Result<u64, String> {
    let names = match arg {
        Arg::Prot => &[PROT][..],
        Arg::MapFlags => &[MAP_TYPES, MAP],
        Arg::MremapFlags => &[MREMAP],
        Arg::LockAll => &[LOCK_ALL],
        Arg::Advice => &[ADVICE],
        Arg::Limit => &[LIMIT],
        Arg::UserfaultMode => &[USERFAULT_MODE],
        Arg::UserfaultFeatures => &[USERFAULT_FEATURES],
        Arg::File => return parse_file(text),
        Arg::Name => return parse_name(text),
        Arg::Addr | Arg::Len | Arg::Number => &[],
    };
    let mut value = 0;
    for word in text.split('|') {
        let word = word.trim();
        let known = names.iter().flat_map(|names| names.iter());
        let mut known = known.filter(|(_, name)| *name == word);
        value |= match known.next() {
            Some((bit, _)) => *bit,
            None if word == "PROT_NONE" => 0,
            None => parse_number(word)?,
        };
    }
    Ok(value)
}

fn parse_file(text: &str) -> Result<u64, String> {
    if text == "anonymous" {
        return Ok(ANONYMOUS);
    }
    match files::NAMES.iter().position(|name| *name == text) {
        Some(index) => Ok(index as u64),
        None => parse_number(text).map_err(|_| {
            let names = files::NAMES.join(", ");
            format!("no file {text:?}: there are anonymous, {names}")
        }),
    }
}

fn parse_name(text: &str) -> Result<u64, String> {
    match names::NAMES.iter().position(|(name, _)| *name == text) {
        Some(index) => Ok(index as u64),
        None => parse_number(text),
    }
}

/// Decimal, `0x` and hexadecimal, or negative decimal.
pub(crate) fn parse_number(text: &str) -> Result<u64, String> {
    let parsed = match (text.strip_prefix("0x"), text.strip_prefix('-')) {
        (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
        (None, Some(negative)) => negative.parse::<u64>().ok().map(u64::wrapping_neg),
        (None, None) => text.parse().ok(),
    };
    parsed.ok_or_else(|| format!("{text:?} is neither a number nor a name known here"))
}
