//! One mapping by address: what the ioctl PROCMAP_QUERY answers.
//!
//! `search` is the question itself, over any source of VMAs; [`Mm::query`] asks it of an address
//! space that nobody changes meanwhile. `ioctl` is the same in the kernel's own binary form, with
//! the kernel's error codes.

mod ioctl;

pub use ioctl::{BadAddress, PROCMAP_QUERY_SIZE, UserMemory, answer_ioctl};

use crate::addr::AddrRange;
use crate::errno::Errno;
use crate::file::Device;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::proc_text::{FilePlace, MappingName, TextBuffer, VmaSource};
use crate::shared::SharedMm;
use crate::vma::Vma;
use bitflags::bitflags;
use core::fmt::Write;
use vmaple_locks::level::Nothing;
use vmaple_locks::{Cancel, Environment, Held};

bitflags! {
    /// What a query asks for, and what its answer says of permissions.
    ///
    /// The bits are those of the ioctl. Each filter that is set has to hold of the mapping.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct QueryFlags: u64 {
        /// The mapping may be read.
        const READABLE = 1;
        /// The mapping may be written.
        const WRITABLE = 2;
        /// The mapping may be executed.
        const EXECUTABLE = 4;
        /// The mapping was made with MAP_SHARED.
        const SHARED = 8;
        /// Where no mapping that fits covers the address, the next one above that fits.
        const COVERING_OR_NEXT = 0x10;
        /// The mapping has a file, or a shared-memory object.
        const FILE_BACKED = 0x20;
    }
}

impl QueryFlags {
    /// What the answer says of a mapping with these flags.
    #[must_use]
    pub fn of(flags: VmFlags) -> QueryFlags {
        let mut shown = QueryFlags::empty();
        shown.set(QueryFlags::READABLE, flags.contains(VmFlags::READ));
        shown.set(QueryFlags::WRITABLE, flags.contains(VmFlags::WRITE));
        shown.set(QueryFlags::EXECUTABLE, flags.contains(VmFlags::EXEC));
        shown.set(QueryFlags::SHARED, flags.contains(VmFlags::MAYSHARE));
        shown
    }

    /// Whether `vma` passes the filters.
    fn pass(self, vma: &Vma) -> bool {
        let filters = self.difference(QueryFlags::COVERING_OR_NEXT);
        let wanted = filters.difference(QueryFlags::FILE_BACKED);
        filters.is_empty()
            || (filters == wanted || vma.backing.file().is_some())
                && QueryFlags::of(vma.flags).contains(wanted)
    }
}

/// A question for one mapping.
#[derive(Debug, Default)]
pub struct Query<'a> {
    /// The address.
    pub addr: u64,
    /// Filters, and what to do where nothing covers the address.
    pub flags: QueryFlags,
    /// Where the name goes; empty: not asked for.
    pub name: &'a mut [u8],
    /// Where the build id goes; empty: not asked for.
    pub build_id: &'a mut [u8],
}

/// A mapping that a query found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueryAnswer {
    /// Its addresses, in bytes.
    pub range: AddrRange,
    /// Its permissions.
    pub flags: QueryFlags,
    /// Size of its pages in bytes.
    pub page_size: u64,
    /// Offset in the file in bytes; 0 without a file.
    pub offset: u64,
    /// The file's device; 0:0 without a file.
    pub device: Device,
    /// The file's inode; 0 without a file.
    pub inode: u64,
    /// Bytes of the name that were written, without a final zero; 0: it has none, or it was not
    /// asked for.
    pub name_len: usize,
    /// Bytes of the build id that were written; 0: it has none, or it was not asked for.
    pub build_id_len: usize,
}

