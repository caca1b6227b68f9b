//! The facts of a kernel and of a process that decide results: plain data.

use crate::huge::HugePools;

/// Everything that is not the map itself.
///
/// ```
/// let config = vmaple::MmConfig::x86_64();
/// assert_eq!(config.page_size, 4096);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MmConfig {
    /// Page size in bytes, a power of two.
    pub page_size: u64,
    /// First address that user memory cannot have.
    pub task_size: u64,
    /// Lowest address a mapping without CAP_SYS_RAWIO may have, in bytes (vm.mmap_min_addr).
    pub mmap_min_addr: u64,
    /// Lowest address the kernel picks by itself, if above that (CONFIG_LSM_MMAP_MIN_ADDR).
    #[cfg_attr(feature = "serde", serde(default = "default_lsm_min_addr"))]
    pub lsm_min_addr: u64,
    /// Where top-down placement starts: the first address it will not use.
    pub mmap_base: u64,
    /// Where bottom-up placement starts; also the fall-back of top-down placement.
    #[cfg_attr(feature = "serde", serde(default = "default_legacy_base"))]
    pub legacy_base: u64,
    /// Direction of placement.
    pub layout: LayoutKind,
    /// Whether the kernel draws MAP_32BIT's lower limit at random.
    pub randomize: bool,
    /// Free pages kept below a growing VMA.
    pub stack_guard_gap_pages: u64,
    /// The most VMAs an address space may have (vm.max_map_count).
    pub max_map_count: usize,
    /// Huge page alignment of new mappings.
    pub thp: ThpRule,
    /// Huge pages that can be asked for by name.
    #[cfg_attr(feature = "serde", serde(default))]
    pub huge_pages: HugePools,
    /// What is compiled into the kernel.
    pub features: Features,
    /// vm.overcommit_memory with the amounts it needs.
    pub overcommit: Overcommit,
    /// Resource limits.
    pub limits: Limits,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// The personality flag READ_IMPLIES_EXEC.
    pub read_implies_exec: bool,
}

#[cfg(feature = "serde")]
fn default_legacy_base() -> u64 {
    MmConfig::x86_64().legacy_base
}

#[cfg(feature = "serde")]
fn default_lsm_min_addr() -> u64 {
    MmConfig::x86_64().lsm_min_addr
}

impl MmConfig {
    /// Linux 6.18 on x86-64 with 4-level page tables, no randomisation, an 8 MiB stack limit and
    /// the privileges of root.
    #[must_use]
    pub fn x86_64() -> MmConfig {
        let task_size = 0x7fff_ffff_f000;
        MmConfig {
            page_size: 4096,
            task_size,
            mmap_min_addr: 4096,
            lsm_min_addr: 65536,
            mmap_base: 0x7fff_f7ff_f000,
            legacy_base: 0x2aaa_aaaa_b000,
            layout: LayoutKind::TopDown,
            randomize: false,
            stack_guard_gap_pages: 256,
            max_map_count: 65530,
            thp: ThpRule::default(),
            huge_pages: HugePools::default(),
            features: Features::default(),
            overcommit: Overcommit::default(),
            limits: Limits::default(),
            capabilities: Capabilities::ALL,
            read_implies_exec: false,
        }
    }

    /// Start of bottom-up placement of a process whose top-down base is `mmap_base` and whose
    /// RLIMIT_STACK was `stack_limit` bytes at exec (x86-64 with randomised stack).
    ///
    /// The kernel moves both bases by one random amount, which this recovers: the gap under the
    /// end of user memory is the limit plus 16 GiB of stack randomisation plus the guard gap, at
    /// least 128 MiB, at most five sixths of the space.
    #[must_use]
    pub fn legacy_base_of(&self, mmap_base: u64, stack_limit: u64) -> u64 {
        const STACK_RANDOMISATION: u64 = 0x3f_ffff << 12;
        let mut pad = self.stack_guard_gap_pages * self.page_size;
        if self.randomize {
            pad += STACK_RANDOMISATION;
        }
        let gap = stack_limit.checked_add(pad).unwrap_or(stack_limit);
        let gap = gap.clamp(128 << 20, self.task_size / 6 * 5);
        let random = self.task_size.saturating_sub(gap).saturating_sub(mmap_base);
        let third = (self.task_size / 3 + self.page_size - 1) & !(self.page_size - 1);
        (third + random) & !(self.page_size - 1)
    }

    /// The lowest address that hints and searches may give.
    pub(crate) fn lowest_addr(&self) -> u64 {
        self.mmap_min_addr.max(self.lsm_min_addr)
    }

    pub(crate) const fn page_shift(&self) -> u32 {
        self.page_size.trailing_zeros()
    }

    pub(crate) const fn guard_gap(&self) -> u64 {
        self.stack_guard_gap_pages << self.page_shift()
    }

    /// Rounds down to a page.
    pub(crate) const fn page_floor(&self, addr: u64) -> u64 {
        addr & !(self.page_size - 1)
    }

