//! Facts of the machine that hold for every process: page size, kernel release, limits and
//! switches of the memory manager, and what this kernel was built with.
//!
//! Files that may not be read give the kernel's default; the features are probed by asking
//! the kernel in our own process, on a page of our own.

use std::path::Path;
use std::str::FromStr;

use nix::errno::Errno;
use nix::unistd::{Pid, SysconfVar, sysconf};
use vmaple::{HugePool, HugePools};

use super::ioctl::{self, ScratchPage};
use super::{Error, MalformedText};

/// Major and minor number of a kernel release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelRelease {
    /// For example 6.
    pub major: u32,
    /// For example 18.
    pub minor: u32,
}

impl FromStr for KernelRelease {
    type Err = MalformedText;

    /// Reads `major.minor` at the beginning of a release such as `6.18.44-cloud`.
    fn from_str(text: &str) -> Result<KernelRelease, MalformedText> {
        let mut parts = text.split(|c: char| !c.is_ascii_digit());
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        let malformed =
            || MalformedText::new("osrelease", 1, "no major.minor number", text.as_bytes());
        Ok(KernelRelease {
            major: number().ok_or_else(malformed)?,
            minor: number().ok_or_else(malformed)?,
        })
    }
}

/// When the kernel uses transparent huge pages for anonymous memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThpMode {
    /// Everywhere.
    Always,
    /// Where `MADV_HUGEPAGE` asks for them.
    Madvise,
    /// Nowhere.
    Never,
    /// The kernel is built without them.
    Absent,
}

/// Settings of transparent huge pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thp {
    /// For anonymous memory.
    pub mode: ThpMode,
    /// Size of one, bytes; `None` where absent.
    pub pmd_size: Option<u64>,
    /// Whether reading untouched memory may map the huge zero page.
    pub use_zero_page: bool,
}

/// `vm.overcommit_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OvercommitSettings {
    /// 0 heuristic, 1 always, 2 never.
    pub policy: u32,
    /// Share of memory that may be committed under policy 2, percent.
    pub ratio_percent: u32,
    /// The same as an absolute value, bytes; 0 means that the ratio is used.
    pub limit_bytes: u64,
}

/// What the kernel is built with and the processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelFeatures {
    /// `prctl(PR_SET_VMA_ANON_NAME)`.
    pub anon_vma_name: bool,
    /// `mseal`.
    pub mseal: bool,
    /// Protection keys.
    pub pkeys: bool,
    /// `madvise(MADV_MERGEABLE)`.
    pub ksm: bool,
    /// `madvise(MADV_HUGEPAGE)`.
    pub thp: bool,
    /// `madvise(MADV_GUARD_INSTALL)`.
    pub guard_regions: bool,
    /// `userfaultfd`.
    pub userfaultfd: bool,
}

/// The facts of the machine, read once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Size of a small page, bytes.
    pub page_size: u64,
    /// KernelRelease of the running kernel.
    pub release: KernelRelease,
    /// `vm.max_map_count`: mappings per process.
    pub max_map_count: u64,
    /// `vm.overcommit_*`.
    pub overcommit: OvercommitSettings,
    /// `vm.mmap_min_addr`, bytes.
    pub mmap_min_addr: u64,
    /// Gap below a growing stack, pages (`stack_guard_gap=` of the kernel's command line).
    pub stack_guard_gap_pages: u64,
    /// `vm.legacy_va_layout`: bottom-up placement for all.
    pub legacy_va_layout: bool,
    /// `kernel.randomize_va_space`: 0 off, 1 without the heap, 2 all.
    pub randomize_va_space: u32,
    /// Transparent huge pages.
    pub thp: Thp,
    /// Huge pages that can be asked for by name.
    pub huge_pages: HugePools,
    /// Probed features.
    pub features: KernelFeatures,
}

impl Machine {
    /// Reads and probes everything. Cost: below 1 ms; call it once.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the kernel's release cannot be understood, [`Error::Io`] if a
    /// page for the probes cannot be mapped. Unreadable settings give defaults.
    pub fn read() -> Result<Machine, Error> {
        let page_size = page_size();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
        let release = release.map_err(|source| Error::of(Pid::this(), "osrelease", source))?;
        let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
        Ok(Machine {
            page_size,
            release: release.parse()?,
            max_map_count: setting("vm/max_map_count", 65530),
            overcommit: OvercommitSettings {
                policy: setting("vm/overcommit_memory", 0),
                ratio_percent: setting("vm/overcommit_ratio", 50),
                limit_bytes: setting::<u64>("vm/overcommit_kbytes", 0).saturating_mul(1024),
            },
            mmap_min_addr: setting("vm/mmap_min_addr", 65536),
            stack_guard_gap_pages: stack_guard_gap(&command_line).unwrap_or(256),
            legacy_va_layout: setting("vm/legacy_va_layout", 0) != 0,
            randomize_va_space: setting("kernel/randomize_va_space", 2),
            thp: read_thp(Path::new("/sys/kernel/mm/transparent_hugepage")),
            huge_pages: read_huge_pages(Path::new("/sys/kernel/mm/hugepages")),
            features: probe_features(page_size)?,
        })
    }
}

