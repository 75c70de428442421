// compare.c - cardinal compare; and results as text, Markdown, CSV and JSON.
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/results.h"
#include "commands/output.h"
#include "commands/report.h"
#include "system/text.h"

// "12.3 +- 0.5 %"
static const char *rate_text(const struct result_row *row, char out[64]) {
    const double width = row ? estimate_half_width(&row->rate) : -1;
    const int digits = row && row->rate.mean < 10 ? 3 : 1;
    if (!row)
        snprintf(out, 64, "-");
    else if (!row->ok)
        snprintf(out, 64, "%.20s", row->status);
    else if (width >= 0)
        snprintf(out, 64, "%.*f +- %.1f %%", digits, row->rate.mean, 100 * width);
    else
        snprintf(out, 64, "%.*f", digits, row->rate.mean);
    out[strcspn(out, ":")] = 0; // "failed"
    return out;
}

// "1.05 (1.01 to 1.09) faster"
static const char *ratio_text(const struct ratio *r, char out[64]) {
    const enum verdict verdict = ratio_verdict(r);
    if (verdict == VERDICT_NONE)
        snprintf(out, 64, "-");
    else if (verdict == VERDICT_UNSURE)
        snprintf(out, 64, "%.3f", r->value);
    else
        snprintf(out, 64, "%.3f (%.3f to %.3f) %s", r->value, r->low, r->high, verdict_names[verdict]);
    return out;
}

static const char *score_text(const struct result_column *c, char out[64]) {
    const double width = estimate_half_width(&c->score);
    if (c->score.mean <= 0)
        snprintf(out, 64, "none");
    else if (width >= 0)
        snprintf(out, 64, "%.2f +- %.1f %% (%.24s)", c->score.mean, 100 * width, c->suite);
    else
        snprintf(out, 64, "%.2f (%.24s)", c->score.mean, c->suite);
    return out;
}

// ---- Markdown, and the same as text for a terminal

struct table {
    FILE *file;
    bool markdown;
};

static void put_heading(const struct table *t, const char *text) {
    fprintf(t->file, t->markdown ? "\n## %s\n\n" : "\n%s\n", text);
}

static void put_cell(const struct table *t, const char *text, int width, bool first) {
    if (!t->markdown) {
        fprintf(t->file, "%s%-*s", first ? "  " : " ", width, text);
        return;
    }
    fputs(first ? "| " : " ", t->file);
    for (const char *c = text; *c; c++) {
        if (*c == '|')
            fputc('\\', t->file);
        fputc((unsigned char)*c < ' ' ? ' ' : *c, t->file);
    }
    fputs(" |", t->file);
}

static void end_line(const struct table *t, int columns, bool heading) {
    fputc('\n', t->file);
    for (int i = 0; t->markdown && heading && i < columns; i++)
        fputs(i ? "---|" : "|---|", t->file);
    if (t->markdown && heading)
        fputc('\n', t->file);
}

static void put_columns(const struct table *t, const struct comparison *c) {
    const struct results *r = c->results;
    static const char *const heads[] = {"", "device", "driver", "score", "over A", "file"};
    static const int widths[] = {2, 36, 40, 28, 38, 0};
    for (int i = 0; i < 6; i++)
        put_cell(t, heads[i], widths[i], i == 0);
    end_line(t, 6, true);
    for (int k = 0; k < r->num_columns; k++) {
        char buffer[64], ratio[64], clean[600];
        const struct result_column *column = &r->columns[k];
        escape_controls(clean, sizeof clean, json_text_or(column->device, "device", "not recorded"));
        put_cell(t, column->label, widths[0], true);
        put_cell(t, clean, widths[1], false);
        escape_controls(clean, sizeof clean, json_text_or(column->device, "driver", "not recorded"));
        put_cell(t, clean, widths[2], false);
        put_cell(t, score_text(column, buffer), widths[3], false);
        put_cell(t, ratio_text(&c->scores[k], ratio), widths[4], false);
        escape_controls(clean, sizeof clean, column->file);
        put_cell(t, clean, widths[5], false);
        end_line(t, 6, false);
    }
}

