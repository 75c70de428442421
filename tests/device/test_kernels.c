// test_kernels.c - every kernel on every case of the table, against plain C: exact data to the bit, random data
// within a stated bound, nothing written outside the output, nothing unwritten inside it.
//
//   test_kernels [PART]     only cases and kernels whose description contains PART
//   CARDINAL_TEST_PART=N    each case runs on the first choices for this device, and on one in N of the others, N being
//                           4 by default; on others for another seed. Of those that a CPU driver compiles for long, on
//                           one in 4 N. 1: every legal kernel on every case.
#include <math.h>

#include "support/device_batch.h"
#include "kernels/preprocess.h"
#include "support/reference_ops.h"
#include "support/reference_preprocess.h"

enum { MAX_PENDING = 512, MAX_COMPLAINTS = 20 };

// A case with data and expectations, shared by the kernels that run on it.
struct prepared {
    struct op_case c;
    struct op_instance op; // of c
    struct reference reference;
    enum op_data data;
    size_t src, residual; // in the batch
    bool uploaded;
};

struct pending {
    struct prepared *p;
    struct cdl_kernel kernel;
    size_t dst, middle; // in the batch; middle: of two operations, where the kernel keeps that
};

static struct {
    struct device_batch *batch;
    struct pending pending[MAX_PENDING];
    struct prepared *prepared[MAX_PENDING];
    int num_pending, num_prepared;
    int num_checked, num_failed, num_legal;
    const char *only;
    uint64_t part; // see CARDINAL_TEST_PART
} t;

static const char *describe(const struct pending *p) {
    static char text[600];
    char shape[256], kernel[CDL_PROGRAM_NAME];
    case_text(p->p->op.c, shape, sizeof shape);
    cdl_program_name(&p->kernel.program, kernel);
    snprintf(text, sizeof text, "%s, %s data; kernel %s %s", shape, p->p->data == DATA_EXACT ? "exact" : "random",
             kernel, p->kernel.program.fp16 ? "fp16" : "fp32");
    return text;
}

static void complain(const char *text) {
    if (t.num_failed++ < MAX_COMPLAINTS)
        print_error("%s\n", text);
    else if (t.num_failed == MAX_COMPLAINTS + 1)
        print_error("... and more\n");
}

static float stored(const void *data, size_t i, bool fp16) {
    return fp16 ? cdl_f16_to_f32(((const uint16_t *)data)[i]) : ((const float *)data)[i];
}

// What the reference allows, and what the kernel's fp16 sums cost where there is such (conv_half.comp).
static double bound_at(const struct pending *p, int value, size_t at) {
    const struct reference *ref = &p->p->reference;
    if (value == 1)
        return ref->middle_bound[at];
    return ref->bound[at] + (p->p->data != DATA_EXACT ? p->kernel.half_products * 0x1p-11 * ref->magnitude[at] : 0);
}

// Value 2, the destination, or value 1, what is between two operations. Channels from `channels` on are padding, and
// zero.
static void check(const struct pending *p, int which) {
    const struct op_instance *op = &p->p->op;
    const double *values = which == 1 ? p->p->reference.middle : p->p->reference.value;
    const struct cdl_value *v = &op->values[which];
    const int channels = v->channels, padded = cdl_padded_channels(channels);
    const size_t pixels = (size_t)op->c->images * (size_t)v->height * (size_t)v->width;
    const void *data = batch_at(t.batch, which == 1 ? p->middle : p->dst);
    size_t wrong = 0, first = 0;
    double worst = 0;
    for (size_t pixel = 0; pixel < pixels; pixel++)
        for (int o = 0; o < padded; o++) {
            const size_t at = pixel * (size_t)padded + (size_t)o, from = pixel * (size_t)channels + (size_t)o;
            const double value = (double)stored(data, at, value_is_fp16(op, which));
            const double expected = o < channels ? values[from] : 0,
                         bound = o < channels ? bound_at(p, which, from) : 0;
            const double difference = fabs(value - expected);
            if (difference <= bound) // false for NaN
                continue;
            if (wrong++ == 0)
                first = at;
            worst = difference > worst ? difference : worst;
        }
    t.num_checked++;
    if (!wrong)
        return;
    char text[1000];
    const size_t pixel = first / (size_t)padded, o = first % (size_t)padded;
    const size_t from = pixel * (size_t)channels + o;
    snprintf(
        text, sizeof text,
        "%s\n    %zu of %zu values wrong, by up to %g; the first at pixel %zu channel %zu%s: %g, expected %g +- %g",
        describe(p), wrong, pixels * (size_t)padded, worst, pixel, o, o < (size_t)channels ? "" : " (padding)",
        (double)stored(data, first, value_is_fp16(op, which)), o < (size_t)channels ? values[from] : 0,
        o < (size_t)channels ? bound_at(p, which, from) : 0);
    complain(text);
}

