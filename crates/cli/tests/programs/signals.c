/* signals MODE: signals that come between, and during, memory calls.
 *   alarm       a timer's handler maps and unmaps while the main program does
 *   altstack    handlers on a stack of their own, one of them after the real stack overflowed
 *   stop        raises SIGSTOP; ends with 0 once someone continues it
 *   stop-child  stops and continues a child, as a shell does, and sees each state
 *   restart     calls that a signal interrupts: sleep, wait, pause
 *   die NAME    dies by ABRT, SEGV, BUS, TERM, KILL, INT, USR1 or overflow (of the stack)
 *   exit N      ends with that status, after a little mapping
 * A program that dies does so with mappings just moved, and leaves no core file. */
#include "check.h"
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

static volatile sig_atomic_t nr_alarms;
static volatile uintptr_t handler_frame;
static sigjmp_buf escape;

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    CHECK(sigaction(number, &action, NULL) == 0);
}

static void map_a_little(void)
{
    char *area = map_pages(6);
    area[0] = area[5 * PAGE] = 1;
    CHECK(mprotect(area + PAGE, 2 * PAGE, PROT_READ) == 0);
    CHECK(munmap(area + 2 * PAGE, 2 * PAGE) == 0);
    CHECK(munmap(area, 6 * PAGE) == 0);
}

static const struct itimerval in_a_ms = {{0, 0}, {0, 1000}};

static void on_alarm(int number)
{
    (void)number;
    int saved = errno;
    map_a_little();
    nr_alarms++;
    /* Once each time: a timer that is faster than its handler would leave the program no time. */
    CHECK(setitimer(ITIMER_REAL, &in_a_ms, NULL) == 0);
    errno = saved;
}

static void alarms(void)
{
    struct itimerval off = {{0, 0}, {0, 0}};
    handle(SIGALRM, on_alarm, SA_RESTART);
    CHECK(setitimer(ITIMER_REAL, &in_a_ms, NULL) == 0);
    while (nr_alarms < 50)
        map_a_little();
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
}

static void note_frame(int number)
{
    char here;
    handler_frame = (uintptr_t)&here;
    if (number == SIGSEGV)
        siglongjmp(escape, 1);
}

static int __attribute__((noinline)) overflow(int depth)
{
    volatile char frame[2 * PAGE];
    frame[0] = (char)depth;
    return depth == INT_MAX ? 0 : overflow(depth + 1) + frame[0];
}

static void small_stack(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
    limit.rlim_cur = 1 << 20;
    CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
}

static void alternative_stack(void)
{
    stack_t stack = {.ss_sp = map_pages(16), .ss_size = 16 * PAGE};
    uintptr_t first = (uintptr_t)stack.ss_sp;
    CHECK(sigaltstack(&stack, NULL) == 0);
    handle(SIGUSR1, note_frame, SA_ONSTACK);
    CHECK(raise(SIGUSR1) == 0);
    CHECK(handler_frame >= first && handler_frame < first + 16 * PAGE);

    small_stack();
    handler_frame = 0;
    handle(SIGSEGV, note_frame, SA_ONSTACK | SA_NODEFER);
    if (sigsetjmp(escape, 1) == 0)
        overflow(0);
    CHECK(handler_frame >= first && handler_frame < first + 16 * PAGE);

    stack.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&stack, NULL) == 0);
    CHECK(munmap((void *)first, 16 * PAGE) == 0);
}

static void stop_self(void)
{
    map_a_little();
    CHECK(raise(SIGSTOP) == 0);
    map_a_little();
}

static void stop_child(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        stop_self();
        CHECK(raise(SIGTSTP) == 0);
        map_a_little();
        _exit(9);
    }
    /* A stop from the keyboard does nothing to an orphaned group; then only SIGSTOP is seen. */
    do {
        CHECK(waitpid(child, &status, WUNTRACED | WCONTINUED) == child);
        if (WIFSTOPPED(status)) {
            CHECK(WSTOPSIG(status) == SIGSTOP || WSTOPSIG(status) == SIGTSTP);
            CHECK(kill(child, SIGCONT) == 0);
        }
    } while (!WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 9);
}

static void count_only(int number)
{
    (void)number;
    nr_alarms++;
}

static void interrupted_calls(void)
{
    /* Again and again: the first may come before the call that it is to interrupt. */
    struct itimerval often = {{0, 20000}, {0, 20000}}, off = {{0, 0}, {0, 0}};
    struct timespec second = {1, 0}, left = {0, 0};
    int status;

    handle(SIGALRM, count_only, 0);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    CHECK_FAILS(nanosleep(&second, &left), EINTR);
    CHECK(left.tv_nsec > 0);

    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(1);
    }
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    CHECK_FAILS(waitpid(child, &status, 0), EINTR);
    map_a_little();
    handle(SIGALRM, count_only, SA_RESTART);
    struct timespec later = {0, 60 * 1000 * 1000};
    pid_t killer = fork();
    if (killer == 0) {
        nanosleep(&later, NULL);
        _exit(kill(child, SIGTERM) == 0 ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
    CHECK(nr_alarms >= 3);
    expect_exit(killer, 0);
}

static int die(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"ABRT", SIGABRT}, {"TERM", SIGTERM}, {"KILL", SIGKILL}, {"INT", SIGINT}, {"USR1", SIGUSR1}};
    const struct rlimit no_core = {0, 0};
    char *area = map_pages(4);
    CHECK(setrlimit(RLIMIT_CORE, &no_core) == 0);
    CHECK(mprotect(area + PAGE, PAGE, PROT_NONE) == 0);
    if (strcmp(name, "SEGV") == 0)
        ((volatile char *)area)[PAGE] = 1;
    if (strcmp(name, "BUS") == 0) {
        int fd = nameless_file(0);
        volatile char *past_end = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
        return *past_end;
    }
    if (strcmp(name, "overflow") == 0) {
        small_stack();
        return overflow(0);
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (strcmp(name, signals[i].name) == 0)
            raise(signals[i].number);
    return 2;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "", *argument = argc > 2 ? argv[2] : "";
    if (strcmp(mode, "alarm") == 0)
        alarms();
    else if (strcmp(mode, "altstack") == 0)
        alternative_stack();
    else if (strcmp(mode, "stop") == 0)
        stop_self();
    else if (strcmp(mode, "stop-child") == 0)
        stop_child();
    else if (strcmp(mode, "restart") == 0)
        interrupted_calls();
    else if (strcmp(mode, "die") == 0)
        return die(argument);
    else if (strcmp(mode, "exit") == 0)
        return map_a_little(), atoi(argument);
    else
        return dprintf(2, "usage: signals alarm|altstack|stop|stop-child|restart|die NAME|exit N\n"), 2;
    return 0;
}
