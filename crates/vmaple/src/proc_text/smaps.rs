//! The texts of `/proc/PID/smaps` and `smaps_rollup`.
//!
//! What the address space knows is written from the VMA: size, page sizes, flags, whether huge
//! pages may be used. What it does not know, the embedder gives ([`PageProvider`]); what nobody
//! gives is left out.

use super::buffer::{Sink, TextBuffer};
use super::entry::{MappingName, MapsEntry, write_bytes};
use super::figures::{PageFigures, PageProvider};
use super::line::{put_decimal, put_line};
use super::reader::VmaFormat;
use super::shmem_huge::ShmemHuge;
use crate::addr::AddrRange;
use crate::file::FileKind;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::vma::{Backing, Vma};
use alloc::vec::Vec;
use core::fmt;
use vmaple_locks::Environment;

/// When the kernel uses huge pages by itself, as `/sys/kernel/mm/transparent_hugepage` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ThpEnabled {
    /// Nowhere.
    Never,
    /// Where MADV_HUGEPAGE asked for them.
    #[default]
    Madvise,
    /// Everywhere.
    Always,
}

/// What the lines of smaps depend on beside the VMA and its pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SmapsRules {
    /// Page size in bytes.
    pub page_size: u64,
    /// Size of a huge page in bytes; none where the kernel has no huge pages.
    pub huge_size: Option<u64>,
    /// For anonymous memory (`enabled`).
    pub anonymous: ThpEnabled,
    /// For shared memory (`shmem_enabled`).
    pub shared_memory: ShmemHuge,
    /// Whether the processor has protection keys: then each mapping shows its own.
    pub has_pkeys: bool,
}

/// Width of the figures' column.
const VALUE_WIDTH: usize = 8;
/// Width of a label with its blanks.
const LABEL_WIDTH: usize = 16;

impl SmapsRules {
    /// The rules of an address space, with huge pages used as `anonymous` and `shared_memory` say.
    #[must_use]
    pub fn of<E: Environment>(
        mm: &Mm<E>,
        anonymous: ThpEnabled,
        shared_memory: ShmemHuge,
    ) -> SmapsRules {
        let features = &mm.config.features;
        SmapsRules {
            page_size: mm.config.page_size,
            huge_size: features.thp.then_some(mm.config.thp.pmd_size),
            anonymous,
            shared_memory,
            has_pkeys: features.pkeys,
        }
    }

    /// Whether the kernel may put a huge page into the mapping.
    ///
    /// Compared with Linux 6.18 for anonymous memory and shared memory under each setting. A tmpfs
    /// that is mounted (`/dev/shm`) has an option of its own, `huge=`; it is taken to be the
    /// default, never ([`MappedFile::is_on_mount`](crate::MappedFile::is_on_mount)).
    #[must_use]
    #[doc(alias = "THPeligible")]
    pub fn is_thp_eligible(&self, vma: &Vma) -> bool {
        let flags = vma.flags;
        let Some(huge) = self.huge_size else {
            return false;
        };
        let never = VmFlags::SPECIAL | VmFlags::HUGETLB | VmFlags::NOHUGEPAGE;
        if flags.intersects(never) {
            return false;
        }
        if !vma.is_anonymous() {
            let Backing::File(file) = &vma.backing else {
                return false;
            };
            let is_shared = matches!(file.kind(), FileKind::SharedMemory | FileKind::SystemV);
            let rules = &self.shared_memory;
            return is_shared && rules.permits(vma, &**file, huge, self.page_size);
        }
        if !fits_huge_page(vma, huge, self.page_size) {
            return false;
        }
        match self.anonymous {
            ThpEnabled::Never => false,
            ThpEnabled::Madvise => flags.contains(VmFlags::HUGEPAGE),
            ThpEnabled::Always => true,
        }
    }
}