static void put_rates(const struct table *t, const struct comparison *c) {
    const struct results *r = c->results;
    static const char *const heads[] = {"network", "batch", "prec", "input", "peer"};
    int widths[] = {20, 5, 5, 6, 4};
    for (int i = 0; i < c->num_lines; i++) {
        const int length = (int)strlen(c->lines[i].first->peer);
        widths[4] = length > widths[4] ? length : widths[4];
    }
    for (int i = 0; i < 5; i++)
        put_cell(t, heads[i], widths[i], i == 0);
    for (int k = 0; k < r->num_columns; k++) {
        char head[200];
        snprintf(head, sizeof head, "%s images/s", r->columns[k].label);
        put_cell(t, head, 20, false);
        snprintf(head, sizeof head, "%s/A", r->columns[k].label);
        if (k > 0)
            put_cell(t, head, 32, false);
    }
    end_line(t, 5 + 2 * r->num_columns - 1, true);
    for (int i = 0; i < c->num_lines; i++) {
        const struct result_line *line = &c->lines[i];
        char text[64], clean[600];
        escape_controls(clean, sizeof clean, path_name(line->first->network));
        put_cell(t, clean, widths[0], true);
        snprintf(text, sizeof text, "%d", line->first->batch);
        put_cell(t, text, widths[1], false);
        put_cell(t, line->first->precision, widths[2], false);
        put_cell(t, line->first->input, widths[3], false);
        escape_controls(clean, sizeof clean, line->first->peer);
        put_cell(t, clean, widths[4], false);
        for (int k = 0; k < r->num_columns; k++) {
            char marked[80];
            const bool best = r->num_columns > 1 && line->best == k;
            snprintf(marked, sizeof marked,
                     best && t->markdown ? "**%s**"
                     : best              ? "%s *"
                                         : "%s",
                     rate_text(line->rows[k], text));
            put_cell(t, marked, 20, false);
            if (k > 0)
                put_cell(t, ratio_text(&line->ratios[k], text), 32, false);
        }
        end_line(t, 0, false);
    }
}

static void put_environment(const struct table *t, const struct results *r, bool differing) {
    put_cell(t, "", 18, true);
    for (int k = 0; k < r->num_columns; k++)
        put_cell(t, r->columns[k].label, 36, false);
    end_line(t, 1 + r->num_columns, true);
    const char *field;
    for (int i = 0; (field = environment_field(i)); i++) {
        if (differing && !environment_differs(r, field))
            continue;
        put_cell(t, field, 18, true);
        for (int k = 0; k < r->num_columns; k++) {
            char buffer[64], clean[600];
            escape_controls(clean, sizeof clean, environment_value(&r->columns[k], field, buffer));
            put_cell(t, clean, 36, false);
        }
        end_line(t, 0, false);
    }
}

// What the rows' figures are to be read with.
static void put_flags(const struct table *t, const struct results *r) {
    bool any = false;
    for (int i = 0; i < r->num_rows; i++) {
        const struct result_row *row = &r->rows[i];
        const json_t *flags = json_object_get(row->json, "flags");
        for (size_t f = 0; f <= json_array_size(flags); f++) {
            const char *flag = f < json_array_size(flags) ? json_string_value(json_array_get(flags, f))
                               : row->ok                  ? NULL
                                                          : row->status;
            char clean[1024];
            if (!flag)
                continue;
            if (!any)
                put_heading(t, "Notes");
            any = true;
            escape_controls(clean, sizeof clean, flag);
            fprintf(t->file, "%s%s: %s, batch %d, %s, %s: %s\n", t->markdown ? "* " : "  ",
                    r->columns[row->column].label, path_name(row->network), row->batch, row->precision, row->input,
                    clean);
        }
    }
}

