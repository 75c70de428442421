// bench.c - cardinal bench: every network at every batch and precision on every device, a row each; or a suite's rows.
#include "bench/bench.h"

#include <stdlib.h>
#include <string.h>

#include "bench/results.h"
#include "commands/report.h"
#include "commands/results_file.h"
#include "pretrained/sha256.h"

enum { DEFAULT_DURATION_MS = 2000, MAX_NAMES = 64, MAX_DEVICES = 64, NAMES_SIZE = 4096 };

struct bench {
    struct options options; // with defaults filled in
    struct diagnostics diagnostics;
    struct bench_target target;
    char networks_text[NAMES_SIZE], devices_text[NAMES_SIZE];
    const char *networks[MAX_NAMES], *devices[MAX_DEVICES]; // a NULL stands for the default
    int num_networks, num_devices, num_failed;
    json_t *environment, *all_devices, *all_rows, *sustained;
    // Of one device
    const struct suite *suite; // NULL: none
    struct loaded_model models[MAX_NAMES];
    char weights[MAX_NAMES][160];
    int num_models;
    struct bench_row *rows; // [num_rows]
    int *model_of;          // [num_rows], index in `models`
    int num_rows;
    double started_ms;
};

// ---- what is asked for

// Cuts text at its commas; the names in out[] point into `copy`. false: it is too long, or has too many names.
static bool split_names(const char *text, char copy[NAMES_SIZE], const char **out, int *count) {
    *count = 0;
    if (strlen(text) >= NAMES_SIZE)
        return false;
    for (char *at = strcpy(copy, text); at;) {
        char *comma = strchr(at, ',');
        if (comma)
            *comma = 0;
        if (*count == MAX_NAMES || !at[0])
            return false;
        out[(*count)++] = at;
        at = comma ? comma + 1 : NULL;
    }
    return true;
}

// All usable devices, by UUID.
static bool list_devices(struct bench *b) {
    static struct cdl_device_info found[MAX_DEVICES];
    const cdl_log log = diagnostics_log(&b->diagnostics);
    int count = 0;
    size_t at = 0;
    if (cdl_device_list(found, MAX_DEVICES, &count, &log) != CDL_OK)
        return false;
    for (int i = 0; i < count && i < MAX_DEVICES; i++) {
        if (found[i].unusable[0])
            continue;
        b->devices[b->num_devices++] = b->devices_text + at;
        at += (size_t)snprintf(b->devices_text + at, NAMES_SIZE - at, "%s", found[i].uuid) + 1;
    }
    return b->num_devices > 0;
}

// A suite's rows are fixed, or they would not compare.
static bool suite_stands_alone(const struct options *o) {
    const struct {
        const char *name;
        bool given;
    } others[] = {{"--model", o->model},           {"--arch", o->arch},       {"--seed", o->seed},
                  {"--batch", o->batches.count},   {"--size", o->width},      {"--precision", o->precisions.count},
                  {"--input", o->bench_input},     {"--no-fold", o->no_fold}, {"--duration", o->duration_ms},
                  {"--metadata", o->num_metadata}, {"--train", o->train}};
    for (size_t i = 0; o->suite && i < sizeof others / sizeof *others; i++)
        if (others[i].given) {
            complain("--suite has rows of its own, and does not take %s", others[i].name);
            return false;
        }
    return true;
}

// What a training has no use for.
static bool training_stands(const struct options *o) {
    const struct {
        const char *name;
        bool given;
    } others[] = {
        {"--input", o->bench_input}, {"--no-fold", o->no_fold}, {"--start", o->start}, {"--sustain", o->sustain_ms}};
    for (size_t i = 0; o->train && i < sizeof others / sizeof *others; i++)
        if (others[i].given) {
            complain("--train does not take %s", others[i].name);
            return false;
        }
    if (o->checkpoint_stages && !o->train)
        complain("--checkpoint-stages is for --train");
    return o->train || !o->checkpoint_stages;
}

