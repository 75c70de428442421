// minimal.c - names what a picture shows: minimal MODEL PICTURE
#include <stdio.h>

#include <cdl/cdl.h>
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

static void print(void *ctx, cdl_log_level level, const char *msg) { // the library itself never prints
    (void)ctx, (void)level;
    fprintf(stderr, "%s\n", msg);
}

int main(int argc, char **argv) {
    const cdl_log log = {.fn = print, .level = CDL_LOG_WARN};
    cdl_device *device = NULL;
    cdl_model *model = NULL;
    cdl_session *session = NULL;
    struct cdl_class top[5];
    struct cdl_pixels picture = {.format = CDL_FORMAT_RGB8};
    picture.data = argc == 3 ? stbi_load(argv[2], &picture.width, &picture.height, NULL, 3) : NULL;
    if (!picture.data)
        return fprintf(stderr, "usage: minimal MODEL PICTURE; %s\n", argc == 3 ? stbi_failure_reason() : "two files"),
               2;

    cdl_result r = cdl_device_create(&device, cdl_device_params(.log = log));
    if (r == CDL_OK && (r = cdl_model_load_file(&model, argv[1], cdl_model_params(.log = log))) == CDL_OK &&
        (r = cdl_session_create(&session, device, model, NULL)) == CDL_OK &&
        (r = cdl_session_run(session, &picture, 1)) == CDL_OK &&
        (r = cdl_session_topk(session, 0, 0, top, 5)) == CDL_OK)
        for (int i = 0; i < 5; i++) {
            const char *name = cdl_model_class_name(model, top[i].id); // NULL: the model has no labels
            printf("%5.1f %%  %s\n", 100 * (double)top[i].prob, name ? name : "(unlabelled)");
        }
    cdl_session_destroy(&session); // before its device; NULL is fine
    cdl_model_destroy(&model);
    cdl_device_destroy(&device);
    stbi_image_free((void *)(uintptr_t)picture.data);
    return r == CDL_OK ? 0 : 1; // why it failed, `print` has told
}
