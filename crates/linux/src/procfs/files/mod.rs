//! What is behind a descriptor or a mapped file of another process.
//!
//! - [`facts`](FileFacts): device, inode, name, access and kind, as a memory call sees them;
//! - [`table`](FileTable): which descriptors are the same *open file description*;
//! - [`name`](FileName): a path as maps prints it, and its form in JSON.

mod facts;
mod name;
mod table;

pub(crate) use facts::ANON_INODE_FS_MAGIC;
pub use facts::{DeviceNumber, FileFacts, FileKind, map_files_facts};
pub use name::{FileName, escape_newlines};
pub use table::{FileTable, Identified};
