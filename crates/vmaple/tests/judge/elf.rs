//! The build id of an ELF file, read by the format's own rules.

/// The id in the first GNU note of that type; None for what is no 64-bit ELF file.
pub(crate) fn build_id(path: &str) -> Option<Vec<u8>> {
    let file = std::fs::read(path).ok()?;
    let word = |at: usize| Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?));
    let long =
        |at: usize| Some(u64::from_le_bytes(file.get(at..at + 8)?.try_into().ok()?) as usize);
    let half = |at: usize| {
        Some(usize::from(u16::from_le_bytes(
            file.get(at..at + 2)?.try_into().ok()?,
        )))
    };
    if file.get(..5)? != b"\x7fELF\x02" {
        return None;
    }
    let (headers, size, count) = (long(32)?, half(54)?, half(56)?);
    const PT_NOTE: u32 = 4;
    for header in (0..count).map(|index| headers + index * size) {
        if word(header)? != PT_NOTE {
            continue;
        }
        let (mut at, end) = (long(header + 8)?, long(header + 8)? + long(header + 32)?);
        while at + 12 <= end {
            let (name, id, kind) = (word(at)? as usize, word(at + 4)? as usize, word(at + 8)?);
            let id_at = at + 12 + name.next_multiple_of(4);
            const NT_GNU_BUILD_ID: u32 = 3;
            if kind == NT_GNU_BUILD_ID && file.get(at + 12..at + 16)? == b"GNU\0" {
                return Some(file.get(id_at..id_at + id)?.to_vec());
            }
            at = id_at + id.next_multiple_of(4);
        }
    }
    None
}
