// programs.c - the kernels of shaders/train/, with the values that they are specialized with.
#include "train/program.h"

// constants.h makes one table a file; here are several short ones, by the same lists.
#define CONSTANT(id, name, default_value, shown) {#name, default_value, shown},
static const struct cdl_constant pack_constants[] = {
#include "pack_weights_constants.h"
};
static const struct cdl_constant sums_constants[] = {
#include "norm_sums_constants.h"
};
static const struct cdl_constant finish_constants[] = {
#include "norm_finish_constants.h"
};
static const struct cdl_constant apply_constants[] = {
#include "norm_apply_constants.h"
};
static const struct cdl_constant back_constants[] = {
#include "norm_back_constants.h"
};
static const struct cdl_constant pool_constants[] = {
#include "max_pool_constants.h"
};
static const struct cdl_constant spread_constants[] = {
#include "dx_spread_constants.h"
};
#undef CONSTANT

#define SHADER(name, constants) \
    { name, constants, (int)CDL_COUNT(constants) }
static const struct cdl_shader shaders[CDL_NUM_TRAIN_KINDS] = {
    [CDL_TRAIN_PACK] = SHADER("pack_weights", pack_constants),
    [CDL_TRAIN_PACK_BACK] = SHADER("pack_weights", pack_constants),
    [CDL_TRAIN_NORM_SUMS] = SHADER("norm_sums", sums_constants),
    [CDL_TRAIN_NORM_FINISH] = SHADER("norm_finish", finish_constants),
    [CDL_TRAIN_NORM_APPLY] = SHADER("norm_apply", apply_constants),
    [CDL_TRAIN_MAX_POOL] = SHADER("max_pool_keep", pool_constants),
    [CDL_TRAIN_LOSS] = SHADER("cross_entropy", cdl_workgroup_constant),
    [CDL_TRAIN_LOSS_SUM] = SHADER("cross_entropy_sum", cdl_workgroup_constant),
    [CDL_TRAIN_NORM_BACK_SUMS] = SHADER("norm_back_sums", back_constants),
    [CDL_TRAIN_NORM_BACK_FINISH] = SHADER("norm_back_finish", back_constants),
    [CDL_TRAIN_NORM_BACK_APPLY] = SHADER("norm_back_apply", back_constants),
    [CDL_TRAIN_MAX_POOL_BACK] = SHADER("max_pool_back", pool_constants),
    [CDL_TRAIN_AVG_POOL_BACK] = SHADER("avg_pool_back", cdl_workgroup_constant),
    [CDL_TRAIN_DX_SPREAD] = SHADER("dx_spread", spread_constants),
    [CDL_TRAIN_BIAS] = SHADER("bias_gradient", cdl_workgroup_constant),
    [CDL_TRAIN_GRADIENT_SUMS] = SHADER("gradient_sums", cdl_workgroup_constant),
    [CDL_TRAIN_GRADIENT_NORM] = SHADER("gradient_norm", cdl_workgroup_constant),
    [CDL_TRAIN_UPDATE] = SHADER("sgd", cdl_workgroup_constant),
    [CDL_TRAIN_UPDATE_NORM] = SHADER("sgd", cdl_workgroup_constant),
    [CDL_TRAIN_AVERAGE] = SHADER("average", cdl_workgroup_constant),
};

// For CPU drivers, where there are any: see WIDE_LOADS in common.glsl.
static const struct cdl_shader wide_shaders[CDL_NUM_TRAIN_KINDS] = {
    [CDL_TRAIN_PACK] = SHADER("pack_weights_wide", pack_constants),
    [CDL_TRAIN_PACK_BACK] = SHADER("pack_weights_wide", pack_constants),
    [CDL_TRAIN_NORM_SUMS] = SHADER("norm_sums_wide", sums_constants),
    [CDL_TRAIN_NORM_APPLY] = SHADER("norm_apply_wide", apply_constants),
    [CDL_TRAIN_NORM_BACK_SUMS] = SHADER("norm_back_sums_wide", back_constants),
    [CDL_TRAIN_NORM_BACK_APPLY] = SHADER("norm_back_apply_wide", back_constants),
    [CDL_TRAIN_GRADIENT_SUMS] = SHADER("gradient_sums_wide", cdl_workgroup_constant),
    [CDL_TRAIN_UPDATE] = SHADER("sgd_wide", cdl_workgroup_constant),
    [CDL_TRAIN_UPDATE_NORM] = SHADER("sgd_wide", cdl_workgroup_constant),
    [CDL_TRAIN_AVERAGE] = SHADER("average_wide", cdl_workgroup_constant),
};

