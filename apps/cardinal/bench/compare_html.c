// compare_html.c - results of one machine or of many as a page: head, rates, environment; page_plots.c has the plots.
#include "bench/page_plots.h"

#include <string.h>

#include "bench/bench.h"
#include "html/page.h"
#include "html/plot.h"
#include "system/text.h"

static const char style[] =
    ".best{font-weight:600}.scroll{overflow-x:auto}td.head{color:var(--soft)}tr.differs td{"
    "color:var(--text)}tr.differs td.head::after{content:' \\2260'}ul{margin:6px 0;padding-left:20px}"
    "h3{font-size:15px;margin:18px 0 6px}.file{overflow-wrap:anywhere}\n";

const char *page_column_name(const struct results *r, int column, char out[200]) {
    const char *device = json_text_or(r->columns[column].device, "device", "a device");
    if (r->num_columns == 1)
        snprintf(out, 200, "%s", device);
    else
        snprintf(out, 200, "%s: %s", r->columns[column].label, device);
    return out;
}

// ---- head

static void put_figure(FILE *f, const char *value, const char *what) {
    fputs("<div><b>", f);
    page_text(f, value);
    fputs("</b>", f);
    page_text(f, what);
    fputs("</div>", f);
}

// The row of the column that is highest by rate, or lowest by p50.
static const struct result_row *best_row(const struct results *r, int column, bool latency) {
    const struct result_row *best = NULL;
    for (int i = 0; i < r->num_rows; i++) {
        const struct result_row *row = &r->rows[i];
        if (row->column != column || !row->ok || row->peer[0])
            continue;
        const double mine = json_number_or(row->json, "p50_ms", 1e30);
        if (!best || (latency ? mine < json_number_or(best->json, "p50_ms", 1e30) : row->rate.mean > best->rate.mean))
            best = row;
    }
    return best;
}

static void put_machine(FILE *f, const struct results *r) {
    const struct result_column *c = &r->columns[0];
    char value[64], what[256];
    const struct result_row *fast = best_row(r, 0, false), *quick = best_row(r, 0, true);
    fputs("<div class=\"figures\">", f);
    if (c->score.mean > 0) {
        const double width = estimate_half_width(&c->score);
        snprintf(value, sizeof value, c->score.mean < 100 ? "%.2f" : "%.0f", c->score.mean);
        snprintf(what, sizeof what, "score of %.40s, version %d", c->suite, c->suite_version);
        if (width >= 0)
            snprintf(what + strlen(what), sizeof what - strlen(what), ", \xC2\xB1 %.1f %%", 100 * width);
        put_figure(f, value, what);
    } else if (strcmp(c->suite, "none") != 0) {
        put_figure(f, "no score", json_text_or(json_object_get(c->device, "score"), "reason", ""));
    }
    if (fast) {
        snprintf(value, sizeof value, "%.*f", fast->rate.mean < 100 ? 1 : 0, fast->rate.mean);
        snprintf(what, sizeof what, "images/s, %.60s, batch %d, %.8s", path_name(fast->network), fast->batch,
                 fast->precision);
        put_figure(f, value, what);
    }
    if (quick) {
        snprintf(value, sizeof value, "%.2f ms", json_number_or(quick->json, "p50_ms", 0));
        snprintf(what, sizeof what, "from input to result, %.60s, batch %d, %.8s", path_name(quick->network),
                 quick->batch, quick->precision);
        put_figure(f, value, what);
    }
    fputs("</div>\n", f);
}

static void put_scores(FILE *f, const struct comparison *c) {
    const struct results *r = c->results;
    double most = 0;
    for (int k = 0; k < r->num_columns; k++)
        most = r->columns[k].score.mean > most ? r->columns[k].score.mean : most;
    fputs("<div class=\"scroll\"><table><tr><th></th><th>device</th><th>driver</th><th>suite</th><th class=\"n\">score"
          "</th><th></th><th>over A</th><th>file</th></tr>\n",
          f);
    for (int k = 0; k < r->num_columns; k++) {
        const struct result_column *column = &r->columns[k];
        fprintf(f,
                "<tr><td><span class=\"keys\" style=\"margin:0\"><span><i class=\"f%d\"></i>%s</span></span></td><td>",
                k % PLOT_SERIES, column->label);
        page_text(f, json_text_or(column->device, "device", "not recorded"));
        fputs("</td><td>", f);
        page_text(f, json_text_or(column->device, "driver", "not recorded"));
        fputs("</td><td>", f);
        page_text(f, column->suite);
        if (column->score.mean > 0)
            fprintf(f, "</td><td class=\"n\">%.2f</td><td>", column->score.mean);
        else
            fputs("</td><td class=\"n soft\">none</td><td>", f);
        const struct plot_part part = {column->score.mean, k, column->suite};
        plot_stack(f, &part, 1, most, 160);
        fputs("</td><td>", f);
        if (c->scores[k].known)
            fprintf(f, "%.3f (%.3f&#8211;%.3f)", c->scores[k].value, c->scores[k].low, c->scores[k].high);
        fputs("</td><td class=\"file soft\">", f);
        page_text(f, path_name(column->file));
        fputs("</td></tr>\n", f);
    }
    fputs("</table></div>\n", f);
}

