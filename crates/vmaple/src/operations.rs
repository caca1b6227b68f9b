//! What the owner of a mapping decides or wants to hear of: the hooks of a driver.

use crate::errno::Errno;
use crate::vma::Vma;
use core::fmt;

/// Hooks of whoever stands behind a file's mappings.
///
/// [`MappedFile::operations`](crate::MappedFile::operations) hands them out. They run inside a
/// call on the address space, must not call back into it, and should be quick. The VMA they get
/// is as it stands in the map at that moment.
///
/// Over the life of a mapping, `close` runs once for the VMA that `mmap` made and once for each
/// that `open` announced: a driver that counts its users starts with 1 at `mmap`.
///
/// ```
/// use std::sync::atomic::{AtomicI32, Ordering};
/// use vmaple::{Vma, VmaOperations};
///
/// #[derive(Debug, Default)]
/// struct Users(AtomicI32);
///
/// impl VmaOperations for Users {
///     fn open(&self, _: &Vma) { self.0.fetch_add(1, Ordering::Relaxed); }
///     fn close(&self, _: &Vma) { self.0.fetch_sub(1, Ordering::Relaxed); }
///     fn has_close(&self) -> bool { true }
/// }
/// # let _ = Users::default();
/// ```
#[doc(alias = "vm_operations_struct")]
pub trait VmaOperations: fmt::Debug + Send + Sync {
    /// A further VMA has come to be: the new part of a split, the copy that a move makes, a
    /// child's copy at a fork.
    fn open(&self, vma: &Vma) {
        let _ = vma;
    }

    /// A VMA goes away. Never called for one that a merge takes in: see
    /// [`has_close`](Self::has_close).
    fn close(&self, vma: &Vma) {
        let _ = vma;
    }

    /// Whether `close` matters: then no merge makes a VMA vanish.
    fn has_close(&self) -> bool {
        false
    }

    /// Whether `vma` may be cut at `addr`, which lies inside it, in bytes.
    ///
    /// # Errors
    /// What the call that wants to cut answers; nothing is cut then.
    fn may_split(&self, vma: &Vma, addr: u64) -> Result<(), Errno> {
        let _ = (vma, addr);
        Ok(())
    }

    /// `moved` is a copy made by `mremap`, and the source is still there.
    ///
    /// # Errors
    /// What `mremap` answers; the copy is removed then, and the source stays.
    fn mremap(&self, moved: &Vma) -> Result<(), Errno> {
        let _ = moved;
        Ok(())
    }
}

impl Vma {
    /// The hooks of whoever stands behind it.
    #[must_use]
    #[doc(alias = "vm_ops")]
    pub fn operations(&self) -> Option<&dyn VmaOperations> {
        self.backing.file()?.operations()
    }

    pub(crate) fn opened(&self) {
        if let Some(operations) = self.operations() {
            operations.open(self);
        }
    }

    pub(crate) fn closed(&self) {
        if let Some(operations) = self.operations() {
            operations.close(self);
        }
    }
}
