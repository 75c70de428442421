// page_plots.c - see page_plots.h.
#include "bench/page_plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "html/page.h"
#include "html/plot.h"
#include "system/text.h"

enum { MAX_POINTS = 64, MAX_KINDS = PLOT_SERIES, MAX_MET_KINDS = 64 };

// ---- rates by batch

static bool same_group(const struct result_row *a, const struct result_row *b) {
    return !strcmp(a->network, b->network) && !strcmp(a->precision, b->precision) && !strcmp(a->input, b->input) &&
           a->height == b->height && a->width == b->width;
}

static const struct result_row *of_column(const struct result_line *line, int column) {
    const struct result_row *row = line->rows[column];
    return row && row->ok && !row->peer[0] ? row : NULL;
}

// A column's line through the batches of a group, smallest first.
static void put_series(struct plot *p, const struct comparison *c, const struct result_row *group, int column,
                       int series) {
    double x[MAX_POINTS], y[MAX_POINTS];
    int n = 0;
    for (int after = 0; n < MAX_POINTS; after = (int)x[n++]) {
        const struct result_row *next = NULL;
        for (int i = 0; i < c->num_lines; i++) {
            const struct result_row *row = of_column(&c->lines[i], column);
            if (row && same_group(row, group) && row->batch > after && (!next || row->batch < next->batch))
                next = row;
        }
        if (!next)
            break;
        x[n] = next->batch;
        y[n] = next->rate.mean;
    }
    plot_line(p, series, x, y, n);
    for (int i = 0; i < c->num_lines; i++) {
        const struct result_row *row = of_column(&c->lines[i], column);
        char text[256], name[200];
        if (!row || !same_group(row, group))
            continue;
        const double width = estimate_half_width(&row->rate), w = width > 0 ? fmin(width, 0.9) : 0;
        snprintf(text, sizeof text, "%.160s, batch %d: %.4g images/s", page_column_name(c->results, column, name),
                 row->batch, row->rate.mean);
        plot_dot(p, series, row->batch, row->rate.mean, row->rate.mean * (1 - w), row->rate.mean * (1 + w), text);
    }
}

static void hold(struct plot *p, const struct result_row *row) {
    const double width = estimate_half_width(&row->rate), w = width > 0 ? fmin(width, 0.9) : 0;
    plot_axis_hold(&p->x, row->batch);
    plot_axis_hold(&p->y, row->rate.mean * (1 - w));
    plot_axis_hold(&p->y, row->rate.mean * (1 + w));
}

// Rates that are near each other are told apart better from zero on.
static void choose_scale(struct plot *p) {
    p->y.log = p->y.max > 8 * p->y.min;
    if (!p->y.log)
        p->y = (struct plot_axis){0, 1.1 * p->y.max, false, false, p->y.label, false};
}

// Peers are in the table alone: there are too many of them for a plot.
static bool is_first_of_group(const struct comparison *c, int line, bool by_network) {
    const struct result_row *row = c->lines[line].first;
    if (row->peer[0])
        return false;
    for (int i = 0; i < line; i++) {
        const struct result_row *before = c->lines[i].first;
        const bool same = by_network ? !strcmp(before->network, row->network) : same_group(before, row);
        if (same && !before->peer[0])
            return false;
    }
    return true;
}

// One machine: a plot for each network, a line for each precision and input.
static void put_machine_rates(FILE *f, const struct comparison *c, int line) {
    const struct result_row *first = c->lines[line].first;
    struct plot p = {f, 520, 320, {1, 0, true, true, "batch", false}, {1, 0, true, false, "images/s", false}};
    int series = 0;
    for (int i = 0; i < c->num_lines; i++) {
        const struct result_row *row = of_column(&c->lines[i], 0);
        if (row && !strcmp(row->network, first->network))
            hold(&p, row);
    }
    fputs("<div>", f);
    choose_scale(&p);
    plot_begin(&p, path_name(first->network));
    for (int i = 0; i < c->num_lines; i++)
        if (!strcmp(c->lines[i].first->network, first->network) && is_first_of_group(c, i, false))
            put_series(&p, c, c->lines[i].first, 0, series++);
    plot_end(&p);
    fputs("<div class=\"keys\">", f);
    series = 0;
    for (int i = 0; i < c->num_lines; i++) {
        const struct result_row *row = c->lines[i].first;
        char text[128];
        if (strcmp(row->network, first->network) != 0 || !is_first_of_group(c, i, false))
            continue;
        snprintf(text, sizeof text, "%.8s from %.8s", row->precision, row->input);
        plot_key(f, series++, text);
    }
    fputs("</div></div>\n", f);
}

