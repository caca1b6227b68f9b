//! Parts of the kernel judge.

pub(crate) mod child;
pub(crate) mod elf;
pub(crate) mod files;
pub(crate) mod op;
pub(crate) mod profile;
pub(crate) mod query;
pub(crate) mod random;
pub(crate) mod scripts;
pub(crate) mod seed;
pub(crate) mod session;
pub(crate) mod smaps;
