//! Flag sets: of a VMA, and of the system calls' `prot` and `flags` arguments.

use bitflags::bitflags;
use core::fmt;

bitflags! {
    /// What a VMA is and permits; the two-letter names of the `VmFlags` line of
    /// `/proc/PID/smaps` stand in brackets.
    ///
    /// The bits stand in the order in which smaps prints them.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    #[doc(alias = "vm_flags_t")]
    pub struct VmFlags: u64 {
        /// Pages may be read (rd).
        const READ = 1;
        /// Pages may be written (wr).
        const WRITE = 1 << 1;
        /// Pages may be executed (ex).
        const EXEC = 1 << 2;
        /// Writes reach the file (sh). Unset for a shared mapping of a read-only descriptor.
        const SHARED = 1 << 3;
        /// `mprotect` may set READ (mr).
        const MAYREAD = 1 << 4;
        /// `mprotect` may set WRITE (mw).
        const MAYWRITE = 1 << 5;
        /// `mprotect` may set EXEC (me).
        const MAYEXEC = 1 << 6;
        /// Mapped with MAP_SHARED (ms): the `s` of the maps line.
        const MAYSHARE = 1 << 7;
        /// Grows downwards on a fault below it, as stacks do (gd).
        const GROWSDOWN = 1 << 8;
        /// userfaultfd: missing pages are reported (um).
        const UFFD_MISSING = 1 << 9;
        /// Pages without `struct page` (pf).
        const PFNMAP = 1 << 10;
        /// May hold guard regions made by MADV_GUARD_INSTALL (gu).
        const MAYBE_GUARD = 1 << 11;
        /// userfaultfd: writes to protected pages are reported (uw).
        const UFFD_WP = 1 << 12;
        /// Locked in memory (lo).
        const LOCKED = 1 << 13;
        /// Memory-mapped device (io).
        const IO = 1 << 14;
        /// MADV_SEQUENTIAL (sr).
        const SEQ_READ = 1 << 15;
        /// MADV_RANDOM (rr).
        const RAND_READ = 1 << 16;
        /// Not copied by fork (dc).
        const DONTCOPY = 1 << 17;
        /// Not expandable by mremap (de).
        const DONTEXPAND = 1 << 18;
        /// Pages are locked as they are faulted in (lf).
        const LOCKONFAULT = 1 << 19;
        /// Counted against the commit limit (ac).
        const ACCOUNT = 1 << 20;
        /// Not counted against the commit limit (nr).
        const NORESERVE = 1 << 21;
        /// Pages of a huge-page file system (ht).
        const HUGETLB = 1 << 22;
        /// Synchronous page faults, MAP_SYNC (sf).
        const SYNC = 1 << 23;
        /// The architecture's own flag (ar).
        const ARCH_1 = 1 << 24;
        /// Child of a fork sees zeroes (wf).
        const WIPEONFORK = 1 << 25;
        /// Not in core dumps (dd).
        const DONTDUMP = 1 << 26;
        /// Written since last cleared (sd), where the kernel tracks it.
        const SOFTDIRTY = 1 << 27;
        /// Holds pages with and without `struct page` (mm).
        const MIXEDMAP = 1 << 28;
        /// MADV_HUGEPAGE (hg).
        const HUGEPAGE = 1 << 29;
        /// MADV_NOHUGEPAGE or MAP_STACK (nh).
        const NOHUGEPAGE = 1 << 30;
        /// Candidate for same-page merging (mg).
        const MERGEABLE = 1 << 31;
        /// Protection key, bit 0.
        const PKEY_BIT0 = 1 << 32;
        /// Protection key, bit 1.
        const PKEY_BIT1 = 1 << 33;
        /// Protection key, bit 2.
        const PKEY_BIT2 = 1 << 34;
        /// Protection key, bit 3.
        const PKEY_BIT3 = 1 << 35;
        /// Shadow stack (ss).
        const SHADOW_STACK = 1 << 37;
        /// userfaultfd: minor faults are reported (ui).
        const UFFD_MINOR = 1 << 38;
        /// Pages may be dropped under memory pressure (dp).
        const DROPPABLE = 1 << 40;
        /// Sealed by mseal (sl).
        const SEALED = 1 << 42;
    }
}

