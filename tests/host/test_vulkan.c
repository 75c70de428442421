// test_vulkan.c - a host's pictures, on the host's device (rig.h), under validation.
//
// Pictures: each kind of input, crop, orientation and size gives to the bit what cdl_session_run gives for the same
// pixels in host memory: logits, order, probabilities, features. Misuse: each documented rule of cdl_vulkan.h, broken,
// is CDL_ERR_INVALID, one log line that names the rule, and leaves the session as it was.
// The import is test_vulkan_import.c's, what runs do in flight is test_vulkan_runs.c's.
#include <math.h>

#include "support/rig.h"

enum { CLASSES = 10, MAX_SIDE = 700 };

static struct {
    cdl_model *model; // 10 classes, input 5x7 (width x height)
    cdl_session *s;   // slot 0 for the host's pictures, slot 1 for the reference; batches of 3
    struct random random;
} t;

static int open_all(void **state) {
    if (rig_open(state))
        return -1;
    t.model = harness_load("bottleneck_g8");
    t.random = random_of(11);
    harness_expect_ok(
        cdl_session_create(&t.s, harness.dev, t.model, cdl_session_params(.num_slots = 2, .max_batch = 3)), "session");
    return 0;
}

static int close_all(void **state) {
    cdl_session_destroy(&t.s);
    cdl_model_destroy(&t.model);
    return rig_close(state);
}

// ---- pictures

// A picture for the host, and the same pixels in host memory.
struct picture {
    struct cdl_vk_input input;
    struct cdl_pixels pixels;
    struct rig_image image, chroma;
    struct rig_buffer buffer;
    uint8_t *memory;
};

enum kind {
    RGBA,
    RGBA_SRGB,
    BGRA,
    BGRA_SRGB,
    SRGB_VIEW,
    SWIZZLED,
    HALVES,
    FLOATS,
    FLOATS_LINEAR,
    DEEP,
    GENERAL,
    R5G6B5,
    BUFFER,
    BUFFER_BGRA,
    NV12,
    KINDS
};
static const char *const kind_names[KINDS] = {
    "RGBA view",
    "RGBA sRGB view",
    "BGRA view",
    "BGRA sRGB view",
    "sRGB view of a UNORM image",
    "swizzled view",
    "half view",
    "float view",
    "float view, linear light",
    "view of level 1, layer 2",
    "view in GENERAL",
    "5-6-5 view",
    "buffer",
    "BGRA buffer",
    "NV12",
};

static void swap_red_and_blue(uint8_t *rgba, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t r = rgba[4 * i];
        rgba[4 * i] = rgba[4 * i + 2];
        rgba[4 * i + 2] = r;
    }
}

