// test_inputs.c - the stream of input paths, and the pool that decodes them ahead.
#if !defined(_WIN32) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE // mkdtemp, symlink
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inputs/decode_pool.h"
#include "inputs/folder.h"
#include "inputs/inputs.h"
#include "picture/picture.h"

#if defined(_WIN32)
#include <direct.h>
#define make_folder(path) _mkdir(path)
#define remove_folder(path) _rmdir(path)
#else
#include <sys/stat.h>
#include <unistd.h>
#define make_folder(path) mkdir(path, 0700)
#define remove_folder(path) rmdir(path)
#endif

#ifndef CDL_GOLDEN_DIR
#define CDL_GOLDEN_DIR "tests/golden"
#endif

static char base[256]; // a fresh folder for each test

static const char *in_base(const char *name) {
    static char path[4][1024];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof(path[0]), "%s/%s", base, name);
    return p;
}

static void make_file(const char *name, const char *text) {
    FILE *f = fopen(in_base(name), "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up(void **state) {
    (void)state;
#if defined(_WIN32)
    snprintf(base, sizeof(base), "cardinal-test-inputs");
    return make_folder(base);
#else
    snprintf(base, sizeof(base), "/tmp/cardinal-test-XXXXXX");
    return mkdtemp(base) ? 0 : -1;
#endif
}

static int tear_down(void **state) {
    (void)state;
    struct name_list folders = {0};
    if (!folder_walk(base, true, &folders))
        return -1;
    for (size_t i = folders.count; i-- > 0;) {
        struct name_list files = {0}, links = {0};
        folder_list(folders.names[i], FOLDER_FILES, &files);
        folder_list(folders.names[i], FOLDER_FOLDERS, &links);
        for (size_t k = 0; k < files.count + links.count; ++k) {
            char *path = folder_join(folders.names[i], k < files.count ? files.names[k] : links.names[k - files.count]);
            remove(path); // of the folders left, only links go
            free(path);
        }
        name_list_clear(&files);
        name_list_clear(&links);
        remove_folder(folders.names[i]);
    }
    name_list_clear(&folders);
    return 0;
}

// Reads the stream to its end; expected: "path" or "path!part of the error", under base, NULL-terminated.
static void expect_items(struct input_stream *s, const char *const *expected, const int *classes) {
    struct input_item item;
    int n = 0;
    for (; inputs_next(s, &item); ++n) {
        if (!expected[n])
            fail_msg("one item too many: %s %s", item.path, item.error);
        char want[512];
        snprintf(want, sizeof(want), "%s", expected[n]);
        char *error = strchr(want, '!');
        if (error)
            *error++ = '\0';
        assert_string_equal(item.path, want[0] ? in_base(want) : base);
        if (error && !strstr(item.error, error))
            fail_msg("\"%s\" lacks \"%s\"", item.error, error);
        assert_true(error || item.error[0] == '\0');
        assert_int_equal(item.class_index, classes ? classes[n] : -1);
        input_item_free(&item);
    }
    assert_null(expected[n]);
    assert_false(inputs_next(s, &item)); // stays at its end
}

static void test_folder_order(void **state) {
    (void)state;
    make_file("b.jpg", "");
    make_file("a.PNG", "");
    make_file("Z.jpeg", "");
    make_file("notes.txt", "");
    make_file("scan.jxl", "");
    make_file(".hidden.jpg", "");
    make_folder(in_base("sub"));
    make_folder(in_base("sub-2"));
    make_folder(in_base("sub/deep"));
    make_folder(in_base("sub/empty"));
    make_folder(in_base(".git"));
    make_file(".git/x.jpg", "");
    make_file("sub/1.gif", "");
    make_file("sub/deep/2.bmp", "");
    make_file("sub-2/3.ppm", "");
    const char *args[] = {base};
    struct input_stream *s = inputs_open(args, 1, NULL);
    expect_items(
        s, (const char *const[]){"Z.jpeg", "a.PNG", "b.jpg", "sub/1.gif", "sub-2/3.ppm", "sub/deep/2.bmp", NULL}, NULL);
    assert_int_equal(inputs_num_skipped(s), 1);
    assert_int_equal(inputs_num_classes(s), 0);
    inputs_close(&s);
    assert_null(s);
    inputs_close(&s);
}

static void test_arguments(void **state) {
    (void)state;
    make_folder(in_base("empty"));
    make_folder(in_base("full"));
    make_file("full/x.jpg", "");
    make_file("named.txt", "");
    char missing[1024], named[1024], empty[1024], full[1024];
    snprintf(missing, sizeof(missing), "%s", in_base("missing.jpg"));
    snprintf(named, sizeof(named), "%s", in_base("named.txt"));
    snprintf(empty, sizeof(empty), "%s", in_base("empty"));
    snprintf(full, sizeof(full), "%s", in_base("full"));
    const char *args[] = {missing, empty, full, named, full};
    struct input_stream *s = inputs_open(args, 5, NULL);
    expect_items(s,
                 (const char *const[]){"missing.jpg", "empty!no pictures in this folder", "full/x.jpg", "named.txt",
                                       "full/x.jpg", NULL},
                 NULL);
    inputs_close(&s);
    s = inputs_open(NULL, 0, NULL);
    expect_items(s, (const char *const[]){NULL}, NULL);
    inputs_close(&s);
}

static void test_list(void **state) {
    (void)state;
    FILE *list = fopen(in_base("list"), "w+b");
    assert_non_null(list);
    fprintf(list, "%s\n\n%s\r\n", in_base("one.jpg"), in_base("two words.jpg"));
    for (int i = 0; i < 100000; ++i)
        fputc('x', list);
    fprintf(list, "\n%s", in_base("last.jpg")); // no newline at the end
    rewind(list);
    const char *args[] = {"-", "after.jpg", "-"};
    struct input_stream *s = inputs_open(args, 3, list);
    struct input_item item;
    static const char *const expected[] = {"one.jpg", "two words.jpg", NULL, "last.jpg"};
    for (int i = 0; i < 4; ++i) {
        assert_true(inputs_next(s, &item));
        if (expected[i])
            assert_string_equal(item.path, in_base(expected[i]));
        else
            assert_non_null(strstr(item.error, "xx: the path is too long"));
        assert_true(strlen(item.path) < 40000);
        input_item_free(&item);
    }
    assert_true(inputs_next(s, &item));
    assert_string_equal(item.path, "after.jpg");
    input_item_free(&item);
    assert_true(inputs_next(s, &item)); // the list is at its end, and "-" again finds nothing
    assert_string_equal(item.error, "-: no path in this list, and no picture");
    input_item_free(&item);
    assert_false(inputs_next(s, &item));
    inputs_close(&s);
    fclose(list);
}

// Lists as they come, and what is read from them: paths with a slash behind each, or "!" and part of the error.
static void test_forms_of_lists(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool null_separated;
        const char *expected;
    } cases[] = {
#define BYTES(text) text, sizeof(text) - 1
        {BYTES("\xef\xbb\xbf"
               "a.jpg\r\nb.jpg\r\n"),
         false, "a.jpg/b.jpg/"}, // a byte order mark, as PowerShell writes
        {BYTES("\xef\xbb\xbf"), false, "!no path in this list"},
        {BYTES("a.jpg"), false, "a.jpg/"},
        {BYTES("\n\n  a b.jpg \n"), false, "  a b.jpg /"},
        {BYTES("a.jpg\0b c.jpg\0"), false, "a.jpg/b c.jpg/"}, // find -print0
        {BYTES("a.jpg\0b\nc.jpg\0d\r\0"), false, "a.jpg/b\nc.jpg/d\r/"},
        {BYTES("a.jpg\0"), false, "a.jpg/"},
        {BYTES("a\nb.jpg\0c.jpg\0"), true, "a\nb.jpg/c.jpg/"}, // only --null can tell
        {BYTES("a\nb.jpg\0c.jpg\0"), false, "a/!line 2 of the list holds a NUL byte; if NUL ends"},
        {BYTES("\0\0a\0\0"), true, "a/"},
        {BYTES(""), true, "!no path in this list"},
        {BYTES("\xff\xfe"
               "a\0.\0j\0\n\0"),
         false, "!UTF-16"},
        {BYTES("BMW.jpg\nRIFF/x.png\nGIF8.gif\nP5\nII/a.jpg\nMMM\n"), false,
         "BMW.jpg/RIFF|x.png/GIF8.gif/P5/II|a.jpg/MMM/"}, // words that begin as pictures do
        {BYTES("P5\nP6.ppm\n"), false, "P5/P6.ppm/"},
        {BYTES("GIF8\nb\n"), false, "GIF8/b/"},
        {BYTES("RIFF\n12345678WEBP\n"), false, "RIFF/12345678WEBP/"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        FILE *list = fopen(in_base("list"), "w+b");
        assert_non_null(list);
        fwrite(cases[i].bytes, 1, cases[i].size, list);
        rewind(list);
        char found[512] = "";
        struct input_stream *s = inputs_open_from(&(struct input_sources){
            .args = (const char *const[]){"-"},
            .count = 1,
            .standard_input = list,
            .null_separated = cases[i].null_separated,
        });
        struct input_item item;
        while (inputs_next(s, &item)) {
            const size_t used = strlen(found);
            assert_null(item.data);
            for (char *c = item.path; *c; c++)
                *c = (char)(*c == '/' ? '|' : *c);
            snprintf(found + used, sizeof(found) - used, item.error[0] ? "!%s" : "%s/",
                     item.error[0] ? item.error : item.path);
            input_item_free(&item);
        }
        const char *wanted_error = strchr(cases[i].expected, '!'), *error = strchr(found, '!');
        const size_t paths = wanted_error ? (size_t)(wanted_error - cases[i].expected) : strlen(cases[i].expected);
        if (strncmp(found, cases[i].expected, paths) || !wanted_error != !error ||
            (error ? error != found + paths || !strstr(error, wanted_error + 1) : found[paths] != 0))
            fail_msg("list %zu: \"%s\" instead of \"%s\"", i, found, cases[i].expected);
        inputs_close(&s);
        fclose(list);
    }
}

// Each golden picture, and files of kinds that are told by their error, by standard input.
static void test_picture_as_list(void **state) {
    (void)state;
    static const char *const names[] = {"landscape.jpg", "tiny.png", "rgb.bmp", "frame.gif", "grey.pgm", "rgb.ppm"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/pictures/%s", CDL_GOLDEN_DIR, names[i]);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        struct input_stream *s = inputs_open((const char *const[]){"-"}, 1, file);
        struct decode_pool *pool = decode_pool_create(s, NULL);
        struct decoded d;
        struct picture direct;
        char error[256];
        assert_true(decode_pool_next(pool, &d));
        assert_string_equal(d.error, "");
        assert_true(picture_load(path, NULL, &direct, error, sizeof(error)));
        assert_int_equal(d.picture.width, direct.width);
        assert_memory_equal(d.picture.rgba, direct.rgba, (size_t)direct.width * (size_t)direct.height * 4);
        picture_free(&direct);
        decoded_free(&d);
        assert_false(decode_pool_next(pool, &d));
        decode_pool_destroy(&pool);
        inputs_close(&s);
        fclose(file);
    }
    static const struct {
        const char *bytes;
        size_t size;
    } others[] = {{BYTES("RIFF\x10\0\0\0WEBPVP8 ")},
                  {BYTES("\0\0\0\x18"
                         "ftypheic\0\0\0\0")},
                  {BYTES("II*\0\x08\0\0\0\0\0")},
                  {BYTES("\x89PNG\r\n\x1a\n")},
                  {BYTES("\xff\xd8\xff")}};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); ++i) {
        FILE *file = fopen(in_base("other"), "w+b");
        assert_non_null(file);
        fwrite(others[i].bytes, 1, others[i].size, file);
        rewind(file);
        struct input_stream *s = inputs_open((const char *const[]){"-"}, 1, file);
        struct input_item item;
        assert_true(inputs_next(s, &item));
        assert_string_equal(item.error, "");
        assert_int_equal(item.size, others[i].size);
        assert_memory_equal(item.data, others[i].bytes, item.size);
        input_item_free(&item);
        assert_false(inputs_next(s, &item));
        inputs_close(&s);
        fclose(file);
    }
}

