// images.c - the pictures that a bench runs on; known_logits.h knows the answers to them.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

static uint32_t next_random(uint32_t *state) { // xorshift32, Marsaglia 2003
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

struct sides {
    int width, height;
};

// Preprocessing resizes the short side to the recipe's, in proportion to the input's, and the other with it: pictures
// of that size are not resized.
static struct sides picture_sides(const struct cdl_model_info *info, int width, int height) {
    const int short_side = width < height ? width : height;
    const int recipe_side = info->input_width < info->input_height ? info->input_width : info->input_height;
    const int resized = (int)lround((double)info->resize_size * short_side / recipe_side);
    return (struct sides){width > height ? (int)((double)resized * width / height) : resized,
                          height > width ? (int)((double)resized * height / width) : resized};
}

// The pictures as preprocessing would hand them to the network: the middle, normalised.
static bool make_tensors(struct bench_images *out, const struct cdl_model_info *info, struct sides sides, int width,
                         int height) {
    const size_t plane = (size_t)width * (size_t)height;
    const int left = (sides.width - width) / 2, top = (sides.height - height) / 2;
    out->tensors = malloc(BENCH_PICTURES * 3 * plane * sizeof *out->tensors);
    if (!out->tensors)
        return false;
    for (size_t i = 0; i < BENCH_PICTURES * plane; i++) {
        const size_t picture = i / plane, y = i % plane / (size_t)width + (size_t)top, x = i % (size_t)width;
        const uint8_t *pixel =
            out->pixels + 4 * ((picture * (size_t)sides.height + y) * (size_t)sides.width + x + (size_t)left);
        for (size_t c = 0; c < 3; c++)
            out->tensors[(picture * 3 + c) * plane + i % plane] =
                ((float)pixel[c] / 255 - info->mean[c]) / info->std[c];
    }
    return true;
}

bool bench_images_make(struct bench_images *out, const struct loaded_model *model, int count, int width, int height,
                       enum bench_input input) {
    const struct sides sides = picture_sides(&model->info, width, height);
    const size_t pixels = (size_t)sides.width * (size_t)sides.height, plane = (size_t)width * (size_t)height;
    const bool tensor = input == BENCH_TENSOR;
    uint32_t state = 2463534242u;
    *out = (struct bench_images){0};
    out->images = calloc((size_t)count, sizeof *out->images);
    out->pixels = malloc(BENCH_PICTURES * pixels * 4);
    if (!out->images || !out->pixels)
        return false;
    for (size_t i = 0; i < BENCH_PICTURES * pixels; i++) {
        const uint32_t word = next_random(&state);
        for (int c = 0; c < 4; c++)
            out->pixels[4 * i + (size_t)c] = (uint8_t)(word >> 8 * c);
    }
    if (tensor && !make_tensors(out, &model->info, sides, width, height))
        return false;
    for (int i = 0; i < count; i++) {
        const size_t picture = (size_t)(i % BENCH_PICTURES);
        out->images[i] = (struct cdl_pixels){.data = tensor ? (const void *)(out->tensors + picture * 3 * plane)
                                                            : (const void *)(out->pixels + picture * pixels * 4),
                                             .width = tensor ? width : sides.width,
                                             .height = tensor ? height : sides.height,
                                             .format = tensor ? CDL_FORMAT_TENSOR_F32 : CDL_FORMAT_RGBA8};
    }
    return true;
}

void bench_images_free(struct bench_images *images) {
    free(images->images);
    free(images->pixels);
    free(images->tensors);
    *images = (struct bench_images){0};
}
