//! The Linux host of vmaple.
//!
//! Arrows point down:
//!
//! - [`live`]: a run. Turns the tracer's stops into [`event`]s and compares as it goes.
//! - [`history`]: what the mirror came through, small enough to draw.
//! - [`mirror`]: replays events on [`vmaple::Mm`]; all of a run's facts are in its events,
//!   so a [`trace_file`] replays without the program.
//! - [`stress`]: one load under several ways of locking, the running kernel among them.
//! - [`tracer`]: stops a real program at its memory calls and knows nothing of maps.
//! - [`procfs`]: reads what the kernel tells about a process; [`setting`] puts it in the words of
//!   [`vmaple::MmConfig`].
//! - [`arch`]: everything that depends on the processor.

pub mod arch;
pub mod call;
pub mod event;
pub mod history;
pub mod live;
pub mod mirror;
pub mod procfs;
pub mod report;
pub mod setting;
pub mod stress;
pub mod trace_file;
pub mod tracer;

pub use vmaple::Errno;
