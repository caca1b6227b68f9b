//! The reclamation protocol under loom. Run with
//! `RUSTFLAGS="--cfg loom" cargo test --release --test loom`.
#![cfg(loom)]
#![expect(
    unsafe_code,
    reason = "follows a pointer that the protocol keeps alive"
)]

use loom::sync::Arc;
use vmaple_rcu::{Domain, GracePeriod};
use vmaple_sync::atomic::{AtomicPtr, Ordering};
use vmaple_sync::cell::UnsafeCell;
use vmaple_sync::model::{self, Preemptions};

/// An object whose free is a write that loom sees.
struct Object(UnsafeCell<u64>);

// SAFETY: What the tests check is that the write in `free` comes after every read.
unsafe impl Sync for Object {}
// SAFETY: As above.
unsafe impl Send for Object {}

impl Object {
    fn new(value: u64) -> *mut Self {
        Box::into_raw(Box::new(Self(UnsafeCell::new(value))))
    }

    fn read(&self) -> u64 {
        // SAFETY: Loom reports a race with `free`.
        self.0.with(|value| unsafe { *value })
    }

    fn free(&self) {
        // SAFETY: Loom reports a race with `read`.
        self.0.with_mut(|value| unsafe { *value = 0 });
    }
}

struct Shared {
    domain: Domain,
    current: AtomicPtr<Object>,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            domain: Domain::new(),
            current: AtomicPtr::new(Object::new(1)),
        })
    }

    fn current(&self) -> &Object {
        // Acquire: pairs with the Release in `replace`.
        // SAFETY: Objects are not deallocated before the model's end, only marked as freed.
        unsafe { &*self.current.load(Ordering::Acquire) }
    }

    /// Unlinks the current object and frees it if its grace period has elapsed.
    fn replace(&self, value: u64) -> bool {
        self.replace_if(value, Domain::has_elapsed)
    }

    /// The same without asking readers that do not show it.
    fn replace_unfenced(&self, value: u64) -> bool {
        self.replace_if(value, |domain, period| {
            domain.has_visibly_elapsed(period, None)
        })
    }

    fn replace_if(&self, value: u64, ask: impl Fn(&Domain, GracePeriod) -> bool) -> bool {
        // Acquire/Release: the next reader sees the new object, and we the old one.
        let old = self.current.swap(Object::new(value), Ordering::AcqRel);
        let period = self.domain.start_grace_period();
        let has_elapsed = ask(&self.domain, period);
        if has_elapsed {
            // SAFETY: As in `current`.
            unsafe { &*old }.free();
        }
        has_elapsed
    }
}

#[test]
fn a_reader_keeps_what_it_sees() {
    model::check(|| {
        let shared = Shared::new();
        let reader = {
            let shared = Arc::clone(&shared);
            model::spawn("reader", move || {
                let record = shared.domain.register();
                shared.domain.enter(record);
                let object = shared.current();
                assert_ne!(object.read(), 0, "freed while in sight");
                assert_ne!(object.read(), 0, "freed while in sight");
                shared.domain.leave(record);
                shared.domain.unregister(record);
            })
        };
        shared.replace(2);
        reader.join().expect("no anomaly");
        assert!(shared.replace(3), "no reader is left");
    });
}

#[test]
fn sections_in_a_row() {
    model::check_with(Preemptions::Exactly(3), || {
        let shared = Shared::new();
        let reader = {
            let shared = Arc::clone(&shared);
            model::spawn("reader", move || {
                let record = shared.domain.register();
                for _ in 0..2 {
                    shared.domain.enter(record);
                    assert_ne!(shared.current().read(), 0, "freed while in sight");
                    shared.domain.leave(record);
                }
                shared.domain.unregister(record);
            })
        };
        shared.replace(2);
        shared.replace(3);
        reader.join().expect("no anomaly");
    });
}

#[test]
fn a_record_taken_over_is_scanned() {
    model::check_with(Preemptions::Exactly(3), || {
        let shared = Shared::new();
        // A free record is there before both threads start.
        shared.domain.unregister(shared.domain.register());
        let reader = {
            let shared = Arc::clone(&shared);
            model::spawn("reader", move || {
                let record = shared.domain.register();
                shared.domain.enter(record);
                assert_ne!(shared.current().read(), 0, "freed while in sight");
                shared.domain.leave(record);
            })
        };
        shared.replace(2);
        reader.join().expect("no anomaly");
        assert_eq!(shared.domain.nr_records(), 1);
    });
}

#[test]
fn a_reader_that_comes_again_has_visibly_left() {
    model::check_with(Preemptions::Exactly(3), || {
        let shared = Shared::new();
        let reader = {
            let shared = Arc::clone(&shared);
            model::spawn("reader", move || {
                let record = shared.domain.register();
                for _ in 0..2 {
                    shared.domain.enter_unfenced(record);
                    assert_ne!(shared.current().read(), 0, "freed while in sight");
                    shared.domain.leave(record);
                }
                shared.domain.unregister(record);
            })
        };
        shared.replace_unfenced(2);
        shared.replace_unfenced(3);
        reader.join().expect("no anomaly");
    });
}

#[test]
fn a_reader_that_ended_has_visibly_left() {
    model::check(|| {
        let shared = Shared::new();
        let reader = {
            let shared = Arc::clone(&shared);
            model::spawn("reader", move || {
                let record = shared.domain.register();
                shared.domain.enter_unfenced(record);
                assert_ne!(shared.current().read(), 0, "freed while in sight");
                shared.domain.leave(record);
                shared.domain.unregister(record);
            })
        };
        shared.replace_unfenced(2);
        reader.join().expect("no anomaly");
        assert!(shared.replace_unfenced(3), "no reader is left");
    });
}

#[test]
fn a_reader_that_only_left_is_asked() {
    model::check(|| {
        let domain = Domain::new();
        let record = domain.register();
        let first = domain.start_grace_period();
        domain.enter(record);
        assert!(domain.has_visibly_elapsed(first, None), "entered since");
        let second = domain.start_grace_period();
        assert!(
            !domain.has_visibly_elapsed(second, Some(record)),
            "its own section is open"
        );
        domain.leave(record);
        assert!(
            !domain.has_visibly_elapsed(second, None),
            "did not come again"
        );
        assert!(
            domain.has_visibly_elapsed(second, Some(record)),
            "who asks is outside"
        );
        let third = domain.start_grace_period();
        assert!(!domain.has_visibly_elapsed(third, None), "as before");
        assert!(domain.has_elapsed(third), "is outside");
        assert!(
            domain.has_visibly_elapsed(third, None),
            "known from then on"
        );
    });
}