/// Shows the mapping that `addr` and `flags` ask for to `show`; None if there is none.
///
/// O(log n) for the mapping that covers the address, O(1) for each further one that a filter
/// passes over. Each mapping is looked at for itself: where the source lets the address space
/// change meanwhile, the answer is true of that one mapping.
///
/// # Errors
/// Those of the source.
pub fn search<S: VmaSource, R>(
    source: &mut S,
    addr: u64,
    flags: QueryFlags,
    show: impl FnOnce(&Vma, &crate::BrkArea) -> R,
) -> Result<Option<R>, S::Error> {
    /// What to do after a look at one mapping.
    enum Seen<R> {
        Shown(R),
        Passed(u64),
        Absent,
    }
    let mut show = Some(show);
    let or_next = flags.contains(QueryFlags::COVERING_OR_NEXT);
    let mut at = addr;
    loop {
        let seen = source.with_next(at, |vma, areas| {
            if vma.start > addr && !or_next {
                return Seen::Absent;
            }
            match (flags.pass(vma), show.take()) {
                (true, Some(show)) => Seen::Shown(show(vma, areas)),
                (_, kept) => {
                    show = kept;
                    Seen::Passed(vma.end)
                }
            }
        })?;
        match seen {
            Some(Seen::Shown(shown)) => return Ok(Some(shown)),
            Some(Seen::Passed(end)) if or_next => at = end,
            Some(Seen::Passed(_) | Seen::Absent) | None => return Ok(None),
        }
    }
}

