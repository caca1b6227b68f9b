//! A plan committed to a tree that has changed since.
use maple_tree::{Gaps, MapleTree, TreeWriter};
use vmaple_rcu::DefaultBackend;

fn main() {
    let mut tree: MapleTree<u32> = MapleTree::new();
    let plan = tree.plan_store(0..=9).unwrap();
    tree.store(5..=6, 1).unwrap();
    plan.commit(2);

    let mut writer: TreeWriter<u32, Gaps, DefaultBackend> = TreeWriter::new();
    let plan = writer.plan_store(0..=9).unwrap();
    writer.store(5..=6, 1).unwrap();
    plan.commit(2);
}
