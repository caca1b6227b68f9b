//! An entry that a write displaced, kept while the next write may free it.
use maple_tree::{Gaps, TreeWriter};
use std::sync::Arc;
use vmaple_rcu::DefaultBackend;

fn main() {
    let mut writer: TreeWriter<Arc<u32>, Gaps, DefaultBackend> = TreeWriter::new();
    let lent = writer.erase(5).unwrap();
    writer.clear(0..=9).unwrap();
    println!("{lent:?}");
}
