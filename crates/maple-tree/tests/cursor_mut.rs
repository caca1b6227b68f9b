//! A cursor that writes must do what single calls do, from whatever place.
#![cfg(not(loom))]

mod failing;

use failing::with_failures;
use maple_tree::{
    Config, CursorMut, Fan, Gaps, MapleTree, Position, Span, StoreError, Tracked, TreeReader,
    TreeWriter, WritableTree, WriteError,
};
use std::sync::Arc;
use vmaple_model::random::SplitMix64;

type Plain<C> = MapleTree<u32, C>;

fn next_of<C: Config>(plain: &Plain<C>, place: Where) -> Option<(Span, u32)> {
    plain.find(place.after()?)
}

fn prev_of<C: Config>(plain: &Plain<C>, place: Where) -> Option<(Span, u32)> {
    plain.find_rev(place.below()?)
}

/// Where the cursor must be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Where {
    Before(u64),
    On(Span),
    End,
}

impl Where {
    fn after(self) -> Option<u64> {
        match self {
            Self::Before(index) => Some(index),
            Self::On(span) => span.last.checked_add(1),
            Self::End => None,
        }
    }

    fn below(self) -> Option<u64> {
        match self {
            Self::Before(index) => index.checked_sub(1),
            Self::On(span) => span.first.checked_sub(1),
            Self::End => Some(u64::MAX),
        }
    }
}

/// An index: mostly near the last place, sometimes anywhere, sometimes at an end.
fn pick(random: &mut SplitMix64, place: Where) -> u64 {
    let near = place.after().unwrap_or(600);
    match random.bounded(20) {
        0 => 0,
        1 => u64::MAX - random.bounded(3),
        2..5 => random.bounded(600),
        _ => near.saturating_add(random.bounded(12)).saturating_sub(6),
    }
}

/// One step of the cursor beside the same by single calls; returns where the cursor must be.
fn step<C: Config, T: WritableTree<Entry = u32> + ?Sized>(
    cursor: &mut CursorMut<'_, T>,
    plain: &mut Plain<C>,
    place: Where,
    random: &mut SplitMix64,
) -> Where {
    if random.bounded(12) < 7 {
        write(cursor, plain, place, random)
    } else {
        go(cursor, plain, place, random)
    }
}

fn write<C: Config, T: WritableTree<Entry = u32> + ?Sized>(
    cursor: &mut CursorMut<'_, T>,
    plain: &mut Plain<C>,
    place: Where,
    random: &mut SplitMix64,
) -> Where {
    let index = pick(random, place);
    let range = Span::new(index, index.saturating_add(random.bounded(9)));
    let value = random.bounded(1000) as u32;
    match random.bounded(7) {
        0..3 => {
            cursor.store(range, value).expect("memory");
            plain.store(range, value).expect("memory");
            Where::On(range)
        }
        3 => {
            let done = cursor.insert(range, value).map_err(|error| error.cause);
            assert_eq!(
                done,
                plain.insert(range, value).map_err(|error| error.cause)
            );
            if done.is_ok() {
                Where::On(range)
            } else {
                place
            }
        }
        4 => {
            cursor.clear(range).expect("memory");
            plain.clear(range).expect("memory");
            Where::Before(range.first)
        }
        5 => {
            let here = cursor.current().map(|(span, _)| span);
            assert_eq!(cursor.erase().expect("memory"), here);
            let Some(span) = here else { return place };
            assert_eq!(
                plain.erase(span.first).expect("memory").map(|it| it.0),
                here
            );
            Where::Before(span.first)
        }
        _ => {
            match (cursor.replace(value), place) {
                (Ok(()), Where::On(span)) => {
                    plain.replace(span.first, value).expect("there");
                }
                (refused, _) => {
                    let refused = refused.expect_err("stands on nothing");
                    assert_eq!((refused.entry, refused.cause), (value, WriteError::Vacant));
                }
            }
            place
        }
    }
}

fn go<C: Config, T: WritableTree<Entry = u32> + ?Sized>(
    cursor: &mut CursorMut<'_, T>,
    plain: &Plain<C>,
    place: Where,
    random: &mut SplitMix64,
) -> Where {
    let index = pick(random, place);
    let on = |found: Option<(Span, u32)>, otherwise| found.map_or(otherwise, |at| Where::On(at.0));
    match random.bounded(5) {
        0 => {
            let found = plain.load(index);
            assert_eq!(cursor.load(index), found);
            on(found, Where::Before(index))
        }
        1 => {
            let found = plain.find(index);
            assert_eq!(cursor.find(index), found);
            on(found, Where::End)
        }
        2 => {
            let found = plain.find_rev(index);
            assert_eq!(cursor.find_rev(index), found);
            on(found, Where::Before(0))
        }
        3 => {
            let found = next_of(plain, place);
            assert_eq!(cursor.next(), found);
            on(found, Where::End)
        }
        _ => {
            let found = prev_of(plain, place);
            assert_eq!(cursor.prev(), found);
            on(found, Where::Before(0))
        }
    }
}

