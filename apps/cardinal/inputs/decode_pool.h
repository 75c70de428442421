// decode_pool.h - worker threads that read and decode pictures ahead of the GPU, with the results in
// the order of the inputs.
#ifndef CARDINAL_DECODE_POOL_H_
#define CARDINAL_DECODE_POOL_H_

#include <stdbool.h>
#include <stdint.h>

#include "inputs/inputs.h"
#include "picture/picture.h"

struct decode_pool;

struct decode_pool_params {
    int threads;                  // 0: one per processor, at most 16
    int max_pictures;             // decoded or under way at once; 0: 4 per thread
    uint64_t max_bytes;           // of those pictures, 4 per pixel; 0: 256 MiB. One picture is always let through
    struct picture_limits limits; // all zero: the defaults
};

struct decoded {
    char *path;      // decoded_free
    int class_index; // as in input_item
    uint64_t index;  // 0, 1, 2, ... in the order of the inputs
    bool ok;         // else error[] tells why in one line and there is no picture
    struct picture picture;
    char error[512];
    double decode_ms; // reading and decoding; waiting for room not counted
};

// Starts decoding at once. `inputs` is used by the workers until destroy; the caller closes it
// after that. params NULL: the defaults. NULL: no memory or no thread.
struct decode_pool *decode_pool_create(struct input_stream *inputs, const struct decode_pool_params *params);

// The next picture in order, from one thread at a time; blocks until it is there. true: the caller
// frees *out. false: the inputs are at their end.
bool decode_pool_next(struct decode_pool *pool, struct decoded *out);
void decoded_free(struct decoded *d);

// Stops at any time, dropping what was decoded; waits for decodes under way and for a read of
// the inputs that is blocked. Sets *pool to NULL; a pointer to NULL is fine.
void decode_pool_destroy(struct decode_pool **pool);

#endif // CARDINAL_DECODE_POOL_H_
