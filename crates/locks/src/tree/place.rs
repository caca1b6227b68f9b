//! What is at an address, and what touches it: what most decisions about a change look at.

use super::VmaTree;
use crate::env::Environment;
#[cfg(feature = "std")]
use crate::env::Host;
use crate::slot::Handle;
use crate::views::VmaRef;
use core::fmt;
use core::ops::Range;

/// A VMA, or free addresses, from where the VMAs that touch it are near; see
/// [`VmaTree::place_at`].
pub struct Place<
    't,
    V,
    #[cfg(feature = "std")] E: Environment = Host,
    #[cfg(not(feature = "std"))] E: Environment,
> {
    tree: &'t VmaTree<V, E>,
    place: maple_tree::Place<'t, Handle<V>, E::Shape>,
}

impl<V, E: Environment> fmt::Debug for Place<'_, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.range()).finish()
    }
}

impl<'t, V, E: Environment> Place<'t, V, E> {
    /// The VMA, if the addresses are not free.
    #[inline]
    #[must_use]
    pub fn vma(&self) -> Option<VmaRef<'t, V>> {
        self.place.entry().map(|slot| self.tree.lend(slot))
    }

    /// The addresses of the VMA, or free ones, maybe not all that are free there. The end is
    /// inclusive where it is `u64::MAX`.
    #[inline]
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        let span = self.place.span();
        span.first..span.last.saturating_add(1)
    }

    /// The VMA that ends where this begins. O(1) mostly.
    #[inline]
    #[must_use]
    pub fn below(&self) -> Option<VmaRef<'t, V>> {
        self.place.below().map(|slot| self.tree.lend(slot))
    }

    /// The VMA that begins where this ends. O(1) mostly.
    #[inline]
    #[must_use]
    pub fn above(&self) -> Option<VmaRef<'t, V>> {
        self.place.above().map(|slot| self.tree.lend(slot))
    }
}

impl<V, E: Environment> VmaTree<V, E> {
    /// What is at `addr`, a VMA or free addresses, and what touches it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use vmaple_locks::VmaTree;
    ///
    /// let mut tree: VmaTree<&str> = VmaTree::new();
    /// tree.insert(0x1000..0x3000, "text").expect("free");
    /// tree.insert(0x3000..0x4000, "data").expect("free");
    /// let data = tree.place_at(0x3fff);
    /// assert_eq!(data.vma().as_deref(), Some(&"data"));
    /// assert_eq!(data.below().as_deref(), Some(&"text"));
    /// assert!(data.above().is_none());
    /// assert_eq!(tree.place_at(0x800).range(), 0..0x1000);
    /// # }
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn place_at(&self, addr: u64) -> Place<'_, V, E> {
        Place {
            tree: self,
            place: self.index.near().place_at(addr),
        }
    }
}
