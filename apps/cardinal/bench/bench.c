// bench.c - cardinal bench: every network at every batch and precision on every device, a row each.
#include "bench/bench.h"

#include <stdlib.h>
#include <string.h>

#include "commands/report.h"
#include "commands/results_file.h"

enum { DEFAULT_DURATION_MS = 2000, MAX_NAMES = 64, MAX_DEVICES = 64, NAMES_SIZE = 4096 };

struct bench {
    struct options options; // with defaults filled in
    struct diagnostics diagnostics;
    struct bench_target target;
    char networks_text[NAMES_SIZE], devices_text[NAMES_SIZE];
    const char *networks[MAX_NAMES], *devices[MAX_DEVICES]; // a NULL stands for the default
    int num_networks, num_devices, num_failed;
    json_t *environment, *peaks, *all_devices, *rows;
};

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

static enum exit_status read_options(struct bench *b, const struct options *options) {
    struct options *o = &b->options;
    *o = *options;
    b->diagnostics.level = o->verbose ? CDL_LOG_DEBUG : CDL_LOG_WARN;
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

static bool add_row(struct bench *b, int batch, int precision) {
    struct bench_target *t = &b->target;
    struct bench_row row = {.network = t->model->name,
                            .batch = batch,
                            .precision = (cdl_precision)precision,
                            .input = (enum bench_input)b->options.bench_input,
                            .sensors = {-1, -1, -1, -1}};
    const bool alone = b->options.batches.count * b->options.precisions.count * b->num_networks * b->num_devices == 1;
    const cdl_result r = bench_measure(&row, t);
    if (r == CDL_OK && b->options.start)
        bench_measure_start(&row, t);
    b->num_failed += !strncmp(row.status, "failed", 6);
    if (b->options.format == FORMAT_JSON) {
        json_array_append_new(b->rows, bench_row_json(&row, t));
    } else {
        bench_print_row(stdout, &row);
        if (alone || b->options.layers)
            bench_print_layers(stdout, &row, t);
    }
    bench_row_free(&row);
    return r != CDL_ERR_DEVICE_LOST;
}

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

// Rows of one network. A lost device fails its row alone: the next ones get a new device.
static enum exit_status run_network(struct bench *b, const char *network, const char *device) {
    struct loaded_model model;
    struct options one = b->options;
    one.arch = b->options.arch ? network : NULL;
    enum exit_status status = open_model(&model, &one, &b->diagnostics);
    if (status == EXIT_ALL_DONE && !outputs_are_free(&b->options, model.file))
        status = EXIT_USAGE;
    b->target.model = &model;
    for (int i = 0; status == EXIT_ALL_DONE && i < b->options.precisions.count; i++)
        for (int j = 0; status == EXIT_ALL_DONE && j < b->options.batches.count; j++)
            if (!add_row(b, b->options.batches.items[j], b->options.precisions.items[i])) {
                cdl_device_destroy(&b->target.device);
                status = open_target(b, device);
            }
    cdl_model_destroy(&model.model);
    return status;
}

static enum exit_status run_device(struct bench *b, const char *device) {
    struct bench_target *t = &b->target;
    enum exit_status status = open_target(b, device);
    if (status != EXIT_ALL_DONE)
        return status;
    t->peaks = (struct cdl_peaks){0};
    if (t->info.timestamps)
        cdl_device_measure_peaks(t->device, &t->peaks); // told as unsupported where it fails
    if (b->options.format == FORMAT_JSON) {
        json_t *entry = bench_device_json(t);
        json_object_set_new(entry, "peaks", bench_peaks_json(&t->peaks));
        json_array_append_new(b->all_devices, entry);
        if (!b->environment) {
            b->environment = bench_environment_json(t);
            b->peaks = bench_peaks_json(&t->peaks);
        }
    } else {
        bench_print_environment(stdout, t);
        bench_print_row_heading(stdout);
    }
    for (int i = 0; i < b->num_networks && status == EXIT_ALL_DONE; i++)
        status = run_network(b, b->networks[i], device);
    cdl_device_destroy(&t->device);
    return status;
}

int command_bench(const struct options *options) {
    static struct bench b; // its texts are large for a stack
    if (options->start_child)
        return bench_start_child(options);
    b = (struct bench){.rows = json_array(), .all_devices = json_array()};
    b.target.options = &b.options;
    b.target.diagnostics = &b.diagnostics;
    enum exit_status status = read_options(&b, options);
    for (int i = 0; i < b.num_devices && status == EXIT_ALL_DONE; i++)
        status = run_device(&b, b.devices[i]);
    if (b.options.format == FORMAT_JSON && b.environment)
        json_line(stdout, json_pack("{s:O, s:O, s:O, s:O}", "environment", b.environment, "peaks", b.peaks, "devices",
                                    b.all_devices, "rows", b.rows));
    json_decref(b.environment);
    json_decref(b.peaks);
    json_decref(b.all_devices);
    json_decref(b.rows);
    return status != EXIT_ALL_DONE ? (int)status : b.num_failed ? EXIT_SOME_FAILED : EXIT_ALL_DONE;
}
