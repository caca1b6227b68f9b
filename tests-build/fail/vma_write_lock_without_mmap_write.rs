//! A VMA is write-locked under `mmap_lock` held for writing.
use vmaple_locks::{AddressSpace, Held, VmaTree};

fn main() {
    let space: AddressSpace<VmaTree<u32>> = AddressSpace::new(VmaTree::new());
    let mut held = Held::nothing();
    let reading = space.read(&mut held);
    reading.write_lock(0x1000);
}
