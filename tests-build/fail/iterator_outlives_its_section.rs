//! An iterator carried out of its read section.
use maple_tree::{Gaps, SharedMapleTree};
use std::sync::Arc;
use vmaple_rcu::DefaultBackend;

type Tree = SharedMapleTree<Arc<u32>, Gaps, DefaultBackend>;

fn entries(tree: &Tree) -> impl Iterator<Item = u32> + '_ {
    let section = tree.enter();
    tree.read(&section).iter().map(|(_, entry)| *entry)
}

fn main() {
    let tree = Tree::new();
    println!("{}", entries(&tree).count());
}
