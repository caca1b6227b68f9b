//! `mmap`: checks, flags, replacement of what is there, merging.

use crate::accounting::is_accountable;
use crate::addr::AddrRange;
use crate::config::Overcommit;
use crate::errno::{CallError, Errno, Unmodelled};
use crate::file::{FileId, FileKind, FileRef, MapSync, SharedZero};
use crate::flags::{MapFlags, Prot, VmFlags};
use crate::merge::Reach;
use crate::mm::Mm;
use crate::munmap::Occupancy;
use crate::placement::Wish;
use crate::vma::{Backing, Vma};
use crate::vma_tree::Freed;
use alloc::sync::Arc;
use vmaple_locks::Environment;

/// What `mmap` is to map.
#[derive(Clone, Debug)]
pub enum MmapSource {
    /// Nothing but memory; goes with the flag ANONYMOUS.
    Anonymous {
        /// For a shared mapping: the object the kernel makes for it. Without one the mapping gets
        /// a [`SharedZero`] with inode 0.
        shared_object: Option<FileRef>,
    },
    /// A descriptor that is not open (or opened with O_PATH).
    BadFd,
    /// An open file.
    File(FileRef),
}

/// Arguments of `mmap`, raw.
#[derive(Clone, Debug)]
pub struct MmapArgs {
    /// Hint or fixed address in bytes.
    pub addr: u64,
    /// Length in bytes.
    pub len: u64,
    /// PROT_ bits.
    pub prot: u64,
    /// MAP_ bits.
    pub flags: u64,
    /// What is behind the descriptor.
    pub source: MmapSource,
    /// Offset in the file in bytes.
    pub offset: u64,
    /// The address the kernel chose where it chooses at random (MAP_32BIT under randomisation):
    /// used if it is a legal choice.
    pub drawn: Option<u64>,
}

impl MmapArgs {
    /// Arguments for memory without a file. `flags` must have ANONYMOUS (0x20).
    #[must_use]
    pub fn anonymous(addr: u64, len: u64, prot: u64, flags: u64) -> MmapArgs {
        let source = MmapSource::Anonymous {
            shared_object: None,
        };
        MmapArgs {
            addr,
            len,
            prot,
            flags,
            source,
            offset: 0,
            drawn: None,
        }
    }

    /// Arguments for a mapping of `file` from byte `offset`.
    #[must_use]
    pub fn file(
        addr: u64,
        len: u64,
        prot: u64,
        flags: u64,
        file: FileRef,
        offset: u64,
    ) -> MmapArgs {
        let source = MmapSource::File(file);
        MmapArgs {
            addr,
            len,
            prot,
            flags,
            source,
            offset,
            drawn: None,
        }
    }
}

/// A mapping that passed all checks which need no room.
#[derive(Debug)]
struct Planned {
    addr: u64,
    len: u64,
    pgoff: u64,
    flags: VmFlags,
    populate: bool,
}

impl<E: Environment> Mm<E> {
    /// Maps memory or a file; returns the address.
    ///
    /// A mapping at a fixed address replaces what is there.
    ///
    /// # Errors
    /// As in Linux. When a replacing call fails for a limit, what it would have replaced stays,
    /// but VMAs that reach out of the range have been cut at its ends; when it fails because a
    /// shared-memory object exceeds the commit limit, the range is empty.
    /// [`Unmodelled`]: huge pages that are there, or need not be.
    ///
    /// ```
    /// use vmaple::{Errno, Mm, MmConfig, MmapArgs};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// let private_anonymous = 0x22;
    /// let addr = mm.mmap(&MmapArgs::anonymous(0, 4096, 3, private_anonymous)).unwrap();
    /// assert_eq!(addr, 0x7fff_f7ff_e000);
    /// let none = mm.mmap(&MmapArgs::anonymous(0, 0, 3, private_anonymous));
    /// assert_eq!(none, Err(Errno::EINVAL.into()));
    /// ```
    #[doc(alias = "do_mmap")]
    pub fn mmap(&mut self, args: &MmapArgs) -> Result<u64, CallError> {
        if is_huge(args) && self.config.is_aligned(args.offset) {
            return Err(self.refuse_huge_pages(args));
        }
        let file = self.file_of(args)?;
        let plan = self.plan_mmap(args, file.as_ref())?;
        self.map_region(&plan, args, file)?;
        Ok(plan.addr)
    }

