//! The executor's map before the first call, as a record and as a model.

use std::sync::Arc;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use vmaple::{
    AddrRange, Backing, BrkArea, GateVma, LayoutKind, Mm, MmConfig, Overcommit, SpecialMapping,
    VmFlags, Vma,
};
use vmaple_linux::procfs::machine::Machine;
use vmaple_linux::procfs::maps::MapsText;
use vmaple_linux::procfs::process::{Limits, Stat, Status};
use vmaple_linux::procfs::{self, smaps};
use vmaple_linux::setting;

use crate::files::{Facts, KnownFile};

/// All that a model starts from. Recorded, it serves without the kernel.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Seed {
    pub(crate) config: MmConfig,
    pub(crate) areas: BrkArea,
    pub(crate) vmas: Vec<SeedVma>,
}

/// One mapping of the executor.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct SeedVma {
    start: u64,
    end: u64,
    /// As smaps shows them.
    flags: String,
    offset: u64,
    /// Of a file.
    file: Option<Facts>,
    /// Of what has no file.
    name: String,
    /// Holds anonymous pages.
    faulted: bool,
}

/// The mapping outside of the map.
const GATE: &str = "[vsyscall]";

impl Seed {
    /// Reads what `/proc` tells of `pid`, whose break is `brk`.
    pub(crate) fn read(
        machine: &Machine,
        pid: Pid,
        layout: LayoutKind,
        brk: u64,
    ) -> Result<Seed, procfs::Error> {
        let mut config = setting::of_machine(machine);
        config.layout = layout;
        config.limits = setting::limits(&Limits::read(pid)?);
        config.capabilities = setting::capabilities(&Status::read(pid)?);
        config.overcommit = Overcommit::Heuristic {
            total_pages: memory_pages(),
        };
        let mut areas = setting::areas(&Stat::read(pid)?);
        areas.brk = brk;
        let flags = smaps::vm_flags(pid)?;
        let text = MapsText::of(pid)?;
        let mut vmas = Vec::new();
        for line in text.lines() {
            let line = line?;
            let of_line = flags.iter().find(|flags| flags.start == line.start);
            let name = String::from_utf8_lossy(line.name).into_owned();
            let file = name.starts_with('/').then(|| Facts {
                major: line.major,
                minor: line.minor,
                inode: line.inode,
                name: name.clone(),
                in_memory: true,
                huge: false,
                noexec: false,
                refuses_sync: false,
                max_held: u64::MAX,
            });
            vmas.push(SeedVma {
                start: line.start,
                end: line.end,
                flags: of_line.map_or("ex".to_owned(), |flags| flags.mnemonics.clone()),
                offset: line.offset,
                file,
                name,
                faulted: of_line.is_some_and(smaps::MappingFlags::holds_anonymous),
            });
        }
        Ok(Seed {
            config,
            areas,
            vmas,
        })
    }

    /// Ranges that belong to the executor and must stay.
    pub(crate) fn taboo(&self) -> Vec<AddrRange> {
        let range = |vma: &SeedVma| AddrRange::new(vma.start, vma.end);
        self.vmas.iter().map(range).collect()
    }

    /// The model in this state.
    pub(crate) fn model(&self) -> Result<Mm, String> {
        let mut vmas = Vec::new();
        let mut gate = None;
        for (number, line) in self.vmas.iter().enumerate() {
            if line.name == GATE {
                gate = Some(GateVma::vsyscall());
            } else {
                vmas.push(line.vma(number as u64)?);
            }
        }
        let mut mm = Mm::seed(self.config.clone(), self.areas, vmas, gate)
            .map_err(|error| error.to_string())?;
        // As if the pages had been touched in ascending order.
        for line in self.vmas.iter().filter(|line| line.faulted) {
            mm.note_faulted(line.start);
        }
        Ok(mm)
    }
}

impl SeedVma {
    fn vma(&self, number: u64) -> Result<Vma, String> {
        let flags = VmFlags::from_mnemonics(&self.flags).map_err(|error| error.to_string())?;
        let (backing, pgoff) = match &self.file {
            Some(facts) => {
                let file = KnownFile::of_program(number, facts.clone());
                (Backing::File(Arc::new(file)), self.offset >> 12)
            }
            None if self.name.starts_with("[v") => {
                let special = SpecialMapping {
                    name: self.name.as_str().into(),
                    may_split: false,
                };
                (Backing::Special(special), self.offset >> 12)
            }
            None => (Backing::Anonymous, self.start >> 12),
        };
        let range = AddrRange::new(self.start, self.end);
        Ok(Vma::new(range, flags, pgoff, backing))
    }
}

/// Pages of memory and swap.
fn memory_pages() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |label: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(label));
        let number = line.unwrap_or_default().trim().trim_end_matches(" kB");
        number.parse::<u64>().unwrap_or(0)
    };
    (kib("MemTotal:") + kib("SwapTotal:")) / 4
}
