// stage.c - pictures into a slot's staging buffer: jobs of the preprocess kernel, with the crops that they read.
#include <string.h>

#include "train/trainer.h"

static size_t room_for(size_t bytes) { return cdl_align_up(bytes, 16); }

// Takes `bytes` and returns their offset; there is room.
static size_t take(struct cdl_train_stage *st, size_t bytes) {
    const size_t at = st->used;
    st->used += room_for(bytes);
    return at;
}

static void swap(int32_t *a, int32_t *b) {
    const int32_t t = *a;
    *a = *b;
    *b = t;
}

// Outputs in reverse order: a picture is flipped by the table of its columns.
static void reverse(int32_t *start, int32_t *coef, int count, int taps) {
    for (int i = 0, k = count - 1; i < k; i++, k--) {
        swap(&start[i], &start[k]);
        for (int t = 0; t < taps; t++)
            swap(&coef[i * taps + t], &coef[k * taps + t]);
    }
}

// One axis: first source pixels and coefficients of `count` outputs.
struct axis {
    int32_t *start, *coef; // in the trainer's own memory, until they are written
    int count, taps;
    size_t at, bytes; // in staging
};

static struct axis make_axis(struct cdl_train_stage *st, int32_t *table, int in_size, int out_size, int first,
                             int count) {
    struct axis a = {.start = table, .coef = table + count, .count = count};
    a.taps = cdl_resample_taps(st->t->interpolation, in_size, out_size);
    a.bytes = (size_t)count * (size_t)(a.taps + 1) * sizeof(int32_t);
    a.at = take(st, a.bytes);
    cdl_resample_axis(st->t->interpolation, in_size, out_size, first, count, a.taps, a.start, a.coef);
    return a;
}

// The range of inputs that its outputs read; from now on the starts count from that range's first: black border stays
// inside.
static void cut_axis(struct axis *a, int *first, int *size) {
    cdl_axis_range(a->start, a->coef, a->count, a->taps, first, size);
    for (int i = 0; i < a->count; i++)
        a->start[i] = a->start[i] > *first ? a->start[i] - *first : 0;
}

static size_t axis_bytes(const struct cdl_trainer *t, int in_size, int out_size, int count) {
    const size_t taps = (size_t)cdl_resample_taps(t->interpolation, in_size, out_size);
    return room_for((size_t)count * (taps + 1) * sizeof(int32_t));
}

// What stage_picture takes at most.
static size_t picture_bytes(const struct cdl_trainer *t, const struct cdl_train_view *v) {
    return axis_bytes(t, v->part.width, v->resized_width, t->sight.width) +
           axis_bytes(t, v->part.height, v->resized_height, t->sight.height) +
           room_for(4 * (size_t)v->part.width * (size_t)v->part.height);
}

static void stage_picture(struct cdl_train_stage *st, const struct cdl_pixels *p, const struct cdl_train_view *v,
                          int image) {
    const struct cdl_trainer *t = st->t;
    const int width = t->sight.width, height = t->sight.height;
    struct axis columns = make_axis(st, t->tables, v->part.width, v->resized_width, v->left, width);
    struct axis rows =
        make_axis(st, t->tables + columns.bytes / sizeof(int32_t), v->part.height, v->resized_height, v->top, height);
    struct cdl_rectangle upright; // what the outputs read, within the part
    cut_axis(&columns, &upright.x, &upright.width);
    cut_axis(&rows, &upright.y, &upright.height);
    if (v->flip)
        reverse(columns.start, columns.coef, width, columns.taps);
    upright.x += v->part.x;
    upright.y += v->part.y;

    const struct cdl_rectangle stored = cdl_stored_rectangle(p->orientation, p->width, p->height, upright);
    const size_t pixels_at = take(st, 4 * (size_t)stored.width * (size_t)stored.height);
    struct cdl_pixel_walk walk; // within the rectangle, in words
    cdl_orient(p->orientation, stored.width, stored.height, (size_t)stored.width, 1, &walk);
    struct cdl_upload *to = st->slot->staging;
    const uint64_t base = cdl_upload_address(to);
    const struct preprocess_job job = {
        .pixels = base + pixels_at,
        .columns = base + columns.at,
        .rows = base + rows.at,
        .dst = t->arena.address + t->program.values[t->program.input].at +
               (uint64_t)image * cdl_value_bytes(&t->program.graph.values[0], t->program.fp16),
        .base = (int)walk.base,
        .step_x = (int)walk.step_x,
        .step_y = (int)walk.step_y,
        .column_taps = columns.taps,
        .row_taps = rows.taps,
        .num_rows = height,
        .swap_rb = p->format == CDL_FORMAT_BGRA8,
    };
    cdl_upload_write(to, t->jobs_at + (size_t)st->num_jobs++ * sizeof job, &job, sizeof job);
    cdl_upload_write(to, columns.at, columns.start, columns.bytes);
    cdl_upload_write(to, rows.at, rows.start, rows.bytes);
    cdl_upload_write(to, t->jitters_at + (size_t)image * sizeof v->jitter, &v->jitter, sizeof v->jitter);
    cdl_write_pixels(p, stored, cdl_upload_put, to, pixels_at);
    st->max_rows = height;
}

