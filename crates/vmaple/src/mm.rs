//! The address space: its parts, how it is seeded, and how it is read.

use crate::accounting::CommitRule;
use crate::addr::AddrRange;
use crate::areas::{BrkArea, PublishedAreas};
use crate::config::MmConfig;
use crate::counters::Counters;
use crate::flags::VmFlags;
use crate::uffd::UffdFeatures;
use crate::vma::{GateVma, UffdId, Vma};
use crate::vma_tree::VmaTree;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use vmaple_locks::Environment;
#[cfg(feature = "std")]
use vmaple_locks::Host;

/// An address space with Linux's rules.
///
/// Every call takes the raw arguments of the system call. On `Err` nothing has changed except
/// where Linux itself leaves a partial result; the method says so then. Calls cost O(log n) in
/// the number of VMAs plus the number of VMAs they touch.
///
/// ```
/// use vmaple::{Mm, MmConfig, MmapArgs};
/// let mut mm = Mm::new(MmConfig::x86_64());
/// let addr = mm.mmap(&MmapArgs::anonymous(0, 0x3000, 3, 0x22)).unwrap();
/// mm.munmap(addr + 0x1000, 0x1000).unwrap();
/// assert_eq!(mm.len(), 2);
/// ```
#[derive(Debug)]
#[doc(alias = "mm_struct")]
pub struct Mm<
    #[cfg(feature = "std")] E: Environment = Host,
    #[cfg(not(feature = "std"))] E: Environment,
> {
    pub(crate) config: MmConfig,
    pub(crate) areas: BrkArea,
    pub(crate) tree: VmaTree<E>,
    pub(crate) gate: Option<GateVma>,
    /// Flags that new mappings get: those of `mlockall(MCL_FUTURE)`.
    pub(crate) def_flags: VmFlags,
    pub(crate) counters: Counters,
    /// In no order, each context once: there is hardly ever more than one.
    pub(crate) uffd_features: Vec<(UffdId, UffdFeatures)>,
    /// Decides about commitments, if not the configuration.
    pub(crate) commit_rule: Option<Arc<dyn CommitRule>>,
    /// Guard pages in what the next call brings in, ascending; none: not told.
    pub(crate) guards: Option<Vec<AddrRange>>,
    /// Number of the next anon_vma.
    pub(crate) next_anon: u64,
    /// Number of the next object made for a shared mapping without one.
    pub(crate) next_shared: u64,
    /// What readers beside `mmap_lock` know of `areas`.
    pub(crate) published: Option<Arc<PublishedAreas>>,
}

/// Why a list of VMAs is no address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SeedError {
    /// A VMA is empty, not page aligned, or beyond the end of user memory.
    BadRange(AddrRange),
    /// A VMA begins before the end of its predecessor.
    Overlap(AddrRange),
    /// There is no memory for so many VMAs.
    OutOfMemory,
}

impl fmt::Display for SeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SeedError::BadRange(range) => write!(f, "{range} cannot be a VMA"),
            SeedError::OutOfMemory => f.write_str("there is no memory for so many VMAs"),
            SeedError::Overlap(range) => write!(f, "{range} overlaps its predecessor"),
        }
    }
}

impl core::error::Error for SeedError {}

impl<E: Environment> Clone for Mm<E> {
    /// A second address space that is the same, as if it had had the same calls. O(n log n).
    fn clone(&self) -> Self {
        Mm {
            config: self.config.clone(),
            areas: self.areas,
            tree: self.tree.clone(),
            gate: self.gate.clone(),
            def_flags: self.def_flags,
            counters: self.counters,
            uffd_features: self.uffd_features.clone(),
            commit_rule: self.commit_rule.clone(),
            guards: None,
            next_anon: self.next_anon,
            next_shared: self.next_shared,
            published: None,
        }
    }
}

#[cfg(feature = "std")]
impl Mm {
    /// An empty address space, for threads of the host.
    #[must_use]
    pub fn new(config: MmConfig) -> Mm {
        Mm::new_in(config)
    }