static enum exit_status read_options(struct bench *b, const struct options *options) {
    struct options *o = &b->options;
    *o = *options;
    b->diagnostics.level = o->verbose ? CDL_LOG_DEBUG : CDL_LOG_WARN;
    if (!suite_stands_alone(o) || !training_stands(o))
        return EXIT_USAGE;
    if (!o->arch && !o->model)
        o->arch = "resnext50_32x4d";
    if (!o->duration_ms)
        o->duration_ms = DEFAULT_DURATION_MS;
    if (!o->batches.count)
        o->batches = (struct int_list){{1}, 1};
    if (!o->precisions.count)
        o->precisions = (struct int_list){{CDL_PRECISION_AUTO}, 1};
    b->num_networks = b->num_devices = 1;
    if (o->arch && !split_names(o->arch, b->networks_text, b->networks, &b->num_networks)) {
        complain("--arch expects names between commas, not %s", o->arch);
        return EXIT_USAGE;
    }
    if (o->device && !strcmp(o->device, "all")) {
        b->num_devices = 0;
        if (!list_devices(b)) {
            complain("no usable Vulkan device");
            return EXIT_NO_DEVICE;
        }
    } else if (o->device && !split_names(o->device, b->devices_text, b->devices, &b->num_devices)) {
        complain("--device expects names between commas, not %s", o->device);
        return EXIT_USAGE;
    }
    return EXIT_ALL_DONE;
}

// ---- a device's models and rows

// Which weights these are, as far as a comparison is concerned.
static bool describe_weights(const struct loaded_model *model, const struct options *o, char out[160]) {
    static uint8_t buffer[1 << 16];
    struct sha256 hash;
    char hex[SHA256_HEX_SIZE];
    if (!model->file[0]) {
        snprintf(out, 160, "random %.64s, seed %d", o->arch, o->seed);
        return true;
    }
    FILE *file = fopen(model->file, "rb");
    sha256_init(&hash);
    for (size_t got; file && (got = fread(buffer, 1, sizeof buffer, file)) > 0;)
        sha256_update(&hash, buffer, got);
    const bool ok = file && !ferror(file);
    if (file)
        fclose(file);
    sha256_finish(&hash, hex);
    snprintf(out, 160, "sha256 %s", hex);
    if (!ok)
        complain("%s: cannot be read again for its hash", model->file);
    return ok;
}

static enum exit_status add_model(struct bench *b, const char *network) {
    struct options one = b->options;
    struct loaded_model *model = &b->models[b->num_models];
    one.arch = b->options.arch || b->suite ? network : NULL;
    enum exit_status status = open_model(model, &one, &b->diagnostics);
    if (status != EXIT_ALL_DONE)
        return status;
    const int index = b->num_models++;
    if (!outputs_are_free(&b->options, model->file))
        return EXIT_USAGE;
    return describe_weights(model, &one, b->weights[index]) ? EXIT_ALL_DONE : EXIT_NO_MODEL;
}

static bool add_row(struct bench *b, int model, int batch, cdl_precision precision, enum bench_input input) {
    struct bench_row *rows = realloc(b->rows, (size_t)(b->num_rows + 1) * sizeof *rows);
    b->rows = rows ? rows : b->rows;
    int *model_of = realloc(b->model_of, (size_t)(b->num_rows + 1) * sizeof *model_of);
    b->model_of = model_of ? model_of : b->model_of;
    if (!rows || !model_of) {
        complain("out of memory");
        return false;
    }
    struct bench_row *row = &b->rows[b->num_rows];
    *row = (struct bench_row){.batch = batch, .precision = precision, .input = input, .sensors = {-1, -1, -1, -1, -1}};
    row->clock.before = row->clock.during = row->clock.after = -1;
    snprintf(row->network, sizeof row->network, "%s", b->models[model].name);
    snprintf(row->weights, sizeof row->weights, "%s", b->weights[model]);
    b->model_of[b->num_rows++] = model;
    return true;
}

