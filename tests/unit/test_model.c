// Weights files: what PyTorch wrote is read to the bit, and what is damaged or hostile is refused.
// Every failing load must log exactly one error line. Run under ASan and UBSan.
#ifndef _WIN32
#define _XOPEN_SOURCE 700
#include <signal.h>
#include <sys/resource.h>
#endif

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cache.h"
#include "model/model.h"

#ifndef CDL_GOLDEN_DIR
#define CDL_GOLDEN_DIR "tests/golden"
#endif

static const char SAVED[] = "test_model.tmp.safetensors"; // in the working directory

// ---- helpers

struct lines {
    int errors, warnings;
    char last[1200];
};

static void collect_line(void *ctx, cdl_log_level level, const char *msg) {
    struct lines *lines = ctx;
    lines->errors += level == CDL_LOG_ERR;
    lines->warnings += level == CDL_LOG_WARN;
    snprintf(lines->last, sizeof(lines->last), "%s", msg);
}

static cdl_log log_to(struct lines *lines) {
    *lines = (struct lines){0};
    return (cdl_log){collect_line, lines, CDL_LOG_DEBUG};
}

struct bytes {
    uint8_t *data;
    size_t size;
};

static struct bytes read_path(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s: missing", path);
    struct bytes b = {malloc(1 << 20), 0};
    assert_non_null(b.data);
    b.size = fread(b.data, 1, 1 << 20, file);
    assert_true(b.size < 1 << 20);
    fclose(file);
    return b;
}

static struct bytes read_golden(const char *name) {
    char path[512];
    snprintf(path, sizeof(path), "%s/models/%s", CDL_GOLDEN_DIR, name);
    return read_path(path);
}

// Loads from a buffer of exactly `size` bytes, so that ASan sees a read beyond it.
static cdl_result load_exact(cdl_model **out, const uint8_t *data, size_t size, struct lines *lines, uint8_t **buffer) {
    *buffer = malloc(size ? size : 1);
    assert_non_null(*buffer);
    memcpy(*buffer, data, size);
    const cdl_result r = cdl_model_load_memory(out, *buffer, size, NULL, NULL, cdl_model_params(.log = log_to(lines)));
    assert_true((r == CDL_OK) == (*out != NULL));
    if (lines->errors != (r != CDL_OK))
        fail_msg("result %d with %d error lines: %s", r, lines->errors, lines->last);
    return r;
}

// The bytes must be refused with CDL_ERR_FORMAT, and a message that contains `part`.
static void expect_refusal(const uint8_t *data, size_t size, const char *part) {
    cdl_model *model;
    struct lines lines;
    uint8_t *buffer;
    const cdl_result r = load_exact(&model, data, size, &lines, &buffer);
    if (r != CDL_ERR_FORMAT || !strstr(lines.last, part))
        fail_msg("expected a refusal naming '%s', got %d: %s", part, r, lines.last);
    free(buffer);
}

static cdl_model *load_path(const char *path, const struct cdl_pair *metadata, int num_metadata) {
    struct lines lines;
    cdl_model *model;
    const cdl_result r = cdl_model_load_file(
        &model, path, cdl_model_params(.log = log_to(&lines), .metadata = metadata, .num_metadata = num_metadata));
    if (r != CDL_OK)
        fail_msg("%s: %d: %s", path, r, lines.last);
    return model;
}

static cdl_model *load_golden(const char *name) {
    char path[512];
    snprintf(path, sizeof(path), "%s/models/%s", CDL_GOLDEN_DIR, name);
    return load_path(path, NULL, 0);
}

// As in make_models.py.
static float pattern(const char *name, int64_t i) {
    int64_t seed = 0;
    for (const char *p = name; *p; p++)
        seed += *p;
    return (float)((i * 7 + seed) % 64 - 32) / 64 + (strstr(name, "running_var") ? 1.0f : 0.0f);
}

static void check_pattern(const cdl_model *model) {
    assert_int_equal(model->list.count, 27);
    for (int i = 0; i < model->list.count; i++) {
        const struct cdl_tensor *t = &model->list.items[i];
        const int64_t rows = cdl_tensor_rows(t), size = cdl_tensor_row_size(t);
        assert_int_equal(rows * size, cdl_tensor_count(t));
        float *row = malloc((size_t)size * sizeof(*row));
        assert_non_null(row);
        for (int64_t k = 0; k < rows; k++) {
            cdl_tensor_read_row(t, k, row);
            for (int64_t j = 0; j < size; j++) {
                if (row[j] != pattern(t->name, k * size + j))
                    fail_msg("%s: %s[%d]: %g", model->what, t->name, (int)(k * size + j), (double)row[j]);
            }
        }
        free(row);
    }
}

