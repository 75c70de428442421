// op_instance.c - see op_instance.h.
#include "support/op_instance.h"

#include <math.h>

static void set_tensor(struct cdl_tensor *t, const char *name, const float *data, int num_dims, const int64_t *shape) {
    *t = (struct cdl_tensor){.name = name, .dtype = CDL_DTYPE_F32, .num_dims = num_dims, .data = (const uint8_t *)data};
    int64_t stride = 1;
    for (int i = num_dims - 1; i >= 0; i--) {
        t->shape[i] = shape[i];
        t->stride[i] = stride;
        stride *= shape[i];
    }
}

static void set_weights(struct op_instance *out) {
    const struct op_case *c = out->c;
    const size_t channels = (size_t)c->dst_channels;
    const int64_t vector[] = {c->dst_channels};
    struct cdl_op *op = &out->ops[out->num_ops - 1];
    if (op->kind == CDL_OP_CONV) {
        const int64_t shape[] = {c->dst_channels, c->channels / c->groups, c->kernel_h, c->kernel_w};
        out->products = (size_t)(c->channels / c->groups * c->kernel_h * c->kernel_w);
        out->weight = must_alloc(channels * out->products, sizeof(float));
        out->bias = must_alloc(channels, sizeof(float));
        set_tensor(&out->weight_tensor, "weight", out->weight, c->kind == CASE_CONV ? 4 : 2, shape);
        set_tensor(&out->bias_tensor, "bias", out->bias, 1, vector);
        op->weight = &out->weight_tensor;
        op->bias = c->norm ? NULL : &out->bias_tensor;
    }
    if (c->norm || c->kind == CASE_BATCH_NORM) {
        static const char *const names[] = {"weight", "bias", "running_mean", "running_var"};
        for (int i = 0; i < 4; i++) {
            out->norm[i] = must_alloc(channels, sizeof(float));
            set_tensor(&out->norm_tensors[i], names[i], out->norm[i], 1, vector);
        }
        op->norm = (struct cdl_batch_norm){&out->norm_tensors[0], &out->norm_tensors[1], &out->norm_tensors[2],
                                           &out->norm_tensors[3]};
    }
}

void op_instance_init_shape(struct op_instance *out, const struct op_case *c, bool fp16) {
    static const enum cdl_op_kind kinds[] = {
        [CASE_CONV] = CDL_OP_CONV,         [CASE_LINEAR] = CDL_OP_CONV,       [CASE_BATCH_NORM] = CDL_OP_BATCH_NORM,
        [CASE_MAX_POOL] = CDL_OP_MAX_POOL, [CASE_AVG_POOL] = CDL_OP_AVG_POOL, [CASE_AVG_POOL_LINEAR] = CDL_OP_CONV,
    };
    const int height = case_dst_height(c), width = case_dst_width(c);
    const bool linear = c->kind == CASE_LINEAR, pools = c->kind == CASE_AVG_POOL_LINEAR;
    *out = (struct op_instance){.c = c, .fp16 = fp16, .num_ops = pools ? 2 : 1};
    out->values[0] = (struct cdl_value){c->height, c->width, c->channels, linear};
    out->values[1] = (struct cdl_value){height, width, pools ? c->channels : c->dst_channels, pools};
    out->values[2] = (struct cdl_value){height, width, c->dst_channels, linear || pools || c->kind == CASE_AVG_POOL};
    if (pools)
        out->ops[0] =
            (struct cdl_op){.kind = CDL_OP_AVG_POOL, .name = "case's pool", .src = 0, .residual = -1, .dst = 1};
    out->ops[out->num_ops - 1] = (struct cdl_op){
        .kind = kinds[c->kind],
        .name = "case",
        .src = pools ? 1 : 0,
        .residual = c->residual ? 1 : -1,
        .dst = 2,
        .relu = c->relu,
        .kernel_h = c->kernel_h,
        .kernel_w = c->kernel_w,
        .stride = c->stride,
        .padding = c->padding,
        .groups = c->groups,
    };
    out->graph = (struct cdl_graph){
        .ops = out->ops, .values = out->values, .num_ops = out->num_ops, .num_values = 3, .output = 2};
    out->outputs = (size_t)c->images * (size_t)height * (size_t)width * (size_t)c->dst_channels;
    set_weights(out);
}

