#include "tune/findings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// ---- the table

// The place of `key`, or where it belongs.
static int position(const struct cdl_findings *f, const char *key) {
    int low = 0, high = f->count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (strcmp(f->items[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_at(const struct cdl_findings *f, int i, const char *key) {
    return i < f->count && !strcmp(f->items[i].key, key);
}

const struct cdl_finding *cdl_findings_find(const struct cdl_findings *f, const char *key) {
    const int i = position(f, key);
    return has_at(f, i, key) ? &f->items[i] : NULL;
}

static bool same(const struct cdl_finding *a, const struct cdl_finding *b) {
    return a->kind == b->kind && a->mode == b->mode && a->ns == b->ns && a->kernel == b->kernel &&
           a->segment.steps == b->segment.steps && a->segment.images == b->segment.images && a->passed == b->passed;
}

bool cdl_findings_set(struct cdl_findings *f, const struct cdl_finding *finding) {
    if (!finding->key[0] || strpbrk(finding->key, "\t\n"))
        return false;
    const int i = position(f, finding->key);
    if (has_at(f, i, finding->key)) {
        f->changed = f->changed || !same(&f->items[i], finding);
        f->items[i] = *finding;
        return true;
    }
    if (f->count == f->capacity) {
        const int capacity = f->capacity ? 2 * f->capacity : 64;
        struct cdl_finding *bigger = realloc(f->items, (size_t)capacity * sizeof *bigger);
        if (!bigger)
            return false;
        f->items = bigger;
        f->capacity = capacity;
    }
    memmove(&f->items[i + 1], &f->items[i], (size_t)(f->count - i) * sizeof *f->items);
    f->items[i] = *finding;
    f->count++;
    f->changed = true;
    return true;
}

void cdl_findings_free(struct cdl_findings *f) {
    free(f->items);
    *f = (struct cdl_findings){0};
}

// ---- text
//
//     kernel   quick|full  NS      KERNEL (hexadecimal)  KEY
//     segment  quick|full  STEPS   IMAGES                KEY
//     check    passed|failed                             KEY

static const char *const mode_names[] = {[CDL_TUNE_QUICK] = "quick", [CDL_TUNE_FULL] = "full"};

enum { MAX_LINE = CDL_FINDING_KEY + 80 };

static void format_line(const struct cdl_finding *f, char out[MAX_LINE]) {
    switch (f->kind) {
    case CDL_FOUND_KERNEL:
        cdl_format_text(out, MAX_LINE, "kernel\t%s\t%" PRIu64 "\t%016" PRIx64 "\t%s\n", mode_names[f->mode], f->ns,
                        f->kernel, f->key);
        return;
    case CDL_FOUND_SEGMENT:
        cdl_format_text(out, MAX_LINE, "segment\t%s\t%d\t%d\t%s\n", mode_names[f->mode], f->segment.steps,
                        f->segment.images, f->key);
        return;
    case CDL_FOUND_CHECK:
        cdl_format_text(out, MAX_LINE, "check\t%s\t%s\n", f->passed ? "passed" : "failed", f->key);
        return;
    }
    out[0] = 0;
}

char *cdl_findings_format(const struct cdl_findings *f, size_t *size) {
    char *text = malloc((size_t)f->count * MAX_LINE + 1);
    size_t used = 0;
    for (int i = 0; text && i < f->count; i++) {
        format_line(&f->items[i], text + used);
        used += strlen(text + used);
    }
    if (text)
        text[used] = 0;
    *size = used;
    return text;
}

// Cuts the next field off *rest; NULL: there is none.
static char *take_field(char **rest) {
    char *field = *rest;
    if (!field)
        return NULL;
    char *tab = strchr(field, '\t');
    if (tab)
        *tab = 0;
    *rest = tab ? tab + 1 : NULL;
    return field;
}

static bool take_mode(char **rest, cdl_tune *out) {
    const char *field = take_field(rest);
    for (cdl_tune mode = CDL_TUNE_QUICK; field && mode <= CDL_TUNE_FULL; mode++)
        if (!strcmp(field, mode_names[mode])) {
            *out = mode;
            return true;
        }
    return false;
}

static bool take_number(char **rest, int base, uint64_t most, uint64_t *out) {
    const char *field = take_field(rest);
    char *end;
    if (!field || !strchr("0123456789abcdef", field[0]))
        return false;
    *out = strtoull(field, &end, base);
    return end != field && !*end && *out <= most;
}

static bool take_segment(char **rest, struct cdl_segment *out) {
    uint64_t steps, images;
    if (!take_number(rest, 10, INT32_MAX, &steps) || !take_number(rest, 10, INT32_MAX, &images))
        return false;
    *out = (struct cdl_segment){(int)steps, (int)images};
    return true;
}

static bool take_passed(char **rest, bool *out) {
    const char *field = take_field(rest);
    *out = field && !strcmp(field, "passed");
    return field && (*out || !strcmp(field, "failed"));
}

static bool parse_line(char *line, struct cdl_finding *out) {
    char *rest = line;
    const char *kind = take_field(&rest);
    bool whole;
    if (!strcmp(kind, "kernel")) {
        out->kind = CDL_FOUND_KERNEL;
        whole = take_mode(&rest, &out->mode) && take_number(&rest, 10, UINT64_MAX, &out->ns) &&
                take_number(&rest, 16, UINT64_MAX, &out->kernel);
    } else if (!strcmp(kind, "segment")) {
        out->kind = CDL_FOUND_SEGMENT;
        whole = take_mode(&rest, &out->mode) && take_segment(&rest, &out->segment);
    } else {
        out->kind = CDL_FOUND_CHECK;
        whole = !strcmp(kind, "check") && take_passed(&rest, &out->passed);
    }
    const char *key = whole ? take_field(&rest) : NULL;
    if (!key || rest || strlen(key) >= sizeof out->key)
        return false;
    cdl_format_text(out->key, sizeof out->key, "%s", key);
    return true;
}

void cdl_findings_parse(struct cdl_findings *f, const char *text, size_t size) {
    char line[MAX_LINE];
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t length = end ? (size_t)(end - (text + at)) : size - at;
        struct cdl_finding finding = {0};
        if (end && length < sizeof line) { // without an end it was cut short
            memcpy(line, text + at, length);
            line[length] = 0;
            if (parse_line(line, &finding))
                cdl_findings_set(f, &finding);
        }
        at += length + 1;
    }
    f->changed = false;
}

// ---- keys

void cdl_work_key(char out[CDL_FINDING_KEY], const struct cdl_work *work, int batch, bool fp16) {
    const struct cdl_graph *g = work->graph;
    out[0] = 0;
    for (int i = 0; i < work->num_ops; i++) {
        const struct cdl_op *op = &work->ops[i];
        const struct cdl_value *from = &g->values[op->src], *to = &g->values[op->dst];
        char text[48];
        cdl_op_text(op, text, sizeof text);
        cdl_format_text(out + strlen(out), CDL_FINDING_KEY - strlen(out),
                        "%s stride %d padding %d, %dx%dx%d to %dx%dx%d%s%s, ", text, op->stride, op->padding,
                        from->height, from->width, from->channels, to->height, to->width, to->channels,
                        op->relu ? " relu" : "", op->residual >= 0 ? " residual" : "");
    }
    cdl_format_text(out + strlen(out), CDL_FINDING_KEY - strlen(out), "batch %d, %s", batch, fp16 ? "fp16" : "fp32");
}

void cdl_segment_key(char out[CDL_FINDING_KEY], const struct cdl_plan *plan) {
    const struct cdl_value *input = &plan->graph.values[0];
    cdl_format_text(out, CDL_FINDING_KEY, "segment of %s, %d steps, %dx%d, batch %d, %s", plan->graph.architecture,
                    plan->num_steps, input->height, input->width, plan->max_batch, plan->fp16 ? "fp16" : "fp32");
}

void cdl_check_key(char out[CDL_FINDING_KEY], const struct cdl_program *program) {
    char name[CDL_PROGRAM_NAME];
    cdl_program_name(program, name);
    cdl_format_text(out, CDL_FINDING_KEY, "%s %s, %016" PRIx64, name, program->fp16 ? "fp16" : "fp32",
                    cdl_program_id(program));
}
