//! What is behind a descriptor or a mapped file.
//!
//! Filled in by its own files; here only how maps prints a name.

/// A path as /proc/TID/maps prints it: newlines become the four characters `\012`.
#[must_use]
pub fn escape_newlines(path: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(path.len());
    for &byte in path {
        if byte == b'\n' {
            name.extend_from_slice(br"\012");
        } else {
            name.push(byte);
        }
    }
    name
}
