// weights.c - parameters between host and device; a model of the current ones; the exact state as a file.
//
// A state file: struct state_head, the caller's note, its zero and padding to a multiple of 8, then what parts_of
// lists, then a checksum of all before it. It is for machines of the byte order of the one that wrote it.
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/file_map.h"
#include "base/file_write.h"
#include "train/network.h"
#include "train/trainer.h"

struct state_head {
    char format[16]; // state_format
    uint64_t network, step, note_bytes, parameters, trainable, fp16, averages, averaged;
};
static const char state_format[16] = "cardinal train2";

// ---- between host and device

static cdl_result copy_part(struct cdl_trainer *t, const struct cdl_buffer *from, const struct cdl_buffer *to,
                            const VkBufferCopy *region) {
    struct cdl_device *dev = t->dev;
    cdl_result r = cdl_once_begin(&t->once);
    if (r != CDL_OK)
        return r;
    dev->vkd.CmdCopyBuffer(t->once.commands, from->handle, to->handle, 1, region);
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT,
    };
    dev->vkd.CmdPipelineBarrier(t->once.commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                                VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0,
                                NULL, 0, NULL);
    return cdl_once_run(&t->once, 0);
}

cdl_result cdl_train_upload(struct cdl_trainer *t, const struct cdl_buffer *to, const void *data, size_t size) {
    const cdl_result r = cdl_train_wait(t);
    return r == CDL_OK ? cdl_upload_now(t->dev, to, 0, data, size) : r;
}

cdl_result cdl_train_download(struct cdl_trainer *t, const struct cdl_buffer *from, void *data, size_t size) {
    const size_t most = (size_t)t->bounce.size;
    cdl_result r = cdl_train_wait(t);
    for (size_t at = 0; at < size && r == CDL_OK; at += most) {
        const size_t part = size - at < most ? size - at : most;
        const VkBufferCopy region = {at, 0, part};
        r = copy_part(t, from, &t->bounce, &region);
        if (r == CDL_OK)
            r = cdl_buffer_invalidate(&t->bounce, t->dev);
        if (r == CDL_OK)
            memcpy((uint8_t *)data + at, t->bounce.mapped, part);
    }
    return r;
}

// ---- a model

cdl_result cdl_trainer_model(cdl_trainer *t, cdl_model **out) {
    CDL_REQUIRE(&t->dev->log, out != NULL);
    *out = NULL;
    const size_t bytes = t->program.parameters.size * sizeof(float);
    float *values = malloc(bytes);
    if (!values)
        return cdl_fail(&t->dev->log, CDL_ERR_NOMEM, "out of memory for a copy of the weights, %zu MB", bytes >> 20);
    cdl_result r = cdl_train_download(t, t->averages.size ? &t->averages : &t->parameters, values, bytes);
    if (r == CDL_OK) {
        cdl_parameters_write(&t->program.parameters, values); // into t->model's own memory, which nobody else reads
        r = cdl_network_copy(out, t->model, NULL, &t->dev->log);
    }
    free(values);
    return r;
}

// ---- the state

// Tells networks apart: names and shapes of what learns and what does not.
static uint64_t network_hash(const struct cdl_parameters *all) {
    uint64_t hash = CDL_HASH_START;
    for (int i = 0; i < all->count; i++) {
        const struct cdl_parameter *p = &all->items[i];
        const uint64_t numbers[] = {p->at, p->count, p->trainable};
        hash = cdl_hash(hash, p->tensor->name, strlen(p->tensor->name));
        hash = cdl_hash(hash, numbers, sizeof numbers);
    }
    return hash;
}

// What lies on the device from step to step.
struct state_part {
    const struct cdl_buffer *buffer;
    size_t bytes;
};
enum { NUM_PARTS = 4 };

static size_t parts_of(const struct cdl_trainer *t, struct state_part out[NUM_PARTS]) {
    const struct cdl_buffer *buffers[NUM_PARTS] = {&t->parameters, &t->momentum, &t->averages, &t->scaling};
    size_t total = 0;
    for (int i = 0; i < NUM_PARTS; i++) {
        out[i] = (struct state_part){buffers[i], (size_t)buffers[i]->size};
        total += out[i].bytes;
    }
    return total;
}

static size_t note_room(size_t length) { return cdl_align_up(length + 1, 8); }

// A state file's bytes, malloc'd. where: for messages.
static cdl_result pack_state(struct cdl_trainer *t, const char *where, const char *note, uint8_t **out, size_t *size) {
    const struct cdl_parameters *all = &t->program.parameters;
    const size_t length = note ? strlen(note) : 0;
    struct state_part parts[NUM_PARTS];
    size_t at = sizeof(struct state_head) + note_room(length);
    struct state_head head = {.network = network_hash(all),
                              .fp16 = t->program.fp16,
                              .averages = t->averages.size > 0,
                              .averaged = t->averaged,
                              .step = t->step,
                              .note_bytes = length,
                              .parameters = all->size,
                              .trainable = all->trainable};
    memcpy(head.format, state_format, sizeof head.format);
    *size = at + parts_of(t, parts) + sizeof(uint64_t);
    uint8_t *bytes = *out = calloc(1, *size);
    if (!bytes)
        return cdl_fail(&t->dev->log, CDL_ERR_NOMEM, "%s: out of memory for the state, %zu MB", where, *size >> 20);
    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, note ? note : "", length);
    cdl_result r = CDL_OK;
    for (int i = 0; i < NUM_PARTS && r == CDL_OK; at += parts[i++].bytes)
        r = cdl_train_download(t, parts[i].buffer, bytes + at, parts[i].bytes);
    const uint64_t check = cdl_hash(CDL_HASH_START, bytes, *size - sizeof check);
    memcpy(bytes + *size - sizeof check, &check, sizeof check);
    return r;
}

