//! The cases that a run of all profiles has to come to.

use vmaple::{Apart, Errno};

use super::{Case, Cut, Ending, Event, MergeCase};
use crate::op::{ANONYMOUS, Arg, CallName};

/// What the kernel that judges has been built with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Abilities {
    /// userfaultfd.
    pub userfaultfd: bool,
    /// PR_SET_VMA_ANON_NAME.
    pub anon_names: bool,
}

impl Abilities {
    /// Whether the kernel can come to this case.
    fn permit(self, case: &Case) -> bool {
        let has = |call: CallName| match call {
            CallName::UserfaultOpen
            | CallName::UserfaultClose
            | CallName::UserfaultRegister
            | CallName::UserfaultUnregister => self.userfaultfd,
            CallName::AnonName => self.anon_names,
            _ => true,
        };
        match *case {
            Case::Apart(Apart::Userfaultfd)
            | Case::Met(Event::ForkUnregisters | Event::MoveUnregisters) => self.userfaultfd,
            Case::Apart(Apart::Name) => self.anon_names,
            Case::Split(call, _)
            | Case::Success(call)
            | Case::Failure(call, _)
            | Case::Given(call, ..) => has(call),
            Case::Apart(_) | Case::Merge(_) | Case::NeverJoined | Case::Met(_) => true,
        }
    }
}

/// What a run of all profiles has to come to.
pub(super) fn required(abilities: Abilities) -> Vec<Case> {
    let mut cases = vec![
        Case::Merge(MergeCase::NewBoth),
        Case::Merge(MergeCase::NewLeft),
        Case::Merge(MergeCase::NewRight),
        Case::Merge(MergeCase::WholeBoth),
        Case::Merge(MergeCase::WholeLeft),
        Case::Merge(MergeCase::WholeRight),
        Case::Merge(MergeCase::PartLeft),
        Case::Merge(MergeCase::PartRight),
    ];
    for call in CUTTING {
        let cuts = [Cut::AtStart, Cut::AtEnd, Cut::AtBoth];
        cases.extend(cuts.map(|cut| Case::Split(*call, cut)));
    }
    cases.extend(REASONS.map(Case::Apart));
    // Setting a bound succeeds only with a capability that not every root has.
    let calls = CallName::ALL.into_iter();
    let calls = calls.filter(|call| *call != CallName::SetMm);
    cases.extend(calls.map(Case::Success));
    for (call, errnos) in FAILURES {
        cases.extend(errnos.iter().map(|errno| Case::Failure(*call, *errno)));
    }
    for (call, arg, ending, words) in WORDS {
        let given = |word: &u64| Case::Given(*call, *arg, *word, *ending);
        cases.extend(words.iter().map(given));
    }
    cases.extend(Event::ALL.map(Case::Met));
    cases.retain(|case| abilities.permit(case));
    if !abilities.anon_names {
        cases.push(Case::Failure(CallName::AnonName, Errno::EINVAL));
    }
    cases
}

/// Calls that cut mappings.
const CUTTING: &[CallName] = &[
    CallName::Mmap,
    CallName::Munmap,
    CallName::Mprotect,
    CallName::Mremap,
    CallName::Madvise,
    CallName::Mlock,
    CallName::Mlock2,
    CallName::Munlock,
    CallName::Mseal,
    CallName::UserfaultRegister,
    CallName::UserfaultUnregister,
    CallName::AnonName,
];

/// What keeps neighbours apart that random calls can make. Not among them: the kernel's own mappings.
const REASONS: [Apart; 8] = [
    Apart::Flags,
    Apart::File,
    Apart::Offset,
    Apart::AnonVma,
    Apart::Fork,
    Apart::Name,
    Apart::Userfaultfd,
    Apart::Driver,
];

