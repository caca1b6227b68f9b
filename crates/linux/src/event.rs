//! What happens to an address space, as plain data.
//!
//! A run is a sequence of [`Event`]s. The live observer makes them, the mirror consumes
//! them, a trace file keeps them: the same mirror code serves `run` and `replay`, because it
//! never sees anything but events. Whatever the mirror cannot compute (which file a
//! descriptor names, whether a page was written) is a *fact* inside the event, found out
//! from the kernel when it happened.

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::procfs::files::{FileFacts, FileName};

/// Names one address space for the length of a run. Threads, and children of vfork until
/// they exec, share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpaceId(pub u64);

/// A range of addresses in bytes, `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl From<vmaple::AddrRange> for Range {
    fn from(range: vmaple::AddrRange) -> Range {
        Range {
            start: range.start,
            end: range.end,
        }
    }
}

/// One thing that happened, in the order in which the kernel did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first line of a trace.
    Start(Start),
    /// The whole map as the kernel tells it: after exec, or when the mirror starts anew.
    Image(Box<Image>),
    /// Another task uses an address space that is there already.
    Join {
        /// The shared address space.
        space: SpaceId,
        /// The new task's process.
        pid: i32,
        /// The new task.
        tid: i32,
        /// The task that made it.
        by: i32,
    },
    /// A process was copied.
    Fork {
        /// The copied address space.
        parent: SpaceId,
        /// The process that forked.
        parent_pid: i32,
        /// The copy.
        child: SpaceId,
        /// The new process.
        pid: i32,
        /// Mappings of the parent found to hold anonymous pages, ascending.
        faulted: Vec<Range>,
    },
    /// A memory call came back.
    Call(Box<CallRecord>),
    /// A stack grew downwards by a page fault, found when maps were compared.
    Grew {
        /// Whose.
        space: SpaceId,
        /// The process in which it was found.
        pid: i32,
        /// The lowest address before.
        from: u64,
        /// The lowest address now.
        to: u64,
        /// Mappings beside it found to hold anonymous pages at the same time: which came
        /// first is not known.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        faulted: Vec<Range>,
    },
    /// The map showed in which order faults and earlier calls came: another of the possible
    /// states is the right one.
    Order {
        /// Whose.
        space: SpaceId,
        /// Which of the other states.
        other: usize,
    },
    /// From here on a process is not followed any more, for a reason with a name: a re-seed.
    Unfollowed {
        /// Whose.
        space: SpaceId,
        /// The process.
        pid: i32,
        /// Why.
        why: String,
    },
    /// A userfaultfd was closed, which ended its registrations.
    UffdReleased {
        /// Where it had registered ranges.
        space: SpaceId,
        /// Its inode.
        context: u64,
    },
    /// A mapped file carries another name now (renamed or unlinked while mapped).
    Renamed {
        /// The open file description, as in [`MappedFileFacts::id`].
        file: u64,
        /// The name as maps shows it.
        name: FileName,
    },
    /// What the kernel showed at a moment that a replay must come to as well.
    Map {
        /// Whose map.
        space: SpaceId,
        /// The process whose map was read.
        pid: i32,
        /// Why it was read.
        moment: Moment,
        /// `/proc/PID/maps`, whole.
        text: String,
    },
    /// The last user of an address space is gone.
    Gone {
        /// Which.
        space: SpaceId,
    },
    /// A process ended.
    Exit {
        /// Which.
        pid: i32,
        /// How.
        status: Status,
    },
}

/// The start of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// [`crate::trace_file::VERSION`] of the writer.
    pub version: u32,
    /// Kernel release, as `uname -r` shows it.
    pub kernel: String,
    /// The traced command line.
    pub command: Vec<String>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It called exit with this status, 0 to 255.
    Exited(i32),
    /// A signal of this number killed it.
    Killed(i32),
}

/// Why a whole map was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Just before exec replaced it.
    Exec,
    /// Just before its last user was gone.
    Exit,
}

/// Why a map was read anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A program was started in it.
    Exec,
    /// The named call is outside of what vmaple models: a re-seed.
    Unmodelled(String),
    /// A difference was found and reported; the mirror goes on from the kernel's map.
    Difference,
}

