//! Naive oracles and operation scripts: what the fast structures are compared with.
//!
//! | module | holds |
//! |---|---|
//! | [`tree`] | a range map that is obviously right, with linear gap search |
//! | [`history`] | recorded runs beside a writer, and whether they can have been |
//! | [`script`] | random sequences of tree operations |
//! | [`random`] | the generator they share |

pub mod history;
pub mod random;
pub mod script;
pub mod tree;
