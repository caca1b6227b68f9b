//! Reads the child's map once, to seed the model with it.

use super::files::KnownFile;
use std::sync::Arc;
use vmaple::{
    AddrRange, AnonVma, AnonVmaId, Backing, BrkArea, Device, FileAccess, FileId, FileKind, GateVma,
    MmConfig, Overcommit, SpecialMapping, VmFlags, Vma,
};

/// The parts of a model's seed.
pub(crate) struct Seed {
    pub(crate) config: MmConfig,
    pub(crate) areas: BrkArea,
    pub(crate) vmas: Vec<Vma>,
    pub(crate) gate: Option<GateVma>,
}

/// Reads `/proc/PID/{smaps,stat}`.
pub(crate) fn read(pid: u32) -> Result<Seed, String> {
    let smaps = read_text(pid, "smaps")?;
    let stat = read_text(pid, "stat")?;
    let mut vmas = Vec::new();
    let mut gate = None;
    for line in smaps.lines() {
        let first = line.split(' ').next().unwrap_or("");
        if first.contains('-') {
            let vma = parse_header(line, vmas.len() as u64).ok_or("strange smaps line")?;
            vmas.push(vma);
            continue;
        }
        let Some(vma) = vmas.last_mut() else {
            return Err("smaps without a header".into());
        };
        if let Some(flags) = line.strip_prefix("VmFlags: ") {
            vma.flags = VmFlags::from_mnemonics(flags).map_err(|error| error.to_string())?;
        } else if let Some(size) = line.strip_prefix("Anonymous:")
            && !size.trim().starts_with("0 ")
            && vma.backing_is_private()
        {
            {
                vma.anon_vma = Some(AnonVma {
                    id: AnonVmaId(vma.start),
                    inherited: false,
                });
            }
        }
    }
    if vmas.last().is_some_and(|vma| vma.start >> 63 == 1) {
        vmas.pop();
        gate = Some(GateVma::vsyscall());
    }
    let mut config = MmConfig::x86_64();
    config.mmap_base = mmap_base(&vmas).ok_or("no stack")?;
    config.overcommit = Overcommit::Heuristic {
        total_pages: memory_pages()?,
    };
    let areas = read_areas(&stat).ok_or("strange stat")?;
    Ok(Seed {
        config,
        areas,
        vmas,
        gate,
    })
}

/// Memory plus swap.
fn memory_pages() -> Result<u64, String> {
    let text = std::fs::read_to_string("/proc/meminfo").map_err(|error| error.to_string())?;
    let kib = |label: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(label))
            .unwrap_or("");
        line.trim()
            .trim_end_matches(" kB")
            .parse::<u64>()
            .unwrap_or(0)
    };
    Ok((kib("MemTotal:") + kib("SwapTotal:")) / 4)
}

trait PrivateBacking {
    fn backing_is_private(&self) -> bool;
}

impl PrivateBacking for Vma {
    fn backing_is_private(&self) -> bool {
        !matches!(self.backing, Backing::Special(_))
    }
}

fn read_text(pid: u32, what: &str) -> Result<String, String> {
    std::fs::read_to_string(format!("/proc/{pid}/{what}"))
        .map_err(|error| format!("{what}: {error}"))
}

/// Nothing was randomised and the dynamic linker was the first to be mapped.
fn mmap_base(vmas: &[Vma]) -> Option<u64> {
    let stack = vmas
        .iter()
        .rposition(|vma| vma.flags.contains(VmFlags::GROWSDOWN))?;
    vmas.get(stack.checked_sub(1)?).map(|vma| vma.end)
}

fn parse_header(line: &str, number: u64) -> Option<Vma> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    words.next()?;
    let offset = hex(words.next()?)?;
    let (major, minor) = words.next()?.split_once(':')?;
    let device = Device {
        major: hex(major)? as u32,
        minor: hex(minor)? as u32,
    };
    let inode: u64 = words.next()?.parse().ok()?;
    let name = line.get(73..).unwrap_or("").to_owned();
    let range = AddrRange::new(hex(start)?, hex(end)?);
    let mut pgoff = offset >> 12;
    let backing = if name.starts_with("[v") {
        Backing::Special(SpecialMapping {
            name: name.into(),
            may_split: false,
        })
    } else if name.starts_with('/') {
        let build_id = super::elf::build_id(&name);
        Backing::File(Arc::new(KnownFile {
            build_id,
            id: FileId(1000 + number),
            device,
            inode,
            name,
            access: FileAccess::READ_ONLY,
            kind: FileKind::Regular,
            huge: true,
            len: u64::MAX >> 1,
            max_len: u64::MAX,
            object: std::sync::Mutex::new(None),
        }))
    } else {
        pgoff = range.start >> 12;
        Backing::Anonymous
    };
    Some(Vma::new(range, VmFlags::empty(), pgoff, backing))
}

/// The fields of proc_pid_stat(5) that are bounds.
fn read_areas(stat: &str) -> Option<BrkArea> {
    let after_name = stat.rsplit_once(')')?.1;
    let fields: Vec<u64> = after_name
        .split_ascii_whitespace()
        .map(|word| word.parse().unwrap_or(0))
        .collect();
    // The first field after the name is number 3.
    let field = |number: usize| fields.get(number - 3).copied();
    let start_brk = field(47)?;
    Some(BrkArea {
        start_code: field(26)?,
        end_code: field(27)?,
        start_stack: field(28)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk,
        brk: start_brk,
        arg_start: field(48)?,
        arg_end: field(49)?,
        env_start: field(50)?,
        env_end: field(51)?,
    })
}
