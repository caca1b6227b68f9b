//! The file's mappings are locked before the anon_vma.
use vmaple_locks::level::{AnonVma, FileMapping};
use vmaple_locks::{Held, LeveledMutex};

fn main() {
    let file: LeveledMutex<FileMapping, u32> = LeveledMutex::new(0);
    let anon: LeveledMutex<AnonVma, u32> = LeveledMutex::new(0);
    let mut held = Held::nothing();
    let mut pages = anon.lock(&mut held);
    let (_, held) = pages.parts();
    *file.lock(held) += 1;
}
