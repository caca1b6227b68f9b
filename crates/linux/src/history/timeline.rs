//! One address space over its calls.
//!
//! Calls are gathered in columns of `stride` calls each, 1 at first. State 0 is the map before
//! the first call, state N the map after column N - 1. Where columns or rectangles become too
//! many, two columns become one and only every second state is kept: a mapping that lived within
//! one column is not drawn any more, but its calls, merges and splits are counted all the same.

use std::collections::BTreeMap;

use serde::Serialize;
use vmaple::{MapsEntry, Mm};

use super::piece::{Names, Rect};
use crate::event::CallRecord;

/// Columns above which two become one; even.
const MOST_COLUMNS: usize = 2048;
/// Rectangles above which the same happens.
const MOST_RECTS: usize = 40_000;
/// Calls that are kept word for word, from the first on.
const MOST_LOGGED: usize = 3000;

/// What happened in the calls of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Calls.
    pub calls: u64,
    /// Calls that returned an error.
    pub failed: u64,
    /// Mappings merged into a neighbour.
    pub merges: u64,
    /// Mappings split.
    pub splits: u64,
    /// Mappings after the last of its calls.
    pub vmas: u64,
    /// Bytes mapped after the last of its calls.
    pub bytes: u64,
    /// Calls by name.
    pub kinds: BTreeMap<String, u64>,
}

impl Column {
    fn absorb(&mut self, next: &Column) {
        self.calls += next.calls;
        self.failed += next.failed;
        self.merges += next.merges;
        self.splits += next.splits;
        self.vmas = next.vmas;
        self.bytes = next.bytes;
        for (kind, count) in &next.kinds {
            add(&mut self.kinds, kind, *count);
        }
    }
}

/// What one kind of call did, over the whole course.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallStats {
    /// Calls.
    pub calls: u64,
    /// Calls that returned an error.
    pub failed: u64,
    /// Mappings they merged into a neighbour.
    pub merges: u64,
    /// Mappings they split.
    pub splits: u64,
}

/// One call word for word: `[call, result, merges, splits]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Logged(pub String, pub String, pub u64, pub u64);

/// The course of one address space.
#[derive(Debug, Serialize)]
pub struct Timeline {
    pid: i32,
    program: String,
    calls: u64,
    /// Calls in each column but the last, which may have fewer.
    stride: u64,
    columns: Vec<Column>,
    rects: Vec<Rect>,
    by_kind: BTreeMap<String, CallStats>,
    /// The first calls, from the first on.
    log: Vec<Logged>,
    /// Times the map was read anew from the kernel in its course.
    reseeds: u64,
    /// The mappings of the last state, ascending.
    #[serde(skip)]
    current: Vec<Rect>,
    /// The column that is being filled.
    #[serde(skip)]
    filling: Column,
    /// Merges and splits that the map had counted at the last look.
    #[serde(skip)]
    counted: (u64, u64),
}

impl Timeline {
    /// A course that begins with this map.
    pub(super) fn new(pid: i32, program: &str, mm: &Mm, names: &mut Names) -> Timeline {
        let mut timeline = Timeline {
            pid,
            program: program.to_owned(),
            calls: 0,
            stride: 1,
            columns: Vec::new(),
            rects: Vec::new(),
            by_kind: BTreeMap::new(),
            log: Vec::new(),
            reseeds: 0,
            current: Vec::new(),
            filling: Column::default(),
            counted: counted(mm),
        };
        timeline.look(mm, 0, names);
        timeline
    }

    /// Memory calls it made.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Calls in one column.
    #[must_use]
    pub fn stride(&self) -> u64 {
        self.stride
    }

    /// What happened, column by column.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Which mapping was where and when.
    #[must_use]
    pub fn rects(&self) -> &[Rect] {
        &self.rects
    }

    /// The map was read anew: its counters begin again.
    pub(super) fn reseed(&mut self, mm: &Mm, names: &mut Names) {
        self.counted = counted(mm);
        self.reseeds += 1;
        self.look(mm, self.columns.len() as u32, names);
    }

