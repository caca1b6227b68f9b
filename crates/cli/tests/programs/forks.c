/* forks [DEPTH [WIDTH]]: a tree of processes. Every process inherits pages that were touched
 * before the fork and pages that were not, touches and splits them afterwards, and sees that
 * nobody else's stores reach it, but that all see the shared counter. Some children execute this
 * program again, some come by vfork, some are left to be waited for late.
 * Moves: fork of touched and untouched, shared, locked, DONTFORK and WIPEONFORK mappings; merges
 * beside inherited anonymous memory; exec with the old map gone. */
#include "check.h"
#include <spawn.h>

#define AREA_PAGES 12

extern char **environ;
static char program[4096];
static unsigned *shared_counter;

static void move_inherited(char *area, int depth)
{
    char mark = (char)('A' + depth);
    area[0] = mark;                                    /* touched before the fork */
    area[4 * PAGE] = mark;                             /* not touched before */
    CHECK(mprotect(area + 2 * PAGE, PAGE, PROT_READ) == 0);
    CHECK(mprotect(area + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    CHECK(munmap(area + 6 * PAGE, PAGE) == 0);
    map_at(area + 6 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED);
    area[6 * PAGE] = mark;
    CHECK(area[0] == mark && area[4 * PAGE] == mark);
}

static void execute(const char *mode)
{
    char *arguments[] = {program, (char *)mode, NULL};
    execv(program, arguments);
    _exit(126);
}

static void descend(char *area, int depth, int width)
{
    pid_t children[16];
    __atomic_fetch_add(shared_counter, 1, __ATOMIC_SEQ_CST);
    move_inherited(area, depth);
    if (depth == 0)
        return;
    for (int i = 0; i < width; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            CHECK(area[0] == (char)('A' + depth));
            descend(area, depth - 1, width);
            if (i == 1)
                execute("--executed");
            _exit(40 + i);
        }
    }
    area[PAGE] = 'n';
    for (int i = width - 1; i >= 0; i--)
        expect_exit(children[i], i == 1 ? 33 : 40 + i);
    CHECK(area[PAGE] == 'n' && area[0] == (char)('A' + depth));
}

static void special_mappings(void)
{
    char *area = map_pages(6);
    memset(area, 's', 6 * PAGE);
    CHECK(madvise(area, PAGE, MADV_DONTFORK) == 0);
    CHECK(madvise(area + 2 * PAGE, PAGE, MADV_WIPEONFORK) == 0);
    CHECK(mlock(area + 4 * PAGE, PAGE) == 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK(count_mappings(area, PAGE) == 0);
        CHECK(area[PAGE] == 's' && area[2 * PAGE] == 0 && area[4 * PAGE] == 's');
        map_at(area, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED);
        CHECK(munmap(area, 6 * PAGE) == 0);
        _exit(0);
    }
    expect_exit(child, 0);
    CHECK(munmap(area, 6 * PAGE) == 0);
}

static void borrowed_map(void)
{
    char *arguments[] = {program, "--executed", NULL};
    volatile int seen = 0;
    pid_t child = vfork();
    if (child == 0) {
        seen = 1; /* the parent's own variable: the map is shared until exec */
        execv(program, arguments);
        _exit(126);
    }
    CHECK(seen == 1);
    expect_exit(child, 33);
    CHECK(posix_spawn(&child, program, NULL, NULL, arguments, environ) == 0);
    expect_exit(child, 33);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--executed") == 0) {
        char *own = map_pages(3);
        own[PAGE] = 1;
        CHECK(munmap(own, PAGE) == 0);
        return 33;
    }
    int depth = argc > 1 ? atoi(argv[1]) : 3, width = argc > 2 ? atoi(argv[2]) : 2;
    CHECK(depth >= 0 && depth <= 8 && width >= 1 && width <= 16);
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    CHECK(len > 0);

    shared_counter = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared_counter != MAP_FAILED);
    char *area = map_pages(AREA_PAGES);
    area[0] = 'r';
    descend(area, depth, width);

    unsigned expected = 0, level = 1;
    for (int i = 0; i <= depth; i++, level *= (unsigned)width)
        expected += level;
    CHECK(*shared_counter == expected);
    special_mappings();
    borrowed_map();
    return 0;
}
