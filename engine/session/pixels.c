// pixels.c - pictures of any size through a staging buffer of fixed size, to the preprocess kernel.
//
// For each picture the staging buffer gets coefficient tables and the rectangle of stored pixels that the crop reads,
// nothing else. What does not fit is left for a further part, when the GPU is done with the one before; a picture
// larger than the whole buffer is cut into bands of output rows.
#include "session/pixels.h"

#include <string.h>

#include "kernels/pixel_rows.h"

struct cdl_stage cdl_stage_begin(struct cdl_session *s, struct cdl_slot *slot) {
    const size_t jobs = cdl_align_up((size_t)s->info.max_batch * sizeof(struct preprocess_job), 256);
    return (struct cdl_stage){.s = s, .slot = slot, .used = jobs, .jobs_bytes = jobs};
}

static void stage_reset(struct cdl_stage *st) {
    st->used = st->jobs_bytes;
    st->num_jobs = st->max_rows = 0;
}

static size_t stage_free(const struct cdl_stage *st) { return st->s->info.staging_bytes - st->used; }

// Takes `bytes`, which fit, and returns their offset.
static size_t stage_take(struct cdl_stage *st, size_t bytes) {
    const size_t at = st->used;
    st->used += cdl_align_up(bytes, 16);
    return at;
}

cdl_result cdl_describe_source(const struct cdl_session *s, int stored_width, int stored_height, int orientation,
                               struct cdl_source *out) {
    struct cdl_pixel_walk walk;
    cdl_orient(orientation, stored_width, stored_height, (size_t)stored_width, 1, &walk);
    *out = (struct cdl_source){.stored_width = stored_width,
                               .stored_height = stored_height,
                               .orientation = orientation,
                               .width = walk.width,
                               .height = walk.height};
    if (!cdl_resize_geometry(walk.width, walk.height, s->resize_size, s->info.width, s->info.height, &out->geometry))
        return cdl_fail(&s->dev->log, CDL_ERR_INVALID, "a picture of %dx%d pixels; sides of 1 to %d are possible",
                        stored_width, stored_height, CDL_MAX_PICTURE_SIDE);
    out->column_taps = cdl_resample_taps(s->interpolation, out->width, out->geometry.resized_width);
    out->row_taps = cdl_resample_taps(s->interpolation, out->height, out->geometry.resized_height);
    return CDL_OK;
}

static size_t table_bytes(int count, int taps) { return (size_t)count * (size_t)(taps + 1) * sizeof(int32_t); }

// How many output rows from `row` on fit into what is free; 0: none.
static int rows_that_fit(const struct cdl_stage *st, const struct cdl_source *src, int row) {
    const int width = st->s->info.width, height = st->s->info.height;
    const size_t columns = table_bytes(width, src->column_taps) + 64; // 64: alignment of what is taken
    if (stage_free(st) <= columns)
        return 0;
    const size_t room = stage_free(st) - columns;
    // Upper bounds, cheap and safe: all source columns of the crop, and a row's window per output row.
    const double scale_x = (double)src->width / src->geometry.resized_width,
                 scale_y = (double)src->height / src->geometry.resized_height;
    double columns_read = width * scale_x + src->column_taps + 2;
    columns_read = columns_read < src->width ? columns_read : src->width;
    const double per_row = 4 * columns_read * scale_y + (double)table_bytes(1, src->row_taps);
    const double once = 4 * columns_read * (src->row_taps + 2);
    if (once + per_row > (double)room)
        return 0;
    const double fit = ((double)room - once) / per_row;
    return fit < height - row ? (int)fit : height - row;
}

size_t cdl_stage_job_bytes(const struct cdl_session *s, const struct cdl_source *src) {
    return table_bytes(s->info.width, src->column_taps) + table_bytes(s->info.height, src->row_taps) +
           32; // 32: alignment
}

struct cdl_job_draft cdl_stage_draft(struct cdl_stage *st, const struct cdl_source *src, int image, int row,
                                     int count) {
    struct cdl_session *s = st->s;
    const int width = s->info.width;
    struct cdl_job_draft d = {.columns_bytes = table_bytes(width, src->column_taps),
                              .rows_bytes = table_bytes(count, src->row_taps)};
    d.columns_at = stage_take(st, d.columns_bytes);
    d.rows_at = stage_take(st, d.rows_bytes);
    d.columns = s->tables;
    d.rows = s->tables + d.columns_bytes / sizeof *d.rows;
    cdl_resample_axis(s->interpolation, src->width, src->geometry.resized_width, src->geometry.crop_left, width,
                      src->column_taps, d.columns, d.columns + width);
    cdl_resample_axis(s->interpolation, src->height, src->geometry.resized_height, src->geometry.crop_top + row, count,
                      src->row_taps, d.rows, d.rows + count);
    const uint64_t base = cdl_upload_address(st->slot->staging);
    d.job = (struct preprocess_job){
        .columns = base + d.columns_at,
        .rows = base + d.rows_at,
        .dst = s->arena.address + cdl_plan_value_at(&s->plan, 0, image),
        .column_taps = src->column_taps,
        .row_taps = src->row_taps,
        .first_row = row,
        .num_rows = count,
    };
    return d;
}