    /// See [`seed_in`](Self::seed_in); for threads of the host.
    ///
    /// # Errors
    /// As there.
    pub fn seed(
        config: MmConfig,
        areas: BrkArea,
        vmas: impl IntoIterator<Item = Vma>,
        gate: Option<GateVma>,
    ) -> Result<Mm, SeedError> {
        Mm::seed_in(config, areas, vmas, gate)
    }
}

impl<E: Environment> Mm<E> {
    /// An empty address space, for the environment `E`.
    #[must_use]
    pub fn new_in(config: MmConfig) -> Self {
        Mm {
            config,
            areas: BrkArea::default(),
            tree: VmaTree::new(),
            gate: None,
            def_flags: VmFlags::empty(),
            counters: Counters::default(),
            uffd_features: Vec::new(),
            commit_rule: None,
            guards: None,
            next_anon: 1,
            next_shared: 1 << 63,
            published: None,
        }
    }

    /// An address space with these VMAs, taken as they are: ascending, none merged.
    ///
    /// Numbers of anon_vmas that the VMAs bring along are kept; new ones are higher.
    ///
    /// # Errors
    /// A VMA that is misaligned, empty, out of the space, or overlaps the one before it.
    pub fn seed_in(
        config: MmConfig,
        areas: BrkArea,
        vmas: impl IntoIterator<Item = Vma>,
        gate: Option<GateVma>,
    ) -> Result<Self, SeedError> {
        let mut mm = Mm {
            areas,
            gate,
            ..Mm::new_in(config)
        };
        let mut last_end = 0;
        for vma in vmas {
            let range = vma.range();
            let aligned = mm.config.is_aligned(range.start) && mm.config.is_aligned(range.end);
            if range.is_empty() || !aligned || range.end > mm.config.task_size {
                return Err(SeedError::BadRange(range));
            }
            if range.start < last_end {
                return Err(SeedError::Overlap(range));
            }
            last_end = range.end;
            let anon = vma.anon_vma.map_or(0, |anon| anon.id.0);
            mm.next_anon = mm.next_anon.max(anon.saturating_add(1));
            mm.store_new(vma).map_err(|_| SeedError::OutOfMemory)?;
        }
        mm.counters.inserts = 0;
        Ok(mm)
    }

    /// The VMA that contains `addr`, or the first one above it.
    #[must_use]
    #[doc(alias = "find_vma")]
    pub fn find(&self, addr: u64) -> Option<&Vma> {
        self.tree.find(addr)
    }

    /// The VMA that contains `addr`.
    #[must_use]
    #[doc(alias = "vma_lookup")]
    pub fn vma_at(&self, addr: u64) -> Option<&Vma> {
        self.tree.at(addr)
    }

    /// The VMA with exactly this range.
    #[must_use]
    pub fn find_exact(&self, range: AddrRange) -> Option<&Vma> {
        self.tree.at(range.start).filter(|vma| vma.range() == range)
    }

    /// All VMAs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.tree.iter()
    }

    /// The VMAs that overlap `range`, in ascending order.
    pub fn overlapping(&self, range: AddrRange) -> impl Iterator<Item = &Vma> {
        self.tree.overlapping(range)
    }

    /// Number of VMAs; the gate VMA is not one of them.
    #[must_use]
    #[doc(alias = "map_count")]
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether nothing is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &MmConfig {
        &self.config
    }

    /// The configuration, to change limits and capabilities as the process does.
    pub fn config_mut(&mut self) -> &mut MmConfig {
        &mut self.config
    }

    /// Heap, stack, code and data bounds.
    #[must_use]
    pub fn areas(&self) -> &BrkArea {
        &self.areas
    }

    /// The same, to be corrected by an embedder that learns them late.
    pub fn areas_mut(&mut self) -> &mut BrkArea {
        &mut self.areas
    }

    /// The gate VMA.
    #[must_use]
    pub fn gate(&self) -> Option<&GateVma> {
        self.gate.as_ref()
    }

    /// Sizes and counts.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Flags that every new mapping gets (those of `mlockall(MCL_FUTURE)`).
    #[must_use]
    pub fn default_flags(&self) -> VmFlags {
        self.def_flags
    }

    /// Pages in `len` bytes.
    pub(crate) fn pages(&self, len: u64) -> u64 {
        len >> self.config.page_shift()
    }
}
