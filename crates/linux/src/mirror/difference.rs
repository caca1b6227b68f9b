//! Two maps side by side, and only the lines that differ.

use core::fmt;

/// Lines of context before and after a difference.
const CONTEXT: usize = 1;
/// Lines shown at the most; a map that is wrong everywhere says no more with a thousand.
const MOST: usize = 24;

/// What differs between the mirror's map and the kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapDifference {
    lines: Vec<Line>,
    left_out: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    side: Side,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Both,
    Mirror,
    Kernel,
}

impl MapDifference {
    /// Compares two texts in the format of `/proc/PID/maps`; `None` where they are equal.
    ///
    /// Maps are sorted by address, so lines are matched by a merge over their start address:
    /// linear in the number of lines.
    #[must_use]
    pub fn between(mirror: &str, kernel: &str) -> Option<MapDifference> {
        if mirror == kernel {
            return None;
        }
        let mut merged = merge(mirror, kernel);
        // What stands for the same addresses reads better one side after the other.
        for run in merged.chunk_by_mut(|a, b| a.side != Side::Both && b.side != Side::Both) {
            run.sort_by_key(|line| line.side);
        }
        let near = near_a_difference(&merged);
        let mut shown = Vec::new();
        let mut left_out = 0;
        for (line, near) in merged.into_iter().zip(near) {
            if !near {
                continue;
            }
            if shown.len() < MOST {
                shown.push(line);
            } else if line.side != Side::Both {
                left_out += 1;
            }
        }
        Some(MapDifference {
            lines: shown,
            left_out,
        })
    }

    /// Lines that only the mirror has, without those left out.
    pub fn only_mirror(&self) -> impl Iterator<Item = &str> {
        self.side(Side::Mirror)
    }

    /// Lines that only the kernel has, without those left out.
    pub fn only_kernel(&self) -> impl Iterator<Item = &str> {
        self.side(Side::Kernel)
    }

    fn side(&self, side: Side) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .filter(move |line| line.side == side)
            .map(|line| line.text.as_str())
    }
}

/// Both lists in the order of their start addresses, equal lines once.
fn merge(mirror: &str, kernel: &str) -> Vec<Line> {
    let mut ours = mirror.lines().peekable();
    let mut theirs = kernel.lines().peekable();
    let mut merged = Vec::new();
    loop {
        let (side, text) = match (ours.peek(), theirs.peek()) {
            (None, None) => return merged,
            (Some(a), Some(b)) if a == b => {
                theirs.next();
                (Side::Both, ours.next())
            }
            (Some(a), Some(b)) if start_of(a) > start_of(b) => (Side::Kernel, theirs.next()),
            (Some(_), _) => (Side::Mirror, ours.next()),
            (None, Some(_)) => (Side::Kernel, theirs.next()),
        };
        merged.push(Line {
            side,
            text: text.unwrap_or_default().to_owned(),
        });
    }
}

fn start_of(line: &str) -> u64 {
    let digits = line.split('-').next().unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or(u64::MAX)
}

fn near_a_difference(lines: &[Line]) -> Vec<bool> {
    let mut near = vec![false; lines.len()];
    for (i, line) in lines.iter().enumerate() {
        if line.side != Side::Both {
            let last = (i + CONTEXT).min(lines.len() - 1);
            near[i.saturating_sub(CONTEXT)..=last].fill(true);
        }
    }
    near
}

impl fmt::Display for MapDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  - mirror   + kernel")?;
        for line in &self.lines {
            let mark = match line.side {
                Side::Both => ' ',
                Side::Mirror => '-',
                Side::Kernel => '+',
            };
            writeln!(f, "  {mark} {}", line.text)?;
        }
        if self.left_out > 0 {
            writeln!(f, "  … and {} more lines", self.left_out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_maps_have_none() {
        assert_eq!(
            MapDifference::between("1000-2000 a\n", "1000-2000 a\n"),
            None
        );
    }

    #[test]
    fn a_missed_merge_shows_both_sides_with_context() {
        let ours = "1000-2000 a\n3000-4000 b\n4000-5000 b\n9000-a000 z\nb000-c000 y\n";
        let theirs = "1000-2000 a\n3000-5000 b\n9000-a000 z\nb000-c000 y\n";
        let difference = MapDifference::between(ours, theirs).unwrap();
        assert_eq!(
            difference.to_string(),
            "  - mirror   + kernel\n    1000-2000 a\n  - 3000-4000 b\n  - 4000-5000 b\n  + 3000-5000 b\n    9000-a000 z\n"
        );
    }

    #[test]
    fn a_line_missing_at_the_end_is_found() {
        let difference = MapDifference::between("1-2 a\n", "1-2 a\n3-4 b\n").unwrap();
        assert_eq!(difference.only_kernel().collect::<Vec<_>>(), ["3-4 b"]);
        assert_eq!(difference.only_mirror().count(), 0);
    }

    #[test]
    fn a_flood_is_cut() {
        let theirs: String = (0..100).map(|i| format!("{i:x}000-{i:x}800 x\n")).collect();
        let difference = MapDifference::between("", &theirs).unwrap();
        assert!(difference.to_string().ends_with("… and 76 more lines\n"));
    }
}
