//! Names of anonymous memory (PR_SET_VMA_ANON_NAME), by the manual page of prctl: the kernel that
//! judges elsewhere was built without them.

use vmaple::{AddrRange, Apart, Errno, Mm, MmConfig, MmapArgs};

const BASE: u64 = 0x1000_0000_0000;

/// Eight pages on a kernel that has names.
fn eight_pages() -> Mm {
    let mut config = MmConfig::x86_64();
    config.features.anon_vma_name = true;
    let mut mm = Mm::new(config);
    let mapped = mm.mmap(&MmapArgs::anonymous(BASE, 0x8000, 3, 0x32));
    assert_eq!(mapped, Ok(BASE));
    mm
}

/// Start page, end page and name of each VMA, as maps shows it.
fn picture(mm: &Mm) -> Vec<(u64, u64, String)> {
    let mut text = String::new();
    mm.write_maps(&mut text).expect("a string takes all");
    let page = |addr: u64| (addr - BASE) >> 12;
    let names = text.lines().map(|line| match line.split_once('[') {
        Some((_, name)) => format!("[{name}"),
        None => String::new(),
    });
    let ranges = mm
        .iter()
        .map(|vma| AddrRange::new(page(vma.start), page(vma.end)));
    ranges
        .zip(names)
        .map(|(range, name)| (range.start, range.end, name))
        .collect()
}

fn expect(mm: &Mm, parts: &[(u64, u64, &str)]) {
    let seen = picture(mm);
    let seen: Vec<_> = seen.iter().map(|(a, b, c)| (*a, *b, c.as_str())).collect();
    assert_eq!(seen, parts);
    mm.validate().unwrap();
}

#[test]
fn names_cut_and_join() {
    let mut mm = eight_pages();
    mm.prctl_set_vma_name(BASE + 0x2000, 0x2000, Some(b"heap"))
        .unwrap();
    expect(&mm, &[(0, 2, ""), (2, 4, "[anon:heap]"), (4, 8, "")]);
    let below = mm.vma_at(BASE).unwrap();
    let above = mm.vma_at(BASE + 0x2000).unwrap();
    assert_eq!(
        below.reasons_apart(above, 12).collect::<Vec<_>>(),
        [Apart::Name]
    );
    mm.prctl_set_vma_name(BASE, 0x2000, Some(b"heap")).unwrap();
    expect(&mm, &[(0, 4, "[anon:heap]"), (4, 8, "")]);
    mm.prctl_set_vma_name(BASE + 0x1000, 0x1000, Some(b"other"))
        .unwrap();
    expect(
        &mm,
        &[
            (0, 1, "[anon:heap]"),
            (1, 2, "[anon:other]"),
            (2, 4, "[anon:heap]"),
            (4, 8, ""),
        ],
    );
    mm.prctl_set_vma_name(BASE, 0x8000, None).unwrap();
    expect(&mm, &[(0, 8, "")]);
}

#[test]
fn a_child_and_a_moved_mapping_keep_the_name() {
    let mut mm = eight_pages();
    mm.prctl_set_vma_name(BASE, 0x2000, Some(b"heap")).unwrap();
    expect(&mm.fork().unwrap(), &[(0, 2, "[anon:heap]"), (2, 8, "")]);
    mm.mremap(BASE, 0x2000, 0x2000, 3, BASE + 0x8000).unwrap();
    expect(&mm, &[(2, 8, ""), (8, 10, "[anon:heap]")]);
}

#[test]
fn what_the_manual_refuses() {
    let mut mm = eight_pages();
    let einval = Err(Errno::EINVAL.into());
    for name in [
        &b"a\nb"[..],
        b"a]",
        b"a[",
        b"a\\",
        b"a`",
        b"a$",
        &[b'l'; 80],
    ] {
        assert_eq!(mm.prctl_set_vma_name(BASE, 0x1000, Some(name)), einval);
    }
    assert_eq!(mm.prctl_set_vma_name(BASE + 1, 0x1000, Some(b"a")), einval);
    expect(&mm, &[(0, 8, "")]);
    mm.prctl_set_vma_name(BASE, 0x1000, Some(&[b'l'; 79]))
        .unwrap();
    // A hole: what is mapped has the name all the same.
    let hole = mm.prctl_set_vma_name(BASE + 0x6000, 0x4000, Some(b"a"));
    assert_eq!(hole, Err(Errno::ENOMEM.into()));
    assert_eq!(mm.vma_at(BASE + 0x7000).unwrap().start, BASE + 0x6000);
    // A kernel without names.
    mm.config_mut().features.anon_vma_name = false;
    assert_eq!(mm.prctl_set_vma_name(BASE, 0x1000, Some(b"a")), einval);
}
