//! A VMA that was taken out is a value; only the tree lends attached ones.
use vmaple_locks::VmaTree;

fn main() {
    let mut tree: VmaTree<u32> = VmaTree::new();
    let vma = tree.at(0x1000);
    tree.remove(0x1000).unwrap();
    println!("{:?}", vma.unwrap().range());
}
