/* Files that change their names while they are mapped: renamed, replaced, unlinked, their folder
 * renamed, names with spaces and newlines. The map shows each name as it is now, so a mirror that
 * kept the name of the time of mmap is wrong. Moves: file mappings of one page or three, private and
 * shared, split while the name changes. */
#include "check.h"
#include <sys/stat.h>

static char folder[4096];

static const char *path_in(const char *name)
{
    static char paths[4][8192];
    static unsigned next;
    char *path = paths[next++ % 4];
    CHECK(snprintf(path, sizeof paths[0], "%s/%s", folder, name) < (int)sizeof paths[0]);
    return path;
}

/* A file of three pages, mapped; its descriptor is closed again. */
static char *mapped_file(const char *name, int flags)
{
    int fd = open(path_in(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 3 * PAGE) == 0);
    char *area = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    CHECK(area != MAP_FAILED);
    close(fd);
    return area;
}

/* The map ends the address's line with this text; a memory call first, so that an observer of
 * calls looks too. */
static void expect_name(char *area, const char *ending)
{
    CHECK(munmap(map_pages(1), PAGE) == 0);
    const char *line = line_at(area);
    size_t len = strlen(line), wanted = strlen(ending);
    CHECK(len >= wanted && strcmp(line + len - wanted, ending) == 0);
}

static void rename_and_unlink(void)
{
    char *area = mapped_file("first", MAP_SHARED);
    expect_name(area, "/first");
    CHECK(rename(path_in("first"), path_in("second")) == 0);
    expect_name(area, "/second");
    CHECK(mprotect(area + PAGE, PAGE, PROT_READ) == 0);
    CHECK(unlink(path_in("second")) == 0);
    expect_name(area, "/second (deleted)");
    expect_name(area + PAGE, "/second (deleted)");
    area[0] = 'x';
    CHECK(mprotect(area + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    CHECK(count_mappings(area, 3 * PAGE) == 1 && area[0] == 'x');
    CHECK(munmap(area, 3 * PAGE) == 0);
}

static void replace(void)
{
    char *old = mapped_file("replaced", MAP_PRIVATE), *fresh = mapped_file("fresh", MAP_PRIVATE);
    CHECK(rename(path_in("fresh"), path_in("replaced")) == 0);
    expect_name(old, "/replaced (deleted)");
    expect_name(fresh, "/replaced");
    CHECK(munmap(old, 3 * PAGE) == 0 && munmap(fresh, 3 * PAGE) == 0);
    CHECK(unlink(path_in("replaced")) == 0);
}

static void second_link(void)
{
    char *area = mapped_file("one", MAP_SHARED);
    CHECK(link(path_in("one"), path_in("two")) == 0);
    CHECK(unlink(path_in("one")) == 0);
    expect_name(area, "/one (deleted)");
    CHECK(unlink(path_in("two")) == 0);
    CHECK(munmap(area, 3 * PAGE) == 0);
}

static void strange_names(void)
{
    char *area = mapped_file("a b\nc\\d", MAP_PRIVATE);
    expect_name(area, "/a b\\012c\\d");
    CHECK(rename(path_in("a b\nc\\d"), path_in("e (deleted)")) == 0);
    expect_name(area, "/e (deleted)");
    CHECK(unlink(path_in("e (deleted)")) == 0);
    expect_name(area, "/e (deleted) (deleted)");
    CHECK(munmap(area, 3 * PAGE) == 0);
}

static void folder_renamed(void)
{
    CHECK(mkdir(path_in("inner"), 0700) == 0);
    char *area = mapped_file("inner/file", MAP_SHARED);
    CHECK(rename(path_in("inner"), path_in("outer")) == 0);
    expect_name(area, "/outer/file");
    pid_t child = fork();
    if (child == 0) {
        expect_name(area, "/outer/file");
        CHECK(rename(path_in("outer/file"), path_in("outer/moved")) == 0);
        expect_name(area, "/outer/moved");
        _exit(0);
    }
    expect_exit(child, 0);
    expect_name(area, "/outer/moved");
    CHECK(unlink(path_in("outer/moved")) == 0 && rmdir(path_in("outer")) == 0);
    expect_name(area, " (deleted)");
    CHECK(munmap(area, 3 * PAGE) == 0);
}

int main(void)
{
    const char *parent = getenv("TMPDIR");
    CHECK(snprintf(folder, sizeof folder, "%s/vmaple-names-XXXXXX", parent ? parent : "/tmp") < (int)sizeof folder);
    CHECK(mkdtemp(folder));
    rename_and_unlink();
    replace();
    second_link();
    strange_names();
    folder_renamed();
    CHECK(rmdir(folder) == 0);
    return 0;
}
