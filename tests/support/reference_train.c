// reference_train.c - see reference_train.h. Every backward pass is written from the formula of the forward one;
// test_train_kernels.c checks them by central differences.
#include "support/reference_train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct net {
    const struct train_case *c;
    const double *p; // parameters
    double *packed;  // the same as convolutions have them
    double *g;       // their gradients; NULL: not wanted
    double **value;  // [graph values]
    double **slope;  // the loss by them
    double kink;
};

static size_t count_of(const struct net *n, int value) {
    const struct cdl_value *v = &n->c->graph->values[value];
    return (size_t)n->c->images * (size_t)v->height * (size_t)v->width * (size_t)v->channels;
}

static const struct cdl_parameter *parameter(const struct net *n, const struct cdl_tensor *t) {
    const int i = cdl_parameters_find(n->c->parameters, t);
    return i >= 0 ? &n->c->parameters->items[i] : NULL;
}
static const double *weights(const struct net *n, const struct cdl_tensor *t) { return n->p + parameter(n, t)->at; }
static double *gradient(const struct net *n, const struct cdl_tensor *t) { return n->g + parameter(n, t)->at; }

// Calls for each product of a convolution: indices of source, weight and result.
typedef void product(struct net *n, const struct cdl_op *op, size_t from, size_t weight, size_t to);

static void each_product(struct net *n, const struct cdl_op *op, product *visit) {
    const struct cdl_value *s = &n->c->graph->values[op->src], *d = &n->c->graph->values[op->dst];
    const int in = s->channels / op->groups, out = d->channels / op->groups;
    for (int i = 0; i < n->c->images; i++)
        for (int y = 0; y < d->height; y++)
            for (int x = 0; x < d->width; x++)
                for (int o = 0; o < d->channels; o++)
                    for (int ky = 0; ky < op->kernel_h; ky++)
                        for (int kx = 0; kx < op->kernel_w; kx++) {
                            const int sy = y * op->stride + ky - op->padding, sx = x * op->stride + kx - op->padding;
                            if (sy < 0 || sy >= s->height || sx < 0 || sx >= s->width)
                                continue;
                            for (int k = 0; k < in; k++)
                                visit(n, op,
                                      (((size_t)i * (size_t)s->height + (size_t)sy) * (size_t)s->width + (size_t)sx) *
                                              (size_t)s->channels +
                                          (size_t)(o / out * in + k),
                                      (((size_t)o * (size_t)in + (size_t)k) * (size_t)op->kernel_h + (size_t)ky) *
                                              (size_t)op->kernel_w +
                                          (size_t)kx,
                                      (((size_t)i * (size_t)d->height + (size_t)y) * (size_t)d->width + (size_t)x) *
                                              (size_t)d->channels +
                                          (size_t)o);
                        }
}

static void multiply(struct net *n, const struct cdl_op *op, size_t from, size_t weight, size_t to) {
    n->value[op->dst][to] += n->value[op->src][from] * n->packed[parameter(n, op->weight)->at + weight];
}

static void multiply_back(struct net *n, const struct cdl_op *op, size_t from, size_t weight, size_t to) {
    const double slope = n->slope[op->dst][to];
    n->slope[op->src][from] += slope * n->packed[parameter(n, op->weight)->at + weight];
    gradient(n, op->weight)[weight] += slope * n->value[op->src][from];
}

static void conv(struct net *n, const struct cdl_op *op, bool back) {
    const size_t channels = (size_t)n->c->graph->values[op->dst].channels, count = count_of(n, op->dst);
    each_product(n, op, back ? multiply_back : multiply);
    for (size_t i = 0; op->bias && i < count; i++)
        if (back)
            gradient(n, op->bias)[i % channels] += n->slope[op->dst][i];
        else
            n->value[op->dst][i] += weights(n, op->bias)[i % channels];
}

