//! Sizes as `/proc/PID/status` shows them, and how often each decision was taken.

use crate::merge::{ExistingMerge, NewMerge};

/// Sizes in pages, and counts of decisions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Counters {
    /// Pages of all VMAs (VmSize).
    pub total_vm: u64,
    /// Pages of private writable VMAs other than stacks (VmData).
    pub data_vm: u64,
    /// Pages of executable, not writable, not growing VMAs (VmExe and VmLib come from it).
    pub exec_vm: u64,
    /// Pages of growing VMAs (VmStk).
    pub stack_vm: u64,
    /// Pages locked (VmLck).
    pub locked_vm: u64,
    /// Pages counted against the commit limit.
    pub committed: u64,
    /// The most VMAs there have been.
    pub peak_vmas: usize,
    /// Merges by case.
    pub merges: MergeCounts,
    /// VMAs cut in two.
    pub splits: u64,
    /// VMAs put in without merging.
    pub inserts: u64,
    /// VMAs taken out by unmapping.
    pub removals: u64,
}

/// Merges by case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MergeCounts {
    /// A new range joined both neighbours.
    pub new_both: u64,
    /// A new range extended its left neighbour.
    pub new_left: u64,
    /// A new range extended its right neighbour.
    pub new_right: u64,
    /// A changed VMA and both neighbours became one.
    pub whole_both: u64,
    /// A changed VMA went into its left neighbour.
    pub whole_left: u64,
    /// A changed VMA went into its right neighbour.
    pub whole_right: u64,
    /// The lower part of a changed VMA went into its left neighbour.
    pub part_left: u64,
    /// The upper part of a changed VMA went into its right neighbour.
    pub part_right: u64,
}

impl MergeCounts {
    /// One more merge of a new range.
    pub(crate) fn count_new(&mut self, case: NewMerge) {
        let counter = match case {
            NewMerge::None => return,
            NewMerge::Both => &mut self.new_both,
            NewMerge::Left => &mut self.new_left,
            NewMerge::Right => &mut self.new_right,
        };
        *counter += 1;
    }

    /// One more merge of an existing range.
    pub(crate) fn count(&mut self, case: ExistingMerge) {
        let counter = match case {
            ExistingMerge::None => return,
            ExistingMerge::WholeBoth => &mut self.whole_both,
            ExistingMerge::WholeLeft => &mut self.whole_left,
            ExistingMerge::WholeRight => &mut self.whole_right,
            ExistingMerge::PartLeft => &mut self.part_left,
            ExistingMerge::PartRight => &mut self.part_right,
        };
        *counter += 1;
    }

    /// All merges.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.new_both
            + self.new_left
            + self.new_right
            + self.whole_both
            + self.whole_left
            + self.whole_right
            + self.part_left
            + self.part_right
    }
}
