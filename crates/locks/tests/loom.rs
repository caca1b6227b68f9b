//! Whole lookups under loom, beside changes of a small real tree. Run with
//! `RUSTFLAGS="--cfg loom" cargo test --release -p vmaple-locks --test loom`.
#![cfg(loom)]

use maple_tree::{Fan, Tracked};
use std::ops::Range;
use vmaple_locks::{Counted, Environment, Fate, Held, Lookup, Slab, VmaReaders, VmaTree};
use vmaple_rcu::DefaultBackend;
use vmaple_sync::cell::UnsafeCell;
use vmaple_sync::model::{self, Preemptions};
use vmaple_sync::names::{Name, named};
use vmaple_sync::wait::Spin;

#[derive(Debug)]
struct Loom;

impl Environment for Loom {
    type Wait = Spin;
    type Rcu = DefaultBackend;
    type Shape = Fan<Tracked, 3, 3>;
    type Readers = Counted;
}

type Tree = VmaTree<Known, Loom>;
type Readers = VmaReaders<Known, Loom>;

static VALUE: Name = Name::new("the VMA's value");

/// A value that knows its tree and its range, in memory that loom watches.
struct Known(UnsafeCell<(char, Range<u64>)>);

// SAFETY: Whether accesses are ordered is what the tests let loom find out.
#[expect(unsafe_code, reason = "the cell is what loom checks")]
unsafe impl Sync for Known {}
// SAFETY: As above.
#[expect(unsafe_code, reason = "the cell is what loom checks")]
unsafe impl Send for Known {}

impl Known {
    fn new(tree: char, range: Range<u64>) -> Self {
        Self(named(&VALUE, UnsafeCell::new((tree, range))))
    }

    #[expect(unsafe_code, reason = "the cell is what loom checks")]
    fn set(&mut self, range: Range<u64>) {
        // SAFETY: Loom reports a race with `check`.
        self.0.with_mut(|cell| unsafe { (*cell).1 = range });
    }

    #[expect(unsafe_code, reason = "the cell is what loom checks")]
    fn check(&self, tree: char, range: &Range<u64>) {
        // SAFETY: Loom reports a race with `set` and `drop`.
        self.0.with(|cell| unsafe {
            assert_eq!(&*cell, &(tree, range.clone()));
        });
    }
}

impl Drop for Known {
    #[expect(unsafe_code, reason = "the cell is what loom checks")]
    fn drop(&mut self) {
        // SAFETY: Loom reports a race with `check`.
        self.0.with_mut(|cell| unsafe { (*cell).1 = 0..0 });
    }
}

/// A tree `name` of these ranges, nobody writing.
fn tree_of(name: char, slab: &Slab<Known, Spin>, ranges: &[Range<u64>]) -> Tree {
    let mut tree = Tree::new_in(slab);
    for range in ranges {
        let known = Known::new(name, range.clone());
        assert!(tree.insert(range.clone(), known).is_ok());
    }
    tree.end_write();
    tree
}

/// Runs a write section beside lookups in every order of few preemptions.
fn beside(
    ranges: &'static [Range<u64>],
    write: impl Fn(&mut Tree, &Slab<Known, Spin>) + Sync + Send + Copy + 'static,
    read: impl Fn(&Readers) + Sync + Send + Copy + 'static,
) {
    model::check_with(Preemptions::Exactly(2), move || {
        let slab = Slab::new();
        let mut tree = tree_of('a', &slab, ranges);
        let readers = tree.readers();
        let reader = model::spawn("reader", move || read(&readers));
        model::i_am("writer");
        tree.begin_write();
        write(&mut tree, &slab);
        tree.end_write();
        reader.join().expect("no anomaly");
        tree.validate().expect("valid");
    });
}

/// What a lookup says of an address.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Mapped(Range<u64>),
    NotMapped,
    Contended,
}

fn say(lookup: Lookup<'_, Known, Loom>) -> Said {
    match lookup {
        Lookup::Locked(vma) => {
            vma.check('a', &vma.range());
            Said::Mapped(vma.range())
        }
        Lookup::NotMapped(_) => Said::NotMapped,
        Lookup::Contended(..) => Said::Contended,
    }
}

fn look(readers: &Readers, addr: u64) -> Said {
    say(readers.lock_vma_under_rcu(&mut Held::nothing(), addr))
}

#[test]
fn a_lookup_beside_removal() {
    beside(
        &[0..10, 10..20],
        |tree, _| assert!(tree.remove(10).expect("memory").is_some()),
        |readers| {
            assert_ne!(look(readers, 5), Said::NotMapped, "mapped throughout");
            assert_ne!(look(readers, 15), Said::Mapped(0..10));
        },
    );
}

/// Bugs 1 and 2: the object was given out again at once, for another range. A lookup that goes on
/// from what it had found would never come to an end.
#[test]
fn a_lookup_beside_reuse_for_another_range() {
    beside(
        &[0..10, 10..20],
        |tree, _| {
            assert!(tree.remove(10).expect("memory").is_some());
            let known = Known::new('a', 30..40);
            assert!(tree.insert(30..40, known).is_ok());
        },
        |readers| {
            let said = look(readers, 15);
            assert!(said != Said::Mapped(30..40), "not what was looked for");
        },
    );
}

/// Bug 45: the object was given to another address space.
#[test]
fn a_lookup_beside_reuse_by_another_tree() {
    beside(
        &[10..20],
        |tree, slab| {
            let mut other = Tree::new_in(slab);
            // Gives the slot to the slab, by more removals than a tree keeps at hand, or with it.
            let gone = std::mem::replace(tree, Tree::new_in(slab));
            drop(gone);
            assert!(other.insert(10..20, Known::new('b', 10..20)).is_ok());
            other.end_write();
            drop(other);
        },
        |readers| {
            look(readers, 15);
        },
    );
}

/// Bug 52: the VMA that was found loses its beginning to its neighbour before it is locked.
#[test]
fn no_false_gap() {
    beside(
        &[0..10, 10..20],
        |tree, _| {
            let told = |fate: Fate<'_, Known>| {
                if let Fate::Trimmed(_, is, known) = fate {
                    known.set(is);
                }
            };
            let lower = tree.expand(0, 0..15, told);
            assert!(lower.is_ok_and(|mut vma| {
                vma.set(0..15);
                true
            }));
        },
        |readers| {
            let mut held = Held::nothing();
            match say(readers.lock_next_vma(&mut held, 10)) {
                Said::Mapped(range) => assert!(range.start <= 10, "10 is mapped throughout"),
                said => assert_eq!(said, Said::Contended),
            }
        },
    );
}

/// A VMA that is cut: both parts, or the whole, never a part that claims more.
#[test]
fn a_lookup_beside_a_split() {
    beside(
        &[0..20],
        |tree, _| {
            assert!(tree.split(10, Known::new('a', 10..20)).is_ok());
            tree.write_lock(0).expect("below").set(0..10);
        },
        |readers| {
            let said = look(readers, 15);
            let whole_or_part = [Said::Mapped(0..20), Said::Mapped(10..20), Said::Contended];
            assert!(whole_or_part.contains(&said), "{said:?}");
        },
    );
}
