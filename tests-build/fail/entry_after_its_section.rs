//! An entry used after its read section was left.
use maple_tree::{Gaps, SharedMapleTree};
use std::sync::Arc;
use vmaple_rcu::DefaultBackend;

type Tree = SharedMapleTree<Arc<u32>, Gaps, DefaultBackend>;

fn main() {
    let tree = Tree::new();
    let section = tree.enter();
    let found = tree.read(&section).find(5);
    drop(section);
    println!("{found:?}");
}
