//! A reader that stays inside: what it keeps is bounded, stays whole, and is freed when it leaves.
#![cfg(not(loom))]

use maple_tree::{ReadersStalled, TreeWriter};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use vmaple_model::random::SplitMix64;

const MOST: usize = 500;
/// More than one write displaces: a leaf or two, their parent, or nodes of a few levels.
const ONE_WRITE: usize = 40;

/// Writes until the writer is told that a reader stalls; how many writes that were.
fn write_until_stalled(writer: &mut TreeWriter<Arc<u64>>) -> (u64, ReadersStalled) {
    let mut random = SplitMix64::new(1);
    for nr_writes in 0..100_000 {
        let first = random.bounded(5000);
        writer
            .store(first..=first + random.bounded(8), Arc::new(first))
            .expect("memory");
        if let Err(stalled) = writer.keep_waiting_within(MOST) {
            return (nr_writes, stalled);
        }
    }
    panic!("a reader is inside, and nothing was said");
}

#[test]
fn what_a_stalled_reader_keeps_is_bounded_and_freed() {
    let mut writer: TreeWriter<Arc<u64>> = TreeWriter::new();
    let first = Arc::new(u64::MAX);
    writer.store(0..=9999, Arc::clone(&first)).expect("memory");
    let reader = writer.new_reader();
    let (tell_inside, inside) = mpsc::channel();
    let (tell_leave, leave) = mpsc::channel::<()>();
    let stalled = thread::spawn(move || {
        let section = reader.enter();
        let view = reader.read(&section);
        let (span, seen) = view.load(2500).expect("stored before");
        tell_inside.send(()).expect("the test waits");
        leave.recv().expect("the test tells");
        assert_eq!((span.len_less_one(), *seen), (9999, u64::MAX), "kept");
    });
    inside.recv().expect("the reader enters");
    writer.clear(2000..=3000).expect("memory");
    let (nr_writes, told) = write_until_stalled(&mut writer);
    assert!(nr_writes > 50, "it takes some writes to come to the bound");
    assert_eq!(told.nr_waiting, writer.nr_waiting());
    assert!(told.nr_waiting <= MOST + ONE_WRITE, "{told}");
    // Writing goes on if the writer wants it to.
    writer.clear(0..=100).expect("memory");
    tell_leave.send(()).expect("the reader waits");
    stalled.join().expect("the reader saw what it had seen");
    assert_eq!(writer.keep_waiting_within(0), Ok(()));
    assert_eq!(writer.nr_waiting(), 0);
    assert_eq!(writer.validate(), Ok(()));
    let nr_held = writer
        .reader()
        .iter()
        .filter(|(_, entry)| **entry == u64::MAX);
    assert_eq!(Arc::strong_count(&first) - 1, nr_held.count());
}