static bool is_cam(const void *ctx, const char *name, bool found) {
    return !strcmp(name, ctx) && (found || name[0] == 'n');
}

// What the command writes is no input, however it is found.
static void test_own_files(void **state) {
    (void)state;
    make_folder(in_base("cams"));
    make_folder(in_base("more"));
    static const char *const files[] = {"now.png", "b.png", "cams/b.png", "cams/now.png", "more/now.png"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); ++i)
        make_file(files[i], "");
    char cams[1024], dots[1024];
    snprintf(cams, sizeof(cams), "%s", in_base("cams"));
    snprintf(dots, sizeof(dots), "%s", in_base("more/../cams/."));
    FILE *list = fopen(in_base("list"), "w+b");
    assert_non_null(list);
    fprintf(list, "%s\n%s/now.png\n%s/b.png\n", in_base("now.png"), dots, cams);
    rewind(list);
    struct input_stream *s = inputs_open_from(
        &(struct input_sources){.args = (const char *const[]){base, "-"}, .count = 2, .standard_input = list});
    inputs_pass_over(s, cams, is_cam, "now.png");
    expect_items(s,
                 (const char *const[]){"b.png", "now.png", "cams/b.png", "more/now.png", "now.png", "cams/b.png", NULL},
                 NULL);
    inputs_close(&s);
    fclose(list);
}

