//! What was measured: for each row, side and build a list of samples.

use crate::meter::{Counts, Sample};
use crate::variants::Target;
use serde_json::json;

/// The samples of one row, as one side measured it in one build.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) row: String,
    /// `c`, `owned`, `shared`, a crate's name …
    pub(crate) side: String,
    pub(crate) target: Target,
    pub(crate) samples: Vec<Sample>,
    /// Whether all checksums are the expected one.
    pub(crate) is_right: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) cells: Vec<Cell>,
    /// Rows that a side could not measure.
    pub(crate) nr_failed: usize,
}

/// The median; of an even number the lower one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

impl Cell {
    fn per_op(&self, total: impl Fn(&Sample) -> u64) -> Vec<f64> {
        let each = |sample: &Sample| total(sample) as f64 / sample.ops as f64;
        self.samples.iter().map(each).collect()
    }

    /// Median ns per operation.
    pub(crate) fn ns(&self) -> f64 {
        median(self.per_op(|sample| sample.ns))
    }

    /// The least ns per operation.
    pub(crate) fn min_ns(&self) -> f64 {
        self.per_op(|sample| sample.ns)
            .into_iter()
            .fold(f64::INFINITY, f64::min)
    }

    /// Medians of cycles, instructions and branch misses per operation, where they were counted.
    pub(crate) fn counts(&self) -> Option<[f64; 3]> {
        let is_counted = |sample: &Sample| sample.counts != Counts::default();
        self.samples
            .iter()
            .all(is_counted)
            .then(|| [0, 1, 2].map(|i| median(self.per_op(|sample| sample.counts[i]))))
    }

    /// Cycles where they were counted, else time: what to compare by.
    pub(crate) fn cost(&self) -> f64 {
        self.counts()
            .map_or_else(|| self.ns(), |[cycles, ..]| cycles)
    }

    /// A figure of the note, `key=figure`; its median.
    pub(crate) fn figure(&self, key: &str) -> Option<f64> {
        let figures: Vec<f64> = self
            .samples
            .iter()
            .filter_map(|sample| {
                let mut pairs = sample
                    .note
                    .split_whitespace()
                    .filter_map(|pair| pair.split_once('='));
                pairs.find(|(name, _)| *name == key)?.1.parse().ok()
            })
            .collect();
        (!figures.is_empty()).then(|| median(figures))
    }
}

impl Results {
    pub(crate) fn add(
        &mut self,
        side: &str,
        target: Target,
        sample: Sample,
        expected: Option<u64>,
    ) {
        let is_right = expected.is_none_or(|expected| expected == sample.checksum);
        if !is_right {
            eprintln!(
                "bench: {} of {side}: checksum {:016x}",
                sample.name, sample.checksum
            );
        }
        let same = |cell: &&mut Cell| {
            cell.row == sample.name && cell.side == side && cell.target == target
        };
        if let Some(cell) = self.cells.iter_mut().find(same) {
            cell.is_right &= is_right;
            cell.samples.push(sample);
        } else {
            self.cells.push(Cell {
                row: sample.name.clone(),
                side: side.to_owned(),
                target,
                samples: vec![sample],
                is_right,
            });
        }
    }

    pub(crate) fn get(&self, row: &str, side: &str, target: Target) -> Option<&Cell> {
        let same = |cell: &&Cell| cell.row == row && cell.side == side && cell.target == target;
        self.cells.iter().find(same)
    }

    pub(crate) fn is_right(&self) -> bool {
        self.nr_failed == 0 && self.cells.iter().all(|cell| cell.is_right)
    }

    pub(crate) fn to_json(&self) -> String {
        let cells: Vec<_> = self
            .cells
            .iter()
            .map(|cell| {
                let counts = cell.counts();
                json!({
                    "row": cell.row,
                    "side": cell.side,
                    "target": cell.target.name(),
                    "ns_median": cell.ns(),
                    "ns_min": cell.min_ns(),
                    "cycles": counts.map(|counts| counts[0]),
                    "instructions": counts.map(|counts| counts[1]),
                    "branch_misses": counts.map(|counts| counts[2]),
                    "checksum": format!("{:016x}", cell.samples[0].checksum),
                    "is_right": cell.is_right,
                    "note": cell.samples[0].note,
                    "repeats": cell.samples.len(),
                })
            })
            .collect();
        format!("{:#}\n", json!({ "cells": cells }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ns: u64, checksum: u64) -> Sample {
        Sample {
            name: "row".to_owned(),
            ops: 10,
            ns,
            counts: [0; 3],
            checksum,
            note: "bytes_per_entry=28.5".to_owned(),
        }
    }

    #[test]
    fn medians_and_notes() {
        let mut results = Results::default();
        for ns in [50, 10, 30] {
            results.add("owned", Target::Default, sample(ns, 7), Some(7));
        }
        let cell = results.get("row", "owned", Target::Default).expect("added");
        assert_eq!((cell.ns(), cell.min_ns(), cell.counts()), (3.0, 1.0, None));
        assert_eq!(cell.figure("bytes_per_entry"), Some(28.5));
        assert!(results.is_right());
        results.add("c", Target::Default, sample(1, 8), Some(7));
        assert!(!results.is_right());
    }
}
