//! The texts of `/proc/PID`: maps, smaps, smaps_rollup and numa_maps, byte for byte.
//!
//! | file | knows |
//! |---|---|
//! | `entry` | what a line says: the fields of a VMA, and its name |
//! | `line` | how a line of maps is written |
//! | `buffer` | where text goes |
//! | `source` | where VMAs come from: one at a time, by address |
//! | `reader` | positions: reading a text piece by piece |
//! | `figures` | what the embedder says of pages |
//! | `shmem_huge` | which shared memory may have huge pages |
//! | `smaps`, `numa` | the texts that have such figures in them |

mod buffer;
mod entry;
mod figures;
mod line;
mod numa;
mod reader;
mod shmem_huge;
mod smaps;
mod source;

pub use buffer::TextBuffer;
pub(crate) use entry::FilePlace;
pub use entry::{MappingName, MapsEntry};
pub use figures::{NoFigures, NumaFigures, NumaProvider, PageFigures, PageProvider};
pub use numa::NumaMapsFormat;
pub use reader::{MapsFormat, MapsPosition, MapsReader, ReadError, VmaFormat};
pub use shmem_huge::{ShmemEnabled, ShmemHuge, ShmemSizeEnabled};
pub use smaps::{RollupError, SmapsFormat, SmapsRules, ThpEnabled};
pub use source::{MmSource, VmaSource};
