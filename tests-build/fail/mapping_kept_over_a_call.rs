//! A mapping looked up before a call and used after it.
use vmaple::{Mm, MmConfig, MmapArgs};

fn main() {
    let mut mm = Mm::new(MmConfig::x86_64());
    let at = mm.mmap(&MmapArgs::anonymous(0, 4096, 3, 0x22)).unwrap();
    let vma = mm.vma_at(at).unwrap();
    mm.munmap(at, 4096).unwrap();
    println!("{:?}", vma.range());
}
