//! A guard is given back where it was taken.
use vmaple_locks::{AddressSpace, Held, VmaTree};

fn main() {
    let space: AddressSpace<VmaTree<u32>> = AddressSpace::new(VmaTree::new());
    std::thread::scope(|scope| {
        let mut held = Held::nothing();
        let vma = space.lock_vma_under_rcu(&mut held, 0x1000).locked();
        scope.spawn(move || drop(vma));
    });
}
