//! What the kernel knows at a call and the mirror cannot.
//!
//! Before the call: limits, the file behind a descriptor, and which of the mappings that the
//! decision may look at hold anonymous pages (Linux gives a mapping its `anon_vma` at the
//! first write, and whether two mappings merge depends on it). After the call: what the
//! kernel itself made for the mapping, and what it drew at random.

use vmaple::{AddrRange, MapFlags, Mm, VmFlags, Vma};

use super::concerned::whole_pages;

use super::decode::decode;
use super::{Live, Pending};
use crate::call::Call;
use crate::event::{CallRecord, Facts, Faults, FileSize, MappedFileFacts, Range, SpaceId};
use crate::procfs::files::FileKind;
use crate::procfs::process::{Limits, Status};
use crate::procfs::smaps;
use crate::setting::{capabilities, limits};
use crate::tracer::{ObserverError, RawCall, Stopped, Task};

impl Live<'_> {
    /// The typed call and everything to be known before it runs.
    ///
    /// # Errors
    /// Those of the trace, where a grown stack had to be recorded.
    pub(super) fn facts_before(
        &mut self,
        task: &Stopped<'_>,
        raw: &RawCall,
    ) -> Result<Pending, ObserverError> {
        let who = task.task();
        let call = decode(task, raw);
        let mut facts = Facts {
            limits: self.changed_limits(who),
            ..Facts::default()
        };
        if asks_for_privileges(&call) || self.locks_memory(who, &call) {
            facts.capabilities = self.changed_capabilities(who);
        }
        if matches!(call, Call::IoSetup { .. }) {
            // For now the pointer; the value behind it once the call has come back.
            facts.out = Some(raw.args[1]);
        }
        if let Some(fd) = descriptor(&call) {
            facts.file = self.file_behind(who, fd);
        }
        if matches!(
            call,
            Call::UffdRegister { .. } | Call::UffdUnregister { .. }
        ) && let Some(context) = &facts.file
        {
            facts.uffd_features = uffd_features(who, descriptor(&call));
            // No mapping holds a userfaultfd open, and neither may the table: closing it
            // means something. It is known by its inode.
            self.files.release(context.id);
        }
        if brings_in_pages(&call) {
            facts.sizes = self.changed_sizes(who, &call);
            facts.guards = self.guards_met_by(who, &call);
        }
        let mut clean = self.concerned(who, &call, &facts)?;
        if let Some(space) = self.spaces.get(&who.mm) {
            let held = space.anonymous(&clean);
            clean.retain(|range| !held.contains(range));
            facts.faults.before = held.into_iter().map(Range::from).collect();
            facts.alternatives = other_orders(&facts.faults.before);
        }
        Ok(Pending { call, facts, clean })
    }

    /// Adds what only the finished call shows.
    pub(super) fn facts_after(&mut self, task: &Stopped<'_>, record: &mut CallRecord) {
        if record.ret < 0 {
            record.facts.out = None;
            record.facts.refused = refusal(record);
            return;
        }
        let who = task.task();
        let at = record.ret.cast_unsigned();
        match record.call {
            Call::Mmap { addr, flags, .. } => {
                let anonymous = flags & MapFlags::ANONYMOUS.bits() != 0;
                let shared = matches!(flags & MAP_TYPE, MAP_SHARED | MAP_SHARED_VALIDATE);
                let kind = record.facts.file.as_ref().map(|file| file.file.kind);
                if shared && (anonymous || kind == Some(FileKind::DevZero)) {
                    record.facts.created = self.created_at(who, at);
                } else if let Some(file) = &mut record.facts.file
                    && has_driver(file.file.kind)
                {
                    file.driver_flags = flags_at(who, at);
                }
                if self.is_drawn(who, addr, flags) {
                    record.facts.drawn = Some(at);
                }
            }
            Call::Shmat { .. } => record.facts.created = self.created_at(who, at),
            Call::IoSetup { .. } => {
                // The context is the address of its ring, stored where the second argument
                // points.
                record.facts.out = record
                    .facts
                    .out
                    .and_then(|pointer| read_word(task, pointer));
                if let Some(ring) = record.facts.out {
                    record.facts.created = self.created_at(who, ring);
                }
            }
            _ => {}
        }
    }

    /// Whether what the call maps is locked because of an earlier one (`mlockall` of the
    /// future, a locked mapping that moves), so that the right to lock may decide.
    fn locks_memory(&self, who: Task, call: &Call) -> bool {
        let locks = |mm: &Mm| match *call {
            Call::Mmap { .. } | Call::Brk { .. } => mm.default_flags().contains(VmFlags::LOCKED),
            Call::Mremap { addr, .. } => mm
                .vma_at(addr)
                .is_some_and(|vma| vma.flags.contains(VmFlags::LOCKED)),
            _ => false,
        };
        let space = SpaceId(who.mm.0);
        self.mirror.look(space, locks).unwrap_or(false)
    }

    fn changed_limits(&self, who: Task) -> Option<vmaple::Limits> {
        let now = limits(&Limits::read(who.tid).ok()?);
        let space = SpaceId(who.mm.0);
        let known = self.mirror.look(space, |mm| mm.config().limits)?;
        (now != known).then_some(now)
    }

    fn changed_capabilities(&self, who: Task) -> Option<vmaple::Capabilities> {
        let now = capabilities(&Status::read(who.tid).ok()?);
        let space = SpaceId(who.mm.0);
        let known = self.mirror.look(space, |mm| mm.config().capabilities)?;
        (now != known).then_some(now)
    }

    /// Files that have another size than the mirror knows, below what the call names.
    fn changed_sizes(&self, who: Task, call: &Call) -> Vec<FileSize> {
        let page = self.machine.page_size;
        let everything = AddrRange::new(0, !(page - 1));
        let mut ranges: Vec<AddrRange> = call
            .spans()
            .iter()
            .map(|span| whole_pages(span.start, span.len, page))
            .collect();
        if call.touches_whole_map() {
            ranges.push(everything);
        }
        let space = SpaceId(who.mm.0);
        let known = ranges
            .into_iter()
            .flat_map(|range| self.mirror.file_sizes(space, range));
        let changed = known.filter_map(|known| {
            let bytes = self.files.size_now(known.file)?;
            (bytes != known.bytes).then_some(FileSize {
                file: known.file,
                bytes,
            })
        });
        changed.collect()
    }

    /// The guard pages in what the call brings in, if a mapping there may have any.
    fn guards_met_by(&self, who: Task, call: &Call) -> Option<Vec<Range>> {
        let page = self.machine.page_size;
        let mut ranges: Vec<AddrRange> = call
            .spans()
            .iter()
            .map(|span| whole_pages(span.start, span.len, page))
            .collect();
        if call.touches_whole_map() {
            ranges.push(AddrRange::new(0, !(page - 1)));
        }
        let mut marked = Vec::new();
        self.mirror.look(SpaceId(who.mm.0), |mm| {
            for range in ranges {
                let may_hold = |vma: &&Vma| vma.flags.contains(VmFlags::MAYBE_GUARD);
                let parts = mm.overlapping(range).filter(may_hold);
                marked.extend(parts.map(|vma| vma.range().intersection(range)));
            }
        })?;
        if marked.is_empty() {
            return None;
        }
        let guards = self.spaces.get(&who.mm)?.guards(&marked);
        Some(guards.into_iter().map(Range::from).collect())
    }

    /// The file that `fd` of the task names; none where it is not open.
    fn file_behind(&mut self, who: Task, fd: i32) -> Option<MappedFileFacts> {
        let known = self.files.identify(who.tid, fd).ok()??;
        Some(MappedFileFacts {
            id: known.id,
            file: known.facts,
            driver_flags: None,
        })
    }

    /// The file that the kernel made for the mapping that contains `at`.
    fn created_at(&mut self, who: Task, at: u64) -> Option<MappedFileFacts> {
        let space = self.spaces.get(&who.mm)?;
        let mapping = space.maps.as_ref()?.mapping_at(at).ok()??;
        let made = self
            .files
            .identify_mapping(who.tid, mapping.start, mapping.end)
            .ok()??;
        let mut file = made.facts;
        file.size_bytes = mapping.end - mapping.start;
        Some(MappedFileFacts {
            id: made.id,
            file,
            driver_flags: None,
        })
    }

    /// Whether the kernel picks this address at random: `MAP_32BIT` without a usable hint.
    fn is_drawn(&self, who: Task, addr: u64, flags: u64) -> bool {
        let fixed = MapFlags::FIXED.union(MapFlags::FIXED_NOREPLACE).bits();
        let low = flags & MapFlags::BIT32.bits() != 0 && flags & fixed == 0 && addr == 0;
        low && self
            .mirror
            .look(SpaceId(who.mm.0), |mm| mm.config().randomize)
            .unwrap_or(false)
    }
}