cdl_result cdl_train_stage_pictures(struct cdl_train_stage *st, const struct cdl_train_picture *pictures, int count,
                                    int epoch, int *next) {
    const struct cdl_trainer *t = st->t;
    st->used = t->pixels_at;
    st->num_jobs = 0;
    for (; *next < count; ++*next) {
        const struct cdl_train_picture *p = &pictures[*next];
        struct cdl_pixel_walk walk;
        struct cdl_train_view view;
        cdl_orient(p->pixels.orientation, p->pixels.width, p->pixels.height, (size_t)p->pixels.width, 1, &walk);
        if (!cdl_train_view(&t->sight, walk.width, walk.height, epoch, p->index, &view))
            return cdl_fail(&t->dev->log, CDL_ERR_INVALID, "a picture of %dx%d pixels; sides of 1 to %d are possible",
                            p->pixels.width, p->pixels.height, CDL_MAX_PICTURE_SIDE);
        const size_t bytes = picture_bytes(t, &view);
        if (bytes > t->staging_bytes - t->pixels_at)
            return cdl_fail(&t->dev->log, CDL_ERR_NOMEM,
                            "a picture of %dx%d pixels does not fit through a staging buffer of %zu MB; raise "
                            "staging_bytes to %zu MB",
                            p->pixels.width, p->pixels.height, t->staging_bytes >> 20,
                            ((bytes + t->pixels_at) >> 20) + 1);
        if (bytes > t->staging_bytes - st->used)
            break;
        stage_picture(st, &p->pixels, &view, *next);
    }
    return CDL_OK;
}

void cdl_train_stage_launch(const struct cdl_train_stage *st, struct cdl_launch *out) {
    const uint64_t jobs = cdl_upload_address(st->slot->staging) + st->t->jobs_at;
    cdl_preprocess_launch(out, &st->t->model->recipe, jobs, st->num_jobs, st->t->sight.width, st->max_rows);
}

void cdl_train_jitter_launch(const struct cdl_trainer *t, const struct cdl_train_slot *slot, int images,
                             struct cdl_launch *out) {
    const struct cdl_recipe *r = &t->model->recipe;
    const struct train_jitter_params p = {
        .pictures = t->arena.address + t->program.values[t->program.input].at,
        .jitters = cdl_upload_address(slot->staging) + t->jitters_at,
        .images = images,
        .pixels = t->sight.width * t->sight.height,
        .mean_r = r->mean[0],
        .mean_g = r->mean[1],
        .mean_b = r->mean[2],
        .std_r = r->std[0],
        .std_g = r->std[1],
        .std_b = r->std[2],
    };
    *out = (struct cdl_launch){.push_bytes = sizeof p};
    memcpy(out->push.bytes, &p, sizeof p);
    cdl_launch_workgroups(out, (uint64_t)images);
}

void cdl_train_mixup_launch(const struct cdl_trainer *t, int images, float share, struct cdl_launch *out) {
    const struct train_mixup_params p = {
        .pictures = t->arena.address + t->program.values[t->program.input].at,
        .images = images,
        .pixels = t->sight.width * t->sight.height,
        .share = share,
    };
    *out = (struct cdl_launch){.push_bytes = sizeof p};
    memcpy(out->push.bytes, &p, sizeof p);
    cdl_launch_invocations(out, (uint64_t)p.pixels);
}

void cdl_train_stage_tensors(struct cdl_train_stage *st, const struct cdl_train_picture *pictures, int count, int *next,
                             struct cdl_launch *out) {
    const struct cdl_trainer *t = st->t;
    const size_t plane = (size_t)t->sight.width * (size_t)t->sight.height, bytes = plane * 12;
    const size_t fit = (t->staging_bytes - t->pixels_at) / bytes; // at least one: see cdl_trainer_create
    const int first = *next, part = (size_t)(count - first) < fit ? count - first : (int)fit;
    for (int i = 0; i < part; i++)
        cdl_upload_write(st->slot->staging, t->pixels_at + (size_t)i * bytes, pictures[first + i].pixels.data, bytes);
    *next += part;
    st->used = t->pixels_at + (size_t)part * bytes;
    *out = (struct cdl_launch){.push_bytes = sizeof out->push.import};
    out->push.import = (struct import_params){
        .src = cdl_upload_address(st->slot->staging) + t->pixels_at,
        .dst = t->arena.address + t->program.values[t->program.input].at +
               (uint64_t)first * cdl_value_bytes(&t->program.graph.values[0], t->program.fp16),
        .images = part,
        .dst_h = t->sight.height,
        .dst_w = t->sight.width,
    };
    cdl_launch_invocations(out, (uint64_t)part * plane);
}
