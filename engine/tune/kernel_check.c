// kernel_check.c - a small convolution on the device beside plain C; or one and what comes before it, a convolution or
// an average, that one kernel does.
//
// Sources and weights are multiples of 1/64 between -1 and 1, which halves hold exactly. An output is right when it
// lies within the rounding that its storage and any order of summation allow, measured by the sum of the magnitudes of
// its terms: a lost or misplaced term shows.
#include "tune/kernel_check.h"

#include <math.h>
#include <stdlib.h>

#include "tune/check_run.h"

enum { IMAGES = CDL_CHECK_IMAGES, ALIGN = 256 };
enum { SOURCE, ADDED, RESULT, MIDDLE, NUM_VALUES }; // of the trial's graph; MIDDLE: between two operations

struct trial {
    struct cdl_graph graph;
    struct cdl_op ops[CDL_MAX_FUSED];
    int num_ops;
    struct cdl_value values[NUM_VALUES];
    struct cdl_tensor weight[CDL_MAX_FUSED], bias[CDL_MAX_FUSED];
    struct cdl_kernel kernel;
    float *memory;                 // all of the following
    float *weights[CDL_MAX_FUSED]; // [dst][src / groups][kernel_h][kernel_w]
    float *biases[CDL_MAX_FUSED];  // [dst]
    float *data[2];                // SOURCE and ADDED: [IMAGES][height][width][channels]
    float *scratch;
    struct cdl_check_run run; // in: source, added, packed weights; out: RESULT
    size_t added_at, weights_at[CDL_MAX_FUSED];
    size_t kept_at; // in `out`, of MIDDLE where the kernel keeps it
};

static bool adds(const struct trial *t) { return t->ops[t->num_ops - 1].residual >= 0; }

static struct cdl_work work_of(const struct trial *t) { return (struct cdl_work){&t->graph, t->ops, t->num_ops}; }

// ---- which shape

static int at_most(int a, int b) { return a < b ? a : b; }

// The source that gives dst_height x dst_width; of an average, any.
static struct cdl_value source_value(const struct cdl_op *op, const struct cdl_check_size *size, bool fp32) {
    if (op->kind == CDL_OP_AVG_POOL)
        return (struct cdl_value){5, 11, size->src_channels, fp32};
    return cdl_check_source(op, size, fp32);
}

// Whether the device's list for the shape has the very kernel; then it is the one to check.
static bool listed(struct trial *t, const struct cdl_kernel *kernel, const struct cdl_caps *caps) {
    struct cdl_kernel list[CDL_MAX_KERNELS];
    if (t->values[SOURCE].height < 1 || t->values[SOURCE].width < 1)
        return false;
    t->graph = (struct cdl_graph){.ops = t->ops,
                                  .values = t->values,
                                  .num_ops = t->num_ops,
                                  .num_values = NUM_VALUES,
                                  .output = RESULT,
                                  .map = RESULT,
                                  .features = RESULT};
    const struct cdl_work work = work_of(t);
    const int count = cdl_kernels_for(&work, IMAGES, caps, kernel->program.fp16, list);
    const int found = cdl_kernel_by_id(list, count, cdl_program_id(&kernel->program));
    if (found >= 0)
        t->kernel = list[found];
    return found >= 0;
}

// Sets the shape; true when the device's list for it has the kernel.
static bool try_shape(struct trial *t, const struct cdl_work *work, const struct cdl_kernel *kernel,
                      const struct cdl_caps *caps, const struct cdl_check_size *size) {
    const struct cdl_op *op = &work->ops[0];
    const struct cdl_value *src = &work->graph->values[op->src], *dst = &work->graph->values[op->dst];
    t->ops[0] = *op;
    t->ops[0].groups = size->groups;
    t->ops[0].src = SOURCE;
    t->ops[0].residual = op->residual >= 0 ? ADDED : -1;
    t->ops[0].dst = RESULT;
    t->ops[0].norm = (struct cdl_batch_norm){0};
    t->values[RESULT] = (struct cdl_value){size->dst_height, size->dst_width, size->dst_channels, dst->fp32};
    t->values[ADDED] = t->values[RESULT];
    t->values[SOURCE] = source_value(op, size, src->fp32);
    return listed(t, kernel, caps);
}

