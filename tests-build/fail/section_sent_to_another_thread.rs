//! A read section belongs to the thread that entered it.
use maple_tree::{Gaps, SharedMapleTree};
use std::sync::Arc;
use vmaple_rcu::DefaultBackend;

type Tree = SharedMapleTree<Arc<u32>, Gaps, DefaultBackend>;

fn main() {
    let tree = Tree::new();
    let section = tree.enter();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            tree.read(&section).find(5);
        });
    });
}
