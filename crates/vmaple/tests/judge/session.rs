//! A child process and its model in lockstep.
#![expect(
    unsafe_code,
    reason = "descriptors and personality between fork and exec"
)]

use super::child::{COMMANDS, Command as Call, MARK, RESULTS};
use super::files::{self, Segment, TestFile};
use super::op::Op;
use super::seed;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use vmaple::{AddrRange, FileId, LayoutKind, Mm, SharedZero, VmFlags};

/// Why the judge cannot work here.
#[derive(Debug)]
pub(crate) struct Unsuitable(pub(crate) String);

/// The child and the model.
#[derive(Debug)]
pub(crate) struct Session {
    child: Child,
    commands: File,
    results: File,
    pub(crate) files: Vec<TestFile>,
    pub(crate) mm: Mm,
    /// The process that makes the calls: the child or a descendant of it.
    pid: u32,
    next_object: u64,
    history: VecDeque<String>,
    segment: Segment,
    /// The kernel's map after the last operation that was compared.
    last_text: String,
    /// What was mapped before the first call and must stay.
    pub(crate) taboo: Vec<AddrRange>,
}

/// How many operations a report shows.
const HISTORY: usize = 400;

impl Session {
    /// Starts a child without address randomisation and seeds the model with its map.
    pub(crate) fn start(layout: LayoutKind) -> Result<Session, Unsuitable> {
        check_kernel()?;
        Session::try_start(layout).map_err(|error| Unsuitable(error.to_string()))
    }

    fn try_start(layout: LayoutKind) -> io::Result<Session> {
        let files = files::open_all()?;
        let (command_out, command_in) = pipe()?;
        let (result_out, result_in) = pipe()?;
        let mut moves = vec![
            (command_out.as_raw_fd(), COMMANDS),
            (result_in.as_raw_fd(), RESULTS),
        ];
        moves.extend(files.iter().map(|file| (file.file.as_raw_fd(), file.fd)));
        let mut command = Command::new(std::env::current_exe()?);
        command.args([
            "judge_child",
            "--exact",
            "--test-threads=1",
            "--nocapture",
            "-q",
        ]);
        command
            .env(MARK, "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // SAFETY: the closure makes system calls only; `moves` was made before the fork.
        unsafe { command.pre_exec(move || prepare(&moves, layout)) };
        let child = command.spawn()?;
        let pid = child.id();
        let mut session = Session {
            child,
            commands: File::from(command_in),
            results: File::from(result_out),
            files,
            mm: Mm::new(vmaple::MmConfig::x86_64()),
            pid,
            next_object: 1,
            history: VecDeque::new(),
            taboo: Vec::new(),
            segment: Segment::make()?,
            last_text: String::new(),
        };
        drop((command_out, result_in));
        session.seed(layout)?;
        Ok(session)
    }

    fn seed(&mut self, layout: LayoutKind) -> io::Result<()> {
        let break_now = self.call([libc::SYS_brk as u64, 0, 0, 0, 0, 0, 0])? as u64;
        let mut seed = seed::read(self.pid).map_err(io::Error::other)?;
        seed.areas.brk = break_now;
        // As if the pages had been touched in ascending order.
        let faulted: Vec<u64> = seed
            .vmas
            .iter_mut()
            .filter_map(|vma| vma.anon_vma.take().map(|_| vma.start))
            .collect();
        seed.config.layout = layout;
        self.taboo = seed.vmas.iter().map(vmaple::Vma::range).collect();
        self.mm =
            Mm::seed(seed.config, seed.areas, seed.vmas, seed.gate).map_err(io::Error::other)?;
        for addr in faulted {
            self.mm.note_faulted(addr);
        }
        Ok(())
    }

    /// The process that makes the calls.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Makes a call in the child.
    fn call(&mut self, call: Call) -> io::Result<i64> {
        let bytes: Vec<u8> = call.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.commands.write_all(&bytes)?;
        let mut result = [0; 8];
        self.results.read_exact(&mut result)?;
        Ok(i64::from_ne_bytes(result))
    }

    /// Makes one operation on both sides and compares.
    pub(crate) fn step(&mut self, op: Op) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        if let Op::SetLimit { which, bytes } = op {
            self.set_limit(which, bytes);
        }
        let kernel = match self.call(op.command(self.segment.0)) {
            Ok(result) => result,
            Err(error) => self.report(&op, &format!("the child died: {error}")),
        };
        let text = self.kernel_text(&op, kernel);
        let inode = if op.makes_object() && kernel > 0 {
            inode_at(&text, kernel as u64)
        } else {
            0
        };
        let id = FileId(1 << 40 | self.next_object);
        let object = SharedZero {
            id,
            inode,
            len: op.page_rounded_len(),
        };
        self.next_object += 1;
        let ours = match op.apply(&mut self.mm, &self.files, self.segment, object, kernel) {
            Ok(value) => value as i64,
            Err(error) => match error.errno() {
                Some(errno) => -i64::from(errno.as_raw()),
                None => self.report(&op, &error.to_string()),
            },
        };
        self.history.push_back(format!("{op:x?} = {kernel:#x}"));
        if ours != kernel && !op.has_other_result() {
            self.report(
                &op,
                &format!("kernel {kernel:#x} ({kernel}), model {ours:#x} ({ours})"),
            );
        }
        let model = self.model_text();
        if model != text {
            self.report(&op, &difference(&self.last_text, &text, &model));
        }
        self.last_text = text;
        if let Err(violation) = self.mm.validate() {
            self.report(&op, &violation.to_string());
        }
    }

