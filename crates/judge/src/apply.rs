//! An operation on either side: as a system call, and as a call of the model.

use std::sync::Arc;

use vmaple::{
    CallError, Capabilities, Errno, FileRef, Limits, Mm, MmapArgs, MmapSource, SharedZero, VmFlags,
};

use crate::executor::{SCRATCH, SystemCall};
use crate::files::{self, DEV_ZERO, FIRST_FD, KnownFile, SEGMENT_LEN};
use crate::names;
use crate::op::{ANONYMOUS, CallName, Op};
use crate::userfault::Contexts;

/// What the model needs besides the operation's own arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    /// The files, in the order of their numbers.
    pub(crate) files: &'a [Arc<KnownFile>],
    /// Number of the System V segment.
    pub(crate) segment: i32,
    /// The object that the kernel made for the mapping.
    pub(crate) object: SharedZero,
    /// What the kernel returned: tells which pages are guards, which the map does not.
    pub(crate) kernel: i64,
    /// Whether the page that a store touches is a guard, where that was looked up.
    pub(crate) is_guard: Option<bool>,
}

/// `op` as the executor makes it.
pub(crate) fn command(op: &Op, segment: i32) -> SystemCall {
    let [a, b, c, d, e, f] = op.args;
    let (number, args) = match op.call {
        CallName::Mmap => {
            let fd = match usize::try_from(e) {
                Ok(index) if index < files::NAMES.len() => FIRST_FD + index as i32,
                _ => -1,
            };
            let fd = i64::from(fd).cast_unsigned();
            (libc::SYS_mmap, [a, b, c, d, fd, f])
        }
        CallName::Munmap => (libc::SYS_munmap, op.args),
        CallName::Mprotect => (libc::SYS_mprotect, op.args),
        CallName::PkeyMprotect => (libc::SYS_pkey_mprotect, op.args),
        CallName::Mremap => (libc::SYS_mremap, op.args),
        CallName::Brk => (libc::SYS_brk, op.args),
        CallName::Madvise => (libc::SYS_madvise, op.args),
        CallName::Mlock => (libc::SYS_mlock, op.args),
        CallName::Mlock2 => (libc::SYS_mlock2, op.args),
        CallName::Munlock => (libc::SYS_munlock, op.args),
        CallName::Mlockall => (libc::SYS_mlockall, op.args),
        CallName::Munlockall => (libc::SYS_munlockall, op.args),
        CallName::Mseal => (libc::SYS_mseal, op.args),
        CallName::Msync => (libc::SYS_msync, op.args),
        CallName::Mincore => (libc::SYS_mincore, [a, b, SCRATCH, 0, 0, 0]),
        CallName::RemapFilePages => (libc::SYS_remap_file_pages, op.args),
        CallName::Shmat => (libc::SYS_shmat, [word(segment), a, b, 0, 0, 0]),
        CallName::Shmdt => (libc::SYS_shmdt, op.args),
        CallName::SetMm => (libc::SYS_prctl, [word(libc::PR_SET_MM), a, b, 0, 0, 0]),
        CallName::ThpDisable => {
            let option = word(libc::PR_SET_THP_DISABLE);
            (libc::SYS_prctl, [option, a, 0, 0, 0, 0])
        }
        CallName::Store => (libc::SYS_read, [descriptor(DEV_ZERO), a, 1, 0, 0, 0]),
        // A pipe or /dev/null would not look at the byte.
        CallName::Load => (libc::SYS_pwrite64, [descriptor(4), a, 1, 0, 0, 0]),
        CallName::Fork => (libc::SYS_fork, op.args),
        CallName::DropPrivileges => {
            let nobody = 65534;
            (libc::SYS_setresuid, [nobody, nobody, nobody, 0, 0, 0])
        }
        CallName::ReadImpliesExec => {
            let implies = if a == 0 { 0 } else { libc::READ_IMPLIES_EXEC };
            let bits = word(libc::ADDR_NO_RANDOMIZE | implies);
            (libc::SYS_personality, [bits, 0, 0, 0, 0, 0])
        }
        CallName::AnonName => {
            let option = word(libc::PR_SET_VMA);
            let name = names::of_number(c).map_or(0, |_| SCRATCH);
            (libc::SYS_prctl, [option, 0, a, b, name, 0])
        }
        // Made from outside; the executor only answers.
        CallName::SetLimit
        | CallName::UserfaultOpen
        | CallName::UserfaultClose
        | CallName::UserfaultRegister
        | CallName::UserfaultUnregister => (libc::SYS_getppid, [0; 6]),
    };
    let [a, b, c, d, e, f] = args;
    [number.cast_unsigned(), a, b, c, d, e, f]
}

