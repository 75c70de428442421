// use.c - what a host does, as far as no device is needed; what it prints is checked.
//
//   use MODEL DIRECTORY_WITHOUT_ONE
#include <cdl/cdl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_log(void *ctx, cdl_log_level level, const char *msg) {
    if (level == CDL_LOG_ERR && msg[0])
        ++*(int *)ctx;
}

static void *read_file(const char *path, size_t *size) {
    static char data[1 << 24];
    FILE *file = fopen(path, "rb");
    *size = file ? fread(data, 1, sizeof data, file) : 0;
    if (file)
        fclose(file);
    return data;
}

int main(int argc, char **argv) {
    int errors = 0;
    size_t size;
    cdl_model *model = NULL, *none = NULL;
    struct cdl_model_info info;
    const cdl_log log = {on_log, &errors, CDL_LOG_ERR};
    const struct cdl_pair metadata = {"architecture", "renamed"};
    if (argc != 3)
        return 2;
    if (cdl_model_load_file(&none, argv[2], cdl_model_params(.log = log)) != CDL_ERR_IO || none || errors != 1)
        return 3;
    const void *data = read_file(argv[1], &size);
    if (cdl_model_load_memory(&model, data, size, NULL, NULL,
                              cdl_model_params(.log = log, .metadata = &metadata, .num_metadata = 1)) != CDL_OK)
        return 4;
    cdl_model_get_info(model, &info);
    printf("%s %s %d %s %d\n", cdl_version(), info.architecture, info.num_classes, cdl_model_class_name(model, 27),
           cdl_version_number() == CDL_VERSION_NUMBER);
    cdl_model_destroy(&model);
    return model != NULL;
}
