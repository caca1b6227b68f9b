//! The running kernel as judge: random memory calls made for real by a child process and by
//! [`vmaple::Mm`], compared after each one.
//!
//! - [`Host`] is the kernel, ready to judge; [`Session`] a process and a model in lockstep.
//! - [`fuzz()`] makes random sequences by [`Profile`] and counts what they come to ([`Coverage`]).
//! - [`Script`] is a sequence as text; [`replay()`] makes it again, [`Shrinker`] makes it small.
//! - [`record`] writes the kernel's answers into a script, [`judge`] needs no kernel then.
//! - [`picture`] draws what differs.
//!
//! ```
//! use vmaple_judge::{Host, Script, replay};
//!
//! let script: Script = "
//!     mmap(0x100000000000, 0x3000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, anonymous, 0)
//!     mprotect(0x100000001000, 0x1000, PROT_NONE)
//! ".parse()?;
//! match Host::open() {
//!     Ok(host) => replay(&host, &script)?,
//!     Err(unsuitable) => eprintln!("skipped: {unsuitable}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apply;
mod coverage;
mod executor;
pub mod files;
mod finding;
mod fuzz;
mod harm;
mod host;
mod model;
pub mod names;
mod op;
pub mod picture;
mod processor;
mod profile;
mod random;
mod recorded;
mod replay;
mod rng;
mod script;
mod seed;
mod session;
mod userfault;
mod words;

pub use coverage::{Abilities, Case, Coverage, Cut, Ending, Event, MergeCase};
pub use finding::Finding;
pub use fuzz::{Difference, Fuzz, Progress, Share, fuzz, sample, walk};
pub use host::{Host, Unsuitable};
pub use model::Answer;
pub use op::{ANONYMOUS, Arg, CallName, Op};
pub use profile::{PROFILES, Profile};
pub use recorded::{judge, record};
pub use replay::{Scene, Shrinker, Verdict, replay, scene};
pub use rng::Rng;
pub use script::{MARK, Plant, Reply, Script, ScriptError, Step};
pub use session::Session;