static enum exit_status add_suite_rows(struct bench *b) {
    enum exit_status status = EXIT_ALL_DONE;
    const char *before = NULL;
    bool ok = true;
    for (const struct suite_rows *r = b->suite->rows; r < b->suite->rows + SUITE_MAX_GROUPS && r->network; r++) {
        if (!before || strcmp(before, r->network) != 0)
            status = add_model(b, r->network);
        if (status != EXIT_ALL_DONE)
            return status;
        before = r->network;
        for (int p = 0; p < r->num_precisions; p++)
            for (int i = 0; i < r->num_inputs; i++)
                for (int k = 0; k < 8 && r->batches[k]; k++)
                    ok = ok && add_row(b, b->num_models - 1, r->batches[k], r->precisions[p], r->inputs[i]);
    }
    return ok ? EXIT_ALL_DONE : EXIT_SOME_FAILED;
}

static enum exit_status add_rows(struct bench *b) {
    const struct options *o = &b->options;
    if (b->suite)
        return add_suite_rows(b);
    bool ok = true;
    for (int n = 0; n < b->num_networks; n++) {
        const enum exit_status status = add_model(b, b->networks[n]);
        if (status != EXIT_ALL_DONE)
            return status;
        for (int i = 0; i < o->precisions.count; i++)
            for (int j = 0; j < o->batches.count; j++)
                ok = ok && add_row(b, n, o->batches.items[j], (cdl_precision)o->precisions.items[i],
                                   o->train ? BENCH_TRAINING : (enum bench_input)o->bench_input);
    }
    return ok ? EXIT_ALL_DONE : EXIT_SOME_FAILED;
}

static void free_rows(struct bench *b) {
    for (int i = 0; i < b->num_rows; i++)
        bench_row_free(&b->rows[i]);
    for (int i = 0; i < b->num_models; i++)
        cdl_model_destroy(&b->models[i].model);
    free(b->rows);
    free(b->model_of);
    b->rows = NULL;
    b->model_of = NULL;
    b->num_rows = b->num_models = 0;
}

// ---- measuring

static enum exit_status open_target(struct bench *b, const char *name) {
    struct bench_target *t = &b->target;
    struct options one = b->options;
    one.device = name;
    const enum exit_status status = open_device(&t->device, &one, &b->diagnostics);
    if (status == EXIT_ALL_DONE)
        cdl_device_get_info(t->device, &t->info);
    snprintf(t->name, sizeof t->name, "%s", t->info.uuid);
    return status;
}

// Of a suite's rows, one for each network tells of starts: they are the same for all.
static bool wants_start(const struct bench *b, const struct bench_row *row) {
    if (!b->suite)
        return b->options.start;
    if (row->batch != 1 || row->input != BENCH_PIXELS)
        return false;
    for (const struct bench_row *r = b->rows; r < row; r++)
        if (!strcmp(r->network, row->network) && r->batch == 1 && r->input == BENCH_PIXELS)
            return false;
    return true;
}

// The options with which a child starts as the row does.
static void measure_start(struct bench *b, struct bench_row *row) {
    struct options one = b->options;
    one.arch = b->suite ? row->network : one.arch;
    b->target.options = &one;
    bench_measure_start(row, &b->target);
    b->target.options = &b->options;
}

static bool is_text(const struct bench *b) { return b->options.format == FORMAT_TEXT; }

static void print_row(struct bench *b, struct bench_row *row) {
    bench_print_row(stdout, row, &b->target);
    if ((b->num_rows == 1 && b->num_devices == 1) || b->options.layers)
        bench_print_layers(stdout, row, &b->target);
}

// A lost device fails its row alone: the next ones get a new device.
static enum exit_status recover(struct bench *b, cdl_result r, const char *device) {
    if (r != CDL_ERR_DEVICE_LOST)
        return EXIT_ALL_DONE;
    cdl_device_destroy(&b->target.device);
    return open_target(b, device);
}

