// summary.c - the figures of an evaluation; see evaluation.h.
#include "commands/report.h"
#include "eval/evaluation.h"

const char *eval_class_name(const struct evaluation *e, int id, char buffer[16]) {
    const char *label = class_label(&e->w.model, id);
    if (!label[0])
        snprintf(buffer, 16, "class %d", id);
    return label[0] ? label : buffer;
}

static double share(uint64_t part, uint64_t whole) { return whole ? (double)part / (double)whole : 0; }

static double rate(const struct evaluation *e) { return e->seconds > 0 ? (double)e->images_now / e->seconds : 0; }

json_t *summary_json(const struct evaluation *e) {
    const struct tally *t = &e->tally;
    int classes;
    json_t *o = json_object();
    json_object_set_new(o, "images", json_integer((json_int_t)t->images));
    json_object_set_new(o, "failed", json_integer((json_int_t)t->failed));
    json_object_set_new(o, "top1", json_real(share(t->top1, t->images)));
    json_object_set_new(o, "top5", json_real(share(t->top5, t->images)));
    json_object_set_new(o, "images_per_s", json_real(rate(e)));
    json_object_set_new(o, "seconds", json_real(e->seconds));
    json_object_set_new(o, "batch", json_integer(e->w.session_info.max_batch));
    json_object_set_new(o, "model", json_text(e->w.model.name));
    json_object_set_new(o, "device", json_text(e->w.device_info.name));
    json_object_set_new(o, "driver", json_text(e->w.device_info.driver));
    json_object_set_new(o, "precision", json_text(precision_name(e->w.session_info.precision)));
    json_object_set_new(o, "class_mean_top1", json_real(tally_class_mean(t, &classes)));
    json_object_set_new(o, "classes", json_integer(classes));
    json_object_set_new(o, "ece", json_real(tally_ece(t)));
    json_object_set_new(o, "matched_by", json_text(e->set.matched_by));
    json_object_set_new(o, "real_labels", json_boolean(e->set.real != NULL));
    json_object_set_new(o, "valid_classes", json_integer(e->set.valid ? e->set.num_valid : e->names.count));
    json_object_set_new(o, "total", json_integer((json_int_t)e->set.count));
    json_object_set_new(o, "interrupted", json_boolean(e->interrupted));
    return o;
}

// The classes with the lowest accuracies, where there are more classes than that.
static void print_worst_classes(const struct evaluation *e) {
    enum { SHOWN = 3 };
    char buffer[16];
    int worst[SHOWN], count = 0, classes = 0;
    for (int i = 0; i < e->tally.classes; i++) {
        const struct class_tally *c = &e->tally.by_class[i];
        if (!c->images)
            continue;
        classes++;
        int at = count < SHOWN ? count++ : SHOWN;
        for (; at > 0; at--) {
            const struct class_tally *other = &e->tally.by_class[worst[at - 1]];
            if (share(other->top1, other->images) <= share(c->top1, c->images))
                break;
            if (at < SHOWN)
                worst[at] = worst[at - 1];
        }
        if (at < SHOWN)
            worst[at] = i;
    }
    if (classes <= SHOWN)
        return;
    printf("worst       ");
    for (int i = 0; i < count; i++) {
        const struct class_tally *c = &e->tally.by_class[worst[i]];
        printf("%s%s %.2f %%", i ? ", " : "", eval_class_name(e, worst[i], buffer), 100 * share(c->top1, c->images));
    }
    printf(" (of %d classes; mean %.2f %%)\n", classes, 100 * tally_class_mean(&e->tally, &classes));
}

void summary_print(const struct evaluation *e) {
    const struct tally *t = &e->tally;
    const double top1 = share(t->top1, t->images), top5 = share(t->top5, t->images);
    if (e->options->format == FORMAT_JSON) {
        json_line(stdout, summary_json(e));
    } else if (e->options->format == FORMAT_CSV) {
        printf("images,failed,top1,top5,images_per_s,seconds,ece\n%llu,%llu,%.6f,%.6f,%.2f,%.2f,%.6f\n",
               (unsigned long long)t->images, (unsigned long long)t->failed, top1, top5, rate(e), e->seconds,
               tally_ece(t));
    } else {
        if (e->interrupted)
            printf("images      %llu of %llu, interrupted\n", (unsigned long long)t->images,
                   (unsigned long long)e->set.count);
        else
            printf("images      %llu%s\n", (unsigned long long)t->images, t->failed ? "" : ", none failed");
        if (t->failed)
            printf("failed      %llu (not counted)\n", (unsigned long long)t->failed);
        printf("top-1       %.2f %%\ntop-5       %.2f %%\n", 100 * top1, 100 * top5);
        print_worst_classes(e);
        printf("calibration ECE %.2f %%\nimages/s    %.1f (%.1f s, decoding included)\n", 100 * tally_ece(t), rate(e),
               e->seconds);
    }
}
