// plot.c - see plot.h.
#include "html/plot.h"

#include <math.h>

#include "html/page.h"

enum { LEFT = 62, RIGHT = 14, TOP = 30, BOTTOM = 42 };

// Colours that differ in lightness, too: Okabe & Ito's, which people who confuse colours can tell apart; darker on
// white, lighter on black.
const char plot_style[] =
    ":root{--s0:#0b6fb8;--s1:#c2570c;--s2:#0a8a66;--s3:#a8447f;--s4:#8a6d00;--s5:#3f51b5;--s6:#6b7280;--s7:#b91c1c}\n"
    "@media(prefers-color-scheme:dark){:root{--s0:#62b5f5;--s1:#f2a15f;--s2:#4fd1a5;--s3:#e59ac6;--s4:#e3c44b;--s5:"
    "#9fa8f5;--s6:#a3abb8;--s7:#f28b82}}\n"
    ".grid{stroke:var(--line);stroke-width:1}.axis{font-size:12px;fill:var(--soft)!important}.title{font-size:14px;"
    "font-weight:600}.roof{stroke:var(--soft);stroke-width:1.5;stroke-dasharray:5 4}\n"
    ".plots{display:flex;flex-wrap:wrap;gap:16px}.plots svg{background:var(--panel);border:1px solid var(--line);"
    "border-radius:8px}\n"
    ".keys{display:flex;flex-wrap:wrap;gap:4px 16px;margin:8px 0;font-size:13px}.keys span{white-space:nowrap}"
    ".keys i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:5px}\n"
    ".f0{fill:var(--s0);background:var(--s0)}.f1{fill:var(--s1);background:var(--s1)}.f2{fill:var(--s2);background:"
    "var(--s2)}.f3{fill:var(--s3);background:var(--s3)}.f4{fill:var(--s4);background:var(--s4)}.f5{fill:var(--s5);"
    "background:var(--s5)}.f6{fill:var(--s6);background:var(--s6)}.f7{fill:var(--s7);background:var(--s7)}\n"
    ".l0{stroke:var(--s0)}.l1{stroke:var(--s1)}.l2{stroke:var(--s2)}.l3{stroke:var(--s3)}.l4{stroke:var(--s4)}"
    ".l5{stroke:var(--s5)}.l6{stroke:var(--s6)}.l7{stroke:var(--s7)}.line{fill:none;stroke-width:2}\n";

void plot_axis_hold(struct plot_axis *axis, double value) {
    if (!isfinite(value) || (axis->log && value <= 0))
        return;
    const bool empty = axis->max < axis->min;
    axis->min = empty || value < axis->min ? value : axis->min;
    axis->max = empty || value > axis->max ? value : axis->max;
}

// Where a value lies on an axis, 0 to 1.
static double place(const struct plot_axis *a, double value) {
    const double low = a->log ? log(a->min) : a->min, high = a->log ? log(a->max) : a->max;
    return high > low ? ((a->log ? log(value) : value) - low) / (high - low) : 0.5;
}

double plot_x(const struct plot *p, double value) { return LEFT + place(&p->x, value) * (p->width - LEFT - RIGHT); }

double plot_y(const struct plot *p, double value) {
    return p->height - BOTTOM - place(&p->y, value) * (p->height - TOP - BOTTOM);
}

static void number(char out[32], double v) {
    if (v >= 1e6 || (v > 0 && v < 1e-3))
        snprintf(out, 32, "%.0e", v);
    else if (v >= 1e4)
        snprintf(out, 32, "%.0fk", v / 1e3);
    else
        snprintf(out, 32, "%.6g", v);
}

static void put_tick(const struct plot *p, bool vertical, double value) {
    char text[32];
    number(text, value);
    if (vertical) {
        const double y = plot_y(p, value);
        fprintf(p->file,
                "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text class=\"axis\" "
                "x=\"%d\" y=\"%.1f\" "
                "text-anchor=\"end\">%s</text>\n",
                LEFT, p->width - RIGHT, y, y, LEFT - 6, y + 4, text);
    } else {
        const double x = plot_x(p, value);
        fprintf(p->file,
                "<line class=\"grid\" y1=\"%d\" y2=\"%d\" x1=\"%.1f\" x2=\"%.1f\"/><text class=\"axis\" "
                "y=\"%d\" x=\"%.1f\" "
                "text-anchor=\"middle\">%s</text>\n",
                TOP, p->height - BOTTOM, x, x, p->height - BOTTOM + 16, x, text);
    }
}

// A linear axis from 0 or near its least value to a round number; a logarithmic one some room beyond its ends.
static void round_axis(struct plot_axis *a) {
    if (a->max < a->min) { // nothing to show
        a->min = a->log ? 1 : 0;
        a->max = a->log ? 10 : 1;
    }
    if (a->log) {
        const double room = a->max / a->min < 1.2 ? 1.5 : 1.15;
        a->min /= room;
        a->max *= room;
    } else if (a->max <= a->min) {
        a->min = a->min > 0 ? 0 : a->min - 1;
        a->max = a->max > 0 ? a->max * 1.1 : a->max + 1;
    }
}

