//! What a random sequence is made of.

use vmaple::LayoutKind;

/// Relative frequencies of the kinds of operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) layout: LayoutKind,
    /// Starts by giving up all capabilities.
    pub(crate) unprivileged: bool,
    pub(crate) mmap_fixed: u32,
    pub(crate) mmap_anywhere: u32,
    pub(crate) munmap: u32,
    pub(crate) mprotect: u32,
    pub(crate) mremap: u32,
    pub(crate) madvise: u32,
    pub(crate) lock: u32,
    pub(crate) lock_all: u32,
    pub(crate) seal: u32,
    pub(crate) touch: u32,
    pub(crate) fork: u32,
    pub(crate) brk: u32,
    pub(crate) limits: u32,
    pub(crate) stack: u32,
    pub(crate) system_v: u32,
    pub(crate) personality: u32,
}

const NOTHING: Profile = Profile {
    name: "",
    layout: LayoutKind::TopDown,
    unprivileged: false,
    mmap_fixed: 0,
    mmap_anywhere: 0,
    munmap: 0,
    mprotect: 0,
    mremap: 0,
    madvise: 0,
    lock: 0,
    lock_all: 0,
    seal: 0,
    touch: 0,
    fork: 0,
    brk: 0,
    limits: 0,
    stack: 0,
    system_v: 0,
    personality: 0,
};

impl Profile {
    pub(crate) const MERGE: Profile = Profile {
        name: "merge",
        mmap_fixed: 30,
        munmap: 12,
        mprotect: 25,
        madvise: 15,
        touch: 8,
        seal: 1,
        ..NOTHING
    };
    pub(crate) const PLACEMENT: Profile = Profile {
        name: "placement",
        mmap_anywhere: 40,
        mmap_fixed: 5,
        munmap: 20,
        mprotect: 8,
        mremap: 5,
        ..NOTHING
    };
    pub(crate) const MREMAP: Profile = Profile {
        name: "mremap",
        mmap_fixed: 15,
        mmap_anywhere: 3,
        munmap: 6,
        mprotect: 8,
        mremap: 40,
        touch: 10,
        lock: 2,
        seal: 1,
        ..NOTHING
    };
    pub(crate) const FORK: Profile = Profile {
        name: "fork",
        mmap_fixed: 20,
        munmap: 8,
        mprotect: 20,
        mremap: 12,
        madvise: 12,
        touch: 20,
        fork: 3,
        lock: 2,
        ..NOTHING
    };
    pub(crate) const LIMITS: Profile = Profile {
        name: "limits",
        mmap_fixed: 15,
        mmap_anywhere: 5,
        munmap: 10,
        mprotect: 12,
        mremap: 10,
        madvise: 5,
        lock: 25,
        lock_all: 3,
        limits: 4,
        brk: 4,
        touch: 5,
        ..NOTHING
    };
    pub(crate) const HEAP_AND_STACK: Profile = Profile {
        name: "heap-and-stack",
        mmap_fixed: 12,
        munmap: 8,
        mprotect: 10,
        mremap: 4,
        madvise: 4,
        lock_all: 1,
        touch: 5,
        brk: 30,
        stack: 20,
        ..NOTHING
    };

    pub(crate) const LEGACY: Profile = Profile {
        name: "legacy",
        layout: LayoutKind::BottomUp,
        stack: 4,
        ..Profile::PLACEMENT
    };
    pub(crate) const UNPRIVILEGED: Profile = Profile {
        name: "unprivileged",
        unprivileged: true,
        limits: 8,
        stack: 4,
        ..Profile::LIMITS
    };
    pub(crate) const SYSTEM_V: Profile = Profile {
        name: "system-v",
        system_v: 30,
        personality: 2,
        seal: 1,
        fork: 1,
        brk: 3,
        stack: 3,
        ..Profile::MERGE
    };

    /// Number of the kind that `roll` falls on, in the order of the fields.
    pub(crate) fn pick(&self, roll: u64) -> usize {
        let weights = self.weights();
        let total: u32 = weights.iter().sum();
        let mut rest = (roll % u64::from(total)) as u32;
        for (index, &weight) in weights.iter().enumerate() {
            if rest < weight {
                return index;
            }
            rest -= weight;
        }
        0
    }

    const fn weights(&self) -> [u32; 16] {
        [
            self.mmap_fixed,
            self.mmap_anywhere,
            self.munmap,
            self.mprotect,
            self.mremap,
            self.madvise,
            self.lock,
            self.lock_all,
            self.seal,
            self.touch,
            self.fork,
            self.brk,
            self.limits,
            self.stack,
            self.system_v,
            self.personality,
        ]
    }
}
