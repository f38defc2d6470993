/* powercut: remembers what a power cut would take away.
 *
 * Preloaded into the server (LD_PRELOAD), it watches the files under the folder POWERCUT_DIR. Before a write, truncation, creation,
 * unlink or rename really happens, the state before it is appended to the journal file POWERCUT_JOURNAL. A completed
 * fsync/fdatasync appends up to where the file (or the folder) is durable. After `kill -9`, tests/src/powercut.rs reads
 * the journal and undoes what was not synced, wholly or in part.
 *
 * How it is meant:
 * - Files are known by inode, so dup'ed descriptors are one file. What is unlinked or replaced gets a hard link in
 *   POWERCUT_JOURNAL.d (same file system), so that its inode is not used again and it can come back.
 * - One lock is held over journal entry and real write: the journal's order is the order of the writes. It is not held during
 *   a sync; a sync makes durable only what was numbered before it began.
 * - sync_file_range, sync, syncfs, msync make nothing durable here. Writes through mmap are not seen: SQLite does that only
 *   to its -shm file, which it rebuilds and which the tool deletes.
 * - The real calls are made by syscall(2): nothing here can call itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8, "64-bit Linux only");

enum { FILES_MAX = 4096 };

/* Kinds of journal entries; tests/src/powercut.rs has the same list. */
enum {
    KIND_FILE = 1,     /* payload: path. The file is known as `file` from now on. */
    KIND_WRITE = 2,    /* payload: old bytes at `offset`; `extra` = bytes written */
    KIND_TRUNCATE = 3, /* payload: old bytes cut off; `offset` = new size */
    KIND_CREATE = 4,   /* payload: path */
    KIND_UNLINK = 5,   /* payload: path; `extra` = number of its link in the graveyard */
    KIND_RENAME = 6,   /* payload: old path, 0, new path; `extra` = link of what was replaced, or 0 */
    KIND_SYNC = 7,     /* `file` is durable up to entry number `extra` */
    KIND_SYNC_DIR = 8  /* payload: path of the folder; durable up to entry number `extra` */
};

struct entry {
    uint32_t magic, kind;
    uint64_t number;
    uint32_t file, payload;
    uint64_t offset, old_size, extra;
};
static const uint32_t MAGIC = 0x57435046; /* "FPCW" */

struct known {
    dev_t device;
    ino_t inode;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct known files[FILES_MAX];
static uint32_t file_count;
static uint64_t last_number, graves;
static int journal = -1;
static char folder[PATH_MAX], graveyard[PATH_MAX];
static size_t folder_length;

static void die(const char *what) {
    fprintf(stderr, "powercut: %s: %s\n", what, strerror(errno));
    abort(); /* A test tool that goes on without its journal would prove nothing. */
}

__attribute__((constructor)) static void start(void) {
    const char *watched = getenv("POWERCUT_DIR"), *path = getenv("POWERCUT_JOURNAL");
    if (!watched || !path) return;
    if (!realpath(watched, folder)) die("POWERCUT_DIR");
    folder_length = strlen(folder);
    if (snprintf(graveyard, sizeof graveyard, "%s.d", path) >= (int)sizeof graveyard) die("path");
    if (mkdir(graveyard, 0700) != 0 && errno != EEXIST) die("graveyard");
    journal = (int)syscall(SYS_openat, AT_FDCWD, path,
                           O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0) die("POWERCUT_JOURNAL");
}

/* --- paths and files ------------------------------------------------------------------------ */

static int inside(const char *path) {
    return strncmp(path, folder, folder_length) == 0 &&
           (path[folder_length] == '/' || path[folder_length] == 0);
}

/* The absolute path of `path` seen from `at`, its folder resolved, its last part not. 0 if it is not watched. */
static int watched(int at, const char *path, char *out) {
    char joined[PATH_MAX], parent[PATH_MAX];
    if (journal < 0 || !path) return 0;
    int length;
    if (path[0] == '/') {
        length = snprintf(joined, sizeof joined, "%s", path);
    } else {
        char base[PATH_MAX], link[64];
        ssize_t got;
        snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        got = readlink(link, base, sizeof base - 1);
        if (got < 0) return 0;
        base[got] = 0;
        length = snprintf(joined, sizeof joined, "%s/%s", base, path);
    }
    if (length < 0 || length >= (int)sizeof joined) return 0;
    char *slash = strrchr(joined, '/');
    if (!slash) return 0;
    *slash = 0;
    if (!realpath(joined[0] ? joined : "/", parent)) return 0;
    length = snprintf(out, PATH_MAX, "%s/%s", parent, slash + 1);
    return length < PATH_MAX && inside(out);
}

static void put(uint32_t kind, uint32_t file, uint64_t offset, uint64_t old_size, uint64_t extra,
                const void *payload, size_t bytes) {
    struct entry entry = {MAGIC, kind,   ++last_number, file,
                          (uint32_t)bytes, offset, old_size,      extra};
    struct iovec parts[2] = {{&entry, sizeof entry}, {(void *)(uintptr_t)payload, bytes}};
    long wrote = syscall(SYS_writev, journal, parts, bytes ? 2 : 1);
    if (wrote != (long)(sizeof entry + bytes)) die("journal");
}

/* The number of a watched open file, or 0. */
static uint32_t known(int fd, struct stat *state) {
    if (journal < 0 || fstat(fd, state) != 0 || !S_ISREG(state->st_mode)) return 0;
    for (uint32_t n = 0; n < file_count; n++)
        if (files[n].inode == state->st_ino && files[n].device == state->st_dev) return n + 1;
    return 0;
}

static void introduce(int fd, const char *path) {
    struct stat state;
    if (known(fd, &state) || !S_ISREG(state.st_mode)) return;
    if (file_count == FILES_MAX) die("too many files");
    files[file_count].device = state.st_dev;
    files[file_count].inode = state.st_ino;
    file_count++;
    put(KIND_FILE, file_count, 0, (uint64_t)state.st_size, 0, path, strlen(path));
}

/* Links `path` into the graveyard and gives the link's number; 0 if there is nothing to link. */
static uint64_t bury(const char *path) {
    char grave[PATH_MAX + 32];
    struct stat state;
    if (lstat(path, &state) != 0 || !S_ISREG(state.st_mode)) return 0;
    snprintf(grave, sizeof grave, "%s/%llu", graveyard, (unsigned long long)++graves);
    if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, grave, 0) != 0) die("graveyard link");
    return graves;
}

