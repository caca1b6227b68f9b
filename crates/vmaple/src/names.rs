//! `prctl` calls on the map: names of anonymous memory, and the bounds that PR_SET_MM sets.

use crate::areas::BrkArea;
use crate::errno::{CallError, Errno, Unmodelled};
use crate::mm::Mm;
use crate::store::Change;
use crate::walk::Coverage;
use alloc::sync::Arc;
use vmaple_locks::Environment;

/// Longest name in bytes, without the terminator.
const NAME_MAX: usize = 79;

impl<E: Environment> Mm<E> {
    /// PR_SET_VMA_ANON_NAME: names anonymous memory, or with `None` takes the name away.
    ///
    /// # Errors
    /// EINVAL: the kernel has no such names, misaligned, or a character or length that is not
    /// permitted. EBADF: a file mapping. ENOMEM: a hole; all mapped parts have been named then.
    pub fn prctl_set_vma_name(
        &mut self,
        addr: u64,
        len: u64,
        name: Option<&[u8]>,
    ) -> Result<(), CallError> {
        if !self.config.features.anon_vma_name {
            return Err(Errno::EINVAL.into());
        }
        let name = name.map(checked_name).transpose()?;
        let Some(range) = self.checked_range(addr, len)? else {
            return Ok(());
        };
        let coverage = self.walk_parts(range, |mm, vma, part| {
            let file = vma.backing.file();
            if file.is_some_and(|file| !file.is_shared_anonymous()) {
                return Err(Errno::EBADF.into());
            }
            if vma.anon_name == name {
                return Ok(part.end);
            }
            let change = Change {
                anon_name: Some(name.clone()),
                ..Change::flags(vma.flags)
            };
            let held = mm.modify(part, &change);
            Ok(held.map_err(exhausted_to_again)?.end)
        })?;
        match coverage {
            Coverage::Whole => Ok(()),
            Coverage::Holes => Err(Errno::ENOMEM.into()),
        }
    }

    /// PR_SET_MM with one of the options that set a single bound (1 to 11).
    ///
    /// # Errors
    /// EPERM: no CAP_SYS_RESOURCE. EINVAL: option, address, or order of the bounds. EFAULT: a
    /// stack, argument or environment bound above all mappings.
    /// [`Unmodelled`]: the options that read a structure (12 to 15).
    pub fn prctl_set_mm(&mut self, option: u64, addr: u64) -> Result<(), CallError> {
        if matches!(option, 12..=15) {
            return Err(Unmodelled("PR_SET_MM with a structure or descriptor").into());
        }
        if !self.config.capabilities.sys_resource {
            return Err(Errno::EPERM.into());
        }
        let config = &self.config;
        if addr >= config.task_size || addr < config.lowest_addr() {
            return Err(Errno::EINVAL.into());
        }
        let mut areas = self.areas;
        *bound(&mut areas, option).ok_or(Errno::EINVAL)? = addr;
        if !self.bounds_are_valid(&areas, matches!(option, 6 | 7)) {
            return Err(Errno::EINVAL.into());
        }
        if matches!(option, 5 | 8..=11) && self.find(addr).is_none() {
            return Err(Errno::EFAULT.into());
        }
        self.areas = areas;
        Ok(())
    }

    /// PR_SET_MM_MAP: all bounds at once.
    ///
    /// # Errors
    /// EINVAL: bounds that are out of order or outside of user memory.
    pub fn prctl_set_mm_map(&mut self, areas: BrkArea) -> Result<(), CallError> {
        if !self.bounds_are_valid(&areas, true) {
            return Err(Errno::EINVAL.into());
        }
        self.areas = areas;
        Ok(())
    }

    /// PR_SET_THP_DISABLE with its second argument and the three after it. The map does not show
    /// it: mappings keep their flags and are aligned as before.
    ///
    /// # Errors
    /// EINVAL: another flag than PR_THP_DISABLE_EXCEPT_ADVISED (2, since 6.18), or one with nothing
    /// to disable.
    ///
    /// ```
    /// use vmaple::{Errno, Mm, MmConfig};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// assert_eq!(mm.prctl_set_thp_disable(1, [2, 0, 0]), Ok(()));
    /// assert_eq!(mm.prctl_set_thp_disable(0, [2, 0, 0]), Err(Errno::EINVAL.into()));
    /// ```
    pub fn prctl_set_thp_disable(
        &mut self,
        disable: u64,
        [flags, arg4, arg5]: [u64; 3],
    ) -> Result<(), CallError> {
        const EXCEPT_ADVISED: u64 = 2;
        let known = if disable == 0 { 0 } else { EXCEPT_ADVISED };
        if flags & !known != 0 || arg4 != 0 || arg5 != 0 {
            return Err(Errno::EINVAL.into());
        }
        Ok(())
    }

    #[doc(alias = "validate_prctl_map_addr")]
    fn bounds_are_valid(&self, areas: &BrkArea, heap_changed: bool) -> bool {
        let config = &self.config;
        let all = [
            areas.start_code,
            areas.end_code,
            areas.start_data,
            areas.end_data,
            areas.start_brk,
            areas.brk,
            areas.start_stack,
            areas.arg_start,
            areas.arg_end,
            areas.env_start,
            areas.env_end,
        ];
        let in_space = |addr: &u64| *addr >= config.lowest_addr() && *addr < config.task_size;
        let ordered = areas.start_code < areas.end_code
            && areas.start_data <= areas.end_data
            && areas.start_brk <= areas.brk
            && areas.arg_start <= areas.arg_end
            && areas.env_start <= areas.env_end;
        let heap = areas.brk.wrapping_sub(areas.start_brk);
        let data = areas.end_data.wrapping_sub(areas.start_data);
        let limit = config.limits.data_bytes;
        let within = !heap_changed || limit == u64::MAX || heap.wrapping_add(data) <= limit;
        all.iter().all(in_space) && ordered && within
    }
}

/// The bound that an option sets.
fn bound(areas: &mut BrkArea, option: u64) -> Option<&mut u64> {
    Some(match option {
        1 => &mut areas.start_code,
        2 => &mut areas.end_code,
        3 => &mut areas.start_data,
        4 => &mut areas.end_data,
        5 => &mut areas.start_stack,
        6 => &mut areas.start_brk,
        7 => &mut areas.brk,
        8 => &mut areas.arg_start,
        9 => &mut areas.arg_end,
        10 => &mut areas.env_start,
        11 => &mut areas.env_end,
        _ => return None,
    })
}

/// Printable ASCII without the characters that shells and the maps format give a meaning.
fn checked_name(name: &[u8]) -> Result<Arc<str>, Errno> {
    let permitted = |byte: &u8| matches!(byte, 0x20..=0x7e) && !b"\\`$[]".contains(byte);
    if name.len() > NAME_MAX || !name.iter().all(permitted) {
        return Err(Errno::EINVAL);
    }
    core::str::from_utf8(name)
        .map(Arc::from)
        .map_err(|_| Errno::EINVAL)
}

/// Lack of room for VMAs reads as "try again" here, as with `madvise`.
fn exhausted_to_again(errno: Errno) -> Errno {
    if errno == Errno::ENOMEM {
        Errno::EAGAIN
    } else {
        errno
    }
}
