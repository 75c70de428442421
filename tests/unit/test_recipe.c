// test_recipe.c - metadata from the caller, the file and beside it: which wins, what is refused, what messages name.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"

// What a call logged.
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
    return (cdl_log){collect_line, lines, CDL_LOG_WARN};
}

// Loads plain.safetensors, which has a recipe; the last message is left in `lines`.
static cdl_result load_plain(struct lines *lines, const struct cdl_model_params *params, cdl_model **out) {
    char path[512];
    struct cdl_model_params p = *params;
    snprintf(path, sizeof(path), "%s/models/plain.safetensors", CDL_GOLDEN_DIR);
    p.log = log_to(lines);
    return cdl_model_load_file(out, path, &p);
}

static void test_mistyped_keys(void **state) {
    (void)state;
    static const char *const mistyped[][2] = {
        {"Mean", "mean"},
        {"resize", "resize_size"},
        {"meen", "mean"},
        {"input-size", "input_size"},
        {"INPUT SIZE", "input_size"},
        {"inputsize", "input_size"},
        {"ressize_size", "resize_size"},
        {"sdt", "std"},
        {"label", "labels"},
        {"crop_pct", "resize_size"},
        {"stagestrides", "stage_strides"},
        {"interpolaton", "interpolation"},
    };
    static const char *const others[] = {"author", "note", "license", "std_error", "m", "means_of_transport", ""};
    struct lines lines;
    cdl_model *model;
    for (size_t i = 0; i < CDL_COUNT(mistyped); i++) {
        const struct cdl_pair pair = {mistyped[i][0], "0,0,0"};
        char meant[64];
        snprintf(meant, sizeof meant, "did you mean %s?", mistyped[i][1]);
        const cdl_result r = load_plain(&lines, cdl_model_params(.metadata = &pair, .num_metadata = 1), &model);
        if (r != CDL_ERR_INVALID || lines.errors != 1 || !strstr(lines.last, meant))
            fail_msg("%s: %d: %s", pair.key, r, lines.last);
    }
    for (size_t i = 0; i < CDL_COUNT(others); i++) {
        const struct cdl_pair pair = {others[i], "x"};
        if (load_plain(&lines, cdl_model_params(.metadata = &pair, .num_metadata = 1), &model) != CDL_OK)
            fail_msg("%s: %s", pair.key, lines.last);
        assert_string_equal(cdl_model_metadata(model, others[i]), "x");
        cdl_model_destroy(&model);
    }
    // A file's keys are other programs' matter.
    const struct cdl_pair foreign = {"Mean", "?"};
    assert_int_equal(load_plain(&lines, cdl_model_params(.defaults = &foreign, .num_defaults = 1), &model), CDL_OK);
    cdl_model_destroy(&model);
    int count = 0;
    while (cdl_model_metadata_key(count)) // a known key is nearest to itself
        assert_string_equal(cdl_model_nearest_key(cdl_model_metadata_key(count)), cdl_model_metadata_key(count)),
            count++;
    assert_true(count >= 10);
    assert_null(cdl_model_metadata_key(-1));
}

// What the caller says wins over the file, the file over defaults; messages name the origin.
static void test_default_metadata(void **state) {
    (void)state;
    static const struct cdl_pair defaults[] = {{"input_size", "224"},        {"resize_size", "300"},
                                               {"interpolation", "bicubic"}, {"stem_pool", "true"},
                                               {"labels", "[\"a\"]"},        {"origin", "hub"}};
    static const struct cdl_pair given = {"stem_pool", "false"};
    struct cdl_model_params params = {.struct_size = sizeof params,
                                      .defaults = defaults,
                                      .num_defaults = CDL_COUNT(defaults),
                                      .defaults_from = "config.json",
                                      .metadata = &given,
                                      .num_metadata = 1};
    struct lines lines;
    struct cdl_model_info info;
    char path[512];
    snprintf(path, sizeof(path), "%s/models/zip.pth", CDL_GOLDEN_DIR);
    params.log = log_to(&lines);
    cdl_model *model;
    assert_int_equal(cdl_model_load_file(&model, path, &params), CDL_OK);
    assert_int_equal(lines.warnings, 1);
    assert_non_null(strstr(lines.last, "config.json: has 1 labels"));
    cdl_model_get_info(model, &info);
    assert_int_equal(info.resize_size, 300);
    assert_int_equal(info.interpolation, CDL_INTERPOLATION_BICUBIC);
    assert_int_equal(model->recipe.stem_pool, 0);
    assert_string_equal(cdl_model_metadata(model, "origin"), "hub");
    cdl_model_destroy(&model);

    assert_int_equal(load_plain(&lines, &params, &model), CDL_OK);
    assert_int_equal(model->recipe.resize_size, 36);                          // the file's
    assert_int_equal(model->recipe.interpolation, CDL_INTERPOLATION_BICUBIC); // which it does not state
    cdl_model_destroy(&model);

    const struct cdl_pair labels = {"labels", "[\"a\",\"b\"]"};
    params = (struct cdl_model_params){
        .struct_size = sizeof params, .metadata = &labels, .num_metadata = 1, .labels_from = "labels.txt"};
    assert_int_equal(load_plain(&lines, &params, &model), CDL_OK);
    assert_int_equal(lines.warnings, 1);
    assert_non_null(strstr(lines.last, "labels.txt: has 2 labels"));
    cdl_model_destroy(&model);

    const struct cdl_pair larger = {"input_size", "40"}; // than the 36 that the file resizes to
    params = (struct cdl_model_params){.struct_size = sizeof params, .metadata = &larger, .num_metadata = 1};
    assert_int_equal(load_plain(&lines, &params, &model), CDL_OK);
    assert_int_equal(lines.warnings, 1);
    assert_non_null(strstr(lines.last, "black borders"));
    cdl_model_destroy(&model);

    const struct cdl_pair bad = {"std", "58,57,57"};
    params = (struct cdl_model_params){.struct_size = sizeof params,
                                       .log = log_to(&lines),
                                       .defaults = &bad,
                                       .num_defaults = 1,
                                       .defaults_from = "c.json"};
    assert_int_equal(cdl_model_load_file(&model, path, &params), CDL_ERR_FORMAT);
    assert_non_null(strstr(lines.last, "c.json: metadata std is \"58,57,57\", of pixels in 0...255"));
    assert_non_null(strstr(lines.last, "(std=0.2275,0.2235,0.2235)"));
    params.num_defaults = -1;
    assert_int_equal(cdl_model_load_file(&model, path, &params), CDL_ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mistyped_keys),
        cmocka_unit_test(test_default_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
