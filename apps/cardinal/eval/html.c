// html.c - the report of an evaluation as one HTML file that needs nothing else.
#include <stdlib.h>
#include <string.h>

#include "commands/report.h"
#include "eval/evaluation.h"
#include "html/page.h"
#include "picture/stb_png.h"
#include "system/text.h"

enum {
    MAX_DRAWN = 128,    // classes up to which the matrix is drawn square by square; beyond, it is a picture
    MAX_CONFUSIONS = 20 // rows of the table of confusions
};

static const char style[] =
    "@media(prefers-color-scheme:dark){.dense{filter:invert(1) hue-rotate(180deg)}}\n"
    ".gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));gap:14px}\n"
    ".gallery figure{margin:0;background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:8px}\n"
    ".gallery .pair{display:flex;gap:6px;height:160px;align-items:center;justify-content:center}.gallery "
    "img{max-width:50%;image-rendering:pixelated}\n"
    "figcaption{font-size:13px;overflow-wrap:anywhere;padding-top:6px}\n"
    ".bar{background:var(--line);border-radius:3px;width:220px;height:10px}.bar i{display:block;background:var(--bar);"
    "border-radius:3px;height:10px}\n"
    ".columns{columns:2 420px}.columns tr{break-inside:avoid}"
    ".cell{fill:var(--bar)}.hit{fill:var(--good)}.frame{fill:none;stroke:var(--line)}\n"
    ".dense{width:100%;max-width:900px;image-rendering:pixelated;border:1px solid var(--line)}\n";

static void put_class(FILE *file, const struct evaluation *e, int id) {
    char buffer[16];
    page_text(file, eval_class_name(e, id, buffer));
}

static double share(uint64_t part, uint64_t whole) { return whole ? (double)part / (double)whole : 0; }

static void put_head(FILE *f, const struct evaluation *e) {
    const struct tally *t = &e->tally;
    int classes;
    const double mean = tally_class_mean(t, &classes);
    char title[600];
    snprintf(title, sizeof title, "%s \xE2\x80\x93 evaluation", path_name(e->w.model.name));
    page_begin(f, title, (const char *const[]){style, NULL});
    fputs("<h1>", f);
    page_text(f, path_name(e->w.model.name));
    fputs("</h1>\n<p class=\"soft\">on ", f);
    page_text(f, e->options->list ? e->options->list : e->options->inputs[0]);
    fprintf(f, " &#183; input %d&#215;%d &#183; %s &#183; ", e->w.session_info.height, e->w.session_info.width,
            precision_name(e->w.session_info.precision));
    page_text(f, e->w.device_info.name);
    fputs("</p>\n", f);
    if (e->interrupted)
        fprintf(f, "<p class=\"bad\">Interrupted: these are the figures of %llu of %zu pictures.</p>\n",
                (unsigned long long)(t->images + t->failed), e->set.count);
    if (t->failed)
        fprintf(f, "<p class=\"bad\">%llu pictures could not be read, and are not counted.</p>\n",
                (unsigned long long)t->failed);
    fprintf(f, "<p class=\"soft\">Folders and classes were matched by %s%s%s.</p>\n<div class=\"figures\">",
            e->set.matched_by, e->set.real ? "; right is what the ReaL labels say" : "",
            e->set.valid ? "; only the valid classes count" : "");
    fprintf(f,
            "<div><b>%.2f %%</b>top-1</div><div><b>%.2f %%</b>top-5</div><div><b>%.2f %%</b>mean of the classes</div>"
            "<div><b>%.2f %%</b>calibration error (ECE)</div><div><b>%llu</b>pictures of %d classes</div></div>\n",
            100 * share(t->top1, t->images), 100 * share(t->top5, t->images), 100 * mean, 100 * tally_ece(t),
            (unsigned long long)t->images, classes);
}

