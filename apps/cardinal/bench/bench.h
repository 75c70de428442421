// bench.h - what `cardinal bench` measures, and the files it is made of.
//
// bench.c goes through the rows, one by one or as a suite (suite.h) in several rounds; measure.c visits a row once and
// adds to what earlier visits found, training.c does so for one that learns; layers.c, start.c and sustain.c measure
// one thing each. document.c writes all of it as JSON, the one form in which results are kept; results.h reads that
// back, and everything but the text that is printed while a bench runs is made of what was read: so a page of one
// machine and a comparison of many are one.
#ifndef CARDINAL_BENCH_H_
#define CARDINAL_BENCH_H_

#include <jansson.h>

#include "app.h"
#include "bench/sensors.h"
#include "bench/statistics.h"
#include "bench/suite.h"

struct bench_layer {
    char layer[64], operation[48], kernel[128];
    double us; // median over the timed runs, within whole runs that keep layers apart
    uint64_t flops, bytes;
};

// A process's time from its start to a first result, in milliseconds; `total` as its parent saw it.
struct bench_start {
    double total_ms, device_ms, model_ms, session_ms, run_ms;
    int pipelines, pipelines_compiled; // as cdl_session_info
};

// The device's clock in MHz around a row's runs; negative: not available.
struct bench_clock {
    double before, during, after; // during: the median of all readings
    double readings[MAX_BLOCKS];
    int num_readings;
};

enum { BENCH_LOSSES = 3 }; // of a training's first steps

enum known_result { KNOWN_NOT_COMPARED, KNOWN_RIGHT, KNOWN_WRONG };

// One network at one batch and precision on one device. Times are in milliseconds.
struct bench_row {
    char network[512], weights[160]; // weights: which these are, for comparisons
    int batch, width, height;
    cdl_precision precision;
    enum bench_input input;
    char status[512]; // "ok", "unsupported", "failed: reason"; "" before the first visit
    char reason[512]; // why it is unsupported, or failed
    int visits;
    double *ms, *gpu_ms, *preprocess_ms; // of whole runs, one at a time, from submit to results; [runs]
    int runs, capacity;
    int throughput_runs;
    struct blocks rate;        // images a second with two runs in flight
    struct blocks device_rate; // the same of the device alone; empty: no timestamps
    enum known_result known;
    double known_error;         // the largest difference from the known logits, over the largest logit
    float losses[BENCH_LOSSES]; // of a row that learns, the same at every visit
    bool has_losses;
    struct cdl_session_info memory;
    uint64_t device_bytes; // weights, activations, and staging and results of one slot
    struct bench_layer *layers;
    int num_layers;
    double layers_run_ms; // the device's time of the runs that layers are timed in, without preprocessing
    int num_above_peak;   // layers that claim more arithmetic than the device's measured peak: something is wrong
    bool above_peak;      // the whole run does
    struct bench_clock clock;
    struct sensor_values sensors;  // right after the last visit
    struct bench_start cold, warm; // total_ms 0: not measured
    char start_error[256];
};
void bench_row_free(struct bench_row *row);
bool bench_row_is_ok(const struct bench_row *row);
bool bench_row_add_run(struct bench_row *row, double ms, double gpu_ms, double preprocess_ms); // false: no memory
// What became of a visit, into row->status; reason: what the library or the measurement said, or "".
void bench_row_judge(struct bench_row *row, cdl_result r, const char *reason);
double bench_percentile(double *values, int n, double p); // by nearest rank; sorts them

struct bench_target {
    cdl_device *device;
    char name[64]; // for --device: the UUID
    struct cdl_device_info info;
    struct cdl_peaks peaks; // 0: unsupported
    struct sensors *sensors;
    struct loaded_model *model;
    const struct options *options;
    struct diagnostics *diagnostics;
};

