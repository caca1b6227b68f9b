//! Mappings as a picture shows them: kind, name, and how long they were there.

use std::collections::HashMap;

use serde::{Serialize, Serializer};
use vmaple::{AddrRange, MappingName, MapsEntry, VmFlags};

/// What a mapping is for, as a person sees it: one colour each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Machine code of a file.
    Code = 0,
    /// Other private mappings of files.
    File = 1,
    /// Shared memory and shared files.
    Shared = 2,
    /// What brk moves.
    Heap = 3,
    /// Anonymous memory.
    Anonymous = 4,
    /// The first thread's stack.
    Stack = 5,
    /// Addresses without access: reserved, or a guard.
    Reserved = 6,
    /// Made by the kernel: `[vdso]` and the like.
    Kernel = 7,
}

impl Kind {
    /// All of them in the order of their numbers, as people call them.
    pub const LABELS: [&'static str; 8] = [
        "code",
        "file data",
        "shared",
        "heap",
        "anonymous",
        "stack",
        "no access",
        "kernel",
    ];

    /// The kind of a mapping.
    #[must_use]
    pub fn of(entry: &MapsEntry<'_>) -> Kind {
        match entry.name {
            _ if !entry.flags.is_accessible() => Kind::Reserved,
            MappingName::Special(_) => Kind::Kernel,
            MappingName::Heap => Kind::Heap,
            MappingName::Stack => Kind::Stack,
            _ if entry.flags.contains(VmFlags::MAYSHARE) => Kind::Shared,
            MappingName::File(_) if entry.flags.contains(VmFlags::EXEC) => Kind::Code,
            MappingName::File(_) => Kind::File,
            MappingName::None | MappingName::Anonymous(_) | MappingName::AnonymousShared(_) => {
                Kind::Anonymous
            }
        }
    }
}

/// Names, each once.
#[derive(Debug, Default)]
pub struct Names {
    all: Vec<String>,
    places: HashMap<String, usize>,
}

impl Names {
    fn place(&mut self, name: String) -> usize {
        if let Some(&place) = self.places.get(&name) {
            return place;
        }
        self.all.push(name.clone());
        self.places.insert(name, self.all.len() - 1);
        self.all.len() - 1
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all.serialize(serializer)
    }
}

/// A mapping that stayed as it was from one column to another.
///
/// Serialised as `[start, end, kind, perms, name, from, to]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rect {
    /// Its addresses.
    pub range: AddrRange,
    /// Its colour.
    pub kind: Kind,
    /// `rwxs` as bits 0 to 3.
    pub perms: u8,
    /// Place of its name.
    pub name: usize,
    /// The first state that has it; state 0 is the map before the first call.
    pub from: u32,
    /// The first state after that which has it no more.
    pub to: u32,
}

impl Serialize for Rect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let AddrRange { start, end } = self.range;
        let (kind, perms) = (self.kind as u8, self.perms);
        (start, end, kind, perms, self.name, self.from, self.to).serialize(serializer)
    }
}

impl Rect {
    /// A mapping seen first in state `from`.
    pub(super) fn new(entry: &MapsEntry<'_>, from: u32, names: &mut Names) -> Rect {
        Rect {
            range: entry.range,
            kind: Kind::of(entry),
            perms: perms(entry.flags),
            name: names.place(entry.name.to_string()),
            from,
            to: from,
        }
    }

    /// Whether `entry` is still the same mapping.
    pub(super) fn is(&self, entry: &MapsEntry<'_>) -> bool {
        self.range == entry.range
            && self.perms == perms(entry.flags)
            && self.kind == Kind::of(entry)
    }

    /// The same where only every second state is kept; None if it is in none of those.
    pub(super) fn halved(self) -> Option<Rect> {
        let (from, to) = (self.from.div_ceil(2), self.to.div_ceil(2));
        (from < to).then_some(Rect { from, to, ..self })
    }
}

fn perms(flags: VmFlags) -> u8 {
    let bits = [
        VmFlags::READ,
        VmFlags::WRITE,
        VmFlags::EXEC,
        VmFlags::MAYSHARE,
    ];
    let set = bits.into_iter().enumerate();
    set.fold(0, |perms, (bit, flag)| {
        perms | (u8::from(flags.contains(flag)) << bit)
    })
}
