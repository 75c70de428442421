// decode_pool.c - see decode_pool.h.
//
// A ring of slots holds the pictures between `consumed` and `taken`. Workers take inputs in order, one
// at a time, and fill the slot of their index. Memory: before decoding, a worker waits until its picture
// fits into max_bytes; only the oldest picture, the one the consumer needs next, never waits.
// Since inputs are taken in order, some worker holds the oldest, so the wait always ends.
#include "inputs/decode_pool.h"

#include <stdlib.h>
#include <string.h>

#include "pretrained/download.h"
#include "system/clock.h"
#include "system/text.h"
#include "system/thread.h"

enum { STALL_SECONDS = 15, MAX_DOWNLOAD_SECONDS = 120, MAX_DOWNLOAD_MIB = 128 }; // of one picture

struct slot {
    struct decoded result;
    uint8_t *data; // the picture's file, where it came with the input
    size_t size;
    uint64_t bytes; // counted in pool->bytes
    bool done;
};

struct decode_pool {
    struct decode_pool_params params;
    struct input_stream *inputs; // used by the worker that has set `reading`
    thread_handle *threads;
    int num_threads;

    thread_mutex lock; // guards all below
    thread_cond changed;
    struct slot *slots; // [params.max_pictures]
    uint64_t taken, consumed, bytes;
    bool reading, ended, stop;
};

// The slot of the next input, with its path; NULL when there is none or the pool stops.
static struct slot *take_input(struct decode_pool *p) {
    struct slot *slot = NULL;
    thread_mutex_lock(&p->lock);
    while (!p->stop && !p->ended && (p->reading || p->taken - p->consumed >= (uint64_t)p->params.max_pictures))
        thread_cond_wait(&p->changed, &p->lock);
    if (!p->stop && !p->ended) {
        p->reading = true;
        thread_mutex_unlock(&p->lock);
        struct input_item item; // read outside the lock: a list on standard input may block
        bool more = inputs_next(p->inputs, &item);
        if (more && is_address(item.path))
            download_prepare(); // by one thread at a time, as all that `reading` guards
        thread_mutex_lock(&p->lock);
        p->reading = false;
        p->ended = !more;
        if (more) {
            slot = &p->slots[p->taken % (uint64_t)p->params.max_pictures];
            slot->result.path = item.path;
            slot->data = item.data;
            slot->size = item.size;
            slot->result.class_index = item.class_index;
            slot->result.index = p->taken++;
            memcpy(slot->result.error, item.error, sizeof(item.error));
        }
        thread_cond_broadcast(&p->changed);
    }
    thread_mutex_unlock(&p->lock);
    return slot;
}

// Waits until `bytes` more fit into max_bytes, then counts them for the slot. false: the pool stops.
static bool reserve(struct decode_pool *p, struct slot *slot, uint64_t bytes) {
    thread_mutex_lock(&p->lock);
    while (!p->stop && slot->result.index != p->consumed &&
           (bytes > p->params.max_bytes || p->bytes > p->params.max_bytes - bytes))
        thread_cond_wait(&p->changed, &p->lock);
    bool ok = !p->stop;
    if (ok) {
        slot->bytes = bytes;
        p->bytes += bytes;
    }
    thread_mutex_unlock(&p->lock);
    return ok;
}

static void write_error(char *error, size_t size, const char *path, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    write_path_error(error, size, path, fmt, args);
    va_end(args);
}

// The bytes of the slot's picture, malloc'd.
static bool fetch(const struct decode_pool *p, struct slot *slot, uint8_t **data, size_t *size) {
    struct decoded *r = &slot->result;
    if (slot->data) {
        *data = slot->data;
        *size = slot->size;
        slot->data = NULL;
        return true;
    }
    if (!is_address(r->path))
        return picture_read_file(r->path, &p->params.limits, data, size, r->error, sizeof(r->error));
    char reason[256];
    const struct download d = {.url = r->path,
                               .allow_http = true,
                               .stall_seconds = STALL_SECONDS,
                               .max_seconds = MAX_DOWNLOAD_SECONDS,
                               .max_bytes = (int64_t)MAX_DOWNLOAD_MIB << 20};
    if (download_to_memory(&d, data, size, reason, sizeof(reason)))
        return true;
    write_error(r->error, sizeof(r->error), r->path, "cannot be fetched: %s", reason);
    return false;
}

