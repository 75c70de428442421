#include "base/parallel.h"

#include <stdatomic.h>

enum { MAX_THREADS = 16 };

struct work {
    int count;
    atomic_int next;
    void (*run)(void *ctx, int i);
    void *ctx;
};

static void take_turns(struct work *w) {
    for (int i = atomic_fetch_add(&w->next, 1); i < w->count; i = atomic_fetch_add(&w->next, 1))
        w->run(w->ctx, i);
}

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

typedef HANDLE thread;
static DWORD WINAPI thread_main(void *work) {
    take_turns(work);
    return 0;
}
static int start(thread *t, struct work *w) { return (*t = CreateThread(NULL, 0, thread_main, w, 0, NULL)) != NULL; }
static void finish(thread t) {
    WaitForSingleObject(t, INFINITE);
    CloseHandle(t);
}
static int processors(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return (int)info.dwNumberOfProcessors;
}
#else
#include <pthread.h>
#include <unistd.h>

typedef pthread_t thread;
static void *thread_main(void *work) {
    take_turns(work);
    return 0;
}
static int start(thread *t, struct work *w) { return pthread_create(t, 0, thread_main, w) == 0; }
static void finish(thread t) { pthread_join(t, 0); }
static int processors(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN); }
#endif

void cdl_parallel(int count, void (*run)(void *ctx, int i), void *ctx) {
    struct work w = {.count = count, .run = run, .ctx = ctx};
    thread threads[MAX_THREADS - 1];
    int wanted = processors() < count ? processors() : count, started = 0;
    wanted = wanted < MAX_THREADS ? wanted : MAX_THREADS;
    atomic_init(&w.next, 0);
    while (started < wanted - 1 && start(&threads[started], &w))
        started++;
    take_turns(&w);
    for (int i = 0; i < started; i++)
        finish(threads[i]);
}