    /// Where [`Mm::mmap`] would put the mapping; changes nothing.
    ///
    /// # Errors
    /// Those of [`Mm::mmap`] that are found before anything is changed.
    pub fn placement(&self, args: &MmapArgs) -> Result<u64, CallError> {
        let file = self.file_of(args)?;
        Ok(self.plan_mmap(args, file.as_ref())?.addr)
    }

    /// The checks of the descriptor, which come first.
    fn file_of(&self, args: &MmapArgs) -> Result<Option<FileRef>, CallError> {
        let flags = MapFlags::from_bits_retain(args.flags);
        if !self.config.is_aligned(args.offset) {
            return Err(Errno::EINVAL.into());
        }
        if flags.contains(MapFlags::ANONYMOUS) {
            if flags.contains(MapFlags::HUGETLB) {
                return Err(Unmodelled("mmap of anonymous huge pages (MAP_HUGETLB)").into());
            }
            return Ok(None);
        }
        let MmapSource::File(file) = &args.source else {
            return Err(Errno::EBADF.into());
        };
        if file.kind() == FileKind::Hugetlb {
            return Err(Unmodelled("mmap of a huge-page file").into());
        }
        if flags.contains(MapFlags::HUGETLB) {
            return Err(Errno::EINVAL.into());
        }
        Ok(Some(Arc::clone(file)))
    }

    /// All checks up to the point where existing mappings are touched.
    fn plan_mmap(&self, args: &MmapArgs, file: Option<&FileRef>) -> Result<Planned, CallError> {
        let config = &self.config;
        let mut flags = MapFlags::from_bits_retain(args.flags);
        let mut prot = Prot::from_bits_retain(args.prot);
        if args.len == 0 {
            return Err(Errno::EINVAL.into());
        }
        let noexec = file.is_some_and(|file| file.access().noexec);
        if prot.contains(Prot::READ) && config.read_implies_exec && !noexec {
            prot |= Prot::EXEC;
        }
        if flags.contains(MapFlags::FIXED_NOREPLACE) {
            flags |= MapFlags::FIXED;
        }
        let len = config.page_ceil(args.len);
        if len == 0 {
            return Err(Errno::ENOMEM.into());
        }
        let pgoff = self.pages(args.offset);
        if pgoff.checked_add(self.pages(len)).is_none() {
            return Err(Errno::EOVERFLOW.into());
        }
        if self.len() > config.max_map_count {
            return Err(Errno::ENOMEM.into());
        }
        if prot == Prot::EXEC && config.features.pkeys {
            return Err(Unmodelled("execute-only memory by protection key").into());
        }
        let wish = Wish {
            addr: args.addr,
            len,
            pgoff,
            flags,
            file,
            drawn: args.drawn,
        };
        let addr = self.place(&wish)?;
        let vm_flags = self.plan_flags(prot, &wish)?;
        let pgoff = match file {
            Some(_) => pgoff,
            None if vm_flags.contains(VmFlags::MAYSHARE) => 0,
            None => self.pages(addr),
        };
        let asked = flags & (MapFlags::POPULATE | MapFlags::NONBLOCK) == MapFlags::POPULATE;
        let populate = asked || vm_flags.contains(VmFlags::LOCKED);
        Ok(Planned {
            addr,
            len,
            pgoff,
            flags: vm_flags,
            populate,
        })
    }

    /// The address: the given one, or one that is found.
    #[inline(always)]
    pub(crate) fn place(&self, wish: &Wish<'_>) -> Result<u64, Errno> {
        let is_taken_for_it = cfg!(planted = "hint_as_fixed") && wish.addr != 0;
        if !(wish.flags.contains(MapFlags::FIXED) || is_taken_for_it) {
            return self.place_found(wish);
        }
        let addr = self.fixed_area(wish.addr, wish.len)?;
        let range = AddrRange::new(addr, addr + wish.len);
        let no_replace = wish.flags.contains(MapFlags::FIXED_NOREPLACE);
        if no_replace && self.tree.first_in(range).is_some() {
            return Err(Errno::EEXIST);
        }
        Ok(addr)
    }

