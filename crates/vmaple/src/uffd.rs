//! userfaultfd: registration of ranges, as far as it shows in the map.

use crate::addr::AddrRange;
use crate::errno::{CallError, Errno};
use crate::file::FileKind;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::store::Change;
use crate::vma::{UffdId, Vma};
use vmaple_locks::Environment;

/// UFFDIO_REGISTER_MODE bits.
const MODES: [(u64, VmFlags); 3] = [
    (1, VmFlags::UFFD_MISSING),
    (2, VmFlags::UFFD_WP),
    (4, VmFlags::UFFD_MINOR),
];

/// Which events a context asked for: they decide what a copy of a registered VMA keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UffdFeatures {
    /// UFFD_FEATURE_EVENT_FORK: the child's mappings stay registered.
    pub event_fork: bool,
    /// UFFD_FEATURE_EVENT_REMAP: a moved mapping stays registered.
    pub event_remap: bool,
    /// UFFD_FEATURE_WP_ASYNC: any mapping may be registered for write protection alone.
    pub wp_async: bool,
}

/// What a context asked for.
pub(crate) fn features_of(all: &[(UffdId, UffdFeatures)], ctx: UffdId) -> UffdFeatures {
    let known = all.iter().find(|(of, _)| *of == ctx);
    known.map_or(UffdFeatures::default(), |(_, features)| *features)
}

impl<E: Environment> Mm<E> {
    /// Tells which events a context asked for; none until then.
    ///
    /// # Errors
    /// ENOMEM without memory to remember it.
    pub fn uffd_set_features(&mut self, ctx: UffdId, features: UffdFeatures) -> Result<(), Errno> {
        let known = &mut self.uffd_features;
        if let Some((_, now)) = known.iter_mut().find(|(of, _)| *of == ctx) {
            *now = features;
            return Ok(());
        }
        known.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        known.push((ctx, features));
        Ok(())
    }

    /// Registers a range with a context. `mode` holds the UFFDIO_REGISTER_MODE bits.
    ///
    /// # Errors
    /// EINVAL: range, mode, or a mapping that cannot be registered. ENOMEM: nothing is mapped at
    /// or above the start. EBUSY: part is registered with another context. EPERM: it may not be
    /// written to.
    pub fn uffd_register(
        &mut self,
        ctx: UffdId,
        start: u64,
        len: u64,
        mode: u64,
    ) -> Result<(), CallError> {
        if mode == 0 || mode & !7 != 0 {
            return Err(Errno::EINVAL.into());
        }
        let wanted = MODES.iter().filter(|(bit, _)| mode & bit != 0);
        let wanted = wanted.fold(VmFlags::empty(), |sum, (_, flag)| sum | *flag);
        let range = self.uffd_range(start, len)?;
        let first = self.find(range.start).ok_or(Errno::ENOMEM)?;
        if first.start >= range.end {
            return Err(Errno::EINVAL.into());
        }
        let wp_async = features_of(&self.uffd_features, ctx).wp_async;
        for vma in self.overlapping(range) {
            if !can_register(vma, wanted, wp_async) {
                return Err(Errno::EINVAL.into());
            }
            if !vma.flags.contains(VmFlags::MAYWRITE) {
                return Err(Errno::EPERM.into());
            }
            if vma.uffd.is_some_and(|other| other != ctx) {
                return Err(Errno::EBUSY.into());
            }
        }
        self.for_each_part(range, |vma| {
            let unchanged = vma.uffd == Some(ctx) && vma.flags.contains(wanted);
            let flags = (vma.flags - VmFlags::UFFD_MASK) | wanted;
            (!unchanged).then(|| Change {
                uffd: Some(Some(ctx)),
                ..Change::flags(flags)
            })
        })
    }