/// Whether a huge page, aligned in memory and in the file, lies wholly within the mapping.
pub(super) fn fits_huge_page(vma: &Vma, huge: u64, page_size: u64) -> bool {
    let first = vma.start.checked_next_multiple_of(huge);
    let fits = first.is_some_and(|first| first < vma.end && vma.end - first >= huge);
    let shift = page_size.trailing_zeros();
    let in_file = vma.pgoff.wrapping_sub(vma.start >> shift) & ((huge >> shift) - 1);
    fits && (vma.is_anonymous() || in_file == 0)
}

/// `Label:` and blanks, a right-aligned number of kilobytes.
fn put_kilobytes(label: &str, bytes: u64, out: &mut impl Sink) {
    put_label(label, out);
    put_decimal(bytes / 1024, VALUE_WIDTH, out);
    out.put(b" kB\n");
}

fn put_label(label: &str, out: &mut impl Sink) {
    out.put(label.as_bytes());
    out.put(b":");
    for _ in label.len() + 1..LABEL_WIDTH {
        out.put(b" ");
    }
}

/// A blank, and a small number with blanks up to the column where kilobytes end.
fn put_number(label: &str, value: u64, out: &mut impl Sink) {
    put_label(label, out);
    put_decimal(value, VALUE_WIDTH, out);
    out.put(b"\n");
}

/// The lines from `Rss` on.
fn put_figures(entry: &MapsEntry<'_>, figures: &PageFigures, rollup: bool, out: &mut impl Sink) {
    let f = figures;
    put_kilobytes("Rss", f.rss, out);
    put_kilobytes("Pss", f.pss, out);
    put_kilobytes("Pss_Dirty", f.pss_dirty, out);
    if rollup {
        put_kilobytes("Pss_Anon", f.pss_anon, out);
        put_kilobytes("Pss_File", f.pss_file, out);
        put_kilobytes("Pss_Shmem", f.pss_shmem, out);
    }
    put_kilobytes("Shared_Clean", f.shared_clean, out);
    put_kilobytes("Shared_Dirty", f.shared_dirty, out);
    put_kilobytes("Private_Clean", f.private_clean, out);
    put_kilobytes("Private_Dirty", f.private_dirty, out);
    put_kilobytes("Referenced", f.referenced, out);
    put_kilobytes("Anonymous", f.anonymous, out);
    put_kilobytes("KSM", f.ksm, out);
    put_kilobytes("LazyFree", f.lazy_free, out);
    put_kilobytes("AnonHugePages", f.anon_huge, out);
    put_kilobytes("ShmemPmdMapped", f.shmem_pmd_mapped, out);
    put_kilobytes("FilePmdMapped", f.file_pmd_mapped, out);
    put_kilobytes("Shared_Hugetlb", f.shared_hugetlb, out);
    put_kilobytes("Private_Hugetlb", f.private_hugetlb, out);
    put_kilobytes("Swap", f.swap, out);
    put_kilobytes("SwapPss", f.swap_pss, out);
    put_kilobytes("Locked", f.locked_in(entry), out);
}

/// The text of smaps for [`MapsReader`](crate::MapsReader).
#[derive(Clone, Debug)]
pub struct SmapsFormat<P> {
    rules: SmapsRules,
    provider: P,
}

impl<P: PageProvider> SmapsFormat<P> {
    /// Smaps by these rules, with the figures of `provider`.
    #[must_use]
    pub fn new(rules: SmapsRules, provider: P) -> SmapsFormat<P> {
        SmapsFormat { rules, provider }
    }

    fn put_to(&mut self, entry: &MapsEntry<'_>, vma: Option<&Vma>, out: &mut impl Sink) {
        put_line(entry, out);
        put_kilobytes("Size", entry.range.len(), out);
        put_kilobytes("KernelPageSize", self.rules.page_size, out);
        put_kilobytes("MMUPageSize", self.rules.page_size, out);
        if let Some(figures) = self.provider.figures(entry) {
            put_figures(entry, &figures, false, out);
        }
        let eligible = vma.is_some_and(|vma| self.rules.is_thp_eligible(vma));
        put_number("THPeligible", u64::from(eligible), out);
        if self.rules.has_pkeys {
            put_number("ProtectionKey", u64::from(entry.flags.pkey()), out);
        }
        out.put(b"VmFlags: ");
        for word in entry.flags.mnemonic_words() {
            out.put(word.as_bytes());
            out.put(b" ");
        }
        out.put(b"\n");
    }
}

