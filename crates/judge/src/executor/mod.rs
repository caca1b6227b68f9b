//! The executor: a process that makes system calls on command, and has almost no map of its own.
//!
//! Any program could serve, but a common one brings twenty mappings along that every comparison
//! reads again, and whose places hang on its build. So the executor is an ELF file made here
//! ([`elf`]) that holds nothing but the loop: read seven words (number and arguments) from a pipe,
//! make the call, write the result to another. It uses its stack and one page of scratch memory.
//!
//! After a fork the child goes on with the pipes, and the parent waits until it is gone.
#![expect(
    unsafe_code,
    reason = "descriptors, limits and personality between fork and exec"
)]

mod elf;
mod userfault;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2};
use vmaple::LayoutKind;

pub(crate) use elf::{BUILD_ID, SCRATCH};
pub(crate) use userfault::PLACES;

/// Descriptors of the pipes in the executor.
const COMMANDS: i32 = 90;
const RESULTS: i32 = 91;
const NOTES: i32 = 92;
/// Limits that operations set.
const LIMITS: [Resource; 4] = [
    Resource::RLIMIT_AS,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_STACK,
    Resource::RLIMIT_MEMLOCK,
];
/// Number and six arguments.
pub(crate) type SystemCall = [u64; 7];

/// The program, ready to be started any number of times.
#[derive(Debug)]
pub(crate) struct Program(File);

impl Program {
    /// Writes the ELF file to memory.
    ///
    /// # Errors
    /// The kernel refuses the file, or this processor has no executor.
    pub(crate) fn make() -> io::Result<Program> {
        let image = elf::image().ok_or(io::ErrorKind::Unsupported)?;
        let mut file = File::from(memfd_create(c"executor", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(&image)?;
        Ok(Program(file))
    }
}

/// A running executor; killed when dropped.
#[derive(Debug)]
pub(crate) struct Executor {
    child: Child,
    commands: File,
    results: File,
    /// A file for what does not fit into a command.
    notes: File,
    /// The process that makes the calls: the child or a descendant of it.
    pid: Pid,
    /// Limits that it may not exceed.
    hard_limits: Vec<(u32, u64)>,
}

impl Executor {
    /// Starts the program with `files` as its descriptors of the numbers given, without address
    /// randomisation, with the default limits.
    ///
    /// # Errors
    /// The process cannot be started, or personality or limits are refused.
    pub(crate) fn start(
        program: &Program,
        layout: LayoutKind,
        files: &[(RawFd, RawFd)],
    ) -> io::Result<Executor> {
        let (command_out, command_in) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let (result_out, result_in) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let notes = File::from(memfd_create(c"notes", MFdFlags::MFD_CLOEXEC)?);
        let mut moves = vec![
            (command_out.as_raw_fd(), COMMANDS),
            (result_in.as_raw_fd(), RESULTS),
            (notes.as_raw_fd(), NOTES),
        ];
        moves.extend_from_slice(files);
        let mut command = Command::new(format!("/proc/self/fd/{}", program.0.as_raw_fd()));
        command
            .arg0("executor")
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: the closure makes system calls only; `moves` was made before the fork.
        unsafe { command.pre_exec(move || prepare(&moves, layout)) };
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let files: [OwnedFd; 2] = [command_in, result_out];
        let [commands, results] = files.map(File::from);
        let hard = |limit: Resource| Ok((limit as u32, getrlimit(limit)?.1));
        let mut executor = Executor {
            child,
            commands,
            results,
            notes,
            pid,
            hard_limits: LIMITS.map(hard).into_iter().collect::<io::Result<_>>()?,
        };
        // The scratch page is touched before anybody looks at the map.
        executor.set_limit(libc::RLIMIT_AS, u64::MAX)?;
        Ok(executor)
    }

    /// The process that makes the calls.
    #[must_use]
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Makes a system call: a value, or a negative error number.
    ///
    /// # Errors
    /// The executor is dead.
    pub(crate) fn call(&mut self, call: SystemCall) -> io::Result<i64> {
        let mut bytes = [0; size_of::<SystemCall>()];
        for (place, word) in bytes.chunks_exact_mut(8).zip(call) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        self.commands.write_all(&bytes)?;
        let mut result = [0; 8];
        self.results.read_exact(&mut result)?;
        let result = i64::from_ne_bytes(result);
        if call[0] == libc::SYS_fork.cast_unsigned()
            && let Ok(pid) = i32::try_from(result)
            && pid > 0
        {
            self.pid = Pid::from_raw(pid);
        }
        Ok(result)
    }

    /// Sets a soft limit of the process that makes the calls, or what the hard one permits.
    ///
    /// The process does so itself: for another one, or one of another user, privileges would be
    /// needed. The numbers reach its scratch page through a file.
    ///
    /// # Errors
    /// The executor is dead, or the kernel refuses.
    pub(crate) fn set_limit(&mut self, which: u32, bytes: u64) -> io::Result<()> {
        let hard = match self.hard_limits.iter().find(|(of, _)| *of == which) {
            Some((_, hard)) => *hard,
            None => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let numbers = [bytes.min(hard).to_ne_bytes(), hard.to_ne_bytes()].concat();
        let set = libc::SYS_prlimit64.cast_unsigned();
        match self.call_with(&numbers, [set, 0, u64::from(which), SCRATCH, 0, 0, 0])? {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(-(errno as i32))),
        }
    }

    /// A call that reads `bytes`, at most a page, at the start of the scratch page.
    ///
    /// # Errors
    /// The executor is dead.
    pub(crate) fn call_with(&mut self, bytes: &[u8], call: SystemCall) -> io::Result<i64> {
        self.notes.write_all_at(bytes, 0)?;
        let read = [libc::SYS_pread64, i64::from(NOTES)].map(i64::cast_unsigned);
        self.call([read[0], read[1], SCRATCH, bytes.len() as u64, 0, 0, 0])?;
        self.call(call)
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // A process that is gone already is no harm here; its ancestors leave after it.
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the child before exec: descriptors to their places, no randomisation, known limits.
fn prepare(moves: &[(RawFd, RawFd)], layout: LayoutKind) -> io::Result<()> {
    for &(from, to) in moves {
        // SAFETY: plain system call on numbers of descriptors.
        if unsafe { libc::dup2(from, to) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let compatible = match layout {
        LayoutKind::BottomUp => libc::ADDR_COMPAT_LAYOUT,
        LayoutKind::TopDown => 0,
    };
    // SAFETY: plain system call.
    if unsafe { libc::personality((libc::ADDR_NO_RANDOMIZE | compatible) as libc::c_ulong) } < 0 {
        return Err(io::Error::last_os_error());
    }
    for (limit, soft) in [
        (Resource::RLIMIT_STACK, 8 << 20),
        (Resource::RLIMIT_MEMLOCK, 8 << 20),
        (Resource::RLIMIT_AS, libc::RLIM_INFINITY),
        (Resource::RLIMIT_DATA, libc::RLIM_INFINITY),
        // One that dies in a bad access is no news.
        (Resource::RLIMIT_CORE, 0),
    ] {
        let (_, hard) = getrlimit(limit)?;
        setrlimit(limit, soft, hard)?;
    }
    Ok(())
}