// Many machines: a plot for each network, precision and input, a line for each machine.
static void put_compared_rates(FILE *f, const struct comparison *c, int line) {
    const struct result_row *group = c->lines[line].first;
    struct plot p = {f, 520, 320, {1, 0, true, true, "batch", false}, {1, 0, true, false, "images/s", false}};
    char title[256];
    for (int i = 0; i < c->num_lines; i++)
        for (int k = 0; k < c->results->num_columns; k++) {
            const struct result_row *row = of_column(&c->lines[i], k);
            if (row && same_group(row, group))
                hold(&p, row);
        }
    snprintf(title, sizeof title, "%.100s, %.8s from %.8s", path_name(group->network), group->precision, group->input);
    choose_scale(&p);
    plot_begin(&p, title);
    for (int k = 0; k < c->results->num_columns; k++)
        put_series(&p, c, group, k, k);
    plot_end(&p);
}

void page_put_rates(FILE *f, const struct comparison *c) {
    const bool alone = c->results->num_columns == 1;
    char name[200];
    fputs("<h2>Rate by batch</h2>\n", f);
    if (!alone) {
        fputs("<div class=\"keys\">", f);
        for (int k = 0; k < c->results->num_columns; k++)
            plot_key(f, k, page_column_name(c->results, k, name));
        fputs("</div>\n", f);
    }
    fputs("<div class=\"plots\">\n", f);
    for (int i = 0; i < c->num_lines; i++) {
        if (!is_first_of_group(c, i, alone))
            continue;
        if (alone)
            put_machine_rates(f, c, i);
        else
            put_compared_rates(f, c, i);
    }
    fputs("</div>\n", f);
}

// ---- layers

// Kinds of operations get a series each, those that take longest first; what is more than there are series is "other".
struct kinds {
    struct kind {
        char name[40];
        double us;
    } items[MAX_MET_KINDS];
    int count;
};

static struct kind kind_named(const json_t *layer) {
    struct kind kind = {.us = 0};
    snprintf(kind.name, sizeof kind.name, "%.39s", json_text_or(layer, "operation", "?"));
    kind.name[strcspn(kind.name, "+")] = 0;
    return kind;
}

static int kind_of(const struct kinds *k, const struct kind *kind) { // k->count: it was not met
    int i = 0;
    while (i < k->count && strcmp(k->items[i].name, kind->name) != 0)
        i++;
    return i;
}

static int by_time(const void *a, const void *b) {
    const double x = ((const struct kind *)a)->us, y = ((const struct kind *)b)->us;
    return (x < y) - (x > y);
}

static void put_kind_keys(FILE *f, const struct kinds *k) {
    fputs("<div class=\"keys\">", f);
    for (int i = 0; i < k->count; i++)
        plot_key(f, i, k->items[i].name);
    fputs("</div>\n", f);
}

static const json_t *layers_of(const struct result_row *row) {
    const json_t *layers = json_object_get(row->json, "layers");
    return row->ok && json_array_size(layers) > 0 ? layers : NULL;
}

// Of rows with layers the one that is shown: the column's largest batch of the network and precision.
static bool is_shown(const struct results *r, const struct result_row *row) {
    for (int i = 0; i < r->num_rows; i++) {
        const struct result_row *other = &r->rows[i];
        const bool rival = other->column == row->column && layers_of(other) && !strcmp(other->network, row->network) &&
                           !strcmp(other->precision, row->precision);
        if (rival && (other->batch > row->batch || (other->batch == row->batch && other < row)))
            return false;
    }
    return layers_of(row) != NULL;
}

static void add_kinds(struct kinds *k, const json_t *layers) {
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);
        const struct kind kind = kind_named(layer);
        const int at = kind_of(k, &kind);
        if (at == MAX_MET_KINDS)
            continue; // it will be one of the others
        if (at == k->count)
            k->items[k->count++] = kind;
        k->items[at].us += json_number_or(layer, "us", 0);
    }
}

// Of all rows that are shown.
static void find_kinds(struct kinds *k, const struct results *r) {
    k->count = 0;
    for (int i = 0; i < r->num_rows; i++)
        if (is_shown(r, &r->rows[i]))
            add_kinds(k, layers_of(&r->rows[i]));
    qsort(k->items, (size_t)k->count, sizeof *k->items, by_time);
    if (k->count > MAX_KINDS) {
        k->count = MAX_KINDS;
        snprintf(k->items[MAX_KINDS - 1].name, sizeof k->items[0].name, "other");
    }
}

