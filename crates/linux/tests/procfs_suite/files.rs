//! Facts and identities of files, against what maps prints for mappings of them.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{PROT_READ, PROT_WRITE};
use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Pid, dup, gettid};
use vmaple_linux::procfs::files::{DeviceNumber, FileFacts, FileKind, FileTable, map_files_facts};
use vmaple_linux::procfs::maps::MapsText;

use crate::area::{Area, PAGE, drop_capability};
use crate::child::Child;

/// A file of one page, removed when dropped.
pub(crate) struct TempFile {
    pub(crate) path: PathBuf,
}

impl TempFile {
    pub(crate) fn new(label: &str) -> TempFile {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only uniqueness matters.
        let nr = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{label}-{}-{nr}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, [1; PAGE]).unwrap();
        TempFile { path }
    }

    pub(crate) fn open(&self) -> File {
        File::options()
            .read(true)
            .write(true)
            .open(&self.path)
            .unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

pub(crate) fn facts_of(fd: RawFd) -> FileFacts {
    FileTable::new()
        .identify(gettid(), fd)
        .unwrap()
        .expect("an open descriptor")
        .facts
}

/// Device, inode and name agree with what maps prints for a mapping of the file.
pub(crate) fn assert_as_mapped(facts: &FileFacts, area: &Area) {
    let text = MapsText::of(gettid()).unwrap();
    let mut lines = text.lines().map(Result::unwrap);
    let line = lines
        .find(|line| line.start <= area.start() && line.end > area.start())
        .unwrap();
    let device = DeviceNumber {
        major: line.major,
        minor: line.minor,
    };
    assert_eq!(
        (facts.device, facts.inode),
        (device, line.inode),
        "{facts:?}"
    );
    assert_eq!(facts.name.as_bytes(), line.name, "{facts:?}");
}

fn memfd(flags: MFdFlags) -> nix::Result<OwnedFd> {
    memfd_create("some\nname", flags)
}

#[test]
fn facts_agree_with_maps() {
    let on_disk = TempFile::new("new\nline  x");
    let file = on_disk.open();
    let area = Area::private_file(PAGE, PROT_READ, &file);
    let facts = facts_of(file.as_raw_fd());
    assert_as_mapped(&facts, &area);
    assert_eq!(
        (facts.kind, facts.size_bytes),
        (FileKind::Regular, PAGE as u64)
    );
    assert!(facts.readable && facts.writable && !facts.append_only);
    std::fs::remove_file(&on_disk.path).unwrap();
    let facts = facts_of(file.as_raw_fd());
    assert!(facts.name.as_bytes().ends_with(b" (deleted)"));
    assert_as_mapped(&facts, &area);

    let memory = memfd(MFdFlags::empty()).unwrap();
    nix::unistd::ftruncate(&memory, PAGE as i64).unwrap();
    let area = Area::shared_file(PAGE, PROT_READ | PROT_WRITE, &memory);
    let facts = facts_of(memory.as_raw_fd());
    assert_eq!(facts.kind, FileKind::SharedMemory);
    assert_as_mapped(&facts, &area);

    let exe = File::open("/proc/self/exe").unwrap();
    let area = Area::private_file(PAGE, PROT_READ, &exe);
    assert_as_mapped(&facts_of(exe.as_raw_fd()), &area);
}

#[test]
fn kinds_and_access() {
    let kind = |path: &str| facts_of(File::open(path).unwrap().as_raw_fd()).kind;
    assert_eq!(kind("/dev/zero"), FileKind::DevZero);
    assert_eq!(
        kind("/dev/null"),
        FileKind::CharDevice(DeviceNumber { major: 1, minor: 3 })
    );
    assert_eq!(kind("/"), FileKind::Directory);
    assert_eq!(kind("/proc/self/status"), FileKind::Regular);
    let (pipe, _other) = nix::unistd::pipe().unwrap();
    assert_eq!(facts_of(pipe.as_raw_fd()).kind, FileKind::Other);
    let mask = nix::sys::signal::SigSet::empty();
    let signals = nix::sys::signalfd::SignalFd::new(&mask).unwrap();
    assert_eq!(
        facts_of(signals.as_fd().as_raw_fd()).kind,
        FileKind::AnonymousInode
    );
    match memfd(MFdFlags::MFD_HUGETLB) {
        Ok(huge) => assert_eq!(facts_of(huge.as_raw_fd()).kind, FileKind::Hugetlb),
        Err(errno) => eprintln!("skipped: no hugetlb memfd here ({errno})"),
    }
    let temp = TempFile::new("access");
    let write_only = File::options().append(true).open(&temp.path).unwrap();
    let facts = facts_of(write_only.as_raw_fd());
    assert!(!facts.readable && facts.writable && !facts.append_only);
    let read_only = facts_of(File::open(&temp.path).unwrap().as_raw_fd());
    assert!(read_only.readable && !read_only.writable);
}

#[test]
fn what_a_memory_call_refuses_is_none() {
    let mut table = FileTable::new();
    let path = nix::fcntl::open("/", OFlag::O_PATH, nix::sys::stat::Mode::empty()).unwrap();
    assert_eq!(table.identify(Pid::this(), path.as_raw_fd()).unwrap(), None);
    assert_eq!(table.identify(Pid::this(), 999_999).unwrap(), None);
    assert_eq!(table.identify(Pid::this(), -1).unwrap(), None);
    assert!(table.is_empty());
}

#[test]
fn the_same_description_has_the_same_id() {
    let temp = TempFile::new("identity");
    let (one, other) = (temp.open(), temp.open());
    let again = dup(&one).unwrap();
    let child = Child::fork(|| 0);
    let mut table = FileTable::new();
    let mut ask = |pid: Pid, fd: RawFd| table.identify(pid, fd).unwrap().unwrap();
    let first = ask(Pid::this(), one.as_raw_fd());
    assert!(first.is_new && first.certain);
    for (pid, fd) in [
        (Pid::this(), one.as_raw_fd()),
        (Pid::this(), again.as_raw_fd()),
        (child.pid, one.as_raw_fd()),
        (child.pid, again.as_raw_fd()),
    ] {
        let found = ask(pid, fd);
        assert_eq!(
            (found.id, found.is_new, found.certain),
            (first.id, false, true)
        );
    }
    let second = ask(child.pid, other.as_raw_fd());
    assert!(second.is_new && second.certain && second.id != first.id);
    assert_eq!(table.len(), 2);
    table.release(first.id);
    table.release(second.id);
    table.release(second.id);
    assert!(table.is_empty());
    let fresh = table
        .identify(Pid::this(), one.as_raw_fd())
        .unwrap()
        .unwrap();
    assert!(fresh.is_new && fresh.id != first.id && fresh.id != second.id);
}

/// Descriptors of this process that lead to `path`.
fn descriptors_of(path: &std::path::Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    targets.filter(|target| target == path).count()
}

#[test]
fn a_released_file_is_no_longer_held() {
    let temp = TempFile::new("held");
    let file = temp.open();
    let mut table = FileTable::new();
    let id = table
        .identify(Pid::this(), file.as_raw_fd())
        .unwrap()
        .unwrap()
        .id;
    assert_eq!(descriptors_of(&temp.path), 2);
    table.release(id);
    assert_eq!(descriptors_of(&temp.path), 1);
}

#[test]
fn a_thread_with_its_own_descriptors_is_asked_itself() {
    let temp = TempFile::new("thread");
    let path = temp.path.clone();
    let (tell, told) = std::sync::mpsc::channel();
    let (finish, finished) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES).unwrap();
        let file = File::open(path).unwrap();
        tell.send((gettid(), file.as_raw_fd())).unwrap();
        let _ = finished.recv();
    });
    let (tid, fd) = told.recv().unwrap();
    let found = FileTable::new().identify(tid, fd).unwrap();
    drop(finish);
    thread.join().unwrap();
    assert!(found.unwrap().facts.name.to_string().contains("thread-"));
}

