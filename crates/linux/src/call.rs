//! The memory calls of Linux, typed.
//!
//! A [`Call`] holds the arguments exactly as the program passed them, wrong ones included:
//! judging them is [`vmaple::Mm`]'s work. Where an argument is a pointer to more arguments
//! (`process_madvise`, the userfaultfd ioctls) the pointed-to values are part of the call, so
//! that a recorded call can be replayed without the program.
//!
//! The names are those of the manual pages. Which number means which call on which processor
//! is known to [`crate::arch`] alone.

use core::fmt;

use serde::{Deserialize, Serialize};

/// One address range in bytes, `start..start + len`, as a program passes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
}

/// A memory call and its arguments.
///
/// Addresses and lengths are in bytes and not checked in any way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the fields are the arguments the manual page of each call names"
)]
pub enum Call {
    Mmap {
        addr: u64,
        len: u64,
        prot: u64,
        flags: u64,
        fd: i32,
        offset: u64,
    },
    Munmap {
        addr: u64,
        len: u64,
    },
    Mprotect {
        addr: u64,
        len: u64,
        prot: u64,
    },
    PkeyMprotect {
        addr: u64,
        len: u64,
        prot: u64,
        pkey: i32,
    },
    Mremap {
        addr: u64,
        old_len: u64,
        new_len: u64,
        flags: u64,
        new_addr: u64,
    },
    Brk {
        addr: u64,
    },
    Madvise {
        addr: u64,
        len: u64,
        advice: i32,
    },
    /// `own`: the pidfd names the calling process, so the advice is for its own ranges.
    ProcessMadvise {
        own: bool,
        spans: Vec<Span>,
        advice: i32,
        flags: u64,
    },
    Mlock {
        addr: u64,
        len: u64,
    },
    Mlock2 {
        addr: u64,
        len: u64,
        flags: u64,
    },
    Munlock {
        addr: u64,
        len: u64,
    },
    Mlockall {
        flags: u64,
    },
    Munlockall,
    Mseal {
        addr: u64,
        len: u64,
        flags: u64,
    },
    Shmat {
        shmid: i32,
        addr: u64,
        flags: u64,
    },
    Shmdt {
        addr: u64,
    },
    RemapFilePages {
        addr: u64,
        size: u64,
        prot: u64,
        pgoff: u64,
        flags: u64,
    },
    IoSetup {
        nr_events: u64,
    },
    IoDestroy {
        ctx: u64,
    },
    /// `prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, …)`; `what` is the second argument.
    SetVma {
        what: u64,
        addr: u64,
        len: u64,
        anon_name: Option<String>,
    },
    /// `prctl(PR_SET_MM, …)`; `map`: the bounds that PR_SET_MM_MAP points to.
    SetMm {
        what: u64,
        value: u64,
        size: u64,
        arg5: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        map: Option<Box<vmaple::BrkArea>>,
    },
    /// `prctl(PR_SET_THP_DISABLE, …)` with the arguments after the first.
    ThpDisable {
        args: [u64; 4],
    },
    /// `ioctl(fd, UFFDIO_REGISTER, …)`.
    UffdRegister {
        fd: i32,
        start: u64,
        len: u64,
        mode: u64,
    },
    /// `ioctl(fd, UFFDIO_UNREGISTER, …)`.
    UffdUnregister {
        fd: i32,
        start: u64,
        len: u64,
    },
    /// fork, vfork, clone or clone3 without `CLONE_VM`: the map is copied.
    Fork,
    /// execve or execveat: the map is replaced.
    Exec,
    /// A traced call that vmaple has no model of.
    Other {
        call: String,
        args: [u64; 6],
    },
}

