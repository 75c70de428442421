// kernels.c - legal kernels of some work, and their dispatch.
#include "kernels/family.h"

#include <string.h>

_Static_assert(sizeof(struct conv_params) <= CDL_MAX_PUSH_BYTES, "push constants");
_Static_assert(sizeof(struct conv_pair_params) <= CDL_MAX_PUSH_BYTES, "push constants");
_Static_assert(sizeof(struct preprocess_params) <= CDL_MAX_PUSH_BYTES, "push constants");
_Static_assert(sizeof(struct avg_pool_linear_params) <= CDL_MAX_PUSH_BYTES, "push constants");
_Static_assert(sizeof(struct classify_params) <= CDL_MAX_PUSH_BYTES, "push constants");

// ---- work

int cdl_work_src(const struct cdl_work *work) { return work->ops[0].src; }
int cdl_work_residual(const struct cdl_work *work) { return work->ops[work->num_ops - 1].residual; }
int cdl_work_dst(const struct cdl_work *work) { return work->ops[work->num_ops - 1].dst; }

uint64_t cdl_work_flops(const struct cdl_work *work, int images) {
    uint64_t flops = 0;
    for (int i = 0; i < work->num_ops; i++)
        flops += cdl_op_flops(work->graph, &work->ops[i], images);
    return flops;
}

void cdl_work_text(const struct cdl_work *work, char out[CDL_WORK_TEXT]) {
    out[0] = 0;
    for (int i = 0; i < work->num_ops; i++) {
        char text[32];
        cdl_op_text(&work->ops[i], text, sizeof text);
        cdl_format_text(out + strlen(out), CDL_WORK_TEXT - strlen(out), i ? ", %s" : "%s", text);
    }
}

// ---- choice

struct cdl_shape cdl_shape_of(const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_caps *caps,
                              int images, bool fp16) {
    const struct cdl_value *src = &graph->values[op->src], *dst = &graph->values[op->dst];
    return (struct cdl_shape){
        .op = op,
        .src = src,
        .dst = dst,
        .src_c4 = cdl_padded_channels(src->channels) / 4,
        .dst_c4 = cdl_padded_channels(dst->channels) / 4,
        .caps = caps,
        .images = images,
        .fp16 = fp16 && !src->fp32,
        .session_fp16 = fp16,
    };
}

static void describe(const struct cdl_work *work, int images, const struct cdl_caps *caps, bool fp16,
                     struct cdl_shape out[CDL_MAX_FUSED]) {
    for (int i = 0; i < work->num_ops; i++)
        out[i] = cdl_shape_of(work->graph, &work->ops[i], caps, images, fp16);
}

int cdl_kernels_for(const struct cdl_work *work, int images, const struct cdl_caps *caps, bool fp16,
                    struct cdl_kernel *out) {
    struct cdl_shape shapes[CDL_MAX_FUSED];
    int n = 0, num_families;
    const struct cdl_kernel_family *const *families = cdl_families(&num_families);
    describe(work, images, caps, fp16, shapes);
    for (int i = 0; i < num_families; i++) {
        const struct cdl_kernel_family *family = families[i];
        if (family->kind != work->ops[0].kind || family->num_ops != work->num_ops)
            continue;
        const int first = n;
        n += family->list(shapes, out + n, CDL_MAX_KERNELS - n);
        for (int j = first; j < n; j++) {
            out[j].family = family;
            out[j].program.shader = &family->shader;
        }
    }
    cdl_rank_kernels(caps, out, n);
    for (int j = 1; j < n; j++) { // by rank, in the families' order among equals
        const struct cdl_kernel k = out[j];
        int at = j;
        for (; at > 0 && out[at - 1].rank > k.rank; at--)
            out[at] = out[at - 1];
        out[at] = k;
    }
    return n;
}

int cdl_kernel_by_id(const struct cdl_kernel *kernels, int count, uint64_t id) {
    for (int i = 0; i < count; i++)
        if (cdl_program_id(&kernels[i].program) == id)
            return i;
    return -1;
}

// ---- dispatch

void cdl_launch_workgroups(struct cdl_launch *launch, uint64_t count) {
    const uint64_t limit = 65535;
    const uint64_t rows = (count + limit - 1) / limit;
    launch->groups[1] = (uint32_t)rows;
    launch->groups[0] = (uint32_t)((count + rows - 1) / rows);
}

void cdl_launch_persistent(struct cdl_launch *launch, uint64_t tiles, uint32_t columns, uint32_t most) {
    const uint32_t rows = most > columns ? most / columns : 1;
    launch->groups[0] = (uint32_t)(tiles < rows ? tiles : rows) * columns;
    launch->groups[1] = 1;
}

void cdl_launch_invocations(struct cdl_launch *launch, uint64_t count) {
    cdl_launch_workgroups(launch, (count + CDL_POINTWISE_SIZE - 1) / CDL_POINTWISE_SIZE);
}

void cdl_kernel_launch(const struct cdl_kernel *kernel, const struct cdl_work *work, int images,
                       const struct cdl_addresses *at, struct cdl_launch *out) {
    struct cdl_shape shapes[CDL_MAX_FUSED];
    describe(work, images, NULL, kernel->program.fp16, shapes);
    memset(out, 0, sizeof *out);
    kernel->family->launch(kernel, shapes, images, at, out);
}

// ---- around the network

struct cdl_program cdl_fixed_program(enum cdl_fixed_program which, bool fp16) {
#define SHADER(name) \
    { name, cdl_workgroup_constant, 1 }
    static const struct cdl_shader shaders[] = {
        [CDL_PREPROCESS] = SHADER("preprocess"),
        [CDL_PREPROCESS_VIEW] = SHADER("preprocess_view"),
        [CDL_PREPROCESS_NV12] = SHADER("preprocess_nv12"),
        [CDL_PREPROCESS_BUFFER] = SHADER("preprocess_buffer"),
        [CDL_IMPORT] = SHADER("import"),
        [CDL_CLASSIFY] = SHADER("classify"),
    };
#undef SHADER
    const bool reduces = which == CDL_CLASSIFY; // fp32 alone: it reads logits
    return (struct cdl_program){
        .shader = &shaders[which],
        .fp16 = fp16 && !reduces,
        .host_input = which == CDL_PREPROCESS_VIEW || which == CDL_PREPROCESS_NV12 || which == CDL_PREPROCESS_BUFFER,
        .constants = {reduces ? CDL_REDUCE_SIZE : CDL_POINTWISE_SIZE},
    };
}
