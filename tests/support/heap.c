// heap.c - see heap.h.
#include "support/heap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

// The linker's names for what --wrap hides, and for what stands in its place.
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__real_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
int __real_munmap(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
int __wrap_munmap(void *at, size_t size);

static atomic_long calls, live;
static atomic_long countdown; // 1: the next fails; 0: none will
static atomic_bool sticky, failed;

// Whether this allocation is to fail.
static bool fails(void) {
    atomic_fetch_add(&calls, 1);
    bool hit = atomic_load(&sticky) && atomic_load(&failed);
    if (!hit && atomic_load(&countdown) > 0)
        hit = atomic_fetch_sub(&countdown, 1) == 1;
    if (hit) {
        atomic_store(&failed, true);
        errno = ENOMEM;
    }
    return hit;
}

static void *took(void *p) {
    if (p)
        atomic_fetch_add(&live, 1);
    return p;
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : took(__real_malloc(size)); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : took(__real_calloc(count, size)); }
void *__wrap_realloc(void *p, size_t size) {
    if (fails())
        return NULL;
    void *moved = __real_realloc(p, size);
    return p ? moved : took(moved);
}
void __wrap_free(void *p) {
    if (p)
        atomic_fetch_sub(&live, 1);
    __real_free(p);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    void *p = fails() ? MAP_FAILED : __real_mmap(at, size, protection, flags, file, offset);
    if (p != MAP_FAILED)
        took(p);
    return p;
}
int __wrap_munmap(void *at, size_t size) {
    atomic_fetch_sub(&live, 1);
    return __real_munmap(at, size);
}

long heap_calls(void) { return atomic_load(&calls); }
long heap_live(void) { return atomic_load(&live); }

void heap_fail(long n, bool on) {
    atomic_store(&failed, false);
    atomic_store(&sticky, on);
    atomic_store(&countdown, n);
}

bool heap_heal(void) {
    atomic_store(&countdown, 0);
    atomic_store(&sticky, false);
    return atomic_exchange(&failed, false);
}
