//! What must hold of a tree of VMAs between its calls.
//!
//! # Safety
//!
//! As in the parent module: slots of the index are attached to the tree, which is borrowed.
#![expect(
    unsafe_code,
    reason = "looks at attached slots by the borrow of their tree"
)]

use super::VmaTree;
use crate::env::Environment;
use crate::views::addresses;
use core::fmt;
use core::ops::Range;
use maple_tree::Violation;

/// An invariant of a [`VmaTree`] that does not hold: this crate has a bug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The index is no maple tree any more.
    Index(Violation),
    /// The index has a VMA in the first range, which says that it is in the second.
    Elsewhere(Range<u64>, Range<u64>),
    /// The VMA in this range is in the index, but detached.
    Detached(Range<u64>),
    /// The VMA in this range belongs to another tree.
    Foreign(Range<u64>),
    /// The VMA in this range publishes what is not so.
    Misreported(Range<u64>),
    /// The tree counts the first number of VMAs and has the second.
    Miscounted(usize, usize),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(violation) => violation.fmt(f),
            Self::Elsewhere(index, vma) => {
                write!(f, "the VMA at {index:#x?} says that it is at {vma:#x?}")
            }
            Self::Detached(vma) => write!(f, "the VMA at {vma:#x?} is detached"),
            Self::Foreign(vma) => write!(f, "the VMA at {vma:#x?} is of another tree"),
            Self::Misreported(vma) => {
                write!(f, "the VMA at {vma:#x?} publishes what it is not")
            }
            Self::Miscounted(counted, found) => {
                write!(f, "{counted} VMAs counted, {found} found")
            }
        }
    }
}

impl core::error::Error for Broken {}

impl From<Violation> for Broken {
    fn from(violation: Violation) -> Self {
        Self::Index(violation)
    }
}

impl<V, E: Environment> VmaTree<V, E> {
    /// Checks every invariant of the index and of what is in it. O(n).
    ///
    /// # Errors
    ///
    /// The first one found that does not hold.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// let mut tree: vmaple_locks::VmaTree<&str> = vmaple_locks::VmaTree::new();
    /// tree.insert(0x1000..0x2000, "text").expect("free");
    /// assert_eq!(tree.validate(), Ok(()));
    /// # }
    /// ```
    pub fn validate(&self) -> Result<(), Broken> {
        self.index.validate()?;
        let mut nr_found = 0;
        for (span, slot) in self.index.reader().iter() {
            nr_found += 1;
            let at = addresses(span);
            let says = slot.span();
            if says != span {
                return Err(Broken::Elsewhere(at, addresses(says)));
            }
            if !slot.lock().is_attached() {
                return Err(Broken::Detached(at));
            }
            if !slot.published.is_in(self.shared.id()) {
                return Err(Broken::Foreign(at));
            }
            // SAFETY: Attached to this tree, which is borrowed.
            let facts = (self.facts)(unsafe { slot.value() });
            if ![0, facts].contains(&slot.published.facts()) {
                return Err(Broken::Misreported(at));
            }
        }
        if nr_found != self.len {
            return Err(Broken::Miscounted(self.len, nr_found));
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "std", not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::slot::Handle;
    use maple_tree::Span;
    use vmaple_sync::wait::DefaultWait;

    fn tree() -> VmaTree<u32> {
        let mut tree = VmaTree::new();
        tree.insert(0x1000..0x2000, 1).expect("free");
        tree.insert(0x2000..0x3000, 2).expect("free");
        tree.end_write();
        tree
    }

    #[test]
    fn each_kind_of_damage_to_vmas_is_named() {
        let mut tree = tree();
        assert_eq!(tree.validate(), Ok(()));
        let at = 0x1000..0x2000;
        let handle = Handle::of(tree.at(0x1000).expect("mapped").slot());
        // SAFETY: A slot of this tree, which exists.
        let slot = unsafe { handle.slot() };

        tree.len += 1;
        assert_eq!(tree.validate(), Err(Broken::Miscounted(3, 2)));
        tree.len -= 1;

        slot.set_span(Span::new(0x1000, 0x1000));
        let elsewhere = Broken::Elsewhere(at.clone(), 0x1000..0x1001);
        assert_eq!(tree.validate(), Err(elsewhere));
        slot.set_span(Span::new(0x1000, 0x1fff));

        slot.published.set_facts(3);
        assert_eq!(tree.validate(), Err(Broken::Misreported(at.clone())));
        slot.published.set_facts(0);

        let section = tree.shared.seq.begin();
        tree.write_lock(0x1000).expect("mapped");
        slot.detach::<DefaultWait>(section);
        assert_eq!(tree.validate(), Err(Broken::Detached(at.clone())));
        let other = self::tree();
        // SAFETY: The slot is detached, this thread's alone, and has a value.
        let (span, value) = unsafe { slot.take() };
        // SAFETY: The same, and its value was taken.
        unsafe { slot.fill(other.shared.id(), span, |_| 0, || value) };
        slot.attach(section);
        assert_eq!(tree.validate(), Err(Broken::Foreign(at)));
        assert_eq!(other.validate(), Ok(()));

        slot.detach::<DefaultWait>(section);
        // SAFETY: As above.
        let (span, value) = unsafe { slot.take() };
        // SAFETY: As above.
        unsafe { slot.fill(tree.shared.id(), span, |_| 0, || value) };
        slot.attach(section);
        assert_eq!(tree.validate(), Ok(()));
        tree.end_write();
    }
}
