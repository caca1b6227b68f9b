//! Atomics, cells and waiting over `core`, loom and shuttle: the only crate of the workspace
//! that names `core::sync::atomic`.
//!
//! Code written against this crate runs unchanged under a model checker: build with
//! `--cfg loom` or `--cfg shuttle` and every atomic, fence, cell and spin becomes the checker's.
//!
//! | module | holds |
//! |---|---|
//! | [`atomic`] | integers, pointers, fences |
//! | [`cell`] | [`cell::UnsafeCell`], whose every access a checker sees |
//! | [`hint`] | [`hint::spin_loop`] |
//! | [`joint`] | [`joint::Joint`]: an owner among several, counted; making one can fail |
//! | [`wait`] | sleeping on a word: the [`wait::Wait`] trait and its two environments |
//! | [`slots`] | moves within a slice of pointers that the caller owns alone |
//! | [`mutex`] | a small mutex over [`wait::Wait`] |
//! | [`names`] | what words are called where a checker tells of them |
//! | [`plants`] | bugs that a build can be asked to have |
//! | [`unique`] | numbers that name things for good |
//! | `model` | under a checker: runs a test, and shows the steps of an execution that fails |
//!
//! **Architecture Invariant:** a normal build depends on nothing, and on `std` only for waiting.
#![no_std]

extern crate alloc;

#[cfg(any(feature = "std", loom, shuttle, plantable))]
extern crate std;

pub mod atomic;
pub mod cell;
#[cfg(any(loom, shuttle))]
mod columns;
pub mod hint;
pub mod joint;
#[cfg(any(loom, shuttle))]
pub mod model;
pub mod mutex;
pub mod names;
pub mod plants;
pub mod slots;
#[cfg(any(loom, shuttle))]
mod steps;
pub mod unique;
pub mod wait;
#[cfg(any(loom, shuttle))]
mod watched;