    /// Rounds up to a page; wraps to 0 as the kernel's arithmetic does.
    pub(crate) const fn page_ceil(&self, addr: u64) -> u64 {
        self.page_floor(addr.wrapping_add(self.page_size - 1))
    }

    pub(crate) const fn is_aligned(&self, addr: u64) -> bool {
        addr & (self.page_size - 1) == 0
    }
}

/// Direction of placement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LayoutKind {
    /// From the mmap base downwards: the normal case.
    TopDown,
    /// From a third of the space upwards: legacy layout, or an unlimited stack.
    BottomUp,
}

/// Which anonymous mappings without address hint are aligned to huge pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum AnonAlignment {
    /// None (before 6.7, or without huge page support).
    Never,
    /// All of at least a huge page (6.7 to 6.12).
    AtLeastPmd,
    /// Those whose length is a multiple of a huge page (6.13 and later).
    MultipleOfPmd,
}

/// Alignment of new mappings for transparent huge pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ThpRule {
    /// Size in bytes of a huge page.
    pub pmd_size: u64,
    /// Rule for private anonymous mappings.
    pub anonymous: AnonAlignment,
    /// Whether files that ask for it ([`crate::MappedFile::prefers_huge_alignment`]) are aligned.
    pub files: bool,
    /// Alignment in bytes of shared anonymous memory, if the kernel's setting asks for one
    /// (`shmem_enabled` other than never or deny).
    pub shared_memory: Option<u64>,
}

impl Default for ThpRule {
    /// The rule of 6.18 with 2 MiB huge pages and `shmem_enabled` at never.
    fn default() -> Self {
        ThpRule {
            pmd_size: 2 << 20,
            anonymous: AnonAlignment::MultipleOfPmd,
            files: true,
            shared_memory: None,
        }
    }
}

/// What is compiled into the kernel, or supported by the processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a build option of its own"
)]
pub struct Features {
    /// PR_SET_VMA_ANON_NAME (CONFIG_ANON_VMA_NAME).
    pub anon_vma_name: bool,
    /// Protection keys, as the processor has them.
    pub pkeys: bool,
    /// mseal, 64-bit only.
    pub mseal: bool,
    /// userfaultfd.
    pub userfaultfd: bool,
    /// Same-page merging (MADV_MERGEABLE).
    pub ksm: bool,
    /// Transparent huge pages (MADV_HUGEPAGE).
    pub thp: bool,
    /// Soft-dirty tracking.
    pub soft_dirty: bool,
    /// Guard regions mark their VMA (MAYBE_GUARD).
    pub maybe_guard: bool,
    /// Memory failure handling (MADV_HWPOISON, MADV_SOFT_OFFLINE).
    pub memory_failure: bool,
}

impl Default for Features {
    /// A 6.18 kernel without anonymous names, soft-dirty tracking or protection keys.
    fn default() -> Self {
        Features {
            anon_vma_name: false,
            pkeys: false,
            mseal: true,
            userfaultfd: true,
            ksm: true,
            thp: true,
            soft_dirty: false,
            maybe_guard: true,
            memory_failure: false,
        }
    }
}

/// How the commit limit is enforced (vm.overcommit_memory).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Overcommit {
    /// Mode 0: refuse only what exceeds all of memory and swap in one call.
    Heuristic {
        /// Pages of memory plus swap.
        total_pages: u64,
    },
    /// Mode 1: never refuse.
    Always,
    /// Mode 2: refuse what exceeds the limit.
    Never {
        /// Pages this address space may still commit, beyond what it holds.
        limit_pages: u64,
    },
}

impl Default for Overcommit {
    fn default() -> Self {
        Overcommit::Heuristic {
            total_pages: u64::MAX,
        }
    }
}

/// Resource limits in bytes; `u64::MAX` is infinity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Limits {
    /// RLIMIT_AS: all of the address space.
    pub as_bytes: u64,
    /// RLIMIT_DATA: brk and private writable memory.
    pub data_bytes: u64,
    /// RLIMIT_STACK: each growing VMA.
    pub stack_bytes: u64,
    /// RLIMIT_MEMLOCK.
    pub memlock_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            as_bytes: u64::MAX,
            data_bytes: u64::MAX,
            stack_bytes: 8 << 20,
            memlock_bytes: 8 << 20,
        }
    }
}

/// Capabilities that memory calls ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Capabilities {
    /// CAP_IPC_LOCK: no lock limit.
    pub ipc_lock: bool,
    /// CAP_SYS_RAWIO: may map below mmap_min_addr.
    pub sys_rawio: bool,
    /// CAP_SYS_RESOURCE: PR_SET_MM.
    pub sys_resource: bool,
    /// CAP_SYS_ADMIN: MADV_HWPOISON.
    pub sys_admin: bool,
}

impl Capabilities {
    /// All of them.
    pub const ALL: Capabilities = Capabilities {
        ipc_lock: true,
        sys_rawio: true,
        sys_resource: true,
        sys_admin: true,
    };
}
