//! Two copies of a B-tree, one for readers and one for the writer, exchanged at each write.

use super::Peer;
use super::btree::covering;
use super::pair::{Pair, Reader};
use ::left_right::{Absorb, ReadHandle, ReadHandleFactory, WriteHandle};
use maple_tree::Span;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default, Clone)]
pub(super) struct Copies(BTreeMap<u64, u64>);

/// Removes the range with the first last index, then adds the second.
#[derive(Debug)]
pub(super) struct Change(Option<u64>, Option<Span>);

impl Absorb<Change> for Copies {
    fn absorb_first(&mut self, change: &mut Change, _: &Self) {
        if let Some(last) = change.0 {
            self.0.remove(&last);
        }
        if let Some(span) = change.1 {
            self.0.insert(span.last, span.first);
        }
    }

    fn sync_with(&mut self, first: &Self) {
        self.0.clone_from(&first.0);
    }
}

pub(super) struct Twins {
    writer: Mutex<WriteHandle<Copies, Change>>,
    readers: ReadHandleFactory<Copies>,
    reader: Mutex<ReadHandle<Copies>>,
}

impl Twins {
    fn change(&self, change: Change) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.append(change);
        writer.publish();
    }
}

impl Peer for Twins {
    fn new() -> Self {
        let (writer, reader) = ::left_right::new::<Copies, Change>();
        Self {
            readers: reader.factory(),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
        }
    }

    fn insert(&mut self, span: Span) {
        self.change(Change(None, Some(span)));
    }

    fn remove(&mut self, span: Span) {
        self.change(Change(Some(span.last), None));
    }

    fn lookup(&self, at: u64) -> Option<u64> {
        // Alone on its thread: the mutex costs some ns that the pair row does not have.
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        covering(&reader.enter()?.0, at)
    }

    fn sum(&self) -> u64 {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let copies = reader.enter().expect("the writer is there");
        copies
            .0
            .values()
            .fold(0, |sum, first| sum.wrapping_add(*first))
    }
}

impl Pair for Twins {
    type Reader<'a> = ReadHandle<Copies>;

    fn reader(&self) -> ReadHandle<Copies> {
        self.readers.handle()
    }

    fn replace(&self, old: Span, new: Span) {
        self.change(Change(Some(old.last), Some(new)));
    }
}

impl Reader for ReadHandle<Copies> {
    fn covers(&self, at: u64) -> bool {
        self.enter()
            .is_some_and(|copies| covering(&copies.0, at).is_some())
    }

    fn scan(&self, slot: u64, nr: u64) -> u64 {
        let copies = self.enter().expect("the writer is there");
        copies.0.range(slot << 16..(slot + nr) << 16).count() as u64
    }
}
