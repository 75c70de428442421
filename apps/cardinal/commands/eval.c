// eval.c - cardinal eval: accuracy over a folder of class folders, or a list.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands/report.h"
#include "eval/evaluation.h"
#include "eval/journal.h"
#include "eval/progress.h"
#include "system/interrupt.h"
#include "system/output_file.h"

enum { DEFAULT_BATCH = 32 };

struct eval {
    struct evaluation result;
    struct report predictions; // .file NULL: none
    struct output_file predictions_file;
    struct journal *journal; // NULL: none
    struct progress progress;
    size_t *open; // the items that are run, in order
    size_t num_open;
    int num_ranks; // best classes wanted of each picture: 5 for the top-5 accuracy, or more for --topk
    struct cdl_class *top;
};

static int compare_classes(const void *a, const void *b) { // as cdl_session_topk
    const struct cdl_class *x = a, *y = b;
    return x->logit != y->logit ? (x->logit < y->logit) - (x->logit > y->logit) : (x->id > y->id) - (x->id < y->id);
}

// The valid classes by their logits, best first, with the softmax over them alone; e->top has room for all of them.
static void rank_valid(struct eval *e, const float *logits) {
    const struct eval_set *set = &e->result.set;
    double sum = 0;
    for (int i = 0; i < set->num_valid; i++)
        e->top[i] = (struct cdl_class){.id = set->valid[i], .logit = logits[set->valid[i]]};
    qsort(e->top, (size_t)set->num_valid, sizeof *e->top, compare_classes);
    for (int i = 0; i < set->num_valid; i++)
        sum += exp((double)e->top[i].logit - (double)e->top[0].logit);
    for (int i = 0; i < set->num_valid; i++)
        e->top[i].prob = (float)(exp((double)e->top[i].logit - (double)e->top[0].logit) / sum);
}

static struct eval_result result_of(const struct eval *e, const struct outcome *o, const float *logits, int truth) {
    struct eval_result r = {.state = o->error || !logits ? EVAL_FAILED : EVAL_DONE};
    for (int i = 0; i < EVAL_RANKS; i++)
        r.top[i] = r.state == EVAL_DONE && i < e->num_ranks ? o->top[i].id : -1;
    if (r.state == EVAL_DONE) {
        r.prob = o->top[0].prob;
        if (truth >= 0)
            r.truth_prob = (float)((double)r.prob * exp((double)logits[truth] - (double)o->top[0].logit));
    }
    return r;
}

static void on_outcome(void *ctx, const struct outcome *outcome) {
    struct eval *e = ctx;
    const size_t at = e->open[outcome->decoded->index];
    const struct eval_item *item = &e->result.set.items[at];
    struct outcome o = *outcome;
    struct decoded decoded = *outcome->decoded; // with the model's class in place of the folder's number
    decoded.class_index = item->truth;
    o.decoded = &decoded;
    const float *logits = o.error ? NULL : cdl_session_logits(e->result.w.session, o.slot, o.image);
    if (logits && e->result.set.valid) {
        rank_valid(e, logits);
        o.top = e->top;
    }
    if (o.error) {
        progress_clear(&e->progress);
        complain("%s", o.error);
    }
    struct eval_result *r = &e->result.results[at];
    *r = result_of(e, &o, logits, item->truth);
    e->result.images_now += r->state == EVAL_DONE;
    tally_add(&e->result.tally, item, r);
    if (e->journal)
        journal_add(e->journal, at, r);
    if (e->predictions.file)
        report_picture(&e->predictions, &o);
    const struct tally *t = &e->result.tally;
    char text[64];
    snprintf(text, sizeof text, ", top-1 %.2f %%", t->images ? 100 * (double)t->top1 / (double)t->images : 0);
    progress_show(&e->progress, t->images + t->failed, text, false);
}

// What of the set is to be run; the results of --resume are counted here.
static bool list_open(struct eval *e) {
    const struct eval_set *set = &e->result.set;
    e->open = calloc(set->count + 1, sizeof *e->open);
    for (size_t i = 0; e->open && i < set->count; i++)
        if (e->result.results[i].state == EVAL_DONE)
            tally_add(&e->result.tally, &set->items[i], &e->result.results[i]);
        else
            e->open[e->num_open++] = i;
    return e->open != NULL;
}

static bool is_interrupted(void *ctx) {
    (void)ctx;
    return interrupted();
}

static cdl_result run(struct eval *e) {
    const struct options *options = e->result.options;
    const struct input_item **items = calloc(e->num_open + 1, sizeof *items);
    for (size_t i = 0; items && i < e->num_open; i++)
        items[i] = &e->result.set.items[e->open[i]].input;
    struct input_stream *stream = items ? inputs_open_items(items, e->num_open) : NULL;
    cdl_result r = CDL_ERR_NOMEM;
    const double begin = now_ms();
    progress_begin(&e->progress, e->result.set.count, e->result.tally.images, options->quiet);
    if (stream)
        r = runner_run(&(struct runner_params){
            .session = e->result.w.session,
            .inputs = stream,
            .threads = options->threads,
            .batch = e->result.w.session_info.max_batch,
            .topk = e->num_ranks,
            .exif = options->exif == EXIF_ON, // torchvision's ImageFolder does not turn pictures
            .stop = is_interrupted,
            .diagnostics = &e->result.w.diagnostics,
            .sink = on_outcome,
            .ctx = e,
        });
    else
        complain("out of memory");
    const struct tally *t = &e->result.tally;
    e->result.seconds = (now_ms() - begin) / 1e3;
    e->result.interrupted = interrupted() && t->images + t->failed < e->result.set.count;
    progress_show(&e->progress, t->images + t->failed, "", true);
    inputs_close(&stream);
    free(items);
    return r;
}

