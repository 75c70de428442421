// fuzz_zip.c - a zip archive's directory and entries.
#include "fuzz/fuzz.h"

#include "model/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int errors = 0;
    const cdl_log log = fuzz_log(&errors);
    struct cdl_zip zip;
    const cdl_result r = cdl_zip_open(&zip, data, size, "input", &log);
    FUZZ_REQUIRE(errors == (r != CDL_OK));
    for (size_t i = 0; r == CDL_OK && i < zip.count; i++) {
        const struct cdl_zip_entry *entry = &zip.entries[i];
        const uint8_t *bytes = NULL;
        size_t count = 0;
        errors = 0;
        FUZZ_REQUIRE(cdl_zip_find(&zip, entry->name, entry->name_length));
        const cdl_result read = cdl_zip_read(&zip, entry, &bytes, &count);
        FUZZ_REQUIRE(errors == (read != CDL_OK));
        if (read == CDL_OK)
            FUZZ_REQUIRE(count == 0 || (bytes >= data && count <= (size_t)(data + size - bytes)));
    }
    cdl_zip_free(&zip);
    return 0;
}
