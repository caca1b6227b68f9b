//! A process of the kernel's and a model in lockstep.

use nix::unistd::Pid;
use vmaple::{AddrRange, LayoutKind, Mm, VmFlags, Vma};
use vmaple_linux::procfs::maps::{MapsFile, MapsText};
use vmaple_linux::procfs::pagemap::AnonScan;
use vmaple_linux::procfs::process::Status;
use vmaple_linux::procfs::smaps;

use crate::apply::command;
use crate::executor::{Executor, SystemCall};
use crate::finding::Finding;
use crate::host::{Host, Unsuitable};
use crate::model::{Answer, Model};
use crate::names;
use crate::op::{CallName, Op};
use crate::script::Step;
use crate::seed::Seed;
use crate::userfault::Contexts;

/// A process that makes calls, and the model that makes the same.
#[derive(Debug)]
pub struct Session<'h> {
    host: &'h Host,
    executor: Executor,
    maps: MapsFile,
    /// The kernel's map after the last operation that was compared.
    kernel: MapsText,
    /// And before it.
    before: MapsText,
    /// Where the map is so large that each comparison leaves out what lies above.
    limit: Option<u64>,
    guards: Option<Vec<AddrRange>>,
    pub(crate) model: Model,
    pub(crate) seed: Seed,
}

