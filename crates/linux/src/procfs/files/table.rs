//! A stable number for each *open file description* (what `open` creates and `dup` shares).
//!
//! Two mappings of one file merge only if they were made through the same description, and
//! descriptor numbers tell nothing: they are closed and reused. So a duplicate of the
//! description is taken from the traced process (`pidfd_getfd`) and kept; a later
//! descriptor is compared with the duplicates of the same inode (`F_DUPFD_QUERY`, or `kcmp`
//! before 6.10).
//!
//! # How long a duplicate may be kept
//!
//! A duplicate keeps the file open: its locks held, the file "busy" for `execve` if it is
//! open for writing, its mount in use. A mapping does exactly the same. So as long as some
//! mapping of the description exists, the duplicate changes nothing that the traced program
//! could see; when the last one goes, [`FileTable::release`] has to be called at once.
//!
//! # Where it degrades
//!
//! | Missing | Then |
//! |---|---|
//! | `pidfd_getfd` (before 5.6, or forbidden) | the file is opened as `O_PATH`; identity is a guess |
//! | both comparisons | identity is a guess |
//! | descriptors (half of the hard limit used) | nothing is kept: identity is a guess, names are not refreshed |
//!
//! A guess takes descriptions of the same inode and access for the same, and
//! [`Identified::certain`] is false.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use super::facts::{self, FileFacts};
use super::{DeviceNumber, FileName};
use crate::procfs::process::Status;
use crate::procfs::{Error, ioctl};

/// Answer of the table about one descriptor or mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// Number of the open file description; never used again for another one.
    pub id: u64,
    /// What it is at this moment.
    pub facts: FileFacts,
    /// The table did not know the description: if no mapping comes of it (the call failed),
    /// call [`FileTable::release`].
    pub is_new: bool,
    /// False if the identity is a guess, see the head of this file.
    pub certain: bool,
}

/// How the table keeps a file.
#[derive(Debug)]
enum Hold {
    /// The description itself: comparable.
    Duplicate(OwnedFd),
    /// The file, not the description.
    Path(OwnedFd),
    /// Nothing.
    Nothing,
}

impl Hold {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Hold::Duplicate(fd) | Hold::Path(fd) => Some(fd.as_fd()),
            Hold::Nothing => None,
        }
    }
}

#[derive(Debug)]
struct Entry {
    hold: Hold,
    key: Key,
    access: (bool, bool),
    name: FileName,
    /// Made for a mapping and not for a descriptor: never the same as a descriptor's.
    is_mapping: bool,
}

/// Device and inode, by which candidates for a comparison are found.
type Key = (DeviceNumber, u64);

/// The open file descriptions that are mapped somewhere.
#[derive(Debug)]
pub struct FileTable {
    entries: HashMap<u64, Entry>,
    by_inode: HashMap<Key, Vec<u64>>,
    next_id: u64,
    /// Descriptors in `entries`.
    nr_held: usize,
    /// How many may be kept.
    max_held: usize,
    /// Process asked last; a pidfd never comes to mean another process.
    last: Option<(Pid, OwnedFd)>,
}

impl Default for FileTable {
    fn default() -> Self {
        FileTable::new()
    }
}

impl FileTable {
    /// An empty table. It keeps up to half of the descriptors that the process may have; the
    /// soft limit is raised when they run short, long after a traced program was started and
    /// inherited the old one.
    #[must_use]
    pub fn new() -> FileTable {
        let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        FileTable::keeping_at_most(half(soft))
    }

