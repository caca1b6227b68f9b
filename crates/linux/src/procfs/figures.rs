//! Page figures of mappings, out of /proc/TID/smaps.
//!
//! The kernel walks the page tables of each mapping to write them: microseconds per mapping, more
//! where much memory is present.

use nix::unistd::Pid;
use vmaple::PageFigures;

use super::maps::MapsLine;
use super::query::Mapping;
use super::text;
use super::{Error, MalformedText};

/// One mapping with everything that smaps says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiguredMapping {
    /// The fields of its maps line and its page size.
    pub mapping: Mapping,
    /// Its pages, in bytes.
    pub figures: PageFigures,
    /// `VmFlags`: two-letter words.
    pub flags: String,
}

/// The mappings of a process with their page figures, in ascending order.
///
/// # Errors
/// [`Error::Gone`], [`Error::Denied`], or [`Error::Malformed`] with the line number.
pub fn figures(pid: Pid) -> Result<Vec<FiguredMapping>, Error> {
    let mut bytes = Vec::new();
    text::read_all(&text::open(pid, "smaps")?, pid, "smaps", &mut bytes)?;
    Ok(parse(&bytes)?)
}

/// Parses a whole smaps text. Fields that are not known are passed over: later kernels have more.
///
/// # Errors
/// The first line that does not follow the format.
pub fn parse(text: &[u8]) -> Result<Vec<FiguredMapping>, MalformedText> {
    let mut all: Vec<FiguredMapping> = Vec::new();
    let mut rest = text;
    let mut number = 0;
    while let Some((line, after)) = text::split_line(rest) {
        rest = after;
        number += 1;
        let malformed = |reason| MalformedText::new("smaps", number, reason, line);
        // Fields begin with a capital letter, maps lines with a hexadecimal digit.
        if !line.first().is_some_and(u8::is_ascii_uppercase) {
            all.push(FiguredMapping {
                mapping: MapsLine::parse(line).map_err(malformed)?.into(),
                figures: PageFigures::default(),
                flags: String::new(),
            });
            continue;
        }
        let current = all.last_mut();
        let current = current.ok_or_else(|| malformed("a field before the first mapping"))?;
        let line = String::from_utf8_lossy(line);
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| malformed("a field without ':'"))?;
        field(current, name, value.trim()).map_err(malformed)?;
    }
    Ok(all)
}

fn field(current: &mut FiguredMapping, name: &str, value: &str) -> Result<(), &'static str> {
    if name == "VmFlags" {
        value.clone_into(&mut current.flags);
        return Ok(());
    }
    let figure = match name {
        "KernelPageSize" => current.mapping.page_size.insert(0),
        name => match current.figures.named(name) {
            Some(figure) => figure,
            None => return Ok(()),
        },
    };
    let kilobytes = value
        .strip_suffix(" kB")
        .and_then(|n| n.parse::<u64>().ok());
    let bytes = kilobytes.and_then(|kilobytes| kilobytes.checked_mul(1024));
    *figure = bytes.ok_or("a size that is no number of kB")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_go_where_they_belong() {
        let text = b"00001000-00003000 rw-p 00000000 00:00 0 \n\
            Size:                  8 kB\nKernelPageSize:        4 kB\nRss:                   4 kB\n\
            Locked:                4 kB\nTHPeligible:           0\nFuture:  many words\n\
            VmFlags: rd wr mr mw me ac \n";
        let all = parse(text).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].figures.rss, 4096);
        assert_eq!(all[0].figures.locked, Some(4096));
        assert_eq!(all[0].mapping.page_size, Some(4096));
        assert_eq!(all[0].flags, "rd wr mr mw me ac");
    }

    #[test]
    fn malformed_lines_name_their_number() {
        let line = |text: &[u8]| parse(text).unwrap_err().line;
        assert_eq!(line(b"Rss: 4 kB\n"), 1);
        assert_eq!(
            line(b"00001000-00002000 rw-p 00000000 00:00 0 \nRss: x kB\n"),
            2
        );
        assert_eq!(line(b"garbage\n"), 1);
    }

    #[test]
    fn own_figures_add_up() {
        let all = figures(Pid::this()).unwrap();
        assert!(all.len() > 10);
        for one in all {
            let f = one.figures;
            let by_kind = f.shared_clean + f.shared_dirty + f.private_clean + f.private_dirty;
            assert_eq!(f.rss, by_kind, "{one:?}");
        }
    }
}
