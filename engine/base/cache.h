// cache.h - files that make the next start faster: a driver's compiled pipelines, the tuner's choices.
//
// A file belongs to one device, driver and set of shaders, which stand in its name and in its header with the
// payload's size and a checksum over all. A file that is missing, damaged, outdated or another device's is ignored, and
// its content made and written anew. A driver trusts the bytes of its pipeline cache, so nothing unchecked may reach
// it.
#ifndef CDL_CACHE_H_
#define CDL_CACHE_H_

#include "base/base.h"

enum { CDL_CACHE_PATH = 4096, CDL_CACHE_MAX_BYTES = 256 << 20 };

struct cdl_cache_key {
    uint8_t device[16];                                      // deviceUUID
    uint8_t driver[16];                                      // pipelineCacheUUID: changes with the driver's build
    uint32_t vendor_id, device_id, driver_version, reserved; // reserved: 0
    uint64_t shaders;                                        // hash of the embedded SPIR-V
};

// FNV-1a; start with CDL_HASH_START. A change of any one byte changes it.
#define CDL_HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t cdl_hash(uint64_t hash, const void *data, size_t size);

// "FOLDER/KIND-<device UUID>-<driver version>-<shaders>.cache"; false: it does not fit.
bool cdl_cache_path(char *out, size_t size, const char *folder, const char *kind, const struct cdl_cache_key *key);

// The payload, malloc'd, with a zero byte behind it; NULL (why is logged at CDL_LOG_DEBUG): none that can be used.
void *cdl_cache_read(size_t *size, const char *folder, const char *kind, const struct cdl_cache_key *key,
                     const cdl_log *log);

// Replaces the file, whole or not at all. Without it the program only starts more slowly, so a failure (a full disk,
// a missing folder) is no error: false, logged at CDL_LOG_DEBUG.
bool cdl_cache_write(const void *data, size_t size, const char *folder, const char *kind,
                     const struct cdl_cache_key *key, const cdl_log *log);

#endif // CDL_CACHE_H_