    /// The same with a number of its own: for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn keeping_at_most(max_held: usize) -> FileTable {
        FileTable {
            entries: HashMap::new(),
            by_inode: HashMap::new(),
            next_id: 1,
            nr_held: 0,
            max_held,
            last: None,
        }
    }

    /// Descriptions known now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What descriptor `fd` of task `tid` is. `None` where a memory call gets `EBADF`: not
    /// open, or opened with `O_PATH`.
    ///
    /// The task should be stopped. Cost: about 7 µs.
    ///
    /// # Errors
    /// [`Error::Gone`], [`Error::Denied`].
    pub fn identify(&mut self, tid: Pid, fd: RawFd) -> Result<Option<Identified>, Error> {
        if fd < 0 {
            return Ok(None);
        }
        let Some((hold, flags)) = self.open(tid, fd)? else {
            return Ok(None);
        };
        if flags.contains(OFlag::O_PATH) {
            return Ok(None);
        }
        let Some(descriptor) = hold.descriptor() else {
            return Ok(None);
        };
        let facts = FileFacts::of(descriptor, flags);
        let facts = facts.map_err(|errno| Error::of_errno(tid, "file descriptor", errno))?;
        if let Some((id, certain)) = self.find(&hold, &facts) {
            return Ok(Some(Identified {
                id,
                facts,
                is_new: false,
                certain,
            }));
        }
        // Nothing known of this inode can be the same description: that is certain.
        let certain = true;
        let id = self.insert(hold, &facts, false);
        Ok(Some(Identified {
            id,
            facts,
            is_new: true,
            certain,
        }))
    }

    /// What is mapped at exactly `start..end` of `pid`, for mappings that no descriptor is
    /// known of, such as those that `execve` makes. `None` if no file is mapped there.
    ///
    /// Gives a *new* number each time: the program's text, data and so on are mapped through
    /// one description, and so are the interpreter's, so ask once for each and use the number
    /// for all mappings of the same device and inode at the exec. No descriptor that the
    /// program opens later is the same description. The file is not kept busy.
    ///
    /// # Errors
    /// As [`map_files_facts`](super::map_files_facts).
    pub fn identify_mapping(
        &mut self,
        pid: Pid,
        start: u64,
        end: u64,
    ) -> Result<Option<Identified>, Error> {
        let Some((facts, path)) = facts::open_mapped(pid, start, end)? else {
            return Ok(None);
        };
        let id = self.insert(path.map_or(Hold::Nothing, Hold::Path), &facts, true);
        Ok(Some(Identified {
            id,
            facts,
            is_new: true,
            certain: true,
        }))
    }

    /// Forgets a description and closes what was kept of it: its last mapping has gone, or
    /// none came of it. Unknown numbers are ignored.
    pub fn release(&mut self, id: u64) {
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        self.nr_held -= usize::from(entry.hold.descriptor().is_some());
        if let Some(ids) = self.by_inode.get_mut(&entry.key) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.by_inode.remove(&entry.key);
            }
        }
    }

    /// The name as maps prints it now: follows renames and unlinks without asking maps. The
    /// last known name where nothing is kept of the file; `None` for unknown numbers.
    ///
    /// Cost: one `readlink`, about 3 µs.
    pub fn name_now(&mut self, id: u64) -> Option<&FileName> {
        let entry = self.entries.get_mut(&id)?;
        if let Some(Ok(name)) = entry.hold.descriptor().map(FileName::of_descriptor) {
            entry.name = name;
        }
        Some(&entry.name)
    }

    /// The size in bytes now; `None` for unknown numbers and where nothing is kept of the file.
    ///
    /// Cost: one `statx`, about 1 µs.
    #[must_use]
    pub fn size_now(&self, id: u64) -> Option<u64> {
        let descriptor = self.entries.get(&id)?.hold.descriptor()?;
        Some(ioctl::statx(descriptor).ok()?.stx_size)
    }

    /// Whether [`FileTable::name_now`] follows renames of this file.
    #[must_use]
    pub fn follows_name(&self, id: u64) -> bool {
        self.entries
            .get(&id)
            .is_some_and(|entry| entry.hold.descriptor().is_some())
    }

    /// Gets at descriptor `fd` of `tid`, with its status flags.
    fn open(&mut self, tid: Pid, fd: RawFd) -> Result<Option<(Hold, OFlag)>, Error> {
        let of_errno = |errno| Error::of_errno(tid, "file descriptor", errno);
        loop {
            return match self.duplicate(tid, fd) {
                Ok(duplicate) => {
                    let flags = fcntl(&duplicate, FcntlArg::F_GETFL).map_err(of_errno)?;
                    Ok(Some((
                        Hold::Duplicate(duplicate),
                        OFlag::from_bits_retain(flags),
                    )))
                }
                Err(Errno::EBADF) => Ok(None),
                Err(Errno::EMFILE | Errno::ENFILE) if self.make_room() => continue,
                Err(Errno::ENOSYS | Errno::EPERM) => open_by_path(tid, fd),
                Err(errno) => Err(of_errno(errno)),
            };
        }
    }

    fn duplicate(&mut self, tid: Pid, fd: RawFd) -> Result<OwnedFd, Errno> {
        if let Some((last, pidfd)) = &self.last
            && *last == tid
        {
            match ioctl::pidfd_getfd(pidfd.as_fd(), fd) {
                // The number may belong to a new process by now.
                Err(Errno::ESRCH) => {}
                result => return result,
            }
        }
        let (_, pidfd) = self.last.insert((tid, pidfd_of(tid)?));
        ioctl::pidfd_getfd(pidfd.as_fd(), fd)
    }

    /// The known description that this is, and whether that is certain.
    fn find(&self, hold: &Hold, facts: &FileFacts) -> Option<(u64, bool)> {
        let ids = self.by_inode.get(&key_of(facts))?;
        let known = ids
            .iter()
            .filter_map(|id| Some((*id, self.entries.get(id)?)));
        let mut guess = None;
        for (id, entry) in known.filter(|(_, entry)| !entry.is_mapping) {
            match same_description(&entry.hold, hold) {
                Some(true) => return Some((id, true)),
                None if entry.access == (facts.readable, facts.writable) => {
                    guess = guess.or(Some((id, false)));
                }
                Some(false) | None => {}
            }
        }
        guess
    }

    fn insert(&mut self, hold: Hold, facts: &FileFacts, is_mapping: bool) -> u64 {
        let hold = if self.has_room() { hold } else { Hold::Nothing };
        self.nr_held += usize::from(hold.descriptor().is_some());
        let id = self.next_id;
        self.next_id += 1;
        let key = key_of(facts);
        let access = (facts.readable, facts.writable);
        let name = facts.name.clone();
        self.entries.insert(
            id,
            Entry {
                hold,
                key,
                access,
                name,
                is_mapping,
            },
        );
        self.by_inode.entry(key).or_default().push(id);
        id
    }

    /// Whether one more descriptor may be kept; raises the soft limit if not.
    fn has_room(&mut self) -> bool {
        if self.nr_held >= self.max_held {
            self.raise_limit();
        }
        self.nr_held < self.max_held
    }

    /// Raises the soft limit of descriptors to the hard one. `false` if it is there already,
    /// or if the table was given a number of its own.
    fn raise_limit(&mut self) -> bool {
        let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
            return false;
        };
        let is_raised = soft < hard
            && self.max_held == half(soft)
            && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        if is_raised {
            self.max_held = half(hard);
        }
        is_raised
    }

    /// No descriptor is left in the whole process: raises the limit, or else gives up one
    /// that is kept. `false` if neither is possible.
    fn make_room(&mut self) -> bool {
        if self.raise_limit() {
            return true;
        }
        let held = self
            .entries
            .values_mut()
            .find(|entry| entry.hold.descriptor().is_some());
        let Some(entry) = held else { return false };
        entry.hold = Hold::Nothing;
        self.nr_held -= 1;
        true
    }
}

