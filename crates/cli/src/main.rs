//! The command `vmaple`.
fn main() {}
