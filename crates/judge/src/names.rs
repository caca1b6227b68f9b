//! The names that both sides give to anonymous memory.

/// Names in scripts and the bytes that they stand for. `none` takes a name away.
pub const NAMES: [(&str, Option<&[u8]>); 6] = [
    ("none", None),
    ("a", Some(b"a")),
    ("b", Some(b"b")),
    ("empty", Some(b"")),
    ("bracket", Some(b"a]")),
    ("long", Some(&[b'l'; 80])),
];

/// The name of this number; none of them for another number.
pub(crate) fn of_number(number: u64) -> Option<&'static [u8]> {
    let index = usize::try_from(number).ok()?;
    NAMES.get(index).and_then(|(_, bytes)| *bytes)
}
