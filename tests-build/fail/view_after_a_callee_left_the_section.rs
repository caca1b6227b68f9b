//! The same, the section being left inside a callee: the bug of thread 000.
use maple_tree::{Gaps, SharedMapleTree};
use std::sync::Arc;
use vmaple_rcu::DefaultBackend;

type Tree = SharedMapleTree<Arc<u32>, Gaps, DefaultBackend>;

/// Gives up the section on failure, as vma_start_read does.
fn start_read(_section: vmaple_rcu::ReadGuard<DefaultBackend>) -> bool {
    false
}

fn main() {
    let tree = Tree::new();
    let section = tree.enter();
    let view = tree.read(&section);
    if !start_read(section) {
        println!("{:?}", view.find(5));
    }
}
