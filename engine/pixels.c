// pixels.c - pictures of any size through a staging buffer of fixed size, to the preprocess kernel.
//
// Per picture the staging buffer gets coefficient tables and the rectangle of stored pixels that the crop
// reads, nothing else. What does not fit goes in a further part, after the GPU is done with the
// one before; a picture larger than the whole buffer is cut into bands of output rows.
#include "session.h"

#include <limits.h>
#include <string.h>

#include "preprocess.h"

struct stage {
    struct cdl_session *s;
    struct cdl_slot *slot;
    size_t used, jobs_bytes;
    int num_jobs, max_rows;
};

// A picture on its way: what does not depend on the band.
struct source {
    const struct cdl_pixels *pixels;
    struct cdl_geometry geometry;
    int width, height; // upright
    int column_taps, row_taps;
};

struct rectangle { int x, y, width, height; };

static void stage_reset(struct stage *st) {
    st->used = st->jobs_bytes;
    st->num_jobs = st->max_rows = 0;
}

static uint8_t *stage_at(const struct stage *st, size_t offset) { return (uint8_t *)st->slot->staging.mapped + offset; }
static size_t stage_free(const struct stage *st) { return st->s->info.staging_bytes - st->used; }

// Takes `bytes`, which fit, and returns their offset.
static size_t stage_take(struct stage *st, size_t bytes) {
    const size_t at = st->used;
    st->used += cdl_align_up(bytes, 16);
    return at;
}

static cdl_result describe_source(const struct stage *st, const struct cdl_pixels *pixels, struct source *out) {
    struct cdl_pixel_walk walk;
    cdl_orient(pixels->orientation, pixels->width, pixels->height, (size_t)pixels->width, 1, &walk);
    *out = (struct source){.pixels = pixels, .width = walk.width, .height = walk.height};
    if (!cdl_resize_geometry(walk.width, walk.height, st->s->resize_size, st->s->info.width, st->s->info.height, &out->geometry))
        return cdl_fail(&st->s->dev->log, CDL_ERR_INVALID, "a picture of %dx%d pixels; sides of 1 to %d are possible", pixels->width,
                        pixels->height, CDL_MAX_PICTURE_SIDE);
    out->column_taps = cdl_resample_taps(out->width, out->geometry.resized_width);
    out->row_taps = cdl_resample_taps(out->height, out->geometry.resized_height);
    return CDL_OK;
}

// The range of inputs that outputs of one axis read; start and coef as cdl_resample_axis gives them. Black
// border, all of whose coefficients are zero, reads nothing; a band of border alone gets one input.
static void axis_range(const int32_t *start, const int32_t *coef, int count, int taps, int *first, int *size) {
    int low = INT_MAX, high = 0;
    for (int i = 0; i < count; i++) {
        int reads = 0;
        for (int t = 0; t < taps; t++)
            reads |= coef[i * taps + t];
        if (!reads)
            continue;
        low = start[i] < low ? start[i] : low;
        high = start[i] + taps > high ? start[i] + taps : high;
    }
    *first = high ? low : 0;
    *size = high ? high - low : 1;
}

// The stored rectangle under an upright one.
static struct rectangle stored_rectangle(const struct source *src, struct rectangle r) {
    struct cdl_pixel_walk walk;
    const int64_t w = src->pixels->width;
    cdl_orient(src->pixels->orientation, src->pixels->width, src->pixels->height, (size_t)w, 1, &walk);
    const int64_t a = walk.base + r.x * walk.step_x + r.y * walk.step_y;
    const int64_t b = walk.base + (r.x + r.width - 1) * walk.step_x + (r.y + r.height - 1) * walk.step_y;
    const int ax = (int)(a % w), ay = (int)(a / w), bx = (int)(b % w), by = (int)(b / w);
    const int x = ax < bx ? ax : bx, y = ay < by ? ay : by;
    return (struct rectangle){x, y, (ax < bx ? bx : ax) - x + 1, (ay < by ? by : ay) - y + 1};
}

static void copy_pixels(const struct cdl_pixels *p, struct rectangle r, uint8_t *out) {
    const size_t bytes = p->format == CDL_FORMAT_RGB8 ? 3 : p->format == CDL_FORMAT_GRAY8 ? 1 : 4;
    const size_t stride = p->stride ? p->stride : (size_t)p->width * bytes;
    for (int y = 0; y < r.height; y++, out += 4 * (size_t)r.width) {
        const uint8_t *row = (const uint8_t *)p->data + (size_t)(r.y + y) * stride + (size_t)r.x * bytes;
        if (bytes == 4) {
            memcpy(out, row, 4 * (size_t)r.width);
            continue;
        }
        for (size_t x = 0; x < (size_t)r.width; x++) {
            out[4 * x] = row[x * bytes];
            out[4 * x + 1] = row[x * bytes + bytes / 3];
            out[4 * x + 2] = row[x * bytes + bytes / 3 * 2];
            out[4 * x + 3] = 255;
        }
    }
}