static void put_head(FILE *f, const struct comparison *c) {
    const struct results *r = c->results;
    const struct result_column *first = &r->columns[0];
    char title[256];
    if (r->num_columns == 1)
        snprintf(title, sizeof title, "%.200s", json_text_or(first->device, "device", "a device"));
    else
        snprintf(title, sizeof title, "%d machines compared", r->num_columns);
    char whole[300];
    snprintf(whole, sizeof whole, "%s \xE2\x80\x93 Cardinal's benchmark", title);
    page_begin(f, whole, (const char *const[]){plot_style, style, NULL});
    fputs("<h1>", f);
    page_text(f, title);
    fputs("</h1>\n<p class=\"soft\">", f);
    if (r->num_columns == 1) {
        page_text(f, json_text_or(first->device, "driver", "driver not recorded"));
        fputs(" &#183; Cardinal ", f);
        page_text(f, json_text_or(json_object_get(first->root, "environment"), "version", "?"));
        fputs(", ", f);
        page_text(f, json_text_or(json_object_get(first->root, "environment"), "commit", "?"));
    } else {
        fputs("Cardinal's benchmark; every ratio is over the first machine's rate, with its interval.", f);
    }
    fputs("</p>\n", f);
    for (int k = 0; k < r->num_columns; k++)
        if (r->columns[k].converted) {
            fputs("<p class=\"soft\">", f);
            page_text(f, path_name(r->columns[k].file));
            fputs(" has the form of Cardinal 0.1: no intervals, and nothing says which weights it ran.</p>\n", f);
        }
    if (r->num_columns == 1)
        put_machine(f, r);
    else
        put_scores(f, c);
}

// ---- rates

static void put_rate(FILE *f, const struct result_row *row, bool best) {
    const double width = row ? estimate_half_width(&row->rate) : -1;
    if (!row) {
        fputs("<td class=\"n soft\">&#8211;</td>", f);
        return;
    }
    if (!row->ok) {
        fputs("<td class=\"n bad\" title=\"", f);
        page_text(f, row->status);
        fprintf(f, "\">%s</td>", !strcmp(row->status, "unsupported") ? "unsupported" : "failed");
        return;
    }
    fprintf(f, "<td class=\"n%s\">%.*f", best ? " best" : "", row->rate.mean < 100 ? 2 : 0, row->rate.mean);
    if (width >= 0)
        fprintf(f, " <span class=\"soft\">&#177; %.1f %%</span>", 100 * width);
    fputs("</td>", f);
}

static void put_ratio(FILE *f, const struct ratio *r) {
    static const char *const classes[] = {"soft", "soft", "good", "bad", ""};
    const enum verdict verdict = ratio_verdict(r);
    if (verdict == VERDICT_NONE)
        fputs("<td></td>", f);
    else if (verdict == VERDICT_UNSURE)
        fprintf(f, "<td class=\"n\">%.*f</td>", r->value < 0.1 ? 5 : 3, r->value);
    else
        fprintf(f, "<td class=\"n %s\" title=\"%.3f to %.3f\">%.3f %s</td>", classes[verdict], r->low, r->high,
                r->value, verdict_names[verdict]);
}

static void put_number(FILE *f, const json_t *row, const char *name) {
    const double value = json_number_or(row, name, -1);
    if (value >= 0)
        fprintf(f, "<td class=\"n\">%.*f</td>", value < 100 ? 2 : 0, value);
    else
        fputs("<td class=\"n soft\">&#8211;</td>", f);
}