// The same of two operations: of as many channels between them as they have, which the kernel's constants tell.
static bool try_pair(struct trial *t, const struct cdl_work *work, const struct cdl_kernel *kernel,
                     const struct cdl_caps *caps, int dst_channels, int dst_height, int dst_width) {
    const struct cdl_value *values = work->graph->values;
    for (int i = 0; i < 2; i++) {
        t->ops[i] = work->ops[i];
        t->ops[i].norm = (struct cdl_batch_norm){0};
    }
    t->ops[0].src = SOURCE;
    t->ops[0].dst = t->ops[1].src = MIDDLE;
    t->ops[1].residual = work->ops[1].residual >= 0 ? ADDED : -1;
    t->ops[1].dst = RESULT;
    t->values[RESULT] = (struct cdl_value){dst_height, dst_width, dst_channels, values[work->ops[1].dst].fp32};
    t->values[ADDED] = t->values[RESULT];
    t->values[MIDDLE] = values[work->ops[1].src];
    t->values[MIDDLE].height = dst_height;
    t->values[MIDDLE].width = dst_width;
    const struct cdl_check_size size = {
        .src_channels = values[work->ops[0].src].channels, .dst_height = dst_height, .dst_width = dst_width};
    t->values[SOURCE] = source_value(&t->ops[0], &size, false);
    return listed(t, kernel, caps);
}

static bool find_pair_shape(struct trial *t, const struct cdl_work *work, const struct cdl_kernel *kernel,
                            const struct cdl_caps *caps) {
    const struct cdl_value *dst = &work->graph->values[cdl_work_dst(work)];
    // A tile is as high and wide as the picture in equal parts; some tiles, the last of them not full.
    for (int h = at_most(9, dst->height); h <= dst->height; h++)
        for (int w = at_most(9, dst->width); w <= dst->width; w++)
            if (try_pair(t, work, kernel, caps, at_most(88, dst->channels), h, w))
                return true;
    return false;
}

// The cheapest shape of some: few channels first, then few pixels; at last the operation's own.
static bool find_shape(struct trial *t, const struct cdl_work *work, const struct cdl_kernel *kernel,
                       const struct cdl_caps *caps) {
    const struct cdl_op *op = &work->ops[0];
    if (work->num_ops > 1)
        return find_pair_shape(t, work, kernel, caps);
    const struct cdl_value *src = &work->graph->values[op->src], *dst = &work->graph->values[op->dst];
    for (int p = 0; p < CDL_CHECK_PIXELS; p++)
        for (int c = 0; c < CDL_CHECK_CHANNELS; c++) {
            const struct cdl_check_size size = cdl_check_size(op, src, dst, p, c);
            if (try_shape(t, work, kernel, caps, &size))
                return true;
        }
    return false;
}

// ---- data

static size_t count_weights(const struct trial *t, const struct cdl_op *op) {
    if (op->kind != CDL_OP_CONV)
        return 0;
    return (size_t)t->values[op->dst].channels *
           (size_t)(t->values[op->src].channels / op->groups * op->kernel_h * op->kernel_w);
}

// Sets the operation's tensors, whose numbers lie at *at, and moves that behind them.
static void set_tensors(struct trial *t, int i, float **at) {
    struct cdl_op *op = &t->ops[i];
    if (op->kind != CDL_OP_CONV)
        return;
    const int dst = t->values[op->dst].channels, group_src = t->values[op->src].channels / op->groups;
    t->weights[i] = *at;
    t->biases[i] = t->weights[i] + count_weights(t, op);
    *at = t->biases[i] + dst;
    t->weight[i] = (struct cdl_tensor){
        .name = "kernel check",
        .dtype = CDL_DTYPE_F32,
        .num_dims = 4,
        .shape = {dst, group_src, op->kernel_h, op->kernel_w},
        .stride = {group_src * op->kernel_h * op->kernel_w, op->kernel_h * op->kernel_w, op->kernel_w, 1},
        .data = (const uint8_t *)t->weights[i],
    };
    t->bias[i] = (struct cdl_tensor){.name = "kernel check",
                                     .dtype = CDL_DTYPE_F32,
                                     .num_dims = 1,
                                     .shape = {dst},
                                     .stride = {1},
                                     .data = (const uint8_t *)t->biases[i]};
    op->weight = &t->weight[i];
    op->bias = &t->bias[i];
}

