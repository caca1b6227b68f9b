/* What a program may do that decides about its map before or beside its memory calls.
 *   odd_starts heap          begins its heap right after its own data (without randomisation)
 *   odd_starts uid           gives up root, execs itself and goes on mapping
 *   odd_starts map           maps a little, in whatever layout it was given
 */
#include "check.h"
#include <sys/syscall.h>

static volatile char data[9000];

static int heap(void) {
    data[4500] = 1;
    char *start = (char *)syscall(SYS_brk, 0);
    for (int i = 1; i < 6; i++) {
        CHECK((char *)syscall(SYS_brk, start + i * 5000) == start + i * 5000);
        start[i * 4096] = 1;
        CHECK((char *)syscall(SYS_brk, start) == start);
    }
    return 0;
}

static int map(void) {
    char *at[16];
    for (int i = 0; i < 16; i++) {
        at[i] = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(at[i] != MAP_FAILED);
        at[i][0] = 1;
    }
    for (int i = 0; i < 16; i += 3)
        CHECK(munmap(at[i], 2 * 4096) == 0);
    return 0;
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    if (strcmp(argv[1], "heap") == 0)
        return heap();
    if (strcmp(argv[1], "map") == 0)
        return map();
    CHECK(setuid(65534) == 0);
    execl("/proc/self/exe", argv[0], "map", (char *)0);
    return 1;
}
