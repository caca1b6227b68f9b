/* outside: calls that vmaple has no model of, among others that it has. Whether they succeed
 * does not matter here: the kernel may have no huge pages and no NUMA. */
#include "check.h"
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MAP_HUGETLB
#define MAP_HUGETLB 0x40000
#endif

int main(void)
{
    size_t huge = 2 << 20;
    char *memory = mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    void *pages = mmap(NULL, huge, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
    if (pages != MAP_FAILED)
        CHECK(munmap(pages, huge) == 0);
    (void)syscall(SYS_mbind, memory, huge, 0, NULL, 0UL, 0U);
    CHECK(mprotect(memory, PAGE, PROT_READ) == 0);
    CHECK(munmap(memory, huge) == 0);
    return 0;
}
