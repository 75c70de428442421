// test_train_kernels.c - the kernels of training against plain C, over the case table of inference, and plain C against
// central differences.
//
// Kernels for the gradients of weights are tested by themselves: of those that are legal for a case, the first for this
// device and one in N of the others, CARDINAL_TEST_PART=N (3); 1: all.
//
// Otherwise each case is the middle of a small network: a 1x1 convolution before it, so that the gradient of its source
// is seen, and a batch norm with ReLU, the average and a linear layer behind it. Its kernels are drawn at random from
// those that are legal.
#include <math.h>

#include "support/device_batch.h"
#include "support/op_instance.h"
#include "support/reference_train.h"
#include "train/dw_check.h"
#include "train/dx_check.h"
#include "train/program.h"

enum { CLASSES = 5, OPS = 5, TENSORS = 12, MAX_FLOPS = 12000000, LOSS_SCALE = 1024 };

struct network {
    struct cdl_graph graph;
    struct cdl_tensor tensors[TENSORS]; // their values live in `block`
    char names[TENSORS][24];
    int num_tensors;
    float *block; // [TENSORS] slices
    size_t used;
};

static const struct cdl_tensor *add_tensor(struct network *n, struct random *r, int a, int b, int kh, int kw,
                                           float middle, float spread) {
    struct cdl_tensor *t = &n->tensors[n->num_tensors];
    snprintf(n->names[n->num_tensors], sizeof n->names[0], "tensor%d.weight", n->num_tensors);
    *t = (struct cdl_tensor){.name = n->names[n->num_tensors++],
                             .dtype = CDL_DTYPE_F32,
                             .num_dims = b ? 4 : 1,
                             .shape = {a, b, kh, kw},
                             .stride = {b ? b * kh * kw : 1, kh * kw, kw, 1},
                             .data = (const uint8_t *)(n->block + n->used)};
    const int64_t count = cdl_tensor_count(t);
    for (int64_t i = 0; i < count; i++)
        n->block[n->used++] = middle + spread * random_float(r);
    return t;
}

static int add_value(struct network *n, int height, int width, int channels, bool fp32) {
    n->graph.values[n->graph.num_values] = (struct cdl_value){height, width, channels, fp32};
    return n->graph.num_values++;
}

static struct cdl_op *add_op(struct network *n, enum cdl_op_kind kind, const char *name, int src, int dst) {
    struct cdl_op *op = &n->graph.ops[n->graph.num_ops++];
    *op = (struct cdl_op){
        .kind = kind, .src = src, .residual = -1, .dst = dst, .stride = 1, .groups = 1, .kernel_h = 1, .kernel_w = 1};
    snprintf(op->name, sizeof op->name, "%s", name);
    return op;
}

static float conv_spread(int fan_in) { return 1.7f / sqrtf((float)fan_in); }

// The tensors are the network's own: it stays where it is.
static void make_network(struct network *n, const struct op_case *c, struct random *r) {
    *n = (struct network){.used = 0};
    const int dst = c->kind == CASE_CONV ? c->dst_channels : c->channels,
              in = c->channels / (c->groups ? c->groups : 1);
    n->graph.ops = calloc(OPS, sizeof *n->graph.ops);
    n->graph.values = calloc(OPS + 1, sizeof *n->graph.values);
    n->block = calloc((size_t)(4 * c->channels + (c->kind == CASE_CONV ? dst * in * c->kernel_h * c->kernel_w : 0) +
                               dst * (CLASSES + 8) + CLASSES),
                      sizeof *n->block);
    assert_true(n->graph.ops && n->graph.values && n->block);
    const int input = add_value(n, c->height, c->width, 3, false),
              src = add_value(n, c->height, c->width, c->channels, false),
              middle = add_value(n, case_dst_height(c), case_dst_width(c), dst, false),
              map = add_value(n, case_dst_height(c), case_dst_width(c), dst, false),
              features = add_value(n, 1, 1, dst, true), logits = add_value(n, 1, 1, CLASSES, true);
    add_op(n, CDL_OP_CONV, "before", input, src)->weight = add_tensor(n, r, c->channels, 3, 1, 1, 0, 1);
    struct cdl_op *op = add_op(n, c->kind == CASE_CONV ? CDL_OP_CONV : CDL_OP_MAX_POOL, "case", src, middle);
    op->kernel_h = c->kernel_h;
    op->kernel_w = c->kernel_w;
    op->stride = c->stride;
    op->padding = c->padding;
    if (c->kind == CASE_CONV) {
        op->groups = c->groups;
        op->weight =
            add_tensor(n, r, dst, in, c->kernel_h, c->kernel_w, 0, conv_spread(in * c->kernel_h * c->kernel_w));
    }
    op = add_op(n, CDL_OP_BATCH_NORM, "norm", middle, map);
    op->relu = true;
    if (c->residual && dst == c->channels && case_dst_height(c) == c->height && case_dst_width(c) == c->width)
        op->residual = src;
    op->norm =
        (struct cdl_batch_norm){add_tensor(n, r, dst, 0, 0, 0, 1, 0.5f), add_tensor(n, r, dst, 0, 0, 0, 0, 0.5f),
                                add_tensor(n, r, dst, 0, 0, 0, 0, 0.5f), add_tensor(n, r, dst, 0, 0, 0, 1, 0.5f)};
    add_op(n, CDL_OP_AVG_POOL, "average", map, features);
    op = add_op(n, CDL_OP_CONV, "fc", features, logits);
    op->weight = add_tensor(n, r, CLASSES, dst, 1, 1, 0, conv_spread(dst));
    op->bias = add_tensor(n, r, CLASSES, 0, 0, 0, 0, 0.5f);
    n->graph.map = map;
    n->graph.features = features;
    n->graph.output = logits;
    n->graph.num_classes = CLASSES;
}

