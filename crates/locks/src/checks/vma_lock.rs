//! The reference count and the sequence numbers of a VMA lock.

use super::{Model, Parked};
use crate::cancel::Cancel;
use crate::scheme::Counted;
use crate::sequence::{Known, MmSeq};
use crate::vma_lock::Visit;
use std::sync::Arc;
use vmaple_sync::atomic::{AtomicU32, Ordering};
use vmaple_sync::model::{self, Preemptions};
use vmaple_sync::names::{Name, named};
use vmaple_sync::wait::{Spin, Wait};

/// Reads once, if that needs no waiting; says what was read.
fn read<W: Wait>(model: &Model) -> Option<u32> {
    let lock = &model.lock;
    let hold = lock.start_read::<Counted, W>(&model.seq, Visit::Wanted, || model.is_in(1));
    let hold = hold.ok()?;
    let value = model.data.get();
    lock.end_read::<Counted, W>(hold);
    Some(value)
}

/// Writes in a section of its own.
fn write<W: Wait>(model: &Model, value: u32) {
    model::i_am("writer");
    let section = model.seq.begin();
    let locked = model.lock.start_write::<Counted, W>(section, None);
    assert!(locked.is_ok(), "nobody cancels");
    model.data.set(value);
    model.seq.end();
}

#[test]
fn attach_then_read() {
    model::check(|| {
        let model = Arc::new(Model::detached());
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || read::<Spin>(&model))
        };
        model::i_am("writer");
        // The section is open already: its begin must not be what publishes the VMA.
        let section = model.seq.begin();
        model.data.set(2);
        model.owner.store(1, Ordering::Relaxed);
        model.lock.attach(section);
        model.seq.end();
        let seen = reader.join().expect("no anomaly");
        assert!(seen.is_none_or(|value| value == 2));
    });
}

/// A VMA is attached as write-locked: until its section ends nobody reads it.
#[test]
fn a_new_vma_is_write_locked() {
    model::check(|| {
        let model = Arc::new(Model::detached());
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || read::<Spin>(&model))
        };
        model::i_am("writer");
        model.owner.store(1, Ordering::Relaxed);
        model.lock.attach(model.seq.begin());
        model.data.set(2);
        model.seq.end();
        let seen = reader.join().expect("no anomaly");
        assert!(seen.is_none_or(|value| value == 2));
    });
}

/// A walk that has read the number of the address space once takes a VMA for unlocked without
/// reading it again: if that is right, it sees what was written there.
#[test]
fn what_is_known_to_be_over_is_seen() {
    model::check_with(Preemptions::AtMost(7), || {
        let model = Model::attached();
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || {
                let known = Known::default();
                known.read(&model.seq);
                let visit = Visit::Passing(&known);
                let lock = &model.lock;
                let hold = lock.start_read::<Counted, Spin>(&model.seq, visit, || model.is_in(1));
                let hold = hold.ok()?;
                let value = model.data.get();
                lock.end_read::<Counted, Spin>(hold);
                Some(value)
            })
        };
        write::<Spin>(&model, 2);
        write::<Spin>(&model, 3);
        let seen = reader.join().expect("no anomaly");
        assert!(seen.is_none_or(|value| value <= 3));
    });
}

#[test]
fn writer_excludes_readers() {
    model::check(|| {
        let model = Model::attached();
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || {
                read::<Spin>(&model);
                read::<Spin>(&model)
            })
        };
        write::<Spin>(&model, 2);
        let seen = reader.join().expect("no anomaly");
        assert!(seen.is_none_or(|value| value == 1 || value == 2));
        assert_eq!(read::<Spin>(&model), Some(2), "nobody writes");
        assert_eq!(model.lock.refcnt_value(), 1);
    });
}

#[test]
fn the_end_of_a_section_publishes() {
    model::check(|| {
        let model = Model::attached();
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || read::<Spin>(&model))
        };
        write::<Spin>(&model, 2);
        reader.join().expect("no anomaly");
    });
}

/// Two sections in a row: the number of the second tells the reader that the first is over, and
/// must come with what was written in it. (A relaxed store of it did not, which loom found.)
#[test]
fn a_later_section_publishes_too() {
    model::check_with(Preemptions::AtMost(7), || {
        let model = Model::attached();
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || read::<Spin>(&model))
        };
        write::<Spin>(&model, 2);
        write::<Spin>(&model, 3);
        assert!(
            reader
                .join()
                .expect("no anomaly")
                .is_none_or(|value| value <= 3)
        );
    });
}