static enum exit_status evaluate(struct eval *e) {
    const struct options *options = e->result.options;
    const struct eval_set *set = &e->result.set;
    interrupt_catch();
    const cdl_result r = run(e);
    if (r != CDL_OK)
        return status_of(r);
    if (e->result.interrupted)
        complain("interrupted after %llu of %zu pictures; the figures are of these%s",
                 (unsigned long long)(e->result.tally.images + e->result.tally.failed), set->count,
                 options->resume ? ", and the same command goes on from here" : "");
    summary_print(&e->result);
    const bool reported = !options->report || report_write(&e->result, options->report);
    if (e->result.interrupted)
        return (enum exit_status)EXIT_INTERRUPTED;
    return e->result.tally.failed || set->skipped || !reported ? EXIT_SOME_FAILED : EXIT_ALL_DONE;
}

static enum exit_status match(struct evaluation *e) {
    return class_names_open(&e->names, &e->w.model) ? eval_set_match(&e->set, &e->names, e->options) : EXIT_SOME_FAILED;
}

// Room for results, and the files that are written on the way.
static enum exit_status prepare(struct eval *e) {
    const struct options *options = e->result.options;
    struct evaluation *out = &e->result;
    const int wanted = options->topk ? options->topk : EVAL_RANKS, ranks = wanted > EVAL_RANKS ? wanted : EVAL_RANKS;
    const int classes = out->set.valid ? out->set.num_valid : out->names.count;
    e->num_ranks = ranks < classes ? ranks : classes;
    out->results = calloc(out->set.count, sizeof *out->results);
    e->top = calloc((size_t)classes, sizeof *e->top);
    if (!out->results || !e->top) {
        complain("out of memory");
        return EXIT_SOME_FAILED;
    }
    if (!tally_open(&out->tally, out->names.count))
        return EXIT_SOME_FAILED;
    if (options->resume && !(e->journal = journal_open(options->resume, &out->w, &out->set, options, out->results)))
        return EXIT_USAGE;
    if (!list_open(e)) {
        complain("out of memory");
        return EXIT_SOME_FAILED;
    }
    e->predictions = (struct report){
        .format = FORMAT_JSON,
        .model = &out->w.model,
        .device = out->w.device_info.name,
        .precision = precision_name(out->w.session_info.precision),
        .topk = wanted < classes ? wanted : classes,
    };
    char error[1024];
    if (options->predictions && !output_file_begin(&e->predictions_file, options->predictions, error, sizeof error)) {
        complain("--predictions %s", error);
        return EXIT_USAGE;
    }
    e->predictions.file = e->predictions_file.file;
    return EXIT_ALL_DONE;
}

static enum exit_status close_files(struct eval *e, enum exit_status status) {
    bool ok = journal_close(&e->journal);
    const bool any = status == EXIT_ALL_DONE || status == EXIT_SOME_FAILED || (int)status == EXIT_INTERRUPTED;
    char error[1024];
    if (e->predictions.file && !output_file_end(&e->predictions_file, any, error, sizeof error)) {
        complain("--predictions %s", error);
        ok = false;
    }
    return status == EXIT_ALL_DONE && !ok ? EXIT_SOME_FAILED : status;
}

static bool check_options(const struct options *options) {
    if (options->num_inputs > 1 || (options->num_inputs == 0 && !options->list)) {
        complain(
            "eval needs one folder, with a folder for every class in it, or --list FILE; see cardinal eval --help");
        return false;
    }
    if (options->resume && options->predictions) {
        complain("--predictions would lack the pictures that --resume passes over; give one of them");
        return false;
    }
    return !options->report || report_name_is_good(options->report);
}

int command_eval(const struct options *options) {
    struct eval e = {.result.options = options};
    struct evaluation *r = &e.result;
    if (!check_options(options))
        return EXIT_USAGE;
    enum exit_status status = eval_set_find(&r->set, options);
    if (status == EXIT_ALL_DONE)
        status = workspace_open_model(&r->w, options);
    if (status == EXIT_ALL_DONE)
        status = match(r);
    if (status == EXIT_ALL_DONE)
        status = workspace_open_session(&r->w, options, DEFAULT_BATCH);
    if (status == EXIT_ALL_DONE)
        status = prepare(&e);
    if (status == EXIT_ALL_DONE)
        status = evaluate(&e);
    status = close_files(&e, status);
    free(r->results);
    free(e.top);
    free(e.open);
    tally_close(&r->tally);
    class_names_close(&r->names);
    eval_set_free(&r->set);
    workspace_close(&r->w);
    return (int)status;
}
