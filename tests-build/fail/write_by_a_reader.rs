//! A write by a handle that reads.
use maple_tree::{Gaps, TreeWriter};
use vmaple_rcu::DefaultBackend;

fn main() {
    let writer: TreeWriter<u32, Gaps, DefaultBackend> = TreeWriter::new();
    let mut reader = writer.new_reader();
    reader.store(0..=9, 1).unwrap();
}
