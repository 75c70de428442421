// report.c - see report.h.
#include "commands/report.h"

#include <stdlib.h>
#include <string.h>

#include "commands/output.h"
#include "system/text.h"

struct version_text version_text(uint32_t version) {
    struct version_text out;
    snprintf(out.text, sizeof out.text, "%u.%u.%u", version >> 22, version >> 12 & 0x3ff, version & 0xfff);
    return out;
}

static void *allocate_or_end(size_t size) {
    void *memory = malloc(size);
    if (!memory) {
        complain("out of memory");
        exit(EXIT_SOME_FAILED);
    }
    return memory;
}

void json_prepare(void) { json_set_alloc_funcs(allocate_or_end, free); }

json_t *json_text(const char *text) {
    json_t *string = json_string(text);
    if (string)
        return string;
    const size_t length = strlen(text);
    char *clean = malloc(3 * length + 1);
    if (!clean)
        return json_string("");
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x80) {
            clean[n++] = text[i];
        } else {
            memcpy(clean + n, "\xEF\xBF\xBD", 3);
            n += 3;
        }
    }
    string = json_stringn(clean, n);
    free(clean);
    return string;
}

void json_line(FILE *file, json_t *object) {
    json_dumpf(object, file, JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
    fputc('\n', file);
    json_decref(object);
}

static void print_json(const struct report *r, const struct outcome *o) {
    json_t *line = json_object();
    json_object_set_new(line, "image", json_text(o->decoded->path));
    if (o->error) {
        json_object_set_new(line, "error", json_text(o->error));
        json_line(r->file, line);
        return;
    }
    if (o->decoded->class_index >= 0)
        json_object_set_new(line, "class", json_integer(o->decoded->class_index));
    json_t *top = json_array();
    for (int i = 0; i < r->topk; i++) {
        json_t *entry = json_object();
        json_object_set_new(entry, "class", json_integer(o->top[i].id));
        json_object_set_new(entry, "label", json_text(class_label(r->model, o->top[i].id)));
        json_object_set_new(entry, "prob", json_real((double)o->top[i].prob));
        json_object_set_new(entry, "logit", json_real((double)o->top[i].logit));
        json_array_append_new(top, entry);
    }
    json_object_set_new(line, "top", top);
    json_object_set_new(line, "model", json_text(r->model->name));
    json_object_set_new(line, "device", json_text(r->device));
    json_object_set_new(line, "precision", json_text(r->precision));
    json_t *ms = json_object();
    json_object_set_new(ms, "decode", json_real(o->decoded->decode_ms));
    json_object_set_new(ms, "upload", json_real(o->upload_ms));
    json_object_set_new(ms, "gpu", json_real(o->gpu_ms));
    json_object_set_new(ms, "total", json_real(o->total_ms));
    json_object_set_new(line, "ms", ms);
    json_line(r->file, line);
}

static void print_csv(const struct report *r, const struct outcome *o) {
    for (int i = 0; i < (o->error ? 1 : r->topk); i++) {
        output_csv_field(r->file, o->decoded->path);
        if (o->error) {
            fputs(",,,,,,", r->file); // the columns in between are empty
            output_csv_field(r->file, o->error);
        } else {
            fprintf(r->file, ",%d,%d,", i + 1, o->top[i].id);
            output_csv_field(r->file, class_label(r->model, o->top[i].id));
            fprintf(r->file, ",%.9g,%.9g,", (double)o->top[i].prob, (double)o->top[i].logit);
        }
        fputc('\n', r->file);
    }
}

static void print_text(const struct report *r, const struct outcome *o) {
    if (o->error) {
        complain("%s", o->error);
        return;
    }
    print_escaped(r->file, o->decoded->path);
    fputc('\n', r->file);
    for (int i = 0; i < r->topk; i++) {
        const char *label = class_label(r->model, o->top[i].id);
        fprintf(r->file, "  %6.2f %%  ", 100 * (double)o->top[i].prob);
        if (label[0])
            print_escaped(r->file, label);
        else
            fprintf(r->file, "class %d", o->top[i].id);
        fputc('\n', r->file);
    }
}

void report_begin(const struct report *r) {
    if (r->format == FORMAT_CSV)
        fputs("image,rank,class,label,prob,logit,error\n", r->file);
}

void report_picture(const struct report *r, const struct outcome *o) {
    switch (r->format) {
    case FORMAT_TEXT: print_text(r, o); break;
    case FORMAT_JSON: print_json(r, o); break;
    case FORMAT_CSV: print_csv(r, o); break;
    case FORMAT_MARKDOWN:
    case FORMAT_HTML: break; // no command with pictures has these
    }
    // So that a reader sees each result at once, and none is lost when the program is killed.
    fflush(r->file);
}