void cdl_stage_job(struct cdl_stage *st, const struct cdl_job_draft *d) {
    struct cdl_upload *to = st->slot->staging;
    cdl_upload_write(to, d->columns_at, d->columns, d->columns_bytes);
    cdl_upload_write(to, d->rows_at, d->rows, d->rows_bytes);
    cdl_upload_write(to, (size_t)st->num_jobs++ * sizeof d->job, &d->job, sizeof d->job);
    st->max_rows = d->job.num_rows > st->max_rows ? d->job.num_rows : st->max_rows;
}

// Puts output rows [row, row + count) of a picture into the stage, as a job, with the pixels that they read.
static void stage_band(struct cdl_stage *st, const struct cdl_pixels *pixels, const struct cdl_source *src, int image,
                       int row, int count) {
    const int width = st->s->info.width;
    struct cdl_job_draft draft = cdl_stage_draft(st, src, image, row, count);
    int32_t *columns = draft.columns, *rows = draft.rows;
    struct cdl_rectangle upright;
    cdl_axis_range(columns, columns + width, width, src->column_taps, &upright.x, &upright.width);
    cdl_axis_range(rows, rows + count, count, src->row_taps, &upright.y, &upright.height);
    for (int i = 0; i < width; i++) // the kernel counts from the rectangle's corner; black border stays inside
        columns[i] = columns[i] > upright.x ? columns[i] - upright.x : 0;
    for (int i = 0; i < count; i++)
        rows[i] = rows[i] > upright.y ? rows[i] - upright.y : 0;

    const struct cdl_rectangle stored =
        cdl_stored_rectangle(src->orientation, src->stored_width, src->stored_height, upright);
    const size_t pixels_at = stage_take(st, 4 * (size_t)stored.width * (size_t)stored.height);
    struct cdl_pixel_walk walk; // within the rectangle, in words
    cdl_orient(src->orientation, stored.width, stored.height, (size_t)stored.width, 1, &walk);
    draft.job.pixels = cdl_upload_address(st->slot->staging) + pixels_at;
    draft.job.base = (int)walk.base;
    draft.job.step_x = (int)walk.step_x;
    draft.job.step_y = (int)walk.step_y;
    draft.job.swap_rb = pixels->format == CDL_FORMAT_BGRA8;
    cdl_stage_job(st, &draft);
    cdl_write_pixels(pixels, stored, cdl_upload_put, st->slot->staging, pixels_at);
}

void cdl_stage_launch(const struct cdl_stage *st, int first, int count, struct cdl_launch *out) {
    const uint64_t jobs = cdl_upload_address(st->slot->staging) + (uint64_t)first * sizeof(struct preprocess_job);
    cdl_preprocess_launch(out, &st->s->model->recipe, jobs, count, st->s->info.width, st->max_rows);
}

cdl_result cdl_stage_pictures(struct cdl_stage *st, const struct cdl_pixels *images, int count, int *image, int *row) {
    stage_reset(st);
    while (*image < count) {
        const struct cdl_pixels *p = &images[*image];
        struct cdl_source src;
        const cdl_result r = cdl_describe_source(st->s, p->width, p->height, p->orientation, &src);
        if (r != CDL_OK)
            return r;
        const int rows = rows_that_fit(st, &src, *row);
        if (rows == 0 && st->num_jobs == 0)
            return cdl_fail(&st->s->dev->log, CDL_ERR_NOMEM,
                            "a picture of %dx%d pixels does not fit through a staging buffer of %zu MB; "
                            "raise staging_bytes",
                            p->width, p->height, st->s->info.staging_bytes >> 20);
        if (rows == 0 || st->num_jobs == st->s->info.max_batch)
            return CDL_OK;
        stage_band(st, p, &src, *image, *row, rows);
        *row += rows;
        if (*row < st->s->info.height)
            return CDL_OK;
        ++*image; // the next picture may join this part
        *row = 0;
    }
    return CDL_OK;
}

int cdl_stage_tensors(struct cdl_stage *st, const struct cdl_pixels *images, int count, int image,
                      struct cdl_launch *out) {
    const struct cdl_session *s = st->s;
    const size_t plane = (size_t)s->info.width * (size_t)s->info.height, bytes = plane * 12;
    const int fit = (int)((s->info.staging_bytes - st->jobs_bytes) / bytes);
    const int part = count - image < fit ? count - image : fit;
    for (int i = 0; i < part; i++)
        cdl_upload_write(st->slot->staging, st->jobs_bytes + (size_t)i * bytes, images[image + i].data, bytes);
    st->used = st->jobs_bytes + (size_t)part * bytes;
    *out = (struct cdl_launch){.push_bytes = sizeof out->push.import};
    out->push.import = (struct import_params){
        .src = cdl_upload_address(st->slot->staging) + st->jobs_bytes,
        .dst = s->arena.address + cdl_plan_value_at(&s->plan, 0, image),
        .images = part,
        .dst_h = s->info.height,
        .dst_w = s->info.width,
    };
    cdl_launch_invocations(out, (uint64_t)part * plane);
    return part;
}