static void put_truth(FILE *f, const struct evaluation *e, const struct eval_item *item) {
    enum { SHOWN = 4 };
    if (!item->real) {
        put_class(f, e, item->truth);
        return;
    }
    for (int i = 0; i < item->num_real && i < SHOWN; i++) {
        fputs(i ? " or " : "", f);
        put_class(f, e, item->real[i]);
    }
    fputs(item->num_real > SHOWN ? " or others" : "", f);
}

static void put_gallery(FILE *f, const struct evaluation *e, const struct mistake *mistakes, int count) {
    fprintf(f, "<h2>The worst mistakes</h2>\n<p class=\"soft\">%s</p>\n<div class=\"gallery\">\n",
            count ? "The wrong answers of which the network was surest, and where in the picture it found them."
                  : "There are none.");
    for (int i = 0; i < count; i++) {
        const struct mistake *m = &mistakes[i];
        const struct eval_item *item = &e->set.items[m->item];
        const struct eval_result *r = &e->results[m->item];
        fputs("<figure><div class=\"pair\">", f);
        if (m->picture && m->map) {
            fputs("<img alt=\"the picture\" src=\"", f);
            page_png(f, m->picture, m->picture_size);
            fputs("\"><img alt=\"what spoke for the answer\" src=\"", f);
            page_png(f, m->map, m->map_size);
            fputs("\">", f);
        } else {
            fputs("<span class=\"soft\">cannot be read any more</span>", f);
        }
        fputs("</div><figcaption>said <b class=\"bad\">", f);
        put_class(f, e, r->top[0]);
        fprintf(f, "</b> %.1f %%, is <b class=\"good\">", 100 * (double)r->prob);
        put_truth(f, e, item);
        fputs("</b>", f);
        if (item->truth >= 0 && !item->real)
            fprintf(f, " %.1f %%", 100 * (double)r->truth_prob);
        fputs("<br><span class=\"soft\">", f);
        page_text(f, item->input.path);
        fputs("</span></figcaption></figure>\n", f);
    }
    fputs("</div>\n", f);
}

// ---- the confusion matrix

struct matrix {
    const struct evaluation *e;
    const struct confusion *pairs;
    size_t num_pairs;
    int *position; // of each class of the model among those that occur; -1: it does not
    int *ids;      // [count]
    int count;
};

// A square for each pair that occurs, as dark as its part of its row.
static void put_squares(FILE *f, const struct matrix *m) {
    const int cell = m->count <= 12 ? 44 : m->count <= 40 ? 20 : 9, side = cell * m->count;
    const int font = cell >= 12 ? 12 : 8, margin = m->count <= 40 ? 130 : 90;
    fprintf(f, "<svg width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" font-size=\"%d\">\n",
            side + margin + 1, side + margin + 1, side + margin + 1, side + margin + 1, font);
    for (int i = 0; i < m->count; i++) {
        const int middle = margin + i * cell + cell / 2;
        fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", margin - 5, middle + font / 3);
        put_class(f, m->e, m->ids[i]);
        fprintf(f, "</text><text transform=\"translate(%d %d) rotate(-90)\">", middle + font / 3, margin - 5);
        put_class(f, m->e, m->ids[i]);
        fputs("</text>\n", f);
    }
    for (size_t i = 0; i < m->num_pairs; i++) {
        const struct confusion *p = &m->pairs[i];
        const double part = share(p->images, m->e->tally.by_class[p->truth].images);
        const int x = margin + m->position[p->said] * cell, y = margin + m->position[p->truth] * cell;
        fprintf(f, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill-opacity=\"%.3f\"><title>",
                p->said == p->truth ? "hit" : "cell", x, y, cell, cell, 0.08 + 0.92 * part);
        put_class(f, m->e, p->truth);
        fputs(" called ", f);
        put_class(f, m->e, p->said);
        fprintf(f, ": %llu</title></rect>\n", (unsigned long long)p->images);
        if (cell >= 40)
            fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" pointer-events=\"none\">%llu</text>\n",
                    x + cell / 2, y + cell / 2 + font / 3, (unsigned long long)p->images);
    }
    fprintf(f, "<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></svg>\n", margin, margin, side,
            side);
}

