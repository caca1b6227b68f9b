//! The course of a run, kept small enough to draw: which mapping was where during which calls.
//!
//! A history listens to the events that a mirror takes, of a run or of a replay alike, and looks
//! at the mirror after each. Its size is bounded: [`timeline`] doubles the number of calls in a
//! column where there are too many, and address spaces of the fewest calls are let go.

mod piece;
mod timeline;

use std::collections::HashMap;

use serde::Serialize;

pub use piece::{Kind, Names, Rect};
pub use timeline::{CallStats, Column, Logged, Timeline};

use crate::event::{Cause, Event, SpaceId};
use crate::mirror::Mirror;

/// Address spaces that are kept; of more, those with the fewest calls go.
const MOST_SPACES: usize = 48;

/// The courses of all address spaces of a run.
#[derive(Debug, Default, Serialize)]
pub struct History {
    /// Names of mappings; the rectangles name them by their place here.
    names: Names,
    /// Finished and unfinished ones in the order in which they appeared.
    spaces: Vec<Timeline>,
    /// Address spaces that were let go because there were too many.
    dropped: u64,
    /// Where those are that still change.
    #[serde(skip)]
    open: HashMap<SpaceId, usize>,
}

impl History {
    /// A history of nothing.
    #[must_use]
    pub fn new() -> History {
        History::default()
    }

    /// Takes note of an event that `mirror` has just taken.
    pub fn note(&mut self, event: &Event, mirror: &Mirror) {
        match event {
            Event::Image(image) => {
                if image.cause == Cause::Exec {
                    // The mirror has the new program's map already.
                    self.end(image.space);
                }
                self.begin(image.space, image.pid, &image.program, mirror);
            }
            Event::Fork { child, pid, .. } => {
                // Numbers are used again: the last with this one is meant.
                let processes = mirror.report().processes();
                let program = processes.filter(|process| process.pid == *pid).last();
                let program = program.map_or("", |process| process.program.as_str());
                self.begin(*child, *pid, program, mirror);
            }
            Event::Call(record) => {
                if let Some(&index) = self.open.get(&record.space) {
                    let timeline = &mut self.spaces[index];
                    mirror.look(record.space, |mm| {
                        timeline.call(record, mm, &mut self.names);
                    });
                }
            }
            Event::Gone { space } => self.close(*space, mirror),
            _ => {}
        }
    }

    /// Takes the last state of all that is still open, at the end of a run.
    pub fn finish(&mut self, mirror: &Mirror) {
        let open: Vec<SpaceId> = self.open.keys().copied().collect();
        for space in open {
            self.close(space, mirror);
        }
    }

    /// The courses that were kept.
    pub fn spaces(&self) -> impl Iterator<Item = &Timeline> {
        self.spaces.iter()
    }

    /// Address spaces that were let go because there were too many.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn begin(&mut self, space: SpaceId, pid: i32, program: &str, mirror: &Mirror) {
        if let Some(&index) = self.open.get(&space) {
            let timeline = &mut self.spaces[index];
            mirror.look(space, |mm| timeline.reseed(mm, &mut self.names));
            return;
        }
        let timeline = mirror.look(space, |mm| Timeline::new(pid, program, mm, &mut self.names));
        let Some(timeline) = timeline else {
            return;
        };
        self.spaces.push(timeline);
        self.open.insert(space, self.spaces.len() - 1);
        if self.spaces.len() > MOST_SPACES {
            self.drop_smallest();
        }
    }

    fn close(&mut self, space: SpaceId, mirror: &Mirror) {
        let Some(&index) = self.open.get(&space) else {
            return;
        };
        let timeline = &mut self.spaces[index];
        mirror.look(space, |mm| timeline.finish(Some(mm), &mut self.names));
        self.end(space);
    }

    /// Nothing more comes: what the course has seen last stays so.
    fn end(&mut self, space: SpaceId) {
        if let Some(index) = self.open.remove(&space) {
            self.spaces[index].finish(None, &mut self.names);
        }
    }

    /// Lets the finished one with the fewest calls go, if any is finished.
    fn drop_smallest(&mut self) {
        let is_open = |index: usize| self.open.values().any(|open| *open == index);
        let finished = (0..self.spaces.len()).filter(|index| !is_open(*index));
        let Some(smallest) = finished.min_by_key(|index| self.spaces[*index].calls()) else {
            return;
        };
        self.spaces.remove(smallest);
        self.dropped += 1;
        for index in self.open.values_mut().filter(|index| **index > smallest) {
            *index -= 1;
        }
    }
}
