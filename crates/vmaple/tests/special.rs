//! Calls on the mappings that the kernel makes itself, against results recorded from Linux 6.18.

use vmaple::{
    AddrRange, Backing, BrkArea, CallError, Errno, GateVma, Mm, MmConfig, SpecialMapping, VmFlags,
    Vma,
};

const VVAR: u64 = 0x7fff_f7fc_2000;
const VDSO: u64 = 0x7fff_f7fc_8000;
const LEN: u64 = 0x2000;
const EINVAL: CallError = CallError::Errno(Errno::EINVAL);
const EFAULT: CallError = CallError::Errno(Errno::EFAULT);

fn special(start: u64, len: u64, flags: &str, name: &str) -> Vma {
    let backing = Backing::Special(SpecialMapping {
        name: name.into(),
        may_split: false,
    });
    let flags = VmFlags::from_mnemonics(flags).unwrap();
    Vma::new(AddrRange::new(start, start + len), flags, 0, backing)
}

fn seeded() -> Mm {
    let vmas = [
        special(VVAR, 2 * LEN, "rd mr pf io de dd", "[vvar]"),
        special(VDSO, LEN, "rd ex mr mw me de", "[vdso]"),
    ];
    let gate = Some(GateVma::vsyscall());
    Mm::seed(MmConfig::x86_64(), BrkArea::default(), vmas, gate).unwrap()
}

#[test]
fn parts_of_the_vdso_cannot_be_changed() {
    let mut mm = seeded();
    assert_eq!(mm.munmap(VDSO, 4096), Err(EINVAL));
    assert_eq!(mm.mprotect(VDSO, 4096, 1), Err(EINVAL));
    assert_eq!(mm.madvise(VDSO, 4096, 10), Err(EINVAL));
    assert_eq!(mm.mremap(VDSO, 4096, 4096, 3, 0x1000_0000), Err(EINVAL));
    assert_eq!(mm.len(), 2);
    mm.mprotect(VDSO, LEN, 1).unwrap();
    mm.mprotect(VDSO, LEN, 5).unwrap();
    assert_eq!(
        mm.vma_at(VDSO).unwrap().flags.mnemonics().to_string(),
        "rd ex mr mw me de"
    );
}

#[test]
fn the_whole_vdso_moves_but_does_not_grow() {
    let mut mm = seeded();
    assert_eq!(mm.mremap(VDSO, LEN, LEN + 4096, 1, 0), Err(EFAULT));
    assert_eq!(mm.mremap(VDSO, LEN, LEN, 5, 0), Err(EINVAL));
    assert_eq!(mm.mremap(VDSO, 0, LEN, 1, 0), Err(EINVAL));
    assert_eq!(mm.mremap(VVAR, 2 * LEN, 2 * LEN, 5, 0), Err(EINVAL));
    let target = 0x1000_0010_0000;
    assert_eq!(mm.mremap(VDSO, LEN, LEN, 3, target), Ok(target));
    let line = mm.maps_line(mm.vma_at(target).unwrap()).to_string();
    let expected = "100000100000-100000102000 r-xp 00000000 00:00 0";
    assert_eq!(line, format!("{expected:<73}[vdso]"));
}

#[test]
fn advice_on_special_mappings() {
    let mut mm = seeded();
    for (advice, vdso, vvar) in [
        (10, Ok(()), Ok(())),
        (11, Ok(()), Err(EINVAL)),
        (14, Ok(()), Ok(())),
        (4, Ok(()), Err(EINVAL)),
        (8, Err(EINVAL), Err(EINVAL)),
        (17, Err(EINVAL), Err(EINVAL)),
        (102, Err(EINVAL), Err(EINVAL)),
        (9, Err(EINVAL), Err(EINVAL)),
    ] {
        assert_eq!(mm.madvise(VDSO, LEN, advice), vdso, "vdso {advice}");
        assert_eq!(mm.madvise(VVAR, 2 * LEN, advice), vvar, "vvar {advice}");
    }
    assert_eq!(mm.mprotect(VVAR, 2 * LEN, 3), Err(Errno::EACCES.into()));
    assert_eq!(mm.mlock(VDSO, LEN), Ok(()));
    assert_eq!(mm.counters().locked_vm, 0);
}

#[test]
fn the_gate_is_the_last_line_and_no_vma() {
    let mm = seeded();
    let mut text = String::new();
    mm.write_maps(&mut text).unwrap();
    let gate = "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0";
    assert_eq!(
        text.lines().last(),
        Some(format!("{gate:<73}[vsyscall]").as_str())
    );
    assert_eq!((text.lines().count(), mm.len()), (3, 2));
}
