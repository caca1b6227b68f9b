//! Facts of one process that decide about its memory calls: the addresses that its program
//! loader noted, its personality, limits, capabilities and counters.

use nix::unistd::Pid;

use super::text::{self, Cursor};
use super::{Error, MalformedText, ioctl};

/// The fields of /proc/TID/stat that describe the address space. Addresses in bytes; an
/// address reads 0 if the reader may not trace the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// State letter, for example `b'R'`; `Z` and `X` are dead.
    pub state: u8,
    /// Size of the address space, bytes.
    pub vsize_bytes: u64,
    /// First address of program text.
    pub start_code: u64,
    /// End of program text (exclusive).
    pub end_code: u64,
    /// Bottom of the stack when the program began (highest address in use then).
    pub start_stack: u64,
    /// First address of initialised data.
    pub start_data: u64,
    /// End of initialised data (exclusive).
    pub end_data: u64,
    /// Where the heap begins; `brk` never goes below.
    pub start_brk: u64,
    /// First address of the arguments' strings.
    pub arg_start: u64,
    /// End of the arguments' strings (exclusive).
    pub arg_end: u64,
    /// First address of the environment's strings.
    pub env_start: u64,
    /// End of the environment's strings (exclusive).
    pub env_end: u64,
}

impl Stat {
    /// Reads /proc/TID/stat. The current break is not among its fields.
    ///
    /// # Errors
    /// [`Error::Gone`], or [`Error::Malformed`].
    pub fn read(pid: Pid) -> Result<Stat, Error> {
        Ok(Stat::parse(&text::read_small(pid, "stat")?)?)
    }

    /// Parses the text of a stat file. The command name may hold spaces and parentheses: the
    /// fields are counted from the last `)`.
    ///
    /// # Errors
    /// A field that is missing or no number.
    pub fn parse(text: &[u8]) -> Result<Stat, MalformedText> {
        let malformed = |reason| MalformedText::new("stat", 1, reason, text);
        let after_name = memchr::memrchr(b')', text).ok_or_else(|| malformed("no command name"))?;
        let fields: Vec<&[u8]> = text[after_name + 1..]
            .split(u8::is_ascii_whitespace)
            .filter(|field| !field.is_empty())
            .collect();
        // Numbered as in proc(5): the state is field 3.
        let number = |nr: usize| {
            let field = fields
                .get(nr - 3)
                .ok_or_else(|| malformed("too few fields"))?;
            let mut at = Cursor::new(field);
            at.decimal()
                .filter(|_| at.rest().is_empty())
                .ok_or_else(|| malformed("no number"))
        };
        Ok(Stat {
            state: fields.first().map_or(b'?', |state| state[0]),
            vsize_bytes: number(23)?,
            start_code: number(26)?,
            end_code: number(27)?,
            start_stack: number(28)?,
            start_data: number(45)?,
            end_data: number(46)?,
            start_brk: number(47)?,
            arg_start: number(48)?,
            arg_end: number(49)?,
            env_start: number(50)?,
            env_end: number(51)?,
        })
    }

    /// Whether the task is a zombie or dead: it has no address space any more.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// The bits of a personality that matter for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Personality(pub u32);

impl Personality {
    /// Reads /proc/TID/personality.
    ///
    /// # Errors
    /// [`Error::Denied`] without permission to trace, [`Error::Gone`], [`Error::Malformed`].
    pub fn read(pid: Pid) -> Result<Personality, Error> {
        let text = text::read_small(pid, "personality")?;
        let bits = Cursor::new(&text)
            .hex()
            .and_then(|bits| u32::try_from(bits).ok());
        let reason = "not a hexadecimal number of 32 bits";
        Ok(bits
            .map(Personality)
            .ok_or_else(|| MalformedText::new("personality", 1, reason, &text))?)
    }

    /// `ADDR_NO_RANDOMIZE`: mmap base, stack and heap are not randomised.
    #[must_use]
    pub fn no_randomize(self) -> bool {
        self.0 & 0x0004_0000 != 0
    }

    /// `ADDR_COMPAT_LAYOUT`: bottom-up placement.
    #[must_use]
    pub fn compat_layout(self) -> bool {
        self.0 & 0x0020_0000 != 0
    }

    /// `READ_IMPLIES_EXEC`.
    #[must_use]
    pub fn read_implies_exec(self) -> bool {
        self.0 & 0x0040_0000 != 0
    }

    /// `MMAP_PAGE_ZERO`: the loader maps page 0.
    #[must_use]
    pub fn mmap_page_zero(self) -> bool {
        self.0 & 0x0010_0000 != 0
    }
}

/// A soft and a hard limit; `u64::MAX` means unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is enforced.
    pub soft: u64,
    /// What the soft limit may be raised to.
    pub hard: u64,
}

