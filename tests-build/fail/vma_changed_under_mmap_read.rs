//! A VMA is changed through its write lock; who holds `mmap_lock` for reading only looks.
use vmaple_locks::{AddressSpace, Held, VmaTree};

fn main() {
    let space: AddressSpace<VmaTree<u32>> = AddressSpace::new(VmaTree::new());
    let mut held = Held::nothing();
    let reading = space.read(&mut held);
    if let Some(mut vma) = reading.at(0x1000) {
        *vma = 7;
    }
}
