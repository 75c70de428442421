// curves.c - loss and accuracy over the epochs, as a picture: curves.svg, renewed with every epoch.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "html/plot.h"
#include "system/output_file.h"
#include "train/training.h"

enum { WIDTH = 760, HEIGHT = 280, MOST_DOTS = 40 };

// plot.c's classes in plain colours: viewers that are no browsers know no variables.
static const char style[] =
    "svg{font-family:system-ui,sans-serif}.back{fill:#fff}.grid{stroke:#d8dee4;stroke-width:1}"
    ".axis{font-size:12px;fill:#5c6672}.title{font-size:14px;font-weight:600;fill:#1b1f24}"
    ".line{fill:none;stroke-width:2}.l0{stroke:#0b6fb8}.l1{stroke:#c2570c}.l2{stroke:#0a8a66}"
    ".f0{fill:#0b6fb8}.f1{fill:#c2570c}.f2{fill:#0a8a66}"
    "@media(prefers-color-scheme:dark){.back{fill:#14171b}.grid{stroke:#343b44}.axis{fill:#9aa4af}"
    ".title{fill:#e6e9ed}.l0{stroke:#62b5f5}.l1{stroke:#f2a15f}.l2{stroke:#4fd1a5}"
    ".f0{fill:#62b5f5}.f1{fill:#f2a15f}.f2{fill:#4fd1a5}}";

static const char *const keys[] = {"epoch", "train_loss", "val_loss", "train_top1", "val_top1", "val_top5"};
enum { EPOCH, TRAIN_LOSS, VAL_LOSS, TRAIN_TOP1, VAL_TOP1, VAL_TOP5 };
_Static_assert(sizeof keys / sizeof *keys == CURVE_VALUES, "an epoch's values, by their names in the log");

bool curves_add(struct curves *c, const double values[CURVE_VALUES]) {
    if (c->count == c->capacity) {
        const size_t capacity = c->capacity ? 2 * c->capacity : 64;
        double(*larger)[CURVE_VALUES] = realloc(c->epochs, capacity * sizeof *larger);
        if (!larger)
            return false;
        c->epochs = larger;
        c->capacity = capacity;
    }
    memcpy(c->epochs[c->count++], values, sizeof *c->epochs);
    return true;
}

void curves_read(struct curves *c, const char *log, size_t size) {
    for (const char *line = log, *end; line < log + size; line = end + 1) {
        if (!(end = memchr(line, '\n', (size_t)(log + size - line))))
            return;
        json_t *object = json_loadb(line, (size_t)(end - line), 0, NULL);
        double values[CURVE_VALUES];
        bool whole = true;
        for (int i = 0; i < CURVE_VALUES; i++) {
            const json_t *value = json_object_get(object, keys[i]);
            whole = whole && json_is_number(value);
            values[i] = json_number_value(value);
        }
        if (whole) // an epoch's line, not a step's
            curves_add(c, values);
        json_decref(object);
    }
}

void curves_free(struct curves *c) {
    free(c->epochs);
    *c = (struct curves){.count = 0};
}

static void put_legend(FILE *f, const char *const *names, int count) {
    int x = WIDTH - 14;
    for (int i = count - 1; i >= 0; i--) {
        x -= (int)strlen(names[i]) * 7;
        fprintf(f,
                "<text class=\"axis\" x=\"%d\" y=\"19\">%s</text><line class=\"line l%d\" x1=\"%d\" x2=\"%d\" "
                "y1=\"15\" y2=\"15\"/>\n",
                x, names[i], i, x - 24, x - 6);
        x -= 36;
    }
}

static void put_series(const struct plot *p, const struct curves *c, int series, int column, double scale,
                       const char *name) {
    double *x = malloc(2 * c->count * sizeof *x), *y = x + c->count;
    if (!x)
        return; // a picture without this line
    for (size_t i = 0; i < c->count; i++) {
        char text[96];
        x[i] = c->epochs[i][EPOCH];
        y[i] = scale * c->epochs[i][column];
        snprintf(text, sizeof text, "epoch %.0f, %s: %.4g", x[i], name, y[i]);
        if (c->count <= MOST_DOTS)
            plot_dot(p, series, x[i], y[i], y[i], y[i], text);
    }
    plot_line(p, series, x, y, (int)c->count);
    free(x);
}

// Of five classes or fewer it is always all.
static bool has_top5(const struct curves *c) {
    for (size_t i = 0; i < c->count; i++)
        if (c->epochs[i][VAL_TOP5] < 1)
            return true;
    return false;
}

static void put_plot(FILE *f, const struct curves *c, int top, bool accuracy) {
    static const char *const names[] = {"training", "validation", "validation, top-5"};
    const struct plot_axis epochs = {1, c->count > 1 ? c->epochs[c->count - 1][EPOCH] : 2, .label = "epoch",
                                     .whole = true};
    struct plot p = {f, WIDTH, HEIGHT, epochs, {0, accuracy ? 100 : 0, .label = accuracy ? "%" : "cross-entropy"}};
    const int first = accuracy ? TRAIN_TOP1 : TRAIN_LOSS, count = accuracy && has_top5(c) ? 3 : 2;
    p.x.min = c->epochs[0][EPOCH] < p.x.max ? c->epochs[0][EPOCH] : p.x.max - 1;
    for (size_t i = 0; i < c->count && !accuracy; i++)
        for (int k = 0; k < count; k++)
            plot_axis_hold(&p.y, 1.05 * c->epochs[i][first + k]);
    fprintf(f, "<g transform=\"translate(0 %d)\">\n", top);
    plot_begin(&p, accuracy ? "Pictures that are right" : "Loss");
    for (int k = 0; k < count; k++)
        put_series(&p, c, k, first + k, accuracy ? 100 : 1, names[k]);
    put_legend(f, names, count);
    plot_end(&p);
    fputs("</g>\n", f);
}

bool curves_write(const struct curves *c, const char *path) {
    char error[512];
    struct output_file o;
    if (c->count == 0)
        return true;
    if (!output_file_begin(&o, path, error, sizeof error)) {
        complain("%s", error);
        return false;
    }
    fprintf(o.file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n"
            "<style>%s</style>\n<rect class=\"back\" width=\"%d\" height=\"%d\"/>\n",
            WIDTH, 2 * HEIGHT, WIDTH, 2 * HEIGHT, style, WIDTH, 2 * HEIGHT);
    put_plot(o.file, c, 0, false);
    put_plot(o.file, c, HEIGHT, true);
    fputs("</svg>\n", o.file);
    if (output_file_end(&o, true, error, sizeof error))
        return true;
    complain("%s", error);
    return false;
}
