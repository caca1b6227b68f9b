//! The Linux host of vmaple.
//!
//! Three layers, arrows pointing down: [`tracer`] stops a real program at its memory calls
//! and knows nothing of maps; [`procfs`] reads what the kernel tells about a process;
//! `mirror` replays the calls on [`vmaple::Mm`] and compares.

pub mod arch;
pub mod procfs;
pub mod tracer;