// ---- files that PyTorch wrote

static const char *const GOOD[] = {
    "zip.pth",      "legacy.pth",         "protocol4.pth",  "half_legacy.pth",
    "bfloat16.pth", "plain.safetensors",  "checkpoint.pth", "model_key_legacy.pth",
    "strided.pth",  "strided_legacy.pth", "zip64.pth",
};

static void test_good_files(void **state) {
    (void)state;
    for (size_t i = 0; i < CDL_COUNT(GOOD); i++) {
        cdl_model *model = load_golden(GOOD[i]);
        check_pattern(model);
        struct cdl_model_info info;
        cdl_model_get_info(model, &info);
        assert_int_equal(info.num_classes, 5);
        assert_int_equal(info.num_parameters, 725); // as PyTorch counts
        assert_non_null(cdl_model_find(model, "layer1.0.downsample.1.running_var"));
        assert_null(cdl_model_find(model, "bn1.num_batches_tracked"));
        assert_null(cdl_model_find(model, "layer1.0.conv"));
        cdl_model_destroy(&model);
        assert_null(model);
        cdl_model_destroy(&model);
    }
}

static void test_strides_are_used(void **state) {
    (void)state;
    cdl_model *model = load_golden("strided.pth");
    const struct cdl_tensor *conv = cdl_model_find(model, "layer1.0.conv2.weight"); // [8][4][3][3], channels last
    assert_int_equal(conv->stride[1], 1);
    assert_int_equal(conv->stride[3], 4);
    const struct cdl_tensor *fc = cdl_model_find(model, "fc.weight"); // [5][12], transposed
    assert_int_equal(fc->stride[0], 1);
    assert_int_equal(fc->stride[1], 5);
    cdl_model_destroy(&model);
}

static void test_bad_files(void **state) {
    (void)state;
    static const struct {
        const char *name, *part;
    } cases[] = {
        {"evil.pth", "tensor conv1.weight is missing"},
        {"evil_legacy.pth", "tensor conv1.weight is missing"},
        {"namespace.pth", "its tensors are a (1 in all)"},
        {"double.pth", "tensor conv1.weight is missing"},
        {"tensor.pth", "holds a tensor"},
        {"torchscript.pth", "TorchScript"},
        {"plain.pickle", "not one of torch.save"},
        {"protocol0.pickle", "text file"},
        {"cyclic.pth", "no floating-point tensor"},
        {"compressed.pth", "compressed"},
        {"big_endian.pth", "big-endian"},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        struct bytes b = read_golden(cases[i].name);
        expect_refusal(b.data, b.size, cases[i].part);
        free(b.data);
    }
    FILE *folder = fopen("pickle-was-executed", "r");
    assert_null(folder);
}

