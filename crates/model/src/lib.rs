//! Naive oracles and operation scripts: what the fast structures are compared with.
//!
//! | module | holds |
//! |---|---|
//! | [`tree`] | a range map that is obviously right, with linear gap search |
//! | [`script`] | random sequences of tree operations |
//! | [`random`] | the generator they share |

pub mod random;
pub mod script;
pub mod tree;
