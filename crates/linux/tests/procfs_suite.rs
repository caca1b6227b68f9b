//! The /proc readers against the running kernel: the test's own process and forked children.

#[path = "procfs_suite/area.rs"]
mod area;
#[path = "procfs_suite/child.rs"]
mod child;
#[path = "procfs_suite/facts.rs"]
mod facts;
#[path = "procfs_suite/files.rs"]
mod files;
#[path = "procfs_suite/maps.rs"]
mod maps;
#[path = "procfs_suite/mounts.rs"]
mod mounts;
#[path = "procfs_suite/pages.rs"]
mod pages;
#[path = "procfs_suite/smaps.rs"]
mod smaps;
#[path = "procfs_suite/speed.rs"]
mod speed;