// A pixel for each pair, in a picture.
static bool put_pixels(FILE *f, const struct matrix *m) {
    const size_t n = (size_t)m->count;
    int size = 0;
    uint8_t *rgba = malloc(n * n * 4);
    if (!rgba)
        return false;
    memset(rgba, 255, n * n * 4);
    for (size_t i = 0; i < m->num_pairs; i++) {
        const struct confusion *p = &m->pairs[i];
        const double part = 0.25 + 0.75 * share(p->images, m->e->tally.by_class[p->truth].images);
        static const double colours[2][3] = {{59, 111, 212}, {26, 127, 75}};
        uint8_t *to = rgba + 4 * ((size_t)m->position[p->truth] * n + (size_t)m->position[p->said]);
        for (int c = 0; c < 3; c++)
            to[c] = (uint8_t)(255 + part * (colours[p->truth == p->said][c] - 255));
    }
    uint8_t *png = stb_png_encode(rgba, m->count, m->count, &size);
    free(rgba);
    if (!png)
        return false;
    fputs("<img class=\"dense\" alt=\"confusion matrix\" src=\"", f);
    page_png(f, png, size);
    fputs("\">\n", f);
    free(png);
    return true;
}

static bool put_matrix(FILE *f, const struct evaluation *e, const struct confusion *pairs, size_t num_pairs) {
    const int classes = e->tally.classes;
    struct matrix m = {.e = e, .pairs = pairs, .num_pairs = num_pairs};
    m.position = calloc((size_t)classes, sizeof *m.position);
    m.ids = calloc((size_t)classes, sizeof *m.ids);
    bool ok = m.position && m.ids;
    for (int i = 0; ok && i < classes; i++) {
        const bool occurs = e->tally.by_class[i].images || e->tally.by_class[i].said;
        m.position[i] = occurs ? m.count : -1;
        if (occurs)
            m.ids[m.count++] = i;
    }
    if (ok && num_pairs > 0) {
        fputs("<h2>Confusion matrix</h2>\n<p class=\"soft\">Rows: what pictures show. Columns: what they were called. "
              "Green is right; the stronger, the larger the part of the row.</p>\n",
              f);
        if (m.count <= MAX_DRAWN)
            put_squares(f, &m);
        else
            ok = put_pixels(f, &m);
    }
    free(m.position);
    free(m.ids);
    return ok;
}

// ---- tables

static int by_images(const void *a, const void *b) {
    const struct confusion *x = a, *y = b;
    if (x->images != y->images)
        return x->images < y->images ? 1 : -1;
    return x->truth != y->truth ? (x->truth > y->truth) - (x->truth < y->truth)
                                : (x->said > y->said) - (x->said < y->said);
}

static bool put_confusions(FILE *f, const struct evaluation *e, const struct confusion *pairs, size_t num_pairs) {
    struct confusion *wrong = calloc(num_pairs + 1, sizeof *wrong);
    size_t count = 0;
    for (size_t i = 0; wrong && i < num_pairs; i++)
        if (pairs[i].truth != pairs[i].said)
            wrong[count++] = pairs[i];
    if (count > 0) {
        qsort(wrong, count, sizeof *wrong, by_images);
        fputs("<h2>Taken for each other most often</h2>\n<table><tr><th>is</th><th>was called</th><th class=\"n\">"
              "pictures</th><th class=\"n\">of the class</th></tr>\n",
              f);
        for (size_t i = 0; i < count && i < MAX_CONFUSIONS; i++) {
            fputs("<tr><td>", f);
            put_class(f, e, wrong[i].truth);
            fputs("</td><td>", f);
            put_class(f, e, wrong[i].said);
            fprintf(f, "</td><td class=\"n\">%llu</td><td class=\"n\">%.1f %%</td></tr>\n",
                    (unsigned long long)wrong[i].images,
                    100 * share(wrong[i].images, e->tally.by_class[wrong[i].truth].images));
        }
        fputs("</table>\n", f);
    }
    free(wrong);
    return wrong != NULL;
}