static void check_guards(bool intact, size_t damaged_at) {
    if (intact)
        return;
    const struct pending *nearest = &t.pending[0];
    for (int i = 0; i < t.num_pending; i++)
        if (t.pending[i].dst <= damaged_at)
            nearest = &t.pending[i];
    char text[800];
    snprintf(text, sizeof text, "guard words or an input changed; the nearest output before is of: %s",
             describe(nearest));
    complain(text);
}

static void flush(void) {
    size_t damaged_at;
    if (t.num_pending) {
        const bool intact = batch_run(t.batch, &damaged_at);
        check_guards(intact, damaged_at);
        for (int i = 0; i < t.num_pending; i++)
            for (int value = t.pending[i].kernel.keeps_middle ? 1 : 2; value <= 2; value++)
                check(&t.pending[i], value);
        batch_reset(t.batch);
    }
    for (int i = 0; i < t.num_prepared; i++) {
        op_instance_free(&t.prepared[i]->op);
        reference_free(&t.prepared[i]->reference);
        free(t.prepared[i]);
    }
    t.num_pending = t.num_prepared = 0;
}

static size_t value_bytes(const struct op_instance *op, int value) {
    const struct cdl_value *v = &op->values[value];
    return (size_t)op->c->images * (size_t)v->height * (size_t)v->width * (size_t)cdl_padded_channels(v->channels) *
           (value_is_fp16(op, value) ? 2 : 4);
}

// [pixels][channels] to storage, padded with zeros.
static size_t upload(const struct op_instance *op, int value, const float *data) {
    const size_t bytes = value_bytes(op, value), channels = (size_t)op->values[value].channels;
    const size_t padded = (size_t)cdl_padded_channels(op->values[value].channels),
                 element = value_is_fp16(op, value) ? 2 : 4;
    uint8_t *out = must_alloc(bytes, 1);
    for (size_t i = 0; i < bytes / element / padded * channels; i++) {
        const size_t at = i / channels * padded + i % channels;
        if (element == 2)
            ((uint16_t *)(void *)out)[at] = cdl_f32_to_f16(data[i]);
        else
            ((float *)(void *)out)[at] = data[i];
    }
    const size_t at = batch_add(t.batch, bytes, out);
    free(out);
    return at;
}

// Whose products are all unrolled: a CPU driver takes up to ten seconds for each of the persistent kernels.
static bool compiles_for_long(const struct cdl_kernel *kernel) {
    const char *name = kernel->program.shader->name;
    return harness.info.software && (strstr(name, "persist") || strcmp(name, "conv_tiled") == 0);
}

// The kernels of a case that this run tests, moved to the front.
static int select_kernels(struct cdl_kernel *kernels, int count, int index) {
    int n = 0;
    for (int i = 0; i < count; i++)
        if (t.part == 1 || t.only || (i < 2 && !compiles_for_long(&kernels[i])) ||
            ((uint64_t)(i + index) + harness_seed()) % (compiles_for_long(&kernels[i]) ? 4 * t.part : t.part) == 0)
            kernels[n++] = kernels[i];
    return n;
}

