//! The spots of the host's threads: which record a thread has.

use crate::spots::{Record, Spot, SpotTable};
use core::cell::Cell;

#[cfg(not(any(loom, shuttle)))]
static TABLE: SpotTable = SpotTable::new();
#[cfg(loom)]
loom::lazy_static! {
    static ref TABLE: SpotTable = SpotTable::new();
}
#[cfg(shuttle)]
shuttle::lazy_static! {
    static ref TABLE: SpotTable = SpotTable::new();
}

/// Gives the record back at the thread's end.
struct Registration(&'static Record);

impl Drop for Registration {
    fn drop(&mut self) {
        let _ = RECORD.try_with(|record| {
            if self.0.is_empty() {
                record.set(None);
                self.0.unregister();
            }
        });
    }
}

// The record is without a destructor, so that access is plain.
#[cfg(not(any(loom, shuttle)))]
std::thread_local! {
    static RECORD: Cell<Option<&'static Record>> = const { Cell::new(None) };
    static REGISTRATION: Cell<Option<Registration>> = const { Cell::new(None) };
}
#[cfg(loom)]
loom::thread_local! {
    static RECORD: Cell<Option<&'static Record>> = Cell::new(None);
    static REGISTRATION: Cell<Option<Registration>> = Cell::new(None);
}
#[cfg(shuttle)]
shuttle::thread_local! {
    static RECORD: Cell<Option<&'static Record>> = Cell::new(None);
    static REGISTRATION: Cell<Option<Registration>> = Cell::new(None);
}

#[cold]
fn register(slot: &Cell<Option<&'static Record>>) -> Option<&'static Record> {
    vmaple_rcu::fence::prepare();
    let record = TABLE.register()?;
    // SeqCst: pairs with the fence in `heavy`: a writer that misses this record has taken the
    // bias away before our look. There is no witness: `light` fences again before that look.
    vmaple_sync::atomic::fence(vmaple_sync::atomic::Ordering::SeqCst);
    slot.set(Some(record));
    // When the thread is already ending, its record stays owned and empty: a small leak.
    let _ = REGISTRATION.try_with(|slot| slot.set(Some(Registration(record))));
    Some(record)
}

/// A spot of this thread that holds nothing; `None` if there is none, or no memory for a record.
#[inline]
pub(crate) fn free_spot() -> Option<&'static Spot> {
    RECORD.with(|slot| {
        let record = match slot.get() {
            Some(record) => record,
            None => register(slot)?,
        };
        record.free_spot()
    })
}

/// Whether some thread says that it reads what is at `address`.
pub(crate) fn is_held(address: usize) -> bool {
    TABLE.is_held(address)
}

#[cfg(all(test, not(loom), not(shuttle)))]
mod tests {
    use super::*;
    use crate::spots;

    #[test]
    fn spots_run_out_and_come_back() {
        let take = || free_spot().inspect(|spot| spots::set(spot, 0x1000));
        let taken: std::vec::Vec<_> = core::iter::from_fn(take).collect();
        assert_eq!(taken.len(), spots::SPOTS);
        assert!(is_held(0x1000));
        spots::clear(taken[3]);
        assert!(core::ptr::eq(take().expect("empty again"), taken[3]));
        taken.into_iter().for_each(spots::clear);
        assert!(!is_held(0x1000));
    }
}
