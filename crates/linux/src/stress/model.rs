//! The load on an address space of vmaple's.

use super::checker::Checker;
use super::crew::{self, Crew, End};
use super::outcome::{Share, Watch};
use super::region::{Dice, PAGE, Region, Step};
use super::{Load, Locking, Outcome, StressError};
use std::convert::Infallible;
use vmaple::locks::level::{Nothing, VmaRead};
use vmaple::locks::{Cancel, Held};
use vmaple::{
    Access, Fault, FaultHandler, Handled, MapsReader, Mm, MmConfig, MmapArgs, SharedMm, Vma,
};

const BASE: u64 = 0x10_0000_0000;
const READ: u64 = 1;
const READ_WRITE: u64 = 3;
const PRIVATE_ANONYMOUS_FIXED: u64 = 0x32;
/// What a reader gets at once, as `cat` of a `/proc` file does.
const CHUNK: usize = 4096;

/// Pages are nobody's business here.
struct NoPages;

impl FaultHandler for NoPages {
    type Error = Infallible;

    fn handle(&mut self, _: &Vma, _: Fault, _: &mut Held<VmaRead>) -> Result<Handled, Infallible> {
        Ok(Handled::Done)
    }
}

struct Model {
    space: SharedMm,
    region: Region,
    locking: Locking,
    mappers: u64,
}

fn refused(call: &str, error: impl std::fmt::Display) -> StressError {
    StressError::System {
        what: "make a call on the model",
        cause: std::io::Error::other(format!("{call}: {error}")),
    }
}

fn map(mm: &mut Mm, addr: u64, prot: u64) -> Result<(), StressError> {
    let args = MmapArgs::anonymous(addr, PAGE, prot, PRIVATE_ANONYMOUS_FIXED);
    mm.mmap(&args).map(|_| ()).map_err(|e| refused("mmap", e))
}

pub(super) fn run(locking: Locking, load: &Load) -> Result<Outcome, StressError> {
    let region = Region {
        base: BASE,
        vmas: load.vmas,
    };
    let mut config = MmConfig::x86_64();
    config.max_map_count = usize::MAX;
    let mut mm = Mm::new(config);
    for slot in 0..load.vmas {
        map(&mut mm, region.addr(2 * slot), READ_WRITE)?;
    }
    let model = Model {
        space: SharedMm::new(mm),
        region,
        locking,
        mappers: load.mappers as u64,
    };
    crew::run(&model, locking, load)
}

impl Model {
    fn toggle(
        &self,
        held: &mut Held<Nothing>,
        addr: u64,
        is_mapped: bool,
    ) -> Result<(), StressError> {
        let mut mm = self.space.write(held);
        if is_mapped {
            mm.munmap(addr, PAGE).map_err(|e| refused("munmap", e))
        } else {
            map(&mut mm, addr, READ)
        }
    }

    fn protect(&self, held: &mut Held<Nothing>, addr: u64, prot: u64) -> Result<(), StressError> {
        let mut mm = self.space.write(held);
        mm.mprotect(addr, PAGE, prot)
            .map_err(|e| refused("mprotect", e))
    }

    /// The old way: the whole fault under `mmap_lock`.
    fn fault_under_mmap_lock(&self, held: &mut Held<Nothing>, fault: Fault) {
        let mm = self.space.read(held);
        let is_permitted = mm
            .vma_at(fault.addr)
            .is_some_and(|vma| vma.permits(fault.access));
        assert!(is_permitted, "a page that is always there");
    }
}

impl Crew for Model {
    fn map(&self, me: usize, end: &End) -> Result<Watch, StressError> {
        let (mut watch, mut held) = (Watch::new(), Held::nothing());
        let mut dice = Dice::new(me as u64 + 1);
        let mut is_mapped = vec![false; usize::try_from(self.region.vmas).unwrap_or(usize::MAX)];
        while !end.is_near() {
            match dice.step(&self.region, me as u64, self.mappers) {
                Step::Toggle(page) => {
                    let Some(now) = is_mapped.get_mut((page / 2) as usize) else {
                        continue;
                    };
                    let addr = self.region.addr(page);
                    watch.time(|| self.toggle(&mut held, addr, *now))?;
                    *now = !*now;
                }
                Step::Protect(page) => {
                    let addr = self.region.addr(page);
                    watch.time(|| self.protect(&mut held, addr, READ))?;
                    watch.time(|| self.protect(&mut held, addr, READ_WRITE))?;
                }
            }
        }
        Ok(watch)
    }

    fn fault(&self, me: usize, end: &End) -> Result<Watch, StressError> {
        let (mut watch, mut held) = (Watch::new(), Held::nothing());
        let mut dice = Dice::new(me as u64 + 101);
        while !end.is_near() {
            let fault = Fault {
                addr: self.region.addr(2 * dice.below(self.region.vmas)),
                access: Access::Read,
            };
            match self.locking {
                Locking::Mmap => watch.time(|| self.fault_under_mmap_lock(&mut held, fault)),
                _ => watch
                    .time(|| self.space.fault(&mut held, fault, &mut NoPages))
                    .map_err(|e| refused("fault", e))?,
            }
        }
        Ok(watch)
    }

    fn read(&self, _: usize, end: &End) -> Result<Share, StressError> {
        let (mut watch, mut held, cancel) = (Watch::new(), Held::nothing(), Cancel::new());
        let mut checker = Checker::new(self.region.addresses(), 2 * PAGE, PAGE);
        let mut buf = vec![0; CHUNK];
        while !end.is_near() {
            let mut reader = MapsReader::new();
            watch.time(|| {
                loop {
                    let len = match self.locking {
                        Locking::Mmap => {
                            let mm = self.space.read(&mut held);
                            reader
                                .read(&mut mm.vma_source(), &mut buf)
                                .map_err(|e| refused("read", e))
                        }
                        _ => reader
                            .read(&mut self.space.vma_source(&mut held, &cancel), &mut buf)
                            .map_err(|e| refused("read", e)),
                    }?;
                    if len == 0 {
                        return Ok::<(), StressError>(());
                    }
                    checker.feed(buf.get(..len).unwrap_or_default());
                }
            })?;
            checker.end_of_text();
        }
        Ok(Share {
            watch,
            nr_lines: checker.nr_lines(),
            violations: checker.violations(),
        })
    }
}
