//! Taking `mmap_lock` while a VMA is read-locked could wait for a writer who waits for that VMA.
use vmaple_locks::{AddressSpace, Held, VmaTree};

fn main() {
    let space: AddressSpace<VmaTree<u32>> = AddressSpace::new(VmaTree::new());
    let mut held = Held::nothing();
    let vma = space.lock_vma_under_rcu(&mut held, 0x1000);
    let reading = space.read(&mut held);
    drop((vma, reading));
}