/// The same first writes in the opposite order, where two of them touch: the later one may
/// take over the earlier one's `anon_vma`, so the order may show.
fn other_orders(faulted: &[Range]) -> Vec<Faults> {
    if !faulted.windows(2).any(|pair| pair[0].end == pair[1].start) {
        return Vec::new();
    }
    let mut reversed = faulted.to_vec();
    reversed.reverse();
    vec![Faults {
        before: reversed,
        ..Faults::default()
    }]
}

/// The bits of mmap's flags that hold the kind of sharing.
const MAP_TYPE: u64 = 0xf;
const MAP_SHARED: u64 = 1;
const MAP_SHARED_VALIDATE: u64 = 3;

/// The descriptor argument, where the call has one that matters.
fn descriptor(call: &Call) -> Option<i32> {
    match *call {
        Call::Mmap { flags, fd, .. } if flags & MapFlags::ANONYMOUS.bits() == 0 => Some(fd),
        Call::UffdRegister { fd, .. } | Call::UffdUnregister { fd, .. } => Some(fd),
        _ => None,
    }
}

/// Whether the call reads or writes pages of the mappings it names: beyond the end of a file
/// there are none.
fn brings_in_pages(call: &Call) -> bool {
    match *call {
        Call::Mlock { .. } | Call::Mlock2 { .. } | Call::Mlockall { .. } => true,
        Call::Madvise { advice, .. } => {
            matches!(advice, libc::MADV_POPULATE_READ | libc::MADV_POPULATE_WRITE)
        }
        _ => false,
    }
}

