//! A read-locked VMA stays what it is.
use vmaple_locks::{AddressSpace, Held, VmaTree};

fn main() {
    let space: AddressSpace<VmaTree<u32>> = AddressSpace::new(VmaTree::new());
    let mut held = Held::nothing();
    if let Some(vma) = space.lock_vma_under_rcu(&mut held, 0x1000).locked() {
        *vma = 7;
    }
}
