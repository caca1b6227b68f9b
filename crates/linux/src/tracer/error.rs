//! Why a run could not start or had to end.

use super::observer::ObserverError;
use nix::errno::Errno;
use std::path::PathBuf;

/// Why [`run`](super::run) came back without an outcome. No traced process is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such program.
    #[error("{}: no such program", .program.display())]
    NotFound {
        /// As it was asked for.
        program: PathBuf,
    },
    /// The program is there but cannot be started.
    #[error("{}: cannot be started: {reason}", .program.display())]
    NotExecutable {
        /// The file found.
        program: PathBuf,
        /// The kernel's answer.
        errno: Errno,
        /// The same for people.
        reason: String,
    },
    /// An argument or the environment holds a NUL byte.
    #[error("an argument or an environment variable holds a NUL byte")]
    NulByte,
    /// The kernel does not let this process trace its own child.
    #[error("ptrace refused ({errno}): {reason}; {advice}")]
    PtraceRefused {
        /// The kernel's answer.
        errno: Errno,
        /// What stands in the way.
        reason: String,
        /// What to change.
        advice: &'static str,
    },
    /// The kernel does not take the filter.
    #[error("seccomp filter refused ({errno}): {reason}; {advice}")]
    SeccompRefused {
        /// The kernel's answer.
        errno: Errno,
        /// What stands in the way.
        reason: String,
        /// What to change.
        advice: &'static str,
    },
    /// No support for this processor.
    #[error(
        "tracing is supported on x86-64 only, this is {}",
        std::env::consts::ARCH
    )]
    Unsupported,
    /// A system call of the tracer failed.
    #[error("{what}: {errno}")]
    Os {
        /// Which.
        what: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The observer gave up.
    #[error("the observer gave up: {0}")]
    Observer(#[source] ObserverError),
}

impl Error {
    /// For `map_err`: a failed system call of the tracer.
    pub(super) fn os(what: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::Os { what, errno }
    }

    /// Explains why a ptrace request on our own child was refused.
    pub(super) fn ptrace(errno: Errno) -> Self {
        if self_status("TracerPid:").is_some_and(|tracer| tracer != "0") {
            return Self::PtraceRefused {
                errno,
                reason: "this process is itself being traced".to_owned(),
                advice: "run it without the other tracer",
            };
        }
        let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
        let scope = scope.as_deref().map_or("", str::trim);
        let (reason, advice) = match scope {
            "3" => (
                "kernel.yama.ptrace_scope is 3".to_owned(),
                "it cannot be lowered before a reboot: set it to 1 in sysctl.conf and reboot",
            ),
            "2" => (
                "kernel.yama.ptrace_scope is 2".to_owned(),
                "set it to 1 (sysctl kernel.yama.ptrace_scope=1) or run as root",
            ),
            _ if under_a_filter() => (
                "this process runs under a seccomp filter, as in a container".to_owned(),
                "allow ptrace in the container's seccomp profile",
            ),
            _ => (
                "the kernel's security policy forbids it".to_owned(),
                "allow ptrace for this user, or grant CAP_SYS_PTRACE",
            ),
        };
        Self::PtraceRefused {
            errno,
            reason,
            advice,
        }
    }

    /// Explains why the filter was refused.
    pub(super) fn seccomp(errno: Errno) -> Self {
        let (reason, advice) = match errno {
            Errno::ENOSYS | Errno::EINVAL => (
                "this kernel has no seccomp filters".to_owned(),
                "use a kernel built with CONFIG_SECCOMP_FILTER",
            ),
            Errno::ENOMEM => (
                "too many filters, or no memory".to_owned(),
                "run outside of the other sandboxes",
            ),
            _ if under_a_filter() => (
                "this process runs under a seccomp filter, as in a container".to_owned(),
                "allow seccomp and prctl in the container's seccomp profile",
            ),
            _ => (
                "the kernel's security policy forbids it".to_owned(),
                "allow no_new_privs for this user, or grant CAP_SYS_ADMIN",
            ),
        };
        Self::SeccompRefused {
            errno,
            reason,
            advice,
        }
    }
}

/// Whether somebody outside has put a filter on this process.
fn under_a_filter() -> bool {
    self_status("Seccomp:").is_some_and(|mode| mode == "2")
}

/// A field of what the kernel tells of the calling thread.
fn self_status(name: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().to_owned())
}