static void enqueue(struct prepared *p, const struct cdl_kernel *kernel) {
    const struct op_instance *op = &p->op;
    struct pending *pending = &t.pending[t.num_pending];
    struct cdl_addresses at = {0};
    struct cdl_launch launch;
    *pending = (struct pending){.p = p, .kernel = *kernel};
    if (t.only && !strstr(describe(pending), t.only))
        return;
    if (!p->uploaded) {
        reference_compute(&p->reference, op, p->data == DATA_EXACT);
        p->src = upload(op, 0, op->src);
        if (op->residual)
            p->residual = upload(op, 1, op->residual);
        p->uploaded = true;
    }
    const struct cdl_weight_layout *layout = &kernel->weights[op->num_ops - 1];
    if (layout->bytes) {
        uint8_t *weights = must_alloc(layout->bytes, 1);
        float *scratch = must_alloc(cdl_weights_scratch(op_last(op)), sizeof *scratch);
        memset(weights, 0xff, layout->bytes); // what packing leaves out is NaN
        cdl_weights_pack(layout, &op->graph, op_last(op), scratch, weights);
        at.weights[op->num_ops - 1] = batch_address(t.batch, batch_add(t.batch, layout->bytes, weights));
        free(scratch);
        free(weights);
    }
    pending->dst = batch_add(t.batch, value_bytes(op, 2), NULL);
    if (kernel->keeps_middle) {
        pending->middle = batch_add(t.batch, value_bytes(op, 1), NULL);
        at.middle = batch_address(t.batch, pending->middle);
    }
    at.src = batch_address(t.batch, p->src);
    at.residual = op->residual ? batch_address(t.batch, p->residual) : 0;
    at.dst = batch_address(t.batch, pending->dst);
    const struct cdl_work work = op_work(op);
    cdl_kernel_launch(kernel, &work, op->c->images, &at, &launch);
    batch_dispatch(t.batch, &kernel->program, &launch);
    t.num_pending++;
}

static void run_case(int index, enum op_data data, bool fp16) {
    struct op_case c = op_cases[index];
    struct cdl_kernel kernels[2 * CDL_MAX_KERNELS];
    struct prepared *p = must_alloc(1, sizeof *p);
    c.norm = c.norm && data == DATA_RANDOM; // folding is not exact; on the device it makes no difference
    p->c = c;
    op_instance_init(&p->op, &p->c, data, fp16, (uint64_t)(index * 4 + (data == DATA_RANDOM) * 2 + fp16));
    p->data = data;
    const int legal = legal_kernels(&p->op, &harness.dev->caps, kernels), count = select_kernels(kernels, legal, index);
    t.num_legal += legal;
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += cdl_align_up(kernels[i].weights[p->op.num_ops - 1].bytes, 256) + value_bytes(&p->op, 2) + 512 +
                 (kernels[i].keeps_middle ? value_bytes(&p->op, 1) + 512 : 0);
    bytes += value_bytes(&p->op, 0) + value_bytes(&p->op, 1) + 1024;
    if (!batch_fits(t.batch, bytes, 2 + 3 * count) || t.num_pending + count > MAX_PENDING ||
        t.num_prepared == MAX_PENDING)
        flush();
    t.prepared[t.num_prepared++] = p;
    for (int i = 0; i < count; i++)
        enqueue(p, &kernels[i]);
}

// Compiles what the cases of a kind need, on all processors: CPU drivers take longer for that than for running them.
static void compile_kind(enum case_kind kind) {
    struct cdl_kernel *kernels = must_alloc((size_t)num_op_cases * 4 * CDL_MAX_KERNELS, sizeof *kernels);
    int count = 0;
    for (int i = 0; i < num_op_cases; i++)
        for (int fp16 = 0; op_cases[i].kind == kind && fp16 < 2; fp16++) {
            struct op_instance op;
            op_instance_init_shape(&op, &op_cases[i], fp16);
            count += select_kernels(&kernels[count], legal_kernels(&op, &harness.dev->caps, &kernels[count]), i);
            op_instance_free(&op);
        }
    struct cdl_program *programs = must_alloc((size_t)count, sizeof *programs);
    for (int i = 0; i < count; i++)
        programs[i] = kernels[i].program;
    batch_compile(t.batch, programs, count);
    free(programs);
    free(kernels);
}

