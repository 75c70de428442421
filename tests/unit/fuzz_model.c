// libFuzzer target: any bytes as a weights file. clang -fsanitize=fuzzer,address,undefined; seed it
// with tests/golden/models.
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

static void check_line(void *ctx, cdl_log_level level, const char *msg) {
    *(int *)ctx += level == CDL_LOG_ERR;
    if (strchr(msg, '\n'))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int errors = 0;
    cdl_model *model;
    const cdl_log log = {check_line, &errors, CDL_LOG_DEBUG};
    const cdl_result r = cdl_model_load_memory(&model, data, size, NULL, NULL, cdl_model_params(.log = log));
    if (errors != (r != CDL_OK) || (model != NULL) != (r == CDL_OK))
        abort();
    if (!model)
        return 0;
    for (int i = 0; i < model->list.count; i++) {
        const struct cdl_tensor *t = &model->list.items[i];
        float *row = malloc((size_t)cdl_tensor_row_size(t) * sizeof(*row));
        for (int64_t k = 0; row && k < cdl_tensor_rows(t); k++)
            cdl_tensor_read_row(t, k, row);
        free(row);
    }
    struct cdl_model_info info;
    cdl_model_get_info(model, &info);
    for (int i = 0; i < info.num_labels; i++) {
        if (!cdl_model_class_name(model, i))
            abort();
    }
    cdl_model_destroy(&model);
    return 0;
}