static double step_of(const struct plot_axis *a) { // 1, 2 or 5 times a power of ten, for about five ticks
    const double least = a->whole ? 1 : 0, rough = fmax((a->max - a->min) / 5, least);
    const double power = pow(10, floor(log10(rough)));
    return rough / power < 1.5 ? power : rough / power < 3.5 ? 2 * power : rough / power < 7.5 ? 5 * power : 10 * power;
}

static void put_ticks(const struct plot *p, bool vertical) {
    const struct plot_axis *a = vertical ? &p->y : &p->x;
    if (!a->log) {
        const double step = step_of(a);
        for (double v = ceil(a->min / step - 1e-9) * step; v <= a->max + 1e-9 * step; v += step)
            put_tick(p, vertical, fabs(v) < 1e-9 * step ? 0 : v);
        return;
    }
    const double decades = log10(a->max / a->min), factors[] = {1, 2, 5, 3, 4, 6, 7, 8, 9};
    const int count = decades > 3 ? 1 : decades > 0.7 ? 3 : 9;
    for (double v = 1; a->binary && v <= a->max; v *= 2)
        if (v >= a->min)
            put_tick(p, vertical, v);
    for (int e = (int)floor(log10(a->min)); !a->binary && e <= (int)ceil(log10(a->max)); e++)
        for (int i = 0; i < count; i++) {
            const double v = factors[i] * pow(10, e);
            if (v >= a->min && v <= a->max)
                put_tick(p, vertical, v);
        }
}

void plot_begin(struct plot *p, const char *title) {
    round_axis(&p->x);
    round_axis(&p->y);
    fprintf(p->file,
            "<svg width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n<text class=\"title\" x=\"%d\" "
            "y=\"19\">",
            p->width, p->height, p->width, p->height, LEFT);
    page_text(p->file, title);
    fputs("</text>\n", p->file);
    put_ticks(p, false);
    put_ticks(p, true);
    fprintf(p->file, "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
            (LEFT + p->width - RIGHT) / 2, p->height - 8, p->x.label);
    fprintf(p->file,
            "<text class=\"axis\" transform=\"translate(14 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            (TOP + p->height - BOTTOM) / 2, p->y.label);
}

void plot_end(const struct plot *p) { fputs("</svg>\n", p->file); }

void plot_line(const struct plot *p, int series, const double *x, const double *y, int count) {
    fprintf(p->file, "<polyline class=\"line l%d\" points=\"", series % PLOT_SERIES);
    for (int i = 0; i < count; i++)
        fprintf(p->file, "%s%.1f,%.1f", i ? " " : "", plot_x(p, x[i]), plot_y(p, y[i]));
    fputs("\"/>\n", p->file);
}

void plot_segment(const struct plot *p, const char *css_class, double x0, double y0, double x1, double y1) {
    fprintf(p->file, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", css_class, plot_x(p, x0),
            plot_y(p, y0), plot_x(p, x1), plot_y(p, y1));
}

void plot_dot(const struct plot *p, int series, double x, double y, double low, double high, const char *text) {
    if (high > low)
        fprintf(p->file, "<line class=\"l%d\" stroke-width=\"1.5\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                series % PLOT_SERIES, plot_x(p, x), plot_y(p, low), plot_x(p, x), plot_y(p, high));
    fprintf(p->file, "<circle class=\"f%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill-opacity=\".85\"><title>",
            series % PLOT_SERIES, plot_x(p, x), plot_y(p, y));
    page_text(p->file, text);
    fputs("</title></circle>\n", p->file);
}

void plot_stack(FILE *file, const struct plot_part *parts, int count, double whole, int width) {
    double at = 0;
    fprintf(file, "<svg width=\"%d\" height=\"16\" viewBox=\"0 0 %d 16\" role=\"img\">", width, width);
    for (int i = 0; i < count; i++) {
        const double size = whole > 0 ? parts[i].value / whole * width : 0;
        fprintf(file, "<rect class=\"f%d\" x=\"%.1f\" y=\"1\" width=\"%.1f\" height=\"14\"><title>",
                parts[i].series % PLOT_SERIES, at, size > 0 ? size : 0);
        page_text(file, parts[i].text);
        fputs("</title></rect>", file);
        at += size;
    }
    fputs("</svg>", file);
}

void plot_key(FILE *file, int series, const char *text) {
    fprintf(file, "<span><i class=\"f%d\"></i>", series % PLOT_SERIES);
    page_text(file, text);
    fputs("</span>\n", file);
}