/// The limits that memory calls check, all in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `RLIMIT_AS`.
    pub address_space: Limit,
    /// `RLIMIT_DATA`.
    pub data: Limit,
    /// `RLIMIT_STACK`.
    pub stack: Limit,
    /// `RLIMIT_MEMLOCK`.
    pub memlock: Limit,
}

impl Limits {
    /// Reads the limits of a process (they belong to the thread group). Cost: four system
    /// calls, about 1 µs; for another user's process without `CAP_SYS_RESOURCE`, which the
    /// system calls refuse, the text of /proc/TID/limits.
    ///
    /// # Errors
    /// [`Error::Gone`], or [`Error::Malformed`].
    pub fn read(pid: Pid) -> Result<Limits, Error> {
        match Limits::ask(pid) {
            Err(error) if error.is_denied() => {
                Ok(Limits::parse(&text::read_small(pid, "limits")?)?)
            }
            asked => asked,
        }
    }

    /// Parses the text of a limits file.
    ///
    /// # Errors
    /// A limit that is missing or no number.
    pub fn parse(text: &[u8]) -> Result<Limits, MalformedText> {
        let of = |name: &[u8]| {
            let mut rest = text;
            let mut line_nr = 0;
            while let Some((line, after)) = text::split_line(rest) {
                rest = after;
                line_nr += 1;
                if let Some(values) = line.strip_prefix(name) {
                    let malformed = || MalformedText::new("limits", line_nr, "no limit", line);
                    return limit_pair(values).ok_or_else(malformed);
                }
            }
            Err(MalformedText::new(
                "limits",
                line_nr,
                "a limit is missing",
                name,
            ))
        };
        Ok(Limits {
            address_space: of(b"Max address space ")?,
            data: of(b"Max data size ")?,
            stack: of(b"Max stack size ")?,
            memlock: of(b"Max locked memory ")?,
        })
    }

    fn ask(pid: Pid) -> Result<Limits, Error> {
        let of = |resource| match ioctl::prlimit_get(pid, resource) {
            Ok((soft, hard)) => Ok(Limit { soft, hard }),
            Err(errno) => Err(Error::of_errno(pid, "resource limits", errno)),
        };
        Ok(Limits {
            address_space: of(libc::RLIMIT_AS as i32)?,
            data: of(libc::RLIMIT_DATA as i32)?,
            stack: of(libc::RLIMIT_STACK as i32)?,
            memlock: of(libc::RLIMIT_MEMLOCK as i32)?,
        })
    }
}

/// Two limits at the beginning of `text`, soft and hard.
fn limit_pair(text: &[u8]) -> Option<Limit> {
    let words = text.split(u8::is_ascii_whitespace);
    let mut values = words
        .filter(|word| !word.is_empty())
        .map(|word| match word {
            b"unlimited" => Some(u64::MAX),
            digits => Cursor::new(digits).decimal(),
        });
    Some(Limit {
        soft: values.next()??,
        hard: values.next()??,
    })
}

/// The effective capabilities that memory calls ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// All effective bits (`CapEff`).
    pub effective: u64,
}

impl Capabilities {
    fn has(self, bit: u32) -> bool {
        self.effective & (1 << bit) != 0
    }

    /// `CAP_IPC_LOCK`: no limit on locked memory.
    #[must_use]
    pub fn ipc_lock(self) -> bool {
        self.has(14)
    }

    /// `CAP_SYS_RAWIO`: may map below `vm.mmap_min_addr`.
    #[must_use]
    pub fn sys_rawio(self) -> bool {
        self.has(17)
    }

    /// `CAP_SYS_ADMIN`: a larger share of memory under strict overcommit.
    #[must_use]
    pub fn sys_admin(self) -> bool {
        self.has(21)
    }

    /// `CAP_SYS_RESOURCE`.
    #[must_use]
    pub fn sys_resource(self) -> bool {
        self.has(24)
    }
}

/// The fields of /proc/TID/status about memory. Counters in bytes.
///
/// The capabilities hold for the initial user namespace only if the process lives in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Thread group of the task.
    pub tgid: Pid,
    /// Effective capabilities.
    pub capabilities: Capabilities,
    /// `VmSize`: all mappings. Counters are `None` for a task without address space.
    pub vm_size: Option<u64>,
    /// `VmLck`: locked.
    pub vm_locked: Option<u64>,
    /// `VmData`: private writable without the stack.
    pub vm_data: Option<u64>,
    /// `VmStk`: stack.
    pub vm_stack: Option<u64>,
    /// `VmExe`: program text (from `start_code` and `end_code`, not from the mappings).
    pub vm_exe: Option<u64>,
}