// The test's device, or a GPU as to which kernels are taken and how work is split among workgroups.
static struct cdl_caps caps_of(bool as_gpu) {
    struct cdl_caps caps = harness.dev->caps;
    if (as_gpu && caps.software) {
        caps.software = false;
        caps.processors = 128;
    }
    return caps;
}

static int choose_any(void *ctx, const struct cdl_work *work, const struct cdl_kernel *kernels, int count) {
    (void)work;
    (void)kernels;
    return random_below(ctx, count);
}

static int choose_any_dw(void *ctx, const struct cdl_shape *shape, const struct cdl_dw_kernel *kernels, int count) {
    (void)shape;
    (void)kernels;
    return random_below(ctx, count);
}

static int matrix_steps; // that ran on matrix units

static float *map_buffer(struct cdl_buffer *out, size_t size) {
    harness_expect_ok(cdl_buffer_create(out, harness.dev, size, CDL_MEMORY_READBACK, "a test"), "buffer");
    memset(out->mapped, 0xff, size); // NaN: what is read before it is written shows
    return out->mapped;
}

// Runs the program but for its updates; gradients: [parameters.trainable].
static void run_program(const struct cdl_train_program *p, const struct train_case *c, float *gradients) {
    struct cdl_buffer rooms[CDL_NUM_TRAIN_ROOMS] = {{0}}; // no averages
    const size_t learned = p->parameters.trainable * sizeof(float);
    const struct cdl_value *v = &p->graph.values[0];
    const size_t pixels = (size_t)c->images * (size_t)v->height * (size_t)v->width * 3;
    float *arena = map_buffer(&rooms[CDL_ROOM_ARENA], p->arena_bytes), *input = must_alloc(pixels, sizeof *input);
    cdl_parameters_read(&p->parameters, map_buffer(&rooms[CDL_ROOM_PARAMETERS], p->parameters.size * sizeof(float)));
    memset(map_buffer(&rooms[CDL_ROOM_GRADIENTS], learned), 0, learned);
    map_buffer(&rooms[CDL_ROOM_MOMENTUM], learned);
    const struct cdl_train_scaling scaling = {.scale = c->fp16 ? LOSS_SCALE : 1};
    memcpy(map_buffer(&rooms[CDL_ROOM_SCALING], sizeof scaling), &scaling, sizeof scaling);
    uint8_t *targets = (uint8_t *)map_buffer(&rooms[CDL_ROOM_INPUT], p->input_bytes) + CDL_INPUT_LABELS;
    for (int i = 0; i < c->images; i++) {
        const struct train_target target = {.label = c->labels[i], .other = 0, .share = 1};
        memcpy(targets + (size_t)i * sizeof target, &target, sizeof target);
    }
    for (size_t i = 0; i < pixels; i++)
        input[i] = (float)c->input[i];
    cdl_value_store(v, c->fp16, c->images, input, (uint8_t *)arena + p->values[p->input].at);
    free(input);
    uint64_t at[CDL_NUM_TRAIN_ROOMS];
    for (int i = 0; i < CDL_NUM_TRAIN_ROOMS; i++) {
        at[i] = rooms[i].address;
        if (rooms[i].size)
            harness_expect_ok(cdl_buffer_flush(&rooms[i], harness.dev), "flush");
    }
    struct cdl_once once;
    harness_expect_ok(cdl_once_create(&once, harness.dev), "once");
    harness_expect_ok(cdl_once_begin(&once), "begin");
    for (int i = 0; i < p->first_update; i++) {
        struct cdl_launch launch;
        VkPipeline pipeline;
        harness_expect_ok(cdl_pipeline_get(&pipeline, harness.dev, &p->steps[i].kernel.program), "pipeline");
        if (p->steps[i].barrier_before)
            cdl_once_barrier(&once);
        cdl_train_launch(p, i, c->images, at, &launch);
        const char *name = p->steps[i].kernel.program.shader->name;
        matrix_steps += strstr(name, "coop") || strstr(name, "persist");
        cdl_once_dispatch(&once, pipeline, &launch);
    }
    harness_expect_ok(cdl_once_run(&once, 0), "run");
    harness_expect_ok(cdl_buffer_invalidate(&rooms[CDL_ROOM_GRADIENTS], harness.dev), "invalidate");
    memcpy(gradients, rooms[CDL_ROOM_GRADIENTS].mapped, learned);
    for (size_t i = 0; i < p->parameters.trainable; i++)
        gradients[i] /= scaling.scale;
    cdl_once_destroy(&once);
    for (int i = 0; i < CDL_NUM_TRAIN_ROOMS; i++)
        cdl_buffer_destroy(&rooms[i], harness.dev);
}