struct ranked_class {
    int id;
    double accuracy;
};

static int by_accuracy(const void *a, const void *b) {
    const struct ranked_class *x = a, *y = b;
    return x->accuracy != y->accuracy ? (x->accuracy > y->accuracy) - (x->accuracy < y->accuracy)
                                      : (x->id > y->id) - (x->id < y->id);
}

static bool put_classes(FILE *f, const struct evaluation *e) {
    struct ranked_class *ranked = calloc((size_t)e->tally.classes, sizeof *ranked);
    int count = 0;
    for (int i = 0; ranked && i < e->tally.classes; i++)
        if (e->tally.by_class[i].images)
            ranked[count++] = (struct ranked_class){i, share(e->tally.by_class[i].top1, e->tally.by_class[i].images)};
    if (count > 0) {
        qsort(ranked, (size_t)count, sizeof *ranked, by_accuracy);
        fputs("<h2>Accuracy by class</h2>\n<p class=\"soft\">Worst first.</p>\n<div class=\"columns\"><table>\n", f);
        for (int i = 0; i < count; i++) {
            const struct class_tally *c = &e->tally.by_class[ranked[i].id];
            fputs("<tr><td>", f);
            put_class(f, e, ranked[i].id);
            fprintf(f,
                    "</td><td><div class=\"bar\"><i style=\"width:%.1f%%\"></i></div></td><td class=\"n\">%.1f %%</td>"
                    "<td class=\"n soft\">%llu of %llu</td></tr>\n",
                    100 * ranked[i].accuracy, 100 * ranked[i].accuracy, (unsigned long long)c->top1,
                    (unsigned long long)c->images);
        }
        fputs("</table></div>\n", f);
    }
    free(ranked);
    return ranked != NULL;
}

static void put_calibration(FILE *f, const struct evaluation *e) {
    fprintf(
        f,
        "<h2>Calibration</h2>\n<p class=\"soft\">Of pictures whose answer the network called p %% sure, p %% should "
        "be right. The expected calibration error, %.2f %%, is the mean distance in %d equal bins of probability, "
        "weighted by pictures.</p>\n<table><tr><th>sure</th><th>right</th><th class=\"n\"></th><th class=\"n\">mean "
        "sureness</th><th class=\"n\">pictures</th></tr>\n",
        100 * tally_ece(&e->tally), ECE_BINS);
    for (int i = 0; i < ECE_BINS; i++) {
        const struct calibration_bin *b = &e->tally.bins[i];
        if (b->images)
            fprintf(f,
                    "<tr><td>%.0f&#8211;%.0f %%</td><td><div class=\"bar\"><i style=\"width:%.1f%%\"></i></div></td>"
                    "<td class=\"n\">%.1f %%</td><td class=\"n\">%.1f %%</td><td class=\"n\">%llu</td></tr>\n",
                    100.0 * i / ECE_BINS, 100.0 * (i + 1) / ECE_BINS, 100 * share(b->right, b->images),
                    100 * share(b->right, b->images), 100 * b->prob / (double)b->images, (unsigned long long)b->images);
    }
    fputs("</table>\n", f);
}

bool html_write(FILE *file, const struct evaluation *e, const struct confusion *pairs, size_t num_pairs,
                const struct mistake *mistakes, int num_mistakes) {
    put_head(file, e);
    put_gallery(file, e, mistakes, num_mistakes);
    bool ok = put_matrix(file, e, pairs, num_pairs);
    ok = ok && put_confusions(file, e, pairs, num_pairs);
    ok = ok && put_classes(file, e);
    put_calibration(file, e);
    page_end(file, "cardinal eval --report");
    return ok;
}
