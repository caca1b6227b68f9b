/* A little of everything that moves an address space, each part checked on its own:
 * vfork and exec, posix_spawn, threads, mremap in all its forms, mprotect splits and merges,
 * shared and private files, memfd, a SIGSEGV handler that mends the map and resumes, advice,
 * locking, brk, fork, System V memory, stacks that grow, MAP_FIXED_NOREPLACE, remap_file_pages,
 * mseal, guard pages, huge-page alignment, protection keys; and calls that fail, one per error.
 * What the kernel was built without is passed over. */
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define READ_WRITE (PROT_READ | PROT_WRITE)
#define HUGE (2UL << 20)

extern char **environ;

/* --- processes ------------------------------------------------------------------------- */

static void run_programs(void)
{
    char *arguments[] = {"true", NULL};
    pid_t child = vfork();
    if (child == 0) {
        execv("/bin/true", arguments);
        _exit(127);
    }
    expect_exit(child, 0);

    child = vfork();
    if (child == 0) {
        execv("/nonexistent", arguments);
        _exit(errno == ENOENT ? 3 : 4);
    }
    expect_exit(child, 3);

    CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) == 0);
    expect_exit(child, 0);
}

static void forked_child_maps_on(void)
{
    char *inherited = map_pages(4);
    inherited[0] = 'p';
    pid_t child = fork();
    if (child == 0) {
        inherited[0] = 'c';
        inherited[PAGE] = 'c';
        char *own = map_pages(3);
        own[PAGE] = 1;
        CHECK(mprotect(own + PAGE, PAGE, PROT_READ) == 0);
        CHECK(munmap(inherited + 2 * PAGE, PAGE) == 0);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            CHECK(own[PAGE] == 1);
            CHECK(munmap(own, 3 * PAGE) == 0);
            _exit(5);
        }
        expect_exit(grandchild, 5);
        _exit(6);
    }
    expect_exit(child, 6);
    CHECK(inherited[0] == 'p' && inherited[PAGE] == 0);
    CHECK(munmap(inherited, 4 * PAGE) == 0);
}

/* --- threads --------------------------------------------------------------------------- */

static void *allocate_and_map(void *argument)
{
    uint64_t state = (uint64_t)(uintptr_t)argument;
    for (int round = 0; round < 100; round++) {
        size_t len = 1 + random_below(&state, 200000);
        char *block = malloc(len);
        CHECK(block);
        memset(block, round, len);
        size_t nr_pages = 1 + random_below(&state, 8);
        char *pages = map_pages(nr_pages);
        pages[0] = (char)round;
        CHECK(mprotect(pages, PAGE, PROT_READ) == 0);
        CHECK(block[len - 1] == (char)round && pages[0] == (char)round);
        CHECK(munmap(pages, nr_pages * PAGE) == 0);
        free(block);
    }
    return argument;
}

static void threads(void)
{
    pthread_t thread[4];
    pthread_attr_t attributes;
    void *result;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setguardsize(&attributes, 4 * PAGE) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 64 * PAGE) == 0);
    for (uintptr_t i = 0; i < 4; i++)
        CHECK(pthread_create(&thread[i], &attributes, allocate_and_map, (void *)(i + 1)) == 0);
    for (uintptr_t i = 0; i < 4; i++) {
        CHECK(pthread_join(thread[i], &result) == 0);
        CHECK(result == (void *)(i + 1));
    }
    pthread_attr_destroy(&attributes);
}

/* --- mremap ---------------------------------------------------------------------------- */

static void mremap_in_place(void)
{
    char *range = free_range(16);
    char *area = map_at(range, 4 * PAGE, READ_WRITE, MAP_FIXED);
    area[3 * PAGE] = 'x';
    CHECK(mremap(area, 4 * PAGE, 8 * PAGE, 0) == area);
    CHECK(area[3 * PAGE] == 'x' && area[7 * PAGE] == 0);
    CHECK(count_mappings(area, 8 * PAGE) == 1);
    CHECK(mremap(area, 8 * PAGE, 2 * PAGE, 0) == area);

    map_at(range + 2 * PAGE, PAGE, PROT_READ, MAP_FIXED);
    CHECK_FAILS(mremap(area, 2 * PAGE, 4 * PAGE, 0), ENOMEM);
    char *moved = mremap(area, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED && moved != area);
    moved[63 * PAGE] = 1;
    CHECK(munmap(moved, 64 * PAGE) == 0);
    CHECK(munmap(range, 16 * PAGE) == 0);
}