static void run_kind(enum case_kind kind) {
    int cases = 0;
    t.num_checked = t.num_failed = t.num_legal = 0;
    t.batch = batch_open(harness.dev);
    if (!t.only)
        compile_kind(kind);
    for (int i = 0; i < num_op_cases; i++) {
        if (op_cases[i].kind != kind)
            continue;
        cases++;
        for (int fp16 = 0; fp16 < 2; fp16++) {
            if (kind != CASE_BATCH_NORM && kind != CASE_AVG_POOL &&
                kind != CASE_AVG_POOL_LINEAR) // they divide: no data is exact
                run_case(i, DATA_EXACT, fp16);
            run_case(i, DATA_RANDOM, fp16);
        }
    }
    flush();
    print_message("%d cases, %d pipelines, %d of %d legal runs\n", cases, t.batch->num_pipelines, t.num_checked,
                  t.num_legal);
    batch_close(&t.batch);
    if (t.num_failed)
        fail_msg("%d failures", t.num_failed);
    if (!t.only)
        assert_true(cases > 0 && t.num_checked >= 2 * cases);
}

static void test_conv(void **state) {
    (void)state;
    run_kind(CASE_CONV);
}
static void test_linear(void **state) {
    (void)state;
    run_kind(CASE_LINEAR);
}
static void test_batch_norm(void **state) {
    (void)state;
    run_kind(CASE_BATCH_NORM);
}
static void test_max_pool(void **state) {
    (void)state;
    run_kind(CASE_MAX_POOL);
}
static void test_avg_pool(void **state) {
    (void)state;
    run_kind(CASE_AVG_POOL);
}
static void test_avg_pool_linear(void **state) {
    (void)state;
    run_kind(CASE_AVG_POOL_LINEAR);
}

// ---- the kernels around the network

static void fill_logits(float *out, int stride, int classes, int images, struct random *r) {
    for (int n = 0; n < images; n++)
        for (int i = 0; i < classes; i++) {
            float v = 12 * random_float(r);
            if (n % 3 == 1)
                v = (float)(int)v; // many ties
            if (n % 3 == 2)
                v *= 5; // probabilities down to 1e-50: zero
            out[n * stride + i] = v;
        }
}

static void check_classify(const struct op_case *c, const float *src, int stride, const float *logits,
                           const float *probs, const uint32_t *order, int sort_size) {
    double *p = must_alloc((size_t)c->dst_channels, sizeof *p);
    int *expected = must_alloc((size_t)c->dst_channels, sizeof *expected);
    char shape[256];
    case_text(c, shape, sizeof shape);
    for (int n = 0; n < c->images; n++) {
        const int classes = c->dst_channels;
        reference_classify(src + n * stride, classes, p, expected);
        const double best = (double)src[n * stride + expected[0]];
        for (int i = 0; i < classes; i++) {
            const double x = (double)src[n * stride + i], prob = (double)probs[n * classes + i];
            // exp: 3 + 2 |x| ulp (Vulkan, "Precision and Operation of SPIR-V Instructions"); the sum and the division
            // on top
            const double bound = p[i] * 0x1p-23 * (40 + 2 * fabs(x - best)) + 1e-37;
            if (logits[n * classes + i] != src[n * stride + i])
                fail_msg("%s: logit %d of image %d is %g, expected %g", shape, i, n, (double)logits[n * classes + i],
                         x);
            if (!(fabs(prob - p[i]) <= bound))
                fail_msg("%s: probability %d of image %d is %g, expected %g", shape, i, n, prob, p[i]);
            if (order[n * sort_size + i] != (uint32_t)expected[i])
                fail_msg("%s: rank %d of image %d is class %u, expected %d", shape, i, n, order[n * sort_size + i],
                         expected[i]);
        }
    }
    free(p);
    free(expected);
}

