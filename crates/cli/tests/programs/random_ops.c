/* random_ops SEED NR [PROFILE]: NR random memory calls, the same for the same seed. Run under
 * `vmaple run` this is a differential fuzzer: the mirror must follow whatever happens here.
 *
 * Most calls aim at a window of 64 pages, with few sizes and few kinds of memory, so that
 * neighbours split and merge all the time; some leave the placement to the kernel. A fault is
 * caught and skipped. Forking, the child goes on with the remaining calls and the parent waits.
 *
 * Profiles: merge, mremap, mlock, brk, fork, files, stack (MAP_GROWSDOWN), mixed (the default:
 * all but stack). The program uses no heap: brk belongs to the calls under test. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>

#define WINDOW_PAGES 64
#define NR_STRAYS 12
#define MAX_DEPTH 6
#define FILE_PAGES 80

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

struct range {
    char *start;
    size_t len;
};

static uint64_t state;
static char *window, *break_start;
static struct range strays[NR_STRAYS]; /* where the kernel placed things */
static int temporary_file, memory_file;
static int depth;
static sigjmp_buf after_fault;

static unsigned below(unsigned bound)
{
    return random_below(&state, bound);
}

#define ONE_OF(array) ((array)[below(sizeof(array) / sizeof *(array))])

/* --- where ----------------------------------------------------------------------------- */

static size_t some_len(void)
{
    static const unsigned char pages[] = {1, 1, 1, 2, 2, 3, 4, 5, 8, 13};
    return ONE_OF(pages) * PAGE;
}

static struct range in_window(void)
{
    struct range range = {window + below(WINDOW_PAGES) * PAGE, some_len()};
    size_t left = (size_t)(window + WINDOW_PAGES * PAGE - range.start);
    if (range.len > left)
        range.len = left;
    return range;
}

/* Mostly in the window; sometimes among what the kernel placed, or in the heap. */
static struct range somewhere(int in_heap)
{
    if (in_heap && below(2)) {
        size_t len = (size_t)((char *)sbrk(0) - break_start) / PAGE;
        if (len > 0)
            return (struct range){break_start + below((unsigned)len) * PAGE, (1 + below(3)) * PAGE};
    }
    struct range stray = ONE_OF(strays);
    if (stray.start && below(5) == 0)
        return stray;
    return in_window();
}

/* Remembers a range for later calls; the one whose place it takes goes. */
static void keep_stray(char *start, size_t len)
{
    struct range *place = &ONE_OF(strays);
    if (place->start)
        munmap(place->start, place->len);
    *place = (struct range){start, len};
}

static int is_in_window(const char *address)
{
    return address >= window && address < window + WINDOW_PAGES * PAGE;
}

/* --- what ------------------------------------------------------------------------------ */

static int some_prot(void)
{
    static const unsigned char prots[] = {
        PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ,
        PROT_READ,              PROT_NONE,              PROT_READ | PROT_EXEC,
    };
    return ONE_OF(prots);
}

static void touch(void)
{
    struct range range = somewhere(0);
    char mark = (char)below(100);
    int writes = below(3) != 0;
    if (sigsetjmp(after_fault, 1) == 0) {
        for (volatile char *page = range.start; page < range.start + range.len; page += PAGE) {
            if (writes) {
                *page = mark;
                CHECK(*page == mark);
            } else {
                (void)*page;
            }
        }
    }
}

/* Maps at a place of our choice, or (a length without a start) of the kernel's. */
static void map_range(struct range range, int flags, int fd, off_t offset)
{
    char *result = mmap(range.start, range.len, some_prot(), flags, fd, offset);
    if (result == MAP_FAILED)
        return;
    if (flags & MAP_FIXED)
        CHECK(result == range.start);
    else if (!is_in_window(result))
        keep_stray(result, range.len);
}

static int some_flags(void)
{
    static const int flags[] = {
        0, 0, 0, 0, 0, MAP_NORESERVE, MAP_STACK, MAP_POPULATE,
    };
    return ONE_OF(flags) | (below(6) == 0 ? MAP_SHARED : MAP_PRIVATE);
}