    /// One call has been made, and this is the map now.
    pub(super) fn call(&mut self, record: &CallRecord, mm: &Mm, names: &mut Names) {
        let now = counted(mm);
        let merges = now.0.saturating_sub(self.counted.0);
        let splits = now.1.saturating_sub(self.counted.1);
        self.counted = now;
        self.calls += 1;
        let failed = u64::from((-4095..0).contains(&record.ret));
        let name = record.call.name();
        let stats = self.by_kind.entry(name.to_owned()).or_default();
        stats.calls += 1;
        stats.failed += failed;
        stats.merges += merges;
        stats.splits += splits;
        let column = &mut self.filling;
        column.calls += 1;
        column.failed += failed;
        column.merges += merges;
        column.splits += splits;
        add(&mut column.kinds, name, 1);
        if self.log.len() < MOST_LOGGED {
            let result = match u64::try_from(record.ret) {
                Ok(value) => format!("{value:#x}"),
                Err(_) => error_name(record.ret),
            };
            let call = record.call.to_string();
            self.log.push(Logged(call, result, merges, splits));
        }
        if self.filling.calls == self.stride {
            self.end_column(mm, names);
        }
    }

    /// The course is over; `mm` is its last map, where that is still known.
    pub(super) fn finish(&mut self, mm: Option<&Mm>, names: &mut Names) {
        if self.filling.calls > 0 {
            match mm {
                Some(mm) => self.end_column(mm, names),
                None => self.push_column(),
            }
        }
        let end = self.columns.len() as u32 + 1;
        for mut rect in std::mem::take(&mut self.current) {
            rect.to = end;
            self.rects.push(rect);
        }
    }

    fn push_column(&mut self) {
        self.columns.push(std::mem::take(&mut self.filling));
    }

    fn end_column(&mut self, mm: &Mm, names: &mut Names) {
        self.filling.vmas = mm.len() as u64;
        self.filling.bytes = mm.counters().total_vm << mm.config().page_size.trailing_zeros();
        self.push_column();
        self.look(mm, self.columns.len() as u32, names);
        let is_even = self.columns.len().is_multiple_of(2);
        let is_full = self.columns.len() >= MOST_COLUMNS || self.rects.len() >= MOST_RECTS;
        if is_even && is_full && self.columns.len() > 2 {
            self.halve();
        }
    }

    /// Compares the map with the last state; `state` is the number of the new one.
    fn look(&mut self, mm: &Mm, state: u32, names: &mut Names) {
        let mut before = std::mem::take(&mut self.current).into_iter().peekable();
        let mut now: Vec<Rect> = Vec::with_capacity(before.len());
        let mut gone = |mut rect: Rect| {
            rect.to = state;
            if rect.from < rect.to {
                self.rects.push(rect);
            }
        };
        let is_of_users = |entry: &MapsEntry<'_>| entry.range.end <= mm.config().task_size;
        for entry in mm.maps().filter(is_of_users) {
            while let Some(rect) = before.next_if(|rect| rect.range.start < entry.range.start) {
                gone(rect);
            }
            match before.next_if(|rect| rect.range.start == entry.range.start) {
                Some(rect) if rect.is(&entry) => now.push(rect),
                other => {
                    other.into_iter().for_each(&mut gone);
                    now.push(Rect::new(&entry, state, names));
                }
            }
        }
        before.for_each(gone);
        self.current = now;
    }

    /// Two columns become one, and every second state is forgotten.
    fn halve(&mut self) {
        let pairs = std::mem::take(&mut self.columns);
        for pair in pairs.chunks(2) {
            let [first, rest @ ..] = pair else { continue };
            let mut column = first.clone();
            rest.iter().for_each(|next| column.absorb(next));
            self.columns.push(column);
        }
        self.stride *= 2;
        let rects = std::mem::take(&mut self.rects);
        self.rects = rects.into_iter().filter_map(Rect::halved).collect();
        for rect in &mut self.current {
            rect.from = rect.from.div_ceil(2);
        }
    }
}

