// results.c - reads what bench wrote; see results.h.
#include "bench/results.h"

#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "commands/report.h"
#include "inputs/folder.h"
#include "system/files.h"
#include "system/text.h"
#include "system/text_file.h"

enum { MAX_DOCUMENT = 64 << 20 };

double json_number_or(const json_t *object, const char *name, double otherwise) {
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

static int int_or(const json_t *object, const char *name, int otherwise) {
    const double value = json_number_or(object, name, otherwise);
    return value >= 0 && value <= 1 << 30 ? (int)value : otherwise;
}

const char *json_text_or(const json_t *object, const char *name, const char *otherwise) {
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? json_string_value(value) : otherwise;
}

// ---- the form of 0.1

// Its devices, or the one that the environment is of.
static json_t *old_devices(const json_t *old) {
    static const char *const moved[] = {"device",   "uuid",         "driver",       "vulkan",
                                        "software", "memory_bytes", "subgroup_size"};
    json_t *devices = json_deep_copy(json_object_get(old, "devices"));
    if (json_is_array(devices) && json_array_size(devices) > 0)
        return devices;
    json_decref(devices);
    json_t *device = json_object();
    for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
        json_t *value = json_object_get(json_object_get(old, "environment"), moved[i]);
        if (value)
            json_object_set(device, moved[i], value);
    }
    json_object_set(device, "peaks", json_object_get(old, "peaks"));
    return json_pack("[o]", device);
}

// A document of 0.1 in today's form. Its rows have no intervals, and nothing says which weights they had.
static json_t *convert_old(const json_t *old) {
    json_t *devices = old_devices(old), *rows = json_deep_copy(json_object_get(old, "rows")), *row;
    size_t i;
    json_array_foreach (rows, i, row) {
        int index = 0;
        for (size_t d = 0; d < json_array_size(devices); d++)
            if (!strcmp(json_text_or(json_array_get(devices, d), "device", ""), json_text_or(row, "device", "?")))
                index = (int)d;
        json_object_set_new(row, "device_index", json_integer(index));
        if (!json_object_get(row, "input"))
            json_object_set_new(row, "input", json_string("pixels"));
    }
    return json_pack("{s:s, s:i, s:b, s:O, s:o, s:o, s:o}", "schema", BENCH_SCHEMA, "schema_version",
                     (int)BENCH_SCHEMA_VERSION, "converted", 1, "environment", json_object_get(old, "environment"),
                     "devices", devices, "rows", rows, "sustained", json_array());
}

// ---- rows and columns

static struct estimate read_estimate(const json_t *object, double mean) {
    return (struct estimate){mean, json_number_or(object, "standard_error", 0),
                             json_number_or(object, "degrees_of_freedom", 0)};
}

static bool read_row(struct result_row *out, const json_t *json, int first_column, int num_devices) {
    const int device = int_or(json, "device_index", -1);
    *out = (struct result_row){.json = json,
                               .column = first_column + device,
                               .network = json_text_or(json, "network", NULL),
                               .weights = json_text_or(json, "weights", ""),
                               .precision = json_text_or(json, "precision", NULL),
                               .input = json_text_or(json, "input", NULL),
                               .status = json_text_or(json, "status", NULL),
                               .peer = json_text_or(json, "peer", ""),
                               .batch = int_or(json, "batch", 0),
                               .height = int_or(json, "height", 0),
                               .width = int_or(json, "width", 0)};
    out->rate = read_estimate(json_object_get(json, "interval"), json_number_or(json, "images_per_s", 0));
    out->ok = out->status && !strcmp(out->status, "ok") && out->rate.mean > 0;
    return out->network && out->precision && out->input && out->status && out->batch > 0 && device >= 0 &&
           device < num_devices;
}

static void name_column(struct result_column *c, int index, const char *file) {
    if (index < 26)
        snprintf(c->label, sizeof c->label, "%c", 'A' + index);
    else
        snprintf(c->label, sizeof c->label, "%d", index + 1);
    snprintf(c->file, sizeof c->file, "%s", file);
}