// The reference's gradients by central differences, for a few parameters of each tensor.
static void check_reference(const struct train_case *c, double *parameters, const double *gradients, struct random *r,
                            const char *text) {
    const double h = 1e-6;
    for (int i = 0; i < c->parameters->count; i++) {
        const struct cdl_parameter *p = &c->parameters->items[i];
        for (int k = 0; k < 2 && p->trainable; k++) {
            const size_t at = p->at + (size_t)random_below(r, (int)p->count);
            const double was = parameters[at];
            parameters[at] = was + h;
            const double above = reference_train(c, parameters, NULL, NULL);
            parameters[at] = was - h;
            const double slope = (above - reference_train(c, parameters, NULL, NULL)) / (2 * h);
            parameters[at] = was;
            if (!(fabs(slope - gradients[at]) <= 1e-6 + 1e-5 * fabs(slope)))
                fail_msg("%s: %s: plain C has the gradient %.9g, the loss rises by %.9g", text, p->tensor->name,
                         gradients[at], slope);
        }
    }
}

static double check_gradients(const struct cdl_parameters *all, const float *found, const double *wanted,
                              double tolerance, const char *text) {
    double worst = 0;
    for (int i = 0; i < all->count; i++) {
        const struct cdl_parameter *p = &all->items[i];
        double largest = 0, off = 0;
        for (size_t k = p->at; p->trainable && k < p->at + p->count; k++) {
            const double d = fabs((double)found[k] - wanted[k]);
            off = d <= off ? off : d; // NaN stays
            largest = fmax(largest, fabs(wanted[k]));
        }
        if (!(off <= tolerance * largest + 1e-3 * tolerance))
            fail_msg("%s: the gradient of %s is off by %g; its largest is %g", text, p->tensor->name, off, largest);
        worst = largest > 0 ? fmax(worst, off / largest) : worst;
    }
    return worst;
}