static void mremap_elsewhere(void)
{
    char *range = free_range(16);
    char *area = map_at(range, 3 * PAGE, READ_WRITE, MAP_FIXED);
    area[0] = 'a';
    area[2 * PAGE] = 'b';
    char *target = range + 8 * PAGE;
    map_at(target, 2 * PAGE, PROT_READ, MAP_FIXED); /* to be replaced */
    CHECK(mremap(area, 3 * PAGE, 5 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    CHECK(target[0] == 'a' && target[2 * PAGE] == 'b' && target[4 * PAGE] == 0);
    CHECK(count_mappings(area, 3 * PAGE) == 0);

    /* The middle of it, by which both sides are split off. */
    char *middle = mremap(target + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, range);
    CHECK(middle == range && count_mappings(target, 5 * PAGE) == 2);

    target[0] = 'd';
    char *left = mremap(target, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    CHECK(left != MAP_FAILED && left[0] == 'd' && target[0] == 0);
    CHECK(munmap(left, PAGE) == 0);

    /* Several mappings at once: newer kernels. */
    CHECK(munmap(range, 16 * PAGE) == 0);
    map_at(range, PAGE, READ_WRITE, MAP_FIXED);
    map_at(range + PAGE, PAGE, PROT_READ, MAP_FIXED);
    if (WORKS_OR(mremap(range, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target), EFAULT))
        CHECK(count_mappings(target, 2 * PAGE) == 2 && count_mappings(range, 2 * PAGE) == 0);
    CHECK(munmap(range, 16 * PAGE) == 0);
}

static void mremap_copies_shared(void)
{
    char *area = mmap(NULL, 2 * PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    char *second = mremap(area, 0, 2 * PAGE, MREMAP_MAYMOVE);
    CHECK(second != MAP_FAILED && second != area);
    area[PAGE] = 's';
    CHECK(second[PAGE] == 's');
    CHECK(munmap(area, 2 * PAGE) == 0 && munmap(second, 2 * PAGE) == 0);
}

/* --- protection ------------------------------------------------------------------------ */

static void split_and_merge(void)
{
    char *range = free_range(20);
    char *area = map_at(range + 2 * PAGE, 8 * PAGE, READ_WRITE, MAP_FIXED);
    for (int i = 1; i < 8; i += 2)
        CHECK(mprotect(area + (size_t)i * PAGE, PAGE, PROT_READ) == 0);
    CHECK(count_mappings(area, 8 * PAGE) == 8);
    for (int i = 1; i < 8; i += 2)
        CHECK(mprotect(area + (size_t)i * PAGE, PAGE, READ_WRITE) == 0);
    CHECK(count_mappings(area, 8 * PAGE) == 1);
    CHECK(munmap(area + 3 * PAGE, 2 * PAGE) == 0);
    CHECK(count_mappings(area, 8 * PAGE) == 2);
    map_at(area + 3 * PAGE, 2 * PAGE, READ_WRITE, MAP_FIXED);
    CHECK(count_mappings(area, 8 * PAGE) == 1);
    CHECK(mprotect(area + PAGE, 3 * PAGE, PROT_NONE) == 0);
    CHECK(mprotect(area + 3 * PAGE, 3 * PAGE, PROT_NONE) == 0);
    CHECK(count_mappings(area, 8 * PAGE) == 3);
    CHECK(munmap(area, 8 * PAGE) == 0);
}

static char *mendable;

static void mend(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    char *page = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));
    if (page < mendable || page >= mendable + 8 * PAGE || mprotect(page, PAGE, READ_WRITE) != 0)
        _exit(1);
}

static void mend_faults(void)
{
    struct sigaction action = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO}, before;
    mendable = map_at(NULL, 8 * PAGE, PROT_NONE, 0);
    CHECK(sigaction(SIGSEGV, &action, &before) == 0);
    for (int i = 0; i < 8; i += 3)
        ((volatile char *)mendable)[(size_t)i * PAGE] = (char)i;
    ((volatile char *)mendable)[PAGE] = 1;
    CHECK(sigaction(SIGSEGV, &before, NULL) == 0);
    CHECK(count_mappings(mendable, 8 * PAGE) == 6);
    CHECK(munmap(mendable, 8 * PAGE) == 0);
}

static void protection_keys(void)
{
    char *area = map_pages(4);
    int key = pkey_alloc(0, 0);
    if (key > 0) {
        CHECK(pkey_mprotect(area + PAGE, PAGE, PROT_READ, key) == 0);
        CHECK(pkey_mprotect(area + PAGE, PAGE, READ_WRITE, 0) == 0);
        CHECK(pkey_free(key) == 0);
    }
    CHECK_FAILS(pkey_mprotect(area, PAGE, READ_WRITE, 77), EINVAL);
    CHECK(munmap(area, 4 * PAGE) == 0);
}

static void sealed(void)
{
    char *area = map_pages(4);
    if (WORKS_OR(syscall(SYS_mseal, area + PAGE, PAGE, 0), ENOSYS)) {
        CHECK_FAILS(munmap(area, 4 * PAGE), EPERM);
        CHECK_FAILS(mprotect(area + PAGE, PAGE, PROT_READ), EPERM);
        CHECK_FAILS(mremap(area + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EPERM);
        CHECK_FAILS(mmap(area + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EPERM);
        CHECK(munmap(area + 2 * PAGE, 2 * PAGE) == 0);
    }
}

/* --- files ----------------------------------------------------------------------------- */

static void files(void)
{
    int fd = nameless_file(6);
    char byte;
    char *shared = mmap(NULL, 6 * PAGE, READ_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, 4 * PAGE, READ_WRITE, MAP_PRIVATE, fd, 2 * PAGE);
    CHECK(shared != MAP_FAILED && private != MAP_FAILED);
    shared[5 * PAGE] = 'S';
    CHECK(pread(fd, &byte, 1, 5 * PAGE) == 1 && byte == 'S');
    CHECK(private[3 * PAGE] == 'S' && private[0] == 'c');
    private[0] = 'P';
    CHECK(shared[2 * PAGE] == 'c');
    CHECK(msync(shared, 6 * PAGE, MS_SYNC) == 0);

    /* A hole in the file's mapping closes again where the offsets continue. */
    CHECK(munmap(shared + 2 * PAGE, PAGE) == 0);
    CHECK(count_mappings(shared, 6 * PAGE) == 2);
    CHECK(mmap(shared + 2 * PAGE, PAGE, READ_WRITE, MAP_SHARED | MAP_FIXED, fd, 2 * PAGE) == shared + 2 * PAGE);
    CHECK(count_mappings(shared, 6 * PAGE) == 1);
    CHECK(mmap(shared + 2 * PAGE, PAGE, READ_WRITE, MAP_SHARED | MAP_FIXED, fd, 3 * PAGE) == shared + 2 * PAGE);
    CHECK(count_mappings(shared, 6 * PAGE) == 3);

    CHECK(remap_file_pages(shared, PAGE, 0, 1, 0) == 0);
    CHECK(shared[0] == 'b');
    CHECK_FAILS(remap_file_pages(private, PAGE, 0, 1, 0), EINVAL);
    close(fd);
    shared[PAGE] = 'z';
    CHECK(munmap(shared, 6 * PAGE) == 0 && munmap(private, 4 * PAGE) == 0);
}

static void memory_files(void)
{
    int fd = memfd_create("kitchen sink", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd >= 0 && ftruncate(fd, 8 * PAGE) == 0);
    char *one = mmap(NULL, 8 * PAGE, READ_WRITE, MAP_SHARED, fd, 0);
    char *two = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 4 * PAGE);
    CHECK(one != MAP_FAILED && two != MAP_FAILED);
    one[4 * PAGE] = 'm';
    CHECK(two[0] == 'm');
    CHECK(madvise(one + 4 * PAGE, PAGE, MADV_REMOVE) == 0 && two[0] == 0);
    CHECK(munmap(one, 8 * PAGE) == 0 && munmap(two, 4 * PAGE) == 0);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
    CHECK_FAILS(mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, fd, 0), EPERM);
    close(fd);
}

static void system_v_memory(void)
{
    int id = shmget(IPC_PRIVATE, 5 * PAGE, IPC_CREAT | 0600);
    if (!WORKS_OR(id, ENOSYS))
        return;
    char *first = shmat(id, NULL, 0);
    char *range = free_range(8);
    char *second = shmat(id, range + PAGE, 0);
    CHECK(first != MAP_FAILED && second == range + PAGE);
    CHECK_FAILS(shmat(id, second, 0), EINVAL);
    CHECK(shmat(id, second, SHM_REMAP) == second);
    char *third = shmat(id, NULL, SHM_RDONLY);
    CHECK(third != MAP_FAILED);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    first[PAGE] = 'v';
    CHECK(second[PAGE] == 'v' && third[PAGE] == 'v');
    CHECK(mprotect(second + PAGE, PAGE, PROT_READ) == 0); /* shmdt takes all parts */
    CHECK(shmdt(second) == 0 && count_mappings(second, 5 * PAGE) == 0);
    CHECK(shmdt(first) == 0 && shmdt(third) == 0);
    CHECK_FAILS(shmdt(first), EINVAL);
}

/* --- advice, locks, the break ---------------------------------------------------------- */

static void advice(void)
{
    static const int always[] = {
        MADV_RANDOM,     MADV_SEQUENTIAL, MADV_NORMAL,   MADV_WILLNEED, MADV_DONTFORK, MADV_DOFORK,
        MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_DONTDUMP, MADV_DODUMP,   MADV_FREE,     MADV_DONTNEED,
    };
    static const int configured[] = {
        MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE, MADV_UNMERGEABLE,
        MADV_COLD,     MADV_PAGEOUT,    MADV_POPULATE_READ, MADV_POPULATE_WRITE,
    };
    char *area = map_pages(8);
    memset(area, 1, 8 * PAGE);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        CHECK(madvise(area + 2 * PAGE, 3 * PAGE, always[i]) == 0);
    CHECK(area[2 * PAGE] == 0 && area[5 * PAGE] == 1);
    for (size_t i = 0; i < sizeof configured / sizeof *configured; i++)
        WORKS_OR(madvise(area + PAGE, 2 * PAGE, configured[i]), EINVAL);
    CHECK(munmap(area, 8 * PAGE) == 0);

    area = map_pages(4);
    area[0] = area[PAGE] = 'w';
    CHECK(madvise(area, PAGE, MADV_WIPEONFORK) == 0);
    CHECK(madvise(area + 2 * PAGE, PAGE, MADV_DONTFORK) == 0);
    pid_t child = fork();
    if (child == 0)
        _exit(area[0] == 0 && area[PAGE] == 'w' && count_mappings(area + 2 * PAGE, PAGE) == 0 ? 0 : 1);
    expect_exit(child, 0);
    CHECK(munmap(area, 4 * PAGE) == 0);
}

static void locks(void)
{
    char *area = map_pages(8);
    CHECK(mlock(area + PAGE, 2 * PAGE) == 0);
    CHECK(mlock2(area + 2 * PAGE, 3 * PAGE, MLOCK_ONFAULT) == 0);
    CHECK(count_mappings(area, 8 * PAGE) == 4);
    CHECK_FAILS(madvise(area, 8 * PAGE, MADV_DONTNEED), EINVAL);
    CHECK_FAILS(msync(area, 8 * PAGE, MS_INVALIDATE), EBUSY);
    CHECK(munlock(area, 8 * PAGE) == 0);
    CHECK(count_mappings(area, 8 * PAGE) == 1);
    if (WORKS_OR(mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT), ENOMEM)) {
        char *later = map_pages(2);
        later[0] = 1;
        CHECK(munlock(later, PAGE) == 0);
        CHECK(munlockall() == 0);
        CHECK(munmap(later, 2 * PAGE) == 0);
    }
    char *locked = map_at(NULL, 2 * PAGE, READ_WRITE, MAP_LOCKED | MAP_POPULATE);
    CHECK(munmap(locked, 2 * PAGE) == 0 && munmap(area, 8 * PAGE) == 0);
}