static void test_addresses(void **state) {
    (void)state;
    assert_true(is_address("http://example.invalid/a.jpg"));
    assert_true(is_address("HTTPS://example.invalid/a.jpg"));
    static const char *const paths[] = {"http:/a.jpg", "httpx://a", "a/http://b", "ftp://a", "file:///a", "https", ""};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); ++i)
        assert_false(is_address(paths[i]));
}

// The order was taken from torchvision.datasets.ImageFolder(base).samples on these names.
static void test_labelled_order(void **state) {
    (void)state;
    static const char *const folders[] = {
        "cat", "Dog", "a b", "cat/x", "cat/x/y", "cat/x-1", "Dog/empty", "\xc3\xa9t\xc3\xa9", "zz"};
    static const char *const files[] = {"cat/2.jpg",     "cat/10.jpg",
                                        "cat/x/a.png",   "cat/x/y/b.png",
                                        "cat/x-1/c.png", "Dog/.hid.JPEG",
                                        "Dog/d.gif",     "Dog/e.psd",
                                        "Dog/e.webp",    "Dog/f.Pgm",
                                        "a b/g.bmp",     "a b/notes.txt",
                                        "loose.jpg",     "\xc3\xa9t\xc3\xa9/h.ppm"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); ++i)
        assert_int_equal(make_folder(in_base(folders[i])), 0);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); ++i)
        make_file(files[i], "");
    char error[256];
    struct input_stream *s = inputs_open_labelled(base, error, sizeof(error));
    assert_non_null(s);
    assert_int_equal(inputs_num_classes(s), 5);
    static const char *const classes[] = {"Dog", "a b", "cat", "zz", "\xc3\xa9t\xc3\xa9"};
    for (int i = 0; i < 5; ++i)
        assert_string_equal(inputs_class_name(s, i), classes[i]);
    assert_null(inputs_class_name(s, 5));
    assert_null(inputs_class_name(s, -1));
    const char *expected[] = {"Dog/.hid.JPEG",
                              "Dog/e.webp",
                              "Dog/f.Pgm",
                              "a b/g.bmp",
                              "cat/10.jpg",
                              "cat/2.jpg",
                              "cat/x/a.png",
                              "cat/x-1/c.png",
                              "cat/x/y/b.png",
                              "\xc3\xa9t\xc3\xa9/h.ppm",
                              NULL};
    const int in_class[] = {0, 0, 0, 1, 2, 2, 2, 2, 2, 4};
    const bool webp = picture_unreadable_format("e.webp") == NULL;
    if (!webp)
        memmove(&expected[1], &expected[2], sizeof(expected) - 2 * sizeof(expected[0]));
    expect_items(s, expected, webp ? in_class : in_class + 1);
    assert_int_equal(inputs_num_skipped(s), webp ? 2 : 3);
    inputs_close(&s);
}

