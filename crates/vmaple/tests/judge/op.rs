//! One operation: as a system call, and as a call of the model.

use super::child::Command;
use super::files::{DEV_ZERO, FIRST_FD, SEGMENT_LEN, Segment, TestFile};
use std::sync::Arc;
use vmaple::{
    CallError, Capabilities, Errno, FileRef, Limits, Mm, MmapArgs, MmapSource, SharedZero,
};

/// An operation with its raw arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    /// `file` is an index; `None` with ANONYMOUS.
    Mmap {
        addr: u64,
        len: u64,
        prot: u64,
        flags: u64,
        file: Option<usize>,
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
    },
    Msync {
        addr: u64,
        len: u64,
        flags: u64,
    },
    RemapFilePages {
        addr: u64,
        len: u64,
        pgoff: u64,
    },
    /// Writes a byte, or grows a stack.
    Touch {
        addr: u64,
    },
    /// The child of the fork goes on.
    Fork,
    SetLimit {
        which: u32,
        bytes: u64,
    },
    /// Becomes an ordinary user, without capabilities.
    DropPrivileges,
    /// READ_IMPLIES_EXEC on or off.
    ReadImpliesExec {
        on: bool,
    },
    Shmat {
        addr: u64,
        flags: u64,
    },
    Shmdt {
        addr: u64,
    },
}

impl Op {
    /// As the child takes it; `segment` is the number of the System V segment.
    pub(crate) fn command(&self, segment: i32) -> Command {
        let call = |number: i64, args: [u64; 6]| {
            let [a, b, c, d, e, f] = args;
            [number as u64, a, b, c, d, e, f]
        };
        match *self {
            Op::Mmap {
                addr,
                len,
                prot,
                flags,
                file,
                offset,
            } => {
                let fd = file.map_or(-1, |index| FIRST_FD + index as i32);
                call(libc::SYS_mmap, [addr, len, prot, flags, fd as u64, offset])
            }
            Op::Munmap { addr, len } => call(libc::SYS_munmap, [addr, len, 0, 0, 0, 0]),
            Op::Mprotect { addr, len, prot } => {
                call(libc::SYS_mprotect, [addr, len, prot, 0, 0, 0])
            }
            Op::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            } => call(
                libc::SYS_mremap,
                [addr, old_len, new_len, flags, new_addr, 0],
            ),
            Op::Brk { addr } => call(libc::SYS_brk, [addr, 0, 0, 0, 0, 0]),
            Op::Madvise { addr, len, advice } => {
                call(libc::SYS_madvise, [addr, len, advice as u64, 0, 0, 0])
            }
            Op::Mlock { addr, len } => call(libc::SYS_mlock, [addr, len, 0, 0, 0, 0]),
            Op::Mlock2 { addr, len, flags } => call(libc::SYS_mlock2, [addr, len, flags, 0, 0, 0]),
            Op::Munlock { addr, len } => call(libc::SYS_munlock, [addr, len, 0, 0, 0, 0]),
            Op::Mlockall { flags } => call(libc::SYS_mlockall, [flags, 0, 0, 0, 0, 0]),
            Op::Munlockall => call(libc::SYS_munlockall, [0; 6]),
            Op::Mseal { addr, len } => call(462, [addr, len, 0, 0, 0, 0]),
            Op::Msync { addr, len, flags } => call(libc::SYS_msync, [addr, len, flags, 0, 0, 0]),
            Op::RemapFilePages { addr, len, pgoff } => {
                call(libc::SYS_remap_file_pages, [addr, len, 0, pgoff, 0, 0])
            }
            Op::Touch { addr } => {
                let zero = FIRST_FD + DEV_ZERO as i32;
                call(libc::SYS_read, [zero as u64, addr, 1, 0, 0, 0])
            }
            Op::Fork => call(libc::SYS_fork, [0; 6]),
            Op::DropPrivileges => {
                let nobody = 65534;
                call(libc::SYS_setresuid, [nobody, nobody, nobody, 0, 0, 0])
            }
            Op::ReadImpliesExec { on } => {
                let bits = libc::ADDR_NO_RANDOMIZE | if on { libc::READ_IMPLIES_EXEC } else { 0 };
                call(libc::SYS_personality, [bits as u64, 0, 0, 0, 0, 0])
            }
            Op::Shmat { addr, flags } => {
                call(libc::SYS_shmat, [segment as u64, addr, flags, 0, 0, 0])
            }
            Op::Shmdt { addr } => call(libc::SYS_shmdt, [addr, 0, 0, 0, 0, 0]),
            // The limits are set by the parent; the child does nothing.
            Op::SetLimit { .. } => call(libc::SYS_getpid, [0; 6]),
        }
    }

    /// Whether a success makes a shared-memory object whose inode the model has to be told.
    pub(crate) fn makes_object(&self) -> bool {
        let Op::Mmap { flags, file, .. } = *self else {
            return false;
        };
        let shared = matches!(flags & 15, 1 | 3);
        shared && (flags & 0x20 != 0 || file == Some(DEV_ZERO))
    }

    /// Length of a mapping, for the size of its object.
    pub(crate) fn page_rounded_len(&self) -> u64 {
        match *self {
            Op::Mmap { len, .. } => len.wrapping_add(0xfff) & !0xfff,
            _ => 0,
        }
    }

    /// Whether the result is a number that has nothing to do with the map.
    pub(crate) fn has_other_result(&self) -> bool {
        matches!(
            self,
            Op::Fork | Op::SetLimit { .. } | Op::ReadImpliesExec { .. }
        )
    }

    /// Makes the call on the model. `inode` is that of a new shared-memory object.
    pub(crate) fn apply(
        &self,
        mm: &mut Mm,
        files: &[TestFile],
        segment: Segment,
        object: SharedZero,
        kernel: i64,
    ) -> Result<u64, CallError> {
        let done = |result: Result<(), CallError>| result.map(|()| 0);
        match *self {
            Op::Mmap {
                addr,
                len,
                prot,
                flags,
                file,
                offset,
            } => {
                let source = source_of(file, files, object);
                let args = MmapArgs {
                    addr,
                    len,
                    prot,
                    flags,
                    source,
                    offset,
                    drawn: None,
                };
                mm.mmap(&args)
            }
            Op::Munmap { addr, len } => done(mm.munmap(addr, len)),
            Op::Mprotect { addr, len, prot } => done(mm.mprotect(addr, len, prot)),
            Op::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            } => mm.mremap(addr, old_len, new_len, flags, new_addr),
            Op::Brk { addr } => Ok(mm.brk(addr)),
            Op::Madvise { addr, len, advice } => done(mm.madvise(addr, len, advice)),
            Op::Mlock { addr, len } => done(mm.mlock(addr, len)),
            Op::Mlock2 { addr, len, flags } => done(mm.mlock2(addr, len, flags)),
            Op::Munlock { addr, len } => done(mm.munlock(addr, len)),
            Op::Mlockall { flags } => done(mm.mlockall(flags)),
            Op::Munlockall => {
                mm.munlockall();
                Ok(0)
            }
            Op::Mseal { addr, len } => done(mm.mseal(addr, len, 0)),
            Op::Msync { addr, len, flags } => done(mm.msync(addr, len, flags)),
            Op::RemapFilePages { addr, len, pgoff } => {
                done(mm.remap_file_pages(addr, len, 0, pgoff, 0))
            }
            Op::Touch { addr } => touch(mm, addr, kernel),
            Op::Fork => {
                let child = mm.fork().map_err(|error| CallError::Errno(error.0))?;
                *mm = child;
                Ok(0)
            }
            Op::Shmat { addr, flags } => {
                let segment = Arc::new(segment.attached(object.id));
                mm.shmat(segment, SEGMENT_LEN, addr, flags)
            }
            Op::Shmdt { addr } => done(mm.shmdt(addr)),
            _ => {
                self.reconfigure(mm);
                Ok(0)
            }
        }
    }
}

