//! Every fork, thread and exec is followed, and every address space begins and ends once.

mod tracer_support;

use tracer_support::{Event, Scratch, command, record};
use vmaple_linux::arch::nr;
use vmaple_linux::tracer::{Command, ExitStatus, ForkKind, ShareKind};

/// What most programs here include, and one memory call of a size nobody else uses.
const COMMON: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#define MARK (0x37000)
static void touch(void) {
    void *p = mmap(0, MARK, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || munmap(p, MARK)) abort();
}
static void *forever(void *arg) { for (;;) touch(); return arg; }
static void start(void *(*f)(void *)) { pthread_t t; if (pthread_create(&t, 0, f, 0)) abort(); }
"#;

const MARK: u64 = 0x37000;

fn program(scratch: &Scratch, name: &str, body: &str) -> std::path::PathBuf {
    scratch.compile(name, &format!("{COMMON}\n{body}"))
}

fn marks(recorder: &tracer_support::Recorder) -> usize {
    recorder
        .exits(nr::MUNMAP)
        .filter(|(_, call, ret)| call.args[1] == MARK && *ret == 0)
        .count()
}

#[test]
fn a_tree_of_forks() {
    let scratch = Scratch::new("tree");
    let tree = program(
        &scratch,
        "tree",
        r"
        int main(void) {
            for (int depth = 0; depth < 3; depth++) fork();
            touch();
            while (wait(0) > 0) ;
            return 5;
        }",
    );
    let (outcome, recorder) = record(&command(&tree, &[]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(5));
    assert_eq!((outcome.processes, outcome.threads), (8, 8));
    assert_eq!(
        recorder.count(|e| matches!(e, Event::Forked(_, _, ForkKind::Fork))),
        7
    );
    assert_eq!(
        recorder.count(|e| matches!(e, Event::Exited(_, ExitStatus::Exited(5)))),
        8
    );
    assert_eq!(marks(&recorder), 8);
}

#[test]
fn clone3_without_a_shared_map_is_a_fork() {
    let scratch = Scratch::new("clone3");
    let clone3 = program(
        &scratch,
        "clone3",
        r"
        int main(void) {
            struct clone_args args = { .exit_signal = SIGCHLD };
            long child = syscall(SYS_clone3, &args, sizeof args);
            touch();
            if (!child) _exit(0);
            args.exit_signal = 12345;
            if (syscall(SYS_clone3, &args, sizeof args) != -1) return 1;
            touch();
            waitpid(child, 0, 0);
            return 0;
        }",
    );
    let (outcome, recorder) = record(&command(&clone3, &[]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(0));
    assert_eq!(recorder.count(|e| matches!(e, Event::Forked(..))), 1);
    assert_eq!(marks(&recorder), 3);
}

#[test]
fn a_spawned_process_shares_until_it_execs() {
    let scratch = Scratch::new("spawn");
    let spawn = program(
        &scratch,
        "spawn",
        r#"
        extern char **environ;
        int main(void) {
            char *argv[] = { "true", 0 };
            pid_t child; int status;
            if (posix_spawn(&child, "/bin/true", 0, 0, argv, environ)) return 1;
            waitpid(child, &status, 0);
            pid_t v = vfork();
            if (!v) { execv("/does/not/exist", argv); _exit(3); }
            waitpid(v, &status, 0);
            return WEXITSTATUS(status);
        }"#,
    );
    let (outcome, recorder) = record(&command(&spawn, &[]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(3));
    assert_eq!(
        recorder.count(|e| matches!(e, Event::Started(_, _, ShareKind::Process))),
        2
    );
    assert_eq!(recorder.count(|e| matches!(e, Event::ExecFailed(_, -2))), 1);
    let execs: Vec<_> = recorder
        .events
        .iter()
        .filter_map(|e| match e {
            Event::Exec(task, old) => Some((task.mm, *old)),
            _ => None,
        })
        .collect();
    assert_eq!(execs.len(), 2);
    assert_eq!(execs[1].1, None, "the parent still uses the old space");
}

#[test]
fn an_exec_by_another_thread_takes_the_leaders_place() {
    let scratch = Scratch::new("exec");
    let exec = program(
        &scratch,
        "exec",
        r#"
        static char **args;
        static void *replace(void *arg) {
            usleep(3000);
            execv(args[0], args);
            abort();
            return arg;
        }
        int main(int argc, char **argv) {
            int left = atoi(argv[1]);
            if (!left) { touch(); return 9; }
            char number[16];
            snprintf(number, sizeof number, "%d", left - 1);
            argv[1] = number; args = argv;
            for (int i = 0; i < 4; i++) start(forever);
            start(replace);
            if (left % 2) forever(0);
            pthread_exit(0);
        }"#,
    );
    let (outcome, recorder) = record(&command(&exec, &["20"]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(9));
    assert_eq!(outcome.processes, 1);
    let execs =
        recorder.count(|e| matches!(e, Event::Exec(task, Some(_)) if task.tid == task.tgid));
    assert_eq!(execs, 20);
    assert_eq!(recorder.count(|e| matches!(e, Event::Ending(..))), 1);
    assert_eq!(recorder.count(|e| matches!(e, Event::Exited(..))), 1);
}

#[test]
fn a_leader_may_leave_first() {
    let scratch = Scratch::new("leader");
    let leader = program(
        &scratch,
        "leader",
        r"
        static void *late(void *arg) { usleep(50000); touch(); exit(4); return arg; }
        int main(void) { start(late); pthread_exit(0); }",
    );
    let (outcome, recorder) = record(&command(&leader, &[]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(4));
    assert_eq!(marks(&recorder), 1);
    assert_eq!(
        recorder.count(|e| matches!(e, Event::Ending(task, _) if task.tid != task.tgid)),
        1
    );
}

#[test]
fn threads_that_die_together_end_their_map_once() {
    let scratch = Scratch::new("together");
    let together = program(
        &scratch,
        "together",
        r"
        int main(void) {
            for (int round = 0; round < 20; round++) {
                pid_t child = fork();
                if (!child) {
                    for (int i = 0; i < 8; i++) start(forever);
                    usleep(2000);
                    _exit(0);
                }
                waitpid(child, 0, 0);
            }
            return 0;
        }",
    );
    let (outcome, recorder) = record(&command(&together, &[]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(0));
    assert_eq!(outcome.processes, 21);
    let ends = recorder.count(|e| matches!(e, Event::Ending(..) | Event::Gone(_)));
    assert_eq!(ends, 21);
}

#[test]
fn a_process_killed_in_the_middle_of_its_calls() {
    let scratch = Scratch::new("kill");
    let kill = program(
        &scratch,
        "kill",
        r"
        static void *forker(void *arg) {
            for (;;) { pid_t c = fork(); if (!c) { touch(); _exit(0); } waitpid(c, 0, 0); }
            return arg;
        }
        int main(void) {
            for (int round = 0; round < 60; round++) {
                pid_t child = fork();
                if (!child) {
                    for (int i = 0; i < 3; i++) start(forever);
                    start(forker);
                    for (;;) pause();
                }
                usleep(500 + 700 * (round % 13));
                kill(child, SIGKILL);
                int status;
                waitpid(child, &status, 0);
                if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return 1;
            }
            touch();
            return 0;
        }",
    );
    let (outcome, recorder) = record(&command(&kill, &[]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(0));
    let killed = ExitStatus::Signaled {
        signal: 9,
        core_dumped: false,
    };
    assert_eq!(
        recorder.count(|e| matches!(e, Event::Exited(_, status) if *status == killed)),
        60
    );
}

#[test]
fn a_daemon_is_followed_after_the_program_has_ended() {
    let scratch = Scratch::new("daemon");
    let daemon = program(
        &scratch,
        "daemon",
        r"
        int main(void) {
            if (fork()) _exit(3);
            setsid();
            if (fork()) _exit(0);
            usleep(150000);
            touch();
            _exit(8);
        }",
    );
    let (outcome, recorder) = record(&command(&daemon, &[]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(3));
    assert_eq!(outcome.processes, 3);
    assert_eq!(marks(&recorder), 1);
    assert!(matches!(
        recorder.events.last(),
        Some(Event::Exited(_, ExitStatus::Exited(8)))
    ));
}

#[test]
fn many_short_lives() {
    let scratch = Scratch::new("lives");
    let lives = program(
        &scratch,
        "lives",
        r"
        static void *nothing(void *arg) { return arg; }
        int main(void) {
            for (int i = 0; i < 1000; i++) {
                pid_t child = i % 3 ? fork() : vfork();
                if (!child) _exit(0);
                pthread_t t;
                pthread_create(&t, 0, nothing, 0);
                pthread_join(t, 0);
                waitpid(child, 0, 0);
            }
            return 0;
        }",
    );
    let (outcome, recorder) = record(&command(&lives, &[]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(0));
    assert_eq!((outcome.processes, outcome.threads), (1001, 2001));
    assert_eq!(recorder.count(|e| matches!(e, Event::Forked(..))), 666);
}

#[test]
fn a_shell_with_pipes_and_subshells() {
    let script = "(for i in 1 2 3; do echo $i; done) | while read x; do (exit $x); done; exit 6";
    let (outcome, recorder) = record(&Command::new("sh").args(["-c", script]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(6));
    assert_eq!(recorder.count(|e| matches!(e, Event::Forked(..))), 5);
}
