//! The addresses of a process that are not VMAs: heap, stack, code and data bounds.

/// Bounds that `brk`, the maps names `[heap]` and `[stack]`, and PR_SET_MM work on. In bytes,
/// not page aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BrkArea {
    /// Start of the heap.
    pub start_brk: u64,
    /// The break: first address after the heap.
    pub brk: u64,
    /// Where the stack began; the VMA that contains it is `[stack]`.
    pub start_stack: u64,
    /// Start of the code.
    pub start_code: u64,
    /// End of the code.
    pub end_code: u64,
    /// Start of the initialised data.
    pub start_data: u64,
    /// End of the initialised data.
    pub end_data: u64,
    /// Start of the arguments.
    pub arg_start: u64,
    /// End of the arguments.
    pub arg_end: u64,
    /// Start of the environment.
    pub env_start: u64,
    /// End of the environment.
    pub env_end: u64,
}
