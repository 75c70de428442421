// weights.c - packs a model's weights for a plan's kernels.
#include "session/weights.h"

#include <stdlib.h>

#include "base/parallel.h"
#include "vulkan/device.h"
#include "vulkan/upload.h"

// So much is packed at a time, in ordinary memory, before the device gets it.
enum { CHUNK = 32 << 20 };

// One operation's weights.
struct piece {
    const struct cdl_weight_layout *layout;
    const struct cdl_op *op;
    size_t at, scratch_at; // in the weights' buffer, in bytes; in floats
};

struct packing {
    const struct cdl_graph *graph;
    struct piece *pieces;  // by `at`
    int num_pieces, first; // first: of the chunk
    uint8_t *chunk;
    size_t chunk_bytes, num_floats;
    float *scratch; // a part for each piece: threads pack them
};

static void pack_piece(void *ctx, int i) {
    const struct packing *p = ctx;
    const struct piece *piece = &p->pieces[p->first + i];
    cdl_weights_pack(piece->layout, p->graph, piece->op, p->scratch + piece->scratch_at,
                     p->chunk + (piece->at - p->pieces[p->first].at));
}

static int compare_pieces(const void *a, const void *b) {
    const struct piece *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

// Lists what there is to pack. false: no memory.
static bool list_pieces(struct packing *p, const struct cdl_plan *plan) {
    int count = 0;
    p->graph = &plan->graph;
    p->chunk_bytes = CHUNK;
    p->pieces = calloc((size_t)plan->graph.num_ops, sizeof *p->pieces);
    for (int i = 0; p->pieces && i < plan->num_steps; i++)
        for (int k = 0; k < plan->steps[i].num_ops; k++) {
            const struct cdl_step *step = &plan->steps[i];
            const struct cdl_weight_layout *layout = &step->kernel.weights[k];
            const struct cdl_op *op = &plan->graph.ops[step->first_op + k];
            if (!layout->bytes)
                continue;
            p->pieces[count++] = (struct piece){layout, op, step->weights_at[k], p->num_floats};
            p->num_floats += cdl_weights_scratch(op);
            p->chunk_bytes = layout->bytes > p->chunk_bytes ? layout->bytes : p->chunk_bytes;
        }
    p->num_pieces = count;
    if (!p->pieces)
        return false;
    qsort(p->pieces, (size_t)count, sizeof *p->pieces, compare_pieces);
    p->chunk_bytes = plan->weights_bytes < p->chunk_bytes ? plan->weights_bytes : p->chunk_bytes;
    p->chunk = calloc(1, p->chunk_bytes + 1); // zeros between the pieces
    p->scratch = malloc((p->num_floats + 1) * sizeof *p->scratch);
    return p->chunk && p->scratch;
}

// Chunk by chunk.
static cdl_result pack_all(struct packing *p, struct cdl_device *dev, const struct cdl_buffer *to) {
    cdl_result r = CDL_OK;
    for (int end; r == CDL_OK && p->first < p->num_pieces; p->first = end) {
        const size_t at = p->pieces[p->first].at;
        size_t bytes = 0;
        for (end = p->first; end < p->num_pieces; end++) {
            const size_t reach = p->pieces[end].at + p->pieces[end].layout->bytes - at;
            if (reach > p->chunk_bytes)
                break;
            bytes = reach;
        }
        cdl_parallel(end - p->first, pack_piece, p);
        r = cdl_upload_now(dev, to, at, p->chunk, bytes);
    }
    return r;
}

static cdl_result pack(struct cdl_weights *w, struct cdl_device *dev, const struct cdl_plan *plan) {
    struct packing p = {0};
    cdl_result r =
        list_pieces(&p, plan) ? CDL_OK : cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while packing weights");
    if (r == CDL_OK)
        r = cdl_buffer_create(&w->buffer, dev, plan->weights_bytes ? plan->weights_bytes : 16, CDL_MEMORY_DEVICE,
                              "weights");
    if (r == CDL_OK)
        r = pack_all(&p, dev, &w->buffer);
    free(p.pieces);
    free(p.chunk);
    free(p.scratch);
    return r;
}

struct cdl_weights **cdl_weights_of(struct cdl_device *dev) {
    static const struct cdl_device_data_kind kind = {.size = sizeof(struct cdl_weights *)};
    return cdl_device_data(dev, &kind);
}

static struct cdl_weights *find_shared(struct cdl_weights *first, const struct cdl_model *model, uint64_t hash) {
    struct cdl_weights *found = first;
    while (found && (found->model != model || found->hash != hash))
        found = found->next;
    return found;
}

cdl_result cdl_weights_acquire(struct cdl_weights **out, struct cdl_device *dev, struct cdl_model *model,
                               const struct cdl_plan *plan) {
    const uint64_t hash = cdl_plan_weights_hash(plan);
    struct cdl_weights **list = cdl_weights_of(dev);
    if (!list)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while packing weights");
    cdl_mutex_lock(&dev->lock);
    *out = find_shared(*list, model, hash);
    if (*out)
        (*out)->references++;
    cdl_mutex_unlock(&dev->lock);
    if (*out)
        return CDL_OK;

    struct cdl_weights *w = calloc(1, sizeof *w);
    if (!w)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while packing weights");
    cdl_result r = pack(w, dev, plan);
    if (r != CDL_OK) {
        cdl_buffer_destroy(&w->buffer, dev);
        free(w);
        return r;
    }
    w->model = model;
    w->hash = hash;
    w->references = 1;
    cdl_model_retain(model);
    cdl_mutex_lock(&dev->lock);
    w->next = *list;
    *list = w;
    cdl_mutex_unlock(&dev->lock);
    *out = w;
    return CDL_OK;
}

void cdl_weights_release(struct cdl_weights **weights, struct cdl_device *dev) {
    struct cdl_weights *w = *weights;
    *weights = NULL;
    if (!w)
        return;
    struct cdl_weights **link = cdl_weights_of(dev); // there since the weights were acquired
    cdl_mutex_lock(&dev->lock);
    const bool last = --w->references == 0;
    if (last) {
        while (*link != w)
            link = &(*link)->next;
        *link = w->next;
    }
    cdl_mutex_unlock(&dev->lock);
    if (!last)
        return;
    cdl_buffer_destroy(&w->buffer, dev);
    cdl_model_destroy(&w->model);
    free(w);
}
