//! Facts of processes and of the machine.

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::Pid;
use vmaple_linux::procfs::machine::{Machine, page_size};
use vmaple_linux::procfs::maps::MapsText;
use vmaple_linux::procfs::pagemap::AnonScan;
use vmaple_linux::procfs::process::{Limits, Personality, Stat, Status};
use vmaple_linux::procfs::smaps::vm_flags;

use crate::area::drop_capability;
use crate::child::Child;

#[test]
fn stat_addresses_fit_the_map() {
    let stat = Stat::read(Pid::this()).unwrap();
    let text = MapsText::of(Pid::this()).unwrap();
    let lines: Vec<_> = text.lines().map(Result::unwrap).collect();
    let holds = |addr| {
        lines
            .iter()
            .find(|line| line.start <= addr && addr < line.end)
    };
    assert_eq!(holds(stat.start_stack).unwrap().name, b"[stack]");
    assert_eq!(holds(stat.arg_start).unwrap().name, b"[stack]");
    let exe = std::fs::read_link("/proc/self/exe").unwrap();
    let code = holds(stat.start_code).unwrap();
    assert_eq!(code.name, exe.as_os_str().as_encoded_bytes());
    assert!(stat.start_code < stat.end_code && stat.start_data < stat.end_data);
    assert!(stat.arg_start < stat.arg_end && stat.env_start <= stat.env_end);
    if let Some(heap) = lines.iter().find(|line| line.name == b"[heap]") {
        assert!(heap.start >= stat.start_brk & !0xfff);
    }
}

#[test]
fn the_dead_are_told_from_the_gone() {
    let child = Child::fork(|| 0);
    assert!(!Stat::read(child.pid).unwrap().is_dead());
    child.kill();
    assert!(Stat::read(child.pid).unwrap().is_dead());
    let pid = child.pid;
    drop(child);
    assert!(Stat::read(pid).unwrap_err().is_gone());
    assert!(Limits::read(pid).unwrap_err().is_gone());
    assert!(Status::read(pid).unwrap_err().is_gone());
    assert!(Personality::read(pid).unwrap_err().is_gone());
}

#[test]
fn a_refusal_names_the_process_and_the_remedy() {
    // Each of them is enough to read: tracing, administration, performance monitoring.
    const CAPABILITIES: [u32; 3] = [19, 21, 38];
    let child = Child::fork(|| 0);
    let pid = child.pid;
    if Status::read(pid).unwrap().capabilities.effective == 0 {
        return eprintln!(
            "skipped: the child is no more privileged than a thread without one capability"
        );
    }
    let refusals = std::thread::spawn(move || {
        CAPABILITIES.into_iter().for_each(drop_capability);
        [
            MapsText::of(pid).unwrap_err(),
            vm_flags(pid).unwrap_err(),
            AnonScan::open(pid, page_size()).unwrap_err(),
        ]
    });
    for error in refusals.join().unwrap() {
        assert!(error.is_denied(), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&pid.to_string()) && text.contains("CAP_SYS_PTRACE"),
            "{text}"
        );
    }
}

#[test]
fn limits_of_another_process_are_read() {
    let own = Limits::read(Pid::this()).unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_STACK).unwrap();
    assert_eq!((own.stack.soft, own.stack.hard), (soft, hard));
    let child = Child::fork(|| {
        nix::sys::resource::setrlimit(Resource::RLIMIT_DATA, 1 << 30, 1 << 31).map_or(1, |()| 0)
    });
    assert_eq!(child.value, 0);
    let limits = Limits::read(child.pid).unwrap();
    assert_eq!((limits.data.soft, limits.data.hard), (1 << 30, 1 << 31));
    assert_eq!(limits.address_space, own.address_space);
}

#[test]
fn personality_of_another_process_is_read() {
    use nix::sys::personality::{Persona, get, set};
    let child = Child::fork(|| {
        set(get().unwrap_or(Persona::empty()) | Persona::ADDR_NO_RANDOMIZE).map_or(1, |_| 0)
    });
    assert_eq!(child.value, 0);
    let persona = Personality::read(child.pid).unwrap();
    assert!(persona.no_randomize() && !persona.compat_layout() && !persona.read_implies_exec());
}

#[test]
fn status_counts_what_the_map_holds() {
    let child = Child::fork(|| 0);
    let status = Status::read(child.pid).unwrap();
    assert_eq!(status.tgid, child.pid);
    let text = MapsText::of(child.pid).unwrap();
    let lines = text
        .lines()
        .map(Result::unwrap)
        .filter(|line| line.name != b"[vsyscall]");
    assert_eq!(status.vm_size, Some(lines.map(|line| line.len()).sum()));
    assert_eq!(status.vm_locked, Some(0));
    let code = Stat::read(child.pid).unwrap();
    assert!(status.vm_exe.unwrap() >= code.end_code - code.start_code);
    assert!(status.vm_data.unwrap() > 0 && status.vm_stack.unwrap() > 0);
}

#[test]
fn capabilities_follow_the_text() {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let bits = text
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:\t"))
        .unwrap();
    let bits = u64::from_str_radix(bits, 16).unwrap();
    let capabilities = Status::read(Pid::this()).unwrap().capabilities;
    assert_eq!(capabilities.effective, bits);
    assert_eq!(capabilities.ipc_lock(), bits >> 14 & 1 == 1);
    assert_eq!(capabilities.sys_resource(), bits >> 24 & 1 == 1);
}

#[test]
fn the_machine_is_described() {
    let machine = Machine::read().unwrap();
    assert_eq!(machine.page_size, page_size());
    assert!(machine.page_size.is_power_of_two() && machine.page_size >= 4096);
    assert!(machine.release.major >= 4);
    let count = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    assert_eq!(machine.max_map_count.to_string(), count.trim());
    assert_eq!(
        machine.features.mseal,
        machine.release >= "6.10".parse().unwrap()
    );
    if let Some(size) = machine.thp.pmd_size {
        assert!(size > machine.page_size && machine.features.thp);
    }
    eprintln!("{machine:#?}");
}