/// A whole map and all that is needed to go on from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Which address space.
    pub space: SpaceId,
    /// Its process.
    pub pid: i32,
    /// The program, as `/proc/PID/exe` names it.
    pub program: String,
    /// Why the map was read.
    pub cause: Cause,
    /// Placement, limits and privileges.
    pub config: vmaple::MmConfig,
    /// Marks inside the map: break, stack, code and data.
    pub areas: vmaple::BrkArea,
    /// The mappings, ascending.
    pub vmas: Vec<ImageVma>,
}

/// One mapping of an [`Image`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageVma {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// `VmFlags` of smaps: two-letter words.
    pub flags: String,
    /// `ProtectionKey` of smaps.
    pub pkey: u32,
    /// Offset in bytes as maps shows it, zero for anonymous memory.
    pub offset: u64,
    /// Page offset of anonymous memory where it is not that of its own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anon_pgoff: Option<u64>,
    /// What stands behind it.
    pub backing: ImageBacking,
    /// It holds anonymous pages.
    #[serde(default, skip_serializing_if = "is_false")]
    pub faulted: bool,
    /// It came through a fork with its parent's anonymous pages in it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub inherited: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// What stands behind a mapping of an [`Image`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageBacking {
    /// Nothing but memory.
    Anonymous,
    /// Memory that prctl gave a name.
    Named(String),
    /// A file.
    File(MappedFileFacts),
    /// A mapping of the kernel's own: `[vdso]` and the like.
    Special(String),
    /// The gate page at the end of the list, outside of the map proper.
    Gate(String),
}

/// A file and the identity of its open description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedFileFacts {
    /// Equal for two mappings if and only if they were made from one open description.
    pub id: u64,
    /// What the kernel shows of the file.
    #[serde(flatten)]
    pub file: FileFacts,
    /// `VmFlags` of a mapping whose driver sets flags of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_flags: Option<String>,
}

/// A memory call that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The caller's address space.
    pub space: SpaceId,
    /// The caller's process.
    pub pid: i32,
    /// The caller.
    pub tid: i32,
    /// The call.
    pub call: Call,
    /// What the kernel returned: a value, or a negative error number.
    pub ret: i64,
    /// What the kernel knew and the mirror could not.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
}

/// What the kernel knew when a call ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// First writes to mappings since the last call.
    #[serde(flatten)]
    pub faults: Faults,
    /// Other orders of the same first writes that explain the outcome as well. Which one it
    /// was shows later or never.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Faults>,
    /// The file behind the descriptor argument; none where the descriptor is not open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<MappedFileFacts>,
    /// The file that the kernel made for the mapping (shared anonymous memory, System V
    /// segments, the ring of `io_setup`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<MappedFileFacts>,
    /// The address, where the kernel draws it at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drawn: Option<u64>,
    /// The caller's limits, where they changed since the last call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<vmaple::Limits>,
    /// What the caller may do, where it changed since an earlier call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<vmaple::Capabilities>,
    /// Files that grew or shrank since the mirror last heard of them, where the call brings
    /// in their pages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<FileSize>,
    /// Guard pages in what the call brings in, where it has to know of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guards: Option<Vec<Range>>,
    /// Why the order of this call and others is not known, where it is not: another result
    /// than the mirror's is a re-seed then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unordered: Option<String>,
    /// `UFFD_FEATURE_*` of the userfaultfd that a registration is made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uffd_features: Option<u64>,
    /// The error with which a driver or filesystem that decides by itself refused to map the
    /// file: it comes where nothing else is wrong with the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<i32>,
    /// A value behind a pointer that the call returned through (`io_setup`'s context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<u64>,
}

/// The size of a mapped file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSize {
    /// The open file description, as in [`MappedFileFacts::id`].
    pub file: u64,
    /// Its size.
    pub bytes: u64,
}

/// First writes to mappings, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Faults {
    /// Before the call began.
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "faulted")]
    pub before: Vec<Range>,
    /// While the call ran, by another thread, before the kernel's decision.
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "faulted_during")]
    pub during: Vec<Range>,
    /// While the call ran, by another thread, after the kernel's decision.
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "faulted_after")]
    pub after: Vec<Range>,
}

impl Facts {
    /// True where nothing was found out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Facts::default()
    }
}
