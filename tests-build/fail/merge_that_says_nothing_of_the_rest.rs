//! A VMA that grows over others says what becomes of each: gone, or trimmed.
use vmaple_locks::VmaTree;

fn main() {
    let mut tree: VmaTree<u32> = VmaTree::new();
    tree.insert(0x1000..0x2000, 1).unwrap();
    tree.insert(0x2000..0x3000, 2).unwrap();
    tree.expand(0x1000, 0x1000..0x3000).unwrap();
}
