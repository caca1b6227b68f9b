//! A forked child that prepares something with raw system calls and then waits to be read.
#![expect(unsafe_code, reason = "fork")]

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe, read};

/// Killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: Pid,
    /// What the child's work returned, for example an address.
    pub(crate) value: u64,
    /// The child ends with the other side of this pipe at the latest.
    _alive: OwnedFd,
}

impl Child {
    /// Runs `work` in a forked child, which may only make raw system calls: other threads of
    /// the test may have held any lock at the fork.
    pub(crate) fn fork(work: impl FnOnce() -> u64) -> Child {
        let (alive_read, alive_write) = pipe().unwrap();
        let (value_read, value_write) = pipe().unwrap();
        // SAFETY: the child makes raw system calls and plain memory accesses only, and ends
        // by `_exit`.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let value = work().to_ne_bytes();
                // SAFETY: raw calls on descriptors that are open in the child; they write
                // from and read to arrays of the stated length.
                unsafe { finish(&alive_read, &alive_write, &value_write, &value) }
            }
            ForkResult::Parent { child } => {
                drop((alive_read, value_write));
                let mut value = [0; 8];
                assert_eq!(
                    read(&value_read, &mut value).unwrap(),
                    8,
                    "the child died early"
                );
                let value = u64::from_ne_bytes(value);
                Child {
                    pid: child,
                    value,
                    _alive: alive_write,
                }
            }
        }
    }

    /// Kills the child but leaves the zombie.
    pub(crate) fn kill(&self) {
        kill(self.pid, Signal::SIGKILL).unwrap();
        let options = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(nix::sys::wait::Id::Pid(self.pid), options).unwrap();
    }
}

/// Sends the value, waits until the parent closes its side, and ends.
///
/// # Safety
/// Runs in a forked child: nothing but raw calls here.
unsafe fn finish(wait: &OwnedFd, other: &OwnedFd, out: &OwnedFd, value: &[u8; 8]) -> ! {
    // SAFETY: closes the child's copy of the writing side, which nothing here uses again.
    unsafe { libc::close(other.as_raw_fd()) };
    // SAFETY: writes the 8 bytes of `value`.
    unsafe { libc::write(out.as_raw_fd(), value.as_ptr().cast(), 8) };
    let mut byte = [0_u8; 1];
    // SAFETY: reads at most the one byte of `byte`.
    unsafe { libc::read(wait.as_raw_fd(), byte.as_mut_ptr().cast(), 1) };
    // SAFETY: ends the child without running the test's exit handlers.
    unsafe { libc::_exit(0) }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}
