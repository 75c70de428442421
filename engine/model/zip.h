// zip.h - the directory of a zip archive in memory, for PyTorch files: stored entries only.
#ifndef CDL_MODEL_ZIP_H_
#define CDL_MODEL_ZIP_H_

#include "base/base.h"

struct cdl_zip_entry {
    const char *name; // in the archive's bytes, not terminated
    size_t name_length;
    uint64_t size, stored_size, header_offset;
    uint16_t flags, method;
};

struct cdl_zip {
    const uint8_t *data;
    size_t size;
    struct cdl_zip_entry *entries; // malloc'd, sorted by name
    size_t count;
    const char *what;
    const cdl_log *log;
};

// Reads the central directory, 32-bit or zip64. `data` and `what` must outlive *zip.
// CDL_ERR_FORMAT: logged. cdl_zip_free may be called in any case.
cdl_result cdl_zip_open(struct cdl_zip *zip, const uint8_t *data, size_t size, const char *what, const cdl_log *log);
void cdl_zip_free(struct cdl_zip *zip);

// The entry of that exact name, or NULL.
const struct cdl_zip_entry *cdl_zip_find(const struct cdl_zip *zip, const char *name, size_t length);
// The bytes of an entry, inside the archive. CDL_ERR_FORMAT: compressed, encrypted or out of bounds; logged.
cdl_result cdl_zip_read(const struct cdl_zip *zip, const struct cdl_zip_entry *entry, const uint8_t **data,
                        size_t *size);

#endif // CDL_MODEL_ZIP_H_
