//! Ranges drawn to their neighbourhood: before an operation, and after it on both sides.
//!
//! ```text
//!                 10000000    10001000    10002000
//! before          |A:rw-p     |B:r--p     |
//! after, kernel   |A:rw-p                 |
//! after, vmaple   |A:rw-p     |B:rw-p     |
//! ```
//! The axis is not to scale: every boundary of any of the maps has a column.

use std::collections::BTreeSet;
use std::fmt::Write;

/// A line of a map, as far as it is drawn.
struct Mapping<'a> {
    start: u64,
    end: u64,
    label: &'a str,
    line: &'a str,
}

/// Characters between two boundaries.
const COLUMN: usize = 14;
/// Boundaries drawn on each side of what differs.
const CONTEXT: usize = 2;
/// Boundaries drawn at most.
const MOST: usize = 12;

/// Draws the part of three maps in which the last two differ; the whole change if they do not.
#[must_use]
pub fn draw(before: &str, kernel: &str, model: &str) -> String {
    let rows = [
        ("before", mappings(before)),
        ("after, kernel", mappings(kernel)),
        ("after, vmaple", mappings(model)),
    ];
    let [before, kernel, model] = [&rows[0].1, &rows[1].1, &rows[2].1];
    let mut marked = differing(kernel, model);
    if marked.is_empty() {
        marked = differing(before, kernel);
    }
    let (Some(first), Some(last)) = (marked.first(), marked.last()) else {
        return String::new();
    };
    let all: BTreeSet<u64> = rows
        .iter()
        .flat_map(|(_, row)| row.iter().flat_map(|one| [one.start, one.end]))
        .collect();
    let below = all.range(..first).rev().take(CONTEXT).copied();
    let above = all.range(last..).skip(1).take(CONTEXT).copied();
    let mut axis: Vec<u64> = below.chain(all.range(first..=last).copied()).collect();
    axis.extend(above);
    axis.sort_unstable();
    axis.truncate(MOST);
    let mut picture = format!("{:16}", "");
    for boundary in &axis {
        let _ = write!(picture, "{boundary:<COLUMN$x}");
    }
    picture.truncate(picture.trim_end().len());
    picture.push('\n');
    for (name, row) in &rows {
        let _ = writeln!(picture, "{name:<16}{}", drawn(row, &axis));
    }
    picture
}

/// Boundaries of the lines that only one of two maps has.
fn differing(one: &[Mapping<'_>], other: &[Mapping<'_>]) -> BTreeSet<u64> {
    let only = |these: &[Mapping<'_>], those: &[Mapping<'_>]| -> Vec<u64> {
        let known: std::collections::HashSet<&str> = those.iter().map(|one| one.line).collect();
        let only = these.iter().filter(|one| !known.contains(one.line));
        only.flat_map(|one| [one.start, one.end]).collect()
    };
    only(one, other)
        .into_iter()
        .chain(only(other, one))
        .collect()
}

fn mappings(text: &str) -> Vec<Mapping<'_>> {
    text.lines().filter_map(mapping).collect()
}

fn mapping(line: &str) -> Option<Mapping<'_>> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    Some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        label: rest.split(' ').next()?,
        line,
    })
}

/// One row: a bar where a mapping begins or ends, its rights behind the bar.
fn drawn(row: &[Mapping<'_>], axis: &[u64]) -> String {
    let mut text = String::new();
    for boundary in axis {
        let begins = row.iter().find(|one| one.start == *boundary);
        let ends = row.iter().any(|one| one.end == *boundary);
        let inside = row
            .iter()
            .any(|one| one.start < *boundary && *boundary < one.end);
        let cell = match begins {
            Some(one) => format!("|{}", one.label),
            None if ends => "|".to_owned(),
            None if inside => String::new(),
            None => ".".to_owned(),
        };
        let _ = write!(text, "{cell:<COLUMN$}");
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn a_missed_merge_is_seen() {
        let line = |start: u64, end: u64, rights: &str| {
            format!("{start:08x}-{end:08x} {rights} 00000000 00:00 0 \n")
        };
        let before = line(0x1000, 0x2000, "rw-p") + &line(0x2000, 0x3000, "r--p");
        let kernel = line(0x1000, 0x3000, "rw-p");
        let model = line(0x1000, 0x2000, "rw-p") + &line(0x2000, 0x3000, "rw-p");
        assert_eq!(
            draw(&before, &kernel, &model),
            "                1000          2000          3000\n\
             before          |rw-p         |r--p         |\n\
             after, kernel   |rw-p                       |\n\
             after, vmaple   |rw-p         |rw-p         |\n"
        );
    }

    #[test]
    fn equal_maps_show_what_changed() {
        let before = "00001000-00002000 rw-p 00000000 00:00 0 \n";
        let picture = draw(before, "", "");
        assert!(
            picture.contains("before          |rw-p         |\n"),
            "{picture}"
        );
        assert!(
            picture.contains("after, kernel   .             .\n"),
            "{picture}"
        );
        assert_eq!(draw(before, before, before), "");
    }
}