/// `UFFD_FEATURE_*` of an open userfaultfd, from `/proc/TID/fdinfo/FD`.
fn uffd_features(who: Task, fd: Option<i32>) -> Option<u64> {
    let path = format!("/proc/{}/fdinfo/{}", who.tid, fd?);
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("API:"))?;
    u64::from_str_radix(line.split(':').nth(1)?.trim(), 16).ok()
}

/// Whether the result may hang on a capability.
fn asks_for_privileges(call: &Call) -> bool {
    match *call {
        Call::Mlock { .. } | Call::Mlock2 { .. } | Call::Mlockall { .. } | Call::SetMm { .. } => {
            true
        }
        Call::Mmap { addr, flags, .. } => {
            flags & MapFlags::LOCKED.bits() != 0 || (addr < LOW_ADDRESSES && addr != 0)
        }
        _ => false,
    }
}

/// Below this, `CAP_SYS_RAWIO` may decide.
const LOW_ADDRESSES: u64 = 1 << 20;

/// Whether a driver decides what a mapping of the file is.
fn has_driver(kind: FileKind) -> bool {
    matches!(
        kind,
        FileKind::CharDevice(_) | FileKind::BlockDevice(_) | FileKind::AnonymousInode
    )
}

/// The error with which the driver or the filesystem of a file may have refused to map it.
fn refusal(record: &CallRecord) -> Option<i32> {
    let file = record.facts.file.as_ref()?;
    let errno = i32::try_from(-record.ret).ok()?;
    let possible = match record.call {
        Call::Mmap { .. } if has_driver(file.file.kind) => true,
        // A filesystem either maps its files or does not: those of /proc and /sys for example.
        Call::Mmap { .. } => errno == libc::ENODEV,
        _ => false,
    };
    possible.then_some(errno)
}

/// `VmFlags` of the mapping that contains `at`.
fn flags_at(who: Task, at: u64) -> Option<String> {
    let mut flags = smaps::vm_flags_at(who.tid, at, at + 1).ok()?;
    flags.pop().map(|mapping| mapping.mnemonics)
}

fn read_word(task: &Stopped<'_>, at: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    let read = task.read_memory(at, &mut bytes).ok()?;
    (read == bytes.len()).then(|| u64::from_ne_bytes(bytes))
}
