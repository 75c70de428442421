// comparison.c - results side by side; see results.h.
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/results.h"

const char *const verdict_names[5] = {"", "same", "faster", "slower", "not sure"};

static bool is_same_row(const struct result_row *a, const struct result_row *b) {
    return !strcmp(a->network, b->network) && !strcmp(a->precision, b->precision) && !strcmp(a->input, b->input) &&
           !strcmp(a->peer, b->peer) && a->batch == b->batch && a->height == b->height && a->width == b->width;
}

static bool suites_compare(const struct results *r) {
    for (int i = 1; i < r->num_columns; i++)
        for (int j = 0; j < i; j++) {
            const struct result_column *a = &r->columns[j], *b = &r->columns[i];
            if (strcmp(a->suite, "none") && !strcmp(a->suite, b->suite) && a->suite_version != b->suite_version) {
                complain("%s is of version %d of the suite %s, %s of version %d: they do not compare", a->file,
                         a->suite_version, a->suite, b->file, b->suite_version);
                return false;
            }
        }
    return true;
}

static bool weights_compare(const struct results *r, const struct result_row *a, const struct result_row *b) {
    if (!a->weights[0] || !b->weights[0] || !strcmp(a->weights, b->weights))
        return true;
    complain("%s and %s ran %s with other weights (%.40s, %.40s): they do not compare", r->columns[a->column].file,
             r->columns[b->column].file, a->network, a->weights, b->weights);
    return false;
}

// Into its line, which is a new one where no row before is the same.
static bool place_row(struct comparison *c, const struct result_row *row) {
    const int columns = c->results->num_columns;
    int i = 0;
    while (i < c->num_lines && !is_same_row(c->lines[i].first, row))
        i++;
    struct result_line *line = &c->lines[i];
    if (i == c->num_lines) {
        *line = (struct result_line){.first = row, .best = -1};
        line->rows = calloc((size_t)columns, sizeof(const struct result_row *));
        line->ratios = calloc((size_t)columns, sizeof *line->ratios);
        c->num_lines++;
        if (!line->rows || !line->ratios) {
            complain("out of memory");
            return false;
        }
    }
    if (!weights_compare(c->results, line->first, row))
        return false;
    if (!line->rows[row->column]) // of several alike in one file, the first
        line->rows[row->column] = row;
    return true;
}

// How many ratios there are: with each of them to be wrong once in twenty times, some would be.
static double level_of(const struct comparison *c) {
    int ratios = 0;
    for (int i = 0; i < c->num_lines; i++)
        for (int k = 1; k < c->results->num_columns; k++)
            ratios += c->lines[i].rows[0] && c->lines[i].rows[k];
    return 1 - 0.05 / (ratios ? ratios : 1); // Bonferroni
}

static void compute_ratios(struct comparison *c) {
    const struct results *r = c->results;
    c->level = level_of(c);
    for (int i = 0; i < c->num_lines; i++) {
        struct result_line *line = &c->lines[i];
        const struct result_row *base = line->rows[0];
        for (int k = 0; k < r->num_columns; k++) {
            const struct result_row *row = line->rows[k];
            if (!row || !row->ok)
                continue;
            if (line->best < 0 || row->rate.mean > line->rows[line->best]->rate.mean)
                line->best = k;
            if (k > 0 && base && base->ok)
                line->ratios[k] = estimate_ratio(&row->rate, &base->rate, c->level);
        }
    }
    for (int k = 1; k < r->num_columns; k++)
        if (!strcmp(r->columns[k].suite, r->columns[0].suite))
            c->scores[k] = estimate_ratio(&r->columns[k].score, &r->columns[0].score, 0.95);
}

bool comparison_make(struct comparison *c, const struct results *r) {
    *c = (struct comparison){.results = r};
    if (!suites_compare(r))
        return false;
    c->lines = calloc((size_t)r->num_rows + 1, sizeof *c->lines);
    c->scores = calloc((size_t)r->num_columns + 1, sizeof *c->scores);
    bool ok = c->lines && c->scores;
    if (!ok)
        complain("out of memory");
    for (int i = 0; ok && i < r->num_rows; i++)
        ok = place_row(c, &r->rows[i]);
    if (ok)
        compute_ratios(c);
    return ok;
}

void comparison_free(struct comparison *c) {
    for (int i = 0; i < c->num_lines; i++) {
        free(c->lines[i].rows);
        free(c->lines[i].ratios);
    }
    free(c->lines);
    free(c->scores);
    *c = (struct comparison){0};
}

enum verdict ratio_verdict(const struct ratio *r) {
    if (r->value <= 0)
        return VERDICT_NONE;
    if (!r->known)
        return VERDICT_UNSURE;
    return r->low > 1 ? VERDICT_FASTER : r->high < 1 ? VERDICT_SLOWER : VERDICT_SAME;
}

// ---- environments

const char *environment_field(int i) {
    static const char *const fields[] = {"device",
                                         "type",
                                         "driver",
                                         "vulkan",
                                         "uuid",
                                         "software",
                                         "memory_bytes",
                                         "subgroup_size",
                                         "clock_max_mhz",
                                         "power_limit_watts",
                                         "ecc",
                                         "resizable_bar",
                                         "sensors",
                                         "suite",
                                         "version",
                                         "commit",
                                         "shaders",
                                         "tune",
                                         "os",
                                         "kernel",
                                         "processor",
                                         "host memory_bytes",
                                         "layers",
                                         NULL};
    return fields[i];
}

const char *environment_value(const struct result_column *column, const char *field, char buffer[64]) {
    const bool host = !strncmp(field, "host ", 5);
    const json_t *environment = json_object_get(column->root, "environment");
    const json_t *value = host ? NULL : json_object_get(column->device, field);
    if (!value && (host || strcmp(field, "memory_bytes") != 0))
        value = json_object_get(environment, host ? field + 5 : field);
    if (host && column->converted) // there it was the device's
        value = NULL;
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_boolean(value))
        return json_is_true(value) ? "yes" : "no";
    if (!json_is_number(value))
        return "not recorded";
    if (strstr(field, "bytes"))
        snprintf(buffer, 64, "%.1f GB", json_number_value(value) / 1e9);
    else
        snprintf(buffer, 64, "%.10g", json_number_value(value));
    return buffer;
}

bool environment_differs(const struct results *r, const char *field) {
    char a[64], b[64];
    for (int i = 1; i < r->num_columns; i++)
        if (strcmp(environment_value(&r->columns[0], field, a), environment_value(&r->columns[i], field, b)) != 0)
            return true;
    return false;
}
