/* Does to files what standard input says, one command a line, and answers each with "ok" or "error":
 *   open NAME          create if needed, kept open        truncopen NAME
 *   write NAME OFFSET TEXT    pwrite       append NAME TEXT    through a dup'ed descriptor
 *   truncate NAME SIZE   sync NAME   datasync NAME   syncdir   unlink NAME   rename FROM TO
 * It runs in the folder that is watched, and waits to be killed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    char name[64];
    int fd;
} files[64];
static int count;

static int fd_of(const char *name) {
    for (int n = count - 1; n >= 0; n--)
        if (strcmp(files[n].name, name) == 0) return files[n].fd;
    return -1;
}

static int opened(const char *name, int flags) {
    int fd = open(name, O_RDWR | O_CREAT | flags, 0600);
    snprintf(files[count].name, sizeof files[count].name, "%s", name);
    files[count++].fd = fd;
    return fd >= 0;
}

int main(void) {
    char line[8192], verb[32], name[64], text[8000];
    while (fgets(line, sizeof line, stdin)) {
        int ok = 0;
        text[0] = name[0] = 0;
        sscanf(line, "%31s %63s %7999[^\n]", verb, name, text);
        if (!strcmp(verb, "open")) ok = opened(name, 0);
        if (!strcmp(verb, "truncopen")) ok = opened(name, O_TRUNC);
        if (!strcmp(verb, "write")) {
            char *rest;
            long offset = strtol(text, &rest, 10);
            rest++;
            ok = pwrite(fd_of(name), rest, strlen(rest), offset) == (ssize_t)strlen(rest);
        }
        if (!strcmp(verb, "append")) {
            int fd = dup(fd_of(name));
            lseek(fd, 0, SEEK_END);
            ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
            close(fd);
        }
        if (!strcmp(verb, "truncate")) ok = ftruncate(fd_of(name), atol(text)) == 0;
        if (!strcmp(verb, "sync")) ok = fsync(fd_of(name)) == 0;
        if (!strcmp(verb, "datasync")) ok = fdatasync(fd_of(name)) == 0;
        if (!strcmp(verb, "syncdir")) {
            int fd = open(".", O_RDONLY | O_DIRECTORY);
            ok = fsync(fd) == 0;
            close(fd);
        }
        if (!strcmp(verb, "unlink")) ok = unlink(name) == 0;
        if (!strcmp(verb, "rename")) ok = rename(name, text) == 0;
        puts(ok ? "ok" : "error");
        fflush(stdout);
    }
    return 0;
}
