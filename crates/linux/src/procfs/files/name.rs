//! Names of files as /proc/TID/maps prints them, and how they travel in JSON.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::readlink;
use nix::unistd::gettid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// The name of a file as maps prints it: any bytes but NUL and newline, with `" (deleted)"`
/// where the file has no link any more.
///
/// In JSON a string if it is UTF-8, and an array of bytes if not.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(Vec<u8>);

impl FileName {
    /// A name that is already in the form of maps.
    #[must_use]
    pub fn from_maps(name: &[u8]) -> FileName {
        FileName(name.to_vec())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The current name of an open descriptor of ours, `O_PATH` ones included.
    /// `ENAMETOOLONG` for paths of a page and more.
    pub(super) fn of_descriptor(fd: BorrowedFd<'_>) -> Result<FileName, Errno> {
        // The thread's own: threads may have unshared their descriptors.
        let link = format!("/proc/{}/fd/{}", gettid(), fd.as_raw_fd());
        let path = readlink(link.as_str())?;
        Ok(FileName(escape_newlines(&path.into_vec())))
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for FileName {
    /// Bytes that are not UTF-8 become replacement characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// The two forms in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TextOrBytes<Text, Bytes> {
    Text(Text),
    Bytes(Bytes),
}

impl Serialize for FileName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match std::str::from_utf8(&self.0) {
            Ok(text) => TextOrBytes::Text(text),
            Err(_) => TextOrBytes::Bytes(self.0.as_slice()),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FileName, D::Error> {
        let form = TextOrBytes::<String, Vec<u8>>::deserialize(deserializer)?;
        Ok(FileName(match form {
            TextOrBytes::Text(text) => text.into_bytes(),
            TextOrBytes::Bytes(bytes) => bytes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_every_byte() {
        for (name, json) in [
            (&b"/usr/lib/libc.so.6"[..], r#""/usr/lib/libc.so.6""#),
            (
                b"/a\\012b \"q\" \xc3\xa9 (deleted)",
                r#""/a\\012b \"q\" é (deleted)""#,
            ),
            (b"/\xff", "[47,255]"),
            (b"", r#""""#),
        ] {
            let name = FileName::from_maps(name);
            assert_eq!(serde_json::to_string(&name).unwrap(), json);
            assert_eq!(serde_json::from_str::<FileName>(json).unwrap(), name);
        }
    }

    #[test]
    fn only_newlines_are_escaped() {
        assert_eq!(escape_newlines(b"a\nb\\n\n"), br"a\012b\n\012");
        assert_eq!(escape_newlines(b""), b"");
    }
}
