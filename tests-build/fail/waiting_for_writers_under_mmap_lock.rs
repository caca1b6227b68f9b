//! The lookup that waits for writers takes `mmap_lock` itself.
use vmaple_locks::{AddressSpace, Held, VmaTree};

fn main() {
    let space: AddressSpace<VmaTree<u32>> = AddressSpace::new(VmaTree::new());
    let mut held = Held::nothing();
    let mut reading = space.read(&mut held);
    let (_, held) = reading.parts();
    let vma = space.vma_start_read_unlocked(held, 0x1000);
    drop(vma);
}
