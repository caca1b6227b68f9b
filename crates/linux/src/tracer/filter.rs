//! The seccomp filter: hands the calls of [`arch::CALLS`] to the tracer, lets all others run.
//!
//! A linear list of comparisons is enough: the kernel works out once which numbers are
//! always allowed and does not run the filter for them.

use crate::arch::{self, Syscall, When};
use libc::sock_filter;

/// Offsets in what a filter sees of a call.
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_IF_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_IF_ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const ALLOW: sock_filter = statement(RETURN, 0x7fff_0000);
const TRACE: sock_filter = statement(RETURN, 0x7ff0_0000);

const fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Skips `jt` statements if the comparison holds, `jf` if not.
const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// The whole filter.
pub(super) fn program() -> Vec<sock_filter> {
    let mut program = vec![
        statement(LOAD, ARCH),
        jump(JUMP_IF_EQUAL, arch::AUDIT_ARCH, 1, 0),
        TRACE, // another architecture's table
        statement(LOAD, NR),
        jump(JUMP_IF_AT_LEAST, arch::FOREIGN_NR_BIT, 0, 1),
        TRACE, // another table of this architecture
    ];
    for call in arch::CALLS {
        push_call(&mut program, call);
    }
    program.push(ALLOW);
    program
}

/// Statements for one call: entered and, for any other call, left with the number loaded.
fn push_call(program: &mut Vec<sock_filter>, call: &Syscall) {
    match call.when {
        When::Always => {
            program.push(jump(JUMP_IF_EQUAL, call.nr, 0, 1));
            program.push(TRACE);
        }
        When::LowWordIs { arg, values } => {
            // At most a handful of values, so the distance fits a byte.
            let body = 2 + 2 * values.len() as u8;
            program.push(jump(JUMP_IF_EQUAL, call.nr, 0, body));
            program.push(statement(LOAD, low_word(arg)));
            for &value in values {
                program.push(jump(JUMP_IF_EQUAL, value, 0, 1));
                program.push(TRACE);
            }
            program.push(ALLOW);
        }
        When::LowWordLacks { arg, bits } => {
            program.push(jump(JUMP_IF_EQUAL, call.nr, 0, 4));
            program.push(statement(LOAD, low_word(arg)));
            program.push(jump(JUMP_IF_ANY_BIT, bits, 1, 0));
            program.push(TRACE);
            program.push(ALLOW);
        }
    }
}

/// Where the low half of an argument is.
const fn low_word(arg: u8) -> u32 {
    let high_first = if cfg!(target_endian = "big") { 4 } else { 0 };
    ARGS + 8 * arg as u32 + high_first
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// Runs the filter as the kernel would, and says whether the call is traced.
    fn traced(arch: u32, nr: u32, args: [u64; 6]) -> bool {
        let program = program();
        let (mut at, mut loaded) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            let holds = match step.code {
                RETURN => return step.k == TRACE.k,
                LOAD => {
                    loaded = match step.k {
                        NR => nr,
                        ARCH => arch,
                        offset => args[(offset - ARGS) as usize / 8] as u32,
                    };
                    continue;
                }
                JUMP_IF_EQUAL => loaded == step.k,
                JUMP_IF_AT_LEAST => loaded >= step.k,
                JUMP_IF_ANY_BIT => loaded & step.k != 0,
                other => panic!("unknown statement {other:#x}"),
            };
            at += usize::from(if holds { step.jt } else { step.jf });
        }
    }

    #[test]
    fn only_memory_calls_are_traced() {
        for nr in 0..600 {
            let always = arch::syscall(nr).is_some_and(|call| call.when == When::Always);
            let clone = nr == arch::nr::CLONE;
            assert_eq!(
                traced(arch::AUDIT_ARCH, nr as u32, [0; 6]),
                always || clone,
                "{nr}"
            );
        }
    }

    #[test]
    fn arguments_decide_for_prctl_ioctl_and_clone() {
        let native = |nr: u64, args| traced(arch::AUDIT_ARCH, nr as u32, args);
        for option in [arch::PR_SET_VMA, arch::PR_SET_MM, 41, 67] {
            assert!(native(arch::nr::PRCTL, [u64::from(option), 0, 0, 0, 0, 0]));
        }
        assert!(!native(arch::nr::PRCTL, [15, 0, 0, 0, 0, 0]));
        assert!(native(arch::nr::IOCTL, [3, 0xc020_aa00, 0, 0, 0, 0]));
        assert!(native(arch::nr::IOCTL, [3, 0xc028_aa05, 0, 0, 0, 0]));
        assert!(!native(arch::nr::IOCTL, [3, 0xc018_aa3f, 0, 0, 0, 0]));
        assert!(!native(arch::nr::IOCTL, [0xc020_aa00, 0x5401, 0, 0, 0, 0]));
        assert!(!native(arch::nr::CLONE, [0x3d0f00, 0, 0, 0, 0, 0]));
        assert!(native(arch::nr::CLONE, [0x0120_0011, 0, 0, 0, 0, 0]));
        assert!(native(arch::nr::ARCH_PRCTL, [0x2003, 0, 0, 0, 0, 0]));
        assert!(!native(arch::nr::ARCH_PRCTL, [0x1002, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn other_tables_are_traced_whole() {
        assert!(traced(0x4000_0003, 4, [0; 6]));
        assert!(traced(arch::AUDIT_ARCH, arch::FOREIGN_NR_BIT | 1, [0; 6]));
        assert!(!traced(arch::AUDIT_ARCH, 1, [0; 6]));
    }
}
