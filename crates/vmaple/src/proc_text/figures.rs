//! What only the embedder knows: how many pages of a mapping are there, and of which kind.
//!
//! The address space has no pages, so it cannot count them, and it never writes a zero that
//! nobody counted: where the embedder gives no figures, their lines are left out.

use super::entry::MapsEntry;

/// The page figures of one mapping as smaps shows them, in bytes.
///
/// Shares (`pss` and the like) may be cut to whole bytes; a rollup adds them up before it cuts
/// them to kilobytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PageFigures {
    /// Present pages.
    pub rss: u64,
    /// Present pages, each divided by the number of its users.
    pub pss: u64,
    /// The dirty part of `pss`.
    pub pss_dirty: u64,
    /// The part of `pss` that is anonymous memory; only a rollup shows it.
    pub pss_anon: u64,
    /// The part of `pss` that is files; only a rollup shows it.
    pub pss_file: u64,
    /// The part of `pss` that is shared memory; only a rollup shows it.
    pub pss_shmem: u64,
    /// Clean pages with several users.
    pub shared_clean: u64,
    /// Dirty pages with several users.
    pub shared_dirty: u64,
    /// Clean pages with one user.
    pub private_clean: u64,
    /// Dirty pages with one user.
    pub private_dirty: u64,
    /// Pages marked as accessed.
    pub referenced: u64,
    /// Pages that belong to no file.
    pub anonymous: u64,
    /// Pages merged by same-page merging.
    pub ksm: u64,
    /// Pages given up with MADV_FREE.
    pub lazy_free: u64,
    /// Anonymous memory in huge pages.
    pub anon_huge: u64,
    /// Shared memory mapped by huge pages.
    pub shmem_pmd_mapped: u64,
    /// Files mapped by huge pages.
    pub file_pmd_mapped: u64,
    /// hugetlb pages with several users.
    pub shared_hugetlb: u64,
    /// hugetlb pages with one user.
    pub private_hugetlb: u64,
    /// Pages swapped out.
    pub swap: u64,
    /// Pages swapped out, each divided by the number of its users.
    pub swap_pss: u64,
    /// The part of `pss` that is locked. Linux counts the whole `pss` of a locked mapping and
    /// nothing of another; None does the same.
    pub locked: Option<u64>,
}

/// Gives the page figures of mappings.
pub trait PageProvider {
    /// The figures of the mapping; None if they are not known, and then no line shows them.
    ///
    /// Asked while the mapping is locked: it must not block, and answer the same when asked twice.
    fn figures(&mut self, entry: &MapsEntry<'_>) -> Option<PageFigures>;
}

/// The memory policy and page counts of one mapping as numa_maps shows them, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NumaFigures<'a> {
    /// The policy, such as `default` or `bind:0-1`.
    pub policy: &'a str,
    /// Pages that belong to no file.
    pub anon: u64,
    /// Dirty pages.
    pub dirty: u64,
    /// The most users that one page has.
    pub map_max: u64,
    /// Pages in the swap cache.
    pub swap_cache: u64,
    /// Pages on the active list.
    pub active: u64,
    /// Pages being written out.
    pub writeback: u64,
    /// Present pages, by node.
    pub nodes: &'a [u64],
}