impl Status {
    /// Reads /proc/TID/status.
    ///
    /// # Errors
    /// [`Error::Gone`], or [`Error::Malformed`] with the line number.
    pub fn read(pid: Pid) -> Result<Status, Error> {
        Ok(Status::parse(&text::read_small(pid, "status")?)?)
    }

    /// Parses the text of a status file; unknown fields are skipped.
    ///
    /// # Errors
    /// A known field with an unknown value, or no `Tgid` or `CapEff`.
    pub fn parse(text: &[u8]) -> Result<Status, MalformedText> {
        let (mut tgid, mut effective) = (None, None);
        let [
            mut vm_size,
            mut vm_locked,
            mut vm_data,
            mut vm_stack,
            mut vm_exe,
        ] = [None; 5];
        let mut rest = text;
        let mut line_nr = 0;
        while let Some((line, after)) = text::split_line(rest) {
            rest = after;
            line_nr += 1;
            let Some(colon) = memchr::memchr(b':', line) else {
                continue;
            };
            let mut at = Cursor::new(&line[colon + 1..]);
            at.skip_blanks();
            let (slot, unit) = match &line[..colon] {
                b"Tgid" => (&mut tgid, 1),
                b"VmSize" => (&mut vm_size, 1024),
                b"VmLck" => (&mut vm_locked, 1024),
                b"VmData" => (&mut vm_data, 1024),
                b"VmStk" => (&mut vm_stack, 1024),
                b"VmExe" => (&mut vm_exe, 1024),
                b"CapEff" => (&mut effective, 0),
                _ => continue,
            };
            let value = if unit == 0 { at.hex() } else { at.decimal() };
            let value = value.and_then(|value| value.checked_mul(unit.max(1)));
            let malformed = || MalformedText::new("status", line_nr, "no number", line);
            *slot = Some(value.ok_or_else(malformed)?);
        }
        let missing = |what| MalformedText::new("status", line_nr, what, b"");
        let tgid = tgid.and_then(|tgid| i32::try_from(tgid).ok());
        Ok(Status {
            tgid: Pid::from_raw(tgid.ok_or_else(|| missing("no Tgid"))?),
            capabilities: Capabilities {
                effective: effective.ok_or_else(|| missing("no CapEff"))?,
            },
            vm_size,
            vm_locked,
            vm_data,
            vm_stack,
            vm_exe,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_command_name_moves_no_field() {
        let numbers: Vec<String> = (4..=52).map(|nr| nr.to_string()).collect();
        let text = format!("77 (a) R 1) (b) S {}\n", numbers.join(" "));
        let stat = Stat::parse(text.as_bytes()).unwrap();
        assert_eq!(stat.state, b'S');
        assert_eq!(
            (stat.vsize_bytes, stat.start_code, stat.start_stack),
            (23, 26, 28)
        );
        assert_eq!((stat.start_brk, stat.env_end), (47, 51));
        assert!(!stat.is_dead());
    }

    #[test]
    fn short_and_garbled_stat_is_an_error() {
        assert!(Stat::parse(b"").is_err());
        assert!(Stat::parse(b"1 (x) S 1 2 3").is_err());
        let text = format!("77 (a) S {}", "-1 ".repeat(49));
        assert_eq!(
            Stat::parse(text.as_bytes()).unwrap_err().reason,
            "no number"
        );
    }

    #[test]
    fn limits_as_text_are_those_of_the_system_call() {
        let own = text::read_small(Pid::this(), "limits").unwrap();
        assert_eq!(
            Limits::parse(&own).unwrap(),
            Limits::ask(Pid::this()).unwrap()
        );
        let garbled = b"Max address space         unlimited  bytes\n";
        assert_eq!(Limits::parse(garbled).unwrap_err().reason, "no limit");
        let short = b"Max address space         unlimited   4096   bytes\n";
        let missing = Limits::parse(short).unwrap_err();
        assert_eq!(missing.reason, "a limit is missing");
    }

    #[test]
    fn status_counters_are_bytes() {
        let text = b"Name:\tx\nTgid:\t42\nVmSize:\t    1234 kB\nVmLck:\t 8 kB\n\
            CapEff:\t0000000000024000\n";
        let status = Status::parse(text).unwrap();
        assert_eq!(status.tgid, Pid::from_raw(42));
        assert_eq!((status.vm_size, status.vm_data), (Some(1234 * 1024), None));
        let capabilities = status.capabilities;
        assert!(capabilities.ipc_lock() && capabilities.sys_rawio());
        assert!(!capabilities.sys_resource());
        assert_eq!(Status::parse(b"Tgid:\tx\n").unwrap_err().line, 1);
    }
}