impl Call {
    /// The name of the system call, as tables and reports show it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Call::Mmap { .. } => "mmap",
            Call::Munmap { .. } => "munmap",
            Call::Mprotect { .. } => "mprotect",
            Call::PkeyMprotect { .. } => "pkey_mprotect",
            Call::Mremap { .. } => "mremap",
            Call::Brk { .. } => "brk",
            Call::Madvise { .. } => "madvise",
            Call::ProcessMadvise { .. } => "process_madvise",
            Call::Mlock { .. } => "mlock",
            Call::Mlock2 { .. } => "mlock2",
            Call::Munlock { .. } => "munlock",
            Call::Mlockall { .. } => "mlockall",
            Call::Munlockall => "munlockall",
            Call::Mseal { .. } => "mseal",
            Call::Shmat { .. } => "shmat",
            Call::Shmdt { .. } => "shmdt",
            Call::RemapFilePages { .. } => "remap_file_pages",
            Call::IoSetup { .. } => "io_setup",
            Call::IoDestroy { .. } => "io_destroy",
            Call::SetVma { .. } => "prctl(PR_SET_VMA)",
            Call::SetMm { .. } => "prctl(PR_SET_MM)",
            Call::ThpDisable { .. } => "prctl(PR_SET_THP_DISABLE)",
            Call::UffdRegister { .. } => "ioctl(UFFDIO_REGISTER)",
            Call::UffdUnregister { .. } => "ioctl(UFFDIO_UNREGISTER)",
            Call::Fork => "fork",
            Call::Exec => "exec",
            Call::Other { call, .. } => call,
        }
    }

    /// The ranges of the caller's map that the call names, before any rounding.
    ///
    /// An `mmap` that lets the kernel choose names none: where it goes is the model's to say.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        match *self {
            Call::Munmap { addr, len }
            | Call::Mprotect { addr, len, .. }
            | Call::PkeyMprotect { addr, len, .. }
            | Call::Madvise { addr, len, .. }
            | Call::Mlock { addr, len }
            | Call::Mlock2 { addr, len, .. }
            | Call::Munlock { addr, len }
            | Call::Mseal { addr, len, .. }
            | Call::SetVma { addr, len, .. }
            | Call::RemapFilePages {
                addr, size: len, ..
            }
            | Call::UffdRegister {
                start: addr, len, ..
            }
            | Call::UffdUnregister {
                start: addr, len, ..
            } => vec![Span { start: addr, len }],
            Call::Mremap {
                addr,
                old_len,
                new_len,
                new_addr,
                ..
            } => {
                // A growing mapping may meet what lies behind it.
                let here = Span {
                    start: addr,
                    len: old_len.max(new_len),
                };
                vec![
                    here,
                    Span {
                        start: new_addr,
                        len: new_len,
                    },
                ]
            }
            Call::ProcessMadvise {
                own: true,
                ref spans,
                ..
            } => spans.clone(),
            _ => Vec::new(),
        }
    }

    /// True where the call may look at every mapping of the process.
    #[must_use]
    pub fn touches_whole_map(&self) -> bool {
        matches!(
            self,
            Call::Fork
                | Call::Mlockall { .. }
                | Call::Munlockall
                | Call::Other { .. }
                | Call::Shmdt { .. }
        )
    }
}

/// One argument, as it is shown.
enum Word<'a> {
    Hex(u64),
    Int(i32),
    Text(&'a str),
    Name(Option<&'a str>),
    Count(usize, &'static str),
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Hex(value) => write!(f, "{value:#x}"),
            Word::Int(value) => write!(f, "{value}"),
            Word::Text(text) => f.write_str(text),
            Word::Name(Some(name)) => write!(f, "{name:?}"),
            Word::Name(None) => f.write_str("NULL"),
            Word::Count(count, what) => write!(f, "{count} {what}"),
        }
    }
}