static void decode(struct decode_pool *p, struct slot *slot) {
    struct decoded *r = &slot->result;
    const struct picture_limits *limits = &p->params.limits;
    uint8_t *data = NULL;
    size_t size = 0;
    struct picture_header header;
    double start = now_ms();
    if (!fetch(p, slot, &data, &size))
        return;
    bool ok = picture_read_header(data, size, r->path, limits, &header, r->error, sizeof(r->error));
    r->decode_ms = now_ms() - start;
    if (ok && reserve(p, slot, (uint64_t)header.width * (uint64_t)header.height * 4)) {
        start = now_ms();
        r->ok = picture_decode(data, size, r->path, limits, &r->picture, r->error, sizeof(r->error));
        r->decode_ms += now_ms() - start;
    }
    free(data);
}

static void work(void *ctx) {
    struct decode_pool *p = ctx;
    struct slot *slot;
    while ((slot = take_input(p)) != NULL) {
        if (slot->result.error[0] == '\0')
            decode(p, slot);
        free(slot->data); // not taken by decode where the input has an error
        slot->data = NULL;
        thread_mutex_lock(&p->lock);
        slot->done = true;
        thread_cond_broadcast(&p->changed);
        thread_mutex_unlock(&p->lock);
    }
}

struct decode_pool *decode_pool_create(struct input_stream *inputs, const struct decode_pool_params *params) {
    enum { MAX_DEFAULT_THREADS = 16 };
    struct decode_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    thread_mutex_init(&p->lock);
    thread_cond_init(&p->changed);
    p->inputs = inputs;
    if (params)
        p->params = *params;
    if (p->params.threads <= 0) {
        p->params.threads = thread_cpu_count();
        if (p->params.threads > MAX_DEFAULT_THREADS)
            p->params.threads = MAX_DEFAULT_THREADS;
    }
    if (p->params.max_pictures <= 0)
        p->params.max_pictures = 4 * p->params.threads;
    if (p->params.max_bytes == 0)
        p->params.max_bytes = (uint64_t)256 << 20;
    p->slots = calloc((size_t)p->params.max_pictures, sizeof(*p->slots));
    p->threads = calloc((size_t)p->params.threads, sizeof(*p->threads));
    while (p->slots && p->threads && p->num_threads < p->params.threads) {
        if (!thread_create(&p->threads[p->num_threads], work, p))
            break; // the pool works with fewer threads
        ++p->num_threads;
    }
    if (p->num_threads == 0)
        decode_pool_destroy(&p);
    return p;
}

bool decode_pool_next(struct decode_pool *p, struct decoded *out) {
    memset(out, 0, sizeof(*out));
    thread_mutex_lock(&p->lock);
    struct slot *slot = &p->slots[p->consumed % (uint64_t)p->params.max_pictures];
    while (!slot->done && !(p->ended && p->consumed == p->taken))
        thread_cond_wait(&p->changed, &p->lock);
    bool got = slot->done;
    if (got) {
        *out = slot->result;
        p->bytes -= slot->bytes;
        memset(slot, 0, sizeof(*slot));
        ++p->consumed;
        thread_cond_broadcast(&p->changed);
    }
    thread_mutex_unlock(&p->lock);
    return got;
}

void decoded_free(struct decoded *d) {
    free(d->path);
    picture_free(&d->picture);
    memset(d, 0, sizeof(*d));
}

void decode_pool_destroy(struct decode_pool **pool) {
    struct decode_pool *p = *pool;
    if (!p)
        return;
    thread_mutex_lock(&p->lock);
    p->stop = true;
    thread_cond_broadcast(&p->changed);
    thread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->num_threads; ++i)
        thread_join(&p->threads[i]);
    for (int i = 0; p->slots && i < p->params.max_pictures; ++i) {
        decoded_free(&p->slots[i].result);
        free(p->slots[i].data);
    }
    thread_cond_destroy(&p->changed);
    thread_mutex_destroy(&p->lock);
    free(p->slots);
    free(p->threads);
    free(p);
    *pool = NULL;
}