static enum exit_status visit(struct bench *b, int index, const char *device) {
    struct bench_row *row = &b->rows[index];
    const int ms = b->suite ? b->suite->visit_ms : b->options.duration_ms;
    b->target.model = &b->models[b->model_of[index]];
    const cdl_result r =
        row->input == BENCH_TRAINING ? bench_measure_training(row, &b->target, ms) : bench_measure(row, &b->target, ms);
    return recover(b, r, device);
}

// What is measured once: layers, and starts.
static enum exit_status finish_row(struct bench *b, int index, const char *device) {
    struct bench_row *row = &b->rows[index];
    cdl_result r = CDL_OK;
    b->target.model = &b->models[b->model_of[index]];
    if (bench_row_is_ok(row) && row->input == BENCH_TRAINING)
        r = bench_measure_training_layers(row, &b->target, b->options.duration_ms);
    else if (bench_row_is_ok(row) && (!b->suite || row->input == BENCH_DEVICE))
        r = bench_measure_layers(row, &b->target, b->suite ? b->suite->visit_ms : b->options.duration_ms);
    if (bench_row_is_ok(row) && wants_start(b, row))
        measure_start(b, row);
    if (is_text(b))
        print_row(b, row);
    return recover(b, r, device);
}

// Several times in turn, so that what is slow for a while is seen to be; then again where that is not sure enough.
static enum exit_status go_round(struct bench *b, int round, const char *device, int *visited) {
    enum exit_status status = EXIT_ALL_DONE;
    *visited = 0;
    for (int i = 0; i < b->num_rows && status == EXIT_ALL_DONE; i++) {
        const struct estimate e = blocks_estimate(&b->rows[i].rate);
        const bool in_time = round < SUITE_ROUNDS || now_ms() - b->started_ms < 1e3 * b->suite->budget_s;
        const bool sure = round >= SUITE_ROUNDS && e.degrees > 0 && estimate_half_width(&e) <= 0.02;
        if ((round > 0 && !bench_row_is_ok(&b->rows[i])) || !in_time || sure)
            continue;
        status = visit(b, i, device);
        if (!b->suite && status == EXIT_ALL_DONE)
            status = finish_row(b, i, device);
        ++*visited;
    }
    return status;
}

static enum exit_status go_through(struct bench *b, const char *device) {
    const int rounds = b->suite ? MAX_VISITS : 1;
    enum exit_status status = EXIT_ALL_DONE;
    for (int round = 0, visited = 1; round < rounds && visited && status == EXIT_ALL_DONE; round++) {
        if (b->suite && !b->options.quiet)
            fprintf(stderr, "%s: %d rows, round %d, %.0f s\n", b->suite->name, b->num_rows, round + 1,
                    (now_ms() - b->started_ms) / 1e3);
        status = go_round(b, round, device, &visited);
    }
    for (int i = 0; b->suite && i < b->num_rows && status == EXIT_ALL_DONE; i++)
        status = finish_row(b, i, device);
    return status;
}

static void sustain(struct bench *b) {
    const int ms = b->options.sustain_ms ? b->options.sustain_ms : b->suite ? 1000 * b->suite->sustain_s : 0;
    int chosen = b->num_rows - 1;
    for (int i = b->num_rows - 1; b->suite && i >= 0; i--)
        if (b->rows[i].batch == b->suite->sustain_batch && b->rows[i].input == BENCH_DEVICE)
            chosen = i;
    if (!ms || chosen < 0 || !bench_row_is_ok(&b->rows[chosen]))
        return;
    json_t *seen;
    b->target.model = &b->models[b->model_of[chosen]];
    const cdl_result r = bench_sustain(&b->rows[chosen], &b->target, ms, &seen);
    json_object_set_new(seen, "device_index", json_integer((json_int_t)json_array_size(b->all_devices)));
    if (is_text(b) && r == CDL_OK)
        bench_print_sustained(stdout, seen);
    else if (r != CDL_OK)
        complain("the sustained run failed: %s", json_string_value(json_object_get(seen, "reason")));
    b->num_failed += r != CDL_OK;
    json_array_append_new(b->sustained, seen);
}

