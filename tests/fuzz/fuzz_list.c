// fuzz_list.c - a list of pictures as it comes by a pipe. Slashes and dots are replaced, so that no path leads out of
// the working folder, and no folder of this machine is walked.
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L // fmemopen
#endif
#include "fuzz/fuzz.h"

#include "inputs/inputs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const args[] = {"-"};
    char *text = malloc(size + 1);
    FUZZ_REQUIRE(text);
    for (size_t i = 0; i < size; i++)
        text[i] = data[i] == '/' || data[i] == '.' ? '_' : (char)data[i];
    FILE *file = size ? fmemopen(text, size, "rb") : tmpfile();
    FUZZ_REQUIRE(file);
    struct input_stream *inputs = inputs_open(args, 1, file);
    FUZZ_REQUIRE(inputs);
    struct input_item item;
    size_t bytes = 0;
    while (inputs_next(inputs, &item)) {
        FUZZ_REQUIRE(item.path && item.class_index == -1 && !strchr(item.error, '\n'));
        // "-" itself stands for an empty list, and for a picture
        bytes += strcmp(item.path, "-") ? strlen(item.path) : 0;
        input_item_free(&item);
    }
    FUZZ_REQUIRE(bytes <= size);
    inputs_close(&inputs);
    fclose(file);
    free(text);
    return 0;
}
