/* What the test programs share: checks that end the program, a reproducible random number
 * generator, and a look at our own map. Include it first. */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define UNUSED __attribute__((unused))

#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition))                                                                      \
            check_failed(__FILE__, __LINE__, #condition);                                      \
    } while (0)

/* The call fails, with exactly this error. */
#define CHECK_FAILS(call, error)                                                               \
    do {                                                                                       \
        errno = 0;                                                                             \
        CHECK((long)(call) == -1 && errno == (error));                                         \
    } while (0)

/* The call works, or fails with an error that a kernel built without the feature gives. */
#define WORKS_OR(call, error) (errno = 0, works_or((long)(call), (error), __FILE__, __LINE__, #call))

/* Without the heap, which the program under test may have moved away. */
static UNUSED void check_failed(const char *file, int line, const char *what)
{
    char text[1024];
    int len = snprintf(text, sizeof text, "%s:%d: check failed: %s (errno %d)\n", file, line, what, errno);
    ssize_t written = write(2, text, len < (int)sizeof text ? (size_t)len : sizeof text);
    _exit(written < 0 ? 2 : 1);
}

static UNUSED int works_or(long result, int error, const char *file, int line, const char *what)
{
    if (result != -1)
        return 1;
    if (errno != error)
        check_failed(file, line, what);
    return 0;
}

/* SplitMix64: a good generator of one word of state. */
static UNUSED uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static UNUSED unsigned random_below(uint64_t *state, unsigned bound)
{
    return (unsigned)(random_next(state) % bound);
}

static UNUSED char *map_at(void *address, size_t len, int prot, int flags)
{
    char *result = mmap(address, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    CHECK(result != MAP_FAILED);
    return result;
}

static UNUSED char *map_pages(size_t nr_pages)
{
    return map_at(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE, 0);
}

/* An address range that is free now, and stays so while no other thread maps. */
static UNUSED char *free_range(size_t nr_pages)
{
    char *range = map_at(NULL, nr_pages * PAGE, PROT_NONE, 0);
    CHECK(munmap(range, nr_pages * PAGE) == 0);
    return range;
}

/* Waits for the child and sees that it ended with this exit code. */
static UNUSED void expect_exit(pid_t child, int code)
{
    int status;
    CHECK(child > 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code);
}

/* Our own map as text, in a buffer that lives outside the heap. */
static UNUSED const char *own_maps(void)
{
    static char text[1 << 20];
    size_t len = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    for (;;) {
        ssize_t got = read(fd, text + len, sizeof text - 1 - len);
        CHECK(got >= 0);
        if (got == 0)
            break;
        len += (size_t)got;
    }
    text[len] = '\0';
    close(fd);
    return text;
}

/* How many mappings touch the range. */
static UNUSED int count_mappings(const void *start, size_t len)
{
    unsigned long from = (unsigned long)start, until = from + len, first, end;
    int count = 0;
    for (const char *line = own_maps(); *line; line = strchr(line, '\n') + 1) {
        CHECK(sscanf(line, "%lx-%lx", &first, &end) == 2);
        count += first < until && end > from;
    }
    return count;
}

/* The line of the map for this address, without its newline; empty if there is none. */
static UNUSED const char *line_at(const void *address)
{
    static char found[8192];
    unsigned long wanted = (unsigned long)address, first, end;
    for (const char *line = own_maps(); *line; line = strchr(line, '\n') + 1) {
        CHECK(sscanf(line, "%lx-%lx", &first, &end) == 2);
        if (first <= wanted && wanted < end) {
            size_t len = strcspn(line, "\n");
            CHECK(len < sizeof found);
            memcpy(found, line, len);
            found[len] = '\0';
            return found;
        }
    }
    return "";
}

/* A file of that many pages in a temporary folder, already without a name; page i starts with
 * the byte 'a' + i. */
static UNUSED int nameless_file(size_t nr_pages)
{
    char path[4096];
    const char *folder = getenv("TMPDIR");
    CHECK(snprintf(path, sizeof path, "%s/vmaple-test-XXXXXX", folder ? folder : "/tmp") < (int)sizeof path);
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK(unlink(path) == 0);
    CHECK(ftruncate(fd, (off_t)(nr_pages * PAGE)) == 0);
    for (size_t i = 0; i < nr_pages; i++) {
        char byte = (char)('a' + i % 26);
        CHECK(pwrite(fd, &byte, 1, (off_t)(i * PAGE)) == 1);
    }
    return fd;
}

#endif
