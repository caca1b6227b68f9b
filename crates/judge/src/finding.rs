//! What a difference is.

use std::fmt;

use vmaple::{AddrRange, Errno};

/// A difference between the kernel and the model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// They returned different things.
    Result {
        /// A value, or a negative error number.
        kernel: i64,
        /// The same of the model.
        model: i64,
    },
    /// The maps differ, as `/proc/PID/maps` shows them.
    Map {
        /// The kernel's text.
        kernel: String,
        /// The model's text.
        model: String,
    },
    /// VmFlags of smaps differ.
    Flags {
        /// The mapping.
        range: AddrRange,
        /// The kernel's words.
        kernel: String,
        /// The model's words.
        model: String,
    },
    /// A size in `/proc/PID/status` differs.
    Size {
        /// Its name there.
        label: &'static str,
        /// In bytes.
        kernel: u64,
        /// In bytes.
        model: u64,
    },
    /// The model broke a rule of its own.
    Invalid(String),
    /// The model declined to answer.
    Unmodelled(String),
    /// The process that makes the calls died.
    Died(String),
}

impl Finding {
    /// Whether two findings are of one kind, so that one may stand for the other while a
    /// sequence is made smaller.
    #[must_use]
    pub fn is_like(&self, other: &Finding) -> bool {
        use Finding::{Died, Flags, Invalid, Map, Result, Size, Unmodelled};
        match (self, other) {
            // Wrong in one of these ways is wrong in the others a step later.
            (Result { .. } | Map { .. } | Flags { .. } | Size { .. }, other) => {
                matches!(
                    other,
                    Result { .. } | Map { .. } | Flags { .. } | Size { .. }
                )
            }
            (Invalid(_), Invalid(_)) | (Died(_), Died(_)) => true,
            (Unmodelled(one), Unmodelled(other)) => one == other,
            _ => false,
        }
    }
}

/// A returned value as a person reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Returned(pub(crate) i64);

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = i32::try_from(-self.0).ok().and_then(Errno::from_raw);
        match errno {
            Some(errno) => write!(f, "-{errno}"),
            None if (-4095..0).contains(&self.0) => write!(f, "{}", self.0),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Result { kernel, model } => {
                let (kernel, model) = (Returned(*kernel), Returned(*model));
                write!(f, "the kernel returned {kernel}, vmaple {model}")
            }
            Finding::Map { .. } => f.write_str("the maps differ"),
            Finding::Flags {
                range,
                kernel,
                model,
            } => write!(f, "VmFlags of {range}: kernel {kernel}, vmaple {model}"),
            Finding::Size {
                label,
                kernel,
                model,
            } => write!(
                f,
                "{label}: kernel {} kB, vmaple {} kB",
                kernel / 1024,
                model / 1024
            ),
            Finding::Invalid(what) => write!(f, "vmaple's map breaks its own rules: {what}"),
            Finding::Unmodelled(what) => write!(f, "vmaple has no model of {what}"),
            Finding::Died(what) => write!(f, "the process that makes the calls died: {what}"),
        }
    }
}

impl std::error::Error for Finding {}

impl From<std::io::Error> for Finding {
    fn from(error: std::io::Error) -> Finding {
        Finding::Died(error.to_string())
    }
}

impl From<vmaple_linux::procfs::Error> for Finding {
    fn from(error: vmaple_linux::procfs::Error) -> Finding {
        Finding::Died(error.to_string())
    }
}