impl Session<'_> {
    /// Starts a process and seeds the model with its map.
    ///
    /// # Errors
    /// The process cannot be started or looked at, or its map is none that the model takes.
    pub fn start(host: &Host, layout: LayoutKind) -> Result<Session<'_>, Unsuitable> {
        let mut executor = host.executor(layout)?;
        let mut ask_break = [0; 7];
        ask_break[0] = libc::SYS_brk.cast_unsigned();
        let brk = executor.call(ask_break)?.cast_unsigned();
        let pid = executor.pid();
        let seed = Seed::read(&host.machine, pid, layout, brk)?;
        let mm = seed.model().map_err(Unsuitable)?;
        let model = Model::new(mm, host.known_files(), host.segment.id, seed.taboo());
        let maps = MapsFile::open(pid)?;
        let mut kernel = MapsText::new();
        maps.read(&mut kernel)?;
        Ok(Session {
            host,
            executor,
            maps,
            before: kernel.clone(),
            kernel,
            limit: None,
            guards: None,
            model,
            seed,
        })
    }

    /// The process that makes the calls.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.executor.pid()
    }

    /// The model's address space.
    #[must_use]
    pub fn mm(&self) -> &Mm {
        &self.model.mm
    }

    /// Ranges that operations must leave alone.
    #[must_use]
    pub fn taboo(&self) -> &[AddrRange] {
        &self.model.taboo
    }

    pub(crate) fn contexts(&self) -> &Contexts {
        &self.model.contexts
    }

    /// The kernel's map before the last operation and after it.
    #[must_use]
    pub fn kernel_maps(&self) -> [&MapsText; 2] {
        [&self.before, &self.kernel]
    }

    /// Whether the operation can be made: it leaves the executor alone and is modelled.
    #[must_use]
    pub fn is_harmless(&self, op: &Op) -> bool {
        self.model.is_harmless(op)
    }

    /// Makes one operation on both sides; compares result and map.
    ///
    /// # Errors
    /// The difference.
    pub fn step(&mut self, step: &Step) -> Result<Answer, Finding> {
        self.guards = self.guards_met_by(&step.op)?;
        let result = self.kernel_call(&step.op)?;
        std::mem::swap(&mut self.before, &mut self.kernel);
        match self.limit {
            None => self.maps.read(&mut self.kernel),
            Some(limit) => self.maps.read_below(limit, &mut self.kernel),
        }?;
        let inode = if step.op.makes_object() && result >= 0 {
            let at = result.cast_unsigned();
            match self.limit {
                Some(limit) if at >= limit => self.maps.mapping_at(at)?.map_or(0, |one| one.inode),
                _ => inode_at(&self.kernel, at),
            }
        } else {
            0
        };
        let answer = Answer { result, inode };
        if let Some(guards) = &self.guards {
            self.model.note_guards(&step.op, guards);
        }
        self.model.step(step, answer)?;
        self.model.check_map(self.kernel.as_bytes(), self.limit)?;
        Ok(answer)
    }

    /// The guard pages in what `op` brings in, if it does and there may be any: the map does not
    /// tell.
    fn guards_met_by(&self, op: &Op) -> Result<Option<Vec<AddrRange>>, Finding> {
        let [addr, len, advice, ..] = op.args;
        let range = match op.call {
            CallName::Madvise if !matches!(advice, 22 | 23) => return Ok(None),
            CallName::Madvise | CallName::Mlock | CallName::Mlock2 => {
                let end = addr.saturating_add(len).saturating_add(4096);
                AddrRange::new(addr & !4095, end & !4095)
            }
            CallName::Store => AddrRange::new(addr & !4095, (addr & !4095) + 4096),
            CallName::Mlockall => AddrRange::new(0, self.model.mm.config().task_size),
            _ => return Ok(None),
        };
        let may_hold = |vma: &&Vma| vma.flags.contains(VmFlags::MAYBE_GUARD);
        let mut guards = Vec::new();
        let mut marked = self.model.mm.overlapping(range).filter(may_hold).peekable();
        if marked.peek().is_none() {
            return Ok(None);
        }
        let scan = AnonScan::open(self.executor.pid(), 4096)?;
        for vma in marked {
            let part = vma.range().intersection(range);
            guards.extend(scan.guards(part.start, part.end)?);
        }
        Ok(Some(guards))
    }

    /// The guard pages that the last operation met, if it had to know.
    pub(crate) fn guards(&self) -> Option<&[AddrRange]> {
        self.guards.as_deref()
    }

    /// From now on compares only what lies below `limit` after each operation, and the rest of
    /// the map with the details.
    pub(crate) fn look_below(&mut self, limit: u64) {
        self.limit = Some(limit);
    }

    /// Whether only part of the map is compared after each operation.
    pub(crate) fn is_crowded(&self) -> bool {
        self.limit.is_some()
    }

    /// Makes one operation on both sides and compares the result only, for filling a map with
    /// what makes no object.
    ///
    /// # Errors
    /// The difference.
    pub fn step_unseen(&mut self, op: Op) -> Result<(), Finding> {
        let result = self.kernel_call(&op)?;
        let answer = Answer { result, inode: 0 };
        self.model.step(&Step::from(op), answer)
    }

    fn kernel_call(&mut self, op: &Op) -> Result<i64, Finding> {
        if op.call == CallName::SetLimit {
            let [which, bytes, ..] = op.args;
            self.executor.set_limit(which as u32, bytes)?;
        }
        let nothing_to_drop = op.call == CallName::DropPrivileges && !self.host.is_root;
        let mut command = command(op, self.host.segment.id);
        if nothing_to_drop {
            command = [
                libc::SYS_personality.cast_unsigned(),
                0xffff_ffff,
                0,
                0,
                0,
                0,
                0,
            ];
        }
        let result = match self.in_several_calls(op, command)? {
            Some(result) => result,
            None => self.executor.call(command)?,
        };
        if op.call == CallName::Fork && result > 0 {
            self.maps = MapsFile::open(self.executor.pid())?;
        }
        // The executor only acknowledges these.
        let acknowledged = op.call == CallName::SetLimit || nothing_to_drop;
        Ok(if acknowledged { 0 } else { result })
    }

    /// An operation that takes the executor more than one call: what it reads has to be in its
    /// memory first.
    fn in_several_calls(&mut self, op: &Op, command: SystemCall) -> std::io::Result<Option<i64>> {
        let [a, b, c, d, ..] = op.args;
        let executor = &mut self.executor;
        let result = match op.call {
            CallName::UserfaultOpen => executor.open_userfault(a, b)?,
            CallName::UserfaultClose => executor.close_userfault(a)?,
            CallName::UserfaultRegister => executor.userfault_range(d, [a, b], Some(c))?,
            CallName::UserfaultUnregister => executor.userfault_range(c, [a, b], None)?,
            CallName::AnonName => match names::of_number(c) {
                Some(name) => executor.call_with(&[name, &[0]].concat(), command)?,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(result))
    }

    /// Compares what maps does not show: flags by smaps, sizes by status; and has the model
    /// check its own rules. Costs microseconds for each mapping.
    ///
    /// # Errors
    /// The difference.
    pub fn check_details(&mut self) -> Result<(), Finding> {
        self.model.check_own_rules()?;
        let pid = self.executor.pid();
        let status = Status::read(pid)?;
        self.check_sizes(&status)?;
        if self.limit.is_some() {
            let mut whole = MapsText::new();
            self.maps.read(&mut whole)?;
            return self.model.check_map(whole.as_bytes(), None);
        }
        let kernel = smaps::vm_flags(pid)?;
        for (kernel, vma) in kernel.iter().zip(self.model.mm.iter()) {
            let key = u8::try_from(kernel.protection_key.unwrap_or(0)).unwrap_or(0);
            let flags = VmFlags::from_mnemonics(&kernel.mnemonics);
            if flags.map(|flags| flags.with_pkey(key)) != Ok(vma.flags) {
                return Err(Finding::Flags {
                    range: vma.range(),
                    kernel: format!("{} key {key}", kernel.mnemonics),
                    model: format!("{} key {}", vma.flags.mnemonics(), vma.flags.pkey()),
                });
            }
        }
        Ok(())
    }

    fn check_sizes(&self, status: &Status) -> Result<(), Finding> {
        let counters = self.model.mm.counters();
        let areas = self.model.mm.areas();
        // What status calls code are whole pages of the bounds, no more than is executable.
        let code =
            (areas.end_code.wrapping_add(0xfff) & !0xfff).wrapping_sub(areas.start_code & !0xfff);
        let sizes = [
            ("VmSize", status.vm_size, counters.total_vm << 12),
            ("VmLck", status.vm_locked, counters.locked_vm << 12),
            ("VmData", status.vm_data, counters.data_vm << 12),
            ("VmStk", status.vm_stack, counters.stack_vm << 12),
            ("VmExe", status.vm_exe, code.min(counters.exec_vm << 12)),
        ];
        for (label, kernel, model) in sizes {
            // Shown in kB, of which there are at most so many.
            let model = model >> 10 << 10;
            let kernel = kernel.unwrap_or(0);
            if kernel != model {
                return Err(Finding::Size {
                    label,
                    kernel,
                    model,
                });
            }
        }
        Ok(())
    }
}

/// Inode of the mapping that contains `addr`.
fn inode_at(maps: &MapsText, addr: u64) -> u64 {
    let mut lines = maps.lines().filter_map(Result::ok);
    lines
        .find(|line| line.start <= addr && addr < line.end)
        .map_or(0, |line| line.inode)
}
