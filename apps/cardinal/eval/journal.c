// journal.c - see journal.h.
#include "eval/journal.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "commands/report.h"
#include "eval/lines.h"
#include "system/files.h"
#include "system/text.h"

struct journal {
    FILE *file;
    const char *path;
};

// FNV-1a, 64 bits: tells sets of pictures apart.
static void hash_bytes(uint64_t *hash, const void *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        *hash = (*hash ^ ((const unsigned char *)data)[i]) * UINT64_C(0x100000001b3);
}

static uint64_t hash_set(const struct eval_set *set) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < set->count; i++) {
        const struct eval_item *item = &set->items[i];
        hash_bytes(&hash, item->input.path, strlen(item->input.path) + 1);
        hash_bytes(&hash, &item->truth, sizeof item->truth);
    }
    hash_bytes(&hash, set->valid, (size_t)set->num_valid * sizeof *set->valid);
    return hash;
}

static json_t *make_header(const struct workspace *w, const struct eval_set *set, const struct options *options) {
    struct file_status status = {0};
    char text[64];
    json_t *o = json_object();
    if (options->model)
        get_file_status(options->model, &status);
    json_object_set_new(o, "cardinal_eval", json_integer(1));
    json_object_set_new(o, "model", json_text(w->model.name));
    json_object_set_new(o, "model_bytes", json_integer((json_int_t)status.size));
    json_object_set_new(o, "model_time", json_integer((json_int_t)status.mtime));
    json_object_set_new(o, "seed", json_integer(options->seed));
    json_object_set_new(o, "classes", json_integer(w->model.info.num_classes));
    snprintf(text, sizeof text, "%dx%d", w->session_info.height, w->session_info.width);
    json_object_set_new(o, "input", json_string(text));
    json_object_set_new(o, "resize", json_integer(w->model.info.resize_size));
    json_object_set_new(o, "precision", json_string(precision_name(w->session_info.precision)));
    json_object_set_new(o, "exif", json_boolean(options->exif == EXIF_ON));
    json_object_set_new(o, "pictures", json_integer((json_int_t)set->count));
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash_set(set));
    json_object_set_new(o, "pictures_hash", json_string(text));
    return o;
}

// The first key whose value differs; NULL: none does.
static const char *first_difference(json_t *mine, const json_t *theirs) {
    const char *key;
    json_t *value;
    json_object_foreach (mine, key, value) {
        if (!json_equal(value, json_object_get(theirs, key)))
            return key;
    }
    return NULL;
}

static bool read_entry(const json_t *entry, const struct eval_set *set, const struct workspace *w,
                       struct eval_result *results) {
    const json_t *number = json_object_get(entry, "picture"), *top = json_object_get(entry, "top");
    const json_int_t at = json_is_integer(number) ? json_integer_value(number) : -1;
    if (at < 0 || (uint64_t)at >= set->count)
        return false;
    struct eval_result r = {.state = json_is_true(json_object_get(entry, "error")) ? EVAL_FAILED : EVAL_DONE};
    for (size_t i = 0; r.state == EVAL_DONE && i < EVAL_RANKS; i++) {
        const json_t *id = json_array_get(top, i);
        r.top[i] = json_is_integer(id) && json_integer_value(id) < w->model.info.num_classes
                       ? (int)json_integer_value(id)
                       : -1;
        if (i == 0 && r.top[0] < 0)
            return false;
    }
    r.prob = (float)json_number_value(json_object_get(entry, "prob"));
    r.truth_prob = (float)json_number_value(json_object_get(entry, "truth_prob"));
    results[at] = r;
    return true;
}