static size_t table_bytes(int count, int taps) { return (size_t)count * (size_t)(taps + 1) * sizeof(int32_t); }

// How many output rows from `row` on fit into what is free; 0: none.
static int rows_that_fit(const struct stage *st, const struct source *src, int row) {
    const int width = st->s->info.width, height = st->s->info.height;
    const size_t columns = table_bytes(width, src->column_taps) + 64; // 64: alignment of what is taken
    if (stage_free(st) <= columns)
        return 0;
    const size_t room = stage_free(st) - columns;
    // Upper bounds, cheap and safe: all source columns of the crop, and a row's window per output row.
    const double scale_x = (double)src->width / src->geometry.resized_width, scale_y = (double)src->height / src->geometry.resized_height;
    double columns_read = width * scale_x + src->column_taps + 2;
    columns_read = columns_read < src->width ? columns_read : src->width;
    const double per_row = 4 * columns_read * scale_y + (double)table_bytes(1, src->row_taps);
    const double once = 4 * columns_read * (src->row_taps + 2);
    if (once + per_row > (double)room)
        return 0;
    const double fit = ((double)room - once) / per_row;
    return fit < height - row ? (int)fit : height - row;
}

// Puts output rows [row, row + count) of a picture into the stage, as a job.
static void stage_band(struct stage *st, const struct source *src, int image, int row, int count) {
    struct cdl_session *s = st->s;
    const int width = s->info.width;
    const size_t columns_at = stage_take(st, table_bytes(width, src->column_taps));
    const size_t rows_at = stage_take(st, table_bytes(count, src->row_taps));
    int32_t *columns = (int32_t *)(void *)stage_at(st, columns_at), *rows = (int32_t *)(void *)stage_at(st, rows_at);
    cdl_resample_axis(src->width, src->geometry.resized_width, src->geometry.crop_left, width, src->column_taps, columns, columns + width);
    cdl_resample_axis(src->height, src->geometry.resized_height, src->geometry.crop_top + row, count, src->row_taps, rows, rows + count);

    struct rectangle upright;
    axis_range(columns, columns + width, width, src->column_taps, &upright.x, &upright.width);
    axis_range(rows, rows + count, count, src->row_taps, &upright.y, &upright.height);
    for (int i = 0; i < width; i++) // the kernel counts from the rectangle's corner; black border stays inside
        columns[i] = columns[i] > upright.x ? columns[i] - upright.x : 0;
    for (int i = 0; i < count; i++)
        rows[i] = rows[i] > upright.y ? rows[i] - upright.y : 0;

    const struct rectangle stored = stored_rectangle(src, upright);
    const size_t pixels_at = stage_take(st, 4 * (size_t)stored.width * (size_t)stored.height);
    copy_pixels(src->pixels, stored, stage_at(st, pixels_at));
    struct cdl_pixel_walk walk; // within the rectangle, in words
    cdl_orient(src->pixels->orientation, stored.width, stored.height, (size_t)stored.width, 1, &walk);

    const size_t plane = (size_t)width * (size_t)s->info.height * (s->plan.fp16 ? 8 : 16);
    struct preprocess_job *jobs = (struct preprocess_job *)(void *)stage_at(st, 0);
    const uint64_t base = st->slot->staging.address;
    jobs[st->num_jobs++] = (struct preprocess_job){
        .pixels = base + pixels_at, .columns = base + columns_at, .rows = base + rows_at,
        .dst = s->arena.address + s->plan.value_at[0] + (size_t)image * plane,
        .base = (int)walk.base, .step_x = (int)walk.step_x, .step_y = (int)walk.step_y,
        .column_taps = src->column_taps, .row_taps = src->row_taps, .first_row = row, .num_rows = count,
        .swap_rb = src->pixels->format == CDL_FORMAT_BGRA8,
    };
    st->max_rows = count > st->max_rows ? count : st->max_rows;
}

static void launch_jobs(const struct stage *st, struct cdl_launch *out) {
    const struct cdl_recipe *recipe = &st->s->model->recipe;
    *out = (struct cdl_launch){.push_bytes = sizeof out->push.preprocess};
    out->push.preprocess = (struct preprocess_params){
        .jobs = st->slot->staging.address, .num_jobs = st->num_jobs, .dst_w = st->s->info.width, .max_rows = st->max_rows,
        .mean_r = recipe->mean[0], .mean_g = recipe->mean[1], .mean_b = recipe->mean[2],
        .std_r = recipe->std[0], .std_g = recipe->std[1], .std_b = recipe->std[2],
    };
    const uint64_t pixels = (uint64_t)st->num_jobs * (uint64_t)st->max_rows * (uint64_t)st->s->info.width;
    cdl_launch_workgroups(out, (pixels + CDL_POINTWISE_SIZE - 1) / CDL_POINTWISE_SIZE);
}

