// overlay.c - see overlay.h.
#include "picture/overlay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "picture/stb_png.h"
#include "system/output_file.h"

// ---- colours

// Oklab (B. Ottosson, 2020), in which equal steps look equal, to linear light.
static void oklab_to_linear(double lightness, double a, double b, double rgb[3]) {
    const double l = pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3),
                 m = pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3),
                 s = pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
    rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
    rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
    rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
}

static bool in_gamut(const double rgb[3]) {
    for (int i = 0; i < 3; i++)
        if (rgb[i] < 0 || rgb[i] > 1)
            return false;
    return true;
}

static uint8_t encode_srgb(double linear) {
    const double x = linear <= 0 ? 0 : linear >= 1 ? 1 : linear;
    const double encoded = x <= 0.0031308 ? 12.92 * x : 1.055 * pow(x, 1 / 2.4) - 0.055;
    return (uint8_t)(255 * encoded + 0.5);
}

// From dark blue through violet, red and orange to light yellow; as colourful as the screen can show.
void overlay_colours(uint8_t out[OVERLAY_COLOURS][4]) {
    for (int i = 0; i < OVERLAY_COLOURS; i++) {
        const double t = (double)i / (OVERLAY_COLOURS - 1), lightness = 0.32 + 0.62 * t;
        const double hue = (275 + 190 * t) * 3.14159265358979 / 180;
        double rgb[3], chroma = 0.22;
        for (oklab_to_linear(lightness, chroma * cos(hue), chroma * sin(hue), rgb); !in_gamut(rgb) && chroma > 0;
             chroma -= 0.002)
            oklab_to_linear(lightness, chroma * cos(hue), chroma * sin(hue), rgb);
        for (int j = 0; j < 3; j++)
            out[i][j] = encode_srgb(rgb[j]);
        out[i][3] = 255;
    }
}

// ---- the map between its places

static int clamp(int x, int end) { return x < 0 ? 0 : x >= end ? end - 1 : x; }

static void spline_weights(float t, float w[4]) {
    const float u = 1 - t;
    w[0] = u * u * u / 6;
    w[1] = (4 - 6 * t * t + 3 * t * t * t) / 6;
    w[2] = (4 - 6 * u * u + 3 * u * u * u) / 6;
    w[3] = t * t * t / 6;
}

// At x, y in places; the centre of the first is 0, 0.
static float between(const float *cam, int width, int height, float x, float y) {
    const float x0 = floorf(x), y0 = floorf(y);
    float wx[4], wy[4], sum = 0;
    spline_weights(x - x0, wx);
    spline_weights(y - y0, wy);
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++)
            sum += wy[j] * wx[i] * cam[clamp((int)y0 + j - 1, height) * width + clamp((int)x0 + i - 1, width)];
    return sum;
}

bool overlay_refine(const float *cam, int cam_width, int cam_height, uint8_t out[OVERLAY_SIDE * OVERLAY_SIDE]) {
    static const float side = OVERLAY_SIDE;
    float peak = 0;
    for (int y = 0; y < cam_height; y++)
        for (int x = 0; x < cam_width; x++)
            peak = fmaxf(peak, between(cam, cam_width, cam_height, (float)x, (float)y));
    for (int y = 0; y < OVERLAY_SIDE; y++)
        for (int x = 0; x < OVERLAY_SIDE; x++) {
            const float u = ((float)x + 0.5f) / side * (float)cam_width - 0.5f,
                        v = ((float)y + 0.5f) / side * (float)cam_height - 0.5f;
            const float t = peak > 0 ? between(cam, cam_width, cam_height, u, v) / peak : 0;
            out[y * OVERLAY_SIDE + x] = (uint8_t)(255 * (t < 0 ? 0 : t > 1 ? 1 : t) + 0.5f);
        }
    return peak > 0;
}

// Linear between the refined places, as a GPU's sampler does it; u, v in 0 ... 1.
static float sample(const uint8_t *map, float u, float v) {
    const float x = u * OVERLAY_SIDE - 0.5f, y = v * OVERLAY_SIDE - 0.5f, x0 = floorf(x), y0 = floorf(y), fx = x - x0,
                fy = y - y0;
    const int left = clamp((int)x0, OVERLAY_SIDE), right = clamp((int)x0 + 1, OVERLAY_SIDE);
    const uint8_t *above = map + clamp((int)y0, OVERLAY_SIDE) * OVERLAY_SIDE,
                  *below = map + clamp((int)y0 + 1, OVERLAY_SIDE) * OVERLAY_SIDE;
    const float top = (float)above[left] + fx * (float)(above[right] - above[left]),
                bottom = (float)below[left] + fx * (float)(below[right] - below[left]);
    return (top + fy * (bottom - top)) / 255;
}

void overlay_paint(uint8_t *rgba, int width, int height, const struct cdl_region *seen,
                   const uint8_t map[OVERLAY_SIDE * OVERLAY_SIDE]) {
    uint8_t colours[OVERLAY_COLOURS][4];
    overlay_colours(colours);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const float u = ((float)x + 0.5f - seen->x) / seen->width, v = ((float)y + 0.5f - seen->y) / seen->height;
            if (u < 0 || u > 1 || v < 0 || v > 1)
                continue;
            const float t = sample(map, u, v), rise = t < 0.1f ? 0 : t > 0.9f ? 1 : (t - 0.1f) / 0.8f;
            const float opacity = 0.62f * rise * rise * (3 - 2 * rise); // what says little stays as it is
            const uint8_t *colour = colours[(int)(t * (OVERLAY_COLOURS - 1) + 0.5f)];
            uint8_t *pixel = rgba + ((size_t)y * (size_t)width + (size_t)x) * 4;
            for (int i = 0; i < 3; i++)
                pixel[i] = (uint8_t)((float)pixel[i] + opacity * ((float)colour[i] - (float)pixel[i]) + 0.5f);
        }
}

uint8_t *overlay_upright(const uint8_t *rgba, int width, int height, int orientation, int *upright_width,
                         int *upright_height) {
    const bool turned = orientation >= 5 && orientation <= 8;
    *upright_width = turned ? height : width;
    *upright_height = turned ? width : height;
    uint8_t *out = malloc((size_t)width * (size_t)height * 4);
    for (int y = 0; out && y < *upright_height; y++)
        for (int x = 0; x < *upright_width; x++) {
            int from_x = turned ? y : x, from_y = turned ? x : y;
            if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
                from_x = width - 1 - from_x;
            if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
                from_y = height - 1 - from_y;
            memcpy(out + ((size_t)y * (size_t)*upright_width + (size_t)x) * 4,
                   rgba + ((size_t)from_y * (size_t)width + (size_t)from_x) * 4, 4);
        }
    return out;
}

// ---- files

bool overlay_write_png(const char *path, const uint8_t *rgba, int width, int height, char *error, size_t error_size) {
    int size = 0;
    uint8_t *png = stb_png_encode(rgba, width, height, &size);
    if (!png)
        snprintf(error, error_size, "%s: too large, or out of memory", path);
    const bool ok = png && output_file_write(path, png, (size_t)size, error, error_size);
    free(png);
    return ok;
}