static void print_tables(FILE *file, const struct comparison *c, bool markdown) {
    const struct table t = {file, markdown};
    const struct results *r = c->results;
    if (markdown)
        fprintf(file, "# Cardinal's benchmark\n\n");
    put_columns(&t, c);
    put_heading(&t, "Rates");
    put_rates(&t, c);
    if (r->num_columns > 1)
        fprintf(file,
                "\n%s: the highest of a row. A ratio's interval is of %.2f %%, so that all hold together with 95 "
                "%%; same: 1 lies in it.\n",
                markdown ? "Bold" : "*", 100 * c->level);
    put_flags(&t, r);
    put_heading(&t, r->num_columns > 1 ? "What differs" : "Environment");
    put_environment(&t, r, r->num_columns > 1);
}

// ---- CSV and JSON

static void put_csv_number(FILE *file, double value, bool known) {
    if (known)
        fprintf(file, ",%.9g", value);
    else
        fputc(',', file);
}

static void print_csv(FILE *file, const struct comparison *c) {
    static const char *const numbers[] = {"device_images_per_s", "p50_ms",        "p90_ms",      "p99_ms", "gpu_ms",
                                          "clock_mhz",           "clock_percent", "device_bytes"};
    const size_t num_numbers = sizeof numbers / sizeof *numbers;
    fputs("file,device,network,batch,precision,input,height,width,peer,status,images_per_s,half_width_percent", file);
    for (size_t i = 0; i < num_numbers; i++)
        fprintf(file, ",%s", numbers[i]);
    fputs(",ratio,ratio_low,ratio_high,verdict\n", file);
    for (int i = 0; i < c->num_lines; i++)
        for (int k = 0; k < c->results->num_columns; k++) {
            const struct result_row *row = c->lines[i].rows[k];
            const struct ratio *ratio = &c->lines[i].ratios[k];
            const struct result_column *column = &c->results->columns[k];
            if (!row)
                continue;
            const char *const texts[] = {column->file, json_text_or(column->device, "device", ""), row->network};
            for (int n = 0; n < 3; n++) {
                output_csv_field(file, texts[n]);
                fputc(',', file);
            }
            fprintf(file, "%d,%s,%s,%d,%d,", row->batch, row->precision, row->input, row->height, row->width);
            output_csv_field(file, row->peer);
            fputc(',', file);
            output_csv_field(file, row->status);
            const double width = estimate_half_width(&row->rate);
            put_csv_number(file, row->rate.mean, row->ok);
            put_csv_number(file, 100 * width, row->ok && width >= 0);
            for (size_t n = 0; n < num_numbers; n++)
                put_csv_number(file, json_number_or(row->json, numbers[n], 0),
                               json_number_or(row->json, numbers[n], -1) >= 0);
            put_csv_number(file, ratio->value, ratio->value > 0);
            put_csv_number(file, ratio->low, ratio->known);
            put_csv_number(file, ratio->high, ratio->known);
            fprintf(file, ",%s\n", verdict_names[ratio_verdict(ratio)]);
        }
}

static json_t *ratio_json(const struct ratio *r) {
    json_t *o = json_object();
    json_object_set_new(o, "ratio", bench_known_json(r->value, r->value > 0));
    json_object_set_new(o, "interval", r->known ? json_pack("[f, f]", r->low, r->high) : json_text("not available"));
    json_object_set_new(o, "verdict", json_text(verdict_names[ratio_verdict(r)]));
    return o;
}

