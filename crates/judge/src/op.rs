//! One operation: a call and its raw arguments, as both sides make it.

/// A call that both sides can make.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "named for the manual page of each call")]
pub enum CallName {
    Mmap,
    Munmap,
    Mprotect,
    PkeyMprotect,
    Mremap,
    Brk,
    Madvise,
    Mlock,
    Mlock2,
    Munlock,
    Mlockall,
    Munlockall,
    Mseal,
    Msync,
    Mincore,
    RemapFilePages,
    Shmat,
    Shmdt,
    /// PR_SET_MM with one of the options that set a bound.
    SetMm,
    /// PR_SET_THP_DISABLE.
    ThpDisable,
    /// Writes a byte, or grows a stack.
    Store,
    /// Reads a byte, or grows a stack.
    Load,
    /// The child of the fork goes on, the parent waits.
    Fork,
    /// Sets a soft limit of the process.
    SetLimit,
    /// Becomes an ordinary user, without capabilities.
    DropPrivileges,
    /// READ_IMPLIES_EXEC on or off.
    ReadImpliesExec,
    /// Opens a userfaultfd in one of two places, over the one that is there.
    UserfaultOpen,
    /// Closes the one in that place.
    UserfaultClose,
    /// UFFDIO_REGISTER.
    UserfaultRegister,
    /// UFFDIO_UNREGISTER.
    UserfaultUnregister,
    /// PR_SET_VMA_ANON_NAME.
    AnonName,
}

/// What an argument is, for reading and writing it as text and for making it smaller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Arg {
    /// An address in bytes.
    Addr,
    /// A length in bytes.
    Len,
    /// `PROT_*` bits.
    Prot,
    /// `MAP_*` bits.
    MapFlags,
    /// One of the files of [`crate::files::NAMES`], or anonymous.
    File,
    /// `MREMAP_*` bits.
    MremapFlags,
    /// `MADV_*`.
    Advice,
    /// `MCL_*` bits.
    LockAll,
    /// `RLIMIT_*`.
    Limit,
    /// `UFFDIO_REGISTER_MODE_*` bits.
    UserfaultMode,
    /// `UFFD_FEATURE_*` bits.
    UserfaultFeatures,
    /// One of [`crate::names::NAMES`].
    Name,
    /// Anything else.
    Number,
}

/// The value of a [`Arg::File`] argument that names no file.
pub const ANONYMOUS: u64 = u64::MAX;

impl CallName {
    /// All calls, in the order of the type.
    pub const ALL: [CallName; 31] = {
        use CallName::*;
        [
            Mmap,
            Munmap,
            Mprotect,
            PkeyMprotect,
            Mremap,
            Brk,
            Madvise,
            Mlock,
            Mlock2,
            Munlock,
            Mlockall,
            Munlockall,
            Mseal,
            Msync,
            Mincore,
            RemapFilePages,
            Shmat,
            Shmdt,
            SetMm,
            ThpDisable,
            Store,
            Load,
            Fork,
            SetLimit,
            DropPrivileges,
            ReadImpliesExec,
            UserfaultOpen,
            UserfaultClose,
            UserfaultRegister,
            UserfaultUnregister,
            AnonName,
        ]
    };