/* Keeps what a write to [offset, offset + bytes) is about to change. */
static void keep(int fd, uint32_t file, const struct stat *state, off_t offset, size_t bytes,
                 uint32_t kind, uint64_t extra, uint64_t named) {
    char *old = NULL;
    size_t got = 0;
    off_t size = state->st_size;
    if (offset < size) {
        size_t wanted = bytes;
        if ((off_t)wanted > size - offset) wanted = (size_t)(size - offset);
        char path[64];
        old = malloc(wanted);
        /* The file may be open for writing only. */
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int reader = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        if (!old || reader < 0) die("old bytes");
        while (got < wanted) {
            long part = syscall(SYS_pread64, reader, old + got, wanted - got, offset + (off_t)got);
            if (part <= 0) die("old bytes");
            got += (size_t)part;
        }
        syscall(SYS_close, reader);
    }
    put(kind, file, named, (uint64_t)size, extra, old, got);
    free(old);
}

/* --- opening -------------------------------------------------------------------------------- */

static int open_watched(int at, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    if (!watched(at, path, full) || (flags & O_TMPFILE) == O_TMPFILE)
        return (int)syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat state;
    int is_there = stat(full, &state) == 0;
    if (!is_there && (flags & O_CREAT)) put(KIND_CREATE, 0, 0, 0, 0, full, strlen(full));
    /* The truncation is done as one of its own, so that it is kept like any other. */
    int cut = is_there && S_ISREG(state.st_mode) && (flags & O_TRUNC) && state.st_size > 0;
    int fd = (int)syscall(SYS_openat, at, path, cut ? flags & ~O_TRUNC : flags, mode);
    int error = errno;
    if (fd >= 0) {
        introduce(fd, full);
        uint32_t file = cut ? known(fd, &state) : 0;
        if (file) {
            keep(fd, file, &state, 0, (size_t)state.st_size, KIND_TRUNCATE, 0, 0);
            if (syscall(SYS_ftruncate, fd, 0L) != 0) die("truncate");
        }
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define MODE(flags)                                              \
    mode_t mode = 0;                                             \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                       \
        va_list list;                                            \
        va_start(list, flags);                                   \
        mode = va_arg(list, mode_t);                             \
        va_end(list);                                            \
    }

int open(const char *path, int flags, ...) {
    MODE(flags)
    return open_watched(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE(flags)
    return open_watched(AT_FDCWD, path, flags, mode);
}
int openat(int at, const char *path, int flags, ...) {
    MODE(flags)
    return open_watched(at, path, flags, mode);
}
int openat64(int at, const char *path, int flags, ...) {
    MODE(flags)
    return open_watched(at, path, flags, mode);
}
int creat(const char *path, mode_t mode) {
    return open_watched(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* --- writing -------------------------------------------------------------------------------- */

static ssize_t write_watched(int fd, const struct iovec *parts, int count, const off_t *where) {
    struct stat state;
    size_t bytes = 0;
    for (int n = 0; n < count; n++) bytes += parts[n].iov_len;
    pthread_mutex_lock(&lock);
    uint32_t file = known(fd, &state);
    if (file) {
        off_t offset = where ? *where : (off_t)syscall(SYS_lseek, fd, 0L, SEEK_CUR);
        int flags = (int)syscall(SYS_fcntl, fd, F_GETFL, 0L);
        if (flags & O_APPEND) offset = state.st_size;
        keep(fd, file, &state, offset, bytes, KIND_WRITE, bytes, (uint64_t)offset);
    } else {
        /* Not ours: others need not wait for it. */
        pthread_mutex_unlock(&lock);
    }
    ssize_t wrote = where ? syscall(SYS_pwritev, fd, parts, (long)count, (long)*where, 0L)
                          : syscall(SYS_writev, fd, parts, (long)count);
    int error = errno;
    if (file) pthread_mutex_unlock(&lock);
    errno = error;
    return wrote;
}

ssize_t write(int fd, const void *from, size_t bytes) {
    struct iovec part = {(void *)(uintptr_t)from, bytes};
    return write_watched(fd, &part, 1, NULL);
}
ssize_t pwrite(int fd, const void *from, size_t bytes, off_t offset) {
    struct iovec part = {(void *)(uintptr_t)from, bytes};
    return write_watched(fd, &part, 1, &offset);
}
ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t offset) {
    return pwrite(fd, from, bytes, offset);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    return write_watched(fd, parts, count, NULL);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return write_watched(fd, parts, count, &offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return write_watched(fd, parts, count, &offset);
}

int ftruncate(int fd, off_t size) {
    struct stat state;
    pthread_mutex_lock(&lock);
    uint32_t file = known(fd, &state);
    if (file && size != state.st_size) {
        size_t cut = state.st_size > size ? (size_t)(state.st_size - size) : 0;
        keep(fd, file, &state, size, cut, KIND_TRUNCATE, 0, (uint64_t)size);
    }
    int result = (int)syscall(SYS_ftruncate, fd, (long)size);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

/* No space is reserved: the caller then writes, which is watched. */
int fallocate(int fd, int mode, off_t offset, off_t bytes) {
    struct stat state;
    if (known(fd, &state)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t bytes) {
    return fallocate(fd, mode, offset, bytes);
}

/* --- making durable -------------------------------------------------------------------------- */

static int sync_watched(int fd, long call) {
    struct stat state;
    char path[PATH_MAX], link[64];
    ssize_t length = -1;
    pthread_mutex_lock(&lock);
    uint64_t began = last_number;
    uint32_t file = known(fd, &state);
    pthread_mutex_unlock(&lock);
    if (journal >= 0 && !file && fstat(fd, &state) == 0 && S_ISDIR(state.st_mode)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        length = readlink(link, path, sizeof path - 1);
        if (length > 0) path[length] = 0;
    }
    int result = (int)syscall(call, fd);
    int error = errno;
    if (result == 0 && (file || (length > 0 && inside(path)))) {
        pthread_mutex_lock(&lock);
        if (file) put(KIND_SYNC, file, 0, 0, began, NULL, 0);
        else put(KIND_SYNC_DIR, 0, 0, 0, began, path, (size_t)length);
        pthread_mutex_unlock(&lock);
    }
    errno = error;
    return result;
}

int fsync(int fd) { return sync_watched(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_watched(fd, SYS_fdatasync); }

/* --- names ----------------------------------------------------------------------------------- */

int unlinkat(int at, const char *path, int flags) {
    char full[PATH_MAX];
    if ((flags & AT_REMOVEDIR) || !watched(at, path, full))
        return (int)syscall(SYS_unlinkat, at, path, flags);
    pthread_mutex_lock(&lock);
    uint64_t grave = bury(full);
    if (grave) put(KIND_UNLINK, 0, 0, 0, grave, full, strlen(full));
    int result = (int)syscall(SYS_unlinkat, at, path, flags);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int remove(const char *path) {
    struct stat state;
    int folder_there = lstat(path, &state) == 0 && S_ISDIR(state.st_mode);
    return unlinkat(AT_FDCWD, path, folder_there ? AT_REMOVEDIR : 0);
}

int renameat(int from_at, const char *from, int to_at, const char *to) {
    char both[2 * PATH_MAX + 1], target[PATH_MAX];
    /* Into or out of the folder: not ours. */
    if (!watched(from_at, from, both) || !watched(to_at, to, target))
        return (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
    pthread_mutex_lock(&lock);
    size_t length = strlen(both);
    strcpy(both + length + 1, target);
    uint64_t grave = bury(target);
    put(KIND_RENAME, 0, 0, 0, grave, both, length + 1 + strlen(target));
    int result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }
