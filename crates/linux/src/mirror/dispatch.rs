//! One recorded call, made on the mirror's [`Mm`], its result held against the kernel's.

use vmaple::{CallError, Errno, FileRef, MapFlags, Mm, MmapArgs, MmapSource, UffdFeatures, UffdId};

use super::file::FileBook;
use super::{Outcome, ResultDifference};
use crate::call::{Call, Span};
use crate::event::{CallRecord, Facts, MappedFileFacts};

/// What a call gives: a value, or why not.
type Given = Result<u64, CallError>;

/// Makes the call of `record` on `mm`.
pub(super) fn call(mm: &mut Mm, files: &mut FileBook, record: &CallRecord) -> Outcome {
    let given = match &record.call {
        Call::Mmap { .. } => match mmap_args(&record.call, &record.facts, files) {
            Some(args) => match record.facts.refused {
                Some(errno) => refused(mm, &args, errno),
                None => mm.mmap(&args),
            },
            None => return judged_by_kernel(record),
        },
        Call::Shmat { addr, flags, .. } => match &record.facts.created {
            Some(segment) => {
                let size = segment.file.size_bytes;
                mm.shmat(files.file(segment), size, *addr, *flags)
            }
            None => return judged_by_kernel(record),
        },
        Call::IoSetup { .. } => match &record.facts.created {
            Some(ring) => return io_setup(mm, files.file(ring), ring, record),
            None => return judged_by_kernel(record),
        },
        Call::UffdRegister { .. } | Call::UffdUnregister { .. } => userfault(mm, record),
        // What becomes of pages is no matter of the map.
        Call::Madvise { addr, len, advice } if *advice == libc::MADV_COLLAPSE => {
            match mm.madvise(*addr, *len, *advice) {
                Err(CallError::Unmodelled(_)) => return judged_by_kernel(record),
                given => void(given),
            }
        }
        Call::SetMm { what: 14, map, .. } if record.ret == 0 => match map {
            Some(areas) => void(mm.prctl_set_mm_map(**areas)),
            None => return judged_by_kernel(record),
        },
        // A wrong bound is not the only thing that may be wrong with the structure; the others
        // have nothing to do with the map.
        Call::SetMm { what: 12..=15, .. } => return judged_by_kernel(record),
        Call::ProcessMadvise { own: false, .. } | Call::Fork | Call::Exec => {
            return judged_by_kernel(record);
        }
        Call::Other { call, .. } => return Outcome::Unmodelled(call.clone()),
        call => plain(mm, call),
    };
    judge(given, record.ret)
}

/// The ioctls of a userfaultfd, which is known by its inode.
fn userfault(mm: &mut Mm, record: &CallRecord) -> Given {
    let context = record
        .facts
        .file
        .as_ref()
        .ok_or(CallError::Errno(Errno::EBADF))?;
    let context = UffdId(context.file.inode);
    if let Some(features) = record.facts.uffd_features {
        let has = |bit: u32| features >> bit & 1 == 1;
        let features = UffdFeatures {
            event_fork: has(1),
            event_remap: has(2),
            wp_async: has(15),
        };
        mm.uffd_set_features(context, features)?;
    }
    match record.call {
        Call::UffdRegister {
            start, len, mode, ..
        } => void(mm.uffd_register(context, start, len, mode)),
        Call::UffdUnregister { start, len, .. } => void(mm.uffd_unregister_by(context, start, len)),
        _ => Err(CallError::Unmodelled(vmaple::Unmodelled("userfaultfd"))),
    }
}

/// Calls whose arguments say it all.
fn plain(mm: &mut Mm, call: &Call) -> Given {
    match *call {
        Call::Munmap { addr, len } => void(mm.munmap(addr, len)),
        Call::Mprotect { addr, len, prot } => void(mm.mprotect(addr, len, prot)),
        Call::PkeyMprotect {
            addr,
            len,
            prot,
            pkey,
        } => void(mm.pkey_mprotect(addr, len, prot, pkey)),
        Call::Mremap {
            addr,
            old_len,
            new_len,
            flags,
            new_addr,
        } => mm.mremap(addr, old_len, new_len, flags, new_addr),
        Call::Brk { addr } => Ok(mm.brk(addr)),
        Call::Madvise { addr, len, advice } => void(mm.madvise(addr, len, advice)),
        Call::ProcessMadvise {
            ref spans,
            advice,
            flags,
            ..
        } => process_madvise(mm, spans, advice, flags),
        Call::Mlock { addr, len } => void(mm.mlock(addr, len)),
        Call::Mlock2 { addr, len, flags } => void(mm.mlock2(addr, len, flags)),
        Call::Munlock { addr, len } => void(mm.munlock(addr, len)),
        Call::Mlockall { flags } => void(mm.mlockall(flags)),
        Call::Munlockall => {
            mm.munlockall();
            Ok(0)
        }
        Call::Mseal { addr, len, flags } => void(mm.mseal(addr, len, flags)),
        Call::Shmdt { addr } => void(mm.shmdt(addr)),
        Call::RemapFilePages {
            addr,
            size,
            prot,
            pgoff,
            flags,
        } => void(mm.remap_file_pages(addr, size, prot, pgoff, flags)),
        Call::IoDestroy { ctx } => void(io_destroy(mm, ctx)),
        Call::SetVma {
            what: 0,
            addr,
            len,
            ref anon_name,
        } => void(mm.prctl_set_vma_name(addr, len, anon_name.as_deref().map(str::as_bytes))),
        Call::SetVma { .. } => Err(CallError::Errno(Errno::EINVAL)),
        Call::ThpDisable {
            args: [disable, others @ ..],
        } => void(mm.prctl_set_thp_disable(disable, others)),
        Call::SetMm { what, value, .. } => void(mm.prctl_set_mm(what, value)),
        _ => Err(CallError::Unmodelled(vmaple::Unmodelled("this call"))),
    }
}

