//! VMA write locks end with the write section.
use vmaple_locks::{AddressSpace, Held, VmaTree};

fn main() {
    let space: AddressSpace<VmaTree<u32>> = AddressSpace::new(VmaTree::new());
    let mut held = Held::nothing();
    let mut writing = space.write(&mut held);
    let vma = writing.write_lock(0x1000);
    let reading = writing.downgrade();
    *vma.unwrap() = 7;
    drop(reading);
}
