//! The errors of the /proc readers: which process, which fact, and what to do about it.

use std::io;

use nix::unistd::Pid;

/// Why a fact about a process or about the machine could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The process, thread or address space has ended. Nothing more can be read from it:
    /// forget it.
    #[error(
        "{what} of process {pid} cannot be read: the process (or its address space) has ended; forget it, or open again after an exec"
    )]
    Gone {
        /// The task that was asked about.
        pid: Pid,
        /// What was being read, for example "maps".
        what: &'static str,
    },
    /// The kernel refuses access to this process.
    #[error(
        "{what} of process {pid} may not be read: trace it, run as the same user, or add CAP_SYS_PTRACE ({hint})"
    )]
    Denied {
        /// The task that was asked about.
        pid: Pid,
        /// What was being read.
        what: &'static str,
        /// The setting that decides about this access.
        hint: &'static str,
    },
    /// The kernel lacks the interface altogether, with no older one to fall back to.
    #[error("this kernel does not offer {what}: {remedy}")]
    Unsupported {
        /// The interface.
        what: &'static str,
        /// What would help.
        remedy: &'static str,
    },
    /// Any other failure of a system call.
    #[error("{what} of process {pid}: {source}")]
    Io {
        /// The task that was asked about (the caller itself for facts of the machine).
        pid: Pid,
        /// What was being read.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The kernel's text has a shape that this version does not know.
    #[error(transparent)]
    Malformed(#[from] MalformedText),
}

/// A line of a /proc file that does not follow its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} line {line}: {reason}: {excerpt:?}; report it with the kernel's release")]
pub struct MalformedText {
    /// Name of the file, for example "maps".
    pub file: &'static str,
    /// Line number, counted from 1.
    pub line: usize,
    /// What was expected and is not there.
    pub reason: &'static str,
    /// The beginning of the line (at most 160 bytes, lossy).
    pub excerpt: String,
}

impl MalformedText {
    pub(super) fn new(file: &'static str, line: usize, reason: &'static str, text: &[u8]) -> Self {
        let shown = &text[..text.len().min(160)];
        MalformedText {
            file,
            line,
            reason,
            excerpt: String::from_utf8_lossy(shown).into_owned(),
        }
    }
}

impl Error {
    /// Sorts a system error: vanished, forbidden, or something else.
    ///
    /// `ENOENT` below /proc/TID means that the directory has gone, or that the kernel lacks
    /// the file: one more `stat` of the directory tells them apart.
    pub(super) fn of(pid: Pid, what: &'static str, source: io::Error) -> Error {
        match source.raw_os_error() {
            Some(libc::ESRCH) => Error::Gone { pid, what },
            Some(libc::ENOENT) if std::fs::metadata(format!("/proc/{pid}")).is_err() => {
                Error::Gone { pid, what }
            }
            Some(libc::ENOENT) => Error::Unsupported {
                what,
                remedy: "mount /proc completely, or use a kernel that has this file",
            },
            Some(libc::EACCES | libc::EPERM) => Error::Denied {
                pid,
                what,
                hint: "see also /proc/sys/kernel/yama/ptrace_scope and the hidepid mount option of /proc",
            },
            _ => Error::Io { pid, what, source },
        }
    }

    /// Same as [`Error::of`] for errors of nix.
    pub(super) fn of_errno(pid: Pid, what: &'static str, errno: nix::errno::Errno) -> Error {
        Error::of(pid, what, io::Error::from_raw_os_error(errno as i32))
    }

    /// Whether the process or its address space has ended.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Error::Gone { .. })
    }

    /// Whether the kernel refused access.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Error::Denied { .. })
    }
}
