//! Page faults: what decides them is the VMA; what they do to pages is the embedder's.

use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::shared::SharedMm;
use crate::stack::Growth;
use crate::vma::Vma;
use core::fmt;
use vmaple_locks::level::{Nothing, VmaRead};
use vmaple_locks::{Environment, Held, Lookup, WaitError};

/// What a program did at an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// It read.
    Read,
    /// It wrote.
    #[doc(alias = "FAULT_FLAG_WRITE")]
    Write,
    /// It executed.
    #[doc(alias = "FAULT_FLAG_INSTRUCTION")]
    Execute,
}

/// A page fault.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fault {
    /// The address, in bytes; need not be page aligned.
    pub addr: u64,
    /// What the program did there.
    pub access: Access,
}

/// How a handler left a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handled {
    /// The page is there.
    Done,
    /// It has to wait for something (a page being read in) and cannot do so under the VMA's lock:
    /// [`FaultHandler::wait`] is called with no lock held, and then the fault begins anew.
    #[doc(alias = "VM_FAULT_RETRY")]
    Retry,
}

/// The embedder's part of a fault: pages, page tables, file contents.
pub trait FaultHandler {
    /// Why a fault that the VMA permits could not be served: no memory, beyond the end of a file.
    type Error;

    /// Makes the page at the fault's address usable. The VMA permits the access, contains the
    /// address, and stays as it is until this returns; one that is private and written to has its
    /// `anon_vma`. Other faults, on this VMA too, run at the same time: what they share is to be
    /// locked by the handler, with locks taken under `held`.
    ///
    /// # Errors
    /// The embedder's; the fault ends with it.
    fn handle(
        &mut self,
        vma: &Vma,
        fault: Fault,
        held: &mut Held<VmaRead>,
    ) -> Result<Handled, Self::Error>;

    /// Waits for what made [`handle`](Self::handle) answer [`Handled::Retry`]. No lock is held, so
    /// it may take any.
    fn wait(&mut self, held: &mut Held<Nothing>) {
        let _ = held;
    }
}

/// Why a fault was not served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultError<E> {
    /// Nothing is mapped there, and no stack grows there.
    #[doc(alias = "SEGV_MAPERR")]
    NotMapped,
    /// The mapping does not permit the access.
    #[doc(alias = "SEGV_ACCERR")]
    NotPermitted,
    /// The VMA could not be locked.
    Lock(WaitError),
    /// What the handler answered.
    Handler(E),
}

impl<E: fmt::Display> fmt::Display for FaultError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultError::NotMapped => f.write_str("nothing is mapped there"),
            FaultError::NotPermitted => f.write_str("the mapping does not permit the access"),
            FaultError::Lock(error) => error.fmt(f),
            FaultError::Handler(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for FaultError<E> {}

/// What a fault on a VMA needs before the handler can have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Handle,
    /// The VMA's first private page is about to come: it needs an anon_vma.
    PrepareAnonVma,
    Refuse,
}

impl Vma {
    /// Whether a program may do this to its memory. Any access right lets it read.
    ///
    /// ```
    /// use vmaple::{Access, AddrRange, Backing, VmFlags, Vma};
    /// let range = AddrRange::new(0x1000, 0x2000);
    /// let vma = Vma::new(range, VmFlags::WRITE, 1, Backing::Anonymous);
    /// assert!(vma.permits(Access::Write) && vma.permits(Access::Read));
    /// assert!(!vma.permits(Access::Execute));
    /// ```
    #[must_use]
    #[doc(alias = "access_error")]
    pub fn permits(&self, access: Access) -> bool {
        match access {
            Access::Read => self.flags.is_accessible(),
            Access::Write => self.flags.contains(VmFlags::WRITE),
            Access::Execute => self.flags.contains(VmFlags::EXEC),
        }
    }
}

fn judge(vma: &Vma, access: Access) -> Verdict {
    if !vma.permits(access) {
        Verdict::Refuse
    } else if access == Access::Write && vma.lacks_anon_vma() {
        Verdict::PrepareAnonVma
    } else {
        Verdict::Handle
    }
}