impl VmFlags {
    /// READ, WRITE and EXEC: what `mprotect` changes.
    pub const ACCESS: VmFlags = VmFlags::READ.union(VmFlags::WRITE).union(VmFlags::EXEC);
    /// The permissions `mprotect` may hand out.
    pub const MAY_ACCESS: VmFlags = VmFlags::MAYREAD
        .union(VmFlags::MAYWRITE)
        .union(VmFlags::MAYEXEC);
    /// Mappings that never merge and cannot be locked.
    #[doc(alias = "VM_SPECIAL")]
    pub const SPECIAL: VmFlags = VmFlags::IO
        .union(VmFlags::DONTEXPAND)
        .union(VmFlags::PFNMAP)
        .union(VmFlags::MIXEDMAP);
    /// The two lock flags.
    pub const LOCKED_MASK: VmFlags = VmFlags::LOCKED.union(VmFlags::LOCKONFAULT);
    /// The protection key's bits.
    pub const PKEY_MASK: VmFlags = VmFlags::PKEY_BIT0
        .union(VmFlags::PKEY_BIT1)
        .union(VmFlags::PKEY_BIT2)
        .union(VmFlags::PKEY_BIT3);
    /// The userfaultfd modes.
    pub const UFFD_MASK: VmFlags = VmFlags::UFFD_MISSING
        .union(VmFlags::UFFD_WP)
        .union(VmFlags::UFFD_MINOR);

    /// Position of the protection key in the bits.
    const PKEY_SHIFT: u32 = 32;

    /// The protection key, 0..=15.
    ///
    /// ```
    /// use vmaple::VmFlags;
    /// assert_eq!(VmFlags::READ.with_pkey(5).pkey(), 5);
    /// ```
    #[must_use]
    pub const fn pkey(self) -> u8 {
        ((self.bits() & VmFlags::PKEY_MASK.bits()) >> Self::PKEY_SHIFT) as u8
    }

    /// The same flags with protection key `pkey` (only its low four bits count).
    #[must_use]
    pub const fn with_pkey(self, pkey: u8) -> VmFlags {
        let key = ((pkey & 15) as u64) << Self::PKEY_SHIFT;
        VmFlags::from_bits_retain((self.bits() & !VmFlags::PKEY_MASK.bits()) | key)
    }

    /// The MAY flags that permit the access flags set here.
    #[must_use]
    pub(crate) const fn access_as_may(self) -> VmFlags {
        VmFlags::from_bits_retain((self.bits() & VmFlags::ACCESS.bits()) << 4)
    }

    /// Whether the VMA can be touched at all.
    #[must_use]
    pub const fn is_accessible(self) -> bool {
        self.intersects(VmFlags::ACCESS)
    }

    /// Private and writable: a write fault makes anonymous pages.
    #[must_use]
    pub const fn is_private_writable(self) -> bool {
        self.contains(VmFlags::WRITE) && !self.contains(VmFlags::SHARED)
    }

    /// The two-letter names as smaps prints them, separated by blanks.
    ///
    /// Protection keys have none, as in smaps.
    ///
    /// ```
    /// use vmaple::VmFlags;
    /// let flags = VmFlags::READ | VmFlags::WRITE | VmFlags::MAYREAD | VmFlags::ACCOUNT;
    /// assert_eq!(flags.mnemonics().to_string(), "rd wr mr ac");
    /// ```
    #[must_use]
    pub fn mnemonics(self) -> Mnemonics {
        Mnemonics(self)
    }