// Mean and 1 / deviation of a channel.
static void statistics(const struct net *n, const struct cdl_op *op, size_t c, double *mean, double *inverse) {
    const size_t channels = (size_t)n->c->graph->values[op->src].channels, count = count_of(n, op->src);
    double square = 0;
    *mean = 0;
    for (size_t i = c; i < count; i += channels)
        *mean += n->value[op->src][i];
    *mean /= (double)(count / channels);
    for (size_t i = c; i < count; i += channels)
        square += (n->value[op->src][i] - *mean) * (n->value[op->src][i] - *mean);
    *inverse = 1 / sqrt(square / (double)(count / channels) + (double)CDL_BATCH_NORM_EPSILON);
}

static void norm(struct net *n, const struct cdl_op *op) {
    const size_t channels = (size_t)n->c->graph->values[op->src].channels, count = count_of(n, op->src);
    for (size_t c = 0; c < channels; c++) {
        double mean, inverse;
        statistics(n, op, c, &mean, &inverse);
        for (size_t i = c; i < count; i += channels) {
            double v = (n->value[op->src][i] - mean) * inverse * weights(n, op->norm.weight)[c] +
                       weights(n, op->norm.bias)[c] + (op->residual >= 0 ? n->value[op->residual][i] : 0);
            if (op->relu) {
                n->kink = fmin(n->kink, fabs(v));
                v = v > 0 ? v : 0;
            }
            n->value[op->dst][i] = v;
        }
    }
}

static void norm_back(struct net *n, const struct cdl_op *op) {
    const size_t channels = (size_t)n->c->graph->values[op->src].channels, count = count_of(n, op->src);
    for (size_t c = 0; c < channels; c++) {
        const double pixels = (double)(count / channels), weight = weights(n, op->norm.weight)[c];
        double mean, inverse, sum = 0, product = 0;
        statistics(n, op, c, &mean, &inverse);
        for (size_t i = c; i < count; i += channels) {
            double *slope = &n->slope[op->dst][i];
            *slope = op->relu && n->value[op->dst][i] <= 0 ? 0 : *slope;
            if (op->residual >= 0)
                n->slope[op->residual][i] += *slope;
            sum += *slope;
            product += *slope * (n->value[op->src][i] - mean) * inverse;
        }
        gradient(n, op->norm.bias)[c] += sum;
        gradient(n, op->norm.weight)[c] += product;
        for (size_t i = c; i < count; i += channels)
            n->slope[op->src][i] +=
                weight * inverse *
                (n->slope[op->dst][i] - sum / pixels - (n->value[op->src][i] - mean) * inverse * product / pixels);
    }
}

static void max_pool(struct net *n, const struct cdl_op *op, bool back) {
    const struct cdl_value *s = &n->c->graph->values[op->src], *d = &n->c->graph->values[op->dst];
    const size_t count = count_of(n, op->dst), channels = (size_t)d->channels;
    for (size_t to = 0; to < count; to++) {
        const int x = (int)(to / channels) % d->width, y = (int)(to / channels) / d->width % d->height;
        const size_t image = to / channels / (size_t)d->width / (size_t)d->height;
        double best = -INFINITY, second = -INFINITY;
        size_t at = 0;
        for (int k = 0; k < op->kernel_h * op->kernel_w; k++) {
            const int sy = y * op->stride + k / op->kernel_w - op->padding,
                      sx = x * op->stride + k % op->kernel_w - op->padding;
            if (sy < 0 || sy >= s->height || sx < 0 || sx >= s->width)
                continue;
            const size_t from =
                ((image * (size_t)s->height + (size_t)sy) * (size_t)s->width + (size_t)sx) * channels + to % channels;
            const double v = n->value[op->src][from];
            second = v > best ? best : v > second ? v : second;
            at = v > best ? from : at;
            best = v > best ? v : best;
        }
        n->kink = best > second ? fmin(n->kink, best - second) : n->kink; // equal ones are zeros behind a ReLU
        if (back)
            n->slope[op->src][at] += n->slope[op->dst][to];
        else
            n->value[op->dst][to] = best;
    }
}