/// What a mapping is made of.
fn source_of(file: Option<usize>, files: &[TestFile], object: SharedZero) -> MmapSource {
    let Some(index) = file else {
        let shared_object: FileRef = Arc::new(object);
        return MmapSource::Anonymous {
            shared_object: Some(shared_object),
        };
    };
    let known = Arc::clone(&files[index].known);
    if let Ok(mut slot) = known.object.lock() {
        *slot = Some(object);
    }
    MmapSource::File(known)
}

impl Op {
    /// The operations that change a setting only.
    fn reconfigure(&self, mm: &mut Mm) {
        let config = mm.config_mut();
        match *self {
            Op::DropPrivileges => config.capabilities = Capabilities::default(),
            Op::ReadImpliesExec { on } => config.read_implies_exec = on,
            Op::SetLimit { which, bytes } => set_limit(&mut config.limits, which, bytes),
            _ => {}
        }
    }
}

fn set_limit(limits: &mut Limits, which: u32, bytes: u64) {
    match which {
        libc::RLIMIT_AS => limits.as_bytes = bytes,
        libc::RLIMIT_DATA => limits.data_bytes = bytes,
        _ => limits.memlock_bytes = bytes,
    }
}

/// The kernel writes one byte there on behalf of `read`.
fn touch(mm: &mut Mm, addr: u64, kernel: i64) -> Result<u64, CallError> {
    let fault: CallError = Errno::EFAULT.into();
    let vma = mm.find(addr).ok_or(fault)?;
    if vma.start > addr {
        mm.expand_stack(addr).map_err(|_| fault)?;
    }
    let vma = mm.vma_at(addr).ok_or(fault)?;
    let beyond = vma
        .backing
        .file()
        .and_then(|file| file.len_hint())
        .is_some_and(|len| vma.pgoff_at(addr & !0xfff, 12) >= len.div_ceil(4096));
    // Which pages are guards is not the map's business.
    if vma.flags.contains(vmaple::VmFlags::MAYBE_GUARD) && kernel < 0 {
        return Err(fault);
    }
    let writable = vma.flags.contains(vmaple::VmFlags::WRITE);
    if writable {
        mm.note_faulted(addr);
    }
    if !writable || beyond {
        Err(fault)
    } else {
        Ok(1)
    }
}
