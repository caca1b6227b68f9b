//! A cursor used after its read section was left; only its position may be kept.
use maple_tree::{Gaps, SharedMapleTree};
use std::sync::Arc;
use vmaple_rcu::DefaultBackend;

type Tree = SharedMapleTree<Arc<u32>, Gaps, DefaultBackend>;

fn main() {
    let tree = Tree::new();
    let section = tree.enter();
    let mut cursor = tree.read(&section).cursor(5);
    drop(section);
    println!("{:?}", cursor.next());
}
