//! The addresses of a process that are not VMAs: heap, stack, code and data bounds.

use vmaple_sync::atomic::{AtomicU64, Ordering};

/// Bounds that `brk`, the maps names `[heap]` and `[stack]`, and PR_SET_MM work on. In bytes,
/// not page aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BrkArea {
    /// Start of the heap.
    pub start_brk: u64,
    /// The break: first address after the heap.
    pub brk: u64,
    /// Where the stack began; the VMA that contains it is `[stack]`.
    pub start_stack: u64,
    /// Start of the code.
    pub start_code: u64,
    /// End of the code.
    pub end_code: u64,
    /// Start of the initialised data.
    pub start_data: u64,
    /// End of the initialised data.
    pub end_data: u64,
    /// Start of the arguments.
    pub arg_start: u64,
    /// End of the arguments.
    pub arg_end: u64,
    /// Start of the environment.
    pub env_start: u64,
    /// End of the environment.
    pub env_end: u64,
}

/// The bounds that names depend on, for those who read beside the holder of `mmap_lock`.
///
/// Written at the end of a write section, before VMAs can be locked again. Each word is read by
/// itself: who reads while `PR_SET_MM` moves several bounds at once may see some of them moved, as
/// in Linux.
#[derive(Debug, Default)]
pub(crate) struct PublishedAreas {
    start_brk: AtomicU64,
    brk: AtomicU64,
    start_stack: AtomicU64,
}

impl PublishedAreas {
    /// Publishes what has changed. A word that has not is left alone, so that readers on other
    /// processors need not fetch it anew after every section.
    pub(crate) fn publish(&self, areas: &BrkArea) {
        let publish = |word: &AtomicU64, value| {
            // Relaxed: only the writer writes it.
            if word.load(Ordering::Relaxed) != value {
                // Relaxed: the end of the write section orders it.
                word.store(value, Ordering::Relaxed);
            }
        };
        publish(&self.start_brk, areas.start_brk);
        publish(&self.brk, areas.brk);
        publish(&self.start_stack, areas.start_stack);
    }

    /// The published bounds; the others are 0.
    pub(crate) fn read(&self) -> BrkArea {
        // Relaxed: whoever holds a VMA's lock has seen the end of the section that wrote it.
        BrkArea {
            start_brk: self.start_brk.load(Ordering::Relaxed),
            brk: self.brk.load(Ordering::Relaxed),
            start_stack: self.start_stack.load(Ordering::Relaxed),
            ..BrkArea::default()
        }
    }
}
