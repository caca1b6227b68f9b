//! The whole map as the kernel tells it, as an [`Image`] to start or to go on from.

use std::collections::HashMap;

use vmaple::{LayoutKind, MmConfig};

use super::Live;
use crate::event::{Cause, Event, Image, ImageBacking, ImageVma, MappedFileFacts, SpaceId};
use crate::procfs::maps::{MapsLine, MapsText};
use crate::procfs::process::{Limits, Personality, Stat, Status};
use crate::procfs::smaps::{self, MappingFlags};
use crate::setting::{self, areas, capabilities, limits};
use crate::tracer::{ObserverError, Stopped, Task};

/// Files first met in this image, by device and inode.
type NewFiles = HashMap<(u32, u32, u64), MappedFileFacts>;

/// Mappings that the kernel makes for every program, by name.
const SPECIAL: [&str; 6] = [
    "[vdso]",
    "[vvar]",
    "[vvar_vclock]",
    "[uprobes]",
    "[sigpage]",
    "[vectors]",
];
/// The mapping outside of every map.
const GATE: &str = "[vsyscall]";

impl Live<'_> {
    /// Reads the map of the stopped task and starts its mirror from it.
    ///
    /// A process that is being killed has no map any more; its mirror is dropped then.
    pub(super) fn take_image(
        &mut self,
        task: &mut Stopped<'_>,
        cause: Cause,
    ) -> Result<(), ObserverError> {
        let who = task.task();
        match self.image(task, cause) {
            Ok(image) => {
                let _agrees = self.apply(&Event::Image(Box::new(image)))?;
                Ok(())
            }
            Err(error) if error.is_gone() => {
                if let Some(space) = self.spaces.get_mut(&who.mm) {
                    space.mirrored = false;
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn image(
        &mut self,
        task: &mut Stopped<'_>,
        cause: Cause,
    ) -> Result<Image, crate::procfs::Error> {
        let who = task.task();
        let space = SpaceId(who.mm.0);
        // After the first image, what only exec shows is taken from the mirror.
        let known = self
            .mirror
            .look(space, |mm| (mm.config().clone(), *mm.areas()));
        let (config, areas) = match known {
            Some((mut config, areas)) => {
                config.limits = limits(&Limits::read(who.tid)?);
                (config, areas)
            }
            None => (self.config(task)?, areas(&Stat::read(who.tid)?)),
        };
        let text = MapsText::of(who.tid)?;
        let flags = smaps::vm_flags(who.tid)?;
        let mut vmas = Vec::new();
        let mut files = NewFiles::new();
        for line in text.lines() {
            let line = line?;
            // Both lists ascend.
            let at = flags.binary_search_by_key(&line.start, |flags| flags.start);
            let flags = at.ok().map(|at| &flags[at]);
            vmas.push(self.image_vma(who, &line, flags, &mut files));
        }
        let program = std::fs::read_link(format!("/proc/{}/exe", who.tid))
            .map(|path| path.to_string_lossy().into_owned())
            .unwrap_or_default();
        Ok(Image {
            space,
            pid: who.tgid.as_raw(),
            program,
            cause,
            config,
            areas,
            vmas,
        })
    }

    fn image_vma(
        &mut self,
        who: Task,
        line: &MapsLine<'_>,
        flags: Option<&MappingFlags>,
        files: &mut NewFiles,
    ) -> ImageVma {
        let name = String::from_utf8_lossy(line.name).into_owned();
        let backing = self.backing(who, line, name, files);
        let flags_text = flags.map_or_else(|| permissions(line), |flags| flags.mnemonics.clone());
        let private = !line.is_shared();
        let may_hold =
            private && !matches!(backing, ImageBacking::Gate(_) | ImageBacking::Special(_));
        let range = vmaple::AddrRange::new(line.start, line.end);
        let faulted = may_hold
            && self
                .spaces
                .get_mut(&who.mm)
                .is_some_and(|space| !space.anonymous(&[range]).is_empty());
        // What the mirror knew of this place outlives a difference elsewhere.
        let known = self
            .mirror
            .look(SpaceId(who.mm.0), |mm| mm.vma_at(line.start).cloned())
            .flatten();
        let anon = known.as_ref().and_then(|vma| vma.anon_vma);
        let page = |addr: u64| addr / self.machine.page_size;
        let anon_pgoff = known
            .filter(|vma| vma.is_anonymous() && backing == ImageBacking::Anonymous)
            .map(|vma| vma.pgoff + page(line.start - vma.start))
            .filter(|&pgoff| pgoff != page(line.start));
        ImageVma {
            start: line.start,
            end: line.end,
            flags: flags_text,
            pkey: flags.and_then(|flags| flags.protection_key).unwrap_or(0),
            offset: line.offset,
            anon_pgoff,
            backing,
            faulted: faulted || anon.is_some(),
            inherited: anon.is_some_and(|anon| anon.inherited),
        }
    }

    fn backing(
        &mut self,
        who: Task,
        line: &MapsLine<'_>,
        name: String,
        files: &mut NewFiles,
    ) -> ImageBacking {
        if name == GATE {
            return ImageBacking::Gate(name);
        }
        if SPECIAL.contains(&name.as_str()) {
            return ImageBacking::Special(name);
        }
        let shared_name = name
            .strip_prefix("[anon_shmem:")
            .and_then(|name| name.strip_suffix(']'));
        if line.inode == 0 && shared_name.is_none() && !name.starts_with('/') {
            let given = name
                .strip_prefix("[anon:")
                .and_then(|name| name.strip_suffix(']'));
            return given.map_or(ImageBacking::Anonymous, |name| {
                ImageBacking::Named(name.to_owned())
            });
        }
        match self.known_or_new_file(who, line, files) {
            Some(file) => ImageBacking::File(file),
            None => ImageBacking::Special(name),
        }
    }

    /// The file behind a mapping: the one the mirror knew at this place, if it is the same,
    /// else one description for all mappings of one file, as exec makes them.
    fn known_or_new_file(
        &mut self,
        who: Task,
        line: &MapsLine<'_>,
        files: &mut NewFiles,
    ) -> Option<MappedFileFacts> {
        let inode = (line.major, line.minor, line.inode);
        let known = self
            .mirror
            .look(SpaceId(who.mm.0), |mm| {
                let file = mm.vma_at(line.start)?.backing.file()?;
                let device = file.device();
                let is_it = (device.major, device.minor, file.inode()) == inode;
                is_it.then(|| file.identity().0)
            })
            .flatten();
        if known.is_none()
            && let Some(facts) = files.get(&inode)
        {
            return Some(facts.clone());
        }
        let found = self
            .files
            .identify_mapping(who.tid, line.start, line.end)
            .ok()??;
        let mut facts = MappedFileFacts {
            id: found.id,
            file: found.facts,
            driver_flags: None,
        };
        match known {
            Some(known) => {
                self.files.release(found.id);
                facts.id = known;
            }
            None => _ = files.insert(inode, facts.clone()),
        }
        Some(facts)
    }

    /// Placement, limits and privileges of a task that stands at its exec.
    fn config(&self, task: &mut Stopped<'_>) -> Result<MmConfig, crate::procfs::Error> {
        let tid = task.task().tid;
        let machine = &self.machine;
        let personality = Personality::read(tid)?;
        let limits = limits(&Limits::read(tid)?);
        // An unlimited stack makes no difference any more: Linux 6.18 goes on placing downwards.
        let upwards = personality.compat_layout() || machine.legacy_va_layout;
        let mut config = setting::of_machine(machine);
        config.layout = if upwards {
            LayoutKind::BottomUp
        } else {
            LayoutKind::TopDown
        };
        config.randomize = machine.randomize_va_space != 0 && !personality.no_randomize();
        config.read_implies_exec = personality.read_implies_exec();
        config.limits = limits;
        config.capabilities = capabilities(&Status::read(tid)?);
        config.mmap_base = self.mmap_base(task, upwards)?;
        config.legacy_base = if upwards {
            config.mmap_base
        } else {
            config.legacy_base_of(config.mmap_base, limits.stack_bytes)
        };
        Ok(config)
    }

    /// Where placement starts, from where the kernel puts one page right now: the page lies
    /// at the base, or right after mappings that do.
    fn mmap_base(
        &self,
        task: &mut Stopped<'_>,
        upwards: bool,
    ) -> Result<u64, crate::procfs::Error> {
        let page = self.machine.page_size;
        let text = MapsText::of(task.task().tid)?;
        let lines: Vec<MapsLine<'_>> = text.lines().filter_map(Result::ok).collect();
        let probe = probe_page(task, page);
        if upwards {
            let mut base = probe.unwrap_or(0);
            while let Some(below) = lines.iter().find(|line| line.end == base) {
                base = below.start;
            }
            return Ok(base);
        }
        let stack = Stat::read(task.task().tid)?.start_stack;
        let highest = lines
            .iter()
            .rev()
            .find(|line| line.end <= stack)
            .map_or(0, |line| line.end);
        let mut base = probe.map_or(highest, |at| at + page);
        while let Some(above) = lines
            .iter()
            .find(|line| line.start == base && line.end <= stack)
        {
            base = above.end;
        }
        Ok(base)
    }
}

/// Maps one page where the kernel likes and unmaps it again, in the stopped task itself.
fn probe_page(task: &mut Stopped<'_>, page: u64) -> Option<u64> {
    let flags = vmaple::MapFlags::PRIVATE
        .union(vmaple::MapFlags::ANONYMOUS)
        .bits();
    let (mmap, munmap) = (libc::SYS_mmap as u64, libc::SYS_munmap as u64);
    let at = task.inject(mmap, [0, page, 0, flags, u64::MAX, 0]).ok()?;
    let at = u64::try_from(at).ok()?;
    // Unmapping one's own page cannot fail; if it did, the first comparison would tell.
    let _ = task.inject(munmap, [at, page, 0, 0, 0, 0]);
    Some(at)
}

/// What the permissions say, for a mapping that smaps does not list: the gate.
fn permissions(line: &MapsLine<'_>) -> String {
    let words = [(b'r', "rd"), (b'w', "wr"), (b'x', "ex")];
    let set = words
        .iter()
        .zip(line.perms)
        .filter(|((letter, _), have)| letter == have);
    set.map(|((_, word), _)| *word)
        .collect::<Vec<_>>()
        .join(" ")
}
