//! The reclamation rows: what a read section costs, and a swap that retires the old object, for
//! this project's RCU and for the crates it was chosen over.
//!
//! # Safety
//!
//! Every retired pointer was just swapped out of the one place that held it.
#![expect(unsafe_code, reason = "the peers' retire functions are unsafe")]

use crate::meter::{Meter, Sample};
use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, Ordering};

const CRATES: &[&str] = &["vmaple-rcu", "crossbeam-epoch", "seize", "kovan"];

/// The rows, and the crates that take part in each.
pub(crate) fn rows() -> Vec<(String, Vec<&'static str>)> {
    ["rcu:enter+leave", "rcu:nested", "rcu:swap+retire"]
        .map(|row| (row.to_owned(), CRATES.to_vec()))
        .to_vec()
}

/// Measures a row for a crate; None: there is no such row.
pub(crate) fn run(side: &str, row: &str, is_short: bool) -> Option<Sample> {
    let ops = if is_short { 100_000 } else { 20_000_000 };
    let kind = row.strip_prefix("rcu:")?;
    let mut meter = Meter::new();
    match kind {
        "enter+leave" => sections(side, &mut meter, ops)?,
        "nested" => nested(side, &mut meter, ops)?,
        "swap+retire" => retires(side, &mut meter, ops)?,
        _ => return None,
    }
    Some(meter.sample(row, ops, 0, String::new()))
}

/// Measures `ops` calls.
fn repeat(meter: &mut Meter, ops: u64, mut call: impl FnMut()) {
    meter.run(|| {
        for _ in 0..ops {
            call();
        }
    });
}

fn sections(side: &str, meter: &mut Meter, ops: u64) -> Option<()> {
    let collector = seize::Collector::new();
    match side {
        "vmaple-rcu" => repeat(meter, ops, || drop(black_box(vmaple_rcu::read()))),
        "crossbeam-epoch" => repeat(meter, ops, || drop(black_box(crossbeam_epoch::pin()))),
        "seize" => repeat(meter, ops, || drop(black_box(collector.enter()))),
        "kovan" => repeat(meter, ops, || drop(black_box(kovan::pin()))),
        _ => return None,
    }
    Some(())
}

/// The same inside an outer section.
fn nested(side: &str, meter: &mut Meter, ops: u64) -> Option<()> {
    let collector = seize::Collector::new();
    let _outer = (
        vmaple_rcu::read(),
        crossbeam_epoch::pin(),
        collector.enter(),
        kovan::pin(),
    );
    match side {
        "vmaple-rcu" => repeat(meter, ops, || drop(black_box(vmaple_rcu::read()))),
        "crossbeam-epoch" => repeat(meter, ops, || drop(black_box(crossbeam_epoch::pin()))),
        "seize" => repeat(meter, ops, || drop(black_box(collector.enter()))),
        "kovan" => repeat(meter, ops, || drop(black_box(kovan::pin()))),
        _ => return None,
    }
    Some(())
}

fn retires(side: &str, meter: &mut Meter, ops: u64) -> Option<()> {
    let place = AtomicPtr::new(Box::into_raw(Box::new(0_u64)));
    let swap = || {
        let new = Box::into_raw(Box::new(1_u64));
        // AcqRel: the old object was written by an earlier call, the new one by this.
        place.swap(new, Ordering::AcqRel)
    };
    let collector = seize::Collector::new();
    let atomic = crossbeam_epoch::Atomic::new(0_u64);
    let atom = kovan::Atom::new(0_u64);
    let swap_epoch = || {
        let guard = crossbeam_epoch::pin();
        let new = crossbeam_epoch::Owned::new(1);
        // AcqRel: as in `swap`.
        let old = atomic.swap(new, Ordering::AcqRel, &guard);
        // SAFETY: Just swapped out: nobody else frees it.
        unsafe { guard.defer_destroy(old) };
    };
    match side {
        "vmaple-rcu" => repeat(meter, ops, || {
            // SAFETY: Just swapped out: this is the only owner.
            vmaple_rcu::defer_drop(unsafe { Box::from_raw(swap()) });
        }),
        "crossbeam-epoch" => repeat(meter, ops, swap_epoch),
        "seize" => repeat(meter, ops, || {
            // SAFETY: Just swapped out of the one place, allocated by `Box`.
            unsafe { collector.retire(swap(), seize::reclaim::boxed) };
        }),
        "kovan" => repeat(meter, ops, || drop(black_box(atom.swap(1)))),
        _ => return None,
    }
    // SAFETY: The last object is still in place, and every reader is gone.
    drop(unsafe { Box::from_raw(place.into_inner()) });
    Some(())
}