// The series of a layer.
static int series_of(const struct kinds *k, const json_t *layer) {
    const struct kind kind = kind_named(layer);
    const int at = kind_of(k, &kind);
    return at < k->count ? at : MAX_KINDS - 1;
}

// GFLOP/s, as bench_compute_roof; 0: not known.
static double roof_of(const struct result_column *c, const struct result_row *row) {
    const json_t *peaks = json_object_get(c->device, "peaks");
    double roof = json_number_or(peaks, "fp32_gflops", 0);
    static const char *const halves[] = {"fp16_gflops", "matrix_gflops"};
    for (int i = 0; i < 2 && !strcmp(row->precision, "fp16"); i++)
        roof = fmax(roof, json_number_or(peaks, halves[i], 0));
    return roof;
}

struct layer_point {
    double intensity, gflops; // operations a byte; 1e9 operations a second
};

static struct layer_point point_of(const json_t *layer) {
    const double gflops = json_number_or(layer, "gflops", 0), gbytes = json_number_or(layer, "gbytes_per_s", 0);
    return (struct layer_point){gbytes > 0 ? gflops / gbytes : 0, gflops};
}

static void put_roofline(FILE *f, const struct results *r, const struct result_row *row, const struct kinds *kinds) {
    const struct result_column *c = &r->columns[row->column];
    const json_t *layers = layers_of(row);
    const double roof = roof_of(c, row),
                 memory = json_number_or(json_object_get(c->device, "peaks"), "memory_gbytes_per_s", 0);
    struct plot p = {
        f, 520, 340, {1, 0, true, false, "operations a byte", false}, {1, 0, true, false, "GFLOP/s", false}};
    char title[256];
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const struct layer_point point = point_of(json_array_get(layers, i));
        plot_axis_hold(&p.x, point.intensity);
        plot_axis_hold(&p.y, point.intensity > 0 ? point.gflops : 0);
    }
    plot_axis_hold(&p.y, roof);
    snprintf(title, sizeof title, "%s%s%.60s, batch %d, %.8s", r->num_columns > 1 ? c->label : "",
             r->num_columns > 1 ? ": " : "", path_name(row->network), row->batch, row->precision);
    plot_begin(&p, title);
    if (roof > 0 && memory > 0) {
        const double ridge = fmin(fmax(roof / memory, p.x.min), p.x.max);
        const double from = fmax(p.x.min, p.y.min / memory);
        if (ridge > from)
            plot_segment(&p, "roof", from, fmin(memory * from, roof), ridge, fmin(memory * ridge, roof));
        if (memory * p.x.max > roof)
            plot_segment(&p, "roof", ridge, roof, p.x.max, roof);
    }
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);
        const struct layer_point point = point_of(layer);
        char text[320];
        if (point.intensity <= 0 || point.gflops <= 0)
            continue;
        snprintf(text, sizeof text, "%.60s, %.30s: %.4g us, %.4g GFLOP/s, %.4g GB/s; %.120s",
                 json_text_or(layer, "layer", "?"), json_text_or(layer, "operation", "?"),
                 json_number_or(layer, "us", 0), point.gflops, json_number_or(layer, "gbytes_per_s", 0),
                 json_text_or(layer, "kernel", ""));
        plot_dot(&p, series_of(kinds, layer), point.intensity, point.gflops, 0, 0, text);
    }
    plot_end(&p);
}

void page_put_rooflines(FILE *f, const struct results *r) {
    struct kinds kinds;
    bool any = false;
    find_kinds(&kinds, r);
    for (int i = 0; i < r->num_rows; i++) {
        if (!is_shown(r, &r->rows[i]))
            continue;
        if (!any)
            fputs("<h2>Roofline</h2>\n<p class=\"soft\">Every layer: how much it computes for a byte "
                  "that it must move, and "
                  "how fast. Dashed: what small shaders reach on the device, by memory and by arithmetic. Names appear "
                  "where the pointer rests.</p>\n<div class=\"plots\">\n",
                  f);
        any = true;
        put_roofline(f, r, &r->rows[i], &kinds);
    }
    if (any) {
        fputs("</div>\n", f);
        put_kind_keys(f, &kinds);
    }
}

