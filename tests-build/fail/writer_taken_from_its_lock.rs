//! The writers of two trees exchanged under their locks.
use maple_tree::{Gaps, SharedMapleTree};
use vmaple_rcu::DefaultBackend;

fn main() {
    let one: SharedMapleTree<u32, Gaps, DefaultBackend> = SharedMapleTree::new();
    let other: SharedMapleTree<u32, Gaps, DefaultBackend> = SharedMapleTree::new();
    std::mem::swap(&mut *one.write(), &mut *other.write());
}