static void program_break(void)
{
    char *start = sbrk(0);
    CHECK(sbrk(5 * PAGE) == start);
    start[4 * PAGE] = 'h';
    CHECK(mprotect((char *)(((uintptr_t)start + PAGE - 1) & ~(PAGE - 1)) + PAGE, PAGE, PROT_READ) == 0);
    CHECK(sbrk(-3 * (long)PAGE) == start + 5 * PAGE);
    CHECK(sbrk(100) == start + 2 * PAGE);
    CHECK(sbrk(0) == start + 2 * PAGE + 100);
    CHECK(brk(start) == 0);
    CHECK_FAILS(brk((void *)0x7ffffffff000), ENOMEM);
    CHECK(sbrk(0) == start);
}

/* --- stacks and guards ----------------------------------------------------------------- */

static int __attribute__((noinline)) recurse(int depth)
{
    volatile char frame[PAGE];
    frame[0] = (char)depth;
    int below = depth == 0 ? 0 : recurse(depth - 1);
    return below + (frame[0] == (char)depth);
}

static void growing_stacks(void)
{
    CHECK(recurse(500) == 501);

    char *range = free_range(800);
    char *stack = map_at(range + 798 * PAGE, 2 * PAGE, READ_WRITE, MAP_FIXED | MAP_GROWSDOWN);
    for (int i = 0; i < 64; i++)
        ((volatile char *)stack)[-(long)PAGE * i] = (char)i;
    CHECK(count_mappings(stack - 63 * PAGE, PAGE) == 1);
    CHECK(count_mappings(stack - 64 * PAGE, PAGE) == 0);
    CHECK(mprotect(stack - 10 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN) == 0);
    CHECK(munmap(range, 800 * PAGE) == 0);
}

