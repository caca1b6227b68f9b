//! The kernel's smaps, smaps_rollup and numa_maps beside the model's, which gets its page figures
//! out of the kernel's text and everything else from itself.

use crate::settings;
use std::collections::HashMap;
use vmaple::{
    MapsEntry, NumaFigures, NumaProvider, PageFigures, PageProvider, ShmemEnabled, ShmemHuge,
    ShmemSizeEnabled, SmapsRules, ThpEnabled,
};
use vmaple_judge::{ANONYMOUS, CallName, Op, Session, Step, files};

/// Figures by the start of the mapping.
struct Parsed(HashMap<u64, PageFigures>);

impl PageProvider for Parsed {
    fn figures(&mut self, entry: &MapsEntry<'_>) -> Option<PageFigures> {
        self.0.get(&entry.range.start).copied()
    }
}

fn text_of(session: &Session<'_>, what: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{what}", session.pid())).expect(what)
}

/// A setting of the running kernel.
pub(crate) fn enabled(setting: &str) -> ThpEnabled {
    match settings::chosen(setting).as_str() {
        "always" => ThpEnabled::Always,
        "madvise" => ThpEnabled::Madvise,
        _ => ThpEnabled::Never,
    }
}

/// The settings for shared memory of the running kernel.
fn shared_memory() -> ShmemHuge {
    let enabled = match settings::chosen("shmem_enabled").as_str() {
        "always" => ShmemEnabled::Always,
        "within_size" => ShmemEnabled::WithinSize,
        "advise" => ShmemEnabled::Advise,
        "deny" => ShmemEnabled::Deny,
        "force" => ShmemEnabled::Force,
        _ => ShmemEnabled::Never,
    };
    let mut rules = ShmemHuge::of(enabled);
    for (order, mode) in rules.by_order.iter_mut().enumerate() {
        *mode = match settings::chosen(&settings::of_size(order)).as_str() {
            "always" => ShmemSizeEnabled::Always,
            "inherit" => ShmemSizeEnabled::Inherit,
            "within_size" => ShmemSizeEnabled::WithinSize,
            "advise" => ShmemSizeEnabled::Advise,
            _ => ShmemSizeEnabled::Never,
        };
    }
    rules
}

/// `Label: N kB` as bytes; None for another line.
fn figure(line: &str) -> Option<(&str, u64)> {
    let (label, value) = line.split_once(':')?;
    let kilobytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some((label, kilobytes * 1024))
}

fn enter(figures: &mut PageFigures, label: &str, bytes: u64) {
    // These the model knows, or works out.
    if matches!(label, "Size" | "KernelPageSize" | "MMUPageSize" | "Locked") {
        return;
    }
    let figure = figures.named(label);
    *figure.unwrap_or_else(|| panic!("smaps has a figure {label}")) = bytes;
}

fn parse(smaps: &str) -> Parsed {
    let mut all = HashMap::new();
    let mut at = 0;
    for line in smaps.lines() {
        if let Some((label, bytes)) = figure(line) {
            enter(all.entry(at).or_default(), label, bytes);
        } else if line.starts_with(|c: char| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()) {
            let start = line.split('-').next().unwrap_or("");
            at = u64::from_str_radix(start, 16).expect("an address");
        }
    }
    Parsed(all)
}

/// Compares all three texts. False where the rollup could not be compared: other processes map
/// the same files all the time, which moves the shares between any two readings.
pub(crate) fn compare(session: &Session<'_>) -> bool {
    compare_smaps(session, "smaps");
    compare_numa(session);
    for _ in 0..50 {
        let before = text_of(session, "smaps");
        let rollup = text_of(session, "smaps_rollup");
        if before == text_of(session, "smaps") {
            compare_rollup(session, &rollup, &mut parse(&before));
            return true;
        }
    }
    false
}

/// Compares smaps under the settings of now.
pub(crate) fn compare_smaps(session: &Session<'_>, what: &str) {
    let kernel = text_of(session, "smaps");
    let rules = SmapsRules::of(session.mm(), enabled("enabled"), shared_memory());
    let mut figures = parse(&kernel);
    let mut ours = String::new();
    let written = session.mm().write_smaps(rules, &mut figures, &mut ours);
    assert!(written.is_ok());
    same(&kernel, &ours, what);
}

fn same(kernel: &str, ours: &str, what: &str) {
    let mut header = "";
    for (theirs, line) in kernel.lines().zip(ours.lines()) {
        if theirs.contains('-') {
            header = theirs;
        }
        assert_eq!(theirs, line, "{what}, below {header}");
    }
    assert_eq!(kernel, ours, "{what}");
}

