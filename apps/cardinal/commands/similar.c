// similar.c - cardinal similar: the pictures that look most like one, to the network.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands/output.h"
#include "commands/report.h"
#include "commands/workspace.h"
#include "inputs/folder.h"
#include "system/text.h"

enum { DEFAULT_BATCH = 8, DEFAULT_COUNT = 10 };

struct neighbour {
    char *path;
    double similarity;
};

struct similar {
    const cdl_session *session;
    int num_features;
    float *query; // [num_features]; of the first picture
    bool have_query, no_memory;
    struct neighbour *best; // [count], nearest first
    int count, wanted;
    uint64_t compared, failed;
};

// The cosine of the angle between two vectors: 1 the same direction, 0 nothing in common.
static double cosine(const float *a, const float *b, int n) {
    double dot = 0, aa = 0, bb = 0;
    for (int i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? dot / (sqrt(aa) * sqrt(bb)) : 0;
}

static void insert(struct similar *s, const char *path, double similarity) {
    int at = s->count;
    while (at > 0 && s->best[at - 1].similarity < similarity)
        at--;
    if (at == s->wanted)
        return;
    char *copy = copy_text(path);
    if (!copy) {
        s->no_memory = true;
        return;
    }
    if (s->count == s->wanted)
        free(s->best[--s->count].path);
    memmove(s->best + at + 1, s->best + at, (size_t)(s->count - at) * sizeof *s->best);
    s->best[at] = (struct neighbour){copy, similarity};
    s->count++;
}

static void on_outcome(void *ctx, const struct outcome *o) {
    struct similar *s = ctx;
    const float *features = o->error ? NULL : cdl_session_features(s->session, o->slot, o->image);
    if (!features) {
        complain("%s", o->error ? o->error : "no features");
        s->failed++;
    } else if (o->decoded->index == 0) {
        memcpy(s->query, features, (size_t)s->num_features * sizeof *features);
        s->have_query = true;
    } else if (s->have_query) {
        s->compared++;
        insert(s, o->decoded->path, cosine(s->query, features, s->num_features));
    }
}

// Without the first picture there is nothing to compare with.
static bool is_vain(void *ctx) {
    const struct similar *s = ctx;
    return s->failed > 0 && !s->have_query;
}

static void print(const struct similar *s, enum output_format format) {
    if (format == FORMAT_CSV)
        fputs("rank,image,similarity\n", stdout);
    for (int i = 0; i < s->count; i++) {
        const struct neighbour *n = &s->best[i];
        if (format == FORMAT_JSON) {
            json_t *o = json_object();
            json_object_set_new(o, "image", json_text(n->path));
            json_object_set_new(o, "similarity", json_real(n->similarity));
            json_line(stdout, o);
        } else if (format == FORMAT_CSV) {
            printf("%d,", i + 1);
            output_csv_field(stdout, n->path);
            printf(",%.6f\n", n->similarity);
        } else {
            printf("%7.4f  %s\n", n->similarity, n->path);
        }
    }
}

static enum exit_status search(struct similar *s, const struct options *options, struct workspace *w) {
    struct input_stream *inputs = inputs_open(options->inputs, options->num_inputs, stdin);
    s->session = w->session;
    s->num_features = w->session_info.num_features;
    s->query = calloc((size_t)s->num_features, sizeof *s->query);
    s->best = calloc((size_t)s->wanted + 1, sizeof *s->best);
    cdl_result r = CDL_ERR_NOMEM;
    if (inputs && s->query && s->best)
        r = runner_run(&(struct runner_params){
            .session = w->session,
            .inputs = inputs,
            .threads = options->threads,
            .batch = w->session_info.max_batch,
            .topk = 1,
            .exif = options->exif != EXIF_OFF,
            .diagnostics = &w->diagnostics,
            .stop = is_vain,
            .sink = on_outcome,
            .ctx = s,
        });
    if (!inputs || !s->query || !s->best || s->no_memory)
        complain("out of memory");
    inputs_close(&inputs);
    if (r != CDL_OK)
        return status_of(r);
    print(s, options->format);
    return s->failed || s->no_memory || !s->have_query || s->compared == 0 ? EXIT_SOME_FAILED : EXIT_ALL_DONE;
}

int command_similar(const struct options *options) {
    if (options->num_inputs < 2 || !strcmp(options->inputs[0], "-") || folder_exists(options->inputs[0])) {
        complain("similar needs a picture, and where to look: PICTURE FOLDER|IMAGE|- ...; see cardinal similar --help");
        return EXIT_USAGE;
    }
    struct workspace w;
    struct similar s = {.wanted = options->topk ? options->topk : DEFAULT_COUNT};
    enum exit_status status = workspace_open(&w, options, DEFAULT_BATCH);
    if (status == EXIT_ALL_DONE)
        status = search(&s, options, &w);
    for (int i = 0; i < s.count; i++)
        free(s.best[i].path);
    free(s.best);
    free(s.query);
    workspace_close(&w);
    return (int)status;
}
