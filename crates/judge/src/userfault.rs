//! The userfaultfds of the process, as the model sees them.

use vmaple::{CallError, Errno, Mm, UffdFeatures, UffdId};

use crate::executor::PLACES;

/// `UFFD_FEATURE_*` bits that processes are opened with: none of them makes anybody wait.
const SIGBUS: u64 = 1 << 7;
const MINOR_SHMEM: u64 = 1 << 10;
const WP_HUGETLBFS_SHMEM: u64 = 1 << 12;
const WP_UNPOPULATED: u64 = 1 << 13;
const WP_ASYNC: u64 = 1 << 15;
/// Sets of features that operations ask for.
pub(crate) const FEATURES: [u64; 5] = [
    0,
    SIGBUS,
    MINOR_SHMEM | WP_HUGETLBFS_SHMEM,
    WP_UNPOPULATED,
    WP_ASYNC,
];

/// Which contexts are open, by place.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    /// What is open there and belongs to this process, not to one that it was forked from.
    own: [Option<UffdId>; PLACES as usize],
    opened: u64,
}

impl Contexts {
    /// The context of a place.
    pub(crate) fn at(&self, place: u64) -> Option<UffdId> {
        let place = usize::try_from(place).ok()?;
        self.own.get(place).copied().flatten()
    }

    /// Opens one in a place, which ends the one that was there.
    pub(crate) fn open(&mut self, mm: &mut Mm, place: u64, features: u64) -> Result<(), CallError> {
        if !mm.config().features.userfaultfd {
            return Err(Errno::ENOSYS.into());
        }
        let Some(own) = usize::try_from(place)
            .ok()
            .and_then(|at| self.own.get_mut(at))
        else {
            return Err(Errno::EBADF.into());
        };
        self.opened += 1;
        let context = UffdId(self.opened);
        if let Some(before) = own.replace(context) {
            mm.uffd_release(before);
        }
        let features = UffdFeatures {
            wp_async: features & WP_ASYNC != 0,
            ..UffdFeatures::default()
        };
        mm.uffd_set_features(context, features)?;
        Ok(())
    }

    /// Closes one.
    pub(crate) fn close(&mut self, mm: &mut Mm, place: u64) -> Result<(), CallError> {
        let own = usize::try_from(place)
            .ok()
            .and_then(|at| self.own.get_mut(at));
        let context = own.and_then(Option::take);
        mm.uffd_release(context.ok_or(Errno::EBADF)?);
        Ok(())
    }

    /// The process is the child of a fork now. What it has open is its parent's.
    pub(crate) fn forked(&mut self) {
        self.own = Default::default();
    }
}