    /// Makes one operation on both sides and compares the result only.
    pub(crate) fn step_unseen(&mut self, op: Op) {
        let kernel = match self.call(op.command(self.segment.0)) {
            Ok(result) => result,
            Err(error) => self.report(&op, &format!("the child died: {error}")),
        };
        let object = SharedZero {
            id: FileId(0),
            inode: 0,
            len: 0,
        };
        let ours = op.apply(&mut self.mm, &self.files, self.segment, object, kernel);
        if ours.map(u64::cast_signed) != Ok(kernel) {
            self.report(&op, &format!("kernel {kernel:#x}, model {ours:x?}"));
        }
    }

    fn set_limit(&self, which: u32, bytes: u64) {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        let pid = self.pid as i32;
        // SAFETY: `limit` is valid for writes, a null new limit is permitted.
        let got = unsafe { libc::prlimit(pid, which, std::ptr::null(), &raw mut limit) };
        limit.rlim_cur = bytes;
        // SAFETY: `limit` is valid for reads, a null old limit is permitted.
        let set = unsafe { libc::prlimit(pid, which, &raw const limit, std::ptr::null_mut()) };
        assert!(
            got == 0 && set == 0,
            "limit {which} to {bytes:#x}: {limit:?}"
        );
    }

    fn kernel_text(&mut self, op: &Op, result: i64) -> String {
        if *op == Op::Fork && result > 0 {
            self.pid = result as u32;
        }
        match std::fs::read_to_string(format!("/proc/{}/maps", self.pid)) {
            Ok(text) => text,
            Err(error) => self.report(op, &format!("maps: {error}")),
        }
    }

    pub(crate) fn model_text(&self) -> String {
        let mut text = Vec::new();
        self.mm.append_maps(&mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    /// Compares what maps does not show: flags by smaps, sizes by status.
    pub(crate) fn check_flags(&mut self) {
        let op = Op::Munlockall;
        let Ok(smaps) = std::fs::read_to_string(format!("/proc/{}/smaps", self.pid)) else {
            return;
        };
        let lines = smaps
            .lines()
            .filter_map(|line| line.strip_prefix("VmFlags: "));
        let ours: Vec<_> = self.mm.iter().map(|vma| (vma.range(), vma.flags)).collect();
        for (line, (range, flags)) in lines.zip(ours) {
            if VmFlags::from_mnemonics(line) != Ok(flags) {
                let message = format!("{range}: kernel {line}, model {}", flags.mnemonics());
                self.report(&op, &message);
            }
        }
        let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", self.pid)) else {
            return;
        };
        let counters = *self.mm.counters();
        let expected = [
            ("VmSize:", counters.total_vm),
            ("VmLck:", counters.locked_vm),
            ("VmData:", counters.data_vm),
            ("VmStk:", counters.stack_vm),
        ];
        for (label, pages) in expected {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(label))
                .unwrap_or("");
            let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
            if kib != pages * 4 {
                self.report(
                    &op,
                    &format!("{label} kernel {kib} kB, model {} kB", pages * 4),
                );
            }
        }
    }

    fn report(&mut self, op: &Op, what: &str) -> ! {
        let history: Vec<_> = self.history.iter().map(String::as_str).collect();
        let near = self.model_text();
        panic!(
            "after:\n{}\n{op:x?}:\n{what}\nmodel:\n{near}",
            history.join("\n")
        );
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: no requirement; a process that is gone already is no harm here.
        unsafe { libc::kill(self.pid as i32, libc::SIGKILL) };
        self.segment.remove();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines that differ, with what was there before the call.
fn difference(before: &str, kernel: &str, model: &str) -> String {
    let lines = |text: &str, other: &str| {
        let others: std::collections::HashSet<&str> = other.lines().collect();
        let only = text.lines().filter(|line| !others.contains(line));
        only.map(|line| format!("  {line}\n")).collect::<String>()
    };
    format!(
        "only kernel:\n{}only model:\n{}before:\n{}",
        lines(kernel, model),
        lines(model, kernel),
        lines(before, kernel)
    )
}

fn inode_at(maps: &str, addr: u64) -> u64 {
    let start = format!("{addr:08x}-");
    let line = maps.lines().find(|line| line.starts_with(&start));
    let word = line.and_then(|line| line.split_ascii_whitespace().nth(4));
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn check_kernel() -> Result<(), Unsuitable> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if !cfg!(target_arch = "x86_64") || !release.starts_with("6.18.") {
        let release = release.trim();
        return Err(Unsuitable(format!(
            "the judge is Linux 6.18 on x86-64, this is {release}"
        )));
    }
    Ok(())
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` is valid for writes of two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let own = |fd: RawFd| unsafe { OwnedFd::from_raw_fd(fd) };
    Ok((own(ends[0]), own(ends[1])))
}

/// In the child before exec: descriptors to their places, no randomisation, no growth of limits.
fn prepare(moves: &[(RawFd, RawFd)], layout: LayoutKind) -> io::Result<()> {
    for &(from, to) in moves {
        // SAFETY: plain system call on descriptors.
        if unsafe { libc::dup2(from, to) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let compatible = match layout {
        LayoutKind::BottomUp => libc::ADDR_COMPAT_LAYOUT,
        LayoutKind::TopDown => 0,
    };
    // SAFETY: plain system call.
    unsafe { libc::personality((libc::ADDR_NO_RANDOMIZE | compatible) as u64) };
    // SAFETY: plain system call.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    Ok(())
}
