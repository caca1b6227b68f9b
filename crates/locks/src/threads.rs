//! The spots of the host's threads: which record a thread has, and which of its spots are free.

use crate::spots::{Record, SPOTS, Spot, SpotTable};
use core::cell::Cell;

#[cfg(not(loom))]
static TABLE: SpotTable = SpotTable::new();
#[cfg(loom)]
loom::lazy_static! {
    static ref TABLE: SpotTable = SpotTable::new();
}

/// What a thread knows about its spots. Without a destructor, so that access is plain.
struct Local {
    record: Cell<Option<&'static Record>>,
    /// One bit for each spot in use.
    used: Cell<u8>,
}

const _: () = assert!(SPOTS < 8);

/// Gives the record back at the thread's end.
struct Registration(&'static Record);

impl Drop for Registration {
    fn drop(&mut self) {
        let _ = LOCAL.try_with(|local| {
            if local.used.get() == 0 {
                local.record.set(None);
                self.0.unregister();
            }
        });
    }
}

#[cfg(not(loom))]
std::thread_local! {
    static LOCAL: Local = const { Local { record: Cell::new(None), used: Cell::new(0) } };
    static REGISTRATION: Cell<Option<Registration>> = const { Cell::new(None) };
}
#[cfg(loom)]
loom::thread_local! {
    static LOCAL: Local = Local { record: Cell::new(None), used: Cell::new(0) };
    static REGISTRATION: Cell<Option<Registration>> = Cell::new(None);
}

#[cold]
fn register(local: &Local) -> Option<&'static Record> {
    vmaple_rcu::fence::prepare();
    let record = TABLE.register()?;
    // SeqCst: pairs with the fence in `heavy`: a writer that misses this record has taken the
    // bias away before our look. There is no witness: `light` fences again before that look.
    vmaple_sync::atomic::fence(vmaple_sync::atomic::Ordering::SeqCst);
    local.record.set(Some(record));
    // When the thread is already ending, its record stays owned and empty: a small leak.
    let _ = REGISTRATION.try_with(|slot| slot.set(Some(Registration(record))));
    Some(record)
}

/// A spot that this thread does not use; `None` if there is none, or no memory for a record.
#[inline]
pub(crate) fn take_spot() -> Option<&'static Spot> {
    LOCAL.with(|local| {
        let record = match local.record.get() {
            Some(record) => record,
            None => register(local)?,
        };
        let used = local.used.get();
        let spot = record.spots.get(used.trailing_ones() as usize)?;
        local.used.set(used | (used + 1));
        Some(spot)
    })
}

/// Gives back a spot of this thread, which is empty.
#[inline]
pub(crate) fn give_spot(spot: &'static Spot) {
    // Spots come first in a record, which is aligned.
    let index = core::ptr::from_ref(spot).addr() % align_of::<Record>() / size_of::<Spot>();
    LOCAL.with(|local| local.used.set(local.used.get() & !(1 << index)));
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
        let spots: std::vec::Vec<_> = core::iter::from_fn(take_spot).collect();
        assert_eq!(spots.len(), SPOTS);
        spots::set(spots[3], 0x1000);
        assert!(is_held(0x1000));
        spots::clear(spots[3]);
        assert!(!is_held(0x1000));
        give_spot(spots[3]);
        assert!(core::ptr::eq(take_spot().expect("given back"), spots[3]));
        spots.into_iter().for_each(give_spot);
    }
}