    fn place_found(&self, wish: &Wish<'_>) -> Result<u64, Errno> {
        if wish.addr == 0 {
            return self.unmapped_area(wish);
        }
        let addr = self.hint_raised_to_min(wish.addr);
        self.unmapped_area(&Wish { addr, ..*wish })
    }

    /// The new VMA's flags, after the checks that depend on them.
    fn plan_flags(&self, prot: Prot, wish: &Wish<'_>) -> Result<VmFlags, CallError> {
        let flags = wish.flags;
        let initial = self.initial_flags(prot, flags);
        if initial.contains(VmFlags::LOCKED) {
            if flags.contains(MapFlags::LOCKED) && !self.can_lock() {
                return Err(Errno::EPERM.into());
            }
            if !self.lock_limit_permits(initial, wish.len) {
                return Err(Errno::EAGAIN.into());
            }
        }
        let complete = match wish.file {
            Some(file) => self.file_flags(file, wish, prot, initial)?,
            None => anonymous_flags(flags, initial)?,
        };
        let never = || matches!(self.config.overcommit, Overcommit::Never { .. });
        if flags.contains(MapFlags::NORESERVE) && !never() {
            return Ok(complete | VmFlags::NORESERVE);
        }
        Ok(complete)
    }

    /// A hint as it counts: rounded down to a page, raised to the lowest permitted address.
    #[doc(alias = "round_hint_to_min")]
    fn hint_raised_to_min(&self, hint: u64) -> u64 {
        let hint = self.config.page_floor(hint);
        let lowest = self.config.page_ceil(self.config.lowest_addr());
        if hint != 0 && hint < lowest {
            lowest
        } else {
            hint
        }
    }

    /// Flags that follow from the arguments alone.
    #[doc(alias = "calc_vm_flag_bits")]
    pub(crate) fn initial_flags(&self, prot: Prot, flags: MapFlags) -> VmFlags {
        let features = self.config.features;
        let always = self.def_flags
            | VmFlags::MAY_ACCESS
            | access_flags(prot)
            | flag_if(features.soft_dirty, VmFlags::SOFTDIRTY);
        if !flags.intersects(WITH_VM_FLAGS) {
            return always;
        }
        let thp_stack = flags.contains(MapFlags::STACK) && features.thp;
        always
            | flag_if(flags.contains(MapFlags::GROWSDOWN), VmFlags::GROWSDOWN)
            | flag_if(flags.contains(MapFlags::LOCKED), VmFlags::LOCKED)
            | flag_if(flags.contains(MapFlags::SYNC), VmFlags::SYNC)
            | flag_if(thp_stack, VmFlags::NOHUGEPAGE)
    }

    /// Checks a file mapping and completes its flags.
    fn file_flags(
        &self,
        file: &FileRef,
        wish: &Wish<'_>,
        prot: Prot,
        mut flags: VmFlags,
    ) -> Result<VmFlags, CallError> {
        let Wish {
            len,
            pgoff,
            flags: map,
            ..
        } = *wish;
        let limit = file.max_len();
        if limit != u64::MAX && (len > limit || pgoff > self.pages(limit - len)) {
            return Err(Errno::EOVERFLOW.into());
        }
        let access = file.access();
        match map.map_type() {
            1 | 3 => {
                let validate = map.map_type() == 3;
                if validate && !unknown_to_validate(map, file).is_empty() {
                    return Err(Errno::EOPNOTSUPP.into());
                }
                check_shared_access(file, prot)?;
                flags |= VmFlags::SHARED | VmFlags::MAYSHARE;
                if !access.writable {
                    flags -= VmFlags::MAYWRITE | VmFlags::SHARED;
                }
            }
            2 => {}
            _ => return Err(Errno::EINVAL.into()),
        }
        if !access.readable {
            return Err(Errno::EACCES.into());
        }
        if access.noexec {
            if flags.contains(VmFlags::EXEC) {
                return Err(Errno::EPERM.into());
            }
            flags -= VmFlags::MAYEXEC;
        }
        if file.kind() == FileKind::NoMmap {
            return Err(Errno::ENODEV.into());
        }
        if flags.contains(VmFlags::GROWSDOWN) {
            return Err(Errno::EINVAL.into());
        }
        let seals = file.seals();
        if (seals.write || seals.future_write) && flags.contains(VmFlags::SHARED) {
            if flags.contains(VmFlags::WRITE) {
                return Err(Errno::EPERM.into());
            }
            flags -= VmFlags::MAYWRITE;
        }
        Ok(flags)
    }