static void put_table(FILE *f, const struct comparison *c) {
    const struct results *r = c->results;
    const bool alone = r->num_columns == 1;
    fputs("<h2>Rates</h2>\n<p class=\"soft\">Images a second with two runs in flight, and half of the 95 % interval.",
          f);
    if (!alone)
        fprintf(
            f,
            " A ratio's interval is of %.2f %%, so that all hold together with 95 %%; same: 1 lies in it. Bold: the "
            "highest of a row.",
            100 * c->level);
    fputs("</p>\n<div class=\"scroll\"><table><tr><th>network</th><th "
          "class=\"n\">batch</th><th>precision</th><th>input</th>",
          f);
    for (int k = 0; k < r->num_columns; k++) {
        fprintf(f, "<th class=\"n\">%s%simages/s</th>", alone ? "" : r->columns[k].label, alone ? "" : " ");
        if (k > 0)
            fprintf(f, "<th class=\"n\">%s/A</th>", r->columns[k].label);
    }
    fputs(alone ? "<th class=\"n\">p50 ms</th><th class=\"n\">p99 ms</th><th class=\"n\">device "
                  "ms</th><th class=\"n\">clock "
                  "%</th></tr>\n"
                : "</tr>\n",
          f);
    for (int i = 0; i < c->num_lines; i++) {
        const struct result_line *line = &c->lines[i];
        fputs("<tr><td>", f);
        page_text(f, path_name(line->first->network));
        if (line->first->peer[0]) {
            fputs(" <span class=\"soft\">by ", f);
            page_text(f, line->first->peer);
            fputs("</span>", f);
        }
        fprintf(f, "</td><td class=\"n\">%d</td><td>", line->first->batch);
        page_text(f, line->first->precision);
        fputs("</td><td>", f);
        page_text(f, line->first->input);
        fputs("</td>", f);
        for (int k = 0; k < r->num_columns; k++) {
            put_rate(f, line->rows[k], !alone && line->best == k);
            if (k > 0)
                put_ratio(f, &line->ratios[k]);
        }
        static const char *const numbers[] = {"p50_ms", "p99_ms", "gpu_ms", "clock_percent"};
        for (int n = 0; alone && n < 4; n++)
            put_number(f, line->first->json, numbers[n]);
        fputs("</tr>\n", f);
    }
    fputs("</table></div>\n", f);
}

// Rows that failed, and what is to be known of others; flags that many rows have are told once, with their number.
static void put_notes(FILE *f, const struct results *r) {
    bool any = false;
    for (int i = 0; i < r->num_rows; i++) {
        const struct result_row *row = &r->rows[i];
        const json_t *flags = json_object_get(row->json, "flags");
        const size_t count = json_array_size(flags);
        if (row->ok && !count)
            continue;
        fputs(any ? "" : "<h3>To be known</h3>\n<ul class=\"soft\">\n", f);
        any = true;
        char name[200];
        fputs("<li>", f);
        if (r->num_columns > 1) {
            page_text(f, page_column_name(r, row->column, name));
            fputs(", ", f);
        }
        page_text(f, path_name(row->network));
        fprintf(f, ", batch %d, ", row->batch);
        page_text(f, row->precision);
        fputs(", ", f);
        page_text(f, row->input);
        fputs(": ", f);
        if (!row->ok) {
            fputs("<span class=\"bad\">", f);
            page_text(f, row->status);
            fputs("</span> ", f);
            page_text(f, !strcmp(row->status, "unsupported") ? json_text_or(row->json, "reason", "") : "");
        }
        for (size_t n = 0; n < count; n++) {
            fputs(n ? "; " : "", f);
            page_text(f, json_is_string(json_array_get(flags, n)) ? json_string_value(json_array_get(flags, n)) : "");
        }
        fputs("</li>\n", f);
    }
    fputs(any ? "</ul>\n" : "", f);
}

static void put_environment(FILE *f, const struct results *r) {
    const char *field;
    fputs("<h2>Environment</h2>\n", f);
    if (r->num_columns > 1)
        fputs("<p class=\"soft\">&#8800; marks what differs.</p>\n", f);
    fputs("<div class=\"scroll\"><table>\n", f);
    for (int k = 0; r->num_columns > 1 && k < r->num_columns; k++)
        fprintf(f, "%s<th>%s</th>%s", k ? "" : "<tr><th></th>", r->columns[k].label,
                k + 1 < r->num_columns ? "" : "</tr>\n");
    for (int i = 0; (field = environment_field(i)); i++) {
        fprintf(f, "<tr class=\"%s\"><td class=\"head\">", environment_differs(r, field) ? "differs" : "soft");
        for (const char *c = field; *c; c++)
            fputc(*c == '_' ? ' ' : *c, f);
        fputs("</td>", f);
        for (int k = 0; k < r->num_columns; k++) {
            char buffer[64];
            fputs("<td>", f);
            page_text(f, environment_value(&r->columns[k], field, buffer));
            fputs("</td>", f);
        }
        fputs("</tr>\n", f);
    }
    fputs("</table></div>\n", f);
}

void results_print_html(FILE *file, const struct comparison *c) {
    put_head(file, c);
    page_put_rates(file, c);
    put_table(file, c);
    put_notes(file, c->results);
    page_put_rooflines(file, c->results);
    page_put_kinds(file, c->results);
    page_put_starts(file, c->results);
    page_put_sustained(file, c->results);
    put_environment(file, c->results);
    page_end(file, c->results->num_columns == 1 ? "cardinal bench" : "cardinal compare");
}
