// fuzz_safetensors.c - a .safetensors file by its header alone: the two bytes at the start say how many bytes of
// tensors follow it. So that a mutation of the header need not mend the length before it.
#include "fuzz/fuzz.h"

#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    const size_t body = cdl_load_little_endian(data, 2), header = size - 2;
    uint8_t *file = calloc(1, 8 + header + body);
    int errors = 0;
    cdl_model *model;
    FUZZ_REQUIRE(file);
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)((uint64_t)header >> 8 * i);
    memcpy(file + 8, data + 2, header);
    const cdl_result r =
        cdl_model_load_memory(&model, file, 8 + header + body, NULL, NULL, cdl_model_params(.log = fuzz_log(&errors)));
    FUZZ_REQUIRE(errors == (r != CDL_OK));
    for (int i = 0; model && i < model->list.count; i++) {
        const struct cdl_tensor *t = &model->list.items[i];
        float *row = malloc((size_t)cdl_tensor_row_size(t) * sizeof(*row));
        for (int64_t k = 0; row && k < cdl_tensor_rows(t); k++)
            cdl_tensor_read_row(t, k, row);
        free(row);
    }
    cdl_model_destroy(&model);
    free(file);
    return 0;
}