/// Adds without making a `String` where the name is there already.
fn add(counts: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    match counts.get_mut(name) {
        Some(count) => *count += more,
        None => _ = counts.insert(name.to_owned(), more),
    }
}

fn counted(mm: &Mm) -> (u64, u64) {
    let counters = mm.counters();
    (counters.merges.total(), counters.splits)
}

fn error_name(ret: i64) -> String {
    let errno = i32::try_from(-ret).ok().and_then(vmaple::Errno::from_raw);
    errno.map_or_else(|| ret.to_string(), |errno| errno.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Call;
    use crate::event::{Facts, SpaceId};
    use vmaple::{MmConfig, MmapArgs};

    const AT: u64 = 0x10_0000;

    fn record(call: Call, ret: i64) -> CallRecord {
        CallRecord {
            space: SpaceId(1),
            pid: 1,
            tid: 1,
            call,
            ret,
            facts: Facts::default(),
        }
    }

    /// Maps and unmaps a page again and again beside one that stays.
    fn course(nr_calls: u64) -> Timeline {
        let mut mm = Mm::new(MmConfig::x86_64());
        mm.mmap(&MmapArgs::anonymous(AT, 4096, 3, 0x32)).unwrap();
        let mut names = Names::default();
        let mut timeline = Timeline::new(1, "p", &mm, &mut names);
        for call in 0..nr_calls {
            let (addr, len) = (AT + 0x10_0000 + call / 2 % 64 * 8192, 4096);
            let made = if call % 2 == 0 {
                mm.mmap(&MmapArgs::anonymous(addr, len, 3, 0x32)).unwrap();
                let (prot, flags, fd, offset) = (3, 0x32, -1, 0);
                Call::Mmap {
                    addr,
                    len,
                    prot,
                    flags,
                    fd,
                    offset,
                }
            } else {
                mm.munmap(addr, len).unwrap();
                Call::Munmap { addr, len }
            };
            timeline.call(&record(made, 0), &mm, &mut names);
        }
        timeline.finish(Some(&mm), &mut names);
        timeline
    }

    #[test]
    fn each_mapping_is_there_from_its_call_to_the_next() {
        let timeline = course(6);
        assert_eq!((timeline.stride(), timeline.columns().len()), (1, 6));
        let lives: Vec<(u32, u32)> = timeline
            .rects()
            .iter()
            .map(|rect| (rect.from, rect.to))
            .collect();
        assert_eq!(lives, [(1, 2), (3, 4), (5, 6), (0, 7)]);
        assert_eq!(timeline.by_kind["munmap"].calls, 3);
        assert_eq!(timeline.log.len(), 6);
    }

    #[test]
    fn a_hundred_thousand_calls_stay_small_and_are_all_counted() {
        let timeline = course(100_001);
        assert_eq!(timeline.stride(), 64);
        assert!(
            timeline.columns().len() <= MOST_COLUMNS,
            "{}",
            timeline.columns().len()
        );
        assert!(timeline.rects().len() <= MOST_RECTS);
        let counted: u64 = timeline.columns().iter().map(|column| column.calls).sum();
        assert_eq!(counted, 100_001);
        let by_name: u64 = timeline
            .columns()
            .iter()
            .map(|column| column.kinds["mmap"])
            .sum();
        assert_eq!(by_name, 50_001);
        let kept = timeline
            .rects()
            .iter()
            .find(|rect| rect.range.start == AT)
            .unwrap();
        assert_eq!(
            (kept.from, kept.to),
            (0, timeline.columns().len() as u32 + 1)
        );
        let full = &timeline.columns()[..timeline.columns().len() - 1];
        assert!(full.iter().all(|column| column.calls == 64));
    }

    #[test]
    fn an_error_has_its_name() {
        assert_eq!(error_name(-12), "ENOMEM");
        assert_eq!(error_name(-4000), "-4000");
    }
}