// Rows into the document, the device behind them.
static void keep_device(struct bench *b) {
    struct bench_target *t = &b->target;
    const int index = (int)json_array_size(b->all_devices);
    char why[256] = "no suite was run";
    json_t *entry = bench_device_json(t);
    json_object_set_new(entry, "peaks", bench_peaks_json(&t->peaks));
    json_object_set_new(entry, "suite", json_text(b->suite ? b->suite->name : "none"));
    json_object_set_new(entry, "suite_version", json_integer(SUITE_VERSION));
    json_object_set_new(entry, "seconds", json_real((now_ms() - b->started_ms) / 1e3));
    if (b->suite) {
        json_t *score = bench_score_json(b->suite, b->rows, b->num_rows, why);
        if (is_text(b))
            bench_print_score(stdout, score, b->suite);
        json_object_set_new(entry, "score", score);
    }
    for (int i = 0; i < b->num_rows; i++) {
        b->num_failed += !strncmp(b->rows[i].status, "failed", 6);
        json_array_append_new(b->all_rows, bench_row_json(&b->rows[i], t, index));
    }
    json_array_append_new(b->all_devices, entry);
    if (!b->environment)
        b->environment = bench_environment_json(t);
}

static enum exit_status run_device(struct bench *b, const char *device) {
    struct bench_target *t = &b->target;
    enum exit_status status = open_target(b, device);
    if (status != EXIT_ALL_DONE)
        return status;
    b->started_ms = now_ms();
    b->suite = suite_find((enum suite_choice)b->options.suite, t->info.software);
    t->sensors = sensors_open(&t->info, NULL);
    t->peaks = (struct cdl_peaks){0};
    status = add_rows(b);
    if (status == EXIT_ALL_DONE && t->info.timestamps)
        cdl_device_measure_peaks(t->device, &t->peaks); // told as unsupported where it fails
    if (status == EXIT_ALL_DONE && is_text(b)) {
        bench_print_environment(stdout, t);
        bench_print_row_heading(stdout);
    }
    if (status == EXIT_ALL_DONE)
        status = go_through(b, device);
    if (status == EXIT_ALL_DONE) {
        sustain(b);
        keep_device(b);
    }
    free_rows(b);
    sensors_close(&t->sensors);
    cdl_device_destroy(&t->device);
    return status;
}

static enum exit_status write_results(struct bench *b) {
    json_t *document = json_pack("{s:s, s:i, s:O, s:O, s:O, s:O}", "schema", BENCH_SCHEMA, "schema_version",
                                 (int)BENCH_SCHEMA_VERSION, "environment", b->environment, "devices", b->all_devices,
                                 "rows", b->all_rows, "sustained", b->sustained);
    if (b->options.format == FORMAT_JSON) {
        json_line(stdout, document);
        return EXIT_ALL_DONE;
    }
    struct results results = {0};
    const bool ok = results_add(&results, document, "this bench") && results_print(stdout, &results, b->options.format);
    json_decref(document);
    results_free(&results);
    return ok ? EXIT_ALL_DONE : EXIT_SOME_FAILED;
}

int command_bench(const struct options *options) {
    static struct bench b; // its texts are large for a stack
    if (options->start_child)
        return bench_start_child(options);
    b = (struct bench){.all_rows = json_array(), .all_devices = json_array(), .sustained = json_array()};
    b.target.options = &b.options;
    b.target.diagnostics = &b.diagnostics;
    enum exit_status status = read_options(&b, options);
    for (int i = 0; i < b.num_devices && status == EXIT_ALL_DONE; i++)
        status = run_device(&b, b.devices[i]);
    if (!is_text(&b) && b.environment) {
        const enum exit_status written = write_results(&b);
        status = status != EXIT_ALL_DONE ? status : written;
    }
    json_decref(b.environment);
    json_decref(b.all_devices);
    json_decref(b.all_rows);
    json_decref(b.sustained);
    return status != EXIT_ALL_DONE ? (int)status : b.num_failed ? EXIT_SOME_FAILED : EXIT_ALL_DONE;
}