static void map_fixed(void)
{
    map_range(in_window(), MAP_ANONYMOUS | MAP_FIXED | some_flags(), -1, 0);
}

static void map_hint(void)
{
    int noreplace = below(2) ? MAP_FIXED_NOREPLACE : 0;
    map_range(in_window(), MAP_ANONYMOUS | noreplace | some_flags(), -1, 0);
}

static void map_anywhere(void)
{
    struct range range = {NULL, below(12) == 0 ? (1 + below(2)) << 21 : some_len()};
    map_range(range, MAP_ANONYMOUS | some_flags(), -1, 0);
}

/* A page of a file has its place in the window, so that neighbours' offsets often continue. */
static void map_file(void)
{
    struct range range = in_window();
    int fd = below(2) ? temporary_file : memory_file;
    int fixed = below(4) ? MAP_FIXED : 0;
    unsigned long page = (unsigned long)(range.start - window) / PAGE + (below(5) == 0 ? below(8) : 0);
    map_range(range, (below(2) ? MAP_SHARED : MAP_PRIVATE) | fixed, fd, (off_t)(page * PAGE));
}

static void map_stack(void)
{
    struct range range = in_window();
    map_range(range, MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    if (sigsetjmp(after_fault, 1) == 0)
        *(volatile char *)(range.start - PAGE * (1 + below(3))) = 1;
}

static void unmap(void)
{
    struct range range = somewhere(0);
    munmap(range.start, range.len);
}

static void protect(void)
{
    struct range range = somewhere(0);
    mprotect(range.start, range.len, some_prot());
}

static void remap(void)
{
    struct range from = somewhere(0), target = in_window();
    size_t len = below(2) ? from.len : below(5) == 0 ? from.len / PAGE / 2 * PAGE : some_len();
    unsigned kind = below(12);
    int flags = kind < 2   ? 0
                : kind < 5 ? MREMAP_MAYMOVE
                : kind < 9 ? MREMAP_MAYMOVE | MREMAP_FIXED
                : kind < 11 ? MREMAP_MAYMOVE | MREMAP_DONTUNMAP
                            : MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED;
    if (flags & MREMAP_DONTUNMAP)
        len = from.len;
    size_t old_len = below(20) == 0 ? 0 : from.len;
    if (len > WINDOW_PAGES * PAGE)
        return;
    char *last_place = window + WINDOW_PAGES * PAGE - len;
    if (target.start > last_place)
        target.start = last_place; /* what lies above the window is not ours */
    char *result = mremap(from.start, old_len, len, flags, target.start);
    if (result == MAP_FAILED)
        return;
    if (flags & MREMAP_FIXED)
        CHECK(result == target.start);
    if (!is_in_window(result) && result != from.start)
        keep_stray(result, len);
}

static void advise(void)
{
    static const int advice[] = {
        MADV_NORMAL,   MADV_RANDOM,     MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED,   MADV_FREE,
        MADV_DONTFORK, MADV_DOFORK,     MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_DONTDUMP, MADV_DODUMP,
        MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE,  MADV_UNMERGEABLE, MADV_COLD,
        MADV_POPULATE_READ, MADV_POPULATE_WRITE,
    };
    struct range range = somewhere(0);
    madvise(range.start, range.len, ONE_OF(advice));
}

static void lock(void)
{
    struct range range = somewhere(0);
    switch (below(12)) {
    case 0: mlockall(MCL_FUTURE | (below(2) ? MCL_ONFAULT : 0)); break;
    case 1: mlockall(MCL_CURRENT | MCL_ONFAULT); break;
    case 2: munlockall(); break;
    case 3: case 4: case 5: mlock(range.start, range.len); break;
    case 6: case 7: case 8: mlock2(range.start, range.len, MLOCK_ONFAULT); break;
    default: munlock(range.start, range.len);
    }
}

/* Moves the break, within bounds, and now and then the memory next to it. */
static void move_break(void)
{
    char *now = sbrk(0), *wanted = now + ((long)below(9) - 4) * (long)PAGE + below(3);
    if (below(8) == 0)
        wanted = break_start;
    if (wanted < break_start || wanted > break_start + WINDOW_PAGES * PAGE)
        return;
    /* Shrinking fails, unnoticed by libc, where no memory is left above the new break. */
    if (brk(wanted) == 0)
        CHECK(sbrk(0) == wanted || (wanted < now && sbrk(0) == now));
    struct range range = somewhere(1);
    if (below(3) == 0)
        mprotect(range.start, range.len, some_prot());
    else if (below(6) == 0)
        munmap(range.start, range.len);
    else if (below(4) == 0)
        mmap(range.start, range.len, some_prot(), MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED_NOREPLACE, -1, 0);
}

static void fork_and_go_on(void)
{
    if (depth >= MAX_DEPTH)
        return;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        depth++;
        return;
    }
    expect_exit(child, 0);
    _exit(0);
}

