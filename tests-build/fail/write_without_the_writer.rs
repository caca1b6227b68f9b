//! A write to a shared tree without its writer's lock.
use maple_tree::{Gaps, SharedMapleTree};
use std::sync::Arc;
use vmaple_rcu::DefaultBackend;

type Tree = SharedMapleTree<Arc<u32>, Gaps, DefaultBackend>;

fn main() {
    let tree = Tree::new();
    tree.store(0..=9, Arc::new(1)).unwrap();
}