// Submits what is staged; with the last part, the network behind it.
static cdl_result submit_part(struct stage *st, VkPipeline pipeline, const struct cdl_launch *launch, bool first, bool last) {
    struct cdl_session *s = st->s;
    struct cdl_device *dev = s->dev;
    const VkCommandBuffer commands[] = {st->slot->preprocess, st->slot->network};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    cdl_result r = cdl_buffer_flush(&st->slot->staging, dev);
    if (r != CDL_OK)
        return r;
    CDL_VK(dev, BeginCommandBuffer(st->slot->preprocess, &begin));
    // An earlier run of this session, in another slot, may still use the arena.
    cdl_barrier(dev, st->slot->preprocess, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    if (st->slot->queries && first) {
        dev->vkd.CmdResetQueryPool(st->slot->preprocess, st->slot->queries, 0, (uint32_t)s->num_queries);
        dev->vkd.CmdWriteTimestamp(st->slot->preprocess, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, st->slot->queries, 0);
    }
    cdl_dispatch(dev, st->slot->preprocess, pipeline, launch);
    CDL_VK(dev, EndCommandBuffer(st->slot->preprocess));
    r = cdl_queue_submit(dev, commands, last ? 2 : 1, st->slot->done, st->slot->submitted + 1);
    if (r == CDL_OK)
        st->slot->submitted++;
    if (r == CDL_OK && !last)
        r = cdl_slot_wait(s, st->slot, UINT64_MAX);
error:
    return r;
}

static cdl_result submit_pictures(struct stage *st, const struct cdl_pixels *images, int count) {
    cdl_result r = CDL_OK;
    struct cdl_launch launch;
    bool first = true;
    stage_reset(st);
    for (int image = 0; r == CDL_OK && image < count; image++) {
        struct source src;
        r = describe_source(st, &images[image], &src);
        for (int row = 0; r == CDL_OK && row < st->s->info.height;) {
            const int rows = rows_that_fit(st, &src, row);
            if (rows > 0 && st->num_jobs < st->s->info.max_batch) {
                stage_band(st, &src, image, row, rows);
                row += rows;
                if (row == st->s->info.height)
                    break; // the next picture may join this part
            } else if (st->num_jobs == 0) {
                return cdl_fail(&st->s->dev->log, CDL_ERR_NOMEM, "a picture of %dx%d pixels does not fit through a staging buffer of %zu MB; "
                                "raise staging_bytes", images[image].width, images[image].height, st->s->info.staging_bytes >> 20);
            }
            launch_jobs(st, &launch);
            r = submit_part(st, st->s->preprocess, &launch, first, false);
            first = false;
            stage_reset(st);
        }
    }
    if (r != CDL_OK)
        return r;
    launch_jobs(st, &launch);
    return submit_part(st, st->s->preprocess, &launch, first, true);
}

static cdl_result submit_tensors(struct stage *st, const struct cdl_pixels *images, int count) {
    struct cdl_session *s = st->s;
    const size_t plane = (size_t)s->info.width * (size_t)s->info.height, bytes = plane * 12;
    const int fit = (int)((s->info.staging_bytes - st->jobs_bytes) / bytes);
    cdl_result r = CDL_OK;
    for (int image = 0; r == CDL_OK && image < count; image += fit) {
        const int part = count - image < fit ? count - image : fit;
        for (int i = 0; i < part; i++)
            memcpy(stage_at(st, st->jobs_bytes + (size_t)i * bytes), images[image + i].data, bytes);
        struct cdl_launch launch = {.push_bytes = sizeof launch.push.import};
        launch.push.import = (struct import_params){
            .src = st->slot->staging.address + st->jobs_bytes,
            .dst = s->arena.address + s->plan.value_at[0] + (size_t)image * plane * (s->plan.fp16 ? 8 : 16),
            .images = part, .dst_h = s->info.height, .dst_w = s->info.width,
        };
        cdl_launch_workgroups(&launch, ((uint64_t)part * plane + CDL_POINTWISE_SIZE - 1) / CDL_POINTWISE_SIZE);
        r = submit_part(st, s->import, &launch, image == 0, image + part == count);
    }
    return r;
}

cdl_result cdl_submit_images(struct cdl_session *s, struct cdl_slot *slot, const struct cdl_pixels *images, int count) {
    struct stage st = {.s = s, .slot = slot,
                       .jobs_bytes = cdl_align_up((size_t)s->info.max_batch * sizeof(struct preprocess_job), 256)};
    return images[0].format == CDL_FORMAT_TENSOR_F32 ? submit_tensors(&st, images, count) : submit_pictures(&st, images, count);
}
