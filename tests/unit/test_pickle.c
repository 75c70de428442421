// Hostile pickles, built by hand in PyTorch's legacy format: each is refused with CDL_ERR_FORMAT, in
// bounded time and memory. Run under ASan and UBSan.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"

enum { STORAGE_COUNT = 16, MAX_FILE = 1 << 23 };

struct file {
    uint8_t *data;
    size_t size;
};

static void put(struct file *f, const void *bytes, size_t size) {
    assert_true(f->size + size <= MAX_FILE);
    memcpy(f->data + f->size, bytes, size);
    f->size += size;
}

static void put_op(struct file *f, uint8_t op) { put(f, &op, 1); }
static void put_ops(struct file *f, const char *ops) { put(f, ops, strlen(ops)); }

static void put_int(struct file *f, int64_t value) { // LONG1 of 8 bytes
    put(f, "\x8a\x08", 2);
    for (int i = 0; i < 8; i++)
        put_op(f, (uint8_t)((uint64_t)value >> 8 * i));
}

static void put_text(struct file *f, const char *text) {
    put_op(f, 0x8c);
    put_op(f, (uint8_t)strlen(text));
    put_ops(f, text);
}

// Up to and including the PROTO of the data pickle.
static struct file begin_file(void) {
    struct file f = {malloc(MAX_FILE), 0};
    assert_non_null(f.data);
    put(&f, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15); // magic number
    put(&f, "\x80\x02M\xe9\x03.", 6);                                         // version 1001
    put_ops(&f, "\x80\x02}");
    put_text(&f, "little_endian");
    put_ops(&f, "\x88s.");
    put_ops(&f, "\x80\x02");
    return f;
}

static void put_storage(struct file *f, const char *type, int64_t count) {
    put_ops(f, "(");
    put_text(f, "storage");
    put_ops(f, "ctorch\n");
    put_ops(f, type);
    put_ops(f, "\n");
    put_text(f, "0");
    put_text(f, "cpu");
    put_int(f, count);
    put_ops(f, "NtQ");
}

static void put_tuple(struct file *f, int n, const int64_t *values) {
    put_ops(f, "(");
    for (int i = 0; i < n; i++)
        put_int(f, values[i]);
    put_ops(f, "t");
}

static void put_tensor(struct file *f, int64_t offset, int n, const int64_t *shape, const int64_t *stride) {
    put_ops(f, "ctorch._utils\n_rebuild_tensor_v2\n(");
    put_storage(f, "FloatStorage", STORAGE_COUNT);
    put_int(f, offset);
    put_tuple(f, n, shape);
    put_tuple(f, n, stride);
    put_ops(f, "\x89}tR");
}

// The end of the data pickle, the list of storages, and the one storage.
static void end_file(struct file *f) {
    put_ops(f, ".\x80\x02]");
    put_text(f, "0");
    put_ops(f, "a.");
    const uint8_t count[8] = {STORAGE_COUNT};
    const float values[STORAGE_COUNT] = {1};
    put(f, count, sizeof(count));
    put(f, values, sizeof(values));
}

static char last_line[1200];
static int num_errors;

static void collect_line(void *ctx, cdl_log_level level, const char *msg) {
    (void)ctx;
    num_errors += level == CDL_LOG_ERR;
    snprintf(last_line, sizeof(last_line), "%s", msg);
}

// Loads from a buffer of exact size and frees the file.
static void expect_refusal(struct file *f, const char *part) {
    uint8_t *exact = malloc(f->size);
    assert_non_null(exact);
    memcpy(exact, f->data, f->size);
    free(f->data);
    num_errors = 0;
    cdl_model *model;
    const cdl_result r = cdl_model_load_memory(&model, exact, f->size, NULL, NULL,
                                               cdl_model_params(.log = {collect_line, NULL, CDL_LOG_ERR}));
    if (r != CDL_ERR_FORMAT || num_errors != 1 || !strstr(last_line, part))
        fail_msg("expected a refusal naming '%s', got %d with %d lines: %s", part, r, num_errors, last_line);
    free(exact);
}

static void test_layouts(void **state) {
    (void)state;
    static const struct {
        int64_t offset;
        int n;
        int64_t shape[2], stride[2];
        const char *part;
    } cases[] = {
        {0, 2, {4, 4}, {4, 1}, "conv1.weight"}, // sound: refused later, for it is no network
        {0, 2, {4, 4}, {5, 1}, "reaches outside"},
        {1, 2, {4, 4}, {4, 1}, "reaches outside"},
        {16, 1, {1, 0}, {1, 0}, "starts outside"},
        {-1, 1, {1, 0}, {1, 0}, "malformed"},
        {0, 1, {-1, 0}, {1, 0}, "negative"},
        {0, 1, {0, 0}, {1, 0}, "no floating-point tensor"}, // empty, which is sound,
        {15, 1, {2, 0}, {-1, 0}, "negative"},
        {0, 1, {17, 0}, {0, 0}, "conv1.weight"}, // repeats one element: sound
        {0, 2, {INT64_MAX, INT64_MAX}, {0, 0}, "too large"},
        {0, 1, {2, 0}, {INT64_MAX, 0}, "reaches outside"},
        {INT64_MAX, 1, {2, 0}, {INT64_MAX, 0}, "starts outside"},
        {0, 2, {3, 3}, {INT64_MAX / 2, INT64_MAX / 2}, "reaches outside"},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        struct file f = begin_file();
        put_ops(&f, "}");
        put_text(&f, "a.weight");
        put_tensor(&f, cases[i].offset, cases[i].n, cases[i].shape, cases[i].stride);
        put_ops(&f, "s");
        end_file(&f);
        expect_refusal(&f, cases[i].part);
    }
}

