//! Bugs that a build can be asked to have, so that one sees the tests find them.
//!
//! A place where one can be planted asks [`planted!`](crate::planted). Without a flag that is
//! `false` when the program is compiled, and nothing is left of it. `--cfg planted="NAME"` compiles
//! one bug in; `--cfg plantable` compiles all of them in, and the environment variable `PLANTED`
//! names the one that is there.

/// Whether the bug of this name is there.
///
/// # Examples
///
/// ```
/// let order = if vmaple_sync::planted!("unlock_relaxed") { "relaxed" } else { "release" };
/// assert_eq!(order, "release");
/// ```
#[macro_export]
macro_rules! planted {
    ($name:tt) => {{
        #[cfg(plantable)]
        let is_there = {
            static PLANT: $crate::plants::Plant = $crate::plants::Plant::new($name);
            PLANT.is_there()
        };
        #[cfg(not(plantable))]
        let is_there = cfg!(planted = $name);
        is_there
    }};
}

/// One bug, asked for or not as long as the program runs.
#[cfg(plantable)]
#[derive(Debug)]
pub struct Plant {
    name: &'static str,
    is_there: std::sync::OnceLock<bool>,
}

#[cfg(plantable)]
impl Plant {
    /// The bug of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            is_there: std::sync::OnceLock::new(),
        }
    }

    /// Whether the environment asks for it.
    pub fn is_there(&self) -> bool {
        *self
            .is_there
            .get_or_init(|| std::env::var("PLANTED").is_ok_and(|name| name == self.name))
    }
}