    /// The same names one by one.
    pub(crate) fn mnemonic_words(self) -> impl Iterator<Item = &'static str> {
        let names = MNEMONICS
            .iter()
            .filter(move |(flag, _)| self.contains(*flag));
        names.map(|(_, name)| *name)
    }

    /// Reads the names of a `VmFlags:` line (without the label).
    ///
    /// # Errors
    /// An unknown name is returned in the error, cut to two bytes.
    ///
    /// ```
    /// use vmaple::VmFlags;
    /// let flags = VmFlags::from_mnemonics("rd ex mr mw me de sd ").unwrap();
    /// assert!(flags.contains(VmFlags::DONTEXPAND | VmFlags::SOFTDIRTY));
    /// assert!(VmFlags::from_mnemonics("rd zz").is_err());
    /// ```
    pub fn from_mnemonics(text: &str) -> Result<VmFlags, UnknownMnemonic> {
        let mut flags = VmFlags::empty();
        for word in text.split_ascii_whitespace() {
            let known = MNEMONICS.iter().find(|(_, name)| *name == word);
            let (flag, _) = known.ok_or_else(|| UnknownMnemonic::new(word))?;
            flags |= *flag;
        }
        Ok(flags)
    }
}

impl fmt::Debug for VmFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mnemonics())?;
        match self.pkey() {
            0 => Ok(()),
            key => write!(f, " pkey={key}"),
        }
    }
}

/// Names of the flags in ascending order of bits, which is smaps order.
const MNEMONICS: &[(VmFlags, &str)] = &[
    (VmFlags::READ, "rd"),
    (VmFlags::WRITE, "wr"),
    (VmFlags::EXEC, "ex"),
    (VmFlags::SHARED, "sh"),
    (VmFlags::MAYREAD, "mr"),
    (VmFlags::MAYWRITE, "mw"),
    (VmFlags::MAYEXEC, "me"),
    (VmFlags::MAYSHARE, "ms"),
    (VmFlags::GROWSDOWN, "gd"),
    (VmFlags::UFFD_MISSING, "um"),
    (VmFlags::PFNMAP, "pf"),
    (VmFlags::MAYBE_GUARD, "gu"),
    (VmFlags::UFFD_WP, "uw"),
    (VmFlags::LOCKED, "lo"),
    (VmFlags::IO, "io"),
    (VmFlags::SEQ_READ, "sr"),
    (VmFlags::RAND_READ, "rr"),
    (VmFlags::DONTCOPY, "dc"),
    (VmFlags::DONTEXPAND, "de"),
    (VmFlags::LOCKONFAULT, "lf"),
    (VmFlags::ACCOUNT, "ac"),
    (VmFlags::NORESERVE, "nr"),
    (VmFlags::HUGETLB, "ht"),
    (VmFlags::SYNC, "sf"),
    (VmFlags::ARCH_1, "ar"),
    (VmFlags::WIPEONFORK, "wf"),
    (VmFlags::DONTDUMP, "dd"),
    (VmFlags::SOFTDIRTY, "sd"),
    (VmFlags::MIXEDMAP, "mm"),
    (VmFlags::HUGEPAGE, "hg"),
    (VmFlags::NOHUGEPAGE, "nh"),
    (VmFlags::MERGEABLE, "mg"),
    (VmFlags::SHADOW_STACK, "ss"),
    (VmFlags::UFFD_MINOR, "ui"),
    (VmFlags::DROPPABLE, "dp"),
    (VmFlags::SEALED, "sl"),
];

/// Displays flags as smaps does; made by [`VmFlags::mnemonics`].
#[derive(Clone, Copy, Debug)]
pub struct Mnemonics(VmFlags);

impl fmt::Display for Mnemonics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (flag, name) in MNEMONICS {
            if self.0.contains(*flag) {
                f.write_str(separator)?;
                f.write_str(name)?;
                separator = " ";
            }
        }
        Ok(())
    }
}

/// A flag name that smaps prints and this crate does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownMnemonic {
    word: [u8; 2],
}

impl UnknownMnemonic {
    fn new(word: &str) -> UnknownMnemonic {
        let mut bytes = word.bytes().filter(u8::is_ascii_graphic);
        let mut next = || bytes.next().unwrap_or(b'?');
        UnknownMnemonic {
            word: [next(), next()],
        }
    }
}

impl fmt::Display for UnknownMnemonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.word.map(char::from);
        write!(f, "unknown VMA flag {first}{second}")
    }
}

