//! A write to an owned tree while an entry of it is in use.
use maple_tree::{Gaps, SharedMapleTree};
use std::sync::Arc;
use vmaple_rcu::DefaultBackend;

type Tree = SharedMapleTree<Arc<u32>, Gaps, DefaultBackend>;

fn main() {
    let mut tree: maple_tree::MapleTree<Arc<u32>> = maple_tree::MapleTree::new();
    tree.store(0..=9, Arc::new(1)).unwrap();
    let found = tree.find(5);
    tree.clear(0..=9).unwrap();
    println!("{found:?}");
    let _: Option<Tree> = None;
}
