/* Simulates system faults for the tool: preloaded, it makes calls on files fail and shifts the clock. shim.rs sets
 * the variables that it reads.
 *
 * SHIM_FOLDER   Calls on files below it are counted: create, write, truncate, sync, rename and remove.
 * SHIM_AT       The number of the call that fails, from 1.
 * SHIM_ERRNO    ENOSPC, EIO or EDQUOT; SHORT: a write writes half of its bytes, and no other call counts; KILL: the tool is killed
 *               before the call.
 * SHIM_FOR_GOOD Whether all calls after it fail too.
 * SHIM_TORN     Whether that call, if it is a write, writes half of its bytes instead of failing.
 * SHIM_LOG      A file that gets a line for each failed call.
 * SHIM_CLOCK    Seconds that the clock is ahead, negative for behind.
 * SHIM_FROM     A file: the clock is right until the file exists.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *folder, *from;
static long fails_at, ahead;
static int failure, is_short, is_torn, kills, for_good, log_to = -1;
static atomic_long calls;
static atomic_int has_jumped;

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void set_up(void) {
    const char *name = getenv("SHIM_ERRNO"), *log = getenv("SHIM_LOG");
    folder = getenv("SHIM_FOLDER");
    from = getenv("SHIM_FROM");
    fails_at = number("SHIM_AT");
    ahead = number("SHIM_CLOCK");
    for_good = getenv("SHIM_FOR_GOOD") != NULL;
    is_torn = getenv("SHIM_TORN") != NULL;
    if (!name)
        return;
    is_short = !strcmp(name, "SHORT");
    kills = !strcmp(name, "KILL");
    failure = !strcmp(name, "ENOSPC") ? ENOSPC : !strcmp(name, "EIO") ? EIO : !strcmp(name, "EDQUOT") ? EDQUOT : kills ? EIO : 0;
    if (!folder || fails_at < 1 || (!failure && !is_short))
        abort();
    if (log)
        log_to = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static int is_below(const char *path) {
    size_t length = strlen(folder);
    return !strncmp(path, folder, length) && path[length] == '/';
}

/* Counts a call on `path`; returns its number if it must fail, else 0. */
static long fails(const char *call, const char *path) {
    long nth;
    char line[PATH_MAX + 64];
    int length;
    if (!is_below(path))
        return 0;
    nth = atomic_fetch_add(&calls, 1) + 1;
    if (nth != fails_at && !(for_good && nth > fails_at))
        return 0;
    length = snprintf(line, sizeof line, "%ld: %s %s\n", nth, call, path + strlen(folder) + 1);
    if (log_to >= 0 && syscall(SYS_write, log_to, line, (size_t)length) != length)
        abort();
    if (kills)
        raise(SIGKILL);
    return nth;
}

static int at_path(const char *call, const char *path) {
    char whole[2 * PATH_MAX];
    if (!failure || !path)
        return 0;
    if (path[0] == '/')
        snprintf(whole, sizeof whole, "%s", path);
    else if (!getcwd(whole, PATH_MAX))
        return 0;
    else
        snprintf(whole + strlen(whole), PATH_MAX, "/%s", path);
    if (!fails(call, whole))
        return 0;
    errno = failure;
    return 1;
}

static long at_open_file(const char *call, int fd) {
    char link[64], path[PATH_MAX];
    int before = errno;
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    errno = before;
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails(call, path);
}

static int at_file(const char *call, int fd) {
    if (!failure || !at_open_file(call, fd))
        return 0;
    errno = failure;
    return 1;
}

/* How many of `count` bytes to write; -1 if the call fails. */
static ssize_t share(const char *call, int fd, size_t count) {
    long nth = failure || is_short ? at_open_file(call, fd) : 0;
    if (!nth)
        return count;
    if ((is_short || (is_torn && nth == fails_at)) && count > 1)
        return count / 2;
    errno = failure;
    return is_short ? (ssize_t)count : -1;
}

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    ssize_t some = share("write", fd, count);
    return some < 0 ? -1 : REAL(write)(fd, bytes, some);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    ssize_t some = share("pwrite", fd, count);
    return some < 0 ? -1 : REAL(pwrite64)(fd, bytes, some, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    ssize_t some = share("writev", fd, 2);
    if (some == 1 && count > 0)
        return REAL(write)(fd, parts[0].iov_base, (parts[0].iov_len + 1) / 2);
    return some < 0 ? -1 : REAL(writev)(fd, parts, count);
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t count, unsigned int flags) {
    ssize_t some = share("copy_file_range", out, count);
    return some < 0 ? -1 : REAL(copy_file_range)(in, in_at, out, out_at, some, flags);
}

ssize_t sendfile64(int out, int in, off64_t *at, size_t count) {
    ssize_t some = share("sendfile", out, count);
    return some < 0 ? -1 : REAL(sendfile64)(out, in, at, some);
}

int fsync(int fd) { return at_file("fsync", fd) ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return at_file("fdatasync", fd) ? -1 : REAL(fdatasync)(fd); }

int ftruncate64(int fd, off64_t length) { return at_file("ftruncate", fd) ? -1 : REAL(ftruncate64)(fd, length); }

int rename(const char *from_path, const char *to_path) { return at_path("rename", from_path) ? -1 : REAL(rename)(from_path, to_path); }

int unlink(const char *path) { return at_path("unlink", path) ? -1 : REAL(unlink)(path); }

#define OPENS(name)                                                                    \
    int name(const char *path, int flags, ...) {                                       \
        mode_t mode = 0;                                                               \
        if (flags & (O_CREAT | __O_TMPFILE)) {                                         \
            va_list more;                                                              \
            va_start(more, flags);                                                     \
            mode = va_arg(more, mode_t);                                               \
            va_end(more);                                                              \
            if (at_path("open", path))                                                 \
                return -1;                                                             \
        }                                                                              \
        return REAL(name)(path, flags, mode);                                          \
    }

OPENS(open)
OPENS(open64)

int clock_gettime(clockid_t clock, struct timespec *now) {
    int answer = REAL(clock_gettime)(clock, now);
    if (answer || !ahead || clock != CLOCK_REALTIME)
        return answer;
    if (from && !atomic_load(&has_jumped)) {
        if (syscall(SYS_faccessat, AT_FDCWD, from, F_OK))
            return answer;
        atomic_store(&has_jumped, 1);
    }
    now->tv_sec += ahead;
    return answer;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    int answer = REAL(gettimeofday)(now, zone);
    if (!answer && !clock_gettime(CLOCK_REALTIME, &exact)) {
        now->tv_sec = exact.tv_sec;
        now->tv_usec = exact.tv_nsec / 1000;
    }
    return answer;
}