impl Call {
    /// The arguments of calls that take a range and numbers.
    fn range_words(&self) -> Option<Vec<Word<'_>>> {
        use Word::{Hex, Int};
        Some(match *self {
            Call::Mmap {
                addr,
                len,
                prot,
                flags,
                fd,
                offset,
            } => {
                vec![
                    Hex(addr),
                    Hex(len),
                    Hex(prot),
                    Hex(flags),
                    Int(fd),
                    Hex(offset),
                ]
            }
            Call::Munmap { addr, len }
            | Call::Mlock { addr, len }
            | Call::Munlock { addr, len } => {
                vec![Hex(addr), Hex(len)]
            }
            Call::Mprotect {
                addr,
                len,
                prot: third,
            }
            | Call::Mlock2 {
                addr,
                len,
                flags: third,
            }
            | Call::Mseal {
                addr,
                len,
                flags: third,
            } => vec![Hex(addr), Hex(len), Hex(third)],
            Call::PkeyMprotect {
                addr,
                len,
                prot,
                pkey,
            } => {
                vec![Hex(addr), Hex(len), Hex(prot), Int(pkey)]
            }
            Call::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            } => {
                vec![
                    Hex(addr),
                    Hex(old_len),
                    Hex(new_len),
                    Hex(flags),
                    Hex(new_addr),
                ]
            }
            Call::Madvise { addr, len, advice } => vec![Hex(addr), Hex(len), Int(advice)],
            _ => return None,
        })
    }

    /// The arguments of all others.
    fn other_words(&self) -> Vec<Word<'_>> {
        use Word::{Count, Hex, Int, Name, Text};
        match self {
            Call::Brk { addr: value }
            | Call::Shmdt { addr: value }
            | Call::Mlockall { flags: value }
            | Call::IoSetup { nr_events: value }
            | Call::IoDestroy { ctx: value } => vec![Hex(*value)],
            Call::ProcessMadvise {
                own,
                spans,
                advice,
                flags,
            } => {
                let whose = Text(if *own { "own" } else { "another process" });
                vec![
                    whose,
                    Count(spans.len(), "ranges"),
                    Int(*advice),
                    Hex(*flags),
                ]
            }
            Call::Shmat { shmid, addr, flags } => vec![Int(*shmid), Hex(*addr), Hex(*flags)],
            Call::SetVma {
                what,
                addr,
                len,
                anon_name,
            } => {
                vec![
                    Hex(*what),
                    Hex(*addr),
                    Hex(*len),
                    Name(anon_name.as_deref()),
                ]
            }
            Call::SetMm {
                what,
                value,
                size,
                arg5,
                ..
            } => {
                vec![Hex(*what), Hex(*value), Hex(*size), Hex(*arg5)]
            }
            Call::RemapFilePages {
                addr,
                size,
                prot,
                pgoff,
                flags,
            } => {
                vec![Hex(*addr), Hex(*size), Hex(*prot), Hex(*pgoff), Hex(*flags)]
            }
            Call::UffdRegister {
                fd,
                start,
                len,
                mode,
            } => {
                vec![Int(*fd), Hex(*start), Hex(*len), Hex(*mode)]
            }
            Call::UffdUnregister { fd, start, len } => vec![Int(*fd), Hex(*start), Hex(*len)],
            Call::ThpDisable { args } => args.map(Hex).into(),
            Call::Other { args, .. } => args.map(Hex).into(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name())?;
        let words = self.range_words().unwrap_or_else(|| self.other_words());
        for (index, word) in words.iter().enumerate() {
            write!(f, "{}{word}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_survives_json() {
        let calls = [
            Call::Mmap {
                addr: 0,
                len: 4096,
                prot: 3,
                flags: 0x22,
                fd: -1,
                offset: 0,
            },
            Call::ProcessMadvise {
                own: true,
                spans: vec![Span {
                    start: 1,
                    len: u64::MAX,
                }],
                advice: 4,
                flags: 0,
            },
            Call::Munlockall,
            Call::SetVma {
                what: 0,
                addr: 1,
                len: 2,
                anon_name: Some("x".into()),
            },
            Call::Other {
                call: "mbind".into(),
                args: [1, 2, 3, 4, 5, 6],
            },
        ];
        for call in calls {
            let text = serde_json::to_string(&call).unwrap();
            assert_eq!(serde_json::from_str::<Call>(&text).unwrap(), call, "{text}");
        }
    }

    #[test]
    fn a_call_reads_as_a_person_would_write_it() {
        let call = Call::Mprotect {
            addr: 0x1000,
            len: 0x2000,
            prot: 1,
        };
        assert_eq!(call.to_string(), "mprotect(0x1000, 0x2000, 0x1)");
        let call = Call::Other {
            call: "mbind".into(),
            args: [1, 2, 3, 4, 5, 6],
        };
        assert_eq!(call.to_string(), "mbind(0x1, 0x2, 0x3, 0x4, 0x5, 0x6)");
    }

    #[test]
    fn a_growing_mremap_concerns_what_lies_behind() {
        let call = Call::Mremap {
            addr: 0x1000,
            old_len: 0x1000,
            new_len: 0x3000,
            flags: 0,
            new_addr: 0,
        };
        assert_eq!(
            call.spans()[0],
            Span {
                start: 0x1000,
                len: 0x3000
            }
        );
    }
}
