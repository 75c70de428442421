// golden_pictures.h - reads tests/golden/pictures/expected.txt (see make_pictures.py) for the tests of
// pictures and preprocessing, and judges a crop by it.
#ifndef CDL_GOLDEN_PICTURES_H_
#define CDL_GOLDEN_PICTURES_H_

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef CDL_GOLDEN_DIR
#define CDL_GOLDEN_DIR "tests/golden"
#endif

enum { GOLDEN_SAMPLE_STEP = 97 };

struct golden_case {
    char file[64];
    int width, height, orientation; // as stored
    char decoded[20];               // hash of the decoded RGB bytes, "-": not told
    int resize, crop_width, crop_height;
    char cropped[20]; // hash of the crop's RGB bytes
    uint8_t *samples; // every GOLDEN_SAMPLE_STEP-th byte of the crop
    size_t num_samples;
};

static inline void golden_path(char *out, size_t size, const char *file) {
    snprintf(out, size, "%s/pictures/%s", CDL_GOLDEN_DIR, file);
}

// A text of tests/golden/pictures; NULL after a line that says so.
static inline FILE *golden_open(const char *file) {
    char path[512];
    golden_path(path, sizeof(path), file);
    FILE *f = fopen(path, "r");
    if (!f)
        fprintf(stderr, "cannot open %s; run from the repository or set CDL_GOLDEN_DIR\n", path);
    return f;
}

// The picture "@formula WIDTHxHEIGHT", as formula() in make_pictures.py: [height][width][3].
static inline void golden_formula(int width, int height, uint8_t *rgb) {
    for (uint32_t y = 0; y < (uint32_t)height; ++y)
        for (uint32_t x = 0; x < (uint32_t)width; ++x, rgb += 3) {
            rgb[0] = (uint8_t)(x * 7 + y * 3 + (x * y >> 9));
            rgb[1] = (uint8_t)((x * x >> 7) + y);
            rgb[2] = (uint8_t)((x ^ y) + (x * 13 >> 4));
        }
}

// The next case, its samples malloc'd; false at the end of the file.
static inline bool golden_next(FILE *f, struct golden_case *c) {
    memset(c, 0, sizeof(*c));
    if (fscanf(f, "%63s %d %d %d %19s %d %d %d %19s ", c->file, &c->width, &c->height, &c->orientation, c->decoded,
               &c->resize, &c->crop_width, &c->crop_height, c->cropped) != 9)
        return false;
    size_t bytes = (size_t)c->crop_width * (size_t)c->crop_height * 3;
    c->num_samples = (bytes + GOLDEN_SAMPLE_STEP - 1) / GOLDEN_SAMPLE_STEP;
    c->samples = malloc(c->num_samples);
    for (size_t i = 0; c->samples && i < c->num_samples; ++i) {
        unsigned value;
        if (fscanf(f, "%2x", &value) != 1)
            return false;
        c->samples[i] = (uint8_t)value;
    }
    return c->samples != NULL;
}

#define GOLDEN_HASH_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t golden_hash(uint64_t hash, const uint8_t *data, size_t size) // FNV-1a
{
    for (size_t i = 0; i < size; ++i)
        hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static inline bool golden_hash_is(uint64_t hash, const char *expected) {
    char text[20];
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
    return strcmp(text, expected) == 0;
}

// *equal: the crop's every byte is as expected. Else true still when of the samples 99.9 % are and
// none is off by more than 1; another decoder version may round elsewhere.
static inline bool golden_crop_ok(const struct golden_case *c, const uint8_t *rgb, bool *equal) {
    size_t bytes = (size_t)c->crop_width * (size_t)c->crop_height * 3, differing = 0;
    int worst = 0;
    for (size_t i = 0; i < c->num_samples; ++i) {
        int d = abs((int)rgb[i * GOLDEN_SAMPLE_STEP] - (int)c->samples[i]);
        differing += d != 0;
        worst = d > worst ? d : worst;
    }
    *equal = golden_hash_is(golden_hash(GOLDEN_HASH_START, rgb, bytes), c->cropped);
    if (!*equal)
        fprintf(stderr, "%s resize %d crop %dx%d: not equal; %zu of %zu samples differ, by up to %d\n", c->file,
                c->resize, c->crop_width, c->crop_height, differing, c->num_samples, worst);
    return *equal || (worst <= 1 && differing * 1000 <= c->num_samples);
}

#endif // CDL_GOLDEN_PICTURES_H_