static void put_kind_bar(FILE *f, const struct results *r, const struct result_row *row, const struct kinds *kinds,
                         double most) {
    const json_t *layers = layers_of(row);
    struct plot_part parts[MAX_KINDS] = {0};
    char texts[MAX_KINDS][96], name[200];
    double total = 0;
    for (int i = 0; i < MAX_KINDS; i++)
        parts[i].series = i;
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const double us = json_number_or(json_array_get(layers, i), "us", 0);
        parts[series_of(kinds, json_array_get(layers, i))].value += us;
        total += us;
    }
    for (int i = 0; i < MAX_KINDS; i++) {
        snprintf(texts[i], sizeof texts[i], "%.39s: %.4g ms, %.1f %%", i < kinds->count ? kinds->items[i].name : "",
                 parts[i].value / 1e3, total > 0 ? 100 * parts[i].value / total : 0);
        parts[i].text = texts[i];
    }
    fputs("<tr><td>", f);
    if (r->num_columns > 1) {
        page_text(f, page_column_name(r, row->column, name));
        fputs("</td><td>", f);
    }
    page_text(f, path_name(row->network));
    fprintf(f, "</td><td class=\"n\">%d</td><td>", row->batch);
    page_text(f, row->precision);
    fputs("</td><td>", f);
    plot_stack(f, parts, kinds->count, r->num_columns > 1 ? total : most, 480); // machines are told apart by shares
    fprintf(f, "</td><td class=\"n\">%.4g ms</td></tr>\n", total / 1e3 / row->batch);
}

static double layers_us(const struct result_row *row) { // of an image
    double total = 0;
    const json_t *layers = layers_of(row);
    for (size_t i = 0; i < json_array_size(layers); i++)
        total += json_number_or(json_array_get(layers, i), "us", 0);
    return total / row->batch;
}

void page_put_kinds(FILE *f, const struct results *r) {
    struct kinds kinds;
    bool any = false;
    double most = 0;
    find_kinds(&kinds, r);
    for (int i = 0; i < r->num_rows; i++)
        most = fmax(most, is_shown(r, &r->rows[i]) ? layers_us(&r->rows[i]) : 0);
    for (int i = 0; i < r->num_rows; i++) {
        if (!is_shown(r, &r->rows[i]))
            continue;
        if (!any)
            fprintf(f,
                    "<h2>Layers by kind</h2>\n<p class=\"soft\">The device's time of an image, by kind "
                    "of layer; layers kept "
                    "apart.</p>\n<div class=\"scroll\"><table><tr>%s<th>network</th><th class=\"n\">batch</th>"
                    "<th>precision</th><th></th><th class=\"n\">an image</th></tr>\n",
                    r->num_columns > 1 ? "<th>machine</th>" : "");
        any = true;
        put_kind_bar(f, r, &r->rows[i], &kinds, most * r->rows[i].batch);
    }
    if (any) {
        fputs("</table></div>\n", f);
        put_kind_keys(f, &kinds);
    }
}

// ---- starts

static const char *const start_parts[] = {"process", "device", "model", "session", "first run"};

static void put_start(FILE *f, const struct results *r, const struct result_row *row, const char *what, double most) {
    static const char *const fields[] = {NULL, "device_ms", "model_ms", "session_ms", "first_run_ms"};
    const json_t *start = json_object_get(row->json, what);
    const double total = json_number_or(start, "total_ms", 0);
    struct plot_part parts[5];
    char texts[5][64], name[200];
    double rest = total;
    for (int i = 1; i < 5; i++)
        rest -= json_number_or(start, fields[i], 0);
    for (int i = 0; i < 5; i++) {
        const double ms = i ? json_number_or(start, fields[i], 0) : fmax(rest, 0);
        snprintf(texts[i], sizeof texts[i], "%s: %.0f ms", start_parts[i], ms);
        parts[i] = (struct plot_part){ms, i, texts[i]};
    }
    fputs("<tr><td>", f);
    if (r->num_columns > 1) {
        page_text(f, page_column_name(r, row->column, name));
        fputs("</td><td>", f);
    }
    page_text(f, path_name(row->network));
    fprintf(f, "</td><td>%s</td><td>", !strcmp(what, "cold_start") ? "no caches" : "caches there");
    plot_stack(f, parts, 5, most, 480);
    fprintf(f, "</td><td class=\"n\">%.0f ms</td></tr>\n", total);
}

void page_put_starts(FILE *f, const struct results *r) {
    static const char *const kinds[] = {"cold_start", "warm_start"};
    double most = 0;
    for (int i = 0; i < 2 * r->num_rows; i++)
        most = fmax(most, json_number_or(json_object_get(r->rows[i / 2].json, kinds[i % 2]), "total_ms", 0));
    if (most <= 0)
        return;
    fprintf(
        f,
        "<h2>From nothing to a first result</h2>\n<div class=\"scroll\"><table><tr>%s<th>network</th><th></th><th></th>"
        "<th class=\"n\">in all</th></tr>\n",
        r->num_columns > 1 ? "<th>machine</th>" : "");
    for (int i = 0; i < 2 * r->num_rows; i++)
        if (json_number_or(json_object_get(r->rows[i / 2].json, kinds[i % 2]), "total_ms", 0) > 0)
            put_start(f, r, &r->rows[i / 2], kinds[i % 2], most);
    fputs("</table></div>\n<div class=\"keys\">", f);
    for (int i = 0; i < 5; i++)
        plot_key(f, i, start_parts[i]);
    fputs("</div>\n", f);
}