/// The mapping that `query` asks for, with its name and build id where those were asked for.
///
/// Over the source of a [`SharedMm`] the answer is true of one mapping at one moment, see
/// [`SharedMm::query`]. Nothing is allocated.
///
/// # Errors
/// As [`Mm::query`], and those of the source.
///
/// ```
/// use vmaple::{Mm, MmConfig, MmapArgs, Query, answer_query};
///
/// let mut mm = Mm::new(MmConfig::x86_64());
/// mm.mmap(&MmapArgs::anonymous(0x10000, 0x1000, 3, 0x32)).unwrap();
/// let mut query = Query { addr: 0x10123, ..Query::default() };
/// let answer = answer_query(&mut mm.vma_source(), &mut query);
/// assert_eq!(answer.unwrap().range.start, 0x10000);
/// ```
#[doc(alias = "PROCMAP_QUERY")]
pub fn answer_query<S>(source: &mut S, query: &mut Query<'_>) -> Result<QueryAnswer, Errno>
where
    S: VmaSource,
    Errno: From<S::Error>,
{
    let Query { name, build_id, .. } = query;
    let page_shift = source.page_shift();
    let found = search(source, query.addr, query.flags, |vma, areas| {
        answer(vma, areas, page_shift, name, build_id)
    })?;
    found.unwrap_or(Err(Errno::ENOENT))
}

/// Names longer than this are refused, their final zero included.
const PATH_MAX: usize = 4096;

/// Fills in an answer, its name and build id.
fn answer(
    vma: &Vma,
    areas: &crate::BrkArea,
    page_shift: u32,
    name: &mut [u8],
    build_id: &mut [u8],
) -> Result<QueryAnswer, Errno> {
    let FilePlace {
        offset,
        device,
        inode,
    } = FilePlace::of(vma, page_shift);
    let mut answer = QueryAnswer {
        range: vma.range(),
        flags: QueryFlags::of(vma.flags),
        page_size: 1 << page_shift,
        offset,
        device,
        inode,
        name_len: 0,
        build_id_len: 0,
    };
    if vmaple_sync::planted!("allocates_under_lock") {
        drop(core::hint::black_box(alloc::vec![0_u8; name.len().max(1)]));
    }
    if !build_id.is_empty() {
        let file = vma.backing.file();
        if let Some(id) = file.and_then(|file| file.build_id()) {
            let room = build_id.get_mut(..id.len()).ok_or(Errno::ENAMETOOLONG)?;
            room.copy_from_slice(id);
            answer.build_id_len = id.len();
        }
    }
    if !name.is_empty() {
        // One byte is for the final zero.
        let room = name.len().min(PATH_MAX) - 1;
        let mut text = TextBuffer::new(name.get_mut(..room).unwrap_or_default());
        write_name(&MappingName::of(vma, areas), &mut text);
        if !text.fits() {
            return Err(Errno::ENAMETOOLONG);
        }
        answer.name_len = text.len();
    }
    Ok(answer)
}

/// Writes a name as the ioctl gives it: that of maps, but newlines stay newlines.
fn write_name(name: &MappingName<'_>, out: &mut TextBuffer<'_>) {
    // A buffer takes everything, so only a file that gives up fails, and leaves a short name.
    let _ = match name {
        MappingName::File(file) => file.write_path(out),
        other => write!(out, "{other}"),
    };
}

impl<E: Environment> Mm<E> {
    /// The mapping at an address, or after it, with its name and build id.
    ///
    /// Answers as the ioctl PROCMAP_QUERY does; the gate VMA is never found. O(log n), and O(1)
    /// for each mapping that a filter passes over. Nothing is allocated.
    ///
    /// # Errors
    /// ENOENT: no mapping fits. ENAMETOOLONG: the name with its final zero, or the build id, does
    /// not fit its buffer.
    ///
    /// ```
    /// use vmaple::{Errno, Mm, MmConfig, MmapArgs, Query, QueryFlags};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// mm.mmap(&MmapArgs::anonymous(0x10000, 0x1000, 1, 0x32)).unwrap();
    /// mm.mmap(&MmapArgs::anonymous(0x20000, 0x1000, 3, 0x32)).unwrap();
    /// let mut query = Query { addr: 0x10800, ..Query::default() };
    /// assert_eq!(mm.query(&mut query).unwrap().range.start, 0x10000);
    /// query.flags = QueryFlags::WRITABLE;
    /// assert_eq!(mm.query(&mut query), Err(Errno::ENOENT));
    /// query.flags |= QueryFlags::COVERING_OR_NEXT;
    /// assert_eq!(mm.query(&mut query).unwrap().range.start, 0x20000);
    /// ```
    #[doc(alias = "PROCMAP_QUERY")]
    pub fn query(&self, query: &mut Query<'_>) -> Result<QueryAnswer, Errno> {
        answer_query(&mut self.vma_source(), query)
    }
}

impl<E: Environment> SharedMm<E> {
    /// The mapping at an address, or after it, beside the calls of other threads.
    ///
    /// Takes every flag and filter of [`Mm::query`], and answers as it does. The answer, with its
    /// name and build id, is true of one mapping at one moment of the call; with
    /// [`COVERING_OR_NEXT`](QueryFlags::COVERING_OR_NEXT), what lies between the address and the
    /// mapping was free, or did not fit the filters, at some moment of it. `mmap_lock` is taken only
    /// where many calls in turn change just what is asked for. Nothing is allocated.
    ///
    /// # Errors
    /// As [`Mm::query`]. EINTR: `cancel` has ended a wait for a call that changes the mapping.
    /// EAGAIN: it has as many readers as can be counted. ESRCH: the address space is another one
    /// now.
    ///
    /// ```
    /// use vmaple::locks::{Cancel, Held};
    /// use vmaple::{Mm, MmConfig, MmapArgs, Query, SharedMm};
    ///
    /// let space = SharedMm::new(Mm::new(MmConfig::x86_64()));
    /// let (mut held, cancel) = (Held::nothing(), Cancel::new());
    /// space.write(&mut held).mmap(&MmapArgs::anonymous(0x10000, 0x1000, 3, 0x32)).unwrap();
    ///
    /// let mut query = Query { addr: 0x10123, ..Query::default() };
    /// let answer = space.query(&mut held, &mut query, &cancel);
    /// assert_eq!(answer.unwrap().range.start, 0x10000);
    /// ```
    ///
    /// One reader's position cannot be moved by a query meanwhile: both borrow what the thread
    /// holds, and the reader belongs to who reads.
    ///
    /// ```compile_fail,E0499
    /// # use vmaple::locks::{Cancel, Held};
    /// # use vmaple::{MapsReader, Mm, MmConfig, Query, SharedMm};
    /// # let space = SharedMm::new(Mm::new(MmConfig::x86_64()));
    /// # let (mut held, cancel) = (Held::nothing(), Cancel::new());
    /// let mut maps = space.vma_source(&mut held, &cancel);
    /// let answer = space.query(&mut held, &mut Query::default(), &cancel);
    /// MapsReader::new().read(&mut maps, &mut [0; 80]);
    /// ```
    #[doc(alias = "PROCMAP_QUERY")]
    pub fn query(
        &self,
        held: &mut Held<Nothing>,
        query: &mut Query<'_>,
        cancel: &Cancel<E::Wait>,
    ) -> Result<QueryAnswer, Errno> {
        answer_query(&mut self.vma_source(held, cancel), query)
    }
}
