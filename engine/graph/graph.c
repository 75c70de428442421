#include "graph/graph.h"

#include <stdlib.h>

void cdl_graph_destroy(struct cdl_graph *graph) {
    while (graph->made) {
        struct cdl_made_weight *next = graph->made->next;
        free(graph->made);
        graph->made = next;
    }
    free(graph->ops);
    free(graph->values);
    *graph = (struct cdl_graph){0};
}

uint64_t cdl_op_flops(const struct cdl_graph *graph, const struct cdl_op *op, int images) {
    const struct cdl_value *src = &graph->values[op->src], *dst = &graph->values[op->dst];
    const uint64_t outputs = (uint64_t)images * (uint64_t)dst->height * (uint64_t)dst->width * (uint64_t)dst->channels;
    switch (op->kind) {
    case CDL_OP_CONV: return 2 * outputs * (uint64_t)(src->channels / op->groups * op->kernel_h * op->kernel_w);
    case CDL_OP_BATCH_NORM: return 2 * outputs;
    case CDL_OP_MAX_POOL: return outputs * (uint64_t)(op->kernel_h * op->kernel_w);
    case CDL_OP_AVG_POOL: return outputs * (uint64_t)(src->height * src->width);
    }
    return 0;
}

void cdl_graph_log(const struct cdl_graph *graph, const cdl_log *log) {
    static const char *const kinds[] = {"conv", "batch norm", "max-pool", "avg-pool"};
    for (int i = 0; i < graph->num_ops; i++) {
        const struct cdl_op *op = &graph->ops[i];
        const struct cdl_value *src = &graph->values[op->src], *dst = &graph->values[op->dst];
        cdl_logf(log, CDL_LOG_DEBUG, "%-22s %-10s %dx%dx%d -> %dx%dx%d, kernel %d, stride %d, groups %d%s%s", op->name,
                 kinds[op->kind], src->height, src->width, src->channels, dst->height, dst->width, dst->channels,
                 op->kernel_h, op->stride, op->groups, op->residual >= 0 ? ", residual" : "", op->relu ? ", relu" : "");
    }
}

void cdl_op_text(const struct cdl_op *op, char *out, size_t size) {
    switch (op->kind) {
    case CDL_OP_CONV:
        if (op->groups > 1)
            cdl_format_text(out, size, "conv%dx%d g%d", op->kernel_h, op->kernel_w, op->groups);
        else
            cdl_format_text(out, size, "conv%dx%d", op->kernel_h, op->kernel_w);
        return;
    case CDL_OP_BATCH_NORM: cdl_format_text(out, size, "batch_norm"); return;
    case CDL_OP_MAX_POOL: cdl_format_text(out, size, "max_pool"); return;
    case CDL_OP_AVG_POOL: cdl_format_text(out, size, "avg_pool"); return;
    }
    cdl_format_text(out, size, "unknown");
}
