//! smaps: flags of real mappings, whole and for one range.

use libc::{PROT_NONE, PROT_READ};
use nix::unistd::Pid;
use vmaple_linux::procfs::smaps::{vm_flags, vm_flags_at};

use crate::area::{Area, PAGE};
use crate::child::Child;

#[test]
fn one_range_is_found_with_its_flags() {
    let area = Area::writable(4 * PAGE);
    assert!(area.advise(libc::MADV_DONTFORK));
    area.write(0);
    area.protect_part(2 * PAGE, PAGE, PROT_NONE);
    let found = vm_flags_at(Pid::this(), area.start(), area.end()).unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!((found[0].start, found[2].end), (area.start(), area.end()));
    assert!(found.iter().all(|mapping| mapping.has("dc")));
    assert!(found[0].has("wr") && !found[1].has("wr") && found[2].has("wr"));
    assert_eq!(found[0].anonymous_bytes, PAGE as u64);
    assert!(!found[1].holds_anonymous());
    let middle = area.start() + 2 * PAGE as u64;
    let only = vm_flags_at(Pid::this(), middle, middle + PAGE as u64).unwrap();
    assert_eq!(only, found[1..2]);
}

#[test]
fn the_whole_and_single_ranges_agree() {
    let child = Child::fork(|| 0);
    let all = vm_flags(child.pid).unwrap();
    assert!(all.len() > 5);
    for mapping in &all {
        let single = vm_flags_at(child.pid, mapping.start, mapping.end).unwrap();
        assert_eq!(single, std::slice::from_ref(mapping));
    }
    let last = all.last().unwrap().end;
    assert_eq!(vm_flags_at(child.pid, 0, u64::MAX).unwrap(), all);
    assert!(vm_flags_at(child.pid, last, u64::MAX).unwrap().is_empty());
    assert!(vm_flags_at(child.pid, 0, 0x1000).unwrap().is_empty());
}

#[test]
fn a_mapping_at_the_end_is_found() {
    let area = Area::anonymous(PAGE, PROT_READ);
    let found = vm_flags_at(Pid::this(), area.start(), area.start() + 1).unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn an_ended_process_is_gone() {
    let child = Child::fork(|| 0);
    let pid = child.pid;
    drop(child);
    assert!(vm_flags(pid).unwrap_err().is_gone());
    assert!(vm_flags_at(pid, 0, 1).unwrap_err().is_gone());
}
