//! A mapping changed behind the address space's back.
use vmaple::{Mm, MmConfig, MmapArgs, VmFlags};

fn main() {
    let mut mm = Mm::new(MmConfig::x86_64());
    let at = mm.mmap(&MmapArgs::anonymous(0, 4096, 3, 0x22)).unwrap();
    mm.vma_at(at).unwrap().flags = VmFlags::READ;
}