impl core::error::Error for UnknownMnemonic {}

bitflags! {
    /// The `prot` argument of `mmap` and `mprotect`; unknown bits are kept.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct Prot: u64 {
        /// PROT_READ
        const READ = 1;
        /// PROT_WRITE
        const WRITE = 2;
        /// PROT_EXEC
        const EXEC = 4;
        /// PROT_SEM: accepted, no effect.
        const SEM = 8;
        /// PROT_GROWSDOWN: `mprotect` extends the range down to the start of a growing VMA.
        const GROWSDOWN = 0x0100_0000;
        /// PROT_GROWSUP: the same upwards.
        const GROWSUP = 0x0200_0000;
        const _ = !0;
    }
}

bitflags! {
    /// The `flags` argument of `mmap` on x86-64; unknown bits are kept.
    ///
    /// The four lowest bits are a number, the mapping type: see [`MapFlags::map_type`].
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct MapFlags: u64 {
        /// Type 1: writes reach the file.
        const SHARED = 1;
        /// Type 2: writes stay here.
        const PRIVATE = 2;
        /// Exactly at the address, replacing what is there.
        const FIXED = 0x10;
        /// Not of a file.
        const ANONYMOUS = 0x20;
        /// In the first 2 GiB.
        const BIT32 = 0x40;
        /// Above 4 GiB.
        const ABOVE4G = 0x80;
        /// Grows downwards.
        const GROWSDOWN = 0x100;
        /// Ignored.
        const DENYWRITE = 0x800;
        /// Ignored.
        const EXECUTABLE = 0x1000;
        /// Locked in memory.
        const LOCKED = 0x2000;
        /// Not counted against the commit limit.
        const NORESERVE = 0x4000;
        /// Fault the pages in.
        const POPULATE = 0x8000;
        /// With POPULATE: do not.
        const NONBLOCK = 0x1_0000;
        /// For a stack: no huge pages.
        const STACK = 0x2_0000;
        /// Of huge pages.
        const HUGETLB = 0x4_0000;
        /// Synchronous faults (needs SHARED_VALIDATE).
        const SYNC = 0x8_0000;
        /// Exactly at the address, failing if anything is there.
        const FIXED_NOREPLACE = 0x10_0000;
        /// Ignored where memory is always cleared.
        const UNINITIALIZED = 0x400_0000;
        const _ = !0;
    }
}

impl MapFlags {
    /// Type 3: as SHARED, unknown flags refused.
    pub const SHARED_VALIDATE: MapFlags = MapFlags::SHARED.union(MapFlags::PRIVATE);
    /// Type 8: private memory that may be dropped under pressure.
    pub const DROPPABLE: MapFlags = MapFlags::from_bits_retain(8);

    /// The mapping type: 1 shared, 2 private, 3 shared-validate, 8 droppable.
    ///
    /// ```
    /// use vmaple::MapFlags;
    /// assert_eq!((MapFlags::PRIVATE | MapFlags::ANONYMOUS).map_type(), 2);
    /// ```
    #[must_use]
    pub const fn map_type(self) -> u64 {
        self.bits() & 0xf
    }
}

bitflags! {
    /// The `flags` argument of `mremap`; unknown bits are kept.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct MremapFlags: u64 {
        /// The mapping may move.
        const MAYMOVE = 1;
        /// It moves exactly to the new address.
        const FIXED = 2;
        /// The old mapping stays, empty.
        const DONTUNMAP = 4;
        const _ = !0;
    }
}

#[cfg(test)]
mod tests {
    use super::{MNEMONICS, VmFlags};
    use alloc::string::ToString;

    #[test]
    fn mnemonics_round_trip_and_ascend() {
        let mut last = 0;
        for (flag, name) in MNEMONICS {
            assert!(flag.bits() > last, "{name} out of order");
            last = flag.bits();
            assert_eq!(VmFlags::from_mnemonics(name), Ok(*flag));
            assert_eq!(flag.mnemonics().to_string(), *name);
        }
    }
}
