// thread.h - threads, mutexes and condition variables over POSIX threads or Win32.
// Creating a mutex or condition does not fail in practice and is not checked.
#ifndef CARDINAL_THREAD_H_
#define CARDINAL_THREAD_H_

#include <stdbool.h>
#include <stdlib.h>

#if defined(_WIN32)

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <process.h>
#include <windows.h>

typedef struct {
    SRWLOCK lock;
} thread_mutex;
typedef struct {
    CONDITION_VARIABLE variable;
} thread_cond;
typedef struct {
    HANDLE handle;
} thread_handle;

static inline void thread_mutex_init(thread_mutex *m) { InitializeSRWLock(&m->lock); }
static inline void thread_mutex_destroy(thread_mutex *m) { (void)m; }
static inline void thread_mutex_lock(thread_mutex *m) { AcquireSRWLockExclusive(&m->lock); }
static inline void thread_mutex_unlock(thread_mutex *m) { ReleaseSRWLockExclusive(&m->lock); }
static inline void thread_cond_init(thread_cond *c) { InitializeConditionVariable(&c->variable); }
static inline void thread_cond_destroy(thread_cond *c) { (void)c; }
static inline void thread_cond_wait(thread_cond *c, thread_mutex *m) {
    SleepConditionVariableSRW(&c->variable, &m->lock, INFINITE, 0);
}
static inline void thread_cond_broadcast(thread_cond *c) { WakeAllConditionVariable(&c->variable); }

#else

#include <pthread.h>
#include <unistd.h>

typedef struct {
    pthread_mutex_t lock;
} thread_mutex;
typedef struct {
    pthread_cond_t variable;
} thread_cond;
typedef struct {
    pthread_t handle;
} thread_handle;

static inline void thread_mutex_init(thread_mutex *m) { pthread_mutex_init(&m->lock, NULL); }
static inline void thread_mutex_destroy(thread_mutex *m) { pthread_mutex_destroy(&m->lock); }
static inline void thread_mutex_lock(thread_mutex *m) { pthread_mutex_lock(&m->lock); }
static inline void thread_mutex_unlock(thread_mutex *m) { pthread_mutex_unlock(&m->lock); }
static inline void thread_cond_init(thread_cond *c) { pthread_cond_init(&c->variable, NULL); }
static inline void thread_cond_destroy(thread_cond *c) { pthread_cond_destroy(&c->variable); }
static inline void thread_cond_wait(thread_cond *c, thread_mutex *m) { pthread_cond_wait(&c->variable, &m->lock); }
static inline void thread_cond_broadcast(thread_cond *c) { pthread_cond_broadcast(&c->variable); }

#endif

// POSIX and Win32 want thread functions of different types. thread_trampoline has the right one and calls `run`.
struct thread_start {
    void (*run)(void *ctx);
    void *ctx;
};

#if defined(_WIN32)
static inline unsigned __stdcall thread_trampoline(void *arg)
#else
static inline void *thread_trampoline(void *arg)
#endif
{
    struct thread_start start = *(struct thread_start *)arg;
    free(arg);
    start.run(start.ctx);
    return 0;
}

// Runs run(ctx) on a new thread. true: the caller calls thread_join once.
static inline bool thread_create(thread_handle *out, void (*run)(void *ctx), void *ctx) {
    struct thread_start *start = malloc(sizeof(*start));
    if (!start)
        return false;
    start->run = run;
    start->ctx = ctx;
#if defined(_WIN32)
    out->handle = (HANDLE)_beginthreadex(NULL, 0, thread_trampoline, start, 0, NULL);
    bool ok = out->handle != NULL;
#else
    bool ok = pthread_create(&out->handle, NULL, thread_trampoline, start) == 0;
#endif
    if (!ok)
        free(start);
    return ok;
}

static inline void thread_join(thread_handle *t) {
#if defined(_WIN32)
    WaitForSingleObject(t->handle, INFINITE);
    CloseHandle(t->handle);
#else
    pthread_join(t->handle, NULL);
#endif
}

// Processors this process may count on; at least 1.
static inline int thread_cpu_count(void) {
#if defined(_WIN32)
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwNumberOfProcessors > 0 ? (int)info.dwNumberOfProcessors : 1;
#else
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 && n < 4096 ? (int)n : 1;
#endif
}

#endif // CARDINAL_THREAD_H_
