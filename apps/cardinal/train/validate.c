// validate.c - what the network makes of the validation pictures, by an ordinary session.
#include <math.h>
#include <stdlib.h>

#include "commands/runner.h"
#include "system/interrupt.h"
#include "train/training.h"

struct validation {
    struct training *t;
    struct judgement *out;
    cdl_session *session;
    int num_ranks;
};

static void on_outcome(void *ctx, const struct outcome *o) {
    struct validation *v = ctx;
    const float *logits = o->error ? NULL : cdl_session_logits(v->session, o->slot, o->image);
    const int truth = o->decoded->class_index;
    if (!logits) {
        complain("%s; it is left out", o->error ? o->error : "no result");
        return;
    }
    double sum = 0;
    for (int i = 0; i < v->t->info.num_classes; i++)
        sum += exp((double)logits[i] - (double)o->top[0].logit);
    v->out->loss += log(sum) + (double)o->top[0].logit - (double)logits[truth];
    v->out->images++;
    v->out->top1 += o->top[0].id == truth;
    for (int i = 0; i < v->num_ranks; i++)
        v->out->top5 += o->top[i].id == truth;
}

static bool is_interrupted(void *ctx) {
    (void)ctx;
    return interrupted();
}

enum exit_status validate(struct training *t, cdl_model *model, struct judgement *out) {
    struct validation v = {.t = t, .out = out, .num_ranks = t->info.num_classes < 5 ? t->info.num_classes : 5};
    const struct input_item **items = calloc(t->val.count, sizeof *items);
    *out = (struct judgement){0};
    for (size_t i = 0; items && i < t->val.count; i++)
        items[i] = &t->val.items[i];
    struct input_stream *stream = items ? inputs_open_items(items, t->val.count) : NULL;
    cdl_result r = CDL_ERR_NOMEM;
    if (!stream)
        complain("out of memory");
    else
        r = cdl_session_create(&v.session, t->device, model,
                               cdl_session_params(.max_batch = t->recipe.batch, .width = t->options->width,
                                                  .height = t->options->height, .precision = CDL_PRECISION_FP32,
                                                  .num_slots = 2));
    if (r == CDL_OK)
        r = runner_run(&(struct runner_params){
            .session = v.session,
            .inputs = stream,
            .threads = t->options->threads,
            .batch = t->recipe.batch,
            .topk = v.num_ranks,
            .exif = t->options->exif == EXIF_ON,
            .stop = is_interrupted,
            .diagnostics = &t->diagnostics,
            .sink = on_outcome,
            .ctx = &v,
        });
    cdl_session_destroy(&v.session);
    inputs_close(&stream);
    free(items);
    out->loss = out->images ? out->loss / (double)out->images : 0;
    return r == CDL_OK ? EXIT_ALL_DONE : status_of(r);
}
