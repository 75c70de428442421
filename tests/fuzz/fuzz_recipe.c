// fuzz_recipe.c - metadata: lines KEY=VALUE as a file or --metadata has them. A zero byte ends a value, and so a labels
// value may hold line breaks.
#include "fuzz/fuzz.h"

#include "model/model.h"

enum { MOST = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t *file;
    static size_t file_size;
    if (!file)
        file = fuzz_read_golden("models/plain.safetensors", &file_size);
    char *text = malloc(size + 1);
    FUZZ_REQUIRE(text);
    memcpy(text, data, size);
    text[size] = 0;
    struct cdl_pair pairs[MOST];
    int count = 0, errors = 0;
    for (size_t at = 0; at < size && count < MOST; at += strlen(text + at) + 1) {
        char *equals = strchr(text + at, '=');
        if (!equals)
            continue;
        *equals = 0;
        pairs[count++] = (struct cdl_pair){text + at, equals + 1};
        at += strlen(text + at) + 1;
    }
    cdl_model *model;
    const cdl_result r =
        cdl_model_load_memory(&model, file, file_size, NULL, NULL,
                              cdl_model_params(.log = fuzz_log(&errors), .metadata = pairs, .num_metadata = count));
    FUZZ_REQUIRE(errors == (r != CDL_OK));
    FUZZ_REQUIRE((model != NULL) == (r == CDL_OK));
    if (model) {
        struct cdl_model_info info;
        cdl_model_get_info(model, &info);
        FUZZ_REQUIRE(info.input_width > 0 && info.input_height > 0);
        for (int i = 0; i < info.num_labels; i++) {
            const char *name = cdl_model_class_name(model, i);
            FUZZ_REQUIRE(name && !strchr(name, '\n') && !strchr(name, 27)); // a terminal would heed it
        }
    }
    cdl_model_destroy(&model);
    free(text);
    return 0;
}
