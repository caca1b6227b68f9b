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