fn word(value: i32) -> u64 {
    i64::from(value).cast_unsigned()
}

fn descriptor(index: usize) -> u64 {
    word(FIRST_FD) + index as u64
}

/// Makes the call on the model.
pub(crate) fn apply(
    op: &Op,
    mm: &mut Mm,
    contexts: &mut Contexts,
    given: &Given<'_>,
) -> Result<u64, CallError> {
    let done = |result: Result<(), CallError>| result.map(|()| 0);
    let [a, b, c, d, e, f] = op.args;
    match op.call {
        CallName::Mmap => mm.mmap(&MmapArgs {
            addr: a,
            len: b,
            prot: c,
            flags: d,
            source: source_of(e, given),
            offset: f,
            drawn: None,
        }),
        CallName::Munmap => done(mm.munmap(a, b)),
        CallName::Mprotect => done(mm.mprotect(a, b, c)),
        CallName::PkeyMprotect => done(mm.pkey_mprotect(a, b, c, d as i32)),
        CallName::Mremap => mm.mremap(a, b, c, d, e),
        CallName::Brk => Ok(mm.brk(a)),
        CallName::Madvise => done(mm.madvise(a, b, c as i32)),
        CallName::Mlock => done(mm.mlock(a, b)),
        CallName::Mlock2 => done(mm.mlock2(a, b, c)),
        CallName::Munlock => done(mm.munlock(a, b)),
        CallName::Mlockall => done(mm.mlockall(a)),
        CallName::Munlockall => {
            mm.munlockall();
            Ok(0)
        }
        CallName::Mseal => done(mm.mseal(a, b, c)),
        CallName::Msync => done(mm.msync(a, b, c)),
        CallName::Mincore => done(mm.mincore(a, b)),
        CallName::RemapFilePages => done(mm.remap_file_pages(a, b, c, d, e)),
        CallName::SetMm => done(mm.prctl_set_mm(a, b)),
        CallName::Store => store(mm, a, given),
        CallName::Load => load(mm, a, given.kernel),
        CallName::Fork => {
            let child = mm.fork().map_err(|error| CallError::Errno(error.0))?;
            *mm = child;
            contexts.forked();
            Ok(0)
        }
        CallName::Shmat => {
            let segment = KnownFile::of_segment(u64::from(given.segment as u32), given.object.id);
            mm.shmat(Arc::new(segment), SEGMENT_LEN, a, b)
        }
        CallName::Shmdt => done(mm.shmdt(a)),
        CallName::ThpDisable => done(mm.prctl_set_thp_disable(a, [0; 3])),
        CallName::SetLimit | CallName::DropPrivileges | CallName::ReadImpliesExec => {
            reconfigure(op, mm);
            Ok(0)
        }
        CallName::UserfaultOpen
        | CallName::UserfaultClose
        | CallName::UserfaultRegister
        | CallName::UserfaultUnregister => done(userfault(op, mm, contexts)),
        CallName::AnonName => done(mm.prctl_set_vma_name(a, b, names::of_number(c))),
    }
}

/// The operations on userfaultfds.
fn userfault(op: &Op, mm: &mut Mm, contexts: &mut Contexts) -> Result<(), CallError> {
    let [a, b, c, d, ..] = op.args;
    let closed: CallError = Errno::EBADF.into();
    match op.call {
        CallName::UserfaultOpen => contexts.open(mm, a, b),
        CallName::UserfaultClose => contexts.close(mm, a),
        CallName::UserfaultRegister => {
            let context = contexts.at(d).ok_or(closed)?;
            mm.uffd_register(context, a, b, c)
        }
        _ => mm.uffd_unregister_by(contexts.at(c).ok_or(closed)?, a, b),
    }
}