static void run_classify(struct device_batch *b, const struct op_case *c) {
    struct random r = random_of((uint64_t)c->dst_channels * 8 + (uint64_t)c->images);
    const struct cdl_program program = cdl_fixed_program(CDL_CLASSIFY, false);
    const int classes = c->dst_channels, stride = cdl_padded_channels(classes);
    const size_t plane = (size_t)c->images * (size_t)classes * 4;
    float *src = must_alloc((size_t)c->images * (size_t)stride, sizeof *src);
    int sort_size = 1;
    size_t damaged_at;
    while (sort_size < classes)
        sort_size *= 2;
    fill_logits(src, stride, classes, c->images, &r);
    const size_t from = batch_add(b, (size_t)c->images * (size_t)stride * 4, src);
    const size_t logits = batch_add(b, plane, NULL), probs = batch_add(b, plane, NULL);
    const size_t order = batch_add(b, (size_t)c->images * (size_t)sort_size * 4, NULL);
    struct cdl_launch launch = {.push_bytes = sizeof launch.push.classify};
    launch.push.classify = (struct classify_params){
        .src = batch_address(b, from),
        .logits = batch_address(b, logits),
        .probs = batch_address(b, probs),
        .order = batch_address(b, order),
        .images = c->images,
        .classes = classes,
        .src_stride = stride,
        .sort_size = sort_size,
    };
    cdl_launch_workgroups(&launch, (uint64_t)c->images);
    batch_dispatch(b, &program, &launch);
    if (!batch_run(b, &damaged_at))
        fail_msg("the classification of %d classes wrote outside its outputs", classes);
    check_classify(c, src, stride, batch_at(b, logits), batch_at(b, probs), batch_at(b, order), sort_size);
    batch_reset(b);
    free(src);
}

static void test_classify(void **state) {
    (void)state;
    struct device_batch *b = batch_open(harness.dev);
    for (int i = 0; i < num_op_cases; i++)
        if (op_cases[i].kind == CASE_CLASSIFY)
            run_classify(b, &op_cases[i]);
    batch_close(&b);
}

static void run_import(struct device_batch *b, const struct op_case *c, bool fp16) {
    struct random r = random_of((uint64_t)(c->height * 2 + fp16));
    const size_t pixels = (size_t)c->height * (size_t)c->width, count = (size_t)c->images * pixels;
    float *src = must_alloc(3 * count, sizeof *src);
    size_t damaged_at;
    for (size_t i = 0; i < 3 * count; i++)
        src[i] = 3 * random_float(&r);
    const size_t from = batch_add(b, count * 12, src), to = batch_add(b, count * (fp16 ? 8 : 16), NULL);
    struct cdl_launch launch = {.push_bytes = sizeof launch.push.import};
    launch.push.import = (struct import_params){.src = batch_address(b, from),
                                                .dst = batch_address(b, to),
                                                .images = c->images,
                                                .dst_h = c->height,
                                                .dst_w = c->width};
    cdl_launch_workgroups(&launch, (count + CDL_POINTWISE_SIZE - 1) / CDL_POINTWISE_SIZE);
    const struct cdl_program program = cdl_fixed_program(CDL_IMPORT, fp16);
    batch_dispatch(b, &program, &launch);
    if (!batch_run(b, &damaged_at))
        fail_msg("import of %dx%dx%d wrote outside its output", c->images, c->height, c->width);
    for (size_t i = 0; i < 4 * count; i++) {
        const size_t n = i / 4 / pixels, pixel = i / 4 % pixels, channel = i % 4;
        const float expected = channel < 3 ? src[(n * 3 + channel) * pixels + pixel] : 0,
                    value = stored(batch_at(b, to), i, fp16);
        const double bound = fp16 ? 0x1p-10 * fabs((double)expected) + 0x1p-14 : 0;
        if (!(fabs((double)value - (double)expected) <= bound))
            fail_msg("import of %dx%dx%d %s: value %zu is %g, expected %g", c->images, c->height, c->width,
                     fp16 ? "fp16" : "fp32", i, (double)value, (double)expected);
    }
    batch_reset(b);
    free(src);
}

