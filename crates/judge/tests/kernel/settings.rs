//! The machine's settings for huge pages, changed for a while.

use std::fs;
use std::io;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const FOLDER: &str = "/sys/kernel/mm/transparent_hugepage";

static TESTS: RwLock<()> = RwLock::new(());

thread_local! {
    static STEADY: RwLockReadGuard<'static, ()> =
        TESTS.read().unwrap_or_else(PoisonError::into_inner);
}

/// No test of this program changes a setting until this thread is over.
pub(crate) fn keep_steady() {
    STEADY.with(|_| ());
}

/// No test of this program relies on the settings meanwhile.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    TESTS.write().unwrap_or_else(PoisonError::into_inner)
}

/// The word in brackets; empty where there is no such setting.
pub(crate) fn chosen(setting: &str) -> String {
    let text = fs::read_to_string(format!("{FOLDER}/{setting}")).unwrap_or_default();
    let chosen = text.split(['[', ']']).nth(1);
    chosen.unwrap_or_default().to_owned()
}

/// The setting for shared memory of pages that are so many doublings of 4 KiB.
pub(crate) fn of_size(order: usize) -> String {
    format!("hugepages-{}kB/shmem_enabled", 4_u64 << order)
}

/// Settings that go back to what they were when this goes away.
pub(crate) struct Changed(Vec<(String, String)>);

impl Changed {
    pub(crate) fn none() -> Changed {
        Changed(Vec::new())
    }

    /// Changes one.
    ///
    /// # Errors
    /// There is none of that name, or this user may not.
    pub(crate) fn set(&mut self, setting: &str, word: &str) -> io::Result<()> {
        let before = chosen(setting);
        fs::write(format!("{FOLDER}/{setting}"), word)?;
        if self.0.iter().all(|(of, _)| of != setting) {
            self.0.push((setting.to_owned(), before));
        }
        Ok(())
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        for (setting, before) in self.0.drain(..).rev() {
            let restored = fs::write(format!("{FOLDER}/{setting}"), &before);
            if let Err(error) = restored {
                eprintln!("{setting} stays changed, it was {before}: {error}");
            }
        }
    }
}