impl<P: PageProvider> VmaFormat for SmapsFormat<P> {
    fn put(&mut self, entry: &MapsEntry<'_>, vma: Option<&Vma>, out: &mut TextBuffer<'_>) {
        self.put_to(entry, vma, out);
    }
}

/// Why there is no rollup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RollupError {
    /// The figures of this mapping are not known, so there is no sum.
    Unknown(AddrRange),
    /// The text could not be written.
    Write,
}

impl fmt::Display for RollupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RollupError::Unknown(range) => write!(f, "no page figures of {range}"),
            RollupError::Write => f.write_str("the text could not be written"),
        }
    }
}

impl core::error::Error for RollupError {}

impl<E: Environment> Mm<E> {
    /// Writes the text of `/proc/PID/smaps`, with the page figures of `provider`.
    ///
    /// Where the provider knows no figures, the lines from `Rss` to `Locked` are left out.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// ```
    /// use vmaple::{Mm, MmConfig, MmapArgs, NoFigures, ShmemHuge, SmapsRules, ThpEnabled};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// mm.mmap(&MmapArgs::anonymous(0x10000, 0x3000, 3, 0x32)).unwrap();
    /// let rules = SmapsRules::of(&mm, ThpEnabled::Madvise, ShmemHuge::default());
    /// let mut text = String::new();
    /// mm.write_smaps(rules, &mut NoFigures, &mut text).unwrap();
    /// assert!(text.contains("Size:                 12 kB\n"));
    /// assert!(text.ends_with("VmFlags: rd wr mr mw me ac \n") && !text.contains("Rss"));
    /// ```
    pub fn write_smaps(
        &self,
        rules: SmapsRules,
        provider: &mut impl PageProvider,
        out: &mut impl fmt::Write,
    ) -> fmt::Result {
        let mut format = SmapsFormat::new(rules, provider);
        let mut text = Vec::with_capacity(1024);
        for vma in self.iter() {
            text.clear();
            format.put_to(&self.maps_line(vma), Some(vma), &mut text);
            write_bytes(&text, out)?;
        }
        if let Some(gate) = &self.gate {
            text.clear();
            format.put_to(&MapsEntry::of_gate(gate), None, &mut text);
            write_bytes(&text, out)?;
        }
        Ok(())
    }

    /// Writes the text of `/proc/PID/smaps_rollup`: one range from the first to the last mapping
    /// with the sums of the figures of all. Nothing is written for an empty address space.
    ///
    /// # Errors
    /// [`RollupError::Unknown`] where the provider does not know the figures of a mapping, and
    /// nothing is written then; [`RollupError::Write`] for errors of `out`.
    #[doc(alias = "smaps_rollup")]
    pub fn write_smaps_rollup(
        &self,
        provider: &mut impl PageProvider,
        out: &mut impl fmt::Write,
    ) -> Result<(), RollupError> {
        let mut sum = PageFigures::default();
        let mut whole: Option<AddrRange> = None;
        for vma in self.iter() {
            let entry = self.maps_line(vma);
            let figures = provider.figures(&entry);
            let mut figures = figures.ok_or(RollupError::Unknown(entry.range))?;
            figures.locked = Some(figures.locked_in(&entry));
            sum.add(&figures);
            let start = whole.map_or(vma.start, |whole| whole.start);
            whole = Some(AddrRange::new(start, vma.end));
        }
        let Some(range) = whole else {
            return Ok(());
        };
        let entry = MapsEntry {
            range,
            flags: VmFlags::empty(),
            offset: 0,
            device: crate::Device::default(),
            inode: 0,
            name: MappingName::Special("[rollup]"),
        };
        let mut text = Vec::with_capacity(1024);
        put_line(&entry, &mut text);
        put_figures(&entry, &sum, true, &mut text);
        write_bytes(&text, out).map_err(|fmt::Error| RollupError::Write)
    }
}

