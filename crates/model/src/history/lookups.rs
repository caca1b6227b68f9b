//! Linearizability of lookups beside one writer.
//!
//! A moment for a read is a *version*: the number of changes made before it. A choice of versions
//! is right if each read's answer is that of its version, each version lies in its read's window,
//! and of two reads, one of which had ended when the other began, the later one's is not lower.
//! (No more is needed: an order of calls that contradicts the clock does so with two of them.)
//! Taking the lowest version that each read can have leaves most room for the others, so one pass
//! over the versions finds a choice if there is one.

use super::{Anomaly, History, Seen, Windowed};
use crate::tree::NaiveTree;

/// Whether a lookup answers what `tree` does; `None` for what is not a lookup.
fn agrees(seen: &Seen, tree: &NaiveTree) -> Option<bool> {
    match seen {
        Seen::Load(index, found) => Some(tree.load(*index) == *found),
        Seen::RangeAt(index, range, value) => Some(tree.range_at(*index) == (*range, *value)),
        _ => None,
    }
}

pub(super) fn check(history: &History, reads: &[Windowed<'_>]) -> Result<(), Anomaly> {
    let mut tree = history.before.clone();
    let is_lookup = |read: &&Windowed<'_>| matches!(read.seen, Seen::Load(..) | Seen::RangeAt(..));
    let mut coming = reads.iter().filter(is_lookup).peekable();
    // Reads that may have this version and have none yet, in the order in which they began.
    let mut open: Vec<&Windowed<'_>> = Vec::new();
    for version in 0..=history.changes.len() {
        while let Some(read) = coming.next_if(|read| read.least <= version) {
            open.push(read);
        }
        // A read that began after the end of one that is still open must wait for that.
        let mut first_end = u64::MAX;
        open.retain(|read| {
            let may_have = read.during.start < first_end;
            let is_explained = may_have && agrees(read.seen, &tree) == Some(true);
            if !is_explained {
                first_end = first_end.min(read.during.end);
            }
            !is_explained
        });
        if let Some(lost) = open.iter().find(|read| read.most <= version) {
            return Err(lost.anomaly("the map was never so at a moment that is left for the read"));
        }
        if let Some((_, change)) = history.changes.get(version) {
            change.apply(&mut tree);
        }
    }
    Ok(())
}