// What this build does not read is counted; what no build reads, always.
static void test_unreadable_kinds(void **state) {
    (void)state;
    static const char *const files[] = {"1.png",  "2.webp", "3.HEIC",    "4.avif",
                                        "5.tiff", "6.jxl",  "notes.txt", ".7.webp"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); ++i)
        make_file(files[i], "");
    const char *args[] = {base};
    struct input_stream *s = inputs_open(args, 1, NULL);
    uint64_t skipped = 1;
    const char *expected[6] = {"1.png"};
    for (size_t i = 1, n = 1; i < 5; ++i)
        if (picture_unreadable_format(files[i]))
            ++skipped;
        else
            expected[n++] = files[i];
    expect_items(s, expected, NULL);
    assert_int_equal(inputs_num_skipped(s), skipped);
    assert_non_null(picture_unreadable_format("a/b.JXL"));
    assert_null(picture_unreadable_format("a/b.jpg"));
    assert_null(picture_unreadable_format("notes.txt"));
    inputs_close(&s);
}

static void test_labelled_errors(void **state) {
    (void)state;
    char error[256];
    make_file("a.jpg", "");
    assert_null(inputs_open_labelled(base, error, sizeof(error)));
    assert_non_null(strstr(error, "no class folders"));
    assert_null(inputs_open_labelled(in_base("missing"), error, sizeof(error)));
    assert_non_null(strstr(error, "missing: "));
    assert_null(inputs_open_labelled(in_base("a.jpg"), error, sizeof(error)));
    assert_null(strchr(error, '\n'));
}

