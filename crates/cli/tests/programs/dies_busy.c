/* Processes that end while their threads map and unmap: by exit, and by SIGKILL.
 *   dies_busy TIMES
 */
#include "check.h"
#include <pthread.h>
#include <signal.h>

static void *busy(void *unused)
{
    (void)unused;
    for (;;) {
        char *pages = map_pages(4);
        CHECK(munmap(pages + PAGE, PAGE) == 0);
        CHECK(munmap(pages, 4 * PAGE) == 0);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int times = argc > 1 ? atoi(argv[1]) : 10;
    for (int i = 0; i < times; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            pthread_t thread;
            for (int k = 0; k < 3; k++)
                CHECK(pthread_create(&thread, NULL, busy, NULL) == 0);
            usleep(4000 + 700 * i);
            if (i % 2 == 0)
                _exit(0);
            pause();
        }
        if (i % 2 == 1) {
            usleep(20000);
            CHECK(kill(child, SIGKILL) == 0);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(i % 2 == 1 ? WIFSIGNALED(status) : WIFEXITED(status));
    }
    return 0;
}