#[test]
fn no_wake_up_is_lost() {
    model::check_with(Preemptions::AtMost(3), || {
        let model = Model::attached();
        let readers = [(); 2].map(|()| {
            let model = Arc::clone(&model);
            model::spawn("reader", move || read::<Parked>(&model))
        });
        write::<Parked>(&model, 2);
        for reader in readers {
            reader.join().expect("no anomaly");
        }
    });
}

/// Thread 004, bug 46: the reader that was there when the attachment was dropped must be gone
/// before the object is anybody else's.
#[test]
fn detach_waits_for_transient_readers() {
    model::check(|| {
        let model = Model::attached();
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || read::<Spin>(&model))
        };
        model::i_am("writer");
        let section = model.seq.begin();
        let locked = model.lock.start_write::<Counted, Spin>(section, None);
        assert!(locked.is_ok(), "nobody cancels");
        model.lock.detach::<Spin>(section);
        assert_eq!(model.lock.refcnt_value(), 0, "somebody still counts");
        model.data.set(2);
        model.seq.end();
        reader.join().expect("no anomaly");
        assert_eq!(model.lock.refcnt_value(), 0);
    });
}

/// Bugs 45 and 47: the object goes to another address space, whose writer changes it, while a
/// reader of the first comes with an old pointer.
#[test]
fn an_object_used_again_elsewhere() {
    model::check(|| {
        let model = Model::attached();
        let other = MmSeq::new();
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || read::<Spin>(&model))
        };
        model::i_am("writer");
        let section = model.seq.begin();
        let locked = model.lock.start_write::<Counted, Spin>(section, None);
        assert!(locked.is_ok(), "nobody cancels");
        model.lock.detach::<Spin>(section);
        model.seq.end();
        model::say("the object is given to another address space");
        model.owner.store(2, Ordering::Relaxed);
        model.lock.attach(other.begin());
        model.data.set(2);
        other.end();
        let seen = reader.join().expect("no anomaly");
        assert!(seen.is_none_or(|value| value == 1), "read another's VMA");
        assert_eq!(model.lock.refcnt_value(), 1);
    });
}

/// Bug 50.
#[test]
fn a_cancelled_writer_leaves_no_flag() {
    model::check_with(Preemptions::AtMost(8), || {
        let model = Model::attached();
        let cancel: Arc<Cancel<Parked>> = Arc::new(Cancel::with_wait());
        let hold = model
            .lock
            .start_read::<Counted, Parked>(&model.seq, Visit::Wanted, || model.is_in(1));
        let hold = hold.expect("nobody writes");
        let writer = {
            let (model, cancel) = (Arc::clone(&model), Arc::clone(&cancel));
            model::spawn("writer", move || {
                let section = model.seq.begin();
                let locked = model
                    .lock
                    .start_write::<Counted, Parked>(section, Some(&cancel));
                model.seq.end();
                locked
            })
        };
        model::i_am("reader");
        cancel.cancel();
        // Not given back before the writer is: only the cancel can have ended its wait.
        assert!(writer.join().expect("no anomaly").is_err());
        assert_eq!(read::<Parked>(&model), Some(1), "readers get in again");
        model.lock.end_read::<Counted, Parked>(hold);
        assert_eq!(model.lock.refcnt_value(), 1);
    });
}

static HALF: Name = Name::new("half");

/// What is read without any lock is true if no section was open meanwhile, in plain words of the
/// weakest order too.
#[test]
fn speculation_sees_no_mix() {
    model::check(|| {
        let seq = Arc::new(MmSeq::new());
        let pair = Arc::new([(); 2].map(|()| named(&HALF, AtomicU32::new(0))));
        let reader = {
            let (seq, pair) = (Arc::clone(&seq), Arc::clone(&pair));
            model::spawn("reader", move || {
                let snapshot = seq.snapshot()?;
                let seen = [0, 1].map(|i: usize| pair[i].load(Ordering::Relaxed));
                seq.is_unchanged(snapshot).then_some(seen)
            })
        };
        model::i_am("writer");
        seq.begin();
        for word in &*pair {
            word.store(1, Ordering::Relaxed);
        }
        seq.end();
        if let Some([left, right]) = reader.join().expect("no anomaly") {
            assert_eq!(left, right, "half of a section");
        }
    });
}
