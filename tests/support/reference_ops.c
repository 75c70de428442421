// reference_ops.c - see reference_ops.h.
//
// The bound of a sum of n products: u (8 + 4 sqrt(n)) sum |products|, u = 2^-24. In any order of summation the
// worst case is n u sum |products|; rounding errors are as good as independent, so their sum grows with sqrt(n)
// (Higham & Mary, "A new approach to probabilistic rounding error analysis", 2019); 4 is their confidence factor.
#include "support/reference_ops.h"

#include <math.h>

static const double unit = 0x1p-24;      // half an ulp of fp32
static const double half_ulp = 0x1p-10;  // an ulp of fp16: packHalf2x16 may round up, down or to nearest
static const double half_tiny = 0x1p-14; // smallest normal fp16: what is smaller may be flushed

static void store_bound(const struct op_instance *i, bool exact, double value, double *bound) {
    if (value_is_fp16(i, 2) && !exact)
        *bound += half_ulp * fabs(value) + half_tiny;
}

struct sum {
    double value, magnitude;
};

static struct sum convolve(const struct op_instance *i, int n, int y, int x, int o) {
    const struct op_case *c = i->c;
    const int group_src = c->channels / c->groups, group = o / (c->dst_channels / c->groups);
    struct sum s = {0, 0};
    for (int ky = 0; ky < c->kernel_h; ky++)
        for (int kx = 0; kx < c->kernel_w; kx++) {
            const int sy = y * c->stride + ky - c->padding, sx = x * c->stride + kx - c->padding;
            if (sy < 0 || sy >= c->height || sx < 0 || sx >= c->width)
                continue;
            const float *pixel =
                i->src +
                (((size_t)n * (size_t)c->height + (size_t)sy) * (size_t)c->width + (size_t)sx) * (size_t)c->channels +
                (size_t)(group * group_src);
            const float *w = i->weight + (size_t)o * i->products + (size_t)(ky * c->kernel_w + kx);
            for (int k = 0; k < group_src; k++) {
                const double product = (double)pixel[k] * (double)w[(size_t)k * (size_t)(c->kernel_h * c->kernel_w)];
                s.value += product;
                s.magnitude += fabs(product);
            }
        }
    return s;
}

// y = conv or value, scaled and shifted by a batch norm or a bias
static void normalise(const struct op_instance *i, int o, struct sum *s, double *scale_magnitude) {
    *scale_magnitude = 1;
    if (i->norm[0]) {
        const double scale = (double)i->norm[0][o] / sqrt((double)i->norm[3][o] + (double)CDL_BATCH_NORM_EPSILON);
        const double mean = (double)i->norm[2][o], shift = (double)i->norm[1][o];
        s->value = (s->value - mean) * scale + shift;
        s->magnitude = s->magnitude * fabs(scale) + fabs(mean * scale) + fabs(shift);
        *scale_magnitude = fabs(scale);
    } else if (i->bias) {
        s->value += (double)i->bias[o];
        s->magnitude += fabs((double)i->bias[o]);
    }
}

static void finish(const struct op_instance *i, size_t at, struct sum s, double bound, bool exact,
                   struct reference *out) {
    if (i->residual) {
        s.value += (double)i->residual[at];
        bound += unit * fabs((double)i->residual[at]);
    }
    if (i->c->relu && s.value < 0)
        s.value = 0;
    store_bound(i, exact, s.value, &bound);
    out->value[at] = s.value;
    out->bound[at] = exact ? 0 : bound;
}