// ---- the sustained run

// One value of a sustained run's samples over time; nothing where none has it.
static void put_course(FILE *f, const json_t *samples, const char *field, const char *label, double scale, int series) {
    enum { MAX_SAMPLES = 8192 };
    const size_t count = json_array_size(samples) < MAX_SAMPLES ? json_array_size(samples) : MAX_SAMPLES;
    double *x = malloc((count + 1) * sizeof *x), *y = malloc((count + 1) * sizeof *y);
    struct plot p = {f, 520, 240, {0, -1, false, false, "seconds", false}, {0, -1, false, false, label, false}};
    int n = 0;
    for (size_t i = 0; x && y && i < count; i++) {
        const json_t *sample = json_array_get(samples, i);
        const double value = json_number_or(sample, field, -1);
        if (value < 0)
            continue;
        x[n] = json_number_or(sample, "seconds", 0);
        y[n++] = value * scale;
    }
    if (n > 1) {
        plot_axis_hold(&p.x, 0);
        plot_axis_hold(&p.y, 0);
        for (int i = 0; i < n; i++) {
            plot_axis_hold(&p.x, x[i]);
            plot_axis_hold(&p.y, y[i] * 1.05);
        }
        plot_begin(&p, label);
        plot_line(&p, series, x, y, n);
        plot_end(&p);
    }
    free(x);
    free(y);
}

static void put_sustained(FILE *f, const struct results *r, const struct result_column *c, const json_t *s) {
    const json_t *samples = json_object_get(s, "samples"), *interval = json_object_get(s, "interval");
    const int column = (int)(c - r->columns);
    const bool throttled = json_is_true(json_object_get(s, "throttled"));
    char name[200];
    fputs("<p>", f);
    if (r->num_columns > 1) {
        page_text(f, page_column_name(r, column, name));
        fputs(": ", f);
    }
    page_text(f, path_name(json_text_or(s, "network", "?")));
    fprintf(f, ", batch %.0f, ", json_number_or(s, "batch", 0));
    page_text(f, json_text_or(s, "precision", ""));
    fprintf(f, ", for %.0f s: %.4g images/s at first, %.4g at last", json_number_or(s, "asked_seconds", 0),
            json_number_or(s, "first_images_per_s", 0), json_number_or(s, "last_images_per_s", 0));
    if (json_is_array(interval))
        fprintf(f, ", %.3f to %.3f of it", json_number_value(json_array_get(interval, 0)),
                json_number_value(json_array_get(interval, 1)));
    fprintf(f, ". <span class=\"%s\">%s</span></p>\n<div class=\"plots\">\n", throttled ? "bad" : "good",
            throttled ? "It throttles." : "No throttling is seen.");
    const int series = r->num_columns > 1 ? column : 0;
    put_course(f, samples, "images_per_s", "images/s", 1, series);
    put_course(f, samples, "clock_mhz", "clock, MHz", 1, series);
    put_course(f, samples, "power_watts", "power, W", 1, series);
    put_course(f, samples, "temperature_c",
               "temperature, \xC2\xB0"
               "C",
               1, series);
    put_course(f, samples, "memory_used_bytes", "memory in use, GB", 1e-9, series);
    fputs("</div>\n", f);
}

void page_put_sustained(FILE *f, const struct results *r) {
    bool any = false;
    for (int k = 0; k < r->num_columns; k++) {
        const struct result_column *c = &r->columns[k];
        const json_t *all = json_object_get(c->root, "sustained");
        int index = 0; // of the column's device in its document
        while (k - index > 0 && r->columns[k - index - 1].root == c->root)
            index++;
        for (size_t i = 0; i < json_array_size(all); i++) {
            const json_t *s = json_array_get(all, i);
            if (json_number_or(s, "device_index", 0) != (double)index ||
                json_array_size(json_object_get(s, "samples")) == 0)
                continue;
            fputs(any ? "" : "<h2>Sustained</h2>\n", f);
            any = true;
            put_sustained(f, r, c, s);
        }
    }
}
