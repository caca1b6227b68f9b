//! The lock order is checked by types alone: nothing is noted.

use crate::level::Level;
use core::marker::PhantomData;

/// Nothing.
#[derive(Debug)]
pub(crate) struct Note<L: Level>(PhantomData<fn() -> L>);

#[inline]
pub(crate) fn about_to_wait<L: Level>(_address: usize) {}

impl<L: Level> Note<L> {
    #[inline]
    pub(crate) fn new(_address: usize) -> Self {
        Self(PhantomData)
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn forget(&mut self) {}
}
