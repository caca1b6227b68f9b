//! A maple tree: a B-tree of ranges with one writer, lock-free readers and gap search.
//!
//! A [`MapleTree`] maps inclusive ranges of `u64` indices to entries the size of a pointer
//! (`Arc<T>`, `Box<T>`, `&'static T`, small integers). Storing over a range overwrites what it
//! meets; the tree finds entries, neighbours, and the lowest or highest gap of a size in
//! O(log n). A [`SharedMapleTree`] is the same for many threads: readers take no lock and write
//! nothing shared, and every store is one atomic step to them. A [`TreeWriter`] with its
//! [`TreeReader`]s is that without the lock, for those who have one already.
//!
//! # A range map for one thread
//!
//! ```
//! use maple_tree::{MapleTree, Span};
//!
//! let mut extents: MapleTree<Box<&str>> = MapleTree::new();
//! extents.store(0x1000..=0x4fff, Box::new("text"))?;
//! extents.store(0x8000..=0x8fff, Box::new("data"))?;
//!
//! let (span, entry) = extents.find(0x6000).expect("one more above");
//! assert_eq!((span, *entry), (Span::new(0x8000, 0x8fff), "data"));
//! assert_eq!(extents.highest_gap(0x1000, 0x1000, 0..=0x8fff), Some(0x7000));
//! assert_eq!(extents.lowest_gap(0x2000, 0x1000, 0..=u64::MAX), Some(0x5000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A range map for many threads
//!
//! A reader enters a *read section*, and what it finds is its to look at until it leaves. It never
//! waits, and no writer waits for it.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use maple_tree::{Room, SharedMapleTree};
//! use std::sync::Arc;
//!
//! struct Lease {
//!     owner: String,
//! }
//! let leases: SharedMapleTree<Arc<Lease>> = SharedMapleTree::new();
//!
//! std::thread::scope(|scope| {
//!     for owner in ["one", "two"] {
//!         let leases = &leases;
//!         scope.spawn(move || {
//!             let lease = Arc::new(Lease { owner: owner.to_owned() });
//!             // The lock is held for this statement.
//!             let taken = leases.write().allocate_lowest(Room::new(16, 0..=1023), lease);
//!             let span = taken.expect("room and memory");
//!
//!             let section = leases.enter();
//!             let (found, lease) = leases.read(&section).load(span.first).expect("just stored");
//!             assert_eq!((found, lease.owner.as_str()), (span, owner));
//!         });
//!     }
//! });
//! assert_eq!(leases.write().reader().iter().count(), 2);
//! # }
//! ```
//!
//! # Which type
//!
//! | who writes | type | a write |
//! |---|---|---|
//! | whoever has `&mut` | [`MapleTree`] | changes nodes in place |
//! | any thread, by a lock inside | [`SharedMapleTree`], by [`write`](SharedMapleTree::write) | copies what changes, publishes it by one store |
//! | whoever has the writer, in a lock of their own | [`TreeWriter`], beside [`TreeReader`]s | the same |
//!
//! Reading is the same in all three: a [`Reader`], from `reader()` or `read(&section)`. The second
//! type parameter is the shape of the nodes ([`Gaps`], [`NoGaps`], [`Fan`]), the third what read
//! sections are made of.
//!
//! # Operations
//!
//! | to | there is |
//! |---|---|
//! | look up | [`get`](Reader::get), [`load`](Reader::load), [`range_at`](Reader::range_at), [`find`](Reader::find), [`find_rev`](Reader::find_rev), [`next`](Reader::next), [`prev`](Reader::prev) |
//! | run through | [`iter`](Reader::iter), [`range`](Reader::range), [`iter_rev`](Reader::iter_rev), and a [`Cursor`] for both directions, which can be [paused](Cursor::pause), and goes on in a later read section without a walk if nothing was written since |
//! | write | [`store`](MapleTree::store), [`insert`](MapleTree::insert), [`replace`](MapleTree::replace), [`erase`](MapleTree::erase), [`clear`](MapleTree::clear), [`carve`](MapleTree::carve), [`retain`](MapleTree::retain) |
//! | write nearby | [`CursorMut`]; [`seek`](TreeWriter::seek) |
//! | find room, and take it | [`lowest_gap`](Reader::lowest_gap), [`highest_gap`](Reader::highest_gap); [`allocate_lowest`](MapleTree::allocate_lowest), [`allocate_highest`](MapleTree::allocate_highest), [`allocate_cyclic`](MapleTree::allocate_cyclic) |
//! | be sure beforehand | [`reserve`](MapleTree::reserve), [`plan_store`](MapleTree::plan_store), [`plan_insert`](MapleTree::plan_insert), [`plan_clear`](MapleTree::plan_clear), [`plan_lowest`](MapleTree::plan_lowest) |
//! | build, copy, cut, join | [`appender`](MapleTree::appender), [`try_extend`](MapleTree::try_extend), `collect`; [`duplicate`](MapleTree::duplicate), [`split_off`](MapleTree::split_off), [`append`](MapleTree::append) |
//! | look inside | [`validate`](MapleTree::validate), [`census`](MapleTree::census), [`dump`](MapleTree::dump) |
//!
//! Indices and sizes are plain numbers of whatever unit the caller has; ranges include both ends.
//! What is refused comes back with a [`WriteError`], the entry with it, and the tree is as it was,
//! without memory too.
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
//! with its neighbour or splits it. A write beside readers, and one that spans leaves, builds new
//! nodes for what changes and publishes them with one store: it allocates (from a pool that it
//! fills itself), and displaced nodes are kept until readers have left. Memory is about 26 bytes
//! per entry of a tree filled in ascending order, and 33 of one with a single owner filled in
//! random order (gaps between half of the ranges counted in).
//!
//! # Limits
//!
//! 64-bit targets. A write uses up to 16 KiB of stack (measured in a release build for x86-64, with
//! the default widths), an iterator or gap search 2 KiB; nothing recurses but [`validate`],
//! [`census`] and copies, once per level. No entry is at more than one range, but a store into the
//! middle of an entry duplicates it. `E::try_duplicate` and drops of entries are foreign code: if
//! they panic, memory may leak, and the tree stays valid.
//!
//! [`validate`]: MapleTree::validate
//! [`census`]: MapleTree::census
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
mod ends;
mod entry;
mod error;
mod fixed_vec;
mod gap;
mod handles;
mod iter;
mod leaves;
mod limbo;
mod link;
mod near;
mod node;
mod nodes;
mod occupied;
mod reader;
mod search;
mod shared;
mod shelf;
mod span;
mod spot;
mod tree;
mod validate;
mod version;
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
pub use error::{AllocError, ReadersStalled, StoreError, WriteError};
pub use handles::{Lent, Owned, TreeReader, TreeWriter};
pub use iter::{Iter, IterRev};
pub use near::{NearReader, Place};
pub use reader::Reader;
pub use shared::{SharedMapleTree, WriteGuard};
pub use span::Span;
pub use tree::MapleTree;
pub use validate::{Census, Violation};
pub use writable::WritableTree;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("maple-tree needs a 64-bit target");
