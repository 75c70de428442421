// augment.c - see augment.h. The crop is torchvision's (transforms.py: RandomResizedCrop.get_params), but for the
// generator.
#include "train/augment.h"

#include <math.h>

#include "base/random.h"

// Random numbers of one picture in one epoch.
struct draws {
    uint64_t seed, used;
};

static double uniform(struct draws *d, double low, double high) {
    const double unit = (double)(cdl_random_bits(d->seed, d->used++) >> 11) / 9007199254740992.0; // 2^53
    return low + (high - low) * unit;
}

static int below(struct draws *d, int n) {
    return (int)((cdl_random_bits(d->seed, d->used++) >> 32) * (uint64_t)n >> 32);
}

// Scale 0.08 ... 1 of the area, ratio 3/4 ... 4/3; after ten that do not fit, the middle, as near to that as it is.
static struct cdl_rectangle random_crop(struct draws *d, int width, int height) {
    const double area = (double)width * height, low = log(3.0 / 4.0), high = log(4.0 / 3.0);
    for (int i = 0; i < 10; i++) {
        const double target = area * uniform(d, 0.08, 1.0), ratio = exp(uniform(d, low, high));
        const int w = (int)nearbyint(sqrt(target * ratio)), h = (int)nearbyint(sqrt(target / ratio));
        if (w > 0 && w <= width && h > 0 && h <= height) {
            const int y = below(d, height - h + 1), x = below(d, width - w + 1);
            return (struct cdl_rectangle){x, y, w, h};
        }
    }
    int w = width, h = height;
    if ((double)width / height < 3.0 / 4.0)
        h = (int)nearbyint(width / (3.0 / 4.0));
    else if ((double)width / height > 4.0 / 3.0)
        w = (int)nearbyint(height * (4.0 / 3.0));
    h = h < height ? h : height;
    w = w < width ? w : width;
    return (struct cdl_rectangle){(width - w) / 2, (height - h) / 2, w, h};
}

// torchvision's ColorJitter.get_params: a factor each, and their order.
static struct train_jitter random_jitter(struct draws *d, const struct cdl_train_sight *s) {
    const float most[] = {s->brightness, s->contrast, s->saturation};
    float factors[3];
    int left[] = {0, 1, 2}, order = 0;
    for (int i = 0; i < 3; i++) {
        const double least = most[i] < 1 ? 1 - (double)most[i] : 0;
        factors[i] = (float)uniform(d, least, 1 + (double)most[i]);
    }
    for (int i = 0; i < 3; i++) {
        const int k = below(d, 3 - i);
        order |= left[k] << 2 * i;
        left[k] = left[2 - i];
    }
    return (struct train_jitter){factors[0], factors[1], factors[2], order};
}

float cdl_train_mixup_share(uint64_t seed, int epoch, uint64_t index, double alpha) {
    // A generator of its own, as in cdl_train_order; the method is Johnk's (1964), in logarithms as powers may vanish.
    struct draws d = {cdl_random_bits(cdl_random_bits(seed, (uint64_t)epoch), index | UINT64_C(1) << 62), 0};
    for (;;) {
        const double x = log(uniform(&d, 0, 1)) / alpha, y = log(uniform(&d, 0, 1)) / alpha;
        const double larger = x > y ? x : y, sum = larger + log(exp(x - larger) + exp(y - larger));
        if (isfinite(larger) && sum <= 0)
            return (float)exp(x - sum);
    }
}

bool cdl_train_view(const struct cdl_train_sight *s, int width, int height, int epoch, uint64_t index,
                    struct cdl_train_view *out) {
    struct draws d = {cdl_random_bits(cdl_random_bits(s->seed, (uint64_t)epoch), index), 0};
    struct cdl_geometry g;
    *out = (struct cdl_train_view){.part = {0, 0, width, height}};
    if (!cdl_resize_geometry(width, height, s->resize_size, s->width, s->height, &g))
        return false;
    if (s->augment == CDL_AUGMENT_IMAGENET) {
        out->part = random_crop(&d, width, height);
        out->resized_width = s->width;
        out->resized_height = s->height;
    } else {
        out->resized_width = g.resized_width;
        out->resized_height = g.resized_height;
        out->left = g.crop_left;
        out->top = g.crop_top;
    }
    if (s->augment == CDL_AUGMENT_SMALL) { // of a side of 32: by up to 4, either way
        out->left += below(&d, s->width / 8 * 2 + 1) - s->width / 8;
        out->top += below(&d, s->height / 8 * 2 + 1) - s->height / 8;
    }
    out->flip = s->augment != CDL_AUGMENT_NONE && below(&d, 2) == 1;
    out->jitter = random_jitter(&d, s);
    return true;
}

void cdl_train_order(uint64_t seed, int epoch, uint32_t count, uint32_t *out) {
    // Fisher & Yates, by a generator of its own: the pictures' are keyed by what lies below 2^63.
    struct draws d = {cdl_random_bits(cdl_random_bits(seed, (uint64_t)epoch), UINT64_C(1) << 63), 0};
    for (uint32_t i = 0; i < count; i++)
        out[i] = i;
    for (uint32_t i = count; i > 1; i--) {
        const uint32_t k = (uint32_t)((cdl_random_bits(d.seed, d.used++) >> 32) * i >> 32);
        const uint32_t swap = out[i - 1];
        out[i - 1] = out[k];
        out[k] = swap;
    }
}
