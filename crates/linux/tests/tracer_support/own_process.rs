//! A tracer in a process of its own: this test binary, started again for one function.

use super::{Recorder, Scratch};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use vmaple_linux::tracer::{self, Command, Error, ExitStatus, Options};

/// Names the program to run; its only argument is the file to announce itself in.
const PROGRAM: &str = "VMAPLE_TEST_PROGRAM";
const FILE: &str = "VMAPLE_TEST_FILE";

/// How to start it.
pub(crate) struct OwnProcess {
    program: PathBuf,
    file: PathBuf,
    own_group: bool,
    shell_prefix: String,
}

impl OwnProcess {
    pub(crate) fn new(scratch: &Scratch, program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            file: scratch.path("pid"),
            own_group: false,
            shell_prefix: ":".to_owned(),
        }
    }

    /// In a process group of its own, as a shell starts a job.
    pub(crate) fn own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// By a shell that runs this first.
    pub(crate) fn after(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.shell_prefix);
        self
    }

    pub(crate) fn process(self) -> Process {
        let binary = std::env::current_exe().expect("this test binary");
        let mut process = Process::new("sh");
        process
            .args(["-c", &format!("{}; exec \"$@\"", self.shell_prefix), "sh"])
            .arg(binary)
            .args(["own_process", "--exact", "--nocapture", "--test-threads=1"])
            .env(PROGRAM, self.program)
            .env(FILE, self.file)
            .stdin(Stdio::null());
        if self.own_group {
            process.process_group(0);
        }
        process
    }

    pub(crate) fn start(self) -> Child {
        self.process()
            .stdout(Stdio::null())
            .spawn()
            .expect("this test binary again")
    }
}

pub(crate) fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}

/// The process's whole work. Ends with the program's status, or one that names the error.
pub(crate) fn run() {
    let (Some(program), Some(file)) = (std::env::var_os(PROGRAM), std::env::var_os(FILE)) else {
        return;
    };
    let command = Command::new(program).args([file]);
    let status = match tracer::run(&command, &Options::default(), &mut Recorder::default()) {
        Ok(outcome) => match outcome.root_status {
            ExitStatus::Exited(status) => i32::from(status),
            ExitStatus::Signaled { signal, .. } => 128 + signal,
        },
        Err(error) => {
            eprintln!("{error}");
            match error {
                Error::PtraceRefused { .. } => 201,
                Error::SeccompRefused { .. } => 202,
                _ => 203,
            }
        }
    };
    std::process::exit(status);
}