fn void(result: Result<(), CallError>) -> Given {
    result.map(|()| 0)
}

/// An `mmap` that the file's driver refused, if nothing else did before. It leaves no trace.
fn refused(mm: &Mm, args: &MmapArgs, errno: i32) -> Given {
    mm.clone().mmap(args)?;
    let unknown = CallError::Unmodelled(vmaple::Unmodelled("an error of a driver"));
    Err(Errno::from_raw(errno).map_or(unknown, CallError::Errno))
}

/// The arguments of an `mmap` that came back.
fn mmap_args(call: &Call, facts: &Facts, files: &mut FileBook) -> Option<MmapArgs> {
    let source = match (&facts.file, &facts.created) {
        _ if is_anonymous(call) => MmapSource::Anonymous {
            shared_object: facts.created.as_ref().map(|object| files.file(object)),
        },
        (None, _) => MmapSource::BadFd,
        (Some(device), Some(object)) => MmapSource::File(files.shared_zero(device, object)),
        (Some(file), None) => MmapSource::File(files.file(file)),
    };
    with_source(call, source, facts.drawn)
}

/// The arguments of an `mmap` that has not run yet.
pub(super) fn mmap_args_ahead(call: &Call, facts: &Facts, files: &FileBook) -> Option<MmapArgs> {
    let source = match &facts.file {
        _ if is_anonymous(call) => MmapSource::Anonymous {
            shared_object: None,
        },
        None => MmapSource::BadFd,
        Some(file) => MmapSource::File(files.passing(file)),
    };
    with_source(call, source, None)
}

fn is_anonymous(call: &Call) -> bool {
    matches!(call, Call::Mmap { flags, .. } if flags & MapFlags::ANONYMOUS.bits() != 0)
}

fn with_source(call: &Call, source: MmapSource, drawn: Option<u64>) -> Option<MmapArgs> {
    let &Call::Mmap {
        addr,
        len,
        prot,
        flags,
        offset,
        ..
    } = call
    else {
        return None;
    };
    Some(MmapArgs {
        addr,
        len,
        prot,
        flags,
        source,
        offset,
        drawn,
    })
}

/// The advice of a process to itself: bytes done, or the first error.
fn process_madvise(mm: &mut Mm, spans: &[Span], advice: i32, flags: u64) -> Given {
    if flags != 0 {
        return Err(CallError::Errno(Errno::EINVAL));
    }
    let mut done = 0;
    for span in spans {
        match mm.madvise(span.start, span.len, advice) {
            Ok(()) => done += span.len,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// `io_setup` returns its ring's address through a pointer.
fn io_setup(mm: &mut Mm, file: FileRef, ring: &MappedFileFacts, record: &CallRecord) -> Outcome {
    let given = mm.map_aio_ring(ring.file.size_bytes, file);
    match (given, record.facts.out) {
        (Ok(at), Some(out)) if at == out && record.ret == 0 => Outcome::Agrees,
        (Ok(at), _) => differs(
            Ok(at),
            record.facts.out.map_or(record.ret, u64::cast_signed),
        ),
        (Err(CallError::Unmodelled(what)), _) => Outcome::Unmodelled(what.0.to_owned()),
        (Err(CallError::Errno(errno)), _) => differs(Err(errno), record.ret),
    }
}

/// The context is the address of its ring; one that is no ring is `EINVAL`.
fn io_destroy(mm: &mut Mm, ctx: u64) -> Result<(), CallError> {
    let ring = mm
        .vma_at(ctx)
        .filter(|vma| vma.start == ctx)
        .map(vmaple::Vma::len);
    let len = ring.ok_or(CallError::Errno(Errno::EINVAL))?;
    mm.unmap_aio_ring(ctx, len)
}

/// A result that hangs on something other than the map (System V permissions, the other
/// process): taken as it is. The map is compared all the same.
fn judged_by_kernel(_record: &CallRecord) -> Outcome {
    Outcome::Agrees
}

fn judge(given: Given, kernel: i64) -> Outcome {
    match given {
        Ok(value) if value.cast_signed() == kernel => Outcome::Agrees,
        Ok(value) => differs(Ok(value), kernel),
        Err(CallError::Errno(errno)) if -i64::from(errno.as_raw()) == kernel => Outcome::Agrees,
        Err(CallError::Errno(errno)) => differs(Err(errno), kernel),
        Err(CallError::Unmodelled(what)) => Outcome::Unmodelled(what.0.to_owned()),
    }
}

fn differs(mirror: Result<u64, Errno>, kernel: i64) -> Outcome {
    Outcome::Result(ResultDifference { mirror, kernel })
}