static void test_import(void **state) {
    (void)state;
    struct device_batch *b = batch_open(harness.dev);
    for (int i = 0; i < num_op_cases; i++)
        for (int fp16 = 0; fp16 < 2; fp16++)
            if (op_cases[i].kind == CASE_IMPORT)
                run_import(b, &op_cases[i], fp16);
    batch_close(&b);
}

// ---- preprocess: against the plain-C reference, which itself is compared with Pillow in test_preprocess.c

static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};

static cdl_interpolation filter_of(const struct op_case *c) {
    return c->bicubic ? CDL_INTERPOLATION_BICUBIC : CDL_INTERPOLATION_BILINEAR;
}

static size_t add_axis(struct device_batch *b, cdl_interpolation filter, int in_size, int out_size, int first,
                       int count, int taps) {
    int32_t *table = must_alloc((size_t)count * (size_t)(taps + 1), sizeof *table);
    cdl_resample_axis(filter, in_size, out_size, first, count, taps, table, table + count);
    const size_t at = batch_add(b, (size_t)count * (size_t)(taps + 1) * 4, table);
    free(table);
    return at;
}

// Two jobs, bands of unequal height, for one picture.
static void add_jobs(struct device_batch *b, const struct op_case *c, const uint8_t *rgba, bool swap, size_t dst,
                     struct preprocess_job jobs[2]) {
    struct cdl_pixel_walk walk;
    struct cdl_geometry g;
    cdl_orient(c->orientation, c->width, c->height, (size_t)c->width, 1, &walk);
    assert_true(cdl_resize_geometry(walk.width, walk.height, c->resize, c->crop_width, c->crop_height, &g));
    const int column_taps = cdl_resample_taps(filter_of(c), walk.width, g.resized_width),
              row_taps = cdl_resample_taps(filter_of(c), walk.height, g.resized_height);
    const size_t pixels = batch_add(b, (size_t)c->width * (size_t)c->height * 4, rgba);
    const size_t columns =
        add_axis(b, filter_of(c), walk.width, g.resized_width, g.crop_left, c->crop_width, column_taps);
    const int split = c->crop_height / 3;
    for (int i = 0; i < 2; i++) {
        const int first = i ? split : 0, count = i ? c->crop_height - split : split;
        const size_t rows =
            count ? add_axis(b, filter_of(c), walk.height, g.resized_height, g.crop_top + first, count, row_taps)
                  : columns;
        jobs[i] = (struct preprocess_job){
            .pixels = batch_address(b, pixels),
            .columns = batch_address(b, columns),
            .rows = batch_address(b, rows),
            .dst = batch_address(b, dst),
            .base = (int)walk.base,
            .step_x = (int)walk.step_x,
            .step_y = (int)walk.step_y,
            .column_taps = column_taps,
            .row_taps = row_taps,
            .first_row = first,
            .num_rows = count,
            .swap_rb = swap,
        };
    }
}