/// The errors that each call gives, but those that come once in some hundred thousand. ENOMEM of
/// UFFDIO_REGISTER is not among them: without randomisation the stack is where user memory ends.
const FAILURES: &[(CallName, &[Errno])] = {
    use Errno::{
        EACCES, EAGAIN, EBADF, EBUSY, EEXIST, EFAULT, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP,
        EOVERFLOW, EPERM,
    };
    &[
        (
            CallName::Mmap,
            &[
                EPERM, EBADF, EAGAIN, ENOMEM, EACCES, EEXIST, ENODEV, EINVAL, EOVERFLOW, EOPNOTSUPP,
            ],
        ),
        (CallName::Munmap, &[EPERM]),
        (CallName::Mprotect, &[EPERM, ENOMEM, EACCES, EINVAL]),
        (CallName::PkeyMprotect, &[ENOMEM, EINVAL]),
        (CallName::Mremap, &[EPERM, EAGAIN, ENOMEM, EFAULT, EINVAL]),
        (CallName::Madvise, &[EPERM, ENOMEM, EACCES, EFAULT, EINVAL]),
        (CallName::Mlock, &[EPERM, ENOMEM]),
        (CallName::Mlock2, &[EPERM, ENOMEM, EINVAL]),
        (CallName::Munlock, &[ENOMEM]),
        (CallName::Mlockall, &[EPERM, ENOMEM, EINVAL]),
        (CallName::Mseal, &[ENOMEM, EINVAL]),
        (CallName::Msync, &[ENOMEM, EBUSY, EINVAL]),
        (CallName::Mincore, &[ENOMEM, EINVAL]),
        (CallName::RemapFilePages, &[EINVAL]),
        (CallName::Shmat, &[EPERM, EINVAL]),
        (CallName::Shmdt, &[EINVAL]),
        (CallName::Store, &[EFAULT]),
        (CallName::Load, &[EFAULT]),
        (CallName::UserfaultRegister, &[EPERM, EBUSY, EINVAL]),
        (CallName::UserfaultUnregister, &[EINVAL]),
        (CallName::AnonName, &[EBADF, ENOMEM, EINVAL]),
    ]
};

/// A call, an argument of it, how the call is to end, and what is to be in the argument then.
type Words = (CallName, Arg, Ending, &'static [u64]);

/// What calls have to be made with, and how they have to end then: everything that the manual pages
/// name and that the model does not decline.
const WORDS: &[Words] = {
    use Arg::{Advice, File, Limit, LockAll, MapFlags, MremapFlags, Prot, UserfaultMode};
    use CallName::{Madvise, Mlockall, Mmap, Mprotect, Mremap, SetLimit, UserfaultRegister};
    use Ending::{Failure, Success};
    &[
        (Mmap, Prot, Success, &[0, 1, 2, 4]),
        // Shared, private, validated, droppable; then the bits.
        (
            Mmap,
            MapFlags,
            Success,
            &[
                1, 2, 3, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x800, 0x1000, 0x2000, 0x4000, 0x8000,
                0x1_0000, 0x2_0000, 0x8_0000, 0x10_0000, 0x400_0000,
            ],
        ),
        // No type, huge pages, SYNC where it is looked at, a bit that nobody knows.
        (Mmap, MapFlags, Failure, &[0, 0x4_0000, 0x8_0000, 0x80_0000]),
        // Neither the write-only file nor the directory can be mapped.
        (Mmap, File, Success, &[0, 1, 2, 4, 5, 7, 8, ANONYMOUS]),
        (Mmap, File, Failure, &[2, 3, 6, 8]),
        (Mprotect, Prot, Success, &[0, 1, 2, 4, 8, 0x100_0000]),
        (Mprotect, Prot, Failure, &[0x200_0000]),
        (Mremap, MremapFlags, Success, &[0, 1, 2, 4]),
        (
            Madvise,
            Advice,
            Success,
            &[
                0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
                102, 103,
            ],
        ),
        (Mlockall, LockAll, Success, &[1, 2, 4]),
        (SetLimit, Limit, Success, &[2, 3, 8, 9]),
        (UserfaultRegister, UserfaultMode, Success, &[1, 2, 4]),
        (UserfaultRegister, UserfaultMode, Failure, &[0, 1, 2, 4, 8]),
    ]
};