    /// [`Mm::uffd_unregister`] by the context `ctx`, as the ioctl on its descriptor does it.
    ///
    /// # Errors
    /// As there, and EINVAL if part of the range is registered with another context.
    pub fn uffd_unregister_by(
        &mut self,
        ctx: UffdId,
        start: u64,
        len: u64,
    ) -> Result<(), CallError> {
        let range = self.uffd_range(start, len)?;
        let foreign = |vma: &Vma| vma.uffd.is_some_and(|other| other != ctx);
        if self.overlapping(range).any(foreign) {
            return Err(Errno::EINVAL.into());
        }
        self.uffd_unregister(start, len)
    }

    /// Ends the registration of a range, whichever context it is with.
    ///
    /// # Errors
    /// EINVAL: range, or a mapping that could not be registered. ENOMEM: nothing is mapped at or
    /// above the start.
    pub fn uffd_unregister(&mut self, start: u64, len: u64) -> Result<(), CallError> {
        let range = self.uffd_range(start, len)?;
        let first = self.find(range.start).ok_or(Errno::ENOMEM)?;
        if first.start >= range.end {
            return Err(Errno::EINVAL.into());
        }
        let can_be_registered = |vma: &Vma| {
            let modes = vma.flags & VmFlags::UFFD_MASK;
            let wp_async = |ctx| features_of(&self.uffd_features, ctx).wp_async;
            can_register(vma, modes, vma.uffd.is_some_and(wp_async))
        };
        if !self.overlapping(range).all(can_be_registered) {
            return Err(Errno::EINVAL.into());
        }
        self.for_each_part(range, |vma| {
            let flags = vma.flags - VmFlags::UFFD_MASK;
            vma.uffd.map(|_| Change {
                uffd: Some(None),
                ..Change::flags(flags)
            })
        })
    }

    /// The context was closed: ends all its registrations.
    pub fn uffd_release(&mut self, ctx: UffdId) {
        let all = AddrRange::new(0, self.config.task_size);
        // Whole VMAs change, so nothing is cut and nothing can fail.
        let _ = self.for_each_part(all, |vma| {
            let flags = vma.flags - VmFlags::UFFD_MASK;
            (vma.uffd == Some(ctx)).then(|| Change {
                uffd: Some(None),
                ..Change::flags(flags)
            })
        });
        self.uffd_features.retain(|(of, _)| *of != ctx);
    }

    /// Ends the registration of a whole VMA without looking at its neighbours.
    pub(crate) fn end_registration(&mut self, addr: u64) {
        let Some(flags) = self.tree.at(addr).map(|vma| vma.flags) else {
            return;
        };
        self.set_flags(addr, flags - VmFlags::UFFD_MASK);
        self.tree.update(addr, |vma| vma.uffd = None);
    }

    /// The checks of a range given to a userfaultfd call.
    fn uffd_range(&self, start: u64, len: u64) -> Result<AddrRange, Errno> {
        let config = &self.config;
        let aligned = config.is_aligned(start) && config.is_aligned(len);
        let inside = start < config.task_size && len <= config.task_size - start;
        if aligned && len != 0 && inside {
            Ok(AddrRange::new(start, start + len))
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// Applies a change to every mapped part of a range.
    fn for_each_part(
        &mut self,
        range: AddrRange,
        change: impl Fn(&Vma) -> Option<Change>,
    ) -> Result<(), CallError> {
        self.walk_parts(range, |mm, vma, part| match change(vma) {
            Some(change) => Ok(mm.modify(part, &change)?.end),
            None => Ok(part.end),
        })?;
        Ok(())
    }
}

/// Whether faults of the VMA can be handed to user space in these modes.
#[doc(alias = "vma_can_userfault")]
fn can_register(vma: &Vma, modes: VmFlags, wp_async: bool) -> bool {
    if vma.flags.contains(VmFlags::DROPPABLE) {
        return false;
    }
    if wp_async && modes == VmFlags::UFFD_WP {
        return true;
    }
    let kind = vma.backing.file().map(|file| file.kind());
    let shared_memory = kind == Some(FileKind::SharedMemory);
    if modes.contains(VmFlags::UFFD_MINOR) && !shared_memory {
        return false;
    }
    vma.is_anonymous() || shared_memory
}
