//! Readers that leave marks beside writers that look for them.

use super::{Model, Parked};
use crate::scheme::Biased;
use crate::vma_lock::{Hold, Visit};
use std::sync::Arc;
use vmaple_sync::model::{self, Preemptions};
use vmaple_sync::wait::{Spin, Wait};

fn read<W: Wait>(model: &Model) -> Option<u32> {
    let lock = &model.lock;
    let hold = lock.start_read::<Biased, W>(&model.seq, Visit::Wanted, || model.is_in(1));
    let hold = hold.ok()?;
    let value = model.data.get();
    lock.end_read::<Biased, W>(hold);
    Some(value)
}

fn write<W: Wait>(model: &Model, value: u32) {
    model::i_am("writer");
    let section = model.seq.begin();
    let locked = model.lock.start_write::<Biased, W>(section, None);
    assert!(locked.is_ok(), "nobody cancels");
    model.data.set(value);
    model.seq.end();
}

/// Attached, unlocked, biased.
fn biased() -> Arc<Model> {
    let model = Model::attached();
    assert_eq!(
        read::<Spin>(&model),
        Some(1),
        "by the count, which sets the bias"
    );
    model
}

#[test]
fn the_second_read_leaves_a_mark() {
    model::check(|| {
        let model = biased();
        let hold = model
            .lock
            .start_read::<Biased, Spin>(&model.seq, Visit::Wanted, || model.is_in(1))
            .expect("nobody writes");
        assert!(matches!(hold, Hold::Spot(_)));
        assert_eq!(model.lock.refcnt_value(), 1, "not counted");
        model.lock.end_read::<Biased, Spin>(hold);
    });
}

/// Three preemptions: in after the mark, past the writer's fence, and out before the wake-up.
#[test]
fn biased_reader_then_writer() {
    model::check_with(Preemptions::Exactly(3), || {
        let model = biased();
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || read::<Spin>(&model))
        };
        write::<Spin>(&model, 2);
        let seen = reader.join().expect("no anomaly");
        assert!(seen.is_none_or(|value| value == 1 || value == 2));
    });
}

#[test]
fn bias_passes_on_what_was_written() {
    model::check_with(Preemptions::AtMost(3), || {
        let model = Model::attached();
        let readers = [(); 2].map(|()| {
            let model = Arc::clone(&model);
            model::spawn("reader", move || read::<Spin>(&model))
        });
        write::<Spin>(&model, 2);
        for reader in readers {
            reader.join().expect("no anomaly");
        }
    });
}

/// A spot that holds another lock by now: its first section is over for the writer.
#[test]
fn a_spot_used_again() {
    model::check_with(Preemptions::AtMost(8), || {
        let (model, next) = (biased(), biased());
        let reader = {
            let (model, next) = (Arc::clone(&model), Arc::clone(&next));
            model::spawn("reader", move || {
                read::<Spin>(&model);
                let hold = next
                    .lock
                    .start_read::<Biased, Spin>(&next.seq, Visit::Wanted, || next.is_in(1));
                let hold = hold.expect("nobody writes it");
                next.lock.end_read::<Biased, Spin>(hold);
            })
        };
        write::<Spin>(&model, 2);
        reader.join().expect("no anomaly");
    });
}

#[test]
fn no_wake_up_is_lost() {
    model::check(|| {
        let model = biased();
        let reader = {
            let model = Arc::clone(&model);
            model::spawn("reader", move || read::<Parked>(&model))
        };
        write::<Parked>(&model, 2);
        reader.join().expect("no anomaly");
    });
}
