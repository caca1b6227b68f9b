//! The executor's userfaultfds.
//!
//! They serve faults of user mode only. The executor touches memory by system calls, so a fault in
//! a registered range is an error at once, and nothing ever waits for an answer.

use std::io;

use super::{Executor, SCRATCH, SystemCall};

/// Places for userfaultfds.
pub(crate) const PLACES: u64 = 2;
/// Descriptor of the first.
const FIRST: u64 = 110;
/// First word of `struct uffdio_api`.
const API: u64 = 0xaa;
/// The ioctls: `_IOWR(0xAA, 0x3F, struct uffdio_api)` and so on.
const UFFDIO_API: u64 = 0xc018_aa3f;
const UFFDIO_REGISTER: u64 = 0xc020_aa00;
const UFFDIO_UNREGISTER: u64 = 0x8010_aa01;
const USER_MODE_ONLY: u64 = 1;

impl Executor {
    /// Opens a userfaultfd with these features in a place; one that is there is closed by that.
    /// 0, or a negative error number.
    ///
    /// # Errors
    /// The executor is dead.
    pub(crate) fn open_userfault(&mut self, place: u64, features: u64) -> io::Result<i64> {
        let flags = USER_MODE_ONLY | libc::O_CLOEXEC as u64;
        let opened = self.call(call(libc::SYS_userfaultfd, [flags, 0, 0]))?;
        if opened < 0 {
            return Ok(opened);
        }
        let fd = opened.cast_unsigned();
        let api = words(&[API, features, 0]);
        let mut result = self.call_with(&api, call(libc::SYS_ioctl, [fd, UFFDIO_API, SCRATCH]))?;
        if result >= 0 {
            let flags = libc::O_CLOEXEC as u64;
            result = self.call(call(libc::SYS_dup3, [fd, FIRST + place, flags]))?;
        }
        self.call(call(libc::SYS_close, [fd, 0, 0]))?;
        Ok(result.min(0))
    }

    /// Closes the userfaultfd of a place.
    ///
    /// # Errors
    /// The executor is dead.
    pub(crate) fn close_userfault(&mut self, place: u64) -> io::Result<i64> {
        self.call(call(libc::SYS_close, [FIRST + place, 0, 0]))
    }

    /// UFFDIO_REGISTER with a mode, or without one UFFDIO_UNREGISTER.
    ///
    /// # Errors
    /// The executor is dead.
    pub(crate) fn userfault_range(
        &mut self,
        place: u64,
        [start, len]: [u64; 2],
        mode: Option<u64>,
    ) -> io::Result<i64> {
        let (request, numbers) = match mode {
            Some(mode) => (UFFDIO_REGISTER, words(&[start, len, mode, 0])),
            None => (UFFDIO_UNREGISTER, words(&[start, len])),
        };
        let args = [FIRST + place, request, SCRATCH];
        self.call_with(&numbers, call(libc::SYS_ioctl, args))
    }
}

fn call(number: i64, [a, b, c]: [u64; 3]) -> SystemCall {
    [number.cast_unsigned(), a, b, c, 0, 0, 0]
}

fn words(numbers: &[u64]) -> Vec<u8> {
    let bytes = numbers.iter().flat_map(|number| number.to_ne_bytes());
    bytes.collect()
}
