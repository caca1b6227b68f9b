/* Mappings that hang on more than their arguments.
 *   files_and_rights rings     the rings of io_setup, across a fork
 *   files_and_rights seals     a memfd sealed between two mappings of it
 *   files_and_rights refused   files whose driver or filesystem does not map them
 *   files_and_rights narrow    a call by the 32-bit table, where the kernel has one
 *   files_and_rights locked    memory locked for the future, then the right to lock given up
 */
#include "check.h"
#include <sys/resource.h>
#include <sys/syscall.h>

static void *map_file(int fd, int prot, int flags)
{
    return mmap(NULL, 2 * PAGE, prot, flags, fd, 0);
}

static void rings(void)
{
    unsigned long small = 0, large = 0;
    if (syscall(SYS_io_setup, 16, &small) != 0)
        return;
    CHECK(syscall(SYS_io_setup, 300, &large) == 0);
    pid_t child = fork();
    if (child == 0) {
        map_pages(1);
        _exit(0);
    }
    expect_exit(child, 0);
    CHECK_FAILS(syscall(SYS_io_destroy, 4096UL), EINVAL);
    CHECK(syscall(SYS_io_destroy, small) == 0);
    CHECK(syscall(SYS_io_destroy, large) == 0);
}

static void seals(void)
{
    int fd = memfd_create("two words", MFD_ALLOW_SEALING);
    CHECK(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0);
    char *before = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK(before != MAP_FAILED);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
    CHECK_FAILS(map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED), EPERM);
    char *after = map_file(fd, PROT_READ, MAP_SHARED);
    CHECK(after != MAP_FAILED);
    CHECK_FAILS(mprotect(after, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK(mprotect(before, PAGE, PROT_READ) == 0);
    CHECK(mprotect(before, PAGE, PROT_READ | PROT_WRITE) == 0);
}

static void refused(void)
{
    static const char *const names[] = { "/proc/self/maps", "/proc/self/status", "/dev/null",
                                         "/dev/full", "/sys/kernel/notes", "/tmp" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int fd = open(names[i], O_RDONLY);
        map_file(fd, PROT_READ, MAP_PRIVATE);
        map_file(fd, PROT_READ, MAP_SHARED);
        map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
        mmap(NULL, 0, PROT_READ, MAP_PRIVATE, fd, 0);
        mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 77);
    }
}

static void locked(void)
{
    struct rlimit limit = { 1 << 20, 1 << 20 };
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    CHECK(mlockall(MCL_FUTURE | MCL_ONFAULT) == 0);
    char *large = map_pages(512);
    CHECK(setuid(65534) == 0);
    CHECK_FAILS(mmap(NULL, 2 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EAGAIN);
    CHECK_FAILS(mremap(large, 512 * PAGE, 1024 * PAGE, MREMAP_MAYMOVE), EAGAIN);
    char *heap = (char *)syscall(SYS_brk, 0);
    CHECK((char *)syscall(SYS_brk, heap + (2 << 20)) == heap);
    CHECK(munmap(large, 512 * PAGE) == 0);
    map_pages(3);
}

static void narrow(void)
{
#ifdef __x86_64__
    const int getpid_there = 20;
    int result;
    map_pages(1);
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(getpid_there) : "memory");
    map_pages(1);
#endif
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    switch (argv[1][1]) {
    case 'a': narrow(); break;
    case 'i': rings(); break;
    case 'e': argv[1][0] == 's' ? seals() : refused(); break;
    default: locked(); break;
    }
    return 0;
}
