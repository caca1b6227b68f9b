//! What the words of a protocol are called where a checker tells of them.

/// A word, and what its bits mean.
#[derive(Debug, PartialEq, Eq)]
pub struct Name {
    /// As the protocol's documentation calls it.
    pub word: &'static str,
    /// Bits with a meaning of their own; what is left of a value is shown as a number.
    pub bits: &'static [(u64, &'static str)],
}

impl Name {
    /// A word that is only a number.
    #[must_use]
    pub const fn new(word: &'static str) -> Self {
        Self { word, bits: &[] }
    }

    /// A word in which these bits mean something.
    #[must_use]
    pub const fn with_bits(word: &'static str, bits: &'static [(u64, &'static str)]) -> Self {
        Self { word, bits }
    }
}

/// Gives an atomic or a cell its name; in a normal build that is nothing.
///
/// # Examples
///
/// ```
/// use vmaple_sync::atomic::{AtomicU32, Ordering};
/// use vmaple_sync::names::{Name, named};
///
/// static STATE: Name = Name::with_bits("state", &[(1 << 31, "WRITER")]);
/// let state = named(&STATE, AtomicU32::new(0));
/// assert_eq!(state.load(Ordering::Relaxed), 0);
/// ```
#[cfg(not(any(loom, shuttle)))]
#[inline]
pub const fn named<T>(_name: &'static Name, word: T) -> T {
    word
}

/// Gives an atomic or a cell its name; in a normal build that is nothing.
#[cfg(any(loom, shuttle))]
pub fn named<T: Nameable>(name: &'static Name, word: T) -> T {
    word.with_name(name)
}

/// What can be told of by a name.
#[cfg(any(loom, shuttle))]
pub trait Nameable {
    /// Takes the name.
    #[must_use]
    fn with_name(self, name: &'static Name) -> Self;
}
