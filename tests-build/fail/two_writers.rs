//! A second writer of a tree that is read beside the first.
use maple_tree::{Gaps, TreeWriter};
use vmaple_rcu::DefaultBackend;

fn main() {
    let mut writer: TreeWriter<u32, Gaps, DefaultBackend> = TreeWriter::new();
    let mut second = writer.clone();
    writer.store(0..=9, 1).unwrap();
    second.store(5..=6, 2).unwrap();
}