/// Gives the figures of numa_maps.
pub trait NumaProvider {
    /// The figures of the mapping; None if they are not known: the mapping has no line then,
    /// because a line begins with the policy.
    ///
    /// Asked under the same terms as [`PageProvider::figures`].
    fn numa(&mut self, entry: &MapsEntry<'_>) -> Option<NumaFigures<'_>>;
}

/// Knows no figures: what is shown is what the address space itself knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFigures;

impl PageProvider for NoFigures {
    fn figures(&mut self, _: &MapsEntry<'_>) -> Option<PageFigures> {
        None
    }
}

impl<P: PageProvider + ?Sized> PageProvider for &mut P {
    fn figures(&mut self, entry: &MapsEntry<'_>) -> Option<PageFigures> {
        (**self).figures(entry)
    }
}

impl<P: NumaProvider + ?Sized> NumaProvider for &mut P {
    fn numa(&mut self, entry: &MapsEntry<'_>) -> Option<NumaFigures<'_>> {
        (**self).numa(entry)
    }
}

impl PageFigures {
    /// The figure that smaps and smaps_rollup show under this name, such as `Private_Dirty`; None
    /// for a name that is no page figure.
    ///
    /// ```
    /// let mut figures = vmaple::PageFigures::default();
    /// *figures.named("Rss").unwrap() = 8192;
    /// assert_eq!(figures.rss, 8192);
    /// ```
    pub fn named(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "Rss" => &mut self.rss,
            "Pss" => &mut self.pss,
            "Pss_Dirty" => &mut self.pss_dirty,
            "Pss_Anon" => &mut self.pss_anon,
            "Pss_File" => &mut self.pss_file,
            "Pss_Shmem" => &mut self.pss_shmem,
            "Shared_Clean" => &mut self.shared_clean,
            "Shared_Dirty" => &mut self.shared_dirty,
            "Private_Clean" => &mut self.private_clean,
            "Private_Dirty" => &mut self.private_dirty,
            "Referenced" => &mut self.referenced,
            "Anonymous" => &mut self.anonymous,
            "KSM" => &mut self.ksm,
            "LazyFree" => &mut self.lazy_free,
            "AnonHugePages" => &mut self.anon_huge,
            "ShmemPmdMapped" => &mut self.shmem_pmd_mapped,
            "FilePmdMapped" => &mut self.file_pmd_mapped,
            "Shared_Hugetlb" => &mut self.shared_hugetlb,
            "Private_Hugetlb" => &mut self.private_hugetlb,
            "Swap" => &mut self.swap,
            "SwapPss" => &mut self.swap_pss,
            "Locked" => self.locked.get_or_insert(0),
            _ => return None,
        })
    }

    /// The locked part: as told, or all of `pss` where the mapping is locked.
    pub(crate) fn locked_in(&self, entry: &MapsEntry<'_>) -> u64 {
        self.locked.unwrap_or_else(|| {
            let is_locked = entry.flags.contains(crate::VmFlags::LOCKED);
            if is_locked { self.pss } else { 0 }
        })
    }

    /// Adds the figures of another mapping.
    pub(crate) fn add(&mut self, other: &PageFigures) {
        let PageFigures {
            rss,
            pss,
            pss_dirty,
            pss_anon,
            pss_file,
            pss_shmem,
            shared_clean,
            shared_dirty,
            private_clean,
            private_dirty,
            referenced,
            anonymous,
            ksm,
            lazy_free,
            anon_huge,
            shmem_pmd_mapped,
            file_pmd_mapped,
            shared_hugetlb,
            private_hugetlb,
            swap,
            swap_pss,
            locked,
        } = other;
        let pairs = [
            (&mut self.rss, rss),
            (&mut self.pss, pss),
            (&mut self.pss_dirty, pss_dirty),
            (&mut self.pss_anon, pss_anon),
            (&mut self.pss_file, pss_file),
            (&mut self.pss_shmem, pss_shmem),
            (&mut self.shared_clean, shared_clean),
            (&mut self.shared_dirty, shared_dirty),
            (&mut self.private_clean, private_clean),
            (&mut self.private_dirty, private_dirty),
            (&mut self.referenced, referenced),
            (&mut self.anonymous, anonymous),
            (&mut self.ksm, ksm),
            (&mut self.lazy_free, lazy_free),
            (&mut self.anon_huge, anon_huge),
            (&mut self.shmem_pmd_mapped, shmem_pmd_mapped),
            (&mut self.file_pmd_mapped, file_pmd_mapped),
            (&mut self.shared_hugetlb, shared_hugetlb),
            (&mut self.private_hugetlb, private_hugetlb),
            (&mut self.swap, swap),
            (&mut self.swap_pss, swap_pss),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(*more);
        }
        let locked = self.locked.unwrap_or(0).saturating_add(locked.unwrap_or(0));
        self.locked = Some(locked);
    }
}
