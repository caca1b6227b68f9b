//! Which mappings a call's outcome may depend on, and what page faults did to them.
//!
//! Linux gives a mapping its `anon_vma` at the first write to it, and moves the start of a
//! stack at a fault below it. Neither is a memory call. Both are looked up for the mappings
//! near a call just before it runs, so that the mirror decides on what the kernel sees.

use vmaple::{AddrRange, Mm, VmFlags};

use super::Live;
use crate::call::Call;
use crate::event::{Event, Facts, Range, SpaceId};
use crate::mirror::Rehearsed;
use crate::procfs::query::Mapping;
use crate::tracer::{ObserverError, Task};

const MREMAP_MAYMOVE: u64 = 1;

impl Live<'_> {
    /// All mappings that held no anonymous page so far.
    pub(super) fn unfaulted(&self, who: Task) -> Vec<AddrRange> {
        let mut ranges = Vec::new();
        self.mirror.look(SpaceId(who.mm.0), |mm| {
            mm.unfaulted_near(AddrRange::new(0, mm.config().task_size), &mut ranges);
        });
        ranges
    }

    /// Mappings that held no anonymous page so far and that the outcome of `call` may depend
    /// on. Stacks among them are brought to their present size first.
    pub(super) fn concerned(
        &mut self,
        who: Task,
        call: &Call,
        facts: &Facts,
    ) -> Result<Vec<AddrRange>, ObserverError> {
        self.follow_stacks(who, call)?;
        if call.touches_whole_map() {
            return Ok(self.unfaulted(who));
        }
        let spans = self.spans(who, call, facts);
        Ok(self
            .mirror
            .look(SpaceId(who.mm.0), |mm| clean_near(mm, &spans))
            .unwrap_or_default())
    }

    /// The ranges that the call names, and where a new mapping would go.
    fn spans(&self, who: Task, call: &Call, facts: &Facts) -> Vec<AddrRange> {
        let page = self.machine.page_size;
        let pages = |span: crate::call::Span| whole_pages(span.start, span.len, page);
        let mut spans: Vec<AddrRange> = call.spans().into_iter().map(pages).collect();
        let space = SpaceId(who.mm.0);
        match *call {
            Call::Mmap { len, .. } => {
                let at = self.mirror.landing(space, call, facts);
                spans.extend(at.map(|at| whole_pages(at, len, page)));
            }
            Call::Mremap { new_len, flags, .. } if flags & MREMAP_MAYMOVE != 0 => {
                let at = self.mirror.landing(space, &anywhere(new_len), facts);
                spans.extend(at.map(|at| whole_pages(at, new_len, page)));
            }
            Call::Brk { addr } => {
                let brk = self.mirror.look(space, |mm| mm.areas().brk).unwrap_or(addr);
                let (low, high) = (brk.min(addr), brk.max(addr));
                spans.push(whole_pages(low, high - low, page));
            }
            _ => {}
        }
        spans
    }

    /// Moves the start of each stack that the call may meet to where faults have brought it.
    ///
    /// The process's own stack is far from everything; it is looked at where a call names it.
    /// Others (`MAP_GROWSDOWN`) keep a gap below them, which every placement has to respect.
    fn follow_stacks(&mut self, who: Task, call: &Call) -> Result<(), ObserverError> {
        let page = self.machine.page_size;
        let stacks = self.mirror.look(SpaceId(who.mm.0), |mm| {
            if call.touches_whole_map() || has_many_stacks(mm, page) {
                return all_stacks(mm);
            }
            let near =
                |span: crate::call::Span| stacks_near(mm, whole_pages(span.start, span.len, page));
            call.spans().into_iter().flat_map(near).collect()
        });
        for stack in stacks.unwrap_or_default() {
            let maps = self
                .spaces
                .get(&who.mm)
                .and_then(|space| space.maps.as_ref());
            let now = maps.and_then(|maps| maps.mapping_at(stack.end - 1).ok().flatten());
            let grown = |now: &Mapping| now.end == stack.end && now.start < stack.start;
            if let Some(now) = now.filter(grown) {
                self.stack_grew(who, stack.start, now.start)?;
            }
        }
        Ok(())
    }

    /// Follows one stack, and counts it.
    pub(super) fn stack_grew(
        &mut self,
        who: Task,
        from: u64,
        to: u64,
    ) -> Result<(), ObserverError> {
        let space = SpaceId(who.mm.0);
        let near = [AddrRange::new(to, from)];
        let clean = self
            .mirror
            .look(space, |mm| clean_near(mm, &near))
            .unwrap_or_default();
        let held = self
            .spaces
            .get(&who.mm)
            .map(|space| space.anonymous(&clean));
        let faulted = held
            .unwrap_or_default()
            .into_iter()
            .map(Range::from)
            .collect();
        let grew = Event::Grew {
            space,
            pid: who.tgid.as_raw(),
            from,
            to,
            faulted,
        };
        let _agrees = self.apply(&grew)?;
        Ok(())
    }

    /// Mappings whose first write happened while a call ran: of what is clean in `mm` after
    /// the call, what lies in `raced` and holds an anonymous page.
    pub(super) fn faulted_beside(
        &self,
        who: Task,
        made: &Rehearsed,
        raced: &[Range],
    ) -> Vec<Range> {
        let spans: Vec<AddrRange> = raced
            .iter()
            .map(|range| AddrRange::new(range.start, range.end))
            .collect();
        let mut clean = made.look(|mm| clean_near(mm, &spans));
        clean.retain(|vma| {
            raced
                .iter()
                .any(|range| vma.start < range.end && range.start < vma.end)
        });
        let held = self
            .spaces
            .get(&who.mm)
            .map(|space| space.anonymous(&clean));
        held.unwrap_or_default()
            .into_iter()
            .map(Range::from)
            .collect()
    }
}

