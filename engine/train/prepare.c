// prepare.c - see prepare.h: derives the program once with choices that only take note of what they are asked, so that
// whatever the derivation will ask is known.
#include "train/prepare.h"

#include <stdlib.h>

#include "train/dw_check.h"

struct foresight {
    struct cdl_tuner *tuner;
    struct cdl_program *programs; // [count]; some more than once
    size_t count, capacity;
};

// Without memory for it the program is compiled when it is wanted.
static void add(struct foresight *f, const struct cdl_program *program) {
    struct cdl_program *programs = cdl_grow(f->programs, f->count, &f->capacity, sizeof *programs);
    if (!programs)
        return;
    f->programs = programs;
    programs[f->count++] = *program;
}

// Of programs[count]; with: what runs behind each of them, [count] or NULL.
static void foresee(struct foresight *f, const char *key, const struct cdl_program *programs, int count,
                    const struct cdl_program *with) {
    int which[CDL_MAX_KERNELS];
    bool run;
    const int wanted = cdl_tuner_foresee(f->tuner, key, programs, count, which, &run);
    for (int i = 0; run && i < wanted; i++) {
        add(f, &programs[which[i]]);
        if (with)
            add(f, &with[which[i]]);
    }
}

static int foresee_kernel(void *ctx, const struct cdl_work *work, const struct cdl_kernel *kernels, int count) {
    struct foresight *f = ctx;
    struct cdl_program programs[CDL_MAX_KERNELS];
    char key[CDL_FINDING_KEY];
    if (work->ops[0].kind != CDL_OP_CONV) // one kernel, which is not checked
        return 0;
    for (int i = 0; i < count; i++)
        programs[i] = kernels[i].program;
    cdl_work_key(key, work, f->tuner->batch, f->tuner->fp16);
    foresee(f, key, programs, count, NULL);
    return 0;
}

static int foresee_dw(void *ctx, const struct cdl_shape *shape, const struct cdl_dw_kernel *kernels, int count) {
    struct cdl_program programs[CDL_MAX_DW_KERNELS], sums[CDL_MAX_DW_KERNELS];
    char key[CDL_FINDING_KEY];
    for (int i = 0; i < count; i++) {
        programs[i] = kernels[i].program;
        sums[i] = cdl_dw_sum(&kernels[i], shape);
    }
    cdl_dw_key(key, shape);
    foresee(ctx, key, programs, count, sums);
    return 0;
}

static cdl_result foresee_dx(void *ctx, const struct cdl_shape *shape, bool adds) {
    const struct cdl_kernel kernel = cdl_dx_kernel(shape, adds);
    foresee(ctx, NULL, &kernel.program, 1, NULL);
    return CDL_OK;
}

cdl_result cdl_train_prepare(struct cdl_tuner *tuner, const struct cdl_model *model,
                             const struct cdl_train_program_params *params) {
    struct foresight f = {.tuner = tuner};
    struct cdl_train_program_params asked = *params;
    struct cdl_train_program program;
    asked.choose = foresee_kernel;
    asked.choose_dw = foresee_dw;
    asked.trust_dx = foresee_dx;
    asked.choose_ctx = &f;
    const cdl_result r = cdl_train_program_create(&program, model, &asked, &tuner->dev->log);
    if (r == CDL_OK) {
        if (f.count)
            cdl_pipelines_prepare(tuner->dev, f.programs, (int)f.count);
        cdl_train_program_destroy(&program);
    }
    free(f.programs);
    return r;
}
