// choose_pair.c - whether one kernel does the work of two operations: where it was measured to be faster than the two
// kernels that they have by themselves. Without a measurement never: what is saved depends on the device's caches.
#include <stdlib.h>
#include <string.h>

#include "tune/tune.h"

void cdl_tuning_pair_key(char out[CDL_TUNING_KEY], const struct cdl_graph *g, const struct cdl_op *op, int batch) {
    const struct cdl_value *src = &g->values[op[-1].src], *middle = &g->values[op->src], *dst = &g->values[op->dst];
    char text[48];
    cdl_op_text(op - 1, text, sizeof text);
    cdl_format_text(out, CDL_TUNING_KEY, "pair %s stride %d padding %d, %dx%dx%d to %dx%dx%d to %d%s%s, batch %d", text,
                    op[-1].stride, op[-1].padding, src->height, src->width, src->channels, middle->height,
                    middle->width, middle->channels, dst->channels, op->relu ? " relu" : "",
                    op->residual >= 0 ? " residual" : "", batch);
}

// What the operation's own kernel was measured to take, 0: that is not known.
static double recall_ns(struct cdl_tuner *t, const struct cdl_graph *g, const struct cdl_op *op) {
    char key[CDL_TUNING_KEY], value[CDL_TUNING_VALUE];
    cdl_tuning_shape_key(key, g, op, t->batch, t->fp16);
    if (!cdl_tuning_recall(t->dev, key, value) || !strstr(value, " us by "))
        return 0;
    const char *number = strchr(value, ' '); // "quick 12.5 us by NAME"
    return number ? 1e3 * strtod(number, NULL) : 0;
}

// The winner of an earlier tuning, as a value "quick by NAME", or count for "quick by none"; -1: there was none.
static int recall_pair(struct cdl_tuner *t, const char *key, const struct cdl_kernel *kernels, int count) {
    char value[CDL_TUNING_VALUE];
    const char *by = cdl_tuner_recalls(t, key, value) ? strstr(value, " by ") : NULL;
    if (!by)
        return -1;
    return strcmp(by, " by none") ? cdl_kernel_named(kernels, count, by + strlen(" by ")) : count;
}

int cdl_tune_pair(void *tuner, const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_kernel *kernels,
                  int count) {
    struct cdl_tuner *t = tuner;
    char key[CDL_TUNING_KEY], value[CDL_TUNING_VALUE], name[160] = "none";
    cdl_tuning_pair_key(key, graph, op, t->batch);
    const int known = recall_pair(t, key, kernels, count);
    if (known >= 0)
        return known < count && cdl_tuner_trusts(t, graph, op, &kernels[known]) ? known : -1;
    const double first = recall_ns(t, graph, op - 1), second = recall_ns(t, graph, op);
    if (t->mode == CDL_TUNE_OFF || !t->dev->timestamp_bits || first <= 0 || second <= 0 || !cdl_tuner_ready(t))
        return -1;
    int chosen = -1;
    double best = 0.97 * (first + second); // two that are known give way to what is clearly faster
    for (int i = 0; i < count; i++) {
        double ns;
        if (!cdl_tuner_trusts(t, graph, op, &kernels[i]))
            continue;
        const cdl_result r = cdl_tune_measure(t, graph, op, &kernels[i], best, &ns);
        if (r != CDL_OK) { // no memory: the two take no more than what was there
            if (r != CDL_ERR_NOMEM && t->result == CDL_OK)
                t->result = r;
            return -1;
        }
        t->num_measured++;
        cdl_kernel_name(&kernels[i], name, sizeof name);
        cdl_logf(&t->dev->log, CDL_LOG_DEBUG, "tuning %s and %s: %.1f us by %s, %.1f us apart", op[-1].name, op->name,
                 ns / 1e3, name, (first + second) / 1e3);
        if (ns < best) {
            best = ns;
            chosen = i;
        }
    }
    cdl_format_text(name, sizeof name, "none");
    if (chosen >= 0)
        cdl_kernel_name(&kernels[chosen], name, sizeof name);
    cdl_format_text(value, sizeof value, "%s by %s", cdl_tuner_mode(t), name);
    if (t->result == CDL_OK)
        cdl_tuning_remember(t->dev, key, value);
    return t->result == CDL_OK ? chosen : -1;
}
