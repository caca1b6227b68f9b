//! The command `vmaple`, run as a user runs it.

mod behaviour;
mod drawing;
mod files_and_rights;
mod fuzz;
mod looking;
mod odd_starts;
mod own_programs;
mod real_programs;
mod replay;
mod stressing;
mod support;
