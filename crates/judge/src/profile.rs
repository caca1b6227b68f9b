//! What a random sequence is made of.

use vmaple::LayoutKind;

/// Kinds of operations as they are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// mmap at a place in the arena.
    Fixed,
    /// mmap where the kernel likes, or near a hint.
    Anywhere,
    Unmap,
    Protect,
    /// mprotect that makes neighbours alike.
    Join,
    Remap,
    Advise,
    Lock,
    LockAll,
    Seal,
    /// Guard pages.
    Guard,
    Touch,
    Fork,
    Brk,
    Limit,
    Stack,
    SystemV,
    Personality,
    /// PR_SET_MM, PR_SET_THP_DISABLE.
    Prctl,
    /// userfaultfds and what is registered with them.
    Userfault,
    /// Names of anonymous memory.
    Name,
}

/// Relative frequencies of the kinds of operation, and the process they run in.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Its name on the command line.
    pub name: &'static str,
    /// Direction of placement.
    pub layout: LayoutKind,
    /// Starts by giving up all capabilities.
    pub unprivileged: bool,
    /// Starts with almost as many mappings as are permitted.
    pub crowded: bool,
    /// Operations for each process.
    pub per_process: u64,
    pub(crate) weights: &'static [(Kind, u32)],
}

const PLAIN: Profile = Profile {
    name: "",
    layout: LayoutKind::TopDown,
    unprivileged: false,
    crowded: false,
    per_process: 400,
    weights: &[],
};

use Kind::{
    Advise, Anywhere, Brk, Fixed, Fork, Guard, Join, Limit, Lock, LockAll, Name, Personality,
    Prctl, Protect, Remap, Seal, Stack, SystemV, Touch, Unmap, Userfault,
};

/// All profiles.
pub const PROFILES: &[Profile] = &[
    Profile {
        name: "merge",
        weights: &[
            (Fixed, 30),
            (Unmap, 12),
            (Protect, 15),
            (Join, 15),
            (Advise, 15),
            (Touch, 8),
            (Name, 2),
        ],
        ..PLAIN
    },
    Profile {
        name: "placement",
        weights: &[
            (Anywhere, 40),
            (Fixed, 5),
            (Unmap, 20),
            (Protect, 8),
            (Remap, 5),
        ],
        ..PLAIN
    },
    Profile {
        name: "legacy",
        layout: LayoutKind::BottomUp,
        weights: &[
            (Anywhere, 40),
            (Fixed, 5),
            (Unmap, 20),
            (Protect, 8),
            (Remap, 5),
            (Stack, 4),
        ],
        ..PLAIN
    },
    Profile {
        name: "mremap",
        weights: &[
            (Fixed, 15),
            (Anywhere, 3),
            (Unmap, 6),
            (Protect, 8),
            (Join, 4),
            (Remap, 40),
            (Touch, 10),
            (Lock, 2),
        ],
        ..PLAIN
    },
    Profile {
        name: "fork",
        weights: &[
            (Fixed, 20),
            (Unmap, 8),
            (Protect, 12),
            (Join, 10),
            (Remap, 12),
            (Advise, 12),
            (Touch, 20),
            (Fork, 3),
            (Lock, 2),
        ],
        ..PLAIN
    },
    Profile {
        name: "limits",
        weights: LIMITS,
        ..PLAIN
    },
    Profile {
        name: "unprivileged",
        unprivileged: true,
        weights: LIMITS,
        ..PLAIN
    },
    Profile {
        name: "heap-and-stack",
        weights: &[
            (Fixed, 12),
            (Unmap, 8),
            (Protect, 10),
            (Remap, 4),
            (Advise, 4),
            (LockAll, 1),
            (Touch, 5),
            (Brk, 30),
            (Stack, 20),
            (Prctl, 3),
            (Limit, 1),
        ],
        ..PLAIN
    },
    Profile {
        name: "guard-and-seal",
        per_process: 200,
        weights: &[
            (Fixed, 25),
            (Anywhere, 2),
            (Unmap, 10),
            (Protect, 10),
            (Join, 6),
            (Remap, 10),
            (Advise, 8),
            (Guard, 12),
            (Lock, 6),
            (LockAll, 1),
            (Seal, 3),
            (Touch, 12),
            (Fork, 1),
        ],
        ..PLAIN
    },
    Profile {
        name: "system-v",
        weights: &[
            (Fixed, 20),
            (Unmap, 12),
            (Protect, 20),
            (Advise, 12),
            (Touch, 8),
            (Seal, 1),
            (SystemV, 30),
            (Personality, 2),
            (Fork, 1),
            (Brk, 3),
            (Stack, 3),
        ],
        ..PLAIN
    },
    Profile {
        name: "userfault",
        weights: &[
            (Fixed, 25),
            (Anywhere, 2),
            (Unmap, 8),
            (Protect, 10),
            (Join, 6),
            (Remap, 12),
            (Advise, 8),
            (Guard, 1),
            (Lock, 3),
            (Seal, 1),
            (Touch, 12),
            (Fork, 1),
            (Brk, 2),
            (Stack, 3),
            (SystemV, 3),
            (Userfault, 40),
        ],
        ..PLAIN
    },
    Profile {
        name: "crowded",
        crowded: true,
        weights: &[
            (Fixed, 30),
            (Anywhere, 3),
            (Unmap, 20),
            (Protect, 25),
            (Remap, 12),
            (Advise, 10),
            (Lock, 5),
            (Brk, 4),
            (Stack, 2),
        ],
        ..PLAIN
    },
];

const LIMITS: &[(Kind, u32)] = &[
    (Fixed, 15),
    (Anywhere, 5),
    (Unmap, 10),
    (Protect, 12),
    (Remap, 10),
    (Advise, 5),
    (Lock, 25),
    (LockAll, 3),
    (Limit, 8),
    (Brk, 4),
    (Stack, 3),
    (Touch, 5),
];

impl Profile {
    /// The profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Profile> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    /// The kind that `roll` falls on.
    pub(crate) fn pick(&self, roll: u64) -> Kind {
        let total: u32 = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut rest = (roll % u64::from(total.max(1))) as u32;
        for &(kind, weight) in self.weights {
            if rest < weight {
                return kind;
            }
            rest -= weight;
        }
        Fixed
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.weights.iter().any(|(of, _)| *of == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_drawn_by_some_profile_and_names_are_unique() {
        let kinds = [
            Fixed,
            Anywhere,
            Unmap,
            Protect,
            Remap,
            Advise,
            Lock,
            LockAll,
            Seal,
            Guard,
            Touch,
            Fork,
            Brk,
            Limit,
            Stack,
            SystemV,
            Personality,
            Prctl,
            Userfault,
            Name,
        ];
        for kind in kinds {
            assert!(PROFILES.iter().any(|profile| profile.has(kind)), "{kind:?}");
        }
        for profile in PROFILES {
            assert_eq!(
                Profile::named(profile.name).unwrap().weights,
                profile.weights
            );
        }
    }

    #[test]
    fn rolls_fall_by_weight() {
        let merge = Profile::named("merge").unwrap();
        assert_eq!(merge.pick(0), Fixed);
        assert_eq!(merge.pick(29), Fixed);
        assert_eq!(merge.pick(30), Unmap);
        assert_eq!(merge.pick(94), Touch);
        assert_eq!(merge.pick(95), Name);
        assert_eq!(merge.pick(97), Fixed);
    }
}
