//! Rules of the crates that the compiler enforces, each shown by a program that breaks it.
//!
//! The programs are in `fail/`, the compiler's words beside them: they are what a user reads,
//! and are reviewed like documentation. `pass/` holds the same done right, so that a program
//! fails for its rule and not for a typo. The rules are those of the project's design, §5; the
//! ones about locks come with the locks.