bool value_is_fp16(const struct op_instance *i, int value) { return i->fp16 && !i->values[value].fp32; }

static float pick(struct random *r, enum op_data data, float scale) {
    return data == DATA_EXACT ? (float)(random_below(r, 5) - 2) / 2 : scale * random_float(r);
}

// scale: the largest magnitude. half: rounded to what half precision storage holds.
static void fill(float *out, size_t count, struct random *r, enum op_data data, float scale, bool half) {
    for (size_t i = 0; i < count; i++) {
        out[i] = pick(r, data, scale);
        if (half)
            out[i] = cdl_f16_to_f32(cdl_f32_to_f16(out[i]));
    }
}

void op_instance_init(struct op_instance *out, const struct op_case *c, enum op_data data, bool fp16, uint64_t stream) {
    struct random r = random_of(stream);
    op_instance_init_shape(out, c, fp16);
    const size_t channels = (size_t)c->dst_channels;
    const size_t sources = (size_t)c->images * (size_t)c->height * (size_t)c->width * (size_t)c->channels;
    out->src = must_alloc(sources, sizeof(float));
    fill(out->src, sources, &r, data, 2, value_is_fp16(out, 0));
    for (size_t i = 0; (c->kind == CASE_AVG_POOL || out->num_ops > 1) && i < sources; i++)
        out->src[i] = fabsf(out->src[i]); // as behind a ReLU: rounding errors of a sum that grows do not cancel out
    if (c->residual) {
        out->residual = must_alloc(out->outputs, sizeof(float));
        fill(out->residual, out->outputs, &r, data, 2, value_is_fp16(out, 1));
    }
    if (out->weight) {
        // Folded weights are rounded after folding; others are what storage holds, so the product is exact.
        fill(out->weight, channels * out->products, &r, data, sqrtf(3.0f / (float)out->products), fp16 && !c->norm);
        fill(out->bias, channels, &r, data, 1, false);
    }
    for (size_t i = 0; out->norm[0] && i < channels; i++) {
        out->norm[0][i] = 1 + 0.5f * random_float(&r);
        out->norm[1][i] = random_float(&r);
        out->norm[2][i] = 0.5f * random_float(&r);
        out->norm[3][i] = 1 + 0.9f * random_float(&r);
    }
}

void op_instance_free(struct op_instance *i) {
    free(i->weight);
    free(i->bias);
    for (int k = 0; k < 4; k++)
        free(i->norm[k]);
    free(i->src);
    free(i->residual);
    *i = (struct op_instance){0};
}

static bool same_kernel(const struct cdl_kernel *a, const struct cdl_kernel *b) {
    return cdl_program_equal(&a->program, &b->program) && a->half_products == b->half_products &&
           !memcmp(a->weights, b->weights, sizeof a->weights);
}

struct cdl_work op_work(const struct op_instance *i) {
    return (struct cdl_work){&i->graph, i->ops, i->num_ops};
}

const struct cdl_op *op_last(const struct op_instance *i) { return &i->ops[i->num_ops - 1]; }

int legal_kernels(const struct op_instance *instance, const struct cdl_caps *caps, struct cdl_kernel *out) {
    enum { TURNS = 3 };
    struct cdl_kernel found[TURNS][CDL_MAX_KERNELS];
    const struct cdl_work work = op_work(instance);
    int count[TURNS], n = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        struct cdl_caps variant = *caps;
        variant.software = caps->software != (turn == 1);
        variant.matrix_half_sums = caps->matrix_half_sums && turn != 2;
        count[turn] = cdl_kernels_for(&work, instance->c->images, &variant, instance->fp16, found[turn]);
        assert_true(count[turn] >= 1 &&
                    count[turn] <=
                        CDL_MAX_KERNELS); // no assert_in_range: cmocka 2 lacks its symbol, and the lab has that
    }
    for (int i = 0; i < TURNS * CDL_MAX_KERNELS; i++) {
        int same = 0;
        if (i / TURNS >= count[i % TURNS])
            continue;
        while (same < n && !same_kernel(&out[same], &found[i % TURNS][i / TURNS]))
            same++;
        if (same == n && n < 2 * CDL_MAX_KERNELS)
            out[n++] = found[i % TURNS][i / TURNS];
    }
    return n;
}
