//! The command `vmaple`, run as a user runs it.

mod behaviour;
mod own_programs;
mod real_programs;
mod replay;
mod support;
