//! VMAs that are told in full by their range and their flags: anonymous memory without a name.
//!
//! Such a VMA publishes its flags as one word, and a reader of maps writes its line without having
//! locked it. Most mappings of a program that maps and unmaps a lot are of this kind.

use crate::addr::AddrRange;
use crate::areas::BrkArea;
use crate::flags::VmFlags;
use crate::vma::{Backing, Vma};
use core::num::NonZeroU64;
use core::ops::Range;

/// A VMA as it was at some moment, told without a lock: anonymous memory without a name given by
/// PR_SET_VMA_ANON_NAME.
#[derive(Clone, Copy, Debug)]
pub struct PlainVma {
    /// Its addresses, in bytes.
    pub range: AddrRange,
    /// Its flags.
    pub flags: VmFlags,
    /// The bounds of heap and stack at that moment; the others are 0.
    pub areas: BrkArea,
}

/// Set in every word that is published; no flag of a VMA.
const IS_PLAIN: u64 = 1 << 63;
const _: () = assert!(VmFlags::all().bits() & IS_PLAIN == 0);

impl PlainVma {
    /// What a VMA publishes; 0 if it is not plain.
    #[inline]
    pub(crate) fn to_word(vma: &Vma) -> u64 {
        let is_named = vma.anon_name.is_some() && !vmaple_sync::planted!("name_not_told");
        match &vma.backing {
            Backing::Anonymous if !is_named => vma.flags.bits() | IS_PLAIN,
            _ => 0,
        }
    }

    #[inline]
    pub(crate) fn of_word(range: Range<u64>, word: NonZeroU64, areas: BrkArea) -> PlainVma {
        PlainVma {
            range: AddrRange::new(range.start, range.end),
            flags: VmFlags::from_bits_retain(word.get() & !IS_PLAIN),
            areas,
        }
    }
}
