//! Memory calls come one at a time in each address space, each with its entry and exit.

mod tracer_support;

use tracer_support::{Event, Scratch, command, record};
use vmaple_linux::arch::nr;
use vmaple_linux::tracer::ExitStatus;

const HAMMER: &str = r"
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
static int rounds;
static void *hammer(void *arg) {
    for (int i = 0; i < rounds; i++) {
        void *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) abort();
        *(char *)p = 1;
        if (munmap(p, 4096)) abort();
    }
    return arg;
}
int main(int argc, char **argv) {
    int threads = atoi(argv[1]);
    rounds = atoi(argv[2]);
    pthread_t t[64];
    for (int i = 0; i < threads; i++) if (pthread_create(&t[i], 0, hammer, 0)) abort();
    for (int i = 0; i < threads; i++) pthread_join(t[i], 0);
    return 7;
}";

#[test]
fn threads_take_turns() {
    let scratch = Scratch::new("hammer");
    let program = scratch.compile("hammer", HAMMER);
    let (outcome, recorder) = record(&command(&program, &["8", "500"]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(7));
    assert_eq!((outcome.processes, outcome.threads), (1, 9));
    assert!(
        recorder
            .exits(nr::MUNMAP)
            .filter(|(_, call, ret)| call.args[1] == 4096 && *ret == 0)
            .count()
            >= 4000
    );
    let makers: std::collections::HashSet<_> = recorder
        .exits(nr::MMAP)
        .map(|(task, ..)| task.tid)
        .collect();
    assert_eq!(makers.len(), 9);
    assert_eq!(
        recorder.count(|event| matches!(event, Event::Overlapped(..))),
        0
    );
}

/// Exits with 77 where the kernel has no userfaultfd for us.
const SERVED: &str = r"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
static int fd;
static void *serve(void *arg) {
    struct uffd_msg message;
    if (read(fd, &message, sizeof message) != sizeof message) abort();
    /* The populating call is under way, and this one must get through beside it. */
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = 42;
    struct uffdio_copy copy = { .dst = message.arg.pagefault.address & -4096L, .src = (long)page, .len = 4096 };
    if (ioctl(fd, UFFDIO_COPY, &copy)) abort();
    return arg;
}
int main(void) {
    fd = syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = { .api = UFFD_API };
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) return 77;
    char *area = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = { .range = { (long)area, 4096 }, .mode = UFFDIO_REGISTER_MODE_MISSING };
    if (ioctl(fd, UFFDIO_REGISTER, &range)) return 77;
    pthread_t t;
    pthread_create(&t, 0, serve, 0);
    if (madvise(area, 4096, 23 /* MADV_POPULATE_WRITE */)) return 1;
    pthread_join(t, 0);
    return area[0] == 42 ? 0 : 2;
}";

#[test]
fn a_call_that_waits_for_another_thread_is_overlapped() {
    let scratch = Scratch::new("served");
    let program = scratch.compile("served", SERVED);
    let (outcome, recorder) = record(&command(&program, &[]));
    if outcome.root_status == ExitStatus::Exited(77) {
        eprintln!("no userfaultfd here: nothing checked");
        return;
    }
    assert_eq!(outcome.root_status, ExitStatus::Exited(0));
    let blocked =
        |event: &Event| matches!(event, Event::Overlapped(_, call) if call.nr == nr::MADVISE);
    assert_eq!(recorder.count(blocked), 1);
    assert!(
        recorder.ticks >= 5,
        "it takes as many ticks to lose patience"
    );
    assert_eq!(
        recorder.exits(nr::IOCTL).count(),
        1,
        "the registration, and nothing else"
    );
    let at = recorder
        .events
        .iter()
        .position(blocked)
        .expect("the overlap");
    let later = &recorder.events[at..];
    let exit_of = |which| {
        later
            .iter()
            .position(|event| matches!(event, Event::Exit(_, call, _) if call.nr == which))
    };
    assert!(exit_of(nr::MMAP) < exit_of(nr::MADVISE));
}

const FOREIGN: &str = r#"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    long pid;
    syscall(-1);
    for (int i = 0; i < 3; i++) __asm__ volatile("int $0x80" : "=a"(pid) : "0"(20) : "memory");
    return pid == getpid() ? 0 : 1;
}"#;

#[test]
fn calls_by_another_table_are_noticed_once() {
    let scratch = Scratch::new("foreign");
    let program = scratch.compile("foreign", FOREIGN);
    let (outcome, recorder) = record(&command(&program, &[]));
    if outcome.root_status != ExitStatus::Exited(0) {
        eprintln!(
            "no 32-bit calls here ({:?}): nothing checked",
            outcome.root_status
        );
        return;
    }
    assert_eq!(
        recorder.count(|event| matches!(event, Event::Foreign(_))),
        1
    );
}

#[test]
fn only_the_calls_that_matter_stop_the_program() {
    let scratch = Scratch::new("matter");
    let program = scratch.compile(
        "matter",
        "#include <sys/mman.h>\n#include <sys/prctl.h>\n#include <unistd.h>\n\
         int main(void) {\n\
         char *p = mmap(0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);\n\
         prctl(PR_SET_NAME, \"x\"); prctl(0x53564d41, 0, p, 4096, \"name\");\n\
         for (int i = 0; i < 100; i++) getppid();\n\
         return mprotect(p, 4096, PROT_NONE); }",
    );
    let (outcome, recorder) = record(&command(&program, &[]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(0));
    assert_eq!(recorder.exits(nr::PRCTL).count(), 1);
    let last = recorder.exits(nr::MPROTECT).last().expect("the last call");
    assert_eq!((last.1.args[1], last.1.args[2], last.2), (4096, 0, 0));
}
