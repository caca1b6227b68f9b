//! The threads of a load: starts them, ends them, and adds up what they bring home.

use super::outcome::{Share, Sum, Watch};
use super::place::{self, Role};
use super::{Load, Locking, Outcome, StressError};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

/// When the load is over.
pub(super) struct End(AtomicBool);

impl End {
    pub(super) fn is_near(&self) -> bool {
        // Relaxed: asked again and again; nothing else is passed on by it.
        self.0.load(Ordering::Relaxed)
    }

    fn come(&self) {
        // Relaxed: as above.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the three kinds of threads do until the end. Each call works in a thread of its
/// own; the number says which of its kind it is.
pub(super) trait Crew: Sync {
    fn map(&self, me: usize, end: &End) -> Result<Watch, StressError>;
    fn fault(&self, me: usize, end: &End) -> Result<Watch, StressError>;
    fn read(&self, me: usize, end: &End) -> Result<Share, StressError>;
}

type Handle<'s> = ScopedJoinHandle<'s, Result<Share, StressError>>;

/// Makes the load.
pub(super) fn run(crew: &impl Crew, locking: Locking, load: &Load) -> Result<Outcome, StressError> {
    let end = End(AtomicBool::new(false));
    let busy = usize::from(load.preempted && load.readers > 0);
    let start = Barrier::new(load.mappers + load.faulters + load.readers + busy + 1);
    thread::scope(|scope| {
        let (start, end) = (&start, &end);
        let spawn = |role, work: Box<dyn FnOnce() -> Result<Share, StressError> + Send>| {
            scope.spawn(move || {
                let placed = place::take(role, load);
                start.wait();
                placed.and_then(|()| work())
            })
        };
        let mappers: Vec<Handle<'_>> = (0..load.mappers)
            .map(|me| {
                spawn(
                    Role::Worker,
                    Box::new(move || Ok(Share::of(crew.map(me, end)?))),
                )
            })
            .collect();
        let faulters: Vec<Handle<'_>> = (0..load.faulters)
            .map(|me| {
                spawn(
                    Role::Worker,
                    Box::new(move || Ok(Share::of(crew.fault(me, end)?))),
                )
            })
            .collect();
        let readers: Vec<Handle<'_>> = (0..load.readers)
            .map(|me| spawn(Role::Reader, Box::new(move || crew.read(me, end))))
            .collect();
        for _ in 0..busy {
            let _busy = spawn(
                Role::Busy,
                Box::new(|| {
                    place::be_busy(end);
                    Ok(Share::of(Watch::new()))
                }),
            );
        }
        start.wait();
        let since = Instant::now();
        thread::sleep(load.duration);
        end.come();
        let over = since.elapsed();
        let (calls, faults, reads) = (sum(mappers)?, sum(faulters)?, sum(readers)?);
        Ok(Outcome {
            locking,
            load: *load,
            calls: calls
                .latency(over)
                .unwrap_or_else(|| Watch::new().latency(over)),
            faults: faults.latency(over),
            reads: reads.latency(over),
            lines_per_second: reads.nr_lines as f64 / over.as_secs_f64(),
            violations: reads.violations,
        })
    })
}

fn sum(handles: Vec<Handle<'_>>) -> Result<Sum, StressError> {
    let mut sum = Sum::default();
    for handle in handles {
        let share = handle.join().map_err(|_| StressError::Panicked)??;
        sum.add(&share);
    }
    Ok(sum)
}
