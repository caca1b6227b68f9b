//! Page sizes other than 4 KiB, and address spaces other than 47 bits wide.
//!
//! No running kernel here has them, so what is known of 4 KiB pages judges: a machine whose pages,
//! addresses and limits are all so many times as large does the same in its own measure.

use std::sync::Arc;

use vmaple::{
    AnonAlignment, CallError, CommitRule, Errno, LayoutKind, Mm, MmConfig, MmapArgs, Vma,
};

struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

const PAGE: u64 = 4096;
/// In the middle of the space.
const ARENA: u64 = 0x1000_0000_0000;

/// x86-64 with everything `times` as large.
fn machine(times: u64) -> MmConfig {
    let mut config = MmConfig::x86_64();
    for size in [
        &mut config.page_size,
        &mut config.task_size,
        &mut config.mmap_min_addr,
        &mut config.lsm_min_addr,
        &mut config.mmap_base,
        &mut config.legacy_base,
        &mut config.thp.pmd_size,
        &mut config.limits.stack_bytes,
        &mut config.limits.memlock_bytes,
    ] {
        *size *= times;
    }
    config
}

/// One random call; its result in units of 4 KiB pages' machine.
fn call(
    mm: &mut Mm,
    times: u64,
    [kind, page, pages, extra, other]: [u64; 5],
) -> Result<u64, CallError> {
    let addr = (ARENA + page * PAGE) * times;
    // Now and then not whole pages.
    let len = (pages * PAGE + if extra == 7 { 24 } else { 0 }) * times;
    let to = (ARENA + other * PAGE) * times;
    let prot = [0, 1, 3, 3, 5, 3, 1, 3][extra as usize];
    let done = |result: Result<(), CallError>| result.map(|()| 0);
    let result = match kind {
        0..=2 => mm.mmap(&MmapArgs::anonymous(addr, len, prot, 0x32)),
        3 => mm.mmap(&MmapArgs::anonymous(0, len, prot, 0x22)),
        4 => mm.mmap(&MmapArgs::anonymous(addr, len, prot, 0x122)),
        5 => mm.mmap(&MmapArgs::anonymous(
            0,
            (512 * pages) * PAGE * times,
            prot,
            0x22,
        )),
        6 => done(mm.munmap(addr, len)),
        7 | 8 => done(mm.mprotect(addr, len, prot)),
        9 => mm.mremap(addr, len, len, 3, to),
        10 => mm.mremap(addr, len, len + PAGE * times, 1, 0),
        11 => done(mm.madvise(addr, len, [4, 10, 11, 16, 17, 102, 14, 15][extra as usize])),
        12 => done(mm.mlock(addr + extra * times, len)),
        13 => {
            mm.note_faulted(addr);
            Ok(0)
        }
        14 => mm
            .expand_stack(addr)
            .map(|range| range.start)
            .map_err(CallError::Errno),
        _ => done(mm.mseal(addr, PAGE * times, 0)),
    };
    result.map(|addr| addr / times)
}

/// Each VMA in units of 4 KiB pages' machine.
fn measures(mm: &Mm, times: u64) -> Vec<(u64, u64, u64, String)> {
    let of_vma = |vma: &Vma| {
        let flags = vma.flags.mnemonics().to_string();
        (vma.start / times, vma.end / times, vma.pgoff, flags)
    };
    mm.iter().map(of_vma).collect()
}

fn larger_pages_change_nothing_but_the_measure(page_size: u64) {
    let times = page_size / PAGE;
    for seed in 0..40 {
        let mut rng = Rng(seed);
        let layout = [LayoutKind::TopDown, LayoutKind::BottomUp][seed as usize % 2];
        let [mut small, mut large] = [1, times].map(|times| {
            let mut config = machine(times);
            config.layout = layout;
            Mm::new(config)
        });
        for step in 0..300 {
            let kind = if step % 100 == 99 { 15 } else { rng.below(15) };
            let what = [
                kind,
                rng.below(48),
                1 + rng.below(6),
                rng.below(8),
                rng.below(48),
            ];
            let ours = call(&mut large, times, what);
            assert_eq!(
                ours,
                call(&mut small, 1, what),
                "seed {seed}, step {step}: {what:?}"
            );
            assert_eq!(
                measures(&large, times),
                measures(&small, 1),
                "seed {seed}, step {step}"
            );
            large.validate().unwrap();
        }
        assert_eq!(large.counters().total_vm, small.counters().total_vm);
        assert_eq!(large.counters().locked_vm, small.counters().locked_vm);
    }
}

#[test]
fn pages_of_16_kib() {
    larger_pages_change_nothing_but_the_measure(16 << 10);
}

#[test]
fn pages_of_64_kib() {
    larger_pages_change_nothing_but_the_measure(64 << 10);
}

