// plot.h - plots as inline SVG, in the page's colours; of series 0 to 7.
#ifndef CARDINAL_PLOT_H_
#define CARDINAL_PLOT_H_

#include <stdbool.h>
#include <stdio.h>

enum { PLOT_SERIES = 8 };
extern const char plot_style[]; // for page_begin

struct plot_axis {
    double min, max;  // of what is shown; of a logarithmic axis above 0
    bool log, binary; // binary: of a logarithmic axis, ticks at powers of two
    const char *label;
    bool whole; // of a linear axis: ticks at whole numbers alone
};
struct plot {
    FILE *file;
    int width, height; // pixels, labels included
    struct plot_axis x, y;
};

// Widens an axis to hold `value`; one whose max is below its min holds nothing yet.
void plot_axis_hold(struct plot_axis *axis, double value);

// Frame, grid and labels. What is drawn later is cut at the frame by its caller.
void plot_begin(struct plot *p, const char *title);
void plot_end(const struct plot *p);
double plot_x(const struct plot *p, double value); // in pixels
double plot_y(const struct plot *p, double value);
void plot_line(const struct plot *p, int series, const double *x, const double *y, int count);
void plot_segment(const struct plot *p, const char *css_class, double x0, double y0, double x1, double y1);
// A dot with what is shown where the pointer rests on it; low and high are the ends of an error bar, or equal.
void plot_dot(const struct plot *p, int series, double x, double y, double low, double high, const char *text);

// A bar of parts, left to right, in a table's cell: fractions of its whole width.
struct plot_part {
    double value;
    int series;
    const char *text; // shown where the pointer rests on it
};
void plot_stack(FILE *file, const struct plot_part *parts, int count, double whole, int width);
void plot_key(FILE *file, int series, const char *text); // a legend's entry

#endif // CARDINAL_PLOT_H_