// Which parts of batch norm's steps an operation needs: by the values that they have.
static void set_norm_constants(struct cdl_program *p, const struct cdl_op *op, const struct cdl_train_step *step,
                               const struct cdl_caps *caps) {
    const uint32_t rows = cdl_train_norm_rows(caps), sums_size = rows > 1 ? CDL_REDUCE_SIZE : CDL_POINTWISE_SIZE;
    const bool frozen = step->values[CDL_ROLE_PARTIAL] < 0 && step->values[CDL_ROLE_SUMS] < 0;
    switch (step->kind) {
    case CDL_TRAIN_NORM_SUMS:
        p->constants[0] = sums_size;
        p->constants[1] = rows;
        break;
    case CDL_TRAIN_NORM_FINISH:
        p->constants[0] = sums_size;
        p->constants[1] = frozen;
        break;
    case CDL_TRAIN_NORM_APPLY:
        p->constants[1] = op->relu;
        p->constants[2] = step->values[CDL_ROLE_RESIDUAL] >= 0;
        break;
    default: // norm_back_*
        p->constants[1] = step->values[CDL_ROLE_DST] >= 0 || step->values[CDL_ROLE_BIAS] >= 0;
        p->constants[2] = step->values[CDL_ROLE_MASKED] >= 0 && step->kind == CDL_TRAIN_NORM_BACK_SUMS;
        p->constants[3] = frozen;
        p->constants[4] = step->values[CDL_ROLE_WEIGHT_GRADIENT] >= 0;
        p->constants[5] = step->kind == CDL_TRAIN_NORM_BACK_SUMS ? rows : 1;
        p->constants[6] = step->values[CDL_ROLE_BIAS] >= 0;
        if (step->kind != CDL_TRAIN_NORM_BACK_APPLY)
            p->constants[0] = sums_size;
        break;
    }
}

// Whether what the step's kernel reads and writes as storage4 is in halves.
static bool stored_as_halves(const struct cdl_train_program *program, const struct cdl_train_step *step) {
    const struct cdl_op *op = step->op >= 0 ? &program->graph.ops[step->op] : NULL;
    switch (step->kind) {
    case CDL_TRAIN_PACK:
    case CDL_TRAIN_PACK_BACK: return step->kernel.weights[0].fp16;
    case CDL_TRAIN_NORM_SUMS:
    case CDL_TRAIN_NORM_APPLY:
    case CDL_TRAIN_NORM_BACK_SUMS:
    case CDL_TRAIN_NORM_BACK_APPLY:
    case CDL_TRAIN_MAX_POOL:
    case CDL_TRAIN_MAX_POOL_BACK:
    case CDL_TRAIN_AVG_POOL_BACK:
    case CDL_TRAIN_DX_SPREAD: return program->fp16 && !program->graph.values[op->src].fp32;
    case CDL_TRAIN_BIAS: return program->fp16 && !program->graph.values[op->dst].fp32;
    default: return false; // floats alone
    }
}

struct cdl_program cdl_train_kernel(const struct cdl_train_program *program, const struct cdl_train_step *step,
                                    const struct cdl_caps *caps) {
    const struct cdl_graph *graph = &program->graph;
    const struct cdl_op *op = step->op >= 0 ? &graph->ops[step->op] : NULL;
    const bool wide = caps->software && caps->int64 && wide_shaders[step->kind].name;
    struct cdl_program p = {.shader = wide ? &wide_shaders[step->kind] : &shaders[step->kind],
                            .fp16 = stored_as_halves(program, step),
                            .constants = {CDL_POINTWISE_SIZE}};
    switch (step->kind) {
    case CDL_TRAIN_PACK:
    case CDL_TRAIN_PACK_BACK:
        p.constants[1] = step->kind == CDL_TRAIN_PACK_BACK;
        p.constants[2] = step->values[CDL_ROLE_BIAS] >= 0;
        p.constants[3] = (uint32_t)step->kernel.weights[0].shared_window;
        // Four inputs touch in memory, and four outputs in the transposed convolution's.
        p.constants[4] =
            op->groups == 1 && op->kernel_h == 1 && op->kernel_w == 1 && graph->values[op->src].channels % 4 == 0;
        break;
    case CDL_TRAIN_NORM_SUMS:
    case CDL_TRAIN_NORM_FINISH:
    case CDL_TRAIN_NORM_APPLY:
    case CDL_TRAIN_NORM_BACK_SUMS:
    case CDL_TRAIN_NORM_BACK_FINISH:
    case CDL_TRAIN_NORM_BACK_APPLY: set_norm_constants(&p, op, step, caps); break;
    case CDL_TRAIN_MAX_POOL:
    case CDL_TRAIN_MAX_POOL_BACK:
        p.constants[1] = (uint32_t)op->kernel_h;
        p.constants[2] = (uint32_t)op->stride;
        p.constants[3] = (uint32_t)op->padding;
        break;
    case CDL_TRAIN_DX_SPREAD:
        p.constants[1] = (uint32_t)op->stride;
        p.constants[2] = step->values[CDL_ROLE_RESIDUAL] >= 0;
        break;
    default: break;
    }
    return p;
}

struct cdl_program cdl_train_extra(enum cdl_train_extra which, bool fp16) {
    static const struct cdl_shader shaders[CDL_NUM_TRAIN_EXTRAS] = {
        [CDL_TRAIN_MIX] = {"gradient_mix", cdl_workgroup_constant, 1},
        [CDL_TRAIN_JITTER] = {"jitter", cdl_workgroup_constant, 1},
        [CDL_TRAIN_MIXUP] = {"mixup", cdl_workgroup_constant, 1},
    };
    return (struct cdl_program){.shader = &shaders[which],
                                .fp16 = fp16 && which != CDL_TRAIN_MIX,
                                .constants = {which == CDL_TRAIN_JITTER ? CDL_REDUCE_SIZE : CDL_POINTWISE_SIZE}};
}