static double check_case(const struct op_case *c, uint64_t stream, bool fp16, bool gpu_kernels, const char *text) {
    struct random r = random_of(stream);
    struct network n;
    make_network(&n, c, &r);
    const struct cdl_caps caps = caps_of(gpu_kernels);
    struct cdl_train_program program;
    harness_expect_ok(cdl_train_program_of(&program, &n.graph,
                                           &(struct cdl_train_program_params){.batch = c->images,
                                                                              .fp16 = fp16,
                                                                              .label_smoothing = 0.1f,
                                                                              .caps = &caps,
                                                                              .choose = choose_any,
                                                                              .choose_dw = choose_any_dw,
                                                                              .choose_ctx = &r},
                                           &harness_shared_log),
                      text);
    const struct cdl_parameters *all = &program.parameters;
    const size_t pixels = (size_t)c->images * (size_t)c->height * (size_t)c->width * 3;
    double *input = must_alloc(pixels, sizeof *input), *parameters = must_alloc(all->size, sizeof *parameters),
           *wanted = must_alloc(all->size, sizeof *wanted), kink, worst = -1;
    float *values = must_alloc(all->size, sizeof *values);
    int *labels = must_alloc((size_t)c->images, sizeof *labels);
    for (size_t i = 0; i < pixels; i++)
        input[i] = (double)random_float(&r);
    for (int i = 0; i < c->images; i++)
        labels[i] = random_below(&r, CLASSES);
    cdl_parameters_read(all, values);
    for (size_t i = 0; i < all->size; i++)
        parameters[i] = (double)values[i];
    const struct train_case t = {&program.graph, all, c->images, input, labels, (double)0.1f, fp16};
    reference_train(&t, parameters, wanted, &kink);
    if (kink > (fp16 ? 1e-3 : 1e-5)) { // else rounding decides on which side of it a value lies
        if (!fp16)
            check_reference(&t, parameters, wanted, &r, text);
        run_program(&program, &t, values);
        worst = check_gradients(all, values, wanted, fp16 ? 5e-3 : 1e-4, text);
    }
    free(input);
    free(parameters);
    free(wanted);
    free(values);
    free(labels);
    cdl_train_program_destroy(&program);
    free(n.block);
    return worst;
}

static void check_cases(bool fp16, int step) {
    int checked = 0, skipped = 0;
    double worst = 0;
    for (int i = 0; i < num_op_cases; i += step) {
        const struct op_case *c = &op_cases[i];
        char text[160];
        case_text(c, text, sizeof text);
        const double pixels = (double)c->images * case_dst_height(c) * case_dst_width(c);
        const double products =
            pixels * c->dst_channels * c->kernel_h * c->kernel_w * (c->groups ? (double)c->channels / c->groups : 1);
        if ((c->kind != CASE_CONV && c->kind != CASE_MAX_POOL) || c->channels < 1)
            continue;
        // A batch norm of two pixels has no gradient to speak of; a large case is slow in plain C.
        if (pixels < 6 || (c->kind == CASE_CONV && products > MAX_FLOPS / 12)) {
            skipped++;
            continue;
        }
        double off = -1;
        for (uint64_t try = 0; off < 0 && try < 20; try++) // until none lies on a kink
            off = check_case(c, 100 * (uint64_t)i + try, fp16, i / step % 2, text);
        if (off < 0) {
            skipped++;
            continue;
        }
        checked++;
        worst = fmax(worst, off);
    }
    print_message("%d cases, off by %.1e at most; %d passed over; %d convolutions on matrix units\n", checked, worst,
                  skipped, matrix_steps);
    assert_true(checked > 20 / step);
}

static void kernels_match_plain_c(void **state) {
    (void)state;
    check_cases(false, 1);
}

static void kernels_in_halves_match_plain_c(void **state) {
    (void)state;
    check_cases(true, harness.dev->caps.matrix_m ? 6 : 2); // matrix products take long to compile for a CPU
}

// ---- gradients of weights

enum { SAMPLES = 256 }; // of a case's weights

struct dw_case {
    struct op_instance op;
    bool fp16;       // storage of source and gradient
    float *gradient; // [images][dst height][dst width][dst_channels]
    size_t count;    // weights
    int num_samples;
    size_t samples[SAMPLES];
    double wanted[SAMPLES], magnitude[SAMPLES]; // of their gradients: the sum, and that of its terms' magnitudes
};

