//! The asymmetric fence: nearly free for readers, expensive for the writer.
//!
//! A reader stores "I am inside" and then loads shared pointers; a writer stores pointers and then
//! loads "who is inside". Each side must have its store visible before its load, which takes a
//! full fence on both sides, or a compiler fence on one and, on the other, a system call that
//! makes every processor which runs this process execute a full fence: `membarrier(2)`.
//!
//! Under loom both sides are `fence(SeqCst)`.
//!
//! # Safety
//!
//! Calls `membarrier`, which takes no pointers.
#![cfg_attr(
    all(feature = "std", target_os = "linux", not(any(loom, shuttle))),
    expect(unsafe_code, reason = "the membarrier system call")
)]

#[cfg(all(feature = "std", target_os = "linux", not(any(loom, shuttle))))]
pub use asymmetric::{heavy, light, prepare};
#[cfg(not(all(feature = "std", target_os = "linux", not(any(loom, shuttle)))))]
pub use symmetric::{heavy, light, prepare};

#[cfg(all(feature = "std", target_os = "linux", not(any(loom, shuttle))))]
mod asymmetric {
    use core::hint::cold_path;
    use std::sync::OnceLock;
    use vmaple_sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};

    /// From linux/membarrier.h.
    const MEMBARRIER_CMD_PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    /// From linux/membarrier.h.
    const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

    /// Set once, before the first record exists, when the kernel has the call; never cleared.
    static READERS_NEED_NO_FENCE: AtomicBool = AtomicBool::new(false);
    static PREPARED: OnceLock<()> = OnceLock::new();

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: The call takes three integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    /// Registers the process with the kernel. Every thread calls it before its first section.
    pub fn prepare() {
        PREPARED.get_or_init(|| {
            let is_there = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
            // Relaxed: `OnceLock` orders it before the return of every `prepare`.
            READERS_NEED_NO_FENCE.store(is_there, Ordering::Relaxed);
        });
    }

    /// The reader's side, between "I am inside" and its first load of a shared pointer.
    #[inline]
    pub fn light() {
        // Relaxed: constant since `prepare`, which this thread has called.
        if READERS_NEED_NO_FENCE.load(Ordering::Relaxed) {
            // SeqCst: pairs with the system call in `heavy`, which fences this processor between
            // two instructions. There is no witness: loom cannot run the call.
            compiler_fence(Ordering::SeqCst);
        } else {
            cold_path();
            // SeqCst: pairs with the fence in `heavy`. There is no witness here: loom runs the
            // same code below, in `symmetric`.
            fence(Ordering::SeqCst);
        }
    }

    /// The writer's side, between unlinking and looking at who is inside.
    pub fn heavy() {
        prepare();
        // SeqCst: pairs with both forms of `light`. There is no witness: as there.
        fence(Ordering::SeqCst);
        // Relaxed: constant since `prepare`.
        if READERS_NEED_NO_FENCE.load(Ordering::Relaxed) {
            let is_done = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
            assert!(is_done, "a registered process may always use membarrier");
        }
    }
}

#[cfg(not(all(feature = "std", target_os = "linux", not(any(loom, shuttle)))))]
mod symmetric {
    use vmaple_sync::atomic::{Ordering, fence};

    /// Nothing to register.
    pub fn prepare() {}

    /// The reader's side, between "I am inside" and its first load of a shared pointer.
    #[inline]
    pub fn light() {
        // SeqCst: pairs with the fence in `heavy`: either the writer sees that we are inside, or
        // we see what it unlinked. Witness: `tests/loom.rs::a_reader_keeps_what_it_sees`.
        fence(Ordering::SeqCst);
    }

    /// The writer's side, between unlinking and looking at who is inside.
    pub fn heavy() {
        // SeqCst: pairs with the fence in `light`.
        // Witness: `tests/loom.rs::a_reader_keeps_what_it_sees`.
        fence(Ordering::SeqCst);
    }
}