/// The operations that change a setting only.
fn reconfigure(op: &Op, mm: &mut Mm) {
    let config = mm.config_mut();
    match op.call {
        CallName::DropPrivileges => config.capabilities = Capabilities::default(),
        CallName::ReadImpliesExec => config.read_implies_exec = op.args[0] != 0,
        CallName::SetLimit => set_limit(&mut config.limits, op.args[0], op.args[1]),
        _ => {}
    }
}

fn set_limit(limits: &mut Limits, which: u64, bytes: u64) {
    match which as u32 {
        libc::RLIMIT_AS => limits.as_bytes = bytes,
        libc::RLIMIT_DATA => limits.data_bytes = bytes,
        libc::RLIMIT_STACK => limits.stack_bytes = bytes,
        _ => limits.memlock_bytes = bytes,
    }
}

/// What a mapping is made of.
fn source_of(file: u64, given: &Given<'_>) -> MmapSource {
    let known = usize::try_from(file)
        .ok()
        .and_then(|index| given.files.get(index));
    let Some(known) = known.filter(|_| file != ANONYMOUS) else {
        let shared_object: FileRef = Arc::new(given.object);
        return MmapSource::Anonymous {
            shared_object: Some(shared_object),
        };
    };
    if let Ok(mut slot) = known.object.lock() {
        *slot = Some(given.object);
    }
    let file: FileRef = Arc::<KnownFile>::clone(known);
    MmapSource::File(file)
}

/// Where faults are a userfaultfd's.
pub(crate) const HANDED_OVER: VmFlags = VmFlags::UFFD_MISSING.union(VmFlags::UFFD_MINOR);

/// The VMA that an access at `addr` finds, a stack grown for it if need be.
fn faulting(mm: &mut Mm, addr: u64) -> Result<(VmFlags, bool), CallError> {
    let fault: CallError = Errno::EFAULT.into();
    let vma = mm.find(addr).ok_or(fault)?;
    if vma.start > addr {
        mm.expand_stack(addr).map_err(|_| fault)?;
    }
    let vma = mm.vma_at(addr).ok_or(fault)?;
    let page = addr & !0xfff;
    let beyond = vma
        .backing
        .file()
        .and_then(|file| file.len_hint())
        .is_some_and(|len| vma.pgoff_at(page, 12) >= len.div_ceil(4096));
    Ok((vma.flags, beyond))
}

/// The kernel writes one byte there on behalf of `read`.
///
/// It gives the mapping an anon_vma beyond the end of a file too, but at a guard it does not.
fn store(mm: &mut Mm, addr: u64, given: &Given<'_>) -> Result<u64, CallError> {
    let fault: CallError = Errno::EFAULT.into();
    let (flags, beyond) = faulting(mm, addr)?;
    let is_refused = given.kernel < 0;
    // Which pages are guards is not the map's business.
    if flags.contains(VmFlags::MAYBE_GUARD) && is_refused && given.is_guard.unwrap_or(true) {
        return Err(fault);
    }
    if !flags.contains(VmFlags::WRITE) {
        return Err(fault);
    }
    mm.note_faulted(addr);
    // Nor is which pages are there already, where the others are a userfaultfd's.
    let handed_over = flags.intersects(HANDED_OVER) && is_refused;
    if beyond || handed_over {
        Err(fault)
    } else {
        Ok(1)
    }
}

/// The kernel reads one byte there on behalf of `pwrite`. A read brings in no page of its own.
fn load(mm: &mut Mm, addr: u64, kernel: i64) -> Result<u64, CallError> {
    let fault: CallError = Errno::EFAULT.into();
    let (flags, beyond) = faulting(mm, addr)?;
    let unknown = VmFlags::MAYBE_GUARD | HANDED_OVER;
    let guard = flags.intersects(unknown) && kernel < 0;
    // On this processor what may be written or executed may be read.
    let readable = flags.intersects(VmFlags::ACCESS);
    if !readable || beyond || guard {
        Err(fault)
    } else {
        Ok(1)
    }
}