static void test_foreign_files(void **state) {
    (void)state;
    static const struct {
        const char *content, *part;
    } cases[] = {
        {"", "empty"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"},
        {"<!DOCTYPE html><html>Not found</html>", "web page"},
        {"Entry not found", "text file"},
        {"\x08\x07\x12\x07pytorch\x1a\x05", "ONNX"},
        {"\x1f\x8b\x08", "gzip"},
        {"\x89HDF\r\n\x1a\n", "HDF5"},
        {"\x01\x02\x03", "neither"},
        {"PK\x03\x04rest", "zip"},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++)
        expect_refusal((const uint8_t *)cases[i].content, strlen(cases[i].content), cases[i].part);
}

// ---- damage

// No prefix of a file is a model: a zip's directory stands at its end, the legacy format's last
// storage reaches the end, and safetensors states the size of its data.
static void test_every_truncation(void **state) {
    (void)state;
    static const char *const names[] = {"zip.pth", "legacy.pth", "plain.safetensors", "zip64.pth"};
    for (size_t i = 0; i < CDL_COUNT(names); i++) {
        struct bytes b = read_golden(names[i]);
        for (size_t size = 0; size < b.size; size++) {
            cdl_model *model;
            struct lines lines;
            uint8_t *buffer;
            if (load_exact(&model, b.data, size, &lines, &buffer) != CDL_ERR_FORMAT)
                fail_msg("%s cut to %zu bytes was accepted", names[i], size);
            free(buffer);
        }
        free(b.data);
    }
}

// A changed byte may still make a model, with another weight or name; it must not do harm.
static void test_every_byte_changed(void **state) {
    (void)state;
    static const char *const names[] = {"legacy.pth", "plain.safetensors", "zip64.pth", "strided.pth"};
    static const uint8_t masks[] = {0xff, 0x01, 0x80};
    for (size_t i = 0; i < CDL_COUNT(names); i++) {
        struct bytes b = read_golden(names[i]);
        int accepted = 0;
        for (size_t at = 0; at < b.size; at++) {
            for (size_t m = 0; m < CDL_COUNT(masks); m++) {
                cdl_model *model;
                struct lines lines;
                uint8_t *buffer;
                b.data[at] ^= masks[m];
                accepted += load_exact(&model, b.data, b.size, &lines, &buffer) == CDL_OK;
                b.data[at] ^= masks[m];
                cdl_model_destroy(&model);
                free(buffer);
            }
        }
        print_message("%s: %d of %zu changes accepted\n", names[i], accepted, b.size * CDL_COUNT(masks));
        free(b.data);
    }
}

// ---- safetensors built here

static struct bytes make_safetensors(const char *header, size_t data_size) {
    const size_t length = strlen(header);
    struct bytes b = {calloc(8 + length + data_size, 1), 8 + length + data_size};
    assert_non_null(b.data);
    for (int i = 0; i < 8; i++)
        b.data[i] = (uint8_t)(length >> 8 * i);
    memcpy(b.data + 8, header, length);
    return b;
}

#define ENTRY(name, dtype, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void test_malformed_safetensors(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t size;
        const char *part;
    } cases[] = {
        {"{" ENTRY("a", "F32", "[2]", 0, 8) "," ENTRY("b", "F32", "[2]", 4, 12) "}", 12, "overlap"},
        {"{" ENTRY("a", "F32", "[2]", 0, 8) "," ENTRY("b", "F32", "[2]", 0, 8) "}", 8, "overlap"},
        {"{" ENTRY("a", "F32", "[2]", 0, 8) "," ENTRY("b", "F32", "[1]", 12, 16) "}", 16, "gap"},
        {"{" ENTRY("a", "F32", "[2]", 4, 12) "}", 12, "gap"},
        {"{" ENTRY("a", "F32", "[2]", 0, 8) "}", 12, "4 bytes follow"},
        {"{" ENTRY("a", "F32", "[4]", 0, 16) "}", 12, "outside the file"},
        {"{" ENTRY("a", "F32", "[2]", 0, 8) "," ENTRY("a", "F32", "[2]", 8, 16) "}", 16, "duplicate"},
        {"{" ENTRY("a", "F32", "[-2]", 0, 8) "}", 8, "numbers from 0"},
        {"{" ENTRY("a", "F32", "[2.0]", 0, 8) "}", 8, "numbers from 0"},
        {"{" ENTRY("a", "F32", "[4294967296,4294967296]", 0, 8) "}", 8, "too large"},
        {"{" ENTRY("a", "F32", "[4611686018427387904,2,2]", 0, 8) "}", 8, "too large"},
        {"{" ENTRY("a", "F32", "[4611686018427387904]", 0, 8) "}", 8, "do not fit"},
        {"{" ENTRY("a", "F32", "[9223372036854775808]", 0, 8) "}", 8, "no JSON object"},
        {"{" ENTRY("a", "F32", "[1,1,1,1,1,1,1,1,2]", 0, 8) "}", 8, "more than 8"},
        {"{" ENTRY("a", "F32", "[3]", 0, 8) "}", 8, "do not fit"},
        {"{" ENTRY("a", "F32", "[2]", 8, 0) "}", 8, "outside the file"},
        {"{" ENTRY("a", "F32", "[2]", -8, 0) "}", 8, "outside the file"},
        {"{" ENTRY("a", "F32", "[0]", 0, 0) "}", 0, "no floating-point tensor"},
        {"{" ENTRY("a", "F32", "[0,9223372036854775807,9223372036854775807]", 0, 0) "}", 0, "no floating-point tensor"},
        {"{" ENTRY("a", "F64", "[1]", 0, 8) "}", 8, "conv1.weight is missing"},
        {"{" ENTRY("a", "F8_E4M3", "[8]", 0, 8) "}", 8, "no floating-point tensor"},
        {"{" ENTRY("a", "Q7", "[1]", 0, 8) "}", 8, "no floating-point tensor"},
        {"{" ENTRY("a", "I64", "[1]", 0, 8) "}", 8, "no floating-point tensor"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "no pair"},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype is missing"},
        {"{\"a\":7}", 0, "dtype is missing"},
        {"{\"__metadata__\":{\"labels\":1}}", 0, "labels is no string"},
        {"{\"__metadata__\":[]}", 0, "__metadata__"},
        {"{}", 0, "no floating-point tensor"},
        {"{\"a\"", 0, "no JSON object"},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        struct bytes b = make_safetensors(cases[i].header, cases[i].size);
        expect_refusal(b.data, b.size, cases[i].part);
        free(b.data);
    }
    struct bytes b = make_safetensors("{}", 0);
    b.data[3] = 0x7f; // a header of 2 GB
    expect_refusal(b.data, b.size, "above the limit");
    free(b.data);
}