/// The space is used up to its end, and not beyond.
fn space_of(bits: u32) {
    let end = (1 << bits) - PAGE;
    let mut config = MmConfig::x86_64();
    config.task_size = end;
    config.mmap_base = end - (128 << 20);
    config.legacy_base = config.legacy_base_of(config.mmap_base, 8 << 20);
    let enomem = Err(CallError::Errno(Errno::ENOMEM));
    for layout in [LayoutKind::TopDown, LayoutKind::BottomUp] {
        config.layout = layout;
        let mut mm = Mm::new(config.clone());
        let anonymous = |addr, len, flags| MmapArgs::anonymous(addr, len, 3, flags);
        let first = match layout {
            LayoutKind::TopDown => config.mmap_base - PAGE,
            LayoutKind::BottomUp => config.legacy_base,
        };
        assert_eq!(mm.mmap(&anonymous(0, PAGE, 0x22)), Ok(first));
        assert_eq!(mm.mmap(&anonymous(end - PAGE, PAGE, 0x32)), Ok(end - PAGE));
        assert_eq!(mm.mmap(&anonymous(end, PAGE, 0x32)), enomem);
        assert_eq!(mm.mmap(&anonymous(0, end + 1, 0x22)), enomem);
        assert_eq!(mm.munmap(end - PAGE, 2 * PAGE), Err(Errno::EINVAL.into()));
        assert_eq!(mm.munmap(end - PAGE, PAGE), Ok(()));
        // All that is free in the direction of placement, in one piece.
        let room = match layout {
            LayoutKind::TopDown => first - config.lsm_min_addr,
            LayoutKind::BottomUp => end - first - PAGE,
        };
        let whole = mm.mmap(&anonymous(0, room, 0x22));
        assert!(whole.is_ok(), "{bits} bits, {layout:?}: {whole:?}");
        assert_eq!(mm.len(), 1, "both are one");
        mm.validate().unwrap();
    }
}

#[test]
fn spaces_of_39_bits() {
    space_of(39);
}

#[test]
fn spaces_of_48_bits() {
    space_of(48);
}

#[test]
fn spaces_of_56_bits() {
    space_of(56);
}

/// Which lengths each kernel aligns to huge pages of 2 MiB.
#[test]
fn huge_page_alignment_of_other_kernels() {
    const MIB: u64 = 1 << 20;
    let lengths = [MIB, 2 * MIB, 3 * MIB, 4 * MIB];
    for (rule, aligned) in [
        (AnonAlignment::Never, [false, false, false, false]),
        (AnonAlignment::AtLeastPmd, [false, true, true, true]),
        (AnonAlignment::MultipleOfPmd, [false, true, false, true]),
    ] {
        for (len, aligned) in lengths.into_iter().zip(aligned) {
            let mut config = MmConfig::x86_64();
            config.thp.anonymous = rule;
            let mut mm = Mm::new(config);
            let map = |mm: &mut Mm, addr| {
                mm.mmap(&MmapArgs::anonymous(addr, len, 3, 0x22))
                    .expect("room")
            };
            let at = map(&mut mm, 0);
            assert_eq!(at % (2 * MIB) == 0, aligned, "{rule:?}, {len:#x}");
            // A hint is taken as it is.
            assert_eq!(map(&mut mm, 0x1000_0000_1000), 0x1000_0000_1000, "{rule:?}");
        }
    }
}

/// A rule of commitments of the embedder's own, asked by every call that commits.
#[test]
fn commitments_by_a_rule_of_ones_own() {
    #[derive(Debug)]
    struct AtMost(u64);
    impl CommitRule for AtMost {
        fn permits(&self, committed: u64, pages: u64) -> bool {
            committed + pages <= self.0
        }
    }
    let enomem = Err(CallError::Errno(Errno::ENOMEM));
    let mut mm = Mm::new(MmConfig::x86_64());
    mm.set_commit_rule(Arc::new(AtMost(10)));
    let map = |mm: &mut Mm, pages, prot| mm.mmap(&MmapArgs::anonymous(0, pages * PAGE, prot, 0x22));
    let first = map(&mut mm, 6, 3).expect("six of ten");
    assert_eq!(map(&mut mm, 5, 3), enomem);
    let readable = map(&mut mm, 5, 1).expect("nothing is committed for it");
    assert_eq!(mm.mprotect(readable, 5 * PAGE, 3).map(|()| 0), enomem);
    assert_eq!(mm.mremap(first, 6 * PAGE, 11 * PAGE, 1, 0), enomem);
    assert_eq!(
        mm.fork().map(|_| ()).map_err(|error| error.0),
        Err(Errno::ENOMEM)
    );
    mm.munmap(first, 2 * PAGE).unwrap();
    let mut child = mm.fork().expect("four and four");
    assert_eq!(
        map(&mut child, 7, 3),
        enomem,
        "the child has the rule as well"
    );
    assert!(map(&mut child, 6, 3).is_ok());
}
