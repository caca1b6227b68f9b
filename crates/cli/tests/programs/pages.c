/* pages: calls whose results hang on pages, on what is set aside, or on settings of the process:
 * guard pages that are brought in, huge pages where there are none, PR_SET_THP_DISABLE,
 * MADV_COLLAPSE, PR_SET_MM_MAP, rings of perf_event_open. */
#include "check.h"
#include <linux/perf_event.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MAP_HUGETLB
#define MAP_HUGETLB 0x40000
#endif
#ifndef PR_SET_MM_MAP
#define PR_SET_MM_MAP 14
#define PR_SET_MM_MAP_SIZE 15
#endif

static char *map(size_t len, int flags)
{
    char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

static void guards(void)
{
    char *area = map(8 * PAGE, 0);
    if (!WORKS_OR(madvise(area + 2 * PAGE, PAGE, MADV_GUARD_INSTALL), EINVAL))
        return;
    CHECK(madvise(area, 2 * PAGE, MADV_POPULATE_WRITE) == 0);
    CHECK_FAILS(madvise(area, 8 * PAGE, MADV_POPULATE_READ), EFAULT);
    CHECK_FAILS(madvise(area, 8 * PAGE, MADV_POPULATE_WRITE), EFAULT);
    CHECK_FAILS(mlock(area, 8 * PAGE), ENOMEM);
    CHECK(munlock(area, 8 * PAGE) == 0);
    CHECK(madvise(area + 2 * PAGE, PAGE, MADV_GUARD_REMOVE) == 0);
    CHECK(mlock(area, 8 * PAGE) == 0);
    CHECK(munmap(area, 8 * PAGE) == 0);
}

static void huge_pages(void)
{
    size_t huge = 2 << 20;
    char *area = map(4 * huge, 0);
    char *inner = (char *)(((uintptr_t)area + huge - 1) & ~(huge - 1));
    (void)mmap(NULL, huge, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    (void)mmap(NULL, huge, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB | (30 << 26), -1, 0);
    /* Where nothing is set aside this leaves a hole. */
    (void)mmap(inner + huge, PAGE, PROT_READ,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB, -1, 0);
    CHECK_FAILS(mmap(inner + PAGE, PAGE, PROT_READ,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB, -1, 0), EINVAL);
    (void)madvise(inner, huge, MADV_COLLAPSE);
    inner[0] = 1;
    (void)madvise(inner, huge, MADV_COLLAPSE);
    CHECK_FAILS(madvise(inner + 1, huge, MADV_COLLAPSE), EINVAL);
    CHECK(munmap(area, 4 * huge) == 0);
}

static void settings(void)
{
    CHECK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
    char *area = map(4 << 20, 0);
    CHECK(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0);
    CHECK_FAILS(prctl(PR_SET_THP_DISABLE, 1, 1, 0, 0), EINVAL);
    CHECK_FAILS(prctl(PR_SET_THP_DISABLE, 0, 0, 1, 0), EINVAL);
    CHECK(munmap(area, 4 << 20) == 0);
}

/* As in the manual page; the last three are of no interest here. */
struct bounds {
    uint64_t start_code, end_code, start_data, end_data, start_brk, brk;
    uint64_t start_stack, arg_start, arg_end, env_start, env_end;
    uint64_t *auxv;
    uint32_t auxv_size, exe_fd;
};

/* Moves the heap, in name, to a mapping of ours. */
static void all_bounds(void)
{
    unsigned size = 0;
    if (prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) != 0 || size != sizeof(struct bounds))
        return;
    char *area = map(4 * PAGE, 0);
    char text[4096] = "";
    int fd = open("/proc/self/stat", O_RDONLY);
    CHECK(fd >= 0);
    CHECK(read(fd, text, sizeof text - 1) > 0);
    CHECK(close(fd) == 0);
    uint64_t fields[64] = {0};
    int nr = 3;
    for (char *word = strtok(strrchr(text, ')') + 4, " "); word && nr < 60; word = strtok(NULL, " "))
        fields[++nr] = strtoull(word, NULL, 10);
    struct bounds bounds = {
        .start_code = fields[26], .end_code = fields[27], .start_data = fields[45],
        .end_data = fields[46], .start_brk = (uintptr_t)area + PAGE,
        .brk = (uintptr_t)area + 2 * PAGE, .start_stack = fields[28], .arg_start = fields[48],
        .arg_end = fields[49], .env_start = fields[50], .env_end = fields[51],
        .exe_fd = (uint32_t)-1,
    };
    (void)prctl(PR_SET_MM, PR_SET_MM_MAP, &bounds, sizeof bounds, 0);
    CHECK(mprotect(area, PAGE, PROT_READ) == 0);
    bounds.brk = 0;
    CHECK(prctl(PR_SET_MM, PR_SET_MM_MAP, &bounds, sizeof bounds, 0) == -1);
    CHECK(mprotect(area, PAGE, PROT_READ | PROT_WRITE) == 0);
}

/* A ring of perf_event_open is mapped whole, and never executed. */
static void whole_rings(void)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_DUMMY,
        .disabled = 1, .exclude_kernel = 1,
    };
    int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0UL);
    if (fd < 0)
        return;
    size_t len = 5 * PAGE;
    char *ring = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(ring != MAP_FAILED);
    CHECK(mmap(NULL, len, PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED);
    (void)munmap(ring + PAGE, PAGE);
    (void)mprotect(ring, PAGE, PROT_READ);
    (void)mremap(ring, len, PAGE, 0);
    CHECK(mprotect(ring, len, PROT_READ) == 0);
    char *moved = mremap(ring, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, map(2 * len, 0));
    if (moved != MAP_FAILED)
        ring = moved;
    (void)mmap(ring + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(munmap(ring, len) == 0);
    CHECK(close(fd) == 0);
}

int main(void)
{
    guards();
    whole_rings();
    huge_pages();
    settings();
    all_bounds();
    return 0;
}
