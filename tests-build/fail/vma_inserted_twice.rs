//! What is in the tree is not in one's hand any more.
use vmaple_locks::VmaTree;

struct Vma;

fn main() {
    let mut tree: VmaTree<Vma> = VmaTree::new();
    let vma = Vma;
    tree.insert(0x1000..0x2000, vma).unwrap();
    tree.insert(0x3000..0x4000, vma).unwrap();
}
