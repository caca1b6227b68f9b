//! The text of `/proc/PID/numa_maps`, described in numa(7).

use super::buffer::{FmtSink, Sink, TextBuffer};
use super::entry::{MappingName, MapsEntry, write_bytes};
use super::figures::{NumaFigures, NumaProvider};
use super::line::{put_address, put_decimal};
use super::reader::VmaFormat;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::vma::Vma;
use alloc::vec::Vec;
use core::fmt;
use vmaple_locks::Environment;

/// The text of numa_maps for [`MapsReader`](crate::MapsReader).
#[derive(Clone, Debug)]
pub struct NumaMapsFormat<P> {
    page_size: u64,
    provider: P,
}

impl<P: NumaProvider> NumaMapsFormat<P> {
    /// numa_maps with pages of `page_size` bytes and the figures of `provider`.
    #[must_use]
    pub fn new(page_size: u64, provider: P) -> NumaMapsFormat<P> {
        NumaMapsFormat {
            page_size,
            provider,
        }
    }

    fn put_to(&mut self, entry: &MapsEntry<'_>, out: &mut impl Sink) {
        let Some(figures) = self.provider.numa(entry) else {
            return;
        };
        put_address(entry.range.start, out);
        out.put(b" ");
        out.put(figures.policy.as_bytes());
        put_name(&entry.name, out);
        if entry.flags.contains(VmFlags::HUGETLB) {
            out.put(b" huge");
        }
        put_counts(&figures, self.page_size, out);
        out.put(b"\n");
    }
}

/// Lets a file's name through, but for the bytes that would end the word: those as octal numbers.
struct Escaped<'a, S>(&'a mut S);

impl<S: Sink> Sink for Escaped<'_, S> {
    fn put(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\t' | b'\n' | b' ' | b'=' => {
                    let digit = |shift: u32| b'0' + (byte >> shift & 7);
                    self.0.put(&[b'\\', digit(6), digit(3), digit(0)]);
                }
                _ => self.0.put(&[byte]),
            }
        }
    }
}

fn put_name(name: &MappingName<'_>, out: &mut impl Sink) {
    match name {
        MappingName::Heap => out.put(b" heap"),
        MappingName::Stack => out.put(b" stack"),
        MappingName::File(file) => {
            out.put(b" file=");
            // A sink takes everything; a file that gives up leaves a short name.
            let _ = file.write_name(&mut FmtSink(&mut Escaped(out)));
        }
        MappingName::None
        | MappingName::Special(_)
        | MappingName::Anonymous(_)
        | MappingName::AnonymousShared(_) => {}
    }
}

/// The counts that say something; none at all where no page is present.
fn put_counts(figures: &NumaFigures<'_>, page_size: u64, out: &mut impl Sink) {
    let pages = figures.nodes.iter().sum::<u64>();
    if pages == 0 {
        return;
    }
    let mut count = |label: &str, value: u64, is_shown: bool| {
        if is_shown {
            out.put(b" ");
            out.put(label.as_bytes());
            out.put(b"=");
            put_decimal(value, 0, out);
        }
    };
    let NumaFigures {
        anon,
        dirty,
        map_max,
        swap_cache,
        active,
        writeback,
        nodes,
        ..
    } = *figures;
    count("anon", anon, anon > 0);
    count("dirty", dirty, dirty > 0);
    count("mapped", pages, pages != anon && pages != dirty);
    count("mapmax", map_max, map_max > 1);
    count("swapcache", swap_cache, swap_cache > 0);
    count("active", active, active < pages);
    count("writeback", writeback, writeback > 0);
    for (node, &nr) in nodes.iter().enumerate().filter(|(_, nr)| **nr > 0) {
        out.put(b" N");
        put_decimal(node as u64, 0, out);
        out.put(b"=");
        put_decimal(nr, 0, out);
    }
    out.put(b" kernelpagesize_kB=");
    put_decimal(page_size / 1024, 0, out);
}

impl<P: NumaProvider> VmaFormat for NumaMapsFormat<P> {
    fn put(&mut self, entry: &MapsEntry<'_>, vma: Option<&Vma>, out: &mut TextBuffer<'_>) {
        // The gate VMA is not in it.
        if vma.is_some() {
            self.put_to(entry, out);
        }
    }
}

impl<E: Environment> Mm<E> {
    /// Writes the text of `/proc/PID/numa_maps`, with the policies and counts of `provider`.
    ///
    /// A mapping of which the provider knows nothing has no line.
    ///
    /// # Errors
    /// Those of `out`.
    #[doc(alias = "numa_maps")]
    pub fn write_numa_maps(
        &self,
        provider: &mut impl NumaProvider,
        out: &mut impl fmt::Write,
    ) -> fmt::Result {
        let mut format = NumaMapsFormat::new(self.config.page_size, provider);
        let mut text = Vec::with_capacity(256);
        for vma in self.iter() {
            text.clear();
            format.put_to(&self.maps_line(vma), &mut text);
            write_bytes(&text, out)?;
        }
        Ok(())
    }
}
