//! What became of the lookups of one address space, counted.

use vmaple_sync::atomic::{AtomicU64, Ordering};

/// The counters, as they were at some moment.
///
/// `nr_success` counts only with the feature `stats`: without it a successful lookup writes
/// nothing that other lookups write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Events {
    /// Lookups that locked a VMA.
    #[doc(alias = "vma_lock_success")]
    pub nr_success: u64,
    /// Lookups that met a writer, or too many readers; the caller looks again, or takes
    /// `mmap_lock` instead.
    #[doc(alias = "vma_lock_abort")]
    pub nr_abort: u64,
    /// Callers that had the lock, dropped it, and came back. They say so by
    /// [`VmaReaders::note_retry`](crate::VmaReaders::note_retry).
    #[doc(alias = "vma_lock_retry")]
    pub nr_retry: u64,
    /// Walks that were made again because the VMA had gone or moved.
    #[doc(alias = "vma_lock_miss")]
    pub nr_miss: u64,
}

/// The counters at work.
#[derive(Debug)]
pub(crate) struct Counters {
    success: AtomicU64,
    abort: AtomicU64,
    retry: AtomicU64,
    miss: AtomicU64,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Success,
    Abort,
    Retry,
    Miss,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            success: AtomicU64::new(0),
            abort: AtomicU64::new(0),
            retry: AtomicU64::new(0),
            miss: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn note(&self, event: Event) {
        let counter = match event {
            Event::Success if cfg!(feature = "stats") => &self.success,
            Event::Success => return,
            Event::Abort => &self.abort,
            Event::Retry => &self.retry,
            Event::Miss => &self.miss,
        };
        // Relaxed: a statistic.
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Events {
        // Relaxed: statistics.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Events {
            nr_success: read(&self.success),
            nr_abort: read(&self.abort),
            nr_retry: read(&self.retry),
            nr_miss: read(&self.miss),
        }
    }
}