#if !defined(_WIN32)
static void test_links_and_rights(void **state) {
    (void)state;
    make_folder(in_base("a"));
    make_folder(in_base("a/b"));
    make_folder(in_base("other"));
    make_file("a/b/1.jpg", "");
    make_file("other/2.jpg", "");
    assert_int_equal(symlink("..", in_base("a/b/up")), 0);       // leads back
    assert_int_equal(symlink(".", in_base("a/self")), 0);        // leads back
    assert_int_equal(symlink("../other", in_base("a/side")), 0); // does not
    assert_int_equal(symlink("nowhere", in_base("a/broken.jpg")), 0);
    char folder[1024];
    snprintf(folder, sizeof(folder), "%s", in_base("a"));
    const char *args[] = {folder};
    struct input_stream *s = inputs_open(args, 1, NULL);
    expect_items(s, (const char *const[]){"a/broken.jpg", "a/b/1.jpg", "a/side/2.jpg", NULL}, NULL);
    inputs_close(&s);
    if (geteuid() == 0)
        return; // root reads everything
    assert_int_equal(chmod(in_base("a/b"), 0), 0);
    s = inputs_open(args, 1, NULL);
    expect_items(s, (const char *const[]){"a/broken.jpg", "a/b!ermission denied", "a/side/2.jpg", NULL}, NULL);
    inputs_close(&s);
    assert_int_equal(chmod(in_base("a/b"), 0700), 0);
}
#endif