/// Runs of steps, each by a cursor that goes on where the last was paused.
fn check<C: Config, T: WritableTree<Entry = u32>>(
    seed: u64,
    tree: &mut T,
    resume: impl Fn(&mut T, Option<Position>) -> CursorMut<'_, T>,
    compare: impl Fn(&T, &Plain<C>),
) {
    let mut random = SplitMix64::new(seed);
    let mut plain = Plain::<C>::new();
    let (mut position, mut place) = (None, Where::Before(0));
    for round in 0..900 {
        let mut cursor = resume(tree, position);
        for _ in 0..random.bounded(30) {
            place = step(&mut cursor, &mut plain, place, &mut random);
            let here = match place {
                Where::On(span) => plain.load(span.first),
                _ => None,
            };
            assert_eq!(
                cursor.current(),
                here,
                "seed {seed} round {round} {place:?}"
            );
        }
        position = Some(cursor.pause());
        compare(tree, &plain);
    }
}

fn check_owned<C: Config>(seed: u64) {
    check::<C, MapleTree<u32, C>>(
        seed,
        &mut MapleTree::new(),
        |tree, position| match position {
            Some(position) => tree.resume_mut(position),
            None => tree.cursor_mut(0),
        },
        |tree, plain| {
            assert_eq!(tree.validate(), Ok(()));
            assert!(tree.iter().eq(plain.iter()));
        },
    );
}

fn check_beside_readers<C: Config>(seed: u64) {
    let mut writer = TreeWriter::<u32, C>::new();
    // While there is a reader, writes copy.
    let _reader: TreeReader<u32, C> = writer.new_reader();
    check::<C, TreeWriter<u32, C>>(
        seed,
        &mut writer,
        |tree, position| match position {
            Some(position) => tree.resume_mut(position),
            None => tree.cursor_mut(0),
        },
        |tree, plain| {
            assert_eq!(tree.validate(), Ok(()));
            assert!(tree.reader().iter().eq(plain.iter()));
        },
    );
}

#[test]
fn steps_are_single_calls() {
    for seed in 0..3 {
        check_owned::<Fan<Tracked, 3, 3>>(seed);
        check_owned::<Fan<Tracked, 4, 4>>(10 + seed);
        check_owned::<Gaps>(20 + seed);
    }
}

#[test]
fn steps_beside_readers_are_single_calls() {
    for seed in 0..3 {
        check_beside_readers::<Fan<Tracked, 3, 3>>(seed);
        check_beside_readers::<Gaps>(20 + seed);
    }
}

#[test]
fn a_position_may_outlive_its_entry() {
    let mut tree: MapleTree<u32> = [(0..=9, 1), (10..=19, 2), (20..=29, 3)]
        .into_iter()
        .collect();
    let mut cursor = tree.cursor_mut(10);
    assert_eq!(cursor.next(), Some((Span::new(10, 19), 2)));
    let position = cursor.pause();
    tree.store(5..=14, 4).expect("memory");
    let mut cursor = tree.resume_mut(position);
    assert_eq!(cursor.current(), None, "that range is no entry's any more");
    assert_eq!(cursor.erase(), Ok(None));
    assert_eq!(
        cursor.replace(7).expect_err("as above").cause,
        WriteError::Vacant
    );
    assert_eq!(cursor.next(), Some((Span::new(20, 29), 3)));
}

#[test]
fn a_step_that_fails_changes_nothing() {
    let entry = Arc::new(());
    let mut random = SplitMix64::new(3);
    let mut nr_failed = 0;
    for round in 0..200 {
        let mut tree: MapleTree<Arc<()>, Fan<Tracked, 3, 3>> = MapleTree::new();
        for i in 0..30 {
            tree.store(i * 10..=i * 10 + 6, Arc::clone(&entry))
                .expect("memory");
        }
        let mut before: Vec<Span> = tree.iter().map(|(span, _)| span).collect();
        let mut cursor = tree.cursor_mut(0);
        cursor.find(random.bounded(280)).expect("there");
        for nr_allowed in 0..40 {
            let (here, _) = cursor.current().expect("stands on an entry");
            let span = match random.bounded(3) {
                0 => Span::new(here.first + 2, here.first + 3),
                1 => Span::new(here.first.saturating_sub(4), here.last + 25),
                _ => here,
            };
            let stored = with_failures(nr_allowed % 4, || cursor.store(span, Arc::clone(&entry)));
            let Err(StoreError { cause, .. }) = stored else {
                before.clear();
                continue;
            };
            nr_failed += 1;
            assert!(matches!(cause, WriteError::Alloc(_)));
            assert_eq!(cursor.current().map(|at| at.0), Some(here), "round {round}");
            let after = cursor.pause();
            if !before.is_empty() {
                assert!(tree.iter().map(|(span, _)| span).eq(before.iter().copied()));
            }
            cursor = tree.resume_mut(after);
        }
        let refused = cursor.store(Span::new(2, 1), Arc::clone(&entry));
        assert_eq!(
            refused.expect_err("inverted").cause,
            WriteError::InvertedRange
        );
        assert_eq!(tree.validate(), Ok(()));
        assert_eq!(Arc::strong_count(&entry), 1 + tree.iter().count());
    }
    assert!(nr_failed > 200, "failures were reached: {nr_failed}");
}