// Takes the results of the file's lines. *good: how many lines to keep; the last is dropped where it is broken, as the
// run that wrote it may have been killed. false after a line on stderr.
static bool read_entries(const struct lines *lines, const char *path, const struct eval_set *set,
                         const struct workspace *w, json_t *header, struct eval_result *results, size_t *good) {
    json_t *first = lines->count ? json_loads(lines->at[0], 0, NULL) : NULL;
    const char *difference = first_difference(header, first);
    const bool journal = json_is_integer(json_object_get(first, "cardinal_eval"));
    json_decref(first);
    if (!journal)
        complain("--resume %s: is there, and is no file of an evaluation; name another", path);
    else if (difference)
        complain("--resume %s: is of another evaluation (its \"%s\" differs); name another, or remove it", path,
                 difference);
    if (!journal || difference)
        return false;
    for (size_t i = 1; i < lines->count; i++) {
        json_t *entry = json_loads(lines->at[i], 0, NULL);
        const bool ok = entry && read_entry(entry, set, w, results);
        json_decref(entry);
        if (!ok && i + 1 < lines->count) {
            complain("--resume %s: line %zu is damaged; remove the file to begin anew", path, i + 1);
            return false;
        }
        *good = ok ? i + 1 : i;
    }
    return true;
}

// Writes the good lines anew where the last was broken. false after a line on stderr.
static bool rewrite(const struct lines *lines, size_t good, const char *path) {
    char part[4200];
    snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "wb");
    bool ok = file != NULL;
    for (size_t i = 0; ok && i < good; i++)
        ok = fprintf(file, "%s\n", lines->at[i]) > 0;
    if (file)
        ok = fclose(file) == 0 && ok;
    ok = ok && replace_file(part, path);
    if (!ok) {
        complain("--resume %s: cannot be written (%s)", path, strerror(errno));
        remove(part);
    }
    return ok;
}

struct journal *journal_open(const char *path, const struct workspace *w, const struct eval_set *set,
                             const struct options *options, struct eval_result *results) {
    struct file_status status;
    struct lines lines = {0};
    json_t *header = make_header(w, set, options);
    struct journal *j = calloc(1, sizeof *j);
    const bool there = get_file_status(path, &status);
    size_t good = 1;
    bool ok = j && header;
    if (!ok)
        complain("out of memory");
    if (ok && there && status.kind != FILE_REGULAR) {
        complain("--resume %s: is no regular file", path);
        ok = false;
    }
    if (ok && there && status.size > 0)
        ok = lines_read(&lines, path, "--resume") && read_entries(&lines, path, set, w, header, results, &good) &&
             rewrite(&lines, good, path);
    if (ok && !(j->file = fopen(path, "ab"))) {
        complain("--resume %s: cannot be written (%s)", path, strerror(errno));
        ok = false;
    }
    if (ok) {
        j->path = path;
        if (lines.count == 0)
            json_line(j->file, json_incref(header));
        fflush(j->file);
    }
    lines_free(&lines);
    json_decref(header);
    if (!ok) {
        free(j);
        j = NULL;
    }
    return j;
}

void journal_add(struct journal *j, size_t item, const struct eval_result *r) {
    if (r->state == EVAL_FAILED) {
        fprintf(j->file, "{\"picture\": %zu, \"error\": true}\n", item);
    } else {
        fprintf(j->file, "{\"picture\": %zu, \"top\": [", item);
        for (int i = 0; i < EVAL_RANKS && r->top[i] >= 0; i++)
            fprintf(j->file, "%s%d", i ? ", " : "", r->top[i]);
        fprintf(j->file, "], \"prob\": %.9g, \"truth_prob\": %.9g}\n", (double)r->prob, (double)r->truth_prob);
    }
    fflush(j->file); // so that nothing is lost when the program is killed
}

bool journal_close(struct journal **j) {
    if (!*j)
        return true;
    const bool damaged = ferror((*j)->file) != 0, ok = fclose((*j)->file) == 0 && !damaged;
    if (!ok)
        complain("--resume %s: could not be written whole; is the disk full?", (*j)->path);
    free(*j);
    *j = NULL;
    return ok;
}
