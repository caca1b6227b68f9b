//! A VMA that a lookup has found is reached by its read lock only.
use vmaple_locks::{AddressSpace, Held, VmaTree};

fn main() {
    let space: AddressSpace<VmaTree<u32>> = AddressSpace::new(VmaTree::new());
    let mut held = Held::nothing();
    let found = space.lock_vma_under_rcu(&mut held, 0x1000);
    println!("{}", found.range().start);
}
