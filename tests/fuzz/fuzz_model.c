// fuzz_model.c - any bytes as a weights file: .safetensors, and torch.save's two formats.
#include "fuzz/fuzz.h"

#include "model/model.h"

static void read_weights(const cdl_model *model) {
    for (int i = 0; i < model->list.count; i++) {
        const struct cdl_tensor *t = &model->list.items[i];
        float *row = malloc((size_t)cdl_tensor_row_size(t) * sizeof(*row));
        for (int64_t k = 0; row && k < cdl_tensor_rows(t); k++)
            cdl_tensor_read_row(t, k, row);
        free(row);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int errors = 0;
    cdl_model *model;
    const cdl_result r =
        cdl_model_load_memory(&model, data, size, NULL, NULL, cdl_model_params(.log = fuzz_log(&errors)));
    FUZZ_REQUIRE(errors == (r != CDL_OK));
    FUZZ_REQUIRE((model != NULL) == (r == CDL_OK));
    if (!model)
        return 0;
    read_weights(model);
    struct cdl_model_info info;
    cdl_model_get_info(model, &info);
    for (int i = 0; i < info.num_labels; i++)
        FUZZ_REQUIRE(cdl_model_class_name(model, i));
    cdl_model_destroy(&model);
    return 0;
}
