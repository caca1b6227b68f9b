//! The reclamation rows: what a read section costs, and a swap that retires the old object, for
//! this project's RCU and for the crates it was chosen over.
//!
//! # Safety
//!
//! Every retired pointer was just swapped out of the one place that held it.
#![expect(unsafe_code, reason = "the peers' retire functions are unsafe")]

use crate::report::{Report, timed};
use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Runs every row.
pub(crate) fn run(report: &mut Report) {
    let ops = if report.is_short() {
        100_000
    } else {
        20_000_000
    };
    sections(report, ops);
    retires(report, ops / 10);
}

/// Times `ops` calls.
fn repeat(report: &mut Report, name: &str, ops: u64, mut call: impl FnMut()) {
    report.row(name, None, || {
        timed(ops, || {
            for _ in 0..ops {
                call();
            }
            0
        })
    });
}

fn sections(report: &mut Report, ops: u64) {
    repeat(report, "rcu:enter+leave/vmaple-rcu", ops, || {
        drop(black_box(vmaple_rcu::read()));
    });
    let outer = vmaple_rcu::read();
    repeat(report, "rcu:nested/vmaple-rcu", ops, || {
        drop(black_box(vmaple_rcu::read()));
    });
    drop(outer);
    repeat(report, "rcu:enter+leave/crossbeam-epoch", ops, || {
        drop(black_box(crossbeam_epoch::pin()));
    });
    let outer = crossbeam_epoch::pin();
    repeat(report, "rcu:nested/crossbeam-epoch", ops, || {
        drop(black_box(crossbeam_epoch::pin()));
    });
    drop(outer);
    let collector = seize::Collector::new();
    repeat(report, "rcu:enter+leave/seize", ops, || {
        drop(black_box(collector.enter()));
    });
    repeat(report, "rcu:enter+leave/kovan", ops, || {
        drop(black_box(kovan::pin()));
    });
}

fn retires(report: &mut Report, ops: u64) {
    let place = AtomicPtr::new(Box::into_raw(Box::new(0_u64)));
    let swap = || {
        let new = Box::into_raw(Box::new(1_u64));
        // AcqRel: the old object was written by an earlier call, the new one by this.
        place.swap(new, Ordering::AcqRel)
    };
    repeat(report, "rcu:swap+retire/vmaple-rcu", ops, || {
        // SAFETY: Just swapped out: this is the only owner.
        vmaple_rcu::defer_drop(unsafe { Box::from_raw(swap()) });
    });
    let atomic = crossbeam_epoch::Atomic::new(0_u64);
    repeat(report, "rcu:swap+retire/crossbeam-epoch", ops, || {
        let guard = crossbeam_epoch::pin();
        let new = crossbeam_epoch::Owned::new(1);
        // AcqRel: as in `swap`.
        let old = atomic.swap(new, Ordering::AcqRel, &guard);
        // SAFETY: Just swapped out: nobody else frees it.
        unsafe { guard.defer_destroy(old) };
    });
    let collector = seize::Collector::new();
    repeat(report, "rcu:swap+retire/seize", ops, || {
        // SAFETY: Just swapped out of the one place, allocated by `Box`.
        unsafe { collector.retire(swap(), seize::reclaim::boxed) };
    });
    let atom = kovan::Atom::new(0_u64);
    repeat(report, "rcu:swap+retire/kovan", ops, || {
        drop(black_box(atom.swap(1)));
    });
    // SAFETY: The last object is still in place, and every reader is gone.
    drop(unsafe { Box::from_raw(place.into_inner()) });
}