// Pictures of noise, and what runs take of them.
enum { BENCH_PICTURES = 4 };
struct bench_images {
    uint8_t *pixels;           // [BENCH_PICTURES][side][side] words of RGBA, which need no resizing
    float *tensors;            // [BENCH_PICTURES][3][height][width], the same pictures cropped and normalised; or NULL
    struct cdl_pixels *images; // [count], these in turn
};
bool bench_images_make(struct bench_images *out, const struct loaded_model *model, int count, int width, int height,
                       enum bench_input input);
void bench_images_free(struct bench_images *images);

// A session, what it is fed with, and its runs, of any input.
struct bench_session {
    const struct bench_target *target;
    struct bench_row *row;
    cdl_session *session;
    struct bench_images images;
    struct device_pictures *pictures; // NULL: the input is in host memory
    float *reference;                 // [batch][classes], of its first run
    size_t num_logits;
    bool differs, not_finite;
    char reason[400];
};
enum { BENCH_SLOTS = 2 };
// Network, batch, precision and input of `row` are set, sizes and memory are filled in. The first run is made, and
// compared with the known logits. Either way to be closed.
cdl_result bench_session_open(struct bench_session *s, struct bench_row *row, const struct bench_target *target,
                              bool timings);
void bench_session_close(struct bench_session *s);
cdl_result bench_session_submit(struct bench_session *s, int slot);
cdl_result bench_session_wait(struct bench_session *s, int slot); // and compares the outputs with the first run's
cdl_result bench_session_run(struct bench_session *s);
// Works until the rate is steady, at most half a second: a device that idled comes to its clock.
cdl_result bench_session_settle(struct bench_session *s);
// What became of a visit, into row->status.
void bench_session_judge(struct bench_session *s, cdl_result r);

// Visits a row once: latency, throughput and clock, each measurement for duration_ms. row->status says what went wrong.
// On CDL_ERR_DEVICE_LOST the device can no longer be used.
cdl_result bench_measure(struct bench_row *row, const struct bench_target *target, int duration_ms);
// training.c: the same of a row that learns
cdl_result bench_measure_training(struct bench_row *row, const struct bench_target *target, int duration_ms);
cdl_result bench_measure_training_layers(struct bench_row *row, const struct bench_target *target, int duration_ms);
// layers.c
cdl_result bench_measure_layers(struct bench_row *row, const struct bench_target *target, int duration_ms);

// start.c: runs this program twice as a child, first without any cache, its own or the driver's, then
// with those that the first run left.
void bench_measure_start(struct bench_row *row, const struct bench_target *target);
int bench_start_child(const struct options *options); // the child: prints one line of JSON

// sustain.c: runs the row's work for long; *out is what was seen, of JSON, or NULL where it failed.
cdl_result bench_sustain(const struct bench_row *like, const struct bench_target *target, int ms, json_t **out);

// environment.c
json_t *bench_environment_json(const struct bench_target *target); // of the machine and this program
json_t *bench_device_json(const struct bench_target *target);
void bench_print_environment(FILE *file, const struct bench_target *target);

// report.c: text, while a bench runs
double bench_compute_roof(const struct bench_target *target, cdl_precision precision); // GFLOP/s; 0: unknown
void bench_print_row_heading(FILE *file);
void bench_print_row(FILE *file, struct bench_row *row, const struct bench_target *target);
void bench_print_layers(FILE *file, const struct bench_row *row, const struct bench_target *target);
void bench_print_score(FILE *file, const json_t *score, const struct suite *suite);
void bench_print_sustained(FILE *file, const json_t *sustained);

// document.c
enum { BENCH_SCHEMA_VERSION = 1, LOW_CLOCK_PERCENT = 90 };
#define BENCH_SCHEMA "cardinal-bench"
json_t *bench_row_json(struct bench_row *row, const struct bench_target *target, int device_index);
json_t *bench_peaks_json(const struct cdl_peaks *peaks);
// The score of a suite's rows, all of them; `why` says why there is none.
json_t *bench_score_json(const struct suite *suite, const struct bench_row *rows, int count, char why[256]);
// A double as JSON, or "not available".
json_t *bench_known_json(double value, bool known);

#endif // CARDINAL_BENCH_H_
