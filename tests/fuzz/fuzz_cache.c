// fuzz_cache.c - cache files (tuning, pipelines). With an odd first byte the input is a file as it lies on the disk,
// whose payload nobody may get unless its checksum is right; else it is a payload, written and read back, and then
// damaged in the one byte that the next four choose.
#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE // mkdtemp
#endif
#include "fuzz/fuzz.h"

#include <unistd.h>

#include "base/cache.h"

static const struct cdl_cache_key key = {.device = {1, 2, 3}, .driver = {4, 5, 6}, .vendor_id = 7, .shaders = 8};
static char folder[256], path[CDL_CACHE_PATH];

static void remove_folder(void) {
    unlink(path);
    rmdir(folder);
}

static void open_folder(void) {
    const char *base = getenv("TMPDIR");
    cdl_format_text(folder, sizeof folder, "%s/cardinal-fuzz-XXXXXX", base && base[0] ? base : "/tmp");
    FUZZ_REQUIRE(mkdtemp(folder));
    FUZZ_REQUIRE(cdl_cache_path(path, sizeof path, folder, "tuning", &key));
    atexit(remove_folder);
}

static void write_file(const uint8_t *data, size_t size) {
    FILE *file = fopen(path, "wb");
    FUZZ_REQUIRE(file && fwrite(data, 1, size, file) == size);
    FUZZ_REQUIRE(fclose(file) == 0);
}

static void damage_file(size_t choice) {
    FILE *file = fopen(path, "r+b");
    FUZZ_REQUIRE(file && fseek(file, 0, SEEK_END) == 0);
    const long at = (long)(choice % (size_t)ftell(file));
    FUZZ_REQUIRE(fseek(file, at, SEEK_SET) == 0);
    const int c = getc(file);
    FUZZ_REQUIRE(fseek(file, at, SEEK_SET) == 0 && putc(c ^ (1 << choice % 8), file) != EOF && fclose(file) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int errors = 0;
    const cdl_log log = fuzz_log(&errors);
    size_t length;
    if (!folder[0])
        open_folder();
    if (size < 5)
        return 0;
    if (data[0] & 1) {
        write_file(data + 1, size - 1);
        free(cdl_cache_read(&length, folder, "tuning", &key, &log));
    } else {
        FUZZ_REQUIRE(cdl_cache_write(data + 5, size - 5, folder, "tuning", &key, &log));
        uint8_t *payload = cdl_cache_read(&length, folder, "tuning", &key, &log);
        FUZZ_REQUIRE(payload && length == size - 5 && memcmp(payload, data + 5, length) == 0 && payload[length] == 0);
        free(payload);
        damage_file(cdl_load_little_endian(data + 1, 4));
        FUZZ_REQUIRE(!cdl_cache_read(&length, folder, "tuning", &key, &log));
    }
    FUZZ_REQUIRE(errors == 0); // a cache is no reason to complain
    return 0;
}