static void print_json(FILE *file, const struct comparison *c) {
    json_t *columns = json_array(), *lines = json_array();
    for (int k = 0; k < c->results->num_columns; k++) {
        const struct result_column *column = &c->results->columns[k];
        json_t *o = ratio_json(&c->scores[k]);
        json_object_set_new(o, "file", json_text(column->file));
        json_object_set_new(o, "device", json_text(json_text_or(column->device, "device", "not recorded")));
        json_object_set_new(o, "suite", json_text(column->suite));
        json_object_set_new(o, "score", bench_known_json(column->score.mean, column->score.mean > 0));
        json_array_append_new(columns, o);
    }
    for (int i = 0; i < c->num_lines; i++) {
        const struct result_row *first = c->lines[i].first;
        json_t *cells = json_array();
        for (int k = 0; k < c->results->num_columns; k++) {
            const struct result_row *row = c->lines[i].rows[k];
            json_t *cell = row ? ratio_json(&c->lines[i].ratios[k]) : json_null();
            if (row) {
                json_object_set_new(cell, "status", json_text(row->status));
                json_object_set_new(cell, "images_per_s", bench_known_json(row->rate.mean, row->ok));
            }
            json_array_append_new(cells, cell);
        }
        json_array_append_new(lines, json_pack("{s:o, s:i, s:o, s:o, s:o, s:i, s:o}", "network",
                                               json_text(first->network), "batch", first->batch, "precision",
                                               json_text(first->precision), "input", json_text(first->input), "peer",
                                               json_text(first->peer), "best", c->lines[i].best, "columns", cells));
    }
    json_line(file, json_pack("{s:f, s:o, s:o}", "level", c->level, "columns", columns, "rows", lines));
}

bool results_print(FILE *file, const struct results *r, enum output_format format) {
    struct comparison c;
    const bool ok = comparison_make(&c, r);
    if (ok)
        switch (format) {
        case FORMAT_TEXT: print_tables(file, &c, false); break;
        case FORMAT_MARKDOWN: print_tables(file, &c, true); break;
        case FORMAT_CSV: print_csv(file, &c); break;
        case FORMAT_JSON: print_json(file, &c); break;
        case FORMAT_HTML: results_print_html(file, &c); break;
        }
    comparison_free(&c);
    return ok;
}

// ---- the command

// Rows of the last column that are slower than they may be, missing or failed, each with its line on stderr.
static int count_failures(const struct comparison *c, double below) {
    const int last = c->results->num_columns - 1;
    int failures = 0;
    for (int i = 0; i < c->num_lines; i++) {
        const struct result_line *line = &c->lines[i];
        const struct result_row *base = line->rows[0], *now = line->rows[last];
        const struct ratio *r = &line->ratios[last];
        char text[64];
        if (!base || !base->ok || base->peer[0])
            continue;
        const bool gone = !now || !now->ok, slow = !gone && r->value < below;
        const bool counts = gone || (slow && (!r->known || r->high < 1));
        failures += counts;
        if (gone || slow)
            complain("%s%s, batch %d, %s, %s: %s", counts ? "" : "warning: ", path_name(base->network), base->batch,
                     base->precision, base->input,
                     !now   ? "is missing"
                     : gone ? now->status
                            : ratio_text(r, text));
    }
    return failures;
}

int command_compare(const struct options *options) {
    struct results results = {0};
    struct comparison c;
    bool ok = true;
    int failures = 0;
    if (options->num_inputs == 0) {
        complain("compare needs files that cardinal bench -f json wrote, or folders of them");
        return EXIT_USAGE;
    }
    for (int i = 0; ok && i < options->num_inputs; i++)
        ok = results_read(&results, options->inputs[i]);
    if (ok && options->fail_below > 0 && results.num_columns < 2) {
        complain("--fail-below compares the last file with the first, and there is one alone");
        ok = false;
    }
    ok = ok && results_print(stdout, &results, options->format);
    if (ok && options->fail_below > 0 && comparison_make(&c, &results)) {
        failures = count_failures(&c, options->fail_below);
        comparison_free(&c);
    }
    results_free(&results);
    return !ok ? EXIT_USAGE : failures ? EXIT_SOME_FAILED : EXIT_ALL_DONE;
}
