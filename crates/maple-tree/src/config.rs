//! The shape of a tree: how wide its nodes are, and whether they know their gaps.

use crate::node::{Branch, Leaf, NoGap, Node};
use core::fmt;
use vmaple_sync::atomic::AtomicU64;

mod sealed {
    pub trait Sealed {}
}

/// The shape of a tree, chosen by a type: [`Gaps`], [`NoGaps`], or [`Fan`] with other widths.
pub trait Config: sealed::Sealed + fmt::Debug + Default + Send + Sync + 'static {
    /// The bottom nodes.
    #[doc(hidden)]
    type Leaf: Node;
    /// The nodes above.
    #[doc(hidden)]
    type Branch: Node;
    /// Whether branches know the longest gap below each child.
    const TRACKS_GAPS: bool;
}

/// A shape whose branches know the longest gap below each child, which gap search needs.
pub trait TracksGaps: Config {}

/// `LEAF` and `BRANCH` slots per node, 3 to 64 each; `G` is [`Tracked`] or [`Untracked`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Fan<G, const LEAF: usize, const BRANCH: usize>(core::marker::PhantomData<fn() -> G>);

/// Branches hold the longest gap of each child.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tracked;

/// Branches hold no gaps: a third smaller, and no gap search.
#[derive(Debug, Clone, Copy, Default)]
pub struct Untracked;

/// The default shape: with gaps, 256-byte leaves of 16 slots.
pub type Gaps = Fan<Tracked, 16, 16>;
/// The default widths, without gaps.
pub type NoGaps = Fan<Untracked, 16, 16>;

impl<G, const LEAF: usize, const BRANCH: usize> sealed::Sealed for Fan<G, LEAF, BRANCH> {}

impl<const LEAF: usize, const BRANCH: usize> Config for Fan<Tracked, LEAF, BRANCH> {
    type Leaf = Leaf<LEAF>;
    type Branch = Branch<BRANCH, [AtomicU64; BRANCH]>;
    const TRACKS_GAPS: bool = true;
}

impl<const LEAF: usize, const BRANCH: usize> TracksGaps for Fan<Tracked, LEAF, BRANCH> {}

impl<const LEAF: usize, const BRANCH: usize> Config for Fan<Untracked, LEAF, BRANCH> {
    type Leaf = Leaf<LEAF>;
    type Branch = Branch<BRANCH, NoGap>;
    const TRACKS_GAPS: bool = false;
}
