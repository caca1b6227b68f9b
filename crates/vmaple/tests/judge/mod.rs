//! Parts of the kernel judge.

pub(crate) mod child;
pub(crate) mod files;
pub(crate) mod op;
pub(crate) mod profile;
pub(crate) mod random;
pub(crate) mod scripts;
pub(crate) mod seed;
pub(crate) mod session;
