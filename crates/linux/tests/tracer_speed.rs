//! What a stop costs. For a measurement run with `--release -- --nocapture`.

mod tracer_support;

use std::time::Instant;
use tracer_support::{Scratch, command};
use vmaple_linux::tracer::{
    self, Decision, ExitStatus, ForkKind, MmId, Observer, Options, RawCall, Stopped, Task, Verdict,
};

/// As many as make half a second in a debug build, 200 000 in a release build.
const PAIRS: u64 = if cfg!(debug_assertions) {
    10_000
} else {
    200_000
};

const LOOP: &str = r"
#include <stdlib.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    for (long i = 0; i < atol(argv[1]); i++) {
        void *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED || munmap(p, 4096)) return 1;
    }
    return 0;
}";

#[derive(Default)]
struct Counter {
    calls: u64,
}

impl Observer for Counter {
    fn exec(&mut self, _: &mut Stopped<'_>, _: Option<MmId>) -> Decision {
        Ok(Verdict::Continue)
    }
    fn call_entry(&mut self, _: &mut Stopped<'_>, _: &RawCall) -> Decision {
        Ok(Verdict::Continue)
    }
    fn call_exit(&mut self, _: &mut Stopped<'_>, _: &RawCall, _: i64) -> Decision {
        self.calls += 1;
        Ok(Verdict::Continue)
    }
    fn forked(&mut self, _: &mut Stopped<'_>, _: Task, _: ForkKind) -> Decision {
        Ok(Verdict::Continue)
    }
}

#[test]
fn calls_per_second() {
    let scratch = Scratch::new("speed");
    let program = scratch.compile("loop", LOOP);
    let mut counter = Counter::default();
    let start = Instant::now();
    let pairs = PAIRS.to_string();
    let outcome = tracer::run(
        &command(&program, &[&pairs]),
        &Options::default(),
        &mut counter,
    )
    .expect("a run");
    let took = start.elapsed();
    assert_eq!(outcome.root_status, ExitStatus::Exited(0));
    assert!(counter.calls >= 2 * PAIRS);
    let rate = counter.calls as f64 / took.as_secs_f64();
    assert!(
        rate > 500.0,
        "{rate:.0} calls/s: a wait must sleep through its ticks"
    );
    println!("{} calls in {took:.2?}: {rate:.0} calls/s", counter.calls);
}
