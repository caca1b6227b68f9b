//! Processors without a file of their own: nothing is traced, everything compiles.

use super::{CloneFlags, Syscall};

/// Whether [`crate::tracer::run`] works on this processor.
pub const SUPPORTED: bool = false;
/// No audit architecture is known here.
pub const AUDIT_ARCH: u32 = 0;
/// No second call table is known here.
pub const FOREIGN_NR_BIT: u32 = 1 << 30;
/// No trap instruction is known here.
pub const SYSCALL_INSTRUCTION: &[u8] = &[];
/// No call is traced here.
pub const CALLS: &[Syscall] = &[];
/// No call is known by name here.
pub mod nr {}

/// A task's registers, never read here.
#[derive(Clone, Copy, Debug)]
pub struct Registers;

/// Looks a number up in the empty table.
#[must_use]
pub fn syscall(_nr: u64) -> Option<&'static Syscall> {
    None
}

/// Reads nothing: no task is ever stopped here.
///
/// # Errors
/// Always `ENOSYS`.
pub fn registers(_tid: nix::unistd::Pid) -> nix::Result<Registers> {
    Err(nix::errno::Errno::ENOSYS)
}

/// Writes nothing: no task is ever stopped here.
///
/// # Errors
/// Always `ENOSYS`.
pub fn set_registers(_tid: nix::unistd::Pid, _regs: Registers) -> nix::Result<()> {
    Err(nix::errno::Errno::ENOSYS)
}

impl Registers {
    /// No task runs the native set here.
    #[must_use]
    pub fn is_native(&self) -> bool {
        false
    }

    /// Unknown here.
    #[must_use]
    pub fn clone_flags(&self) -> CloneFlags {
        CloneFlags::Unknown
    }

    /// Changes nothing here.
    #[must_use]
    pub fn calling(&self, _at: u64, _nr: u64, _args: [u64; 6]) -> Self {
        *self
    }
}
