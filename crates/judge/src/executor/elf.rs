//! The executor as machine code in an ELF file of code, a scratch page and a stack.
#![expect(
    unsafe_code,
    reason = "the loop is assembly, for it must not use any memory that it does not know"
)]

/// Where the code goes.
const CODE: u64 = 0x40_0000;
/// A page that calls may write to. Nothing else is there.
pub(crate) const SCRATCH: u64 = 0x40_2000;
/// Its bytes.
const SCRATCH_LEN: u64 = 4096;
/// File header and four program headers.
const HEADERS: usize = 64 + 4 * 56;
/// The build id, for those who ask for it. No other build will ever have it.
pub(crate) const BUILD_ID: [u8; 20] = *b"vmaple-judge-executo";
/// The note that holds it: three sizes and kinds, the name, the id.
const NOTE: usize = 12 + 4 + BUILD_ID.len();

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".pushsection .rodata.vmaple_executor, \"a\"",
    ".balign 16",
    "vmaple_executor_start:",
    "    sub rsp, 64",
    // A command: number and six arguments.
    "2:  xor eax, eax",
    "    mov edi, 90",
    "    mov rsi, rsp",
    "    mov edx, 56",
    "    syscall",
    "    cmp rax, 56",
    "    jne 8f",
    "    mov rax, [rsp]",
    "    cmp rax, 57",
    "    je 4f",
    "    mov rdi, [rsp + 8]",
    "    mov rsi, [rsp + 16]",
    "    mov rdx, [rsp + 24]",
    "    mov r10, [rsp + 32]",
    "    mov r8, [rsp + 40]",
    "    mov r9, [rsp + 48]",
    "    syscall",
    // Its result.
    "3:  mov [rsp], rax",
    "    mov eax, 1",
    "    mov edi, 91",
    "    mov rsi, rsp",
    "    mov edx, 8",
    "    syscall",
    "    cmp rax, 8",
    "    je 2b",
    "    jmp 8f",
    // fork: the child answers with its number, the parent waits for it and leaves.
    "4:  syscall",
    "    test rax, rax",
    "    js 3b",
    "    jz 5f",
    "    mov rdi, rax",
    "    xor esi, esi",
    "    xor edx, edx",
    "    xor r10d, r10d",
    "    mov eax, 61",
    "    syscall",
    "    jmp 8f",
    "5:  mov eax, 39",
    "    syscall",
    "    jmp 3b",
    // exit_group(0)
    "8:  mov eax, 231",
    "    xor edi, edi",
    "    syscall",
    "    ud2",
    "vmaple_executor_end:",
    ".popsection",
);

#[cfg(target_arch = "x86_64")]
fn code() -> Option<&'static [u8]> {
    unsafe extern "C" {
        static vmaple_executor_start: u8;
        static vmaple_executor_end: u8;
    }
    let start = &raw const vmaple_executor_start;
    let end = &raw const vmaple_executor_end;
    let len = end.addr() - start.addr();
    // SAFETY: both labels are in one read-only section, the end after the start, and all bytes
    // between them are written by the assembly above.
    Some(unsafe { core::slice::from_raw_parts(start, len) })
}

#[cfg(not(target_arch = "x86_64"))]
fn code() -> Option<&'static [u8]> {
    None
}

/// The bytes of the file; none on a processor without an executor.
pub(super) fn image() -> Option<Vec<u8>> {
    let code = code()?;
    let size = (HEADERS + NOTE + code.len()) as u64;
    let mut file = Vec::with_capacity(HEADERS + NOTE + code.len());
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    // 64 bits, little endian, version 1, System V.
    put(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // An executable at fixed addresses, for x86-64.
    for half in [2_u16, 62] {
        put(&half.to_le_bytes());
    }
    put(&1_u32.to_le_bytes());
    for word in [CODE + (HEADERS + NOTE) as u64, 64, 0] {
        put(&word.to_le_bytes());
    }
    put(&0_u32.to_le_bytes());
    // Sizes and numbers of headers.
    for half in [64_u16, 56, 4, 64, 0, 0] {
        put(&half.to_le_bytes());
    }
    let (load, note, stack) = (1, 4, 0x6474_e551);
    let (note_at, note_len) = (HEADERS as u64, NOTE as u64);
    let (read_exec, read_write) = (5, 6);
    // Kind, rights, then offset, address, address, bytes in file, bytes in memory, alignment.
    let headers: [(u32, u32, [u64; 6]); 4] = [
        (load, read_exec, [0, CODE, CODE, size, size, 4096]),
        (
            load,
            read_write,
            [0, SCRATCH, SCRATCH, 0, SCRATCH_LEN, 4096],
        ),
        (
            note,
            4,
            [
                note_at,
                CODE + note_at,
                CODE + note_at,
                note_len,
                note_len,
                4,
            ],
        ),
        (stack, read_write, [0, 0, 0, 0, 0, 16]),
    ];
    for (kind, rights, words) in headers {
        put(&kind.to_le_bytes());
        put(&rights.to_le_bytes());
        for word in words {
            put(&word.to_le_bytes());
        }
    }
    // A note of GNU's of the kind that is a build id.
    for word in [4, BUILD_ID.len() as u32, 3] {
        put(&word.to_le_bytes());
    }
    put(b"GNU\0");
    put(&BUILD_ID);
    put(code);
    Some(file)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    #[test]
    fn the_code_begins_where_the_entry_point_says() {
        let image = super::image().unwrap();
        let entry = u64::from_le_bytes(image[24..32].try_into().unwrap());
        let at = usize::try_from(entry - super::CODE).unwrap();
        // sub rsp, 64
        assert_eq!(image[at..at + 4], [0x48, 0x83, 0xec, 0x40]);
        assert!(image.len() < 4096, "more than one page of code");
    }
}