/* --- how often ------------------------------------------------------------------------- */

static const struct operation {
    void (*run)(void);
    unsigned char merge, mremap, mlock, brk, fork, files, stack, mixed;
} operations[] = {
    /*                merge mremap mlock brk fork files stack mixed */
    {map_fixed,       30,   20,    20,   8,  20,  8,    15,   16},
    {map_hint,        6,    2,     3,    2,  3,   2,    2,    4},
    {map_anywhere,    2,    2,     2,    1,  3,   1,    1,    3},
    {map_file,        0,    3,     3,    0,  5,   40,   2,    10},
    {map_stack,       0,    0,     0,    0,  0,   0,    12,   0},
    {unmap,           14,   6,     6,    4,  8,   12,   8,    8},
    {protect,         30,   8,     10,   4,  12,  15,   8,    14},
    {remap,           2,    40,    6,    2,  6,   10,   3,    12},
    {advise,          4,    4,     4,    2,  12,  6,    2,    8},
    {lock,            0,    2,     30,   1,  3,   2,    1,    6},
    {move_break,      0,    0,     3,    50, 3,   0,    0,    6},
    {touch,           16,   16,    14,   8,  20,  14,   10,   16},
    {fork_and_go_on,  0,    0,     0,    0,  3,   0,    0,    1},
};
#define NR_OPERATIONS (sizeof operations / sizeof *operations)

static unsigned weight_of(const struct operation *operation, const char *profile)
{
#define PROFILE(name)                                                                          \
    if (strcmp(profile, #name) == 0)                                                           \
        return operation->name
    PROFILE(merge);
    PROFILE(mremap);
    PROFILE(mlock);
    PROFILE(brk);
    PROFILE(fork);
    PROFILE(files);
    PROFILE(stack);
    PROFILE(mixed);
#undef PROFILE
    dprintf(2, "random_ops: no profile is called %s\n", profile);
    _exit(2);
}

static void skip(int number)
{
    siglongjmp(after_fault, number);
}

static void prepare(void)
{
    struct sigaction action = {.sa_handler = skip};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
    temporary_file = nameless_file(FILE_PAGES);
    memory_file = memfd_create("random", 0);
    CHECK(memory_file >= 0 && ftruncate(memory_file, FILE_PAGES * PAGE) == 0);
    char *old_break = sbrk(0);
    break_start = old_break + (PAGE - (uintptr_t)old_break % PAGE) % PAGE;
    CHECK(brk(break_start) == 0);
    window = free_range(WINDOW_PAGES);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return dprintf(2, "usage: random_ops SEED NR [PROFILE]\n"), 2;
    state = strtoull(argv[1], NULL, 10);
    unsigned long nr_calls = strtoul(argv[2], NULL, 10);
    const char *profile = argc > 3 ? argv[3] : "mixed";
    unsigned total = 0, weights[NR_OPERATIONS];
    for (size_t i = 0; i < NR_OPERATIONS; i++)
        total += weights[i] = weight_of(&operations[i], profile);

    prepare();
    for (unsigned long call = 0; call < nr_calls; call++) {
        unsigned drawn = below(total), chosen = 0;
        while (drawn >= weights[chosen])
            drawn -= weights[chosen++];
        operations[chosen].run();
    }
    return 0;
}