static cdl_result make_data(struct trial *t, struct cdl_device *dev) {
    size_t count = cdl_check_elements(&t->values[SOURCE]) + (adds(t) ? cdl_check_elements(&t->values[ADDED]) : 0),
           scratch = 0;
    for (int i = 0; i < t->num_ops; i++) {
        const size_t dst = (size_t)t->values[t->ops[i].dst].channels, weights = count_weights(t, &t->ops[i]);
        count += weights + dst;
        scratch += weights / dst + 5 * dst; // as cdl_weights_scratch has it
    }
    t->memory = malloc((count + scratch) * sizeof(float));
    if (!t->memory)
        return cdl_check_no_memory(dev);
    cdl_check_fill(t->memory, count);
    float *at = t->memory;
    for (int i = 0; i < t->num_ops; i++)
        set_tensors(t, i, &at);
    t->data[SOURCE] = at;
    t->data[ADDED] = t->data[SOURCE] + cdl_check_elements(&t->values[SOURCE]);
    t->scratch = t->memory + count;
    return CDL_OK;
}

// Bytes of one of the trial's values, all images.
static size_t stored_bytes(const struct trial *t, int value) {
    return (size_t)IMAGES * cdl_value_bytes(&t->values[value], t->kernel.program.fp16);
}

// Writes source, added and weights to `in`, laid out as `t` says.
static void write_inputs(const struct trial *t, uint8_t *in) {
    const bool fp16 = t->kernel.program.fp16;
    cdl_value_store(&t->values[SOURCE], fp16, IMAGES, t->data[SOURCE], in);
    if (adds(t))
        cdl_value_store(&t->values[ADDED], fp16, IMAGES, t->data[ADDED], in + t->added_at);
    for (int i = 0; i < t->num_ops; i++)
        if (t->kernel.weights[i].bytes)
            cdl_weights_pack(&t->kernel.weights[i], &t->graph, &t->ops[i], t->scratch, in + t->weights_at[i]);
}

static cdl_result make_buffers(struct trial *t, struct cdl_device *dev) {
    t->added_at = cdl_align_up(stored_bytes(t, SOURCE), ALIGN);
    size_t end = t->added_at + (adds(t) ? cdl_align_up(stored_bytes(t, ADDED), ALIGN) : 0);
    for (int i = 0; i < t->num_ops; i++) {
        t->weights_at[i] = end;
        end += cdl_align_up(t->kernel.weights[i].bytes, ALIGN);
    }
    const size_t kept = t->kernel.keeps_middle ? stored_bytes(t, MIDDLE) + CDL_CHECK_GUARD : 0;
    t->kept_at = cdl_align_up(stored_bytes(t, RESULT) + CDL_CHECK_GUARD, ALIGN);
    uint8_t *inputs = calloc(1, end);
    if (!inputs)
        return cdl_check_no_memory(dev);
    write_inputs(t, inputs);
    const cdl_result r = cdl_check_run_create(&t->run, dev, inputs, end, t->kept_at + kept);
    free(inputs);
    return r;
}

// ---- reference

struct expected {
    double value, magnitude;
};

static double relu(double x) { return x > 0 ? x : 0; }

// The average that is the first of two operations.
static struct expected average(const struct trial *t, int image, int channel) {
    const struct cdl_value *src = &t->values[SOURCE];
    const size_t area = (size_t)src->height * (size_t)src->width, channels = (size_t)src->channels;
    struct expected e = {0, 0};
    for (size_t i = (size_t)image * area; i < ((size_t)image + 1) * area; i++) {
        const double x = (double)t->data[SOURCE][i * channels + (size_t)channel] / (double)area;
        e.value += x;
        e.magnitude += fabs(x);
    }
    return e;
}

// One value of ops[which]'s sum. The second of two operations reads what the first makes.
static struct expected convolve(const struct trial *t, int which, int image, int y, int x, int channel) {
    const struct cdl_op *op = &t->ops[which];
    const struct cdl_value *src = &t->values[op->src], *dst = &t->values[op->dst];
    const int group_src = src->channels / op->groups, group = channel / (dst->channels / op->groups);
    const double bias = (double)t->biases[which][channel];
    struct expected e = {bias, fabs(bias)};
    for (int ky = 0; ky < op->kernel_h; ky++)
        for (int kx = 0; kx < op->kernel_w; kx++) {
            const int sy = y * op->stride + ky - op->padding, sx = x * op->stride + kx - op->padding;
            if (sy < 0 || sy >= src->height || sx < 0 || sx >= src->width)
                continue;
            for (int c = 0; c < group_src; c++) {
                const size_t at =
                    ((size_t)(image * src->height + sy) * (size_t)src->width + (size_t)sx) * (size_t)src->channels;
                const size_t w =
                    (((size_t)channel * (size_t)group_src + (size_t)c) * (size_t)op->kernel_h + (size_t)ky) *
                        (size_t)op->kernel_w +
                    (size_t)kx;
                const double weight = (double)t->weights[which][w];
                struct expected in;
                if (which > 0 && t->ops[0].kind == CDL_OP_AVG_POOL) {
                    in = average(t, image, c);
                } else if (which > 0) {
                    in = convolve(t, which - 1, image, sy, sx, c);
                    in.value = relu(in.value);
                } else {
                    in.value = (double)t->data[SOURCE][at + (size_t)(group * group_src + c)];
                    in.magnitude = fabs(in.value);
                }
                e.value += in.value * weight;
                e.magnitude += in.magnitude * fabs(weight);
            }
        }
    return e;
}

