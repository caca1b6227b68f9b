//! What the locks take from their environment, bundled in one type.

use crate::scheme::ReadScheme;
use core::fmt;
use maple_tree::TracksGaps;
use vmaple_rcu::Backend;
use vmaple_sync::wait::Wait;

/// How threads wait, read and share here. A kernel writes one of its own; a hosted program takes
/// `Host`.
pub trait Environment: fmt::Debug + 'static {
    /// How threads sleep.
    type Wait: Wait;
    /// Read sections for walks of the tree.
    type Rcu: Backend;
    /// How wide the tree's nodes are.
    type Shape: TracksGaps;
    /// How readers of a VMA say that they read it.
    type Readers: ReadScheme;
}

/// Threads of the host; readers by the scheme `S`.
#[cfg(feature = "std")]
pub struct Host<S = crate::scheme::Biased>(core::marker::PhantomData<fn() -> S>);

#[cfg(feature = "std")]
impl<S> fmt::Debug for Host<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

#[cfg(feature = "std")]
impl<S: ReadScheme> Environment for Host<S> {
    type Wait = vmaple_sync::wait::DefaultWait;
    type Rcu = vmaple_rcu::DefaultBackend;
    type Shape = maple_tree::Gaps;
    type Readers = S;
}
