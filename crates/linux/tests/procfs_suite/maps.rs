//! maps: every field of real lines, hostile names, ends of processes.

use std::os::unix::ffi::OsStrExt;

use libc::{PROT_NONE, PROT_READ, PROT_WRITE};
use nix::unistd::Pid;
use vmaple_linux::procfs::maps::{Lines, MapsFile, MapsLine, MapsText};

use vmaple_linux::procfs::pagemap::AnonScan;

use crate::area::{Area, PAGE};
use crate::child::Child;

fn find(text: &MapsText, addr: u64) -> MapsLine<'_> {
    let mut lines = text.lines().map(Result::unwrap);
    lines
        .find(|line| line.start <= addr && addr < line.end)
        .expect("mapped")
}

#[test]
fn lines_print_back_to_the_same_bytes() {
    let text = MapsText::of(Pid::this()).unwrap();
    let mut again = String::new();
    for line in text.lines() {
        again.push_str(&format!("{}\n", line.unwrap()));
    }
    assert_eq!(again.as_bytes(), text.as_bytes());
}

#[test]
fn a_hostile_file_name_is_kept() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("a  b\nc \\012 é (deleted) {}", std::process::id()));
    std::fs::write(&path, [1; 2 * PAGE]).unwrap();
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let area = Area::shared_file(PAGE, PROT_READ | PROT_WRITE, &file);
    let mut escaped = path.as_os_str().as_bytes().to_vec();
    let newline = escaped.iter().position(|&byte| byte == b'\n').unwrap();
    escaped.splice(newline..=newline, *br"\012");

    let maps = MapsFile::open(Pid::this()).unwrap();
    let mut text = MapsText::new();
    maps.read(&mut text).unwrap();
    let line = find(&text, area.start());
    assert_eq!(line.name, escaped);
    assert_eq!((&line.perms, line.offset), (b"rw-s", 0));
    use std::os::unix::fs::MetadataExt;
    assert_eq!(line.inode, file.metadata().unwrap().ino());

    std::fs::remove_file(&path).unwrap();
    maps.read(&mut text).unwrap();
    escaped.extend_from_slice(b" (deleted)");
    assert_eq!(find(&text, area.start()).name, escaped);
    let queried = maps.mapping_at(area.start()).unwrap().unwrap();
    assert_eq!(queried.name, escaped);
}

#[test]
fn a_thousand_mappings_arrive_whole() {
    let area = Area::anonymous(2000 * PAGE, PROT_NONE);
    for page in (0..2000).step_by(2) {
        area.protect_part(page * PAGE, PAGE, PROT_READ);
    }
    let text = MapsText::of(Pid::this()).unwrap();
    let lines = text.lines().map(Result::unwrap);
    let inside = lines.filter(|line| line.start >= area.start() && line.end <= area.end());
    assert!(
        (1999..=2000).contains(&inside.count()),
        "neighbours may have merged at one end"
    );
}

#[test]
fn the_descriptor_follows_changes_and_ends_with_the_process() {
    let child = Child::fork(|| 0);
    let maps = MapsFile::open(child.pid).unwrap();
    let mut text = MapsText::new();
    maps.read(&mut text).unwrap();
    assert!(text.lines().all(|line| line.is_ok()) && text.lines().count() > 5);
    child.kill();
    let error = maps.read(&mut text).unwrap_err();
    assert!(error.is_gone(), "{error}");
    assert!(error.to_string().contains(&child.pid.to_string()));
    assert!(maps.mapping_at_or_after(0).unwrap_err().is_gone());
    let pid = child.pid;
    drop(child);
    assert!(MapsFile::open(pid).unwrap_err().is_gone());
}

#[test]
fn the_descriptor_ends_with_the_address_space_at_an_exec() {
    use std::process::{Command, Stdio};
    let script = "read go; exec sleep 60";
    let mut shell = Command::new("sh");
    let mut shell = shell
        .args(["-c", script])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(shell.id() as i32);
    let comm = || std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    while comm() != "sh\n" {
        std::thread::yield_now();
    }
    let maps = MapsFile::open(pid).unwrap();
    let mut text = MapsText::new();
    maps.read(&mut text).unwrap();
    let (start, end) = (
        text.lines().next().unwrap().unwrap().start,
        0x7fff_ffff_f000,
    );
    let scan = AnonScan::open(pid, PAGE as u64).unwrap();
    assert!(scan.holds_anon(start, end).unwrap());
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), b"go\n").unwrap();
    while comm() != "sleep\n" {
        std::thread::yield_now();
    }
    let old = maps.read(&mut text);
    let old_pages = scan.holds_anon(start, end);
    let new = MapsText::of(pid);
    shell.kill().unwrap();
    shell.wait().unwrap();
    assert!(old.unwrap_err().is_gone());
    assert!(old_pages.unwrap_err().is_gone());
    assert!(new.unwrap().lines().count() > 5);
}

#[test]
fn queries_find_covering_next_and_none() {
    let area = Area::anonymous(3 * PAGE, PROT_READ);
    area.protect_part(PAGE, PAGE, PROT_NONE);
    let maps = MapsFile::open(Pid::this()).unwrap();
    let middle = maps
        .mapping_at(area.start() + PAGE as u64)
        .unwrap()
        .unwrap();
    assert_eq!(middle.start, area.start() + PAGE as u64);
    assert_eq!(middle.end, middle.start + PAGE as u64);
    assert_eq!(&middle.perms, b"---p");
    assert!(middle.name.is_empty());
    assert_eq!(maps.mapping_at(0).unwrap(), None);
    assert!(maps.mapping_at_or_after(0).unwrap().unwrap().start >= 0x1000);
    assert_eq!(maps.mapping_at_or_after(0x7fff_ffff_f000).unwrap(), None);
}

#[test]
fn malformed_lines_name_their_number_and_end_the_iteration() {
    let good = "00001000-00002000 rw-p 00000000 00:00 0 \n";
    for bad in [
        "00001000-00002000 rw-p 00000000 00:00 0",
        "00001000 00002000 rw-p 00000000 00:00 0 ",
        "00002000-00001000 rw-p 00000000 00:00 0 ",
        "00001000-00002000 rwzp 00000000 00:00 0 ",
        "00001000-00002000 rw-p 00000000 0000 0 ",
        "00001000-00002000 rw-p 00000000 00:00 x ",
        "00001000-00002000 rw-p 00000000 00:00 0 name",
        "11111111111111111-22222222222222222 rw-p 00000000 00:00 0 ",
        "00001000-00002000 rw-p 00000000 100000000:00 0 ",
        "00001000-00002000 rw",
        "",
    ] {
        let text = format!("{good}{bad}\n{good}");
        let lines: Vec<_> = Lines::new(text.as_bytes()).collect();
        assert_eq!(lines.len(), 2, "{bad}");
        assert!(lines[0].is_ok());
        assert_eq!(lines[1].as_ref().unwrap_err().line, 2, "{bad}");
    }
}

#[test]
fn wide_fields_push_the_name_and_leading_spaces_stay() {
    let wide = b"7fffffffe000-7ffffffff000 rw-p 123456789abcdef0 fe:00 18446744073709551615  /x";
    let line = MapsLine::parse(wide).unwrap();
    assert_eq!(line.name, b"/x");
    assert_eq!(line.inode, u64::MAX);
    let padded = format!("{:<72}   x ", "00001000-00002000 rw-p 00000000 00:00 0 ");
    assert_eq!(MapsLine::parse(padded.as_bytes()).unwrap().name, b"  x ");
}