static struct expected reference(const struct trial *t, int image, int y, int x, int channel) {
    const struct cdl_op *op = &t->ops[t->num_ops - 1];
    const struct cdl_value *dst = &t->values[RESULT];
    struct expected e = convolve(t, t->num_ops - 1, image, y, x, channel);
    if (op->residual >= 0) {
        const size_t at = ((size_t)(image * dst->height + y) * (size_t)dst->width + (size_t)x) * (size_t)dst->channels +
                          (size_t)channel;
        e.value += (double)t->data[ADDED][at];
        e.magnitude += fabs((double)t->data[ADDED][at]);
    }
    if (op->relu)
        e.value = relu(e.value);
    return e;
}

// RESULT, or an average that the kernel keeps as MIDDLE, at `out`.
static bool check(const struct trial *t, int value, const uint8_t *out) {
    const struct cdl_value *dst = &t->values[value];
    const bool fp16 = t->kernel.program.fp16 && !dst->fp32;
    const size_t padded = (size_t)cdl_padded_channels(dst->channels), width = (size_t)dst->width;
    const size_t bytes = stored_bytes(t, value), total = bytes / (fp16 ? 2 : 4);
    const double tolerance = t->kernel.program.fp16 ? 4e-3 : 1e-5;
    if (!cdl_check_guarded(out + bytes))
        return false;
    for (size_t n = 0; n < CDL_CHECK_SAMPLES && n < total; n++) {
        const size_t at = cdl_check_sample(n, total);
        const double got = fp16 ? (double)cdl_f16_to_f32(((const uint16_t *)(const void *)out)[at])
                                : (double)((const float *)(const void *)out)[at];
        const size_t channel = at % padded, pixel = at / padded;
        struct expected e = {0, 0}; // padding channels
        if (channel < (size_t)dst->channels && value == MIDDLE)
            e = average(t, (int)pixel, (int)channel);
        else if (channel < (size_t)dst->channels)
            e = reference(t, (int)(pixel / width / (size_t)dst->height), (int)(pixel / width % (size_t)dst->height),
                          (int)(pixel % width), (int)channel);
        if (!(fabs(got - e.value) <= tolerance * e.magnitude))
            return false;
    }
    return true;
}

// ---- run

static cdl_result run(struct trial *t, struct cdl_once *once, bool *passed) {
    struct cdl_launch launch;
    cdl_result r = make_data(t, once->dev);
    if (r == CDL_OK)
        r = make_buffers(t, once->dev);
    if (r != CDL_OK)
        return r;
    const struct cdl_work work = work_of(t);
    struct cdl_addresses at = {
        .src = t->run.in.address,
        .residual = adds(t) ? t->run.in.address + t->added_at : 0,
        .dst = t->run.out.address,
        .middle = t->kernel.keeps_middle ? t->run.out.address + t->kept_at : 0,
    };
    for (int i = 0; i < t->num_ops; i++)
        at.weights[i] = t->run.in.address + t->weights_at[i];
    cdl_kernel_launch(&t->kernel, &work, IMAGES, &at, &launch);
    r = cdl_check_run(&t->run, once, &t->kernel.program, &launch, 1, passed);
    *passed = *passed && check(t, RESULT, t->run.out.mapped) &&
              (!t->kernel.keeps_middle || check(t, MIDDLE, (const uint8_t *)t->run.out.mapped + t->kept_at));
    return r;
}

cdl_result cdl_kernel_check(bool *passed, struct cdl_once *once, const struct cdl_work *work,
                            const struct cdl_kernel *kernel) {
    struct trial t = {.num_ops = work->num_ops};
    *passed = false;
    if (!find_shape(&t, work, kernel, &once->dev->caps))
        return cdl_check_not_listed(once->dev, work->ops[0].name, &kernel->program);
    const cdl_result r = run(&t, once, passed);
    cdl_check_run_destroy(&t.run, once->dev);
    free(t.memory);
    return r;
}