static sigjmp_buf escape;

static void leave(int number)
{
    siglongjmp(escape, number);
}

static void guard_pages(void)
{
    struct sigaction action = {.sa_handler = leave}, before;
    char *area = map_pages(6);
    memset(area, 'g', 6 * PAGE);
    CHECK(sigaction(SIGSEGV, &action, &before) == 0);
    if (WORKS_OR(madvise(area + PAGE, PAGE, MADV_GUARD_INSTALL), EINVAL)) {
        if (sigsetjmp(escape, 1) == 0) {
            ((volatile char *)area)[PAGE] = 1;
            CHECK(!"the guard held nothing back");
        }
        CHECK(madvise(area + PAGE, PAGE, MADV_GUARD_REMOVE) == 0);
        CHECK(area[PAGE] == 0);
    }
    CHECK(mprotect(area + 4 * PAGE, PAGE, PROT_NONE) == 0);
    if (sigsetjmp(escape, 1) == 0) {
        ((volatile char *)area)[4 * PAGE] = 1;
        CHECK(!"PROT_NONE held nothing back");
    }
    CHECK(sigaction(SIGSEGV, &before, NULL) == 0);
    CHECK(munmap(area, 6 * PAGE) == 0);
}

static void huge_alignment(void)
{
    static const size_t len[] = {HUGE, 2 * HUGE, HUGE / 2, HUGE + PAGE, 3 * HUGE};
    char *area[5];
    for (int i = 0; i < 5; i++)
        area[i] = map_at(NULL, len[i], READ_WRITE, i == 2 ? MAP_STACK : MAP_NORESERVE);
    WORKS_OR(madvise(area[1], HUGE, MADV_HUGEPAGE), EINVAL);
    area[1][0] = area[1][HUGE] = 1;
    char *block = aligned_alloc(HUGE, 2 * HUGE);
    CHECK(block && (uintptr_t)block % HUGE == 0);
    block[0] = 1;
    free(block);
    for (int i = 0; i < 5; i++)
        CHECK(munmap(area[i], len[i]) == 0);
}