/// Sums are exact; shares were cut to kilobytes before they were added up here.
fn compare_rollup(session: &Session<'_>, kernel: &str, figures: &mut Parsed) {
    let mut ours = String::new();
    session
        .mm()
        .write_smaps_rollup(figures, &mut ours)
        .expect("all figures are there");
    assert_eq!(kernel.lines().count(), ours.lines().count());
    for (theirs, line) in kernel.lines().zip(ours.lines()) {
        let (Some((label, expected)), Some((own_label, sum))) = (figure(theirs), figure(line))
        else {
            assert_eq!(theirs, line);
            continue;
        };
        assert_eq!(label, own_label);
        match label {
            // Not in smaps, so not given.
            "Pss_Anon" | "Pss_File" | "Pss_Shmem" => {}
            "Pss" | "Pss_Dirty" | "SwapPss" | "Locked" => {
                let lost = session.mm().len() as u64 * 1024;
                assert!(
                    sum <= expected && expected - sum <= lost,
                    "{theirs} / {line}"
                );
            }
            _ => assert_eq!(theirs, line),
        }
    }
}

/// A line of numa_maps.
struct NumaLine {
    policy: String,
    counts: HashMap<String, u64>,
    nodes: Vec<u64>,
}

/// Lines by the start of the mapping.
struct ParsedNuma(HashMap<u64, NumaLine>);

impl NumaProvider for ParsedNuma {
    fn numa(&mut self, entry: &MapsEntry<'_>) -> Option<NumaFigures<'_>> {
        let NumaLine {
            policy,
            counts,
            nodes,
        } = self.0.get(&entry.range.start)?;
        let count = |label: &str, absent: u64| counts.get(label).copied().unwrap_or(absent);
        let pages = nodes.iter().sum();
        Some(NumaFigures {
            policy,
            anon: count("anon", 0),
            dirty: count("dirty", 0),
            map_max: count("mapmax", 1),
            swap_cache: count("swapcache", 0),
            active: count("active", pages),
            writeback: count("writeback", 0),
            nodes,
        })
    }
}

fn compare_numa(session: &Session<'_>) {
    let path = format!("/proc/{}/numa_maps", session.pid());
    let Ok(kernel) = std::fs::read_to_string(path) else {
        return;
    };
    let mut all = HashMap::new();
    for line in kernel.lines() {
        let mut words = line.split(' ');
        let start = u64::from_str_radix(words.next().unwrap_or(""), 16).expect("an address");
        let policy = words.next().unwrap_or("").to_owned();
        let (mut counts, mut nodes) = (HashMap::new(), Vec::new());
        for (label, value) in words.filter_map(|word| word.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            if let Some(node) = label
                .strip_prefix('N')
                .and_then(|node| node.parse::<usize>().ok())
            {
                nodes.resize(nodes.len().max(node + 1), 0);
                nodes[node] = value;
            } else {
                counts.insert(label.to_owned(), value);
            }
        }
        let line = NumaLine {
            policy,
            counts,
            nodes,
        };
        all.insert(start, line);
    }
    let mut ours = String::new();
    let written = session
        .mm()
        .write_numa_maps(&mut ParsedNuma(all), &mut ours);
    assert!(written.is_ok());
    same(&kernel, &ours, "numa_maps");
}

/// Mappings of all kinds, large enough for huge pages or not quite, with every advice.
pub(crate) fn huge_pages(session: &mut Session<'_>) {
    const HUGE: u64 = 2 << 20;
    const HUGEPAGE: u64 = 14;
    const NOHUGEPAGE: u64 = 15;
    let mut addr = 0x2000_0000_0000;
    for file in [
        "anonymous",
        "file",
        "file-ro",
        "memfd",
        "zero",
        "shm",
        "shm-ro",
    ] {
        let file = files::NAMES.iter().position(|name| *name == file);
        let file = file.map_or(ANONYMOUS, |index| index as u64);
        for flags in [0x12, 0x11] {
            for prot in [1, 3, 5] {
                for (shift, len, offset) in [
                    (0, 2 * HUGE, 0),
                    (4096, 2 * HUGE, 0),
                    (4096, HUGE + 8192, 0),
                    (4096, 2 * HUGE, 4096),
                    (0, HUGE, 8192),
                    (0, 2 * HUGE, 7 * HUGE),
                    // Beyond the end of the file.
                    (0, 2 * HUGE, 8 * HUGE),
                    (0, 1 << 16, 0),
                    (4096, 1 << 16, 0),
                    (0, 1 << 16, 8 * HUGE),
                ] {
                    let at = addr + shift;
                    addr += 4 * HUGE;
                    let is_anonymous = file == ANONYMOUS;
                    let flags = if is_anonymous { flags | 0x20 } else { flags };
                    make(
                        session,
                        CallName::Mmap,
                        &[at, len, prot, flags, file, offset],
                    );
                    let advice = match (prot, len) {
                        (1, HUGE) => NOHUGEPAGE,
                        (1 | 3, _) => HUGEPAGE,
                        _ => continue,
                    };
                    make(session, CallName::Madvise, &[at, len, advice]);
                }
            }
        }
    }
}

fn make(session: &mut Session<'_>, call: CallName, args: &[u64]) {
    let op = Op::new(call, args);
    if let Err(finding) = session.step(&Step::from(op)) {
        panic!("{op}: {finding}");
    }
}

/// Mappings that the kernel would put a huge page into.
pub(crate) fn nr_eligible(session: &Session<'_>) -> usize {
    let smaps = text_of(session, "smaps");
    let lines = smaps
        .lines()
        .filter_map(|line| line.strip_prefix("THPeligible:"));
    lines.filter(|value| value.trim() == "1").count()
}