// Floats that round to the bytes; 0 and 255 from beyond the range too.
static float *as_floats(const uint8_t *rgba, size_t count, bool linear) {
    float *out = must_alloc(count, sizeof *out);
    for (size_t i = 0; i < count; i++) {
        const double v = rgba[i] / 255.0;
        out[i] = (float)(!linear ? v : v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
        if (i % 5 == 0 && (rgba[i] == 0 || rgba[i] == 255))
            out[i] = rgba[i] ? 3.5f : -2;
    }
    return out;
}

static struct picture make_nv12(int width, int height) {
    const int chroma_width = (width + 1) / 2, chroma_height = (height + 1) / 2;
    const size_t stride = (size_t)chroma_width * 2; // of the copy in host memory
    struct picture p = {.memory = must_alloc(stride * (size_t)(height + chroma_height), 1)};
    uint8_t *luma = random_bytes(&t.random, (size_t)width * (size_t)height),
            *chroma = random_bytes(&t.random, (size_t)chroma_width * 2 * (size_t)chroma_height);
    for (int y = 0; y < height; y++)
        memcpy(p.memory + (size_t)y * stride, luma + (size_t)y * (size_t)width, (size_t)width);
    memcpy(p.memory + (size_t)height * stride, chroma, stride * (size_t)chroma_height);
    p.image = rig_image(&(struct rig_image_params){
        .format = VK_FORMAT_R8_UNORM, .width = width, .height = height, .data = luma, .pixel_bytes = 1});
    p.chroma = rig_image(&(struct rig_image_params){.format = VK_FORMAT_R8G8_UNORM,
                                                    .width = chroma_width,
                                                    .height = chroma_height,
                                                    .data = chroma,
                                                    .pixel_bytes = 2});
    p.input = (struct cdl_vk_input){.width = width,
                                    .height = height,
                                    .view = p.image.view,
                                    .chroma_view = p.chroma.view,
                                    .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
    p.pixels = (struct cdl_pixels){
        .data = p.memory, .width = width, .height = height, .stride = stride, .format = CDL_FORMAT_NV12};
    free(luma);
    free(chroma);
    return p;
}

static struct picture make_buffer(int width, int height, bool bgra) {
    const size_t stride = (size_t)width * 4 + 4 * (size_t)random_below(&t.random, 5),
                 offset = 4 * (size_t)random_below(&t.random, 40);
    const size_t size = stride * (size_t)(height - 1) + (size_t)width * 4;
    struct picture p = {.memory = random_bytes(&t.random, size),
                        .buffer = rig_buffer(VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, offset + size)};
    memcpy(p.buffer.mapped + offset, p.memory, size);
    p.pixels = (struct cdl_pixels){.data = p.memory,
                                   .width = width,
                                   .height = height,
                                   .stride = stride,
                                   .format = bgra ? CDL_FORMAT_BGRA8 : CDL_FORMAT_RGBA8};
    p.input = (struct cdl_vk_input){.width = width,
                                    .height = height,
                                    .buffer = p.buffer.handle,
                                    .offset = offset,
                                    .stride = stride,
                                    .format = p.pixels.format};
    return p;
}

static struct picture make_view(enum kind kind, int width, int height) {
    static const VkFormat formats[KINDS] = {
        [RGBA] = VK_FORMAT_R8G8B8A8_UNORM,
        [RGBA_SRGB] = VK_FORMAT_R8G8B8A8_SRGB,
        [BGRA] = VK_FORMAT_B8G8R8A8_UNORM,
        [BGRA_SRGB] = VK_FORMAT_B8G8R8A8_SRGB,
        [SRGB_VIEW] = VK_FORMAT_R8G8B8A8_UNORM,
        [SWIZZLED] = VK_FORMAT_R8G8B8A8_UNORM,
        [HALVES] = VK_FORMAT_R16G16B16A16_SFLOAT,
        [FLOATS] = VK_FORMAT_R32G32B32A32_SFLOAT,
        [FLOATS_LINEAR] = VK_FORMAT_R32G32B32A32_SFLOAT,
        [DEEP] = VK_FORMAT_R8G8B8A8_UNORM,
        [GENERAL] = VK_FORMAT_R8G8B8A8_UNORM,
        [R5G6B5] = VK_FORMAT_R5G6B5_UNORM_PACK16,
    };
    const size_t count = (size_t)width * (size_t)height;
    struct picture p = {.memory = random_bytes(&t.random, count * 4)};
    struct rig_image_params image = {
        .format = formats[kind], .width = width, .height = height, .data = p.memory, .pixel_bytes = 4};
    uint16_t *words = NULL;
    float *floats = NULL;
    if (kind == SRGB_VIEW)
        image.view_format = VK_FORMAT_R8G8B8A8_SRGB;
    if (kind == SWIZZLED)
        image.swizzle = (VkComponentMapping){VK_COMPONENT_SWIZZLE_B, VK_COMPONENT_SWIZZLE_G, VK_COMPONENT_SWIZZLE_R,
                                             VK_COMPONENT_SWIZZLE_ONE};
    if (kind == DEEP) {
        image.level = 1;
        image.layer = 2;
    }
    if (kind == GENERAL)
        image.layout = VK_IMAGE_LAYOUT_GENERAL;
    if (kind == HALVES || kind == FLOATS || kind == FLOATS_LINEAR) {
        image.data = floats = as_floats(p.memory, count * 4, kind == FLOATS_LINEAR);
        image.pixel_bytes = 16;
    }
    if (kind == HALVES) {
        image.data = words = must_alloc(count * 4, sizeof *words);
        image.pixel_bytes = 8;
        for (size_t i = 0; i < count * 4; i++)
            words[i] = cdl_f32_to_f16(floats[i]);
    }
    if (kind == R5G6B5) { // red in the highest bits
        image.data = words = must_alloc(count, sizeof *words);
        image.pixel_bytes = 2;
        for (size_t i = 0; i < count; i++) {
            words[i] = (uint16_t)random_next(&t.random);
            p.memory[4 * i] = (uint8_t)((words[i] >> 11) * 255.0 / 31 + 0.5);
            p.memory[4 * i + 1] = (uint8_t)((words[i] >> 5 & 63) * 255.0 / 63 + 0.5);
            p.memory[4 * i + 2] = (uint8_t)((words[i] & 31) * 255.0 / 31 + 0.5);
        }
    }
    p.image = rig_image(&image);
    if (kind == BGRA || kind == BGRA_SRGB || kind == SWIZZLED) // from here on the copy that the reference gets
        swap_red_and_blue(p.memory, count);
    p.pixels = (struct cdl_pixels){.data = p.memory, .width = width, .height = height, .format = CDL_FORMAT_RGBA8};
    p.input = (struct cdl_vk_input){
        .width = width,
        .height = height,
        .view = p.image.view,
        .linear = kind == RGBA_SRGB || kind == BGRA_SRGB || kind == SRGB_VIEW || kind == FLOATS_LINEAR,
        .layout = kind == GENERAL ? VK_IMAGE_LAYOUT_GENERAL : VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
    };
    free(words);
    free(floats);
    return p;
}

static struct picture make_picture(enum kind kind, int width, int height) {
    return kind == NV12                            ? make_nv12(width, height)
           : kind == BUFFER || kind == BUFFER_BGRA ? make_buffer(width, height, kind == BUFFER_BGRA)
                                                   : make_view(kind, width, height);
}

static void free_picture(struct picture *p) {
    rig_image_free(&p->image);
    rig_image_free(&p->chroma);
    rig_buffer_free(&p->buffer);
    free(p->memory);
}

// One run of `count` pictures by record, another of the same pixels by submit; both slots hold their results
// afterwards.
static void run_both(const struct cdl_vk_input *inputs, const struct cdl_pixels *pixels, int count, const char *what) {
    struct cdl_class top[2][CLASSES];
    VkCommandBuffer cmd = rig_begin();
    harness_expect_ok(cdl_vk_record(t.s, cmd, cdl_vk_run(.inputs = inputs, .count = count)), what);
    rig_run(cmd);
    harness_expect_ok(cdl_vk_retire(t.s, 0, true), what);
    harness_expect_ok(cdl_session_submit(t.s, 1, pixels, count), what);
    harness_expect_ok(cdl_session_wait(t.s, 1, UINT64_MAX), what);
    for (int i = 0; i < count; i++) {
        const float *got = cdl_session_logits(t.s, 0, i), *expected = cdl_session_logits(t.s, 1, i);
        for (int slot = 0; slot < 2; slot++)
            harness_expect_ok(cdl_session_topk(t.s, slot, i, top[slot], CLASSES), what);
        for (int k = 0; k < CLASSES; k++)
            if (memcmp(&got[k], &expected[k], sizeof *got) || memcmp(&top[0][k], &top[1][k], sizeof top[0][k]))
                fail_msg("%s, picture %d: logit %d is %.9g, from host memory %.9g", what, i, k, (double)got[k],
                         (double)expected[k]);
        assert_memory_equal(cdl_session_features(t.s, 0, i), cdl_session_features(t.s, 1, i),
                            sizeof(float) * (size_t)t.s->info.num_features);
    }
}

static const int sizes[][2] = {{1, 1},   {2, 1},   {1, 9},     {5, 7},        {4, 6},   {7, 5},
                               {33, 31}, {64, 48}, {301, 200}, {MAX_SIDE, 3}, {17, 500}};

static const float *logits_from_memory(const struct cdl_pixels *pixels) {
    harness_expect_ok(cdl_session_submit(t.s, 1, pixels, 1), "5-6-5 from memory");
    harness_expect_ok(cdl_session_wait(t.s, 1, UINT64_MAX), "5-6-5 from memory");
    return cdl_session_logits(t.s, 1, 0);
}

// How texture units make eight bits of five and six differs: a value may be off by one step of 255 (an NVIDIA H200's
// are). So much may the logits be off as they are where all values of some channels are a step higher or lower.
static void test_5_6_5(void **state) {
    (void)state;
    for (size_t i = 0; i < CDL_COUNT(sizes); i++) {
        struct picture p = make_picture(R5G6B5, sizes[i][0], sizes[i][1]);
        const size_t bytes = 4 * (size_t)sizes[i][0] * (size_t)sizes[i][1];
        uint8_t *shifted = must_alloc(bytes, 1);
        struct cdl_pixels other = p.pixels;
        float expected[CLASSES], bound[CLASSES] = {0};
        memcpy(expected, logits_from_memory(&p.pixels), sizeof expected);
        other.data = shifted;
        for (int run = 0; run < 8; run++) { // red, green, blue, all; down, up
            for (size_t k = 0; k < bytes; k++) {
                const bool moves = run / 2 == 3 || k % 4 == (size_t)(run / 2);
                const int v = p.memory[k] + (moves ? run % 2 * 2 - 1 : 0);
                shifted[k] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
            const float *moved = logits_from_memory(&other);
            for (int k = 0; k < CLASSES; k++)
                bound[k] = fmaxf(bound[k], fabsf(moved[k] - expected[k]));
        }
        VkCommandBuffer cmd = rig_begin();
        harness_expect_ok(cdl_vk_record(t.s, cmd, cdl_vk_run(.inputs = &p.input, .count = 1)), "5-6-5 view");
        rig_run(cmd);
        harness_expect_ok(cdl_vk_retire(t.s, 0, true), "5-6-5 view");
        for (int k = 0; k < CLASSES; k++)
            if (!(fabsf(cdl_session_logits(t.s, 0, 0)[k] - expected[k]) <= bound[k]))
                fail_msg("5-6-5 view of %dx%d: logit %d is off by more than a step of 255 makes", sizes[i][0],
                         sizes[i][1], k);
        free(shifted);
        free_picture(&p);
    }
}

static void test_kinds_and_sizes(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; kind != R5G6B5 && i < CDL_COUNT(sizes); i++) {
            char what[96];
            snprintf(what, sizeof what, "%s, %dx%d", kind_names[kind], sizes[i][0], sizes[i][1]);
            struct picture p = make_picture((enum kind)kind, sizes[i][0], sizes[i][1]);
            run_both(&p.input, &p.pixels, 1, what);
            free_picture(&p);
        }
}

static void test_orientations(void **state) {
    (void)state;
    static const enum kind kinds[] = {RGBA, NV12, BUFFER, BGRA_SRGB};
    for (size_t k = 0; k < CDL_COUNT(kinds); k++)
        for (int orientation = 0; orientation <= 8; orientation++) {
            char what[96];
            snprintf(what, sizeof what, "%s, orientation %d", kind_names[kinds[k]], orientation);
            struct picture p = make_picture(kinds[k], 23 + orientation, 14);
            p.input.orientation = p.pixels.orientation = orientation;
            run_both(&p.input, &p.pixels, 1, what);
            free_picture(&p);
        }
}

// The cropped pixels as a picture of their own. BT.709 in the 8-bit fixed point that cdl.h's NV12 stands for.
static struct cdl_pixels crop_pixels(const struct picture *p, int x, int y, int width, int height, uint8_t **memory) {
    *memory = NULL;
    struct cdl_pixels out = p->pixels;
    out.width = width;
    out.height = height;
    if (p->pixels.format != CDL_FORMAT_NV12) {
        out.stride = p->pixels.stride ? p->pixels.stride : (size_t)p->pixels.width * 4;
        out.data = (const uint8_t *)p->pixels.data + (size_t)y * out.stride + (size_t)x * 4;
        return out;
    }
    uint8_t *rgba = *memory = must_alloc((size_t)width * (size_t)height, 4);
    const uint8_t *luma = p->pixels.data, *chroma = luma + p->pixels.stride * (size_t)p->pixels.height;
    for (int row = 0; row < height; row++)
        for (int column = 0; column < width; column++) {
            const size_t sx = (size_t)(x + column), sy = (size_t)(y + row);
            const uint8_t *c = chroma + sy / 2 * p->pixels.stride + sx / 2 * 2;
            const int l = 298 * (luma[sy * p->pixels.stride + sx] - 16) + 128, cb = c[0] - 128, cr = c[1] - 128;
            const int rgb[3] = {(l + 459 * cr) >> 8, (l - 55 * cb - 136 * cr) >> 8, (l + 541 * cb) >> 8};
            uint8_t *out_rgb = rgba + 4 * ((size_t)row * (size_t)width + (size_t)column);
            for (int i = 0; i < 3; i++)
                out_rgb[i] = (uint8_t)(rgb[i] < 0 ? 0 : rgb[i] > 255 ? 255 : rgb[i]);
        }
    return (struct cdl_pixels){.data = rgba, .width = width, .height = height, .format = CDL_FORMAT_RGBA8};
}

static void test_crops(void **state) {
    (void)state;
    static const enum kind kinds[] = {RGBA, BUFFER, BUFFER_BGRA, NV12, RGBA_SRGB, DEEP};
    static const int crops[][4] = {{0, 0, 40, 30}, {1, 0, 39, 30}, {0, 3, 1, 1},  {39, 29, 1, 1},
                                   {7, 5, 21, 13}, {3, 1, 5, 7},   {0, 29, 40, 1}};
    for (size_t k = 0; k < CDL_COUNT(kinds); k++) {
        struct picture p = make_picture(kinds[k], 40, 30);
        for (size_t i = 0; i < CDL_COUNT(crops); i++)
            for (int orientation = 1; orientation <= 8; orientation += 5) {
                char what[96];
                uint8_t *memory;
                const int *c = crops[i];
                snprintf(what, sizeof what, "%s, crop %d,%d %dx%d, orientation %d", kind_names[kinds[k]], c[0], c[1],
                         c[2], c[3], orientation);
                p.input.crop.x = c[0];
                p.input.crop.y = c[1];
                p.input.crop.width = c[2];
                p.input.crop.height = c[3];
                p.input.orientation = orientation;
                struct cdl_pixels pixels = crop_pixels(&p, c[0], c[1], c[2], c[3], &memory);
                pixels.orientation = orientation;
                run_both(&p.input, &pixels, 1, what);
                free(memory);
            }
        free_picture(&p);
    }
}

// Several kinds in one run, and one buffer or image in several places.
static void test_batches(void **state) {
    (void)state;
    static const enum kind mixes[][3] = {{RGBA, NV12, BUFFER}, {BUFFER_BGRA, BGRA_SRGB, BUFFER}, {NV12, NV12, FLOATS}};
    for (size_t m = 0; m < CDL_COUNT(mixes); m++) {
        struct picture p[3];
        struct cdl_vk_input inputs[3];
        struct cdl_pixels pixels[3];
        for (int i = 0; i < 3; i++) {
            p[i] = make_picture(mixes[m][i], 9 + 14 * i, 40 - 11 * i);
            inputs[i] = p[i].input;
            pixels[i] = p[i].pixels;
        }
        run_both(inputs, pixels, 3, "a batch of three");
        run_both(inputs + 1, pixels + 1, 2, "a batch of two");
        inputs[1] = inputs[2] = inputs[0];
        pixels[1] = pixels[2] = pixels[0];
        inputs[2].orientation = pixels[2].orientation = 6;
        run_both(inputs, pixels, 3, "one picture thrice");
        for (int i = 0; i < 3; i++)
            free_picture(&p[i]);
    }
}

static void test_probs(void **state) {
    (void)state;
    struct picture a = make_picture(RGBA, 20, 20), b = make_picture(BUFFER, 31, 9);
    const struct cdl_vk_input inputs[] = {a.input, b.input};
    struct rig_buffer probs = rig_buffer(VK_BUFFER_USAGE_TRANSFER_DST_BIT, 256);
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    VkCommandBuffer cmd = rig_begin();
    harness_expect_ok(
        cdl_vk_record(t.s, cmd, cdl_vk_run(.inputs = inputs, .count = 2, .probs = probs.handle, .probs_offset = 12)),
        "record");
    vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0,
                         NULL);
    rig_run(cmd);
    harness_expect_ok(cdl_vk_retire(t.s, 0, true), "retire");
    for (int i = 0; i < 2; i++) {
        struct cdl_class top[CLASSES];
        harness_expect_ok(cdl_session_topk(t.s, 0, i, top, CLASSES), "topk");
        for (int k = 0; k < CLASSES; k++)
            assert_memory_equal(&top[k].prob, probs.mapped + 12 + (size_t)(i * CLASSES + top[k].id) * 4, 4);
    }
    for (size_t i = 0; i < 256; i++)
        if (i < 12 || i >= 12 + 2 * CLASSES * 4)
            assert_int_equal(probs.mapped[i], 0xcd); // nothing beside
    rig_buffer_free(&probs);
    free_picture(&a);
    free_picture(&b);
}

// ---- misuse

struct wrong_input {
    const char *what, *word;
    struct cdl_vk_input input;
};

// misuse: cdl_vk_record
static void test_wrong_inputs(void **state) {
    (void)state;
    struct picture view = make_picture(RGBA, 20, 16), buffer = make_picture(BUFFER, 20, 16);
    struct wrong_input wrong[] = {
        {"no width", "width", view.input},
        {"no height", "height", view.input},
        {"a side of 70000", "width", view.input},
        {"a crop at -1", "crop", view.input},
        {"a crop without height", "crop", view.input},
        {"a crop beyond the right", "crop", view.input},
        {"a crop beyond the bottom", "crop", view.input},
        {"orientation 9", "orientation", view.input},
        {"orientation -1", "orientation", view.input},
        {"neither view nor buffer", "view", view.input},
        {"view and buffer", "buffer", view.input},
        {"layout UNDEFINED", "layout", view.input},
        {"layout TRANSFER_SRC", "layout", view.input},
        {"a chroma view with a buffer", "chroma", buffer.input},
        {"RGB8 in a buffer", "format", buffer.input},
        {"offset 2", "offset", buffer.input},
        {"stride 82", "stride", buffer.input},
        {"a stride below the width", "stride", buffer.input},
        {"a crop whose sum wraps", "crop", view.input},
    };
    struct cdl_vk_input *in[CDL_COUNT(wrong)];
    for (size_t i = 0; i < CDL_COUNT(wrong); i++)
        in[i] = &wrong[i].input;
    in[0]->width = 0;
    in[1]->height = 0;
    in[2]->width = 70000;
    in[3]->crop.x = -1, in[3]->crop.width = in[3]->crop.height = 4;
    in[4]->crop.width = 4;
    in[5]->crop.x = 17, in[5]->crop.width = 4, in[5]->crop.height = 4;
    in[6]->crop.y = 15, in[6]->crop.width = 4, in[6]->crop.height = 2;
    in[7]->orientation = 9;
    in[8]->orientation = -1;
    in[9]->view = VK_NULL_HANDLE;
    in[10]->buffer = buffer.buffer.handle;
    in[11]->layout = VK_IMAGE_LAYOUT_UNDEFINED;
    in[12]->layout = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
    in[13]->chroma_view = view.image.view;
    in[14]->format = CDL_FORMAT_RGB8;
    in[15]->offset = 2;
    in[16]->stride = 82;
    in[17]->stride = 76;
    in[18]->crop.x = 2, in[18]->crop.width = INT32_MAX, in[18]->crop.height = 4;
    for (size_t i = 0; i < CDL_COUNT(wrong); i++) {
        const struct cdl_vk_input second[] = {view.input, wrong[i].input};
        VkCommandBuffer cmd = rig_begin();
        rig_expect_refusal(cdl_vk_record(t.s, cmd, cdl_vk_run(.inputs = &wrong[i].input, .count = 1)), CDL_ERR_INVALID,
                           wrong[i].word, wrong[i].what);
        rig_expect_refusal(cdl_vk_record(t.s, cmd, cdl_vk_run(.inputs = second, .count = 2)), CDL_ERR_INVALID,
                           wrong[i].word, wrong[i].what);
        rig_expect_refusal(cdl_vk_submit(t.s, cdl_vk_run(.inputs = second, .count = 2), NULL, 0, NULL, 0),
                           CDL_ERR_INVALID, wrong[i].word, wrong[i].what);
        rig_run(cmd); // empty: nothing was recorded
    }
    run_both(&view.input, &view.pixels, 1, "a good one after all that");
    free_picture(&view);
    free_picture(&buffer);
}

// misuse: cdl_vk_record
// misuse: cdl_vk_retire
static void test_wrong_runs(void **state) {
    (void)state;
    struct picture p = make_picture(RGBA, 20, 16);
    const struct cdl_vk_input inputs[4] = {p.input, p.input, p.input, p.input};
    const int most = t.s->info.max_slices;
    VkCommandBuffer cmd = rig_begin();
    const struct {
        const char *what, *word;
        struct cdl_vk_run run;
    } wrong[] = {
        {"slot -1", "slot", {.slot = -1, .inputs = inputs, .count = 1}},
        {"slot 2 of two", "slot", {.slot = 2, .inputs = inputs, .count = 1}},
        {"no inputs", "inputs", {.count = 1}},
        {"no picture", "count", {.inputs = inputs}},
        {"-1 pictures", "count", {.inputs = inputs, .count = -1}},
        {"more than max_batch", "count", {.inputs = inputs, .count = 4}},
        {"too many slices", "slices", {.inputs = inputs, .count = 1, .num_slices = most + 1}},
        {"-1 slices", "slices", {.inputs = inputs, .count = 1, .num_slices = -1}},
        {"slice -1", "slice", {.inputs = inputs, .count = 1, .slice = -1, .num_slices = 2}},
        {"slice 2 of two", "slice", {.inputs = inputs, .count = 1, .slice = 2, .num_slices = 2}},
        {"slice 1 of the whole", "slice", {.inputs = inputs, .count = 1, .slice = 1}},
        {"slice 1 first", "slot", {.inputs = inputs, .count = 1, .slice = 1, .num_slices = 2}},
        {"probs_offset 2", "probs_offset", {.inputs = inputs, .count = 1, .probs_offset = 2}},
    };
    for (size_t i = 0; i < CDL_COUNT(wrong); i++) {
        struct cdl_vk_run run = wrong[i].run;
        assert_int_equal(cdl_vk_record(t.s, cmd, &run), CDL_ERR_INVALID); // no struct_size
        harness_take_errors();
        run.struct_size = sizeof run;
        rig_expect_refusal(cdl_vk_record(t.s, cmd, &run), CDL_ERR_INVALID, wrong[i].word, wrong[i].what);
    }
    rig_expect_refusal(cdl_vk_record(t.s, VK_NULL_HANDLE, cdl_vk_run(.inputs = inputs, .count = 1)), CDL_ERR_INVALID,
                       "cmd", "no command buffer");
    rig_expect_refusal(cdl_vk_record(t.s, cmd, NULL), CDL_ERR_INVALID, "", "no run");
    rig_expect_refusal(cdl_vk_retire(t.s, 0, true), CDL_ERR_INVALID, "slot", "retiring an idle slot");
    rig_expect_refusal(cdl_vk_retire(t.s, -1, true), CDL_ERR_INVALID, "slot", "retiring slot -1");
    rig_expect_refusal(cdl_vk_retire(t.s, 2, false), CDL_ERR_INVALID, "slot", "retiring slot 2 of two");

    // A slot that was recorded is busy until it is retired.
    harness_expect_ok(cdl_vk_record(t.s, cmd, cdl_vk_run(.inputs = inputs, .count = 1)), "record");
    rig_expect_refusal(cdl_vk_record(t.s, cmd, cdl_vk_run(.inputs = inputs, .count = 1)), CDL_ERR_INVALID, "slot 0",
                       "a recorded slot");
    rig_expect_refusal(cdl_vk_submit(t.s, cdl_vk_run(.inputs = inputs, .count = 1), NULL, 0, NULL, 0), CDL_ERR_INVALID,
                       "slot 0", "submit, recorded slot");
    rig_expect_refusal(cdl_session_run(t.s, &p.pixels, 1), CDL_ERR_INVALID, "slot 0", "run, recorded slot");
    rig_expect_refusal(cdl_session_wait(t.s, 0, 0), CDL_ERR_INVALID, "cdl_vk_retire", "waiting for a recorded slot");
    assert_null(cdl_session_logits(t.s, 0, 0));
    rig_run(cmd);
    harness_expect_ok(cdl_vk_retire(t.s, 0, true), "retire");
    rig_expect_refusal(cdl_vk_retire(t.s, 0, true), CDL_ERR_INVALID, "slot", "retiring twice");
    assert_non_null(cdl_session_logits(t.s, 0, 0));
    free_picture(&p);
}

// misuse: cdl_vk_record
static void test_wrong_slices(void **state) {
    (void)state;
    struct picture p = make_picture(RGBA, 20, 16);
    VkCommandBuffer cmd = rig_begin();
    harness_expect_ok(cdl_vk_record(t.s, cmd, cdl_vk_run(.inputs = &p.input, .count = 1, .num_slices = 3)), "slice 0");
    // No other run meanwhile, in any slot.
    rig_expect_refusal(cdl_vk_record(t.s, cmd, cdl_vk_run(.slot = 1, .inputs = &p.input, .count = 1)), CDL_ERR_INVALID,
                       "half recorded", "another run");
    rig_expect_refusal(cdl_vk_submit(t.s, cdl_vk_run(.slot = 1, .inputs = &p.input, .count = 1), NULL, 0, NULL, 0),
                       CDL_ERR_INVALID, "half recorded", "another run submitted");
    rig_expect_refusal(cdl_session_submit(t.s, 1, &p.pixels, 1), CDL_ERR_INVALID, "half recorded",
                       "another run's pixels");
    rig_expect_refusal(cdl_vk_retire(t.s, 0, true), CDL_ERR_INVALID, "RECORD", "results of half a run");
    rig_run(cmd);
    harness_expect_ok(cdl_vk_retire(t.s, 0, false), "given up");
    // Slices out of order, or of another run.
    const struct cdl_vk_run wrong[] = {
        {.struct_size = sizeof wrong[0], .count = 1, .slice = 2, .num_slices = 3},
        {.struct_size = sizeof wrong[0], .count = 1, .slice = 0, .num_slices = 3},
        {.struct_size = sizeof wrong[0], .count = 1, .slice = 1, .num_slices = 4},
        {.struct_size = sizeof wrong[0], .count = 2, .slice = 1, .num_slices = 3},
        {.struct_size = sizeof wrong[0], .slot = 1, .count = 1, .slice = 1, .num_slices = 3},
    };
    for (size_t i = 0; i < CDL_COUNT(wrong); i++) {
        cmd = rig_begin();
        harness_expect_ok(cdl_vk_record(t.s, cmd, cdl_vk_run(.inputs = &p.input, .count = 1, .num_slices = 3)),
                          "slice 0");
        rig_expect_refusal(cdl_vk_record(t.s, cmd, &wrong[i]), CDL_ERR_INVALID, "sl", "a wrong slice");
        rig_run(cmd);
        cdl_vk_retire(t.s, 0, false);
        harness_take_errors();
    }
    run_both(&p.input, &p.pixels, 1, "a good one after all that");
    free_picture(&p);
}

// misuse: cdl_vk_submit
static void test_wrong_submissions(void **state) {
    (void)state;
    struct picture p = make_picture(RGBA, 20, 16);
    const struct cdl_vk_run *run = cdl_vk_run(.inputs = &p.input, .count = 1);
    VkSemaphore semaphore = rig_timeline(0);
    cdl_vk_sem many[9], none = {VK_NULL_HANDLE, 1};
    for (int i = 0; i < 9; i++)
        many[i] = (cdl_vk_sem){semaphore, (uint64_t)i + 1};
    const struct {
        const char *what, *word;
        const cdl_vk_sem *waits;
        int num_waits;
        const cdl_vk_sem *signals;
        int num_signals;
    } wrong[] = {
        {"nine waits", "waits", many, 9, NULL, 0},     {"nine signals", "signals", NULL, 0, many, 9},
        {"-1 waits", "waits", many, -1, NULL, 0},      {"-1 signals", "signals", NULL, 0, many, -1},
        {"waits nowhere", "waits", NULL, 1, NULL, 0},  {"signals nowhere", "signals", NULL, 0, NULL, 1},
        {"an empty wait", "waits", &none, 1, NULL, 0}, {"an empty signal", "signals", NULL, 0, &none, 1},
    };
    for (size_t i = 0; i < CDL_COUNT(wrong); i++)
        rig_expect_refusal(
            cdl_vk_submit(t.s, run, wrong[i].waits, wrong[i].num_waits, wrong[i].signals, wrong[i].num_signals),
            CDL_ERR_INVALID, wrong[i].word, wrong[i].what);
    rig_expect_refusal(
        cdl_vk_submit(t.s, cdl_vk_run(.inputs = &p.input, .count = 1, .num_slices = 2), NULL, 0, NULL, 0),
        CDL_ERR_INVALID, "num_slices", "a submitted slice");
    rig_expect_refusal(cdl_vk_submit(t.s, NULL, NULL, 0, NULL, 0), CDL_ERR_INVALID, "", "no run");
    assert_int_equal(rig_timeline_value(semaphore), 0);
    harness_expect_ok(cdl_vk_submit(t.s, run, NULL, 0, NULL, 0), "submit");
    rig_expect_refusal(cdl_vk_submit(t.s, run, NULL, 0, NULL, 0), CDL_ERR_INVALID, "slot 0", "a submitted slot");
    rig_expect_refusal(cdl_vk_retire(t.s, 0, true), CDL_ERR_INVALID, "slot", "retiring what cdl_session_wait takes");
    harness_expect_ok(cdl_session_wait(t.s, 0, UINT64_MAX), "wait");
    vkDestroySemaphore(rig.host.device, semaphore, NULL);
    free_picture(&p);
}

// A picture so much larger than the network that its coefficients outgrow the staging buffer: refused, and the next one
// works.
static void test_small_staging(void **state) {
    (void)state;
    struct picture large = make_picture(RGBA, 4000, 3000), small = make_picture(RGBA, 20, 16);
    cdl_session *s;
    // By default there is room for its coefficients and not much else: pixels stay in the image.
    assert_int_equal(t.s->info.staging_bytes, 4 << 20);
    harness_expect_ok(cdl_vk_submit(t.s, cdl_vk_run(.inputs = &large.input, .count = 1), NULL, 0, NULL, 0), "large");
    harness_expect_ok(cdl_session_wait(t.s, 0, UINT64_MAX), "large");
    harness_expect_ok(
        cdl_session_create(&s, harness.dev, t.model, cdl_session_params(.staging_bytes = (size_t)32 << 20)), "session");
    harness_expect_ok(cdl_session_run(s, &large.pixels, 1), "from host memory");
    assert_memory_equal(cdl_session_logits(t.s, 0, 0), cdl_session_logits(s, 0, 0), CLASSES * sizeof(float));
    cdl_session_destroy(&s);
    harness_expect_ok(cdl_session_create(&s, harness.dev, t.model, cdl_session_params(.staging_bytes = 1)), "session");
    for (int i = 0; i < 2; i++) {
        VkCommandBuffer cmd = rig_begin();
        harness_expect_failure(cdl_vk_record(s, cmd, cdl_vk_run(.inputs = &large.input, .count = 1)), CDL_ERR_NOMEM,
                               "recorded");
        harness_expect_failure(cdl_vk_submit(s, cdl_vk_run(.inputs = &large.input, .count = 1), NULL, 0, NULL, 0),
                               CDL_ERR_NOMEM, "submitted");
        rig_run(cmd);
        harness_expect_ok(cdl_vk_submit(s, cdl_vk_run(.inputs = &small.input, .count = 1), NULL, 0, NULL, 0),
                          "a small one");
        harness_expect_ok(cdl_session_wait(s, 0, UINT64_MAX), "wait");
    }
    cdl_session_destroy(&s);
    free_picture(&large);
    free_picture(&small);
}

// misuse: cdl_vk_record
// misuse: cdl_vk_submit
static void test_session_without(void **state) { // `vulkan`, on a device of Cardinal's own
    (void)state;
    struct picture p = make_picture(RGBA, 20, 16);
    cdl_device *own;
    cdl_session *s;
    harness_expect_ok(cdl_device_create(&own, cdl_device_params(.log = harness_log(), .name = harness.info.uuid)),
                      "own device");
    harness_expect_ok(cdl_session_create(&s, own, t.model, NULL), "session");
    VkCommandBuffer cmd = rig_begin();
    rig_expect_refusal(cdl_vk_record(s, cmd, cdl_vk_run(.inputs = &p.input, .count = 1)), CDL_ERR_INVALID, "`vulkan`",
                       "record");
    rig_expect_refusal(cdl_vk_submit(s, cdl_vk_run(.inputs = &p.input, .count = 1), NULL, 0, NULL, 0), CDL_ERR_INVALID,
                       "`vulkan`", "submit");
    rig_run(cmd);
    cdl_session_destroy(&s);
    cdl_device_destroy(&own);
    free_picture(&p);
}

int main(int argc, char **argv) { // [PATTERN]: only tests whose name matches
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_and_sizes), cmocka_unit_test(test_5_6_5),
        cmocka_unit_test(test_orientations),    cmocka_unit_test(test_crops),
        cmocka_unit_test(test_batches),         cmocka_unit_test(test_probs),
        cmocka_unit_test(test_wrong_inputs),    cmocka_unit_test(test_wrong_runs),
        cmocka_unit_test(test_wrong_slices),    cmocka_unit_test(test_wrong_submissions),
        cmocka_unit_test(test_small_staging),   cmocka_unit_test(test_session_without),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("vulkan", tests, open_all, close_all);
}