#[test]
fn names_follow_renames_and_unlinks() {
    let temp = TempFile::new("before");
    let file = temp.open();
    let area = Area::shared_file(PAGE, PROT_READ, &file);
    let mut table = FileTable::new();
    let found = table
        .identify(Pid::this(), file.as_raw_fd())
        .unwrap()
        .unwrap();
    let mapped = table.identify_mapping(Pid::this(), area.start(), area.end());
    let mapped = mapped.unwrap().unwrap();
    assert!(mapped.is_new && mapped.id != found.id);
    assert!(table.follows_name(found.id) && table.follows_name(mapped.id));
    drop(file);

    let renamed = TempFile {
        path: temp.path.with_extension("renamed\n"),
    };
    let mut facts = found.facts;
    for step in ["rename", "unlink"] {
        match step {
            "rename" => std::fs::rename(&temp.path, &renamed.path).unwrap(),
            _ => std::fs::remove_file(&renamed.path).unwrap(),
        }
        for id in [found.id, mapped.id] {
            let name = table.name_now(id).unwrap().clone();
            assert_ne!(name, facts.name, "{step}");
            assert_as_mapped(
                &FileFacts {
                    name,
                    ..facts.clone()
                },
                &area,
            );
        }
        facts.name = table.name_now(found.id).unwrap().clone();
    }
    assert!(table.name_now(12345).is_none());
}

