//! What the kernel tells of machine and process, in the words of [`vmaple::MmConfig`].

use vmaple::{BrkArea, MmConfig};

use crate::procfs::machine::Machine;
use crate::procfs::process::{Limits, Stat, Status};

/// The configuration that every process of the machine starts from: no randomisation, default
/// limits, all privileges.
#[must_use]
pub fn of_machine(machine: &Machine) -> MmConfig {
    let mut config = MmConfig::x86_64();
    config.page_size = machine.page_size;
    config.mmap_min_addr = machine.mmap_min_addr;
    config.stack_guard_gap_pages = machine.stack_guard_gap_pages;
    config.max_map_count = usize::try_from(machine.max_map_count).unwrap_or(usize::MAX);
    config.huge_pages = machine.huge_pages;
    config.features.anon_vma_name = machine.features.anon_vma_name;
    config.features.pkeys = machine.features.pkeys;
    config.features.mseal = machine.features.mseal;
    config.features.userfaultfd = machine.features.userfaultfd;
    config.features.ksm = machine.features.ksm;
    config.features.thp = machine.features.thp;
    config
}

/// The soft limits of a process.
#[must_use]
pub fn limits(limits: &Limits) -> vmaple::Limits {
    vmaple::Limits {
        as_bytes: limits.address_space.soft,
        data_bytes: limits.data.soft,
        stack_bytes: limits.stack.soft,
        memlock_bytes: limits.memlock.soft,
    }
}

/// What a process may do.
#[must_use]
pub fn capabilities(status: &Status) -> vmaple::Capabilities {
    let have = status.capabilities;
    vmaple::Capabilities {
        ipc_lock: have.ipc_lock(),
        sys_rawio: have.sys_rawio(),
        sys_resource: have.sys_resource(),
        sys_admin: have.sys_admin(),
    }
}

/// The marks inside a map right after exec, when the heap is still empty.
#[must_use]
pub fn areas(stat: &Stat) -> BrkArea {
    BrkArea {
        start_brk: stat.start_brk,
        brk: stat.start_brk,
        start_stack: stat.start_stack,
        start_code: stat.start_code,
        end_code: stat.end_code,
        start_data: stat.start_data,
        end_data: stat.end_data,
        arg_start: stat.arg_start,
        arg_end: stat.arg_end,
        env_start: stat.env_start,
        env_end: stat.env_end,
    }
}
