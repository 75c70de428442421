// runner.c - see runner.h.
#include "commands/runner.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BATCH_BYTES = 256 << 20 }; // of decoded pictures; one always passes

struct batch {
    struct decoded *items; // [num_items], failed ones among them; as many good ones as the session's batch
    int num_items, capacity;
    int num_images;
    uint64_t bytes; // of their pixels
    bool submitted;
    double submitted_at, upload_ms;
};

struct runner {
    const struct runner_params *p;
    struct decode_pool *pool;
    struct cdl_pixels *pixels; // [batch]
    struct cdl_class *top;     // [topk]
    struct batch batches[2];
    char error[1024];
};

static bool append(struct batch *b, struct decoded *d) {
    if (b->num_items == b->capacity) {
        const int capacity = b->capacity ? 2 * b->capacity : 16;
        struct decoded *bigger = realloc(b->items, (size_t)capacity * sizeof *bigger);
        if (!bigger)
            return false;
        b->items = bigger;
        b->capacity = capacity;
    }
    b->items[b->num_items++] = *d;
    b->num_images += d->ok;
    b->bytes += d->ok ? (uint64_t)d->picture.width * (uint64_t)d->picture.height * 4 : 0;
    return true;
}

static void drop(struct batch *b) {
    for (int i = 0; i < b->num_items; i++)
        decoded_free(&b->items[i]);
    b->num_items = b->num_images = 0;
}

// Fills a batch up to the session's size. A run of broken pictures, or of huge ones, is handed on earlier, so that
// memory stays bounded.
static cdl_result gather(struct runner *r, struct batch *b) {
    struct decoded d;
    b->num_items = b->num_images = 0;
    b->bytes = 0;
    while (b->num_images < r->p->batch && b->bytes < MAX_BATCH_BYTES && b->num_items < 4 * r->p->batch + 64 &&
           !(r->p->stop && r->p->stop(r->p->ctx)) && decode_pool_next(r->pool, &d))
        if (!append(b, &d)) {
            decoded_free(&d);
            complain("out of memory while gathering pictures");
            return CDL_ERR_NOMEM;
        }
    return CDL_OK;
}

static struct cdl_pixels pixels_of(const struct runner *r, const struct decoded *d) {
    return (struct cdl_pixels){
        .data = d->picture.rgba,
        .width = d->picture.width,
        .height = d->picture.height,
        .format = CDL_FORMAT_RGBA8,
        .orientation = r->p->exif ? d->picture.orientation : 1,
    };
}

static void deliver(struct runner *r, const struct decoded *d, const char *error, int slot, int image, double upload_ms,
                    double gpu_ms, double run_ms) {
    struct outcome o = {.decoded = d,
                        .error = error,
                        .top = r->top,
                        .upload_ms = upload_ms,
                        .gpu_ms = gpu_ms,
                        .total_ms = d->decode_ms + run_ms,
                        .slot = slot,
                        .image = image};
    if (!error && cdl_session_topk(r->p->session, slot, image, r->top, r->p->topk) != CDL_OK)
        o.error = "no result";
    r->p->sink(r->p->ctx, &o);
}

// Runs the pictures of a batch that the session refused one by one, so that only those at fault fail.
static cdl_result run_one_by_one(struct runner *r, struct batch *b, int slot) {
    for (int i = 0; i < b->num_items; i++) {
        struct decoded *d = &b->items[i];
        const double start = now_ms();
        char reason[1200];
        cdl_result result = CDL_OK;
        if (d->ok) {
            const struct cdl_pixels pixels = pixels_of(r, d);
            r->p->diagnostics->captured = r->error;
            r->p->diagnostics->captured_size = sizeof r->error;
            result = cdl_session_submit(r->p->session, slot, &pixels, 1);
            if (result == CDL_OK)
                result = cdl_session_wait(r->p->session, slot, UINT64_MAX);
            r->p->diagnostics->captured = NULL;
        }
        if (result == CDL_ERR_DEVICE_LOST) {
            complain("%s", r->error);
            return result;
        }
        if (result != CDL_OK)
            snprintf(reason, sizeof reason, "%s: %s", d->path, r->error);
        const double gpu_ms = (double)cdl_session_gpu_ns(r->p->session, slot) / 1e6;
        deliver(r, d,
                !d->ok             ? d->error
                : result != CDL_OK ? reason
                                   : NULL,
                slot, 0, now_ms() - start - gpu_ms, gpu_ms, now_ms() - start);
    }
    return CDL_OK;
}