// The gradient of weight `at` of [dst][src / groups][kernel_h][kernel_w].
static double dw_reference(const struct dw_case *d, size_t at, double *magnitude) {
    const struct op_case *c = d->op.c;
    const struct cdl_value *src = &d->op.values[d->op.ops[0].src], *dst = &d->op.values[d->op.ops[0].dst];
    const struct cdl_op *op = &d->op.ops[0];
    const int group_src = src->channels / op->groups, group_dst = dst->channels / op->groups;
    const int kx = (int)at % op->kernel_w, ky = (int)at / op->kernel_w % op->kernel_h;
    const int row = (int)at / (op->kernel_h * op->kernel_w), o = row / group_src,
              i = o / group_dst * group_src + row % group_src;
    double sum = 0;
    *magnitude = 0;
    for (int n = 0; n < c->images; n++)
        for (int y = 0; y < dst->height; y++)
            for (int x = 0; x < dst->width; x++) {
                const int sy = y * op->stride + ky - op->padding, sx = x * op->stride + kx - op->padding;
                if (sy < 0 || sy >= src->height || sx < 0 || sx >= src->width)
                    continue;
                const double term = (double)d->op.src[((n * src->height + sy) * src->width + sx) * src->channels + i] *
                                    (double)d->gradient[((n * dst->height + y) * dst->width + x) * dst->channels + o];
                sum += term;
                *magnitude += fabs(term);
            }
    return sum;
}

static void dw_case_init(struct dw_case *d, const struct op_case *c, bool fp16, uint64_t stream) {
    struct random r = random_of(stream + 1);
    op_instance_init(&d->op, c, DATA_RANDOM, fp16, stream);
    d->fp16 = fp16 && !d->op.values[0].fp32;
    d->gradient = must_alloc(d->op.outputs, sizeof *d->gradient);
    for (size_t i = 0; i < d->op.outputs; i++) {
        d->gradient[i] = random_float(&r);
        if (d->fp16)
            d->gradient[i] = cdl_f16_to_f32(cdl_f32_to_f16(d->gradient[i]));
    }
    d->count = (size_t)c->dst_channels * d->op.products;
    d->num_samples = d->count < SAMPLES ? (int)d->count : SAMPLES;
    for (int i = 0; i < d->num_samples; i++) {
        d->samples[i] = d->count <= SAMPLES ? (size_t)i : (size_t)random_below(&r, (int)d->count);
        d->wanted[i] = dw_reference(d, d->samples[i], &d->magnitude[i]);
    }
}

// Puts a value as it is stored into the batch; returns its address.
static uint64_t dw_add_value(struct device_batch *b, const struct cdl_value *v, int images, bool fp16,
                             const float *data) {
    const struct cdl_value stored = {v->height, v->width, v->channels, false};
    const size_t bytes = (size_t)images * cdl_value_bytes(&stored, fp16);
    uint8_t *content = must_alloc(bytes, 1);
    cdl_value_store(&stored, fp16, images, data, content);
    const size_t at = batch_add(b, bytes, content);
    free(content);
    return batch_address(b, at);
}

static double dw_run(struct device_batch *b, const struct dw_case *d, const struct cdl_shape *shape,
                     const struct cdl_dw_kernel *kernel, const char *text) {
    const int images = d->op.c->images;
    const struct cdl_program programs[] = {kernel->program, cdl_dw_sum(kernel, shape)};
    char name[CDL_PROGRAM_NAME];
    double worst = 0;
    size_t damaged_at;
    cdl_program_name(&kernel->program, name);
    struct cdl_dw_addresses at = {.src = dw_add_value(b, shape->src, images, d->fp16, d->op.src),
                                  .gradient = dw_add_value(b, shape->dst, images, d->fp16, d->gradient)};
    at.partial = batch_address(b, batch_add(b, (size_t)kernel->parts * cdl_dw_bytes(shape), NULL));
    const size_t result = batch_add(b, d->count * sizeof(float), NULL);
    at.weight_gradient = batch_address(b, result);
    for (int k = 0; k < 2; k++) {
        struct cdl_launch launch;
        cdl_dw_launch(kernel, k == 1, shape, images, &at, &launch);
        batch_dispatch(b, &programs[k], &launch);
        batch_barrier(b);
    }
    if (!batch_run(b, &damaged_at))
        fail_msg("%s: %s: byte %zu, which it has no business with, changed", text, name, damaged_at);
    const float *found = batch_at(b, result);
    for (int i = 0; i < d->num_samples; i++) {
        const double off = fabs((double)found[d->samples[i]] - d->wanted[i]);
        if (!(off <= 1e-5 * d->magnitude[i]))
            fail_msg("%s: %s: the gradient of weight %zu is %g, not %g", text, name, d->samples[i],
                     (double)found[d->samples[i]], d->wanted[i]);
        worst = d->magnitude[i] > 0 ? fmax(worst, off / d->magnitude[i]) : worst;
    }
    batch_reset(b);
    return worst;
}

