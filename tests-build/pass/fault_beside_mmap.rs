//! A fault handler and an mmap call, with all their locks, in the right order.
use vmaple_locks::level::{AnonVma, FileMapping};
use vmaple_locks::{AddressSpace, Held, LeveledMutex, Lookup, VmaTree};

struct Process {
    space: AddressSpace<VmaTree<&'static str>>,
    file: LeveledMutex<FileMapping, u32>,
    anon: LeveledMutex<AnonVma, u32>,
}

fn mmap(process: &Process, held: &mut Held, start: u64) {
    let mut writing = process.space.write(held);
    let (tree, held) = writing.parts();
    tree.insert(start..start + 0x1000, "new").expect("free");
    let mut file = process.file.lock(held);
    let (mappings, held) = file.parts();
    *process.anon.lock(held) += 1;
    *mappings += 1;
}

fn fault(process: &Process, held: &mut Held, addr: u64) -> bool {
    match process.space.lock_vma_under_rcu(held, addr) {
        Lookup::Locked(mut vma) => {
            let (name, held) = vma.parts();
            assert_eq!(*name, "new");
            *process.anon.lock(held) += 1;
            true
        }
        Lookup::NotMapped(_) => false,
        Lookup::Contended(_, held) => process.space.read(held).at(addr).is_some(),
    }
}

fn main() {
    let process = Process {
        space: AddressSpace::new(VmaTree::new()),
        file: LeveledMutex::new(0),
        anon: LeveledMutex::new(0),
    };
    let mut held = Held::nothing();
    mmap(&process, &mut held, 0x1000);
    assert!(fault(&process, &mut held, 0x1fff));
    assert!(!fault(&process, &mut held, 0x2000));
}
