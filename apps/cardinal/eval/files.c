// files.c - the files of `--report`; see evaluation.h.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands/output.h"
#include "commands/report.h"
#include "eval/evaluation.h"
#include "inputs/folder.h"
#include "system/cache_folder.h"
#include "system/files.h"
#include "system/text.h"

enum { GALLERY = 24 };

static bool is_html(const char *path) { return ends_in_any_case(path, ".html") || ends_in_any_case(path, ".htm"); }

bool report_name_is_good(const char *path) {
    struct file_status status;
    if (is_html(path) || !get_file_status(path, &status) || status.kind == FILE_FOLDER)
        return true;
    complain("--report %s: is there, and is neither a folder nor called .html", path);
    return false;
}

static double share(uint64_t part, uint64_t whole) { return whole ? (double)part / (double)whole : 0; }

static void write_classes(FILE *file, const struct evaluation *e) {
    char buffer[16];
    fputs("class,label,images,top1,top5,said\n", file);
    for (int i = 0; i < e->tally.classes; i++) {
        const struct class_tally *c = &e->tally.by_class[i];
        if (!c->images && !c->said)
            continue;
        fprintf(file, "%d,", i);
        output_csv_field(file, eval_class_name(e, i, buffer));
        if (c->images)
            fprintf(file, ",%llu,%.6f,%.6f,%llu\n", (unsigned long long)c->images, share(c->top1, c->images),
                    share(c->top5, c->images), (unsigned long long)c->said);
        else
            fprintf(file, ",0,,,%llu\n", (unsigned long long)c->said);
    }
}

// The classes that occur, as truth or as answer: in the matrix they are both rows and columns.
static int *list_involved(const struct evaluation *e, int *count) {
    int *ids = calloc((size_t)e->tally.classes + 1, sizeof *ids);
    *count = 0;
    for (int i = 0; ids && i < e->tally.classes; i++)
        if (e->tally.by_class[i].images || e->tally.by_class[i].said)
            ids[(*count)++] = i;
    return ids;
}

// A row for every class of which there are pictures; a column for each that occurs.
static bool write_matrix_csv(FILE *file, const struct evaluation *e, const struct confusion *pairs, size_t num_pairs) {
    char buffer[16];
    int count;
    size_t at = 0;
    int *ids = list_involved(e, &count);
    if (!ids)
        return false;
    fputs("is \\ was called", file);
    for (int i = 0; i < count; i++) {
        fputc(',', file);
        output_csv_field(file, eval_class_name(e, ids[i], buffer));
    }
    fputc('\n', file);
    for (int row = 0; row < count; row++) {
        if (!e->tally.by_class[ids[row]].images)
            continue;
        output_csv_field(file, eval_class_name(e, ids[row], buffer));
        while (at < num_pairs && pairs[at].truth < ids[row])
            at++;
        for (int i = 0; i < count; i++) {
            const bool there = at < num_pairs && pairs[at].truth == ids[row] && pairs[at].said == ids[i];
            fprintf(file, ",%llu", there ? (unsigned long long)pairs[at].images : 0);
            at += there;
        }
        fputc('\n', file);
    }
    free(ids);
    return true;
}

static void write_matrix_json(FILE *file, const struct evaluation *e, const struct confusion *pairs, size_t num_pairs) {
    char a[16], b[16];
    json_t *root = json_array();
    for (size_t i = 0; i < num_pairs; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "class", json_integer(pairs[i].truth));
        json_object_set_new(o, "label", json_text(eval_class_name(e, pairs[i].truth, a)));
        json_object_set_new(o, "called", json_integer(pairs[i].said));
        json_object_set_new(o, "called_label", json_text(eval_class_name(e, pairs[i].said, b)));
        json_object_set_new(o, "images", json_integer((json_int_t)pairs[i].images));
        json_array_append_new(root, o);
    }
    json_line(file, root);
}

static void write_summary(FILE *file, const struct evaluation *e) {
    json_t *o = summary_json(e), *bins = json_array();
    for (int i = 0; i < ECE_BINS; i++) {
        const struct calibration_bin *b = &e->tally.bins[i];
        json_t *bin = json_object();
        json_object_set_new(bin, "from", json_real((double)i / ECE_BINS));
        json_object_set_new(bin, "to", json_real((double)(i + 1) / ECE_BINS));
        json_object_set_new(bin, "images", json_integer((json_int_t)b->images));
        json_object_set_new(bin, "accuracy", b->images ? json_real(share(b->right, b->images)) : json_null());
        json_object_set_new(bin, "prob", b->images ? json_real(b->prob / (double)b->images) : json_null());
        json_array_append_new(bins, bin);
    }
    json_object_set_new(o, "calibration", bins);
    json_line(file, o);
}

enum part { PART_HTML, PART_CLASSES, PART_MATRIX_CSV, PART_MATRIX_JSON, PART_SUMMARY, NUM_PARTS };

struct contents {
    struct evaluation *e;
    struct confusion *pairs;
    size_t num_pairs;
    struct mistake *mistakes;
    int num_mistakes;
};

static bool write_part(const struct contents *c, enum part part, const char *path) {
    struct output_file out;
    bool ok = true;
    if (!output_begin(&out, path))
        return false;
    switch (part) {
    case PART_HTML: ok = html_write(out.file, c->e, c->pairs, c->num_pairs, c->mistakes, c->num_mistakes); break;
    case PART_CLASSES: write_classes(out.file, c->e); break;
    case PART_MATRIX_CSV: ok = write_matrix_csv(out.file, c->e, c->pairs, c->num_pairs); break;
    case PART_MATRIX_JSON: write_matrix_json(out.file, c->e, c->pairs, c->num_pairs); break;
    case PART_SUMMARY: write_summary(out.file, c->e); break;
    case NUM_PARTS: break;
    }
    if (!ok)
        complain("%s: out of memory", path);
    return output_end(&out, ok) && ok;
}

bool report_write(struct evaluation *e, const char *path) {
    static const char *const names[NUM_PARTS] = {"report.html", "classes.csv", "confusion.csv", "confusion.json",
                                                 "summary.json"};
    struct contents c = {.e = e};
    bool ok = true;
    if (!is_html(path) && !make_folders(path)) {
        complain("--report %s: the folder cannot be made (%s)", path, strerror(errno));
        return false;
    }
    c.pairs = tally_confusions(&e->set, e->results, &c.num_pairs);
    c.mistakes = mistakes_find(e, GALLERY, &c.num_mistakes);
    if (is_html(path))
        ok = write_part(&c, PART_HTML, path);
    for (int i = 0; !is_html(path) && i < NUM_PARTS; i++) {
        char *file = folder_join(path, names[i]);
        ok = file && write_part(&c, (enum part)i, file) && ok;
        free(file);
    }
    free(c.pairs);
    mistakes_free(c.mistakes, c.num_mistakes);
    return ok;
}
