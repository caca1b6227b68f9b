//! Every way to read a tree, at every place of it, compared with the cells.

use crate::cells::{Cells, Held};
use crate::flat;
use maple_tree::{MapleTree, Span, TracksGaps};

/// Reads `tree` in every way.
pub(crate) fn check<C: TracksGaps>(tree: &MapleTree<u32, C>, cells: &Cells) {
    let entries: Vec<Held> = cells.entries().collect();
    assert!(tree.iter().map(flat).eq(entries.iter().copied()));
    assert!(tree.iter_rev().map(flat).eq(entries.iter().rev().copied()));
    assert_eq!(tree.is_empty(), entries.is_empty());
    for cell in 0..cells.len() {
        let span = cells.span(cell, cell);
        check_at(tree, cells, &entries, span.first);
        check_at(tree, cells, &entries, span.last);
        for end in cell..cells.len() {
            let span = cells.span(cell, end);
            let met = |held: &&Held| held.0 <= span.last && span.first <= held.1;
            let met = entries.iter().filter(met).copied();
            assert!(
                tree.range(span).map(flat).eq(met),
                "{span}\n{}",
                tree.dump()
            );
            check_gaps(tree, cells, span);
        }
    }
    check_cursors(tree, &entries);
}

/// Lookups of an index, and of the neighbours of what is there.
fn check_at<C: TracksGaps>(tree: &MapleTree<u32, C>, cells: &Cells, entries: &[Held], index: u64) {
    let here = entries
        .iter()
        .find(|held| held.0 <= index && index <= held.1);
    let above = entries.iter().find(|held| index <= held.1);
    let below = entries.iter().rev().find(|held| held.0 <= index);
    let what = || format!("at {index:#x}\n{}", tree.dump());
    assert_eq!(tree.load(index).map(flat).as_ref(), here, "load {}", what());
    assert_eq!(tree.get(index), here.map(|held| held.2), "get {}", what());
    assert_eq!(
        tree.find(index).map(flat).as_ref(),
        above,
        "find {}",
        what()
    );
    let found = tree.find_rev(index).map(flat);
    assert_eq!(found.as_ref(), below, "find_rev {}", what());
    let run = cells.runs().find(|(span, _)| span.contains(index));
    assert_eq!(Some(tree.range_at(index)), run, "range_at {}", what());

    let (span, _) = tree.range_at(index);
    let next = entries.iter().find(|held| held.0 > span.last);
    let prev = entries.iter().rev().find(|held| held.1 < span.first);
    assert_eq!(tree.next(span).map(flat).as_ref(), next, "next {}", what());
    assert_eq!(tree.prev(span).map(flat).as_ref(), prev, "prev {}", what());

    let onward = entries.iter().filter(|held| index <= held.1).copied();
    assert!(tree.iter_from(index).map(flat).eq(onward), "{}", what());
    let backward = entries.iter().rev().filter(|held| held.0 <= index);
    let backward = backward.copied();
    assert!(
        tree.iter_rev_from(index).map(flat).eq(backward),
        "{}",
        what()
    );
}

/// The lowest and highest place for `size` indices, by a linear scan in 128 bits.
fn places(cells: &Cells, size: u64, align: u64, limits: Span) -> (Option<u64>, Option<u64>) {
    let (size, align) = (u128::from(size), u128::from(align));
    let mut lowest = None;
    let mut highest = None;
    for gap in cells.gaps() {
        let first = u128::from(gap.first.max(limits.first)).next_multiple_of(align);
        let end = u128::from(gap.last.min(limits.last)) + 1;
        if first + size <= end {
            lowest = lowest.or(Some(first as u64));
            highest = Some(((end - size) / align * align) as u64);
        }
    }
    (lowest, highest)
}

fn check_gaps<C: TracksGaps>(tree: &MapleTree<u32, C>, cells: &Cells, limits: Span) {
    let longest = cells.gaps().map(Span::len_less_one).max().unwrap_or(0);
    let around = [
        longest.saturating_sub(1),
        longest,
        longest.saturating_add(1),
    ];
    for size in [1, 2, 3, u64::MAX].into_iter().chain(around) {
        for align in [1, 2, 1 << 63] {
            let expected = match size {
                0 => (None, None),
                _ => places(cells, size, align, limits),
            };
            let found = (
                tree.lowest_gap(size, align, limits),
                tree.highest_gap(size, align, limits),
            );
            assert_eq!(
                found,
                expected,
                "{size:#x} by {align} in {limits}\n{}",
                tree.dump()
            );
        }
    }
}

/// A cursor from each place to both ends and one step back.
fn check_cursors<C: TracksGaps>(tree: &MapleTree<u32, C>, entries: &[Held]) {
    for start in 0..=entries.len() {
        let index = entries.get(start).map_or(u64::MAX, |held| held.0);
        let starts_above = entries.iter().filter(|held| held.1 >= index).count();
        let above = &entries[entries.len() - starts_above..];
        let mut cursor = tree.reader().cursor(index);
        for held in above {
            assert_eq!(cursor.next().map(flat).as_ref(), Some(held));
        }
        assert_eq!(cursor.next(), None);
        assert_eq!(cursor.prev().map(flat).as_ref(), entries.last());

        let below = entries.iter().rev().filter(|held| held.0 < index);
        let mut cursor = tree.reader().cursor(index);
        for held in below {
            assert_eq!(cursor.prev().map(flat).as_ref(), Some(held));
        }
        assert_eq!(cursor.prev(), None);
        assert_eq!(cursor.next().map(flat).as_ref(), entries.first());
    }
}
