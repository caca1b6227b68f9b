/* threads [NR_THREADS [ROUNDS]]: threads that map at the same time. Each maps, protects and
 * unmaps at random within a region of its own, knows what every page must hold, and passes heap
 * blocks to the others. The regions lie side by side, so that mappings of different threads merge
 * and split. Moves: mmap MAP_FIXED, munmap, mprotect, madvise, clone with stacks, malloc arenas. */
#include "check.h"
#include <pthread.h>

#define REGION_PAGES 32
#define NR_BLOCKS 64
#define MAX_THREADS 64

/* What a thread knows of one page of its region. */
struct page {
    int prot; /* -1: not mapped */
    char byte;
};

static char *regions;
static unsigned nr_rounds = 1000;

static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;
static struct block {
    unsigned char *bytes;
    size_t len;
    unsigned char fill;
} blocks[NR_BLOCKS];

/* Puts a new block in the place of an old one, which another thread may have made. */
static void exchange_block(uint64_t *state)
{
    struct block fresh = {.len = 1 + random_below(state, 30000), .fill = (unsigned char)random_next(state)};
    if (random_below(state, 20) == 0)
        fresh.len += 1 << 18; /* of the size that gets a mapping of its own */
    CHECK((fresh.bytes = malloc(fresh.len)));
    memset(fresh.bytes, fresh.fill, fresh.len);

    CHECK(pthread_mutex_lock(&blocks_lock) == 0);
    struct block *place = &blocks[random_below(state, NR_BLOCKS)], old = *place;
    *place = fresh;
    CHECK(pthread_mutex_unlock(&blocks_lock) == 0);

    if (old.bytes)
        CHECK(old.bytes[0] == old.fill && old.bytes[old.len - 1] == old.fill);
    free(old.bytes);
}

static void check_pages(const char *region, const struct page *pages)
{
    for (int i = 0; i < REGION_PAGES; i++)
        if (pages[i].prot > PROT_NONE)
            CHECK(*(volatile const char *)(region + (size_t)i * PAGE) == pages[i].byte);
}

static void move_pages(char *region, struct page *pages, uint64_t *state)
{
    static const int protections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
    unsigned first = random_below(state, REGION_PAGES);
    unsigned until = first + 1 + random_below(state, REGION_PAGES - first);
    unsigned what = random_below(state, 4);
    int prot = protections[random_below(state, 3)], is_whole = 1;
    char *at = region + first * PAGE;
    size_t len = (until - first) * PAGE;

    for (unsigned i = first; i < until; i++)
        is_whole &= pages[i].prot != -1;
    if (what == 0) {
        CHECK(munmap(at, len) == 0);
    } else if (what == 1) {
        map_at(at, len, prot, MAP_FIXED);
    } else if (what == 2 && is_whole) {
        CHECK(mprotect(at, len, prot) == 0);
    } else if (what == 3 && is_whole) {
        CHECK(madvise(at, len, MADV_DONTNEED) == 0);
    } else {
        return;
    }
    for (unsigned i = first; i < until; i++) {
        if (what != 3)
            pages[i].prot = what == 0 ? -1 : prot;
        if (what != 2)
            pages[i].byte = 0;
        if (pages[i].prot > PROT_READ && random_below(state, 2))
            region[i * PAGE] = pages[i].byte = (char)(1 + random_below(state, 100));
    }
}

static void *work(void *argument)
{
    uintptr_t number = (uintptr_t)argument;
    uint64_t state = number;
    char *region = regions + number * REGION_PAGES * PAGE;
    struct page pages[REGION_PAGES];
    for (int i = 0; i < REGION_PAGES; i++)
        pages[i] = (struct page){.prot = PROT_NONE};
    for (unsigned round = 0; round < nr_rounds; round++) {
        move_pages(region, pages, &state);
        check_pages(region, pages);
        if (round % 4 == 0)
            exchange_block(&state);
    }
    return argument;
}

int main(int argc, char **argv)
{
    unsigned long nr_threads = argc > 1 ? strtoul(argv[1], NULL, 10) : 4;
    if (argc > 2)
        nr_rounds = (unsigned)strtoul(argv[2], NULL, 10);
    CHECK(nr_threads >= 1 && nr_threads <= MAX_THREADS);

    pthread_t threads[MAX_THREADS];
    void *result;
    size_t len = nr_threads * REGION_PAGES * PAGE;
    regions = map_at(NULL, len, PROT_NONE, 0);
    for (uintptr_t i = 0; i < nr_threads; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (uintptr_t i = 0; i < nr_threads; i++) {
        CHECK(pthread_join(threads[i], &result) == 0);
        CHECK(result == (void *)i);
    }
    for (int i = 0; i < NR_BLOCKS; i++)
        free(blocks[i].bytes);
    CHECK(munmap(regions, len) == 0);
    return 0;
}
