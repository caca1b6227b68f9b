//! The reader/writer lock and its line.

use super::{Data, Parked};
use crate::cancel::Cancel;
use crate::raw_lock::{Mode, RawLock};
use std::sync::Arc;
use vmaple_sync::model::{self, Preemptions};
use vmaple_sync::wait::{Spin, Wait};

struct Model<W: Wait> {
    lock: RawLock<W>,
    data: Data,
}

impl<W: Wait> Model<W> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            lock: RawLock::new(),
            data: Data::new(1),
        })
    }

    fn read(&self) -> u32 {
        assert!(self.lock.lock(Mode::Read, None).is_ok());
        let value = self.data.get();
        self.lock.unlock(Mode::Read);
        value
    }

    fn write(&self, value: u32) {
        assert!(self.lock.lock(Mode::Write, None).is_ok());
        self.data.set(value);
        self.lock.unlock(Mode::Write);
    }
}

/// Two threads that only try: the fast ways in and out.
#[test]
fn mmap_lock_excludes() {
    model::check(|| {
        let model = Model::<Spin>::new();
        let other = {
            let model = Arc::clone(&model);
            model::spawn("other", move || {
                if model.lock.try_lock(Mode::Write) {
                    model.data.set(2);
                    model.lock.unlock(Mode::Write);
                }
            })
        };
        for mode in [Mode::Read, Mode::Write] {
            if model.lock.try_lock(mode) {
                match mode {
                    Mode::Read => assert!(model.data.get() <= 2),
                    Mode::Write => model.data.set(3),
                }
                model.lock.unlock(mode);
            }
        }
        other.join().expect("no anomaly");
    });
}

/// A reader and a writer that wait for each other: the line, and who is granted what.
#[test]
fn mmap_lock_hands_over() {
    model::check_with(Preemptions::AtMost(8), || {
        let model = Model::<Parked>::new();
        let writer = {
            let model = Arc::clone(&model);
            model::spawn("writer", move || model.write(2))
        };
        assert!(model.read() <= 2);
        writer.join().expect("no anomaly");
        assert_eq!(model.read(), 2);
        assert_eq!(model.lock.held_as(), None);
    });
}

/// Two writers and a reader.
#[test]
fn three_in_line() {
    model::check_with(Preemptions::Exactly(2), || {
        let model = Model::<Spin>::new();
        let writers = [2, 3].map(|value| {
            let model = Arc::clone(&model);
            model::spawn("writer", move || model.write(value))
        });
        assert!(model.read() <= 3);
        for writer in writers {
            writer.join().expect("no anomaly");
        }
        assert_eq!(model.lock.held_as(), None);
    });
}

/// One who waits for a writer's end is told of it, and nobody waits for it: a second writer comes
/// and goes meanwhile.
#[test]
fn passing_a_writer_stops_nobody() {
    model::check_with(Preemptions::Exactly(2), || {
        let model = Model::<Parked>::new();
        assert!(model.lock.try_lock(Mode::Write));
        let passer = {
            let model = Arc::clone(&model);
            model::spawn("passer", move || model.lock.pass_writer(None))
        };
        model.data.set(2);
        model.lock.unlock(Mode::Write);
        model.write(3);
        assert!(passer.join().expect("no anomaly").is_ok());
        assert_eq!(model.lock.held_as(), None);
        assert!(model.lock.try_lock(Mode::Write), "nothing is left in line");
        model.lock.unlock(Mode::Write);
    });
}

#[test]
fn downgrade_publishes() {
    model::check(|| {
        let model = Model::<Spin>::new();
        assert!(model.lock.try_lock(Mode::Write));
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || model.read())
        };
        model.data.set(2);
        model.lock.downgrade();
        assert_eq!(model.data.get(), 2, "still held for reading");
        // The reader gets in while this thread holds it, too.
        assert_eq!(reader.join().expect("no anomaly"), 2);
        model.lock.unlock(Mode::Read);
        assert_eq!(model.lock.held_as(), None);
    });
}

/// A writer that gives up lets the reader behind it pass, who need not wait for the one before.
#[test]
fn a_cancelled_writer_leaves_the_line() {
    model::check_with(Preemptions::Exactly(2), || {
        let model = Model::<Parked>::new();
        let cancel: Arc<Cancel<Parked>> = Arc::new(Cancel::with_wait());
        assert!(model.lock.try_lock(Mode::Read));
        let writer = {
            let (model, cancel) = (Arc::clone(&model), Arc::clone(&cancel));
            model::spawn("writer", move || {
                model.lock.lock(Mode::Write, Some(&cancel))
            })
        };
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || model.read())
        };
        cancel.cancel();
        assert_eq!(reader.join().expect("no anomaly"), 1);
        assert!(
            writer.join().expect("no anomaly").is_err(),
            "this thread reads"
        );
        model.lock.unlock(Mode::Read);
        assert_eq!(model.lock.held_as(), None);
    });
}