fn half(limit: u64) -> usize {
    usize::try_from(limit / 2).unwrap_or(usize::MAX)
}

fn key_of(facts: &FileFacts) -> Key {
    (facts.device, facts.inode)
}

/// Whether both are the same description; `None` if that cannot be found out.
fn same_description(one: &Hold, other: &Hold) -> Option<bool> {
    let (Hold::Duplicate(one), Hold::Duplicate(other)) = (one, other) else {
        return None;
    };
    let (one, other) = (one.as_fd(), other.as_fd());
    ioctl::dupfd_query(one, other)
        .or_else(|_| ioctl::kcmp_file(one, other))
        .ok()
}

/// A pidfd of the task itself (Linux 6.9), or of its group's leader, who shares its files
/// unless the task has unshared them.
fn pidfd_of(tid: Pid) -> Result<OwnedFd, Errno> {
    match ioctl::pidfd_open(tid, true) {
        Err(Errno::EINVAL) => {
            let leader = Status::read(tid).map_or(tid, |status| status.tgid);
            ioctl::pidfd_open(leader, false)
        }
        result => result,
    }
}

/// Without `pidfd_getfd`: the file by its link in /proc, and the flags by their text.
fn open_by_path(tid: Pid, fd: RawFd) -> Result<Option<(Hold, OFlag)>, Error> {
    let is_alive = || PathBuf::from(format!("/proc/{tid}")).exists();
    let file = facts::open_path(&PathBuf::from(format!("/proc/{tid}/fd/{fd}")));
    let info = std::fs::read_to_string(format!("/proc/{tid}/fdinfo/{fd}"));
    match (file, info) {
        (Ok(file), Ok(info)) => {
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
            let flags = OFlag::from_bits_retain(flags.unwrap_or(libc::O_RDONLY));
            Ok(Some((Hold::Path(file), flags)))
        }
        (Err(error), _) | (_, Err(error)) => match error.kind() {
            std::io::ErrorKind::NotFound if is_alive() => Ok(None),
            _ => Err(Error::of(tid, "file descriptor", error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn links_and_texts_replace_a_missing_pidfd_getfd() {
        let file = std::fs::File::options()
            .append(true)
            .open("/dev/null")
            .unwrap();
        let (hold, flags) = open_by_path(Pid::this(), file.as_raw_fd())
            .unwrap()
            .unwrap();
        assert!(matches!(hold, Hold::Path(_)));
        assert!(flags.contains(OFlag::O_APPEND) && facts::is_writable(flags));
        assert!(!facts::is_readable(flags));
        assert!(open_by_path(Pid::this(), 999_999).unwrap().is_none());
        let gone = open_by_path(Pid::from_raw(i32::MAX), 0).unwrap_err();
        assert!(gone.is_gone(), "{gone}");
    }
}