impl<E: Environment> SharedMm<E> {
    /// Serves a page fault.
    ///
    /// Under the lock of the VMA alone, beside every other fault and beside calls on other
    /// mappings; `mmap_lock` is taken only to wait for a call that is changing this VMA, to let a
    /// stack grow down to the address, and for the first write to a private mapping (once in a
    /// VMA's life).
    ///
    /// # Errors
    /// See [`FaultError`]. A fault that is refused has changed nothing.
    ///
    /// ```
    /// use vmaple::locks::{Held, level};
    /// use vmaple::{Access, Fault, FaultError, FaultHandler, Handled, Mm, MmConfig, MmapArgs};
    /// use vmaple::{SharedMm, Vma};
    ///
    /// /// Counts the pages that it makes.
    /// struct Pages(u64);
    ///
    /// impl FaultHandler for Pages {
    ///     type Error = std::convert::Infallible;
    ///
    ///     fn handle(
    ///         &mut self,
    ///         vma: &Vma,
    ///         fault: Fault,
    ///         _: &mut Held<level::VmaRead>,
    ///     ) -> Result<Handled, Self::Error> {
    ///         assert!(vma.range().contains(fault.addr));
    ///         self.0 += 1;
    ///         Ok(Handled::Done)
    ///     }
    /// }
    ///
    /// let space = SharedMm::new(Mm::new(MmConfig::x86_64()));
    /// let mut held = Held::nothing();
    /// let (read, private_anonymous) = (1, 0x22);
    /// let args = MmapArgs::anonymous(0, 4096, read, private_anonymous);
    /// let addr = space.write(&mut held).mmap(&args).unwrap();
    ///
    /// let mut pages = Pages(0);
    /// let reading = Fault { addr, access: Access::Read };
    /// assert_eq!(space.fault(&mut held, reading, &mut pages), Ok(()));
    /// let writing = Fault { addr, access: Access::Write };
    /// let refused = space.fault(&mut held, writing, &mut pages);
    /// assert_eq!((refused, pages.0), (Err(FaultError::NotPermitted), 1));
    /// ```
    #[doc(alias = "handle_mm_fault")]
    pub fn fault<H: FaultHandler>(
        &self,
        held: &mut Held<Nothing>,
        fault: Fault,
        handler: &mut H,
    ) -> Result<(), FaultError<H::Error>> {
        loop {
            let mut vma = match self.lock_vma_under_rcu(held, fault.addr) {
                Lookup::Locked(vma) => vma,
                Lookup::NotMapped(held) => {
                    self.grow_stack(held, fault.addr)
                        .ok_or(FaultError::NotMapped)?;
                    continue;
                }
                Lookup::Contended(_, held) => {
                    match self.vma_start_read_unlocked(held, fault.addr) {
                        Ok(Some(vma)) => vma,
                        // Gone by now, or still to grow: the next turn tells which.
                        Ok(None) => continue,
                        Err(error) => return Err(FaultError::Lock(error)),
                    }
                }
            };
            let (found, below) = vma.parts();
            match judge(found, fault.access) {
                Verdict::Refuse => return Err(FaultError::NotPermitted),
                Verdict::PrepareAnonVma => {
                    drop(vma);
                    self.write(held).note_faulted(fault.addr);
                    continue;
                }
                Verdict::Handle => {}
            }
            let handled = handler.handle(found, fault, below);
            drop(vma);
            match handled.map_err(FaultError::Handler)? {
                Handled::Done => return Ok(()),
                Handled::Retry => {
                    self.readers().note_retry();
                    handler.wait(held);
                }
            }
        }
    }

    /// Lets the stack above `addr` grow down to it. None if there is none that may.
    #[cold]
    fn grow_stack(&self, held: &mut Held<Nothing>, addr: u64) -> Option<()> {
        // Most such faults are mistakes of the program: these need no write section.
        if self.read(held).growth_at(addr) == Growth::None {
            return None;
        }
        self.write(held).expand_stack(addr).ok().map(|_| ())
    }
}

impl<E: Environment> Mm<E> {
    /// What a fault at `addr` has to do with a stack.
    fn growth_at(&self, addr: u64) -> Growth {
        match self.find(addr) {
            Some(vma) if vma.start <= addr => Growth::NotNeeded,
            Some(vma) if vma.flags.contains(VmFlags::GROWSDOWN) => Growth::Needed,
            _ => Growth::None,
        }
    }
}