static bool grow(struct results *r, size_t columns, size_t rows) {
    json_t **documents = realloc(r->documents, (size_t)(r->num_documents + 1) * sizeof *documents);
    r->documents = documents ? documents : r->documents;
    struct result_column *c = realloc(r->columns, ((size_t)r->num_columns + columns) * sizeof *c);
    r->columns = c ? c : r->columns;
    struct result_row *w = realloc(r->rows, ((size_t)r->num_rows + rows + 1) * sizeof *w);
    r->rows = w ? w : r->rows;
    if (!documents || !c || !w)
        complain("out of memory");
    return documents && c && w;
}

bool results_add(struct results *r, json_t *document, const char *file) {
    const char *schema = json_text_or(document, "schema", NULL);
    const int version = int_or(document, "schema_version", 0);
    const bool old = !schema && json_is_object(json_object_get(document, "environment")) &&
                     json_is_object(json_object_get(document, "peaks")) &&
                     json_is_array(json_object_get(document, "rows"));
    if (!old && (!schema || strcmp(schema, BENCH_SCHEMA) != 0)) {
        complain("%s: is not what cardinal bench -f json writes", file);
        return false;
    }
    if (!old && version != BENCH_SCHEMA_VERSION) {
        complain(
            "%s: has the form of version %d, this cardinal reads version %d; measure anew, or use another cardinal",
            file, version, BENCH_SCHEMA_VERSION);
        return false;
    }
    json_t *root = old ? convert_old(document) : json_incref(document);
    const json_t *devices = json_object_get(root, "devices"), *rows = json_object_get(root, "rows");
    const size_t num_devices = json_array_size(devices), num_rows = json_array_size(rows);
    const char *missing = num_devices ? NULL : "devices";
    if (missing || !grow(r, num_devices, num_rows)) {
        complain("%s: has no %s", file, missing ? missing : "room");
        json_decref(root);
        return false;
    }
    r->documents[r->num_documents++] = root;
    for (size_t i = 0; i < num_rows; i++)
        if (!read_row(&r->rows[r->num_rows++], json_array_get(rows, i), r->num_columns, (int)num_devices)) {
            complain("%s: row %zu lacks its network, batch, precision, input, status or device", file, i + 1);
            return false;
        }
    for (size_t i = 0; i < num_devices; i++) {
        struct result_column *c = &r->columns[r->num_columns];
        const json_t *device = json_array_get(devices, i), *score = json_object_get(device, "score");
        *c = (struct result_column){
            .root = root,
            .device = device,
            .suite = json_text_or(device, "suite", "none"),
            .suite_version = int_or(device, "suite_version", 0),
            .score = read_estimate(json_object_get(score, "interval"), json_number_or(score, "value", 0)),
            .converted = json_is_true(json_object_get(root, "converted"))};
        name_column(c, r->num_columns++, file);
    }
    return true;
}

static bool read_file(struct results *r, const char *path) {
    char why[256];
    size_t size;
    json_error_t error;
    char *text = read_text_file(path, MAX_DOCUMENT, &size, why, sizeof why);
    if (!text) {
        complain("%s: %s", path, why);
        return false;
    }
    json_t *document = json_loadb(text, size, 0, &error);
    free(text);
    if (!document) {
        complain("%s: is no JSON (line %d: %s)", path, error.line, error.text);
        return false;
    }
    const bool ok = results_add(r, document, path);
    json_decref(document);
    return ok;
}

bool results_read(struct results *r, const char *path) {
    struct file_status status;
    struct name_list names = {0};
    bool ok = true;
    int found = 0;
    if (!get_file_status(path, &status) || status.kind != FILE_FOLDER)
        return read_file(r, path);
    if (folder_list(path, FOLDER_FILES, &names) != 0) {
        complain("%s: cannot be read", path);
        ok = false;
    }
    for (size_t i = 0; ok && i < names.count; i++) {
        if (!ends_in_any_case(names.names[i], ".json"))
            continue;
        char *file = folder_join(path, names.names[i]);
        ok = file && read_file(r, file);
        free(file);
        found++;
    }
    if (ok && !found) {
        complain("%s: holds no .json file", path);
        ok = false;
    }
    name_list_clear(&names);
    return ok;
}

void results_free(struct results *r) {
    for (int i = 0; i < r->num_documents; i++)
        json_decref(r->documents[i]);
    free(r->documents);
    free(r->columns);
    free(r->rows);
    *r = (struct results){0};
}
