//! Signals, stops and job control: the program behaves as without a tracer.

mod tracer_support;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{Child, ExitStatus as Ended};
use std::time::{Duration, Instant};
use tracer_support::own_process::{self, OwnProcess};
use tracer_support::{Event, Scratch, command, record};
use vmaple_linux::tracer::ExitStatus;

const HEAD: &str = r#"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
static void on(int sig, void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
    if (sigaction(sig, &action, 0)) abort();
}
static void touch(void) {
    void *p = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || munmap(p, 4096)) abort();
}
static void announce(char *path) {
    char text[16];
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
    int length = snprintf(text, sizeof text, "%d\n", getpid());
    if (write(fd, text, length) != length) abort();
    close(fd);
}
"#;

fn compile(scratch: &Scratch, name: &str, body: &str) -> std::path::PathBuf {
    scratch.compile(name, &format!("{HEAD}\n{body}"))
}

fn exits_with_zero(name: &str, body: &str) -> tracer_support::Recorder {
    let scratch = Scratch::new(name);
    let program = compile(&scratch, name, body);
    let (outcome, recorder) = record(&command(&program, &[]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(0));
    recorder
}

/// Waits for what a program writes once it is ready: its process id.
fn announced(file: &Path) -> Pid {
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(pid) = text.strip_suffix('\n').and_then(|line| line.parse().ok()) {
            return Pid::from_raw(pid);
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "the program does not get ready"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The letter in `/proc/PID/stat`.
fn state(pid: Pid) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.unwrap_or('-')
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "not within ten seconds: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn end(mut child: Child) -> Ended {
    child.wait().expect("the helper's end")
}

#[test]
fn handlers_run_between_memory_calls() {
    let recorder = exits_with_zero(
        "handlers",
        r"
        static volatile int alarms, faults, children;
        static char *page;
        static void alarmed(int s, siginfo_t *i, void *c) { alarms++; touch(); }
        static void faulted(int s, siginfo_t *i, void *c) {
            if (i->si_addr != page || mprotect(page, 4096, PROT_READ | PROT_WRITE)) _exit(1);
            faults++;
        }
        static void reaped(int s, siginfo_t *i, void *c) {
            while (waitpid(-1, 0, WNOHANG) > 0) children++;
        }
        int main(void) {
            on(SIGALRM, alarmed); on(SIGSEGV, faulted); on(SIGCHLD, reaped);
            struct itimerval timer = { { 0, 1500 }, { 0, 1500 } };
            page = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            setitimer(ITIMER_REAL, &timer, 0);
            int forks = 0;
            for (int i = 0; i < 2000; i++) {
                touch();
                if (i % 10 == 0) { if (mprotect(page, 4096, PROT_NONE)) return 2; *page = 1; }
                if (i % 100 == 0) { pid_t c = fork(); if (!c) _exit(0); if (c < 0) return 3; forks++; }
            }
            setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, 0);
            while (children < forks) usleep(1000);
            return alarms < 5 || faults != 200;
        }",
    );
    assert_eq!(recorder.count(|e| matches!(e, Event::Lost(..))), 0);
}

#[test]
fn breakpoints_and_queued_signals_reach_the_program_whole() {
    exits_with_zero(
        "whole",
        r#"
        static volatile int traps, value;
        static void trapped(int s, siginfo_t *i, void *c) { traps += i->si_code > 0; }
        static void queued(int s, siginfo_t *i, void *c) {
            if (i->si_code == SI_QUEUE && i->si_pid == getpid()) value = i->si_value.sival_int;
        }
        int main(void) {
            on(SIGTRAP, trapped); on(SIGRTMIN + 5, queued); on(SIGURG, queued);
            __asm__ volatile("int3");
            if (traps != 1) return 1;
            sigqueue(getpid(), SIGRTMIN + 5, (union sigval){ .sival_int = 1234 });
            if (value != 1234) return 2;
            sigqueue(getpid(), SIGURG, (union sigval){ .sival_int = 77 });
            return value != 77;
        }"#,
    );
}

#[test]
fn a_parent_sees_its_child_stop_and_go_on() {
    exits_with_zero(
        "stops",
        r"
        static void *forever(void *arg) { for (;;) touch(); return arg; }
        int main(void) {
            int status;
            pid_t child = fork();
            // SIGTSTP stops nothing in a process group that no shell looks after.
            setpgid(child, child);
            if (!child) {
                pthread_t t;
                for (int i = 0; i < 3; i++) pthread_create(&t, 0, forever, 0);
                forever(0);
            }
            for (int round = 0; round < 20; round++) {
                usleep(1000);
                kill(child, round % 2 ? SIGSTOP : SIGTSTP);
                if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) return 1;
                if (WSTOPSIG(status) != (round % 2 ? SIGSTOP : SIGTSTP)) return 2;
                kill(child, SIGCONT);
                if (waitpid(child, &status, WCONTINUED) != child || !WIFCONTINUED(status)) return 3;
            }
            kill(child, SIGTERM);
            waitpid(child, &status, 0);
            return !WIFSIGNALED(status) || WTERMSIG(status) != SIGTERM;
        }",
    );
}

