// fuzz.c - see fuzz.h.
#include "fuzz/fuzz.h"

void fuzz_log_line(void *ctx, cdl_log_level level, const char *msg) {
    *(int *)ctx += level == CDL_LOG_ERR;
    FUZZ_REQUIRE(msg[0] && !strchr(msg, '\n'));
}

uint8_t *fuzz_read_golden(const char *name, size_t *size) {
    enum { MOST = 1 << 20 };
    char path[1024];
    cdl_format_text(path, sizeof path, "%s/%s", CDL_GOLDEN_DIR, name);
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(MOST);
    FUZZ_REQUIRE(file && data);
    *size = fread(data, 1, MOST, file);
    fclose(file);
    return data;
}