#[cfg(test)]
mod tests {
    use super::super::shmem_huge::ShmemEnabled;
    use super::*;
    use crate::file::SharedZero;
    use crate::{FileId, MmConfig};
    use alloc::sync::Arc;

    const HUGE: u64 = 2 << 20;

    fn rules(enabled: ThpEnabled) -> SmapsRules {
        let mm = Mm::new(MmConfig::x86_64());
        SmapsRules::of(&mm, enabled, ShmemHuge::of(ShmemEnabled::Always))
    }

    fn anonymous(start: u64, len: u64, flags: VmFlags) -> Vma {
        let range = AddrRange::new(start, start + len);
        Vma::new(range, flags, start >> 12, Backing::Anonymous)
    }

    fn shared(start: u64, pgoff: u64) -> Vma {
        let object = SharedZero {
            id: FileId(1),
            inode: 1,
            len: 4 * HUGE,
        };
        let range = AddrRange::new(start, start + 2 * HUGE);
        Vma::new(range, VmFlags::READ, pgoff, Backing::File(Arc::new(object)))
    }

    #[test]
    fn a_huge_page_has_to_fit_and_to_be_wanted() {
        let wanted = VmFlags::READ | VmFlags::HUGEPAGE;
        let unwanted = VmFlags::READ | VmFlags::NOHUGEPAGE;
        for (enabled, flags, expected) in [
            (ThpEnabled::Never, wanted, false),
            (ThpEnabled::Madvise, wanted, true),
            (ThpEnabled::Madvise, VmFlags::READ, false),
            (ThpEnabled::Always, VmFlags::READ, true),
            (ThpEnabled::Always, unwanted, false),
            (ThpEnabled::Always, VmFlags::READ | VmFlags::PFNMAP, false),
        ] {
            let rules = rules(enabled);
            let eligible = |start, len| rules.is_thp_eligible(&anonymous(start, len, flags));
            assert_eq!(eligible(HUGE, HUGE), expected, "{enabled:?} {flags:?}");
            assert!(!eligible(HUGE, HUGE - 4096) && !eligible(HUGE - 4096, HUGE + 4096 - 1));
            assert_eq!(eligible(HUGE - 4096, HUGE + 4096), expected);
        }
    }

    #[test]
    fn a_huge_page_of_an_object_is_aligned_in_it_too() {
        let rules = rules(ThpEnabled::Always);
        let pages = HUGE >> 12;
        assert!(rules.is_thp_eligible(&shared(HUGE, 0)));
        assert!(rules.is_thp_eligible(&shared(HUGE, pages)));
        assert!(rules.is_thp_eligible(&shared(HUGE + 4096, 1)));
        assert!(!rules.is_thp_eligible(&shared(HUGE, 1)));
        assert!(!rules.is_thp_eligible(&shared(HUGE + 4096, 0)));
    }

    #[test]
    fn protection_keys_are_shown_where_there_are_any() {
        let mut config = MmConfig::x86_64();
        config.features.pkeys = true;
        let vma = anonymous(HUGE, 4096, VmFlags::READ.with_pkey(5));
        let mm = Mm::seed(config, crate::BrkArea::default(), [vma], None).unwrap();
        let rules = SmapsRules::of(&mm, ThpEnabled::Never, ShmemHuge::default());
        let mut text = alloc::string::String::new();
        mm.write_smaps(rules, &mut crate::NoFigures, &mut text)
            .unwrap();
        let end = "THPeligible:           0\nProtectionKey:         5\nVmFlags: rd \n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn there_is_no_sum_of_what_is_not_known() {
        let vma = anonymous(HUGE, 4096, VmFlags::READ);
        let areas = crate::BrkArea::default();
        let mm = Mm::seed(MmConfig::x86_64(), areas, [vma], None).unwrap();
        let mut text = alloc::string::String::new();
        let rollup = mm.write_smaps_rollup(&mut crate::NoFigures, &mut text);
        let range = AddrRange::new(HUGE, HUGE + 4096);
        assert_eq!(rollup, Err(RollupError::Unknown(range)));
        assert!(text.is_empty());
    }
}
