// fuzz_labels.c - a label file in any of its forms. The names that come out of it are names for a model.
#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE // mkdtemp
#endif
#include "fuzz/fuzz.h"

#include <unistd.h>

#include "inputs/labels.h"

static char folder[256], path[300];

static void remove_folder(void) {
    unlink(path);
    rmdir(folder);
}

static void open_folder(void) {
    const char *base = getenv("TMPDIR");
    cdl_format_text(folder, sizeof folder, "%s/cardinal-fuzz-XXXXXX", base && base[0] ? base : "/tmp");
    FUZZ_REQUIRE(mkdtemp(folder));
    cdl_format_text(path, sizeof path, "%s/labels", folder);
    atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!folder[0])
        open_folder();
    FILE *file = fopen(path, "wb");
    FUZZ_REQUIRE(file && fwrite(data, 1, size, file) == size);
    FUZZ_REQUIRE(fclose(file) == 0);
    char error[1024] = "";
    struct label_list labels;
    const bool ok = labels_read(path, &labels, error, sizeof error);
    FUZZ_REQUIRE(ok == !error[0] && !strchr(error, '\n'));
    FUZZ_REQUIRE(ok == (labels.count > 0));
    if (ok) {
        char *json = labels_to_json(&labels);
        FUZZ_REQUIRE(json && json[0] == '[');
        for (int i = 0; i < labels.count; i++)
            FUZZ_REQUIRE(labels.names[i] && (!labels.wordnet || labels.wordnet[i]));
        free(json);
    }
    labels_free(&labels);
    return 0;
}