/// Mappings near any of `spans` that held no anonymous page so far, ascending, each once.
fn clean_near(mm: &Mm, spans: &[AddrRange]) -> Vec<AddrRange> {
    let mut ranges = Vec::new();
    let mut near = Vec::new();
    for &span in spans {
        near.clear();
        mm.unfaulted_near(span, &mut near);
        ranges.append(&mut near);
    }
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup();
    ranges
}

/// Whether there are growing mappings beside the process's own stack.
fn has_many_stacks(mm: &Mm, page_size: u64) -> bool {
    let own = mm
        .vma_at(mm.areas().start_stack)
        .map_or(0, vmaple::Vma::len);
    mm.counters().stack_vm * page_size > own
}

pub(super) fn all_stacks(mm: &Mm) -> Vec<AddrRange> {
    let growing = mm
        .iter()
        .filter(|vma| vma.flags.contains(VmFlags::GROWSDOWN));
    growing.map(vmaple::Vma::range).collect()
}

/// Growing mappings that overlap `span` or are next to its ends.
fn stacks_near(mm: &Mm, span: AddrRange) -> Vec<AddrRange> {
    let inside = mm.overlapping(span);
    let next = [mm.find(span.start), mm.find(span.end)];
    let mut stacks: Vec<AddrRange> = inside
        .chain(next.into_iter().flatten())
        .filter(|vma| vma.flags.contains(VmFlags::GROWSDOWN))
        .map(vmaple::Vma::range)
        .collect();
    stacks.sort_unstable_by_key(|range| range.start);
    stacks.dedup();
    stacks
}

/// A private anonymous mapping of `len` bytes anywhere.
fn anywhere(len: u64) -> Call {
    let flags = vmaple::MapFlags::PRIVATE
        .union(vmaple::MapFlags::ANONYMOUS)
        .bits();
    Call::Mmap {
        addr: 0,
        len,
        prot: 0,
        flags,
        fd: -1,
        offset: 0,
    }
}

/// The pages that `start..start + len` touches; the kernel judges what is out of range.
pub(super) fn whole_pages(start: u64, len: u64, page_size: u64) -> AddrRange {
    let mask = page_size - 1;
    let end = start.saturating_add(len).saturating_add(mask) & !mask;
    AddrRange::new(start & !mask, end.max(start & !mask))
}