static cdl_result submit(struct runner *r, struct batch *b, int slot) {
    int n = 0;
    b->submitted = false;
    b->submitted_at = now_ms();
    for (int i = 0; i < b->num_items; i++)
        if (b->items[i].ok)
            r->pixels[n++] = pixels_of(r, &b->items[i]);
    if (n == 0)
        return CDL_OK;
    r->p->diagnostics->captured = r->error;
    r->p->diagnostics->captured_size = sizeof r->error;
    const cdl_result result = cdl_session_submit(r->p->session, slot, r->pixels, n);
    r->p->diagnostics->captured = NULL;
    b->upload_ms = now_ms() - b->submitted_at;
    b->submitted = result == CDL_OK;
    for (int i = 0; b->submitted && !r->p->keep_pixels && i < b->num_items; i++)
        picture_free(&b->items[i].picture); // staged: their pixels are not needed again
    if (result == CDL_ERR_DEVICE_LOST)
        complain("%s", r->error);
    return result == CDL_ERR_DEVICE_LOST ? result : CDL_OK;
}

static cdl_result collect(struct runner *r, struct batch *b, int slot) {
    cdl_result result = CDL_OK;
    if (b->num_images > 0 && !b->submitted) {
        result = run_one_by_one(r, b, slot);
    } else {
        if (b->submitted)
            result = cdl_session_wait(r->p->session, slot, UINT64_MAX);
        const double share = b->num_images ? 1.0 / b->num_images : 0;
        const double gpu_ms = (double)cdl_session_gpu_ns(r->p->session, slot) / 1e6 * share;
        const double run_ms = (now_ms() - b->submitted_at) * share;
        for (int i = 0, image = 0; result == CDL_OK && i < b->num_items; i++) {
            const struct decoded *d = &b->items[i];
            deliver(r, d, d->ok ? NULL : d->error, slot, image, b->upload_ms * share, gpu_ms, run_ms);
            image += d->ok;
        }
    }
    drop(b);
    return result;
}

cdl_result runner_run(const struct runner_params *params) {
    struct runner r = {.p = params};
    cdl_result result = CDL_OK;
    r.pixels = calloc((size_t)params->batch, sizeof *r.pixels);
    r.top = calloc((size_t)params->topk, sizeof *r.top);
    r.pool = decode_pool_create(params->inputs, &(struct decode_pool_params){.threads = params->threads,
                                                                             .max_pictures = 2 * params->batch + 4});
    if (!r.pixels || !r.top || !r.pool) {
        complain(r.pool ? "out of memory" : "no memory or threads to decode pictures");
        result = CDL_ERR_NOMEM;
    }
    // While the device works on one batch, the next is gathered and staged; then the first is collected.
    bool more = result == CDL_OK;
    for (int i = 0; more; i++) {
        struct batch *current = &r.batches[i % 2], *previous = &r.batches[(i + 1) % 2];
        result = gather(&r, current);
        if (params->stop && params->stop(params->ctx))
            drop(current);
        if (result == CDL_OK)
            result = submit(&r, current, i % 2);
        if (result == CDL_OK)
            result = collect(&r, previous, (i + 1) % 2);
        more = result == CDL_OK && current->num_items > 0;
    }
    for (int i = 0; i < 2; i++) {
        drop(&r.batches[i]);
        free(r.batches[i].items);
    }
    decode_pool_destroy(&r.pool);
    free(r.pixels);
    free(r.top);
    return result;
}
