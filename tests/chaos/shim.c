/* Faults of the system calls of one process, below one directory: an LD_PRELOAD library.

   It does nothing until chaos_arm() is called. Then the calls of each class are counted
   in this process, and a fault is due for some of the numbers. A forked child goes on
   counting by itself. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITE, SYNC, CHANGE, LOCK, CLASSES };

/* Effects; those above 0 are the errors of errno.h. */
enum { SHORT = -1, KILL = -2, TORN = -3, AFTER = -4, INTERRUPT = -5, SLOW = -6 };

struct fault {
    int class, at, number, effect;
};

static struct fault faults[64];
static int armed;
static char inside[4096];
static atomic_int counts[CLASSES];
static atomic_int met; /* faults */

void chaos_arm(const char *directory, const int *rows, int number) {
    snprintf(inside, sizeof inside, "%s", directory);
    memcpy(faults, rows, sizeof(struct fault) * (size_t)number);
    armed = number;
}

int chaos_met(void) { return met; }

static int is_inside(const char *path) {
    return strncmp(path, inside, strlen(inside)) == 0;
}

static int is_inside_fd(int fd) {
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_inside(path);
}

/* Count a call; return its fault, 0 if there is none. Signals are sent here. */
static int due(int class) {
    int number = atomic_fetch_add(&counts[class], 1), effect = 0;
    for (int i = 0; i < armed; i++)
        if (faults[i].class == class && faults[i].at <= number &&
            number < faults[i].at + faults[i].number) {
            effect = faults[i].effect;
            break;
        }
    if (!effect) return 0;
    atomic_fetch_add(&met, 1);
    if (effect == KILL) kill(getpid(), SIGKILL);
    if (effect == INTERRUPT) kill(getpid(), SIGINT);
    if (effect == SLOW) nanosleep(&(struct timespec){0, 20000000}, NULL);
    return effect;
}

/* The effect of a fault on a write. A limit on the size of files refuses no small one. */
static int due_of(int fd) {
    struct stat file;
    int effect = armed && is_inside_fd(fd) ? due(WRITE) : 0;
    if (effect == EFBIG && (fstat(fd, &file) || file.st_size < 16384)) return 0;
    return effect;
}

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name);

/* Return -1 with the error of a fault; otherwise do the call, and then die if due. */
#define WITH(class, there, call) \
    int effect = armed && (there) ? due(class) : 0; \
    if (effect > 0) { \
        errno = effect; \
        return -1; \
    } \
    __typeof__(call) result = call; \
    if (effect == AFTER) kill(getpid(), SIGKILL); \
    return result;

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t)
    int effect = due_of(fd);
    if (effect > 0) {
        errno = effect;
        return -1;
    }
    if ((effect == SHORT || effect == TORN) && size > 1) size /= 2;
    ssize_t result = real(fd, data, size);
    if (effect == TORN || effect == AFTER) kill(getpid(), SIGKILL);
    return result;
}

ssize_t writev(int fd, const struct iovec *parts, int number) {
    REAL(ssize_t, writev, int, const struct iovec *, int)
    int effect = due_of(fd);
    if (effect > 0) {
        errno = effect;
        return -1;
    }
    ssize_t result;
    if ((effect == SHORT || effect == TORN) && number > 0) {
        struct iovec some[16];
        int kept = number / 2 < 15 ? number / 2 : 15;
        memcpy(some, parts, sizeof(struct iovec) * (size_t)(kept + 1));
        some[kept].iov_len /= 2;
        result = real(fd, some, kept + 1);
    } else
        result = real(fd, parts, number);
    if (effect == TORN || effect == AFTER) kill(getpid(), SIGKILL);
    return result;
}

int fsync(int fd) {
    REAL(int, fsync, int)
    WITH(SYNC, is_inside_fd(fd), real(fd))
}

int flock(int fd, int operation) {
    REAL(int, flock, int, int)
    WITH(LOCK, is_inside_fd(fd), real(fd, operation))
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *)
    WITH(CHANGE, is_inside(from), real(from, to))
}

int unlink(const char *path) {
    REAL(int, unlink, const char *)
    WITH(CHANGE, is_inside(path), real(path))
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t)
    WITH(CHANGE, is_inside(path), real(path, mode))
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, const char *, int, ...) \
        mode_t mode = 0; \
        if (flags & O_CREAT) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        WITH(CHANGE, (flags & O_CREAT) && is_inside(path), real(path, flags, mode)) \
    }

OPEN(open)
OPEN(open64)