static void avg_pool(struct net *n, const struct cdl_op *op, bool back) {
    const struct cdl_value *s = &n->c->graph->values[op->src];
    const size_t pixels = (size_t)s->height * (size_t)s->width, channels = (size_t)s->channels;
    const size_t count = count_of(n, op->src);
    for (size_t i = 0; i < count; i++) {
        const size_t to = i / channels / pixels * channels + i % channels;
        if (back)
            n->slope[op->src][i] += n->slope[op->dst][to] / (double)pixels;
        else
            n->value[op->dst][to] += n->value[op->src][i] / (double)pixels;
    }
}

static double loss(struct net *n) {
    const int classes = n->c->graph->num_classes, output = n->c->graph->output;
    double total = 0;
    for (int i = 0; i < n->c->images; i++) {
        const double *z = n->value[output] + (size_t)i * (size_t)classes;
        double sum = 0;
        for (int k = 0; k < classes; k++)
            sum += exp(z[k]);
        for (int k = 0; k < classes; k++) {
            const double target = n->c->smoothing / classes + (k == n->c->labels[i] ? 1 - n->c->smoothing : 0),
                         p = exp(z[k]) / sum;
            total -= target * log(p) / n->c->images;
            n->slope[output][(size_t)i * (size_t)classes + (size_t)k] = (p - target) / n->c->images;
        }
    }
    return total;
}

static void step(struct net *n, const struct cdl_op *op, bool back) {
    switch (op->kind) {
    case CDL_OP_CONV: conv(n, op, back); break;
    case CDL_OP_BATCH_NORM: back ? norm_back(n, op) : norm(n, op); break;
    case CDL_OP_MAX_POOL: max_pool(n, op, back); break;
    case CDL_OP_AVG_POOL: avg_pool(n, op, back); break;
    }
}

static void round_to_halves(double *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        values[i] = (double)cdl_f16_to_f32(cdl_f32_to_f16((float)values[i]));
}

double reference_train(const struct train_case *c, const double *parameters, double *gradients, double *kink) {
    const struct cdl_graph *g = c->graph;
    struct net n = {.c = c, .p = parameters, .g = gradients, .kink = INFINITY};
    const size_t values = (size_t)g->num_values;
    n.value = calloc(values, sizeof *n.value);
    n.slope = calloc(values, sizeof *n.slope);
    n.packed = calloc(c->parameters->size, sizeof *n.packed);
    if (!n.packed)
        abort(); // a test without memory
    memcpy(n.packed, parameters, c->parameters->size * sizeof *n.packed);
    if (c->fp16)
        round_to_halves(n.packed, c->parameters->size);
    for (int v = 0; n.value && n.slope && v < g->num_values; v++) {
        n.value[v] = calloc(count_of(&n, v), sizeof(double));
        n.slope[v] = calloc(count_of(&n, v), sizeof(double));
        if (!n.value[v] || !n.slope[v])
            abort(); // a test without memory
    }
    memcpy(n.value[0], c->input, count_of(&n, 0) * sizeof(double));
    for (int i = 0; i < g->num_ops; i++) {
        const int dst = g->ops[i].dst;
        if (c->fp16 && i == 0)
            round_to_halves(n.value[0], count_of(&n, 0));
        step(&n, &g->ops[i], false);
        if (c->fp16 && !g->values[dst].fp32)
            round_to_halves(n.value[dst], count_of(&n, dst));
    }
    const double result = loss(&n);
    if (gradients)
        memset(gradients, 0, c->parameters->size * sizeof *gradients);
    for (int i = g->num_ops - 1; gradients && i >= 0; i--)
        step(&n, &g->ops[i], true);
    for (int v = 0; v < g->num_values; v++) {
        free(n.value[v]);
        free(n.slope[v]);
    }
    free(n.value);
    free(n.slope);
    free(n.packed);
    if (kink)
        *kink = n.kink;
    return result;
}
