//! Who is told what becomes of a VMA hears of each kind: the compiler names the one left out.
use vmaple_locks::{Fate, VmaTree};

fn main() {
    let mut tree: VmaTree<u32> = VmaTree::new();
    tree.insert(0x1000..0x2000, 1).unwrap();
    tree.insert(0x2000..0x4000, 2).unwrap();
    let grown = tree.expand(0x1000, 0x1000..0x3000, |fate| match fate {
        Fate::Gone(range, value) => println!("{range:x?} {value}"),
    });
    grown.unwrap();
}
