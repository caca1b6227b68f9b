//! What all sessions of one run share: the machine's facts, the executor's program, the files.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use nix::unistd::Uid;
use vmaple::LayoutKind;
use vmaple_linux::procfs::machine::{KernelRelease, Machine};
use vmaple_linux::procfs::maps::MapsText;

use crate::coverage::Abilities;
use crate::executor::{Executor, Program};
use crate::files::{self, FIRST_FD, Facts, KnownFile, Segment};

/// Why the running kernel cannot be the judge here.
#[derive(Debug, thiserror::Error)]
#[error("the running kernel cannot judge: {0}")]
pub struct Unsuitable(pub String);

impl From<io::Error> for Unsuitable {
    fn from(error: io::Error) -> Self {
        Unsuitable(error.to_string())
    }
}

impl From<vmaple_linux::procfs::Error> for Unsuitable {
    fn from(error: vmaple_linux::procfs::Error) -> Self {
        Unsuitable(error.to_string())
    }
}

/// The running kernel, ready to judge. Sessions borrow it.
#[derive(Debug)]
pub struct Host {
    pub(crate) machine: Machine,
    pub(crate) program: Program,
    /// Kept open for the executors.
    files: Vec<File>,
    pub(crate) facts: Vec<Facts>,
    pub(crate) segment: Segment,
    /// Root may give up its privileges; others have none to give up.
    pub(crate) is_root: bool,
}

/// The kernel whose rules the model follows.
const JUDGE: KernelRelease = KernelRelease {
    major: 6,
    minor: 18,
};

impl Host {
    /// Opens files, makes the executor's program, and looks whether this kernel can judge.
    ///
    /// # Errors
    /// Another kernel than Linux 6.18 on x86-64, or a resource that is missing: executable
    /// memory files, personality, System V memory, `/dev/shm`.
    pub fn open() -> Result<Host, Unsuitable> {
        let machine = Machine::read()?;
        if !cfg!(target_arch = "x86_64") || machine.release != JUDGE {
            let KernelRelease { major, minor } = machine.release;
            return Err(Unsuitable(format!(
                "the rules are those of Linux 6.18 on x86-64, this is {major}.{minor}"
            )));
        }
        let files = files::open_all()?;
        let facts = files
            .iter()
            .map(files::facts_of)
            .collect::<io::Result<Vec<Facts>>>()?;
        let mut host = Host {
            machine,
            program: Program::make()?,
            files,
            facts,
            segment: Segment::make()?,
            is_root: Uid::effective().is_root(),
        };
        host.learn_names()?;
        Ok(host)
    }

    /// What the kernel has of what it may be built without.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        let features = &self.machine.features;
        Abilities {
            userfaultfd: features.userfaultfd,
            anon_names: features.anon_vma_name,
        }
    }

    /// Release of the kernel that judges, as `uname -r` shows it.
    #[must_use]
    pub fn kernel() -> String {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
        release.unwrap_or_default().trim().to_owned()
    }

    /// The files as the model of one session sees them: `/dev/zero` knows the object of that
    /// session's next mapping.
    pub(crate) fn known_files(&self) -> Vec<Arc<KnownFile>> {
        let numbered = self.facts.iter().cloned().enumerate();
        numbered
            .map(|(index, facts)| Arc::new(KnownFile::of_index(index, facts)))
            .collect()
    }

    /// A process to make calls in.
    pub(crate) fn executor(&self, layout: LayoutKind) -> io::Result<Executor> {
        let numbered = self.files.iter().zip(FIRST_FD..);
        let moves: Vec<(RawFd, RawFd)> = numbered
            .map(|(file, number)| (file.as_raw_fd(), number))
            .collect();
        Executor::start(&self.program, layout, &moves)
    }

    /// Has an executor map each file, for what maps shows of it: `stat` shows another device on
    /// some file systems.
    fn learn_names(&mut self) -> Result<(), Unsuitable> {
        let mut executor = self.executor(LayoutKind::TopDown)?;
        for (index, facts) in self.facts.iter_mut().enumerate() {
            let fd = (FIRST_FD as u64) + index as u64;
            let (read, private) = (1, 2);
            let map = [libc::SYS_mmap as u64, 0, 4096, read, private, fd, 0];
            let at = executor.call(map)?;
            // The write-only file and the directory are never mapped.
            if at < 0 {
                continue;
            }
            let text = MapsText::of(executor.pid())?;
            let mut lines = text.lines().filter_map(Result::ok);
            if let Some(line) = lines.find(|line| line.start == at.cast_unsigned()) {
                facts.major = line.major;
                facts.minor = line.minor;
                facts.inode = line.inode;
                facts.name = String::from_utf8_lossy(line.name).into_owned();
            }
            executor.call([libc::SYS_munmap as u64, at as u64, 4096, 0, 0, 0, 0])?;
        }
        Ok(())
    }
}