    /// The name in scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CallName::Mmap => "mmap",
            CallName::Munmap => "munmap",
            CallName::Mprotect => "mprotect",
            CallName::PkeyMprotect => "pkey_mprotect",
            CallName::Mremap => "mremap",
            CallName::Brk => "brk",
            CallName::Madvise => "madvise",
            CallName::Mlock => "mlock",
            CallName::Mlock2 => "mlock2",
            CallName::Munlock => "munlock",
            CallName::Mlockall => "mlockall",
            CallName::Munlockall => "munlockall",
            CallName::Mseal => "mseal",
            CallName::Msync => "msync",
            CallName::Mincore => "mincore",
            CallName::RemapFilePages => "remap_file_pages",
            CallName::Shmat => "shmat",
            CallName::Shmdt => "shmdt",
            CallName::SetMm => "prctl_set_mm",
            CallName::ThpDisable => "prctl_set_thp_disable",
            CallName::Store => "store",
            CallName::Load => "load",
            CallName::Fork => "fork",
            CallName::SetLimit => "setrlimit",
            CallName::DropPrivileges => "drop_privileges",
            CallName::ReadImpliesExec => "read_implies_exec",
            CallName::UserfaultOpen => "userfaultfd",
            CallName::UserfaultClose => "userfaultfd_close",
            CallName::UserfaultRegister => "uffdio_register",
            CallName::UserfaultUnregister => "uffdio_unregister",
            CallName::AnonName => "prctl_set_vma_anon_name",
        }
    }

    /// The call of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<CallName> {
        CallName::ALL.into_iter().find(|call| call.name() == name)
    }

    /// What its arguments are.
    #[must_use]
    pub const fn args(self) -> &'static [Arg] {
        use Arg::{
            Addr, Advice, File, Len, Limit, LockAll, MapFlags, MremapFlags, Name, Number, Prot,
            UserfaultFeatures, UserfaultMode,
        };
        match self {
            CallName::Mmap => &[Addr, Len, Prot, MapFlags, File, Number],
            CallName::Munmap | CallName::Mlock | CallName::Munlock | CallName::Mincore => {
                &[Addr, Len]
            }
            CallName::Mprotect => &[Addr, Len, Prot],
            CallName::PkeyMprotect => &[Addr, Len, Prot, Number],
            CallName::Mremap => &[Addr, Len, Len, MremapFlags, Addr],
            CallName::Brk | CallName::Shmdt | CallName::Store | CallName::Load => &[Addr],
            CallName::Madvise => &[Addr, Len, Advice],
            CallName::Mlock2
            | CallName::Mseal
            | CallName::Msync
            | CallName::UserfaultUnregister => &[Addr, Len, Number],
            CallName::Mlockall => &[LockAll],
            CallName::RemapFilePages => &[Addr, Len, Prot, Number, Number],
            CallName::Shmat => &[Addr, Number],
            CallName::SetMm => &[Number, Addr],
            CallName::ThpDisable | CallName::ReadImpliesExec | CallName::UserfaultClose => {
                &[Number]
            }
            CallName::UserfaultOpen => &[Number, UserfaultFeatures],
            CallName::UserfaultRegister => &[Addr, Len, UserfaultMode, Number],
            CallName::AnonName => &[Addr, Len, Name],
            CallName::SetLimit => &[Limit, Number],
            CallName::Munlockall | CallName::Fork | CallName::DropPrivileges => &[],
        }
    }

    /// Whether the kernel's result is a number that has nothing to do with the map.
    #[must_use]
    pub const fn has_other_result(self) -> bool {
        matches!(self, CallName::Fork | CallName::ReadImpliesExec)
    }
}

/// An operation: arguments exactly as a program could pass them, wrong ones included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Op {
    /// The call.
    pub call: CallName,
    /// Its arguments; those it does not have are 0.
    pub args: [u64; 6],
}

impl Op {
    /// A call with these arguments, at most six.
    ///
    /// ```
    /// use vmaple_judge::{CallName, Op};
    /// let unmap = Op::new(CallName::Munmap, &[0x1000, 0x1000]);
    /// assert_eq!(unmap.to_string(), "munmap(0x1000, 0x1000)");
    /// ```
    #[must_use]
    pub fn new(call: CallName, args: &[u64]) -> Op {
        let mut all = [0; 6];
        for (slot, value) in all.iter_mut().zip(args) {
            *slot = *value;
        }
        Op { call, args: all }
    }

    /// Whether a success makes a shared-memory object whose inode the model has to be told.
    #[must_use]
    pub fn makes_object(&self) -> bool {
        let [_, _, _, flags, file, _] = self.args;
        let shared = matches!(flags & 15, 1 | 3);
        let zero = file == crate::files::DEV_ZERO as u64;
        self.call == CallName::Mmap && shared && (flags & 0x20 != 0 || zero)
    }

    /// Length of a mapping in whole pages, for the size of its object.
    #[must_use]
    pub fn page_rounded_len(&self) -> u64 {
        match self.call {
            CallName::Mmap => self.args[1].wrapping_add(0xfff) & !0xfff,
            _ => 0,
        }
    }
}