// ---- values

// Overwrites element i of a tensor in a copy of a golden file.
static struct bytes poke(const char *file, const char *tensor, size_t i, const void *value, size_t size) {
    struct bytes b = read_golden(file);
    cdl_model *model;
    assert_int_equal(cdl_model_load_memory(&model, b.data, b.size, NULL, NULL, NULL), CDL_OK);
    memcpy((uint8_t *)cdl_model_find(model, tensor)->data + i * size, value, size);
    cdl_model_destroy(&model);
    return b;
}

static void test_bad_values(void **state) {
    (void)state;
    const float nan = NAN, infinite = -INFINITY, negative = -1e-20f;
    const uint16_t half_nan = 0x7e01, brain_infinity = 0x7f80;
    const struct {
        const char *file, *tensor;
        size_t at;
        const void *value;
        size_t size;
        const char *part;
    } cases[] = {
        {"zip.pth", "fc.weight", 59, &nan, 4, "fc.weight: element 59 is NaN"},
        {"legacy.pth", "conv1.weight", 0, &infinite, 4, "conv1.weight: element 0 is NaN or inf"},
        {"half_legacy.pth", "bn1.bias", 2, &half_nan, 2, "bn1.bias: element 2"},
        {"bfloat16.pth", "layer1.0.conv2.weight", 100, &brain_infinity, 2, "conv2.weight: element 100"},
        {"plain.safetensors", "bn1.running_var", 1, &negative, 4, "running_var: element 1 is -1e-20"},
        {"strided.pth", "fc.weight", 6, &nan, 4, "fc.weight: element 13"}, // [1][1] of a transposed [5][12]
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        struct bytes b = poke(cases[i].file, cases[i].tensor, cases[i].at, cases[i].value, cases[i].size);
        expect_refusal(b.data, b.size, cases[i].part);
        free(b.data);
    }
    const float largest = 3.4028235e38f;
    struct bytes b = poke("zip.pth", "fc.weight", 0, &largest, 4);
    cdl_model *model;
    assert_int_equal(cdl_model_load_memory(&model, b.data, b.size, NULL, NULL, NULL), CDL_OK);
    struct lines lines;
    const cdl_log log = log_to(&lines);
    assert_int_equal(cdl_model_save(model, SAVED, CDL_DTYPE_F16, &log), CDL_ERR_INVALID);
    assert_non_null(strstr(lines.last, "fc.weight: element 0"));
    assert_null(fopen(SAVED, "rb"));
    assert_null(fopen("test_model.tmp.safetensors.tmp0", "rb"));
    cdl_model_destroy(&model);
    free(b.data);
}

// ---- metadata

