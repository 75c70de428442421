// bench.h - what `cardinal bench` measures, and the files it is made of.
#ifndef CARDINAL_BENCH_H_
#define CARDINAL_BENCH_H_

#include <jansson.h>

#include "app.h"

enum bench_input { BENCH_PIXELS, BENCH_TENSOR };

struct bench_layer {
    char layer[64], operation[32], kernel[128];
    double us; // median over the timed runs, each layer by itself
    uint64_t flops, bytes;
};

// What the device told of itself right after a row's runs; negative: not available.
struct bench_sensors {
    double clock_mhz, memory_clock_mhz, power_watts, temperature_c;
};

// A process's time from its start to a first result, in milliseconds; `total` as its parent saw it.
struct bench_start {
    double total_ms, device_ms, model_ms, session_ms, run_ms;
    int pipelines, pipelines_compiled; // as cdl_session_info
};

// One network at one batch and precision on one device. Times are in milliseconds.
struct bench_row {
    const char *network;
    int batch, width, height;
    cdl_precision precision;
    enum bench_input input;
    char status[512]; // "ok", "unsupported", "failed: reason"
    char reason[512]; // why it is unsupported
    int runs;         // whole runs, one at a time, from submit to results
    double p50_ms, p90_ms, p99_ms, mean_ms, deviation_ms;
    double gpu_ms;       // median of a run's time on the device; 0: no timestamps
    double images_per_s; // with two runs in flight
    int throughput_runs;
    struct cdl_session_info memory;
    uint64_t device_bytes; // weights, activations, and staging and results of one slot
    struct bench_layer *layers;
    int num_layers;
    int num_above_peak; // layers that claim more arithmetic than the device's measured peak: something is wrong
    struct bench_sensors sensors;
    struct bench_start cold, warm; // total_ms 0: not measured
    char start_error[256];
};
void bench_row_free(struct bench_row *row);

struct bench_target {
    cdl_device *device;
    char name[64]; // for --device: the UUID
    struct cdl_device_info info;
    struct cdl_peaks peaks; // 0: unsupported
    struct loaded_model *model;
    const struct options *options;
    struct diagnostics *diagnostics;
};

// Measures one row: network, batch and precision are set by the caller, the rest is filled in. row->status says what
// went wrong. On CDL_ERR_DEVICE_LOST the device can no longer be used.
cdl_result bench_measure(struct bench_row *row, const struct bench_target *target);

// Pictures or tensors of noise, all different, that need no resizing; malloc'd, to be freed with bench_images_free.
bool bench_images_make(struct cdl_pixels **out, const struct loaded_model *model, int count, int width, int height,
                       enum bench_input input);
void bench_images_free(struct cdl_pixels **images);

// start.c: runs this program twice as a child, first without any cache, its own or the driver's, then
// with those that the first run left.
void bench_measure_start(struct bench_row *row, const struct bench_target *target);
int bench_start_child(const struct options *options); // the child: prints one line of JSON

// environment.c
struct bench_sensors bench_read_sensors(const struct cdl_device_info *device);
json_t *bench_environment_json(const struct bench_target *target);
json_t *bench_device_json(const struct bench_target *target);
void bench_print_environment(FILE *file, const struct bench_target *target);

// report.c
double bench_compute_roof(const struct bench_target *target, cdl_precision precision); // GFLOP/s; 0: unknown
void bench_print_row_heading(FILE *file);
void bench_print_row(FILE *file, const struct bench_row *row);
void bench_print_layers(FILE *file, const struct bench_row *row, const struct bench_target *target);
json_t *bench_row_json(const struct bench_row *row, const struct bench_target *target);
json_t *bench_peaks_json(const struct cdl_peaks *peaks);

#endif // CARDINAL_BENCH_H_