    /// Makes room, then puts the mapping in.
    #[doc(alias = "mmap_region")]
    fn map_region(
        &mut self,
        plan: &Planned,
        args: &MmapArgs,
        file: Option<FileRef>,
    ) -> Result<(), CallError> {
        let range = AddrRange::new(plan.addr, plan.addr + plan.len);
        let pages = self.pages(plan.len);
        let mut flags = plan.flags;
        self.tree.seek(range.start);
        let free = self.tree.free(range);
        let occupancy = if free.is_some() {
            Occupancy::Free
        } else {
            // Two cuts, the removal of what is there, and the new mapping: all or nothing.
            self.tree.reserve(range, 4)?;
            self.isolate(range)?
        };
        let (mut old_pages, mut old_committed) = (0, 0);
        if occupancy == Occupancy::Taken {
            for old in self.overlapping(range) {
                old_pages += self.pages(old.len());
                if old.flags.contains(VmFlags::ACCOUNT) {
                    old_committed += self.pages(old.len());
                }
            }
        }
        if !self.may_expand(flags, pages - old_pages) {
            return Err(Errno::ENOMEM.into());
        }
        if is_accountable(flags) {
            self.enough_memory(pages.saturating_sub(old_committed))?;
            flags |= VmFlags::ACCOUNT;
        }
        if occupancy == Occupancy::Taken {
            self.take_out(range, Freed::ToBeMapped)?;
        }
        if flags.contains(VmFlags::SYNC) && file.as_ref().is_some_and(refuses_sync) {
            return Err(Errno::EOPNOTSUPP.into());
        }
        self.commit_shared_object(file.as_ref(), flags, pages)?;
        let (backing, driver) = self.backing_of(file, plan, &args.source);
        let mut vma = Vma::new(range, flags, plan.pgoff, backing);
        if let Some(sets) = driver {
            vma.flags |= sets;
            flags |= sets;
        }
        if driver.is_some() || free.is_some_and(|free| free.touches_nothing()) {
            self.store_new(vma)?;
        } else {
            let free = free.or_else(|| self.tree.free(range));
            let held = self.insert_merging_at(vma, free, Reach::BothSides)?;
            debug_assert!(held.start <= range.start && range.end <= held.end);
        }
        if flags.contains(VmFlags::LOCKED) && flags.intersects(NEVER_LOCKED) {
            self.set_flags(range.start, flags - VmFlags::LOCKED_MASK);
        }
        if plan.populate {
            self.populate(range, false);
        }
        Ok(())
    }

    /// Shared memory without a file of its own is counted when its object is made, which is after
    /// the old mappings have gone: a refusal leaves a hole.
    #[doc(alias = "shmem_zero_setup")]
    fn commit_shared_object(
        &self,
        file: Option<&FileRef>,
        flags: VmFlags,
        pages: u64,
    ) -> Result<(), Errno> {
        let has_file = file.is_some_and(|file| file.kind() != FileKind::DevZero);
        let makes_object = flags.contains(VmFlags::MAYSHARE) && !has_file;
        if makes_object && !flags.contains(VmFlags::NORESERVE) {
            self.enough_memory(pages)?;
        }
        Ok(())
    }

    /// What stands behind the new VMA, and the flags its driver adds.
    fn backing_of(
        &mut self,
        file: Option<FileRef>,
        plan: &Planned,
        source: &MmapSource,
    ) -> (Backing, Option<VmFlags>) {
        let shared = plan.flags.contains(VmFlags::MAYSHARE);
        match file {
            Some(file) => match file.kind() {
                FileKind::DevZero if shared => {
                    let object = file.shared_zero_object();
                    (
                        Backing::File(object.unwrap_or_else(|| self.new_shared_zero(plan.len))),
                        None,
                    )
                }
                FileKind::Device { sets, .. } => (Backing::File(file), Some(sets)),
                _ => (Backing::File(file), None),
            },
            None if shared => {
                let given = match source {
                    MmapSource::Anonymous { shared_object } => shared_object.clone(),
                    MmapSource::BadFd | MmapSource::File(_) => None,
                };
                (
                    Backing::File(given.unwrap_or_else(|| self.new_shared_zero(plan.len))),
                    None,
                )
            }
            None => (Backing::Anonymous, None),
        }
    }