static void test_metadata(void **state) {
    (void)state;
    struct cdl_model_info info;
    cdl_model *model = load_golden("zip.pth");
    cdl_model_get_info(model, &info);
    assert_int_equal(info.input_width, 224);
    assert_int_equal(info.resize_size, 256);
    assert_true(info.mean[0] == 0.485f && info.mean[1] == 0.456f && info.mean[2] == 0.406f);
    assert_true(info.std[0] == 0.229f && info.std[1] == 0.224f && info.std[2] == 0.225f);
    assert_int_equal(info.num_labels, 0);
    assert_null(cdl_model_class_name(model, 0));
    assert_int_equal(model->recipe.stem_pool, -1);
    cdl_model_destroy(&model);

    static const struct cdl_pair pairs[] = {
        {"input_size", "48x64"}, {"architecture", "mine"}, {"labels", "[\"x\", \"\\u00e9\"]"},
        {"stem_pool", "true"},   {"stem_stride", "2"},     {"stage_strides", "2, 1, 2"},
        {"author", "me"},
    };
    char path[512];
    snprintf(path, sizeof(path), "%s/models/plain.safetensors", CDL_GOLDEN_DIR);
    struct lines lines;
    assert_int_equal(
        cdl_model_load_file(
            &model, path, cdl_model_params(.log = log_to(&lines), .metadata = pairs, .num_metadata = CDL_COUNT(pairs))),
        CDL_OK);
    assert_int_equal(lines.warnings, 2); // 2 labels for 5 classes; a resize size below the input's
    cdl_model_get_info(model, &info);
    assert_string_equal(info.architecture, "mine");
    assert_int_equal(info.input_height, 48);
    assert_int_equal(info.input_width, 64);
    assert_int_equal(info.resize_size, 36); // the file's
    assert_true(info.mean[0] == 0.5f && info.std[2] == 0.25f);
    assert_int_equal(info.num_labels, 2);
    assert_string_equal(cdl_model_class_name(model, 1), "\xc3\xa9");
    assert_null(cdl_model_class_name(model, 2));
    assert_null(cdl_model_class_name(model, -1));
    assert_int_equal(model->recipe.stem_pool, 1);
    assert_int_equal(model->recipe.stem_stride, 2);
    assert_int_equal(model->recipe.stage_strides[0], 2);
    assert_int_equal(model->recipe.stage_strides[3], 0);
    assert_string_equal(cdl_model_metadata(model, "author"), "me");
    cdl_model_destroy(&model);

    model = load_path(path, &(struct cdl_pair){"input_size", "112"}, 1);
    assert_int_equal(model->recipe.resize_size, 36); // stated in the file
    cdl_model_destroy(&model);
    snprintf(path, sizeof(path), "%s/models/zip.pth", CDL_GOLDEN_DIR);
    model = load_path(path, &(struct cdl_pair){"input_size", "112"}, 1);
    assert_int_equal(model->recipe.resize_size, 128); // scaled along
    cdl_model_destroy(&model);
}

static void test_bad_metadata(void **state) {
    (void)state;
    static const struct cdl_pair pairs[] = {
        {"input_size", "0"},
        {"input_size", "4097"},
        {"input_size", "1x2x3"},
        {"input_size", ""},
        {"resize_size", "16385"},
        {"mean", "1,2"},
        {"mean", "nan,0,0"},
        {"mean", "1,2,3,4"},
        {"std", "0,1,1"},
        {"std", "1,-1,1"},
        {"std", "1,1,inf"},
        {"labels", "x"},
        {"labels", "{}"},
        {"labels", "[1]"},
        {"labels", "[\"\\u001b\"]"},
        {"interpolation", "lanczos"},
        {"interpolation", "Bicubic"},
        {"mean", "123.675,116.28,103.53"}, // of pixels in 0...255
        {"mean", "0.5,0.5,1.5"},
        {"mean", "-0.1,0,0"},
        {"mean", "0,0,256"},
        {"std", "58.395,57.12,57.375"},
        {"std", "0.5,0.5,2"},
        {"std", "1e-7,1,1"},
        {"stem_stride", "3"},
        {"stem_pool", "yes"},
        {"stage_strides", "1,2,2,2,2"},
        {"architecture", ""},
    };
    struct bytes b = read_golden("zip.pth");
    for (size_t i = 0; i < CDL_COUNT(pairs); i++) {
        struct lines lines;
        cdl_model *model;
        const cdl_result r =
            cdl_model_load_memory(&model, b.data, b.size, NULL, NULL,
                                  cdl_model_params(.log = log_to(&lines), .metadata = &pairs[i], .num_metadata = 1));
        if (r != CDL_ERR_INVALID || lines.errors != 1 || !strstr(lines.last, pairs[i].key))
            fail_msg("%s=%s: %d: %s", pairs[i].key, pairs[i].value, r, lines.last);
    }
    // The file's own bad value is a malformed file; a caller may correct it.
    free(b.data);
    b = read_golden("plain.safetensors");
    char *std = strstr((char *)b.data + 8, "0.25,0.25,0.25"); // 0.25 -> 0.00
    assert_non_null(std);
    std[2] = std[3] = '0';
    expect_refusal(b.data, b.size, "metadata std");
    cdl_model *model;
    const struct cdl_pair fix = {"std", "1,1,1"};
    assert_int_equal(cdl_model_load_memory(&model, b.data, b.size, NULL, NULL,
                                           cdl_model_params(.metadata = &fix, .num_metadata = 1)),
                     CDL_OK);
    cdl_model_destroy(&model);
    free(b.data);
}

