#include "base/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/file_map.h"
#include "base/file_write.h"

enum { VERSION = 1 };

struct header { // in this machine's byte order: no other machine reads the file
    char magic[8];
    uint32_t version, header_size;
    char kind[16];
    struct cdl_cache_key key;
    uint64_t payload_size;
    uint64_t checksum; // of this header with checksum 0, then the payload
};
_Static_assert(sizeof(struct header) == 104, "the header has no padding, which would not be checked");

uint64_t cdl_hash(uint64_t hash, const void *data, size_t size) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static struct header make_header(const void *payload, size_t size, const char *kind, const struct cdl_cache_key *key) {
    struct header h = {
        .magic = "CDLCACHE", .version = VERSION, .header_size = sizeof h, .key = *key, .payload_size = size};
    cdl_format_text(h.kind, sizeof h.kind, "%s", kind);
    h.checksum = cdl_hash(cdl_hash(CDL_HASH_START, &h, sizeof h), payload, size);
    return h;
}

bool cdl_cache_path(char *out, size_t size, const char *folder, const char *kind, const struct cdl_cache_key *key) {
    char uuid[33];
    for (int i = 0; i < 16; i++)
        cdl_format_text(uuid + 2 * i, 3, "%02x", key->device[i]);
    // The driver's build stands in the header alone: a rebuilt driver replaces the file.
    cdl_format_text(out, size, "%s/%s-%s-%08x-%08x%08x.cache", folder, kind, uuid, (unsigned)key->driver_version,
                    (unsigned)(key->shaders >> 32), (unsigned)(key->shaders & 0xffffffffu));
    return strlen(out) + 1 < size && strlen(folder) + 64 < size;
}

static const char *problem_of(const uint8_t *file, size_t size, const char *kind, const struct cdl_cache_key *key) {
    struct header h;
    if (size < sizeof h)
        return "is too short";
    memcpy(&h, file, sizeof h);
    const struct header expected = make_header(file + sizeof h, size - sizeof h, kind, key);
    if (memcmp(h.magic, expected.magic, sizeof h.magic) != 0)
        return "is no cache file";
    if (h.version != expected.version || h.header_size != expected.header_size)
        return "is of another version";
    if (memcmp(h.kind, expected.kind, sizeof h.kind) != 0 || memcmp(&h.key, &expected.key, sizeof h.key) != 0)
        return "belongs to another device, driver or build";
    if (h.payload_size != expected.payload_size)
        return "is cut short, or longer than it should be";
    return h.checksum != expected.checksum ? "is damaged" : NULL;
}

void *cdl_cache_read(size_t *size, const char *folder, const char *kind, const struct cdl_cache_key *key,
                     const cdl_log *log) {
    char path[CDL_CACHE_PATH];
    const void *file = NULL;
    size_t file_size = 0;
    uint8_t *payload = NULL;
    *size = 0;
    if (!cdl_cache_path(path, sizeof path, folder, kind, key) ||
        cdl_file_map(&file, &file_size, path, NULL) != CDL_OK) {
        cdl_logf(log, CDL_LOG_DEBUG, "no cache of %s yet (%s)", kind, path);
        return NULL;
    }
    const char *problem = file_size > CDL_CACHE_MAX_BYTES ? "is too large" : problem_of(file, file_size, kind, key);
    if (problem) {
        cdl_logf(log, CDL_LOG_DEBUG, "%s %s; it is made anew", path, problem);
    } else if ((payload = malloc(file_size - sizeof(struct header) + 1))) {
        *size = file_size - sizeof(struct header);
        memcpy(payload, (const uint8_t *)file + sizeof(struct header), *size);
        payload[*size] = 0;
    }
    cdl_file_unmap(file, file_size);
    return payload;
}

bool cdl_cache_write(const void *data, size_t size, const char *folder, const char *kind,
                     const struct cdl_cache_key *key, const cdl_log *log) {
    char path[CDL_CACHE_PATH];
    struct cdl_file_write w;
    const struct header h = make_header(data, size, kind, key);
    bool ok = size <= CDL_CACHE_MAX_BYTES && cdl_cache_path(path, sizeof path, folder, kind, key) &&
              cdl_file_write_begin(&w, path, NULL) == CDL_OK;
    if (ok) {
        cdl_file_write_bytes(&w, &h, sizeof h);
        cdl_file_write_bytes(&w, data, size);
        ok = cdl_file_write_end(&w, true, NULL) == CDL_OK;
    }
    cdl_logf(log, CDL_LOG_DEBUG,
             ok ? "cache of %s: %zu bytes written into %s" : "cache of %s: %zu bytes could not be written into %s",
             kind, size, folder);
    return ok;
}