static void weight_gradients_match_plain_c(void **state) {
    (void)state;
    const char *part = getenv("CARDINAL_TEST_PART");
    const uint64_t one_in = part && atoi(part) > 0 ? (uint64_t)atoi(part) : 3;
    struct device_batch *b = batch_open(harness.dev);
    struct cdl_once once;
    struct dw_case *d = must_alloc(1, sizeof *d);
    double worst = 0;
    int ran = 0, on_matrix_units = 0;
    harness_expect_ok(cdl_once_create(&once, harness.dev), "once");
    for (int i = 0; i < num_op_cases; i++)
        for (int fp16 = 0; (op_cases[i].kind == CASE_CONV || op_cases[i].kind == CASE_LINEAR) && fp16 < 2; fp16++) {
            char text[160];
            case_text(&op_cases[i], text, sizeof text);
            dw_case_init(d, &op_cases[i], fp16, 7000 + (uint64_t)i);
            for (int as_gpu = 0; as_gpu < 2; as_gpu++) {
                const struct cdl_caps caps = caps_of(as_gpu);
                struct cdl_dw_kernel kernels[CDL_MAX_DW_KERNELS];
                const struct cdl_shape shape =
                    cdl_shape_of(&d->op.graph, &d->op.ops[0], &caps, op_cases[i].images, fp16);
                const int count = cdl_dw_kernels(&shape, kernels);
                for (int k = 0; k < count; k++) {
                    bool passed;
                    if ((as_gpu || k > 0) && ((uint64_t)(i + k) + harness_seed()) % (one_in + (uint64_t)as_gpu) != 0)
                        continue;
                    worst = fmax(worst, dw_run(b, d, &shape, &kernels[k], text));
                    harness_expect_ok(cdl_dw_check(&passed, &once, &shape, &kernels[k]), text);
                    if (!passed)
                        fail_msg("%s: %s fails its check", text, kernels[k].program.shader->name);
                    ran++;
                    on_matrix_units += strstr(kernels[k].program.shader->name, "coop") != NULL;
                }
            }
            free(d->gradient);
            op_instance_free(&d->op);
        }
    print_message("%d runs, off by %.1e of their terms at most; %d on matrix units\n", ran, worst, on_matrix_units);
    assert_true(ran > 50 && (on_matrix_units > 0) == (harness.dev->caps.matrix_m > 0));
    cdl_once_destroy(&once);
    batch_close(&b);
    free(d);
}

// ---- gradients of sources at a stride

// That the kernel is right, the networks above tell; here, that its check on users' devices says so of all shapes.
static void kernel_of_strided_gradients_passes_its_check(void **state) {
    (void)state;
    struct cdl_once once;
    int ran = 0;
    harness_expect_ok(cdl_once_create(&once, harness.dev), "once");
    for (int i = 0; i < num_op_cases; i++) {
        const struct op_case *c = &op_cases[i];
        if (c->kind != CASE_CONV || (c->stride == 1 && c->kernel_h == c->kernel_w && c->padding < c->kernel_h))
            continue;
        for (int n = 0; n < 8; n++) {
            const bool fp16 = n & 1, adds = n & 2, as_gpu = n & 4;
            struct cdl_caps caps = harness.dev->caps;
            struct op_instance instance;
            char text[160];
            bool passed;
            caps.software = caps.software && !as_gpu;
            case_text(c, text, sizeof text);
            op_instance_init_shape(&instance, c, fp16);
            const struct cdl_shape shape = cdl_shape_of(&instance.graph, &instance.ops[0], &caps, c->images, fp16);
            harness_expect_ok(cdl_dx_check(&passed, &once, &shape, adds), text);
            if (!passed)
                fail_msg("%s: conv_dx %s%s fails its check", text, fp16 ? "fp16" : "fp32", adds ? " add" : "");
            op_instance_free(&instance);
            ran++;
        }
    }
    print_message("%d runs\n", ran);
    assert_true(ran > 50);
    cdl_once_destroy(&once);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_of_strided_gradients_passes_its_check),
        cmocka_unit_test(weight_gradients_match_plain_c),
        cmocka_unit_test(kernels_match_plain_c),
        cmocka_unit_test(kernels_in_halves_match_plain_c),
    };
    return cmocka_run_group_tests(tests, harness_open, harness_close);
}