#[test]
fn a_stop_from_outside_stops_and_a_continue_continues() {
    let scratch = Scratch::new("outside");
    let program = compile(
        &scratch,
        "outside",
        r"
        static volatile int done;
        static void finish(int s, siginfo_t *i, void *c) { done = 1; }
        int main(int argc, char **argv) {
            on(SIGUSR1, finish);
            announce(argv[1]);
            while (!done) touch();
            return 12;
        }",
    );
    let file = scratch.path("pid");
    let watched = file.clone();
    let outside = std::thread::spawn(move || {
        let pid = announced(&watched);
        kill(pid, Signal::SIGSTOP).expect("a stop");
        eventually("it stops", || state(pid) == 't');
        let spent = || std::fs::read_to_string(format!("/proc/{pid}/schedstat"));
        std::thread::sleep(Duration::from_millis(50));
        let before = spent().expect("its times");
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(
            (state(pid), spent().expect("its times")),
            ('t', before),
            "it really stops"
        );
        kill(pid, Signal::SIGCONT).expect("a continue");
        eventually("it goes on", || state(pid) != 't' || state(pid) == 'R');
        kill(pid, Signal::SIGUSR1).expect("a signal");
    });
    let (outcome, _) = record(&command(&program, &[file.to_str().expect("a path")]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(12));
    outside.join().expect("the thread outside");
}

#[test]
fn the_end_of_the_program_is_passed_on() {
    let scratch = Scratch::new("ends");
    let program = compile(
        &scratch,
        "ends",
        r"
        int main(int argc, char **argv) {
            struct sigaction pipe;
            sigset_t mask;
            sigaction(SIGPIPE, 0, &pipe);
            sigprocmask(0, 0, &mask);
            for (int s = 1; s < 32; s++) if (sigismember(&mask, s)) return 98;
            if (pipe.sa_handler != SIG_DFL) return 99;
            int n = atoi(argv[1]);
            // Whoever runs the tests may ignore some of them, as nohup does.
            if (n < 0) signal(-n, SIG_DFL), kill(getpid(), -n);
            return n;
        }",
    );
    for status in [0, 1, 77, 255] {
        let (outcome, _) = record(&command(&program, &[&status.to_string()]));
        assert_eq!(outcome.root_status, ExitStatus::Exited(status));
    }
    for signal in [
        libc::SIGKILL,
        libc::SIGTERM,
        libc::SIGPIPE,
        libc::SIGHUP,
        40,
    ] {
        let (outcome, _) = record(&command(&program, &[&(-signal).to_string()]));
        assert_eq!(
            outcome.root_status,
            ExitStatus::Signaled {
                signal,
                core_dumped: false
            }
        );
    }
}

const COUNTS_TERM: &str = r"
    static volatile int terms;
    static void term(int s, siginfo_t *i, void *c) { terms++; }
    int main(int argc, char **argv) {
        on(SIGTERM, term);
        announce(argv[1]);
        for (int i = 0; i < 1000 && !terms; i++) usleep(10000);
        for (int i = 0; i < 40; i++) usleep(10000);
        return 20 + terms;
    }";

#[test]
fn a_signal_to_the_tracer_alone_is_passed_on_once() {
    let scratch = Scratch::new("alone");
    let program = compile(&scratch, "alone", COUNTS_TERM);
    let helper = OwnProcess::new(&scratch, &program).start();
    announced(&scratch.path("pid"));
    kill(own_process::pid(&helper), Signal::SIGTERM).expect("a signal");
    assert_eq!(end(helper).code(), Some(21));
}

#[test]
fn a_signal_to_the_whole_group_is_not_passed_on_again() {
    let scratch = Scratch::new("group");
    let program = compile(&scratch, "group", COUNTS_TERM);
    let helper = OwnProcess::new(&scratch, &program).own_group().start();
    announced(&scratch.path("pid"));
    killpg(own_process::pid(&helper), Signal::SIGTERM).expect("a signal");
    assert_eq!(end(helper).code(), Some(21));
}

#[test]
fn the_tracer_stops_with_its_job() {
    let scratch = Scratch::new("job");
    let program = compile(&scratch, "job", COUNTS_TERM);
    let helper = OwnProcess::new(&scratch, &program).own_group().start();
    let (tracer, pid) = (own_process::pid(&helper), announced(&scratch.path("pid")));
    for continue_all in [true, false] {
        killpg(tracer, Signal::SIGTSTP).expect("a stop");
        let status = waitpid(tracer, Some(WaitPidFlag::WUNTRACED)).expect("the tracer's stop");
        assert_eq!(status, WaitStatus::Stopped(tracer, Signal::SIGTSTP));
        // It may still be on its way there from the last continue, which it reports first.
        eventually("the program stops", || state(pid) == 't');
        if continue_all {
            killpg(tracer, Signal::SIGCONT).expect("a continue");
        } else {
            kill(tracer, Signal::SIGCONT).expect("a continue");
        }
        eventually("the program goes on", || state(pid) != 't');
        eventually("the tracer goes on", || !matches!(state(tracer), 'T' | 't'));
    }
    kill(pid, Signal::SIGTERM).expect("a signal");
    assert_eq!(end(helper).code(), Some(21));
}

#[test]
fn an_ignored_sigpipe_stays_ignored() {
    let scratch = Scratch::new("pipe");
    let program = compile(
        &scratch,
        "pipe",
        r"
        int main(void) {
            struct sigaction pipe, usr1;
            sigaction(SIGPIPE, 0, &pipe);
            sigaction(SIGUSR1, 0, &usr1);
            return (pipe.sa_handler == SIG_IGN) + 2 * (usr1.sa_handler == SIG_IGN);
        }",
    );
    let plain = OwnProcess::new(&scratch, &program).start();
    assert_eq!(end(plain).code(), Some(0));
    let ignoring = OwnProcess::new(&scratch, &program)
        .after("trap '' PIPE USR1")
        .start();
    assert_eq!(end(ignoring).code(), Some(3));
}

#[test]
fn a_killed_tracer_takes_the_program_along() {
    let scratch = Scratch::new("exitkill");
    let program = compile(&scratch, "exitkill", COUNTS_TERM);
    let helper = OwnProcess::new(&scratch, &program).start();
    let pid = announced(&scratch.path("pid"));
    kill(own_process::pid(&helper), Signal::SIGKILL).expect("a signal");
    assert_eq!(end(helper).code(), None);
    eventually("the program is gone", || matches!(state(pid), '-' | 'Z'));
}

/// Not a test: the tracer as a process of its own, see [`OwnProcess`].
#[test]
fn own_process() {
    own_process::run();
}
