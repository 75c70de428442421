// download.h - one address into one file, continuing where an earlier try stopped.
#ifndef CARDINAL_DOWNLOAD_H_
#define CARDINAL_DOWNLOAD_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct download {
    const char *url;
    const char *part;  // the file; what it holds already is taken for the beginning
    bool allow_http;   // else https alone, redirects included
    bool progress;     // a bar on stderr
    int stall_seconds; // gives up when next to nothing arrives for so long
    int max_seconds;   // for the whole; 0: as long as something arrives
    int64_t max_bytes; // 0: more than any model has
    char *sha256; // [65], or NULL: gets the whole file's SHA-256 where the server tells it (X-Linked-ETag), else ""
};

enum download_result {
    DOWNLOAD_OK,          // nothing more to get; only a hash can tell that the content is right
    DOWNLOAD_INTERRUPTED, // something arrived, then the connection broke: worth another try
    DOWNLOAD_MISSING,     // the server has no such file
    DOWNLOAD_FAILED,
};

// Blocks. *resumed: part of the file stems from an earlier try. Unless DOWNLOAD_OK, error[] gets the
// reason, without address and file names.
enum download_result download_run(const struct download *d, bool *resumed, char *error, size_t error_size);

// The same into memory, malloc'd; `part` and `progress` are not used. Several threads may, after download_prepare.
bool download_to_memory(const struct download *d, uint8_t **data, size_t *size, char *error, size_t error_size);
void download_prepare(void); // again and again, but by one thread at a time, and while no other starts a download

bool download_available(void); // false: built without libcurl, download_run always fails

#endif // CARDINAL_DOWNLOAD_H_