cdl_result cdl_trainer_save_state(cdl_trainer *t, const char *path, const char *note) {
    const cdl_log *log = &t->dev->log;
    CDL_REQUIRE(log, path != NULL);
    CDL_EXPECT(log, t->accumulated == 0, "%s: a step has begun; its state is saved behind cdl_trainer_step", path);
    uint8_t *bytes;
    size_t size;
    struct cdl_file_write w;
    cdl_result r = pack_state(t, path, note, &bytes, &size);
    if (r == CDL_OK)
        r = cdl_file_write_begin(&w, path, log);
    if (r == CDL_OK) {
        cdl_file_write_bytes(&w, bytes, size);
        r = cdl_file_write_end(&w, true, log);
    }
    free(bytes);
    return r;
}

// Whether bytes[size] are a whole state of this network; logs why not. *body: where its parameters begin.
static cdl_result check_state(const struct cdl_trainer *t, const char *path, const uint8_t *bytes, size_t size,
                              struct state_head *head, size_t *body) {
    const cdl_log *log = &t->dev->log;
    const struct cdl_parameters *all = &t->program.parameters;
    struct state_part parts[NUM_PARTS];
    uint64_t check;
    if (size < sizeof *head + sizeof check || memcmp(bytes, state_format, sizeof state_format))
        return cdl_fail(log, CDL_ERR_FORMAT, "%s: is no state of a training", path);
    memcpy(head, bytes, sizeof *head);
    memcpy(&check, bytes + size - sizeof check, sizeof check);
    if (check != cdl_hash(CDL_HASH_START, bytes, size - sizeof check))
        return cdl_fail(log, CDL_ERR_FORMAT, "%s: is damaged; go on from an older one, or begin anew", path);
    if (head->network != network_hash(all))
        return cdl_fail(log, CDL_ERR_FORMAT,
                        "%s: is of another network, or of other frozen layers; resume with the options it began with",
                        path);
    if (head->fp16 != t->program.fp16)
        return cdl_fail(log, CDL_ERR_FORMAT, "%s: was learned with precision %s; resume with the same", path,
                        head->fp16 ? "fp16" : "fp32");
    if (head->averages != (t->averages.size > 0))
        return cdl_fail(log, CDL_ERR_FORMAT, "%s: was learned with%s averages of the weights; resume with the same",
                        path, head->averages ? "" : "out");
    if (head->note_bytes > size)
        return cdl_fail(log, CDL_ERR_FORMAT, "%s: is damaged; go on from an older one, or begin anew", path);
    *body = sizeof *head + note_room((size_t)head->note_bytes);
    if (*body + parts_of(t, parts) + sizeof check != size)
        return cdl_fail(log, CDL_ERR_FORMAT, "%s: is damaged; go on from an older one, or begin anew", path);
    return CDL_OK;
}

static cdl_result restore(struct cdl_trainer *t, const char *where, const uint8_t *bytes, size_t size, char *note,
                          size_t note_size) {
    struct state_part parts[NUM_PARTS];
    struct state_head head;
    size_t body = 0;
    cdl_result r = check_state(t, where, bytes, size, &head, &body);
    if (r == CDL_OK && note && head.note_bytes >= note_size)
        r = cdl_fail(&t->dev->log, CDL_ERR_INVALID, "%s: its note of %llu bytes does not fit", where,
                     (unsigned long long)head.note_bytes);
    parts_of(t, parts);
    for (int i = 0; i < NUM_PARTS && r == CDL_OK; body += parts[i++].bytes)
        r = parts[i].bytes ? cdl_train_upload(t, parts[i].buffer, bytes + body, parts[i].bytes) : CDL_OK;
    if (r != CDL_OK)
        return r;
    t->step = head.step;
    t->averaged = head.averaged;
    cdl_train_forget(t);
    if (note) {
        memcpy(note, bytes + sizeof head, (size_t)head.note_bytes);
        note[head.note_bytes] = 0;
    }
    return CDL_OK;
}

cdl_result cdl_trainer_load_state(cdl_trainer *t, const char *path, char *note, size_t note_size) {
    const cdl_log *log = &t->dev->log;
    CDL_REQUIRE(log, path != NULL && (note != NULL || note_size == 0));
    const void *data;
    size_t size;
    cdl_result r = cdl_file_map(&data, &size, path, log);
    if (r != CDL_OK)
        return r;
    r = restore(t, path, data, size, note, note_size);
    cdl_file_unmap(data, size);
    return r;
}

cdl_result cdl_trainer_align(cdl_trainer *t) {
    const cdl_log *log = &t->dev->log;
    const struct cdl_train_exchange *calls = &t->exchange.calls;
    CDL_EXPECT(log, calls->broadcast, "cdl_trainer_align: the trainer was made without an exchange");
    uint8_t *bytes;
    size_t size; // of the same network and no note: the same everywhere
    cdl_result r = pack_state(t, "the first process", NULL, &bytes, &size);
    if (r == CDL_OK && !calls->broadcast(calls->ctx, bytes, size))
        r = cdl_fail(log, CDL_ERR_IO, "the first process's weights could not be passed on");
    if (r == CDL_OK)
        r = restore(t, "the first process", bytes, size, NULL, 0);
    free(bytes);
    return r;
}
