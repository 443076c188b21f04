/* The wall clock that a program sees, so far ahead of the kernel's as a file says.
 *
 * Compiled on the machine, and preloaded into the programs of a run. The file that LAB_WALL_CLOCK
 * names has one number, of nanoseconds, and is mapped: a step is seen by the next reading. A wait
 * until a time of that clock is turned into one of the kernel's clock; it doesn't notice a step.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const volatile int64_t right = 0;
static const volatile int64_t *ahead = &right;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

static void *real(const char *name) {
    /* Waits on conditions have an older version, with another struct, on some architectures. */
    void *found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    return found ? found : dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("LAB_WALL_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (file < 0)
        return;
    void *found = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED)
        ahead = found;
    close(file);
}

static struct timespec moved(struct timespec t, int64_t by) {
    t.tv_sec += by / SECOND;
    t.tv_nsec += by % SECOND;
    if (t.tv_nsec < 0) {
        t.tv_nsec += SECOND;
        t.tv_sec--;
    } else if (t.tv_nsec >= SECOND) {
        t.tv_nsec -= SECOND;
        t.tv_sec++;
    }
    return t;
}

static int is_wall(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

int clock_gettime(clockid_t clock, struct timespec *t) {
    /* Before the constructor: another library's own. */
    int failed = real_clock_gettime ? real_clock_gettime(clock, t)
                                    : (int)syscall(SYS_clock_gettime, clock, t);
    if (!failed && is_wall(clock))
        *t = moved(*t, *ahead);
    return failed;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    struct timespec now;
    (void)zone;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *t) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t)
        *t = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *t, int base) {
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, t) ? base : 0;
}

/* A deadline by the kernel's clock. Without a clock it may be CLOCK_MONOTONIC's, as of a condition
 * that was made so: then it is nearer to that. */
static struct timespec until(const struct timespec *deadline, clockid_t clock, int is_known) {
    struct timespec wall, steady;
    if (!*ahead || (is_known && !is_wall(clock)))
        return *deadline;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_MONOTONIC, &steady);
    if (!is_known && llabs((long long)deadline->tv_sec - steady.tv_sec) <
                         llabs((long long)deadline->tv_sec - wall.tv_sec))
        return *deadline;
    return moved(*deadline, -*ahead);
}

#define WAIT(name, parameters, arguments, clock, is_known)                                         \
    int name parameters {                                                                          \
        static int(*its) parameters;                                                               \
        if (!its)                                                                                  \
            its = (int(*) parameters)real(#name);                                                  \
        struct timespec at = until(deadline, clock, is_known);                                     \
        return its arguments;                                                                      \
    }

WAIT(pthread_cond_timedwait,
     (pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
      const struct timespec *restrict deadline),
     (c, m, &at), CLOCK_REALTIME, 0)
WAIT(pthread_cond_clockwait,
     (pthread_cond_t *restrict c, pthread_mutex_t *restrict m, clockid_t k,
      const struct timespec *restrict deadline),
     (c, m, k, &at), k, 1)
WAIT(pthread_mutex_timedlock, (pthread_mutex_t *restrict m, const struct timespec *restrict deadline),
     (m, &at), CLOCK_REALTIME, 1)
WAIT(sem_timedwait, (sem_t *restrict s, const struct timespec *restrict deadline), (s, &at),
     CLOCK_REALTIME, 1)
WAIT(sem_clockwait, (sem_t *restrict s, clockid_t k, const struct timespec *restrict deadline),
     (s, k, &at), k, 1)

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted,
                    struct timespec *rest) {
    static int (*its)(clockid_t, int, const struct timespec *, struct timespec *);
    if (!its)
        its = (int (*)(clockid_t, int, const struct timespec *, struct timespec *))real(
            "clock_nanosleep");
    struct timespec t;
    if (wanted && (flags & TIMER_ABSTIME)) {
        t = until(wanted, clock, 1);
        wanted = &t;
    }
    return its(clock, flags, wanted, rest);
}
