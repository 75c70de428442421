// runner.h - pictures from the inputs, decoded ahead, through a session, two batches in flight, results in order.
#ifndef CARDINAL_RUNNER_H_
#define CARDINAL_RUNNER_H_

#include "app.h"
#include "inputs/decode_pool.h"

struct outcome {
    const struct decoded *decoded;
    const char *error;           // NULL: classified
    const struct cdl_class *top; // [topk], best first
    // Of this picture's share of its batch: staging, the device's work, and both with decoding.
    double upload_ms, gpu_ms, total_ms;
    int slot, image; // of the session, while the sink runs
};

struct runner_params {
    cdl_session *session; // 2 slots
    struct input_stream *inputs;
    int threads; // that decode; 0: as many as decode_pool.h says
    int batch, topk;
    bool exif;               // honour orientation
    bool keep_pixels;        // the sink needs decoded->picture; else pixels are freed once they are staged
    bool (*stop)(void *ctx); // asked between pictures: whether to end early, without those under way; NULL: never
    struct diagnostics *diagnostics;
    void (*sink)(void *ctx, const struct outcome *outcome); // once a picture, in order
    void *ctx;
};

// CDL_OK when all pictures went to the sink, failed ones included; else what ended the work early
// (device lost, out of memory), after its line on stderr.
cdl_result runner_run(const struct runner_params *params);

#endif // CARDINAL_RUNNER_H_
