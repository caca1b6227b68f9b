//! What the process was started with, before the language runtime changed it.
//!
//! Before `main`, the Rust runtime ignores `SIGPIPE` and opens `/dev/null` on the standard
//! descriptors that are closed. A traced program must find both as the tracer itself did, so
//! they are looked at earlier still, by a function that the C runtime calls on its way.

#![expect(
    unsafe_code,
    reason = "an initialiser in its own link section, and raw sigaction"
)]

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Whether `SIGPIPE` was ignored.
static PIPE_IGNORED: AtomicBool = AtomicBool::new(false);
/// Bit N: descriptor N (0 to 2) was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

// SAFETY: the section holds pointers to functions that the C runtime calls once, on the only
// thread, before main. The function takes no argument (the caller passes some, which the C
// calling convention allows to ignore), does not unwind, and needs nothing of the Rust runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: all-zero bytes are a valid sigaction: it holds integers and a nullable pointer.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: no new action is given, and the kernel's answer goes to `action`.
    let done = unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut action) };
    // Relaxed: there is one thread, and all later ones are started by it.
    PIPE_IGNORED.store(
        done == 0 && action.sa_sigaction == libc::SIG_IGN,
        Ordering::Relaxed,
    );
    for fd in 0..3 {
        // SAFETY: asks for a flag of a descriptor number, which need not be open.
        let open = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
        if !open {
            // Relaxed: as above.
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
}

/// Whether `SIGPIPE` was ignored when the process started.
pub(super) fn pipe_ignored() -> bool {
    // Relaxed: written before any thread that could read it was started.
    PIPE_IGNORED.load(Ordering::Relaxed)
}

/// The standard descriptors that were closed when the process started.
pub(super) fn closed_descriptors() -> impl Iterator<Item = i32> {
    // Relaxed: written before any thread that could read it was started.
    let closed = CLOSED.load(Ordering::Relaxed);
    (0..3).filter(move |fd| closed & 1 << fd != 0)
}
