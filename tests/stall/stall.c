/* stall: a disk that stands still on command.
 *
 * Preloaded into a game (LD_PRELOAD). While the file STALL_WHILE exists, every write, truncation and sync of a file under STALL_DIR
 * waits, as on a disk that does not answer. Reads go on: the page cache serves them. Files are known by their path at the time
 * of the call (/proc/self/fd), so nothing has to be watched before.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static char folder[PATH_MAX], stop_file[PATH_MAX];
static size_t folder_length;

__attribute__((constructor)) static void start(void) {
    const char *watched = getenv("STALL_DIR"), *path = getenv("STALL_WHILE");
    if (!watched || !path || !realpath(watched, folder)) return;
    snprintf(stop_file, sizeof stop_file, "%s", path);
    folder_length = strlen(folder);
}

static void wait_for_disk(int fd) {
    char link[64], path[PATH_MAX];
    if (!folder_length || syscall(SYS_faccessat, AT_FDCWD, stop_file, F_OK) != 0) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    if (strncmp(path, folder, folder_length) != 0) return;
    const struct timespec moment = {0, 5 * 1000 * 1000};
    while (syscall(SYS_faccessat, AT_FDCWD, stop_file, F_OK) == 0) nanosleep(&moment, NULL);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    wait_for_disk(fd);
    return syscall(SYS_pwrite64, fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    return pwrite64(fd, bytes, count, offset);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    /* Eight bytes are an eventfd's, by which threads wake each other; nothing of SQLite's is so short. */
    if (count != 8) wait_for_disk(fd);
    return syscall(SYS_write, fd, bytes, count);
}

int fsync(int fd) {
    wait_for_disk(fd);
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    wait_for_disk(fd);
    return (int)syscall(SYS_fdatasync, fd);
}

int ftruncate64(int fd, off64_t size) {
    wait_for_disk(fd);
    return (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