    /// An object for a shared mapping whose embedder gave none.
    fn new_shared_zero(&mut self, len: u64) -> FileRef {
        let id = FileId(self.next_shared);
        self.next_shared += 1;
        Arc::new(SharedZero { id, inode: 0, len })
    }
}

/// Whether huge pages are asked for by name.
fn is_huge(args: &MmapArgs) -> bool {
    MapFlags::from_bits_retain(args.flags).contains(MapFlags::ANONYMOUS | MapFlags::HUGETLB)
}

/// Mappings that lose the lock flags again once they are in place.
const NEVER_LOCKED: VmFlags = VmFlags::SPECIAL.union(VmFlags::DROPPABLE);

/// `flag` if `condition`.
pub(crate) fn flag_if(condition: bool, flag: VmFlags) -> VmFlags {
    if condition { flag } else { VmFlags::empty() }
}

/// Flags that the VMA has a flag for.
const WITH_VM_FLAGS: MapFlags = MapFlags::GROWSDOWN
    .union(MapFlags::LOCKED)
    .union(MapFlags::SYNC)
    .union(MapFlags::STACK);

// `access_flags` takes the bits as they are.
const _: () = assert!(
    Prot::READ.bits() == VmFlags::READ.bits()
        && Prot::WRITE.bits() == VmFlags::WRITE.bits()
        && Prot::EXEC.bits() == VmFlags::EXEC.bits()
);

/// READ, WRITE and EXEC of a `prot` argument.
#[doc(alias = "calc_vm_prot_bits")]
pub(crate) const fn access_flags(prot: Prot) -> VmFlags {
    VmFlags::from_bits_retain(prot.bits()).intersection(VmFlags::ACCESS)
}

/// Checks a mapping without a file and completes its flags.
fn anonymous_flags(map: MapFlags, flags: VmFlags) -> Result<VmFlags, Errno> {
    let grows = flags.contains(VmFlags::GROWSDOWN);
    match map.map_type() {
        1 if grows => Err(Errno::EINVAL),
        1 => Ok(flags | VmFlags::SHARED | VmFlags::MAYSHARE),
        2 => Ok(flags),
        8 if grows || map.contains(MapFlags::LOCKED) => Err(Errno::EINVAL),
        8 => Ok(flags
            | VmFlags::DROPPABLE
            | VmFlags::NORESERVE
            | VmFlags::WIPEONFORK
            | VmFlags::DONTDUMP),
        _ => Err(Errno::EINVAL),
    }
}

/// The flags a SHARED_VALIDATE mapping of `file` must not have.
fn unknown_to_validate(map: MapFlags, file: &FileRef) -> MapFlags {
    let known = MapFlags::SHARED_VALIDATE
        | MapFlags::FIXED
        | MapFlags::ANONYMOUS
        | MapFlags::DENYWRITE
        | MapFlags::EXECUTABLE
        | MapFlags::UNINITIALIZED
        | MapFlags::GROWSDOWN
        | MapFlags::LOCKED
        | MapFlags::NORESERVE
        | MapFlags::POPULATE
        | MapFlags::NONBLOCK
        | MapFlags::STACK
        | MapFlags::HUGETLB
        | MapFlags::BIT32
        | MapFlags::ABOVE4G
        | MapFlags::from_bits_retain(0x3f << 26);
    let sync = match file.map_sync() {
        MapSync::Ignored => MapFlags::empty(),
        MapSync::Refused | MapSync::Supported => MapFlags::SYNC,
    };
    map - known - sync
}

fn refuses_sync(file: &FileRef) -> bool {
    file.map_sync() == MapSync::Refused
}

/// Whether the open description permits a shared mapping with this protection.
fn check_shared_access(file: &FileRef, prot: Prot) -> Result<(), Errno> {
    let access = file.access();
    if prot.contains(Prot::WRITE) {
        if !access.writable {
            return Err(Errno::EACCES);
        }
        if access.swap_file {
            return Err(Errno::ETXTBSY);
        }
    }
    if access.append_only && access.writable {
        return Err(Errno::EACCES);
    }
    Ok(())
}
