//! A plan committed a second time, when its memory is used up.
use maple_tree::MapleTree;

fn main() {
    let mut tree: MapleTree<u32> = MapleTree::new();
    let plan = tree.plan_store(0..=9).unwrap();
    plan.commit(1);
    plan.commit(2);
}