// ---- saving

static void check_saved(cdl_dtype dtype, const char *source) {
    struct lines lines;
    const cdl_log log = log_to(&lines);
    static const struct cdl_pair pairs[] = {
        {"labels", "[\"\\\"\",\"b\",\"c\",\"d\",\"e\"]"}, {"note", "k\xc3\xb6pt"}, {"stem_pool", "false"}};
    char path[512];
    snprintf(path, sizeof(path), "%s/models/%s", CDL_GOLDEN_DIR, source);
    cdl_model *model = load_path(path, pairs, CDL_COUNT(pairs));
    if (cdl_model_save(model, SAVED, dtype, &log) != CDL_OK)
        fail_msg("%s", lines.last);
    cdl_model *again = load_path(SAVED, NULL, 0);
    check_pattern(again);
    for (int i = 0; i < again->list.count; i++)
        assert_int_equal(again->list.items[i].dtype, dtype);
    struct cdl_model_info a, b;
    cdl_model_get_info(model, &a);
    cdl_model_get_info(again, &b);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_memory_equal(&model->recipe, &again->recipe, sizeof(model->recipe));
    assert_string_equal(cdl_model_class_name(again, 0), "\"");
    assert_string_equal(cdl_model_metadata(again, "note"), "k\xc3\xb6pt");
    assert_string_equal(cdl_model_metadata(again, "interpolation"), "bilinear");
    assert_string_equal(cdl_model_metadata(again, "architecture"), a.architecture);
    struct bytes file = read_path(SAVED);
    assert_int_equal(file.data[0] % 8, 0); // the tensors are aligned
    free(file.data);
    // Over itself: the mapped file is replaced, not changed. Windows replaces no mapped file.
#ifdef _WIN32
    assert_int_equal(cdl_model_save(again, SAVED, CDL_DTYPE_F32, &log), CDL_ERR_IO);
    assert_non_null(strstr(lines.last, "cannot be put in place"));
#else
    assert_int_equal(cdl_model_save(again, SAVED, CDL_DTYPE_F32, &log), CDL_OK);
#endif
    check_pattern(again);
    cdl_model_destroy(&model);
    cdl_model_destroy(&again);
    remove(SAVED);
}

static void test_save(void **state) {
    (void)state;
    static const cdl_dtype dtypes[] = {CDL_DTYPE_F32, CDL_DTYPE_F16, CDL_DTYPE_BF16};
    for (size_t i = 0; i < CDL_COUNT(dtypes); i++) {
        check_saved(dtypes[i], "zip.pth");
        check_saved(dtypes[i], "strided_legacy.pth");
        check_saved(dtypes[i], "half_legacy.pth");
        check_saved(dtypes[i], "bfloat16.pth");
        check_saved(dtypes[i], "plain.safetensors");
    }
    struct lines lines;
    const cdl_log log = log_to(&lines);
    cdl_model *model = load_golden("zip.pth");
    assert_int_equal(cdl_model_save(model, "no-such-folder/x.safetensors", CDL_DTYPE_F32, &log), CDL_ERR_IO);
    assert_int_equal(lines.errors, 1);
    assert_int_equal(cdl_model_save(model, SAVED, (cdl_dtype)9, &log), CDL_ERR_INVALID);
    assert_int_equal(cdl_model_save(model, CDL_GOLDEN_DIR, CDL_DTYPE_F32, &log), CDL_ERR_IO); // a folder stands there
    assert_null(fopen(CDL_GOLDEN_DIR ".tmp0", "rb"));
    cdl_model_destroy(&model);
}

// A disk that fills up half way leaves neither file behind.
static void test_save_on_full_disk(void **state) {
    (void)state;
#ifdef _WIN32
    skip();
#else
    struct lines lines;
    const cdl_log log = log_to(&lines);
    cdl_model *model = load_golden("zip.pth");
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 2048;
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN); // the write then fails with EFBIG
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const cdl_result r = cdl_model_save(model, SAVED, CDL_DTYPE_F32, &log);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(r, CDL_ERR_IO);
    assert_int_equal(lines.errors, 1);
    assert_non_null(strstr(lines.last, "nothing was left behind"));
    assert_null(fopen(SAVED, "rb"));
    assert_null(fopen("test_model.tmp.safetensors.tmp0", "rb"));
    cdl_model_destroy(&model);
