//! A gap search in a tree that does not track gaps.
use maple_tree::{Gaps, SharedMapleTree};
use std::sync::Arc;
use vmaple_rcu::DefaultBackend;

type Tree = SharedMapleTree<Arc<u32>, Gaps, DefaultBackend>;

fn main() {
    let tree: maple_tree::MapleTree<Arc<u32>, maple_tree::NoGaps> = maple_tree::MapleTree::new();
    tree.lowest_gap(1, 1, 0..=u64::MAX);
    let _: Option<Tree> = None;
}
