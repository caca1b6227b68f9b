//! Everything that the programs in `fail/` do wrong, done right.
use maple_tree::{Gaps, MapleTree, SharedMapleTree};
use std::sync::Arc;
use vmaple_rcu::DefaultBackend;

fn main() {
    let shared: SharedMapleTree<Arc<u32>, Gaps, DefaultBackend> = SharedMapleTree::new();
    shared.write().store(0..=9, Arc::new(1)).unwrap();
    let kept = {
        let section = shared.enter();
        let tree = shared.read(&section);
        let (_, entry) = tree.find(5).unwrap();
        entry.to_arc()
    };
    assert_eq!(*kept, 1);

    let mut owned: MapleTree<Arc<u32>> = MapleTree::new();
    owned.store(0..=9, Arc::new(2)).unwrap();
    assert_eq!(owned.find(0).map(|(_, entry)| *entry), Some(2));
    owned.clear(0..=4).unwrap();
}
