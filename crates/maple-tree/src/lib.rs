//! A maple tree: a B-tree of ranges with one writer, lock-free readers and gap search.
//!
//! A [`MapleTree`] maps inclusive ranges of `u64` indices to entries the size of a pointer
//! (`Arc<T>`, `Box<T>`, `&'static T`, small integers). Storing over a range overwrites what it
//! meets; the tree finds entries, neighbours, and the lowest or highest gap of a size in
//! O(log n). A [`SharedMapleTree`] is the same for many threads: readers take no lock and write
//! nothing shared, and every store is one atomic step to them. A [`TreeWriter`] with its
//! [`TreeReader`]s is that without the lock, for those who have one already.
//!
//! # Examples
//!
//! ```
//! use maple_tree::{MapleTree, Span};
//! use std::sync::Arc;
//!
//! let mut extents: MapleTree<Arc<str_name::Name>> = MapleTree::new();
//! # mod str_name { #[derive(Debug)] pub struct Name(pub &'static str); }
//! extents.store(0x1000..=0x4fff, Arc::new(str_name::Name("text")))?;
//! extents.store(0x8000..=0x8fff, Arc::new(str_name::Name("data")))?;
//!
//! let (span, entry) = extents.find(0x6000).expect("one more above");
//! assert_eq!((span, entry.0), (Span::new(0x8000, 0x8fff), "data"));
//! assert_eq!(extents.highest_gap(0x1000, 0x1000, 0..=0x8fff), Some(0x7000));
//! assert_eq!(extents.lowest_gap(0x2000, 0x1000, 0..=u64::MAX), Some(0x5000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Consistency
//!
//! * A lookup in a shared tree answers with an entry and its bounds as they were together at one
//!   moment during the call.
//! * An iteration never goes backwards, never repeats, and never misses an entry that was there
//!   throughout.
//! * A gap search never misses a gap that was there throughout; what it finds was empty when it
//!   looked, and a writer may have filled it since.
//!
//! # Price
//!
//! A write to a [`MapleTree`] edits one leaf in place nearly always, and shares an overflowing leaf
//! with its neighbour or splits it. A write to a [`SharedMapleTree`], and one that spans leaves,
//! builds new nodes for what changes and publishes them with one store: it allocates (from a pool
//! that it fills itself), and a shared tree keeps displaced nodes until readers have left. Memory
//! is about 26 bytes per entry of a tree filled in ascending order, and 35 of one with a single
//! owner filled in random order (gaps between half of the ranges counted in).
//!
//! # Limits
//!
//! 64-bit targets. A write uses about 12 KiB of stack, an iterator or gap search 2 KiB. No entry at
//! more than one range, but a store into the middle of an entry duplicates it. `E::try_duplicate` and drops of entries are foreign code: if they panic, memory
//! may leak, and the tree stays valid.
#![no_std]

extern crate alloc;
#[cfg(any(test, loom))]
extern crate std;

mod ahead;
mod allocate;
mod append;
mod blocks;
mod collect;
mod config;
mod copy;
mod core_tree;
mod cursor;
mod cursor_mut;
mod dump;
mod entry;
mod error;
mod fixed_vec;
mod gap;
mod handles;
mod iter;
mod joint;
mod leaves;
mod limbo;
mod link;
mod node;
mod nodes;
mod occupied;
mod reader;
mod shared;
mod span;
mod tree;
mod validate;
mod writable;
mod write;
mod writer;

pub use ahead::{ClearPlan, StorePlan};
pub use allocate::Room;
pub use append::Appender;
pub use collect::IntoIter;
pub use config::{Config, Fan, Gaps, NoGaps, Tracked, TracksGaps, Untracked};
pub use cursor::{Cursor, Position};
pub use cursor_mut::CursorMut;
pub use dump::{Dump, Graphviz};
pub use entry::{ArcRef, Entry};
pub use error::{AllocError, StoreError, WriteError};
pub use handles::{Lent, Owned, TreeReader, TreeWriter};
pub use iter::{Iter, IterRev};
pub use reader::Reader;
pub use shared::{SharedMapleTree, WriteGuard};
pub use span::Span;
pub use tree::MapleTree;
pub use validate::{Census, Violation};
pub use writable::WritableTree;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("maple-tree needs a 64-bit target");