#endif
}

// ---- random weights

static void test_random(void **state) {
    (void)state;
    cdl_model *a, *b;
    const struct cdl_pair pair = {"input_size", "64"};
    assert_int_equal(cdl_model_random(&a, "resnet18", 1, cdl_model_params(.metadata = &pair, .num_metadata = 1)),
                     CDL_OK);
    assert_int_equal(cdl_model_random(&b, "resnet18", 2, NULL), CDL_OK);
    struct cdl_model_info info;
    cdl_model_get_info(a, &info);
    assert_string_equal(info.architecture, "resnet18");
    assert_int_equal(info.num_parameters, 11689512);
    assert_int_equal(info.num_classes, 1000);
    assert_int_equal(info.input_height, 64);
    assert_true(memcmp(a->data, b->data, a->size) != 0);
    // The values are the same on every machine; this is the hash of those that were first made.
    assert_true(cdl_hash(CDL_HASH_START, a->data, a->size) == UINT64_C(0x2a576b56f2268032));
    cdl_model_destroy(&a);
    cdl_model_destroy(&b);

    struct lines lines;
    assert_int_equal(cdl_model_random(&a, "resnet19", 1, cdl_model_params(.log = log_to(&lines))), CDL_ERR_INVALID);
    assert_int_equal(lines.errors, 1);
    assert_null(cdl_model_arch_name(-1));
    assert_string_equal(cdl_model_arch_name(0), "resnext50_32x4d");
    int count = 0;
    while (cdl_model_arch_name(count))
        count++;
    assert_int_equal(count, 10);
}

// ---- ownership

static void count_call(void *ctx, const void *data) {
    ++*(int *)ctx;
    free((void *)data);
}

static void test_ownership(void **state) {
    (void)state;
    int calls = 0;
    struct bytes b = read_golden("legacy.pth");
    cdl_model *model;
    assert_int_equal(cdl_model_load_memory(&model, b.data, b.size - 1, count_call, &calls, NULL), CDL_ERR_FORMAT);
    assert_int_equal(calls, 0);                                                       // still the caller's
    struct bytes other = make_safetensors("{" ENTRY("a", "F32", "[2]", 0, 8) "}", 8); // read, but no known network
    assert_int_equal(cdl_model_load_memory(&model, other.data, other.size, count_call, &calls, NULL), CDL_ERR_FORMAT);
    assert_null(model);
    assert_int_equal(calls, 0);
    free(other.data);
    assert_int_equal(cdl_model_load_memory(&model, b.data, b.size, count_call, &calls, NULL), CDL_OK);
    cdl_model *session_reference = model;
    cdl_model_retain(model);
    cdl_model_destroy(&model);
    assert_int_equal(calls, 0);
    check_pattern(session_reference);
    cdl_model_destroy(&session_reference);
    assert_int_equal(calls, 1);

    assert_int_equal(cdl_model_load_file(NULL, "x", NULL), CDL_ERR_INVALID);
    assert_int_equal(cdl_model_load_file(&model, NULL, NULL), CDL_ERR_INVALID);
    assert_int_equal(cdl_model_load_file(&model, "no-such-file.pth", NULL), CDL_ERR_IO);
    assert_int_equal(cdl_model_load_file(&model, CDL_GOLDEN_DIR, NULL), CDL_ERR_IO); // a folder
    assert_int_equal(cdl_model_load_memory(&model, NULL, 0, NULL, NULL, NULL), CDL_ERR_FORMAT);
    assert_int_equal(cdl_model_load_memory(&model, NULL, 1, NULL, NULL, NULL), CDL_ERR_INVALID);
    struct cdl_model_params no_size = {0};
    assert_int_equal(cdl_model_load_file(&model, "x", &no_size), CDL_ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_files),
        cmocka_unit_test(test_strides_are_used),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_foreign_files),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_byte_changed),
        cmocka_unit_test(test_malformed_safetensors),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_bad_metadata),
        cmocka_unit_test(test_save),
        cmocka_unit_test(test_save_on_full_disk),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_ownership),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