#[test]
fn a_descriptor_is_never_the_description_that_exec_mapped() {
    let temp = TempFile::new("exec");
    let file = File::open(&temp.path).unwrap();
    let area = Area::private_file(PAGE, PROT_READ, &file);
    let mut table = FileTable::new();
    let mapped = table.identify_mapping(Pid::this(), area.start(), area.end());
    let mapped = mapped.unwrap().unwrap();
    let opened = table
        .identify(Pid::this(), file.as_raw_fd())
        .unwrap()
        .unwrap();
    assert!(opened.is_new && opened.id != mapped.id);
}

#[test]
fn mapped_files_are_described_without_a_descriptor() {
    let temp = TempFile::new("mapped");
    let file = File::open(&temp.path).unwrap();
    let area = Area::private_file(PAGE, PROT_READ | PROT_WRITE, &file);
    drop(file);
    let (start, end) = (area.start(), area.end());
    let facts = map_files_facts(Pid::this(), start, end).unwrap().unwrap();
    assert!(facts.readable && !facts.writable);
    assert_eq!(
        (facts.kind, facts.size_bytes),
        (FileKind::Regular, PAGE as u64)
    );
    assert_as_mapped(&facts, &area);
    let shared = [
        (temp.open(), true),
        (File::open(&temp.path).unwrap(), false),
    ];
    for (file, writable) in shared {
        let area = Area::shared_file(PAGE, PROT_READ, &file);
        let facts = map_files_facts(Pid::this(), area.start(), area.end());
        assert_eq!(facts.unwrap().unwrap().writable, writable);
    }
    let unprivileged = std::thread::spawn(move || {
        const CAP_SYS_ADMIN: u32 = 21;
        const CAP_CHECKPOINT_RESTORE: u32 = 40;
        drop_capability(CAP_SYS_ADMIN);
        drop_capability(CAP_CHECKPOINT_RESTORE);
        map_files_facts(Pid::this(), start, end).unwrap().unwrap()
    });
    assert_eq!(unprivileged.join().unwrap(), facts);
    let mut table = FileTable::new();
    let held = table
        .identify_mapping(Pid::this(), start, end)
        .unwrap()
        .unwrap();
    assert!(table.follows_name(held.id));
    let anonymous = Area::writable(PAGE);
    assert_eq!(
        map_files_facts(Pid::this(), anonymous.start(), anonymous.end()).unwrap(),
        None
    );
}

#[test]
fn without_descriptors_identity_is_a_guess_and_says_so() {
    let temp = TempFile::new("degraded");
    let (one, other) = (temp.open(), temp.open());
    let mut table = FileTable::keeping_at_most(0);
    let mut ask = |fd: RawFd| table.identify(Pid::this(), fd).unwrap().unwrap();
    let first = ask(one.as_raw_fd());
    let second = ask(other.as_raw_fd());
    assert!(first.is_new);
    assert!(!second.is_new && !second.certain && second.id == first.id);
    let read_only = File::open(&temp.path).unwrap();
    assert!(
        ask(read_only.as_raw_fd()).is_new,
        "another access is another description"
    );
    assert!(!table.follows_name(first.id));
    assert_eq!(table.name_now(first.id).unwrap(), &first.facts.name);
}

#[test]
fn running_out_of_descriptors_gives_up_names_and_not_files() {
    let (kept, asked) = (TempFile::new("kept"), TempFile::new("asked"));
    // In a thread with descriptors of its own, so that no other test runs out of them.
    let thread = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES).unwrap();
        let (one, other) = (kept.open(), asked.open());
        let mut table = FileTable::new();
        let first = table.identify(gettid(), one.as_raw_fd()).unwrap().unwrap();
        let mut ballast: Vec<File> = Vec::new();
        // Twice where the first time only raised the limit.
        while table.follows_name(first.id) && ballast.len() < 1 << 20 {
            ballast.extend(std::iter::from_fn(|| one.try_clone().ok()));
            let second = table
                .identify(gettid(), other.as_raw_fd())
                .unwrap()
                .unwrap();
            assert!(second.is_new && second.facts.name.to_string().contains("asked-"));
            table.release(second.id);
        }
        assert!(!table.follows_name(first.id));
        assert_eq!(table.name_now(first.id).unwrap(), &first.facts.name);
    });
    thread.join().unwrap();
}

#[test]
fn facts_survive_json() {
    let facts = facts_of(File::open("/dev/null").unwrap().as_raw_fd());
    let json = serde_json::to_string(&facts).unwrap();
    assert_eq!(
        serde_json::from_str::<FileFacts>(&json).unwrap(),
        facts,
        "{json}"
    );
}

#[test]
fn an_ended_process_is_gone() {
    let child = Child::fork(|| 0);
    let mut table = FileTable::new();
    assert!(table.identify(child.pid, 0).unwrap().is_some());
    let pid = child.pid;
    drop(child);
    assert!(table.identify(pid, 0).unwrap_err().is_gone());
    assert!(
        table
            .identify_mapping(pid, 0x1000, 0x2000)
            .unwrap_err()
            .is_gone()
    );
}