static void check_preprocessed(const struct op_case *c, const uint8_t *rgba, bool swap, const void *data, bool fp16) {
    const size_t pixels = (size_t)c->crop_width * (size_t)c->crop_height;
    uint8_t *rgb = must_alloc(pixels * 3, 1);
    float *out = must_alloc(pixels * 3, sizeof *out);
    char shape[256];
    const struct cdl_pixels picture = {.data = rgba,
                                       .width = c->width,
                                       .height = c->height,
                                       .orientation = c->orientation,
                                       .format = swap ? CDL_FORMAT_BGRA8 : CDL_FORMAT_RGBA8};
    case_text(c, shape, sizeof shape);
    assert_true(cdl_preprocess_reference(&picture, filter_of(c), c->resize, c->crop_width, c->crop_height, mean,
                                         deviation, rgb, out));
    for (size_t i = 0; i < pixels * 4; i++) {
        const size_t pixel = i / 4, channel = i % 4;
        const double value = (double)stored(data, i, fp16),
                     expected = channel < 3 ? (double)out[channel * pixels + pixel] : 0;
        const double bound = (fp16 ? 0x1p-10 : 0x1p-21) * fabs(expected) + (fp16 ? 0x1p-14 : 1e-6);
        if (!(fabs(value - expected) <= bound))
            fail_msg("%s %s%s: pixel %zu channel %zu is %g, expected %g", shape, fp16 ? "fp16" : "fp32",
                     swap ? " BGRA" : "", pixel, channel, value, expected);
        if (channel < 3 &&
            lround((value * (double)deviation[channel] + (double)mean[channel]) * 255) != rgb[pixel * 3 + channel])
            fail_msg("%s: pixel %zu channel %zu is not %d in 8 bits", shape, pixel, channel, rgb[pixel * 3 + channel]);
    }
    free(rgb);
    free(out);
}

static void run_preprocess(struct device_batch *b, const struct op_case *c, bool fp16) {
    struct random r = random_of((uint64_t)(c->width * 100 + c->height));
    struct preprocess_job jobs[2];
    const size_t bytes = (size_t)c->width * (size_t)c->height * 4;
    const bool swap = c->orientation % 2 == 0;
    uint8_t *rgba = must_alloc(bytes, 1);
    size_t damaged_at;
    for (size_t i = 0; i < bytes; i++)
        rgba[i] = (uint8_t)random_next(&r);
    const size_t dst = batch_add(b, (size_t)c->crop_width * (size_t)c->crop_height * (fp16 ? 8 : 16), NULL);
    add_jobs(b, c, rgba, swap, dst, jobs);
    const size_t table = batch_add(b, sizeof jobs, jobs);
    struct cdl_launch launch = {.push_bytes = sizeof launch.push.preprocess};
    launch.push.preprocess = (struct preprocess_params){
        .jobs = batch_address(b, table),
        .num_jobs = 2,
        .dst_w = c->crop_width,
        .max_rows = c->crop_height - c->crop_height / 3,
        .mean_r = mean[0],
        .mean_g = mean[1],
        .mean_b = mean[2],
        .std_r = deviation[0],
        .std_g = deviation[1],
        .std_b = deviation[2],
    };
    const uint64_t invocations = 2 * (uint64_t)launch.push.preprocess.max_rows * (uint64_t)c->crop_width;
    cdl_launch_workgroups(&launch, (invocations + CDL_POINTWISE_SIZE - 1) / CDL_POINTWISE_SIZE);
    const struct cdl_program program = cdl_fixed_program(CDL_PREPROCESS, fp16);
    batch_dispatch(b, &program, &launch);
    if (!batch_run(b, &damaged_at))
        fail_msg("preprocess of %dx%d wrote outside its output", c->width, c->height);
    check_preprocessed(c, rgba, swap, batch_at(b, dst), fp16);
    batch_reset(b);
    free(rgba);
}

static void test_preprocess(void **state) {
    (void)state;
    struct device_batch *b = batch_open(harness.dev);
    for (int i = 0; i < num_op_cases; i++)
        for (int fp16 = 0; fp16 < 2; fp16++)
            if (op_cases[i].kind == CASE_PREPROCESS)
                run_preprocess(b, &op_cases[i], fp16);
    batch_close(&b);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),     cmocka_unit_test(test_linear),   cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_max_pool), cmocka_unit_test(test_avg_pool), cmocka_unit_test(test_avg_pool_linear),
        cmocka_unit_test(test_classify), cmocka_unit_test(test_import),   cmocka_unit_test(test_preprocess),
    };
    t.only = argc > 1 ? argv[1] : NULL;
    const char *part = getenv("CARDINAL_TEST_PART");
    t.part = part && atoi(part) > 0 ? (uint64_t)atoi(part) : 4;
    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests_name("kernels", tests, harness_open, harness_close);
}