static void compute_conv(const struct op_instance *i, bool exact, struct reference *out) {
    const int height = case_dst_height(i->c), width = case_dst_width(i->c);
    const double growth = unit * (8 + 4 * sqrt((double)i->products));
    size_t at = 0;
    for (int n = 0; n < i->c->images; n++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                for (int o = 0; o < i->c->dst_channels; o++, at++) {
                    double scale, bound;
                    struct sum s = convolve(i, n, y, x, o);
                    const double products = s.magnitude;
                    normalise(i, o, &s, &scale);
                    out->magnitude[at] = products * scale;
                    bound = growth * s.magnitude;
                    if (i->norm[0] && i->fp16) // the folded weight was rounded to half precision
                        bound += 0x1p-11 * products * scale + half_tiny * 0x1p-10 * (double)i->products;
                    finish(i, at, s, bound, exact, out);
                }
}

static void compute_batch_norm(const struct op_instance *i, struct reference *out) {
    for (size_t at = 0; at < i->outputs; at++) {
        const double x = (double)i->src[at];
        double scale;
        struct sum s = {x, fabs(x)};
        normalise(i, (int)(at % (size_t)i->c->dst_channels), &s, &scale);
        finish(i, at, s, 16 * unit * s.magnitude, false, out); // sqrt and division: 3 ulp each (Vulkan, "Precision")
    }
}

static void compute_max_pool(const struct op_instance *i, struct reference *out) {
    const struct op_case *c = i->c;
    const int height = case_dst_height(c), width = case_dst_width(c);
    size_t at = 0;
    for (int n = 0; n < c->images; n++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                for (int o = 0; o < c->dst_channels; o++, at++) {
                    float best = -INFINITY;
                    for (int k = 0; k < c->kernel_h * c->kernel_w; k++) {
                        const int sy = y * c->stride + k / c->kernel_w - c->padding,
                                  sx = x * c->stride + k % c->kernel_w - c->padding;
                        if (sy >= 0 && sy < c->height && sx >= 0 && sx < c->width)
                            best = fmaxf(best, i->src[((n * c->height + sy) * c->width + sx) * c->channels + o]);
                    }
                    out->value[at] = (double)best;
                    out->bound[at] = 0;
                }
}

static void compute_avg_pool(const struct op_instance *i, double *value, double *bound) {
    const int pixels = i->c->height * i->c->width, channels = i->c->channels;
    for (size_t at = 0; at < (size_t)i->c->images * (size_t)channels; at++) {
        const float *src = i->src + at / (size_t)channels * (size_t)(pixels * channels) + at % (size_t)channels;
        double sum = 0, magnitude = 0;
        for (int k = 0; k < pixels; k++) {
            sum += (double)src[k * channels];
            magnitude += fabs((double)src[k * channels]);
        }
        value[at] = sum / pixels;
        // Sums of lines, summed.
        bound[at] = unit * (8 + 2 * (sqrt(i->c->height) + sqrt(i->c->width))) * magnitude / pixels;
    }
}

// The bound of compute_conv, and what the averages were off.
static void compute_avg_pool_linear(const struct op_instance *i, struct reference *out) {
    const size_t channels = (size_t)i->c->channels, outputs = (size_t)i->c->dst_channels;
    compute_avg_pool(i, out->middle, out->middle_bound);
    for (size_t at = 0; at < i->outputs; at++) {
        const double *average = out->middle + at / outputs * channels,
                     *off = out->middle_bound + at / outputs * channels;
        const float *w = i->weight + at % outputs * channels;
        struct sum s = {(double)i->bias[at % outputs], fabs((double)i->bias[at % outputs])};
        double bound = 0;
        for (size_t k = 0; k < channels; k++) {
            s.value += average[k] * (double)w[k];
            s.magnitude += fabs(average[k] * (double)w[k]);
            bound += off[k] * fabs((double)w[k]);
        }
        out->magnitude[at] = s.magnitude;
        finish(i, at, s, bound + unit * (8 + 4 * sqrt((double)i->products)) * s.magnitude, false, out);
    }
}

void reference_compute(struct reference *out, const struct op_instance *instance, bool exact) {
    out->value = must_alloc(instance->outputs, sizeof *out->value);
    out->bound = must_alloc(instance->outputs, sizeof *out->bound);
    out->magnitude = must_alloc(instance->outputs, sizeof *out->magnitude);
    out->middle = out->middle_bound = NULL;
    if (instance->num_ops > 1) {
        const size_t count = (size_t)instance->c->images * (size_t)instance->c->channels;
        out->middle = must_alloc(count, sizeof *out->middle);
        out->middle_bound = must_alloc(count, sizeof *out->middle_bound);
    }
    switch (instance->c->kind) {
    case CASE_CONV:
    case CASE_LINEAR: compute_conv(instance, exact, out); break;
    case CASE_BATCH_NORM: compute_batch_norm(instance, out); break;
    case CASE_MAX_POOL: compute_max_pool(instance, out); break;
    case CASE_AVG_POOL: compute_avg_pool(instance, out->value, out->bound); break;
    case CASE_AVG_POOL_LINEAR: compute_avg_pool_linear(instance, out); break;
    default: fail_msg("no reference for this kind of case");
    }
}

void reference_free(struct reference *r) {
    free(r->value);
    free(r->bound);
    free(r->magnitude);
    free(r->middle);
    free(r->middle_bound);
    *r = (struct reference){0};
}

void reference_classify(const float *logits, int classes, double *probs, int *order) {
    double best = -INFINITY, sum = 0;
    for (int i = 0; i < classes; i++)
        best = fmax(best, (double)logits[i]);
    for (int i = 0; i < classes; i++)
        sum += probs[i] = exp((double)logits[i] - best);
    for (int i = 0; i < classes; i++)
        probs[i] /= sum;
    // Shell sort: short, and independent of the library's qsort being stable or not.
    for (int i = 0; i < classes; i++)
        order[i] = i;
    for (int gap = classes / 2; gap > 0; gap /= 2)
        for (int i = gap; i < classes; i++)
            for (int j = i; j >= gap; j -= gap) {
                const int a = order[j - gap], b = order[j];
                if (logits[a] > logits[b] || (logits[a] == logits[b] && a < b))
                    break;
                order[j - gap] = b;
                order[j] = a;
            }
}