/// Size of a small page of this machine, bytes.
#[must_use]
pub fn page_size() -> u64 {
    sysconf(SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| size.try_into().ok())
        .unwrap_or(4096)
}

/// The pools below `/sys/kernel/mm/hugepages`: a folder for each size. The default size is what
/// `/proc/meminfo` says.
fn read_huge_pages(folder: &Path) -> HugePools {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let default = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("Hugepagesize:"));
    let mut found = HugePools {
        default_size: default.map_or(0, kibibytes),
        pools: [HugePool::default(); 4],
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for (slot, entry) in found.pools.iter_mut().zip(entries) {
        let number = |name: &str| number_in::<u64>(&entry.path().join(name)).unwrap_or(0);
        let on_demand =
            number("nr_overcommit_hugepages").saturating_sub(number("surplus_hugepages"));
        let free = number("free_hugepages").saturating_sub(number("resv_hugepages"));
        let name = entry.file_name();
        let size = name
            .to_str()
            .and_then(|name| name.strip_prefix("hugepages-"));
        *slot = HugePool {
            page_size: size.map_or(0, kibibytes),
            available_pages: free.saturating_add(on_demand),
        };
    }
    found
}

/// A size such as `2048 kB`, in bytes; 0 where it is none.
fn kibibytes(text: &str) -> u64 {
    let number = text.trim().trim_end_matches("kB").trim_end();
    number.parse::<u64>().map_or(0, |size| size << 10)
}

/// A number below /proc/sys, or the default.
fn setting<T: FromStr>(path: &str, default: T) -> T {
    number_in(&Path::new("/proc/sys").join(path)).unwrap_or(default)
}

fn number_in<T: FromStr>(path: &Path) -> Option<T> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The last `stack_guard_gap=` of a kernel command line, pages.
fn stack_guard_gap(command_line: &str) -> Option<u64> {
    let values = command_line.split_whitespace();
    let mut values = values.filter_map(|word| word.strip_prefix("stack_guard_gap="));
    values.next_back()?.parse().ok()
}

fn read_thp(folder: &Path) -> Thp {
    let mode = match std::fs::read_to_string(folder.join("enabled")) {
        Ok(text) => chosen_mode(&text),
        Err(_) => ThpMode::Absent,
    };
    Thp {
        mode,
        pmd_size: number_in(&folder.join("hpage_pmd_size")),
        use_zero_page: number_in(&folder.join("use_zero_page")).unwrap_or(1_u8) != 0,
    }
}

/// The bracketed word of a setting such as `always [madvise] never`.
fn chosen_mode(text: &str) -> ThpMode {
    let chosen = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    match chosen.map(|(word, _)| word) {
        Some("always") => ThpMode::Always,
        Some("madvise") => ThpMode::Madvise,
        _ => ThpMode::Never,
    }
}

fn probe_features(page_size: u64) -> Result<KernelFeatures, Error> {
    let no_page = |errno| Error::of_errno(Pid::this(), "a page for probing the kernel", errno);
    let len = usize::try_from(page_size).unwrap_or(4096);
    let scratch = ScratchPage::anonymous(len).map_err(no_page)?;
    let pages = ScratchPage::anonymous(len).map_err(no_page)?;
    Ok(KernelFeatures {
        anon_vma_name: scratch.set_anon_name(c"probe").is_ok(),
        mseal: ioctl::mseal_nothing().is_ok(),
        pkeys: ioctl::pkey_alloc_and_free().is_ok(),
        ksm: pages.advise(libc::MADV_MERGEABLE).is_ok(),
        thp: pages.advise(libc::MADV_HUGEPAGE).is_ok(),
        guard_regions: pages.advise(MADV_GUARD_INSTALL).is_ok(),
        // Compiled in, though perhaps forbidden to us.
        userfaultfd: !matches!(ioctl::userfaultfd_open(), Err(Errno::ENOSYS)),
    })
}

/// Linux 6.13.
const MADV_GUARD_INSTALL: i32 = 102;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_many_shapes() {
        let release = |text: &str| text.parse::<KernelRelease>().map(|r| (r.major, r.minor));
        assert_eq!(release("6.18.44-fc\n"), Ok((6, 18)));
        assert_eq!(release("7.0-rc1"), Ok((7, 0)));
        assert_eq!(release("5.15"), Ok((5, 15)));
        assert!(release("6").is_err());
        assert!(release("six.one").is_err());
    }

    #[test]
    fn the_last_guard_gap_counts() {
        assert_eq!(
            stack_guard_gap("quiet stack_guard_gap=1 x stack_guard_gap=512"),
            Some(512)
        );
        assert_eq!(stack_guard_gap("quiet"), None);
        assert_eq!(stack_guard_gap("stack_guard_gap=many"), None);
    }

    #[test]
    fn the_bracketed_word_is_chosen() {
        assert_eq!(chosen_mode("always [madvise] never\n"), ThpMode::Madvise);
        assert_eq!(chosen_mode("[always] madvise never\n"), ThpMode::Always);
        assert_eq!(chosen_mode("always madvise [never]\n"), ThpMode::Never);
        assert_eq!(read_thp(Path::new("/nowhere")).mode, ThpMode::Absent);
    }
}