// A list of `count` golden pictures in turn, a broken one among them.
static const char *const pool_files[] = {"landscape.jpg", "tiny.png",    "expected.txt", "wide.jpg",
                                         "rgb.bmp",       "missing.jpg", "palette.png"};
enum { NUM_POOL_FILES = sizeof(pool_files) / sizeof(pool_files[0]) };
static const int pool_widths[NUM_POOL_FILES] = {300, 3, 0, 640, 45, 0, 60}; // 0: fails

static FILE *make_pool_list(int count) {
    FILE *list = fopen(in_base("list"), "w+b");
    assert_non_null(list);
    for (int i = 0; i < count; ++i)
        fprintf(list, "%s/pictures/%s\n", CDL_GOLDEN_DIR, pool_files[i % NUM_POOL_FILES]);
    rewind(list);
    return list;
}

static void check_pool(const struct decode_pool_params *params, int count) {
    FILE *list = make_pool_list(count);
    const char *args[] = {"-"};
    struct input_stream *s = inputs_open(args, 1, list);
    struct decode_pool *pool = decode_pool_create(s, params);
    assert_non_null(pool);
    struct decoded d;
    int n = 0;
    for (; decode_pool_next(pool, &d); ++n) {
        assert_int_equal(d.index, n);
        assert_int_equal(d.class_index, -1);
        assert_non_null(strstr(d.path, pool_files[n % NUM_POOL_FILES]));
        assert_int_equal(d.picture.width, pool_widths[n % NUM_POOL_FILES]);
        assert_int_equal(d.ok, pool_widths[n % NUM_POOL_FILES] != 0);
        assert_int_equal(d.ok, d.error[0] == '\0');
        assert_true(d.decode_ms >= 0);
        decoded_free(&d);
    }
    assert_int_equal(n, count);
    assert_false(decode_pool_next(pool, &d));
    decode_pool_destroy(&pool);
    assert_null(pool);
    decode_pool_destroy(&pool);
    inputs_close(&s);
    fclose(list);
}

static void test_pool_order(void **state) {
    (void)state;
    check_pool(NULL, 1);
    check_pool(NULL, 60);
    check_pool(&(struct decode_pool_params){.threads = 1, .max_pictures = 1}, 15);
    check_pool(&(struct decode_pool_params){.threads = 8, .max_pictures = 2}, 60);
    check_pool(&(struct decode_pool_params){.threads = 4, .max_bytes = 1}, 60); // one at a time
    check_pool(&(struct decode_pool_params){.threads = 4, .max_bytes = 1200000}, 100);
}

static void test_pool_stops(void **state) {
    (void)state;
    const char *args[] = {"-"};
    for (int taken = 0; taken < 12; ++taken) {
        FILE *list = make_pool_list(40);
        struct input_stream *s = inputs_open(args, 1, list);
        struct decode_pool_params params = {.threads = 3, .max_bytes = taken % 2 ? 1 : 0};
        struct decode_pool *pool = decode_pool_create(s, &params);
        struct decoded d;
        for (int i = 0; i < taken; ++i) {
            assert_true(decode_pool_next(pool, &d));
            decoded_free(&d);
        }
        decode_pool_destroy(&pool);
        inputs_close(&s);
        fclose(list);
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_folder_order),
        TEST(test_arguments),
        TEST(test_list),
        TEST(test_forms_of_lists),
        TEST(test_picture_as_list),
        TEST(test_own_files),
        TEST(test_addresses),
        TEST(test_labelled_order),
        TEST(test_unreadable_kinds),
        TEST(test_labelled_errors),
#if !defined(_WIN32)
        TEST(test_links_and_rights),
#endif
        TEST(test_pool_order),
        TEST(test_pool_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