/* --- placement and errors -------------------------------------------------------------- */

static void placement(void)
{
    char *range = free_range(16);
    char *area = map_at(range + 4 * PAGE, 4 * PAGE, READ_WRITE, MAP_FIXED_NOREPLACE);
    CHECK(area == range + 4 * PAGE);
    CHECK_FAILS(mmap(area + 3 * PAGE, 4 * PAGE, PROT_READ,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK(map_at(range, 2 * PAGE, PROT_READ, 0) == range);          /* a hint that fits */
    char *other = map_at(area, 2 * PAGE, PROT_READ, 0);             /* and one that does not */
    CHECK(other != area && munmap(other, 2 * PAGE) == 0);
    CHECK(munmap(range, 16 * PAGE) == 0);                           /* holes and all */
}

static void failures(void)
{
    const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    char *area = map_pages(4), *shared;
    unsigned char residency[4];
    CHECK(munmap(area + 2 * PAGE, PAGE) == 0);

    CHECK_FAILS(mmap(NULL, 0, PROT_READ, anonymous, -1, 0), EINVAL);
    CHECK_FAILS(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_FAILS(mmap(area + 1, PAGE, PROT_READ, anonymous | MAP_FIXED, -1, 0), EINVAL);
    CHECK_FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
    CHECK_FAILS(mmap(NULL, 1UL << 62, PROT_READ, anonymous, -1, 0), ENOMEM);
    CHECK_FAILS(mmap((void *)0x7ffffffff000, PAGE, PROT_READ, anonymous | MAP_FIXED, -1, 0), ENOMEM);

    int fd = nameless_file(1);
    CHECK_FAILS(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL);
    CHECK_FAILS(mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, -(off_t)PAGE), EOVERFLOW);
    CHECK_FAILS(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 0x200000, fd, 0), EOPNOTSUPP);
    CHECK_FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, fd, 0), EINVAL);
    close(fd);

    fd = open("/bin/true", O_RDONLY);
    CHECK_FAILS(mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, fd, 0), EACCES);
    shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(shared != MAP_FAILED);
    CHECK_FAILS(mprotect(shared, PAGE, READ_WRITE), EACCES);
    CHECK(munmap(shared, PAGE) == 0);
    close(fd);
    fd = open("/", O_RDONLY | O_DIRECTORY);
    CHECK_FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
    close(fd);

    CHECK_FAILS(munmap(area + 1, PAGE), EINVAL);
    CHECK_FAILS(munmap(area, 0), EINVAL);
    CHECK_FAILS(mprotect(area + 1, PAGE, PROT_READ), EINVAL);
    CHECK_FAILS(mprotect(area, PAGE, PROT_READ | 0x400), EINVAL);
    CHECK_FAILS(mprotect(area, 4 * PAGE, PROT_READ), ENOMEM); /* the part before the hole is done */
    CHECK_FAILS(mprotect(area, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL);
    CHECK_FAILS(mremap(area, PAGE, 0, 0), EINVAL);
    CHECK_FAILS(mremap(area, PAGE, PAGE, MREMAP_FIXED, area), EINVAL);
    CHECK_FAILS(mremap(area + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_FAILS(mremap(area, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + PAGE), EINVAL);
    CHECK_FAILS(madvise(area, PAGE, 12345), EINVAL);
    CHECK_FAILS(madvise(area, 4 * PAGE, MADV_RANDOM), ENOMEM);
    CHECK_FAILS(mlock(area, 4 * PAGE), ENOMEM);
    CHECK_FAILS(mlock2(area, PAGE, 8), EINVAL);
    CHECK_FAILS(msync(area, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK_FAILS(mincore(area, 4 * PAGE, residency), ENOMEM);
    CHECK_FAILS(mincore(area, PAGE, (void *)8), EFAULT);
    CHECK(munmap(area, 4 * PAGE) == 0);
}

int main(void)
{
    run_programs();
    forked_child_maps_on();
    threads();
    mremap_in_place();
    mremap_elsewhere();
    mremap_copies_shared();
    split_and_merge();
    mend_faults();
    protection_keys();
    sealed();
    files();
    memory_files();
    system_v_memory();
    advice();
    locks();
    program_break();
    growing_stacks();
    guard_pages();
    huge_alignment();
    placement();
    failures();
    return 0;
}