static void test_storages(void **state) {
    (void)state;
    static const struct {
        const char *type;
        int64_t count;
        const char *part;
    } cases[] = {
        {"FloatStorage", 15, "stated length"}, {"FloatStorage", INT64_MAX, "description"},
        {"FloatStorage", -1, "description"},   {"DoubleStorage", 16, "stated length"},
        {"float32", 16, "description"},        {"NoStorage", 16, "description"},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        struct file f = begin_file();
        put_ops(&f, "}");
        put_text(&f, "a");
        put_storage(&f, cases[i].type, cases[i].count);
        put_ops(&f, "s");
        end_file(&f);
        expect_refusal(&f, cases[i].part);
    }
}

static void test_opcodes(void **state) {
    (void)state;
    static const struct {
        const char *ops;
        const char *part;
    } cases[] = {
        {"}Pid\n.", "opcode 0x50"},
        {"(ios\nsystem\n.", "opcode 0x69"},
        {"(}o.", "opcode 0x6f"},
        {"\x82\x01.", "opcode 0x82"},
        {"cos\nsystem\n.\x80\x02].", "a whole Python object, os.system,"},
        {"cos\nsystem\n(\x8c\x02lstR.\x80\x02].", "a whole Python object, os.system,"},
        {"cos\nsystem\n)}\x92.\x80\x02].", "a whole Python object, os.system,"},
        {"}\x92.", "lacks its function"},
        {"cos\nsys", "ends too early"},
        {"\x8c\x02os\x8c\x06system\x93.\x80\x02].", "a whole Python object, system,"},
        {"NN\x93.", "no text"},
        {"K\x01Q.", "other than a tensor's storage"},
        {")Q.", "other than a tensor's storage"},
        {"\xff", "unknown opcode"},
        {"}r\xff\xff\xff\xff.", "memo number is too large"},
        {"j\xff\xff\xff\xff.", "memo entry is missing"},
        {"h\x07.", "memo entry is missing"},
        {"q\x01.", "stack is empty"},
        {"0.", "stack is empty"},
        {"1.", "stack is empty"},
        {"2.", "stack is empty"},
        {"t.", "no start"},
        {"(Nd.", "no start"},
        {"a.", "element is missing"},
        {"(e.", "no container"},
        {"(Ne.", "no container"},
        {"](a.", "element is missing"},
        {"](Na.", "no container"},
        {"}(Nu.", "no value"},
        {"N(NNu.", "no container"},
        {"]NNs.", "no container"},
        {"}Na.", "no container"},
        {"NR.", "lacks its function"},
        {"N)R.", "known function"},
        {"ctorch\nFloatStorage\n)R.", "known function"},
        {"ctorch._utils\n_rebuild_tensor_v2\n)R.", "lacks its storage"},
        {"ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR.", "lacks its storage"},
        {"ctorch._utils\n_rebuild_parameter\n)R.", "lacks its tensor"},
        {"ccollections\nOrderedDict\n(NtR.", "no list"},
        {"ccollections\nOrderedDict\n]](NNea\x85R.\x80\x02].",
         "no floating-point tensor"}, // as Python 2 wrote it: sound
        {"ccollections\nOrderedDict\n]]a\x85R.", "no pair"},
        {"NNb.", "no object"},
        {"NN.", "left over"},
        {"(N.", "left over"},
        {".", "left over"},
        {"\x80\x06.", "newer than 5"},
        {"\x95\xff\xff\xff\xff\xff\xff\xff\xff.", "frame"},
        {"X\xff\xff\xff\x7f.", "ends too early"},
        {"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "ends too early"},
        {"\x8b\xff\xff\xff\xff.", "ends too early"},
        {"", "end comes too early"},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        struct file f = begin_file();
        put_ops(&f, cases[i].ops);
        expect_refusal(&f, cases[i].part);
    }
}

// A list that holds itself, and 2 million levels of nesting: the reader does not recurse.
static void test_cycles_and_depth(void **state) {
    (void)state;
    struct file f = begin_file();
    put_ops(&f, "]q\x01h\x01"
                "a");
    end_file(&f);
    expect_refusal(&f, "list of storages names an unknown one");

    f = begin_file();
    for (int i = 0; i < 1 << 21; i++)
        put_op(&f, ']');
    for (int i = 0; i < (1 << 21) - 1; i++)
        put_op(&f, 'a');
    put_ops(&f, ".\x80\x02].");
    expect_refusal(&f, "holds a list");

    static const char too_many[] = "](})"; // each op alone, repeated until a limit is met
    for (const char *op = too_many; *op; op++) {
        f = begin_file();
        for (int i = 0; i < (1 << 22) + 16; i++)
            put_op(&f, (uint8_t)*op);
        expect_refusal(&f, "too many");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_storages),
        cmocka_unit_test(test_opcodes),
        cmocka_unit_test(test_cycles_and_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
