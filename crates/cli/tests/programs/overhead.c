/* Nothing but memory calls: overhead SPARE CALLS makes SPARE mappings that stay, then CALLS calls in
 * turns of mmap, mprotect and munmap, and prints how many it made in a second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096UL
#define SPARE_AT 0x100000000000UL
#define CALLS_AT 0x200000000000UL

static void *map(unsigned long at)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    void *mapped = mmap((void *)at, 2 * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (mapped == MAP_FAILED)
        exit(1);
    return mapped;
}

int main(int argc, char **argv)
{
    long spare = argc > 1 ? atol(argv[1]) : 0;
    long calls = argc > 2 ? atol(argv[2]) : 3000;
    struct timespec start, end;

    for (long i = 0; i < spare; i++)
        map(SPARE_AT + (unsigned long)i * 4 * PAGE);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long i = 0; i < calls; i += 3) {
        void *mapped = map(CALLS_AT);
        if (mprotect(mapped, PAGE, PROT_READ) != 0 || munmap(mapped, 2 * PAGE) != 0)
            exit(1);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("%.0f\n", (double)calls / seconds);
    return 0;
}
