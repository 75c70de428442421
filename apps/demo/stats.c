// stats.c - what --stats prints.
#include "demo.h"

#include <jansson.h>

#include "commands/report.h"

void demo_print_stats(struct demo *d) {
    const struct classifier *c = &d->classifier;
    const struct figures *f = &d->figures;
    const struct source_status status = sources_status(&d->sources);
    const double seconds = (now_ms() - f->counting_since) / 1000;
    json_t *line = json_object();
    json_object_set_new(line, "device", json_text(d->machine->info.name));
    json_object_set_new(line, "driver", json_text(d->machine->info.driver));
    json_object_set_new(line, "model", json_text(c->bundle.model.name));
    json_object_set_new(line, "precision", json_text(precision_name(c->bundle.info.precision)));
    json_object_set_new(line, "source", json_text(d->sources.active.name));
    json_object_set_new(line, "window", json_boolean(d->window != NULL));
    json_object_set_new(line, "width", json_integer(d->renderer.target.width));
    json_object_set_new(line, "height", json_integer(d->renderer.target.height));
    json_object_set_new(line, "frames", json_integer((json_int_t)f->frames_counted));
    json_object_set_new(line, "seconds", json_real(seconds));
    json_object_set_new(line, "source_fps", json_real(status.rate));
    json_object_set_new(line, "shown_fps", json_real(seconds > 0 ? (double)f->fresh_counted / seconds : 0));
    json_object_set_new(line, "dropped", json_integer((json_int_t)status.dropped));
    json_object_set_new(line, "classified_per_s",
                        json_real(seconds > 0 ? (double)(c->results - f->results_before) / seconds : 0));
    json_object_set_new(line, "slices", json_integer(c->slices));
    json_object_set_new(line, "max_slices", json_integer(c->bundle.info.max_slices));
    json_t *ms = json_object();
    json_object_set_new(ms, "capture", json_real(d->sources.frame.capture_ms));
    json_object_set_new(ms, "preprocess", json_real(c->preprocess_ms));
    json_object_set_new(ms, "gpu", json_real(c->work_ms));
    json_object_set_new(ms, "draw", json_real(d->renderer.times.draw_ms));
    json_object_set_new(ms, "total", json_real(c->total_ms));
    json_object_set_new(line, "ms", ms);
    json_t *top = json_array();
    for (int i = 0; i < c->num_top; i++) {
        json_t *entry = json_object();
        json_object_set_new(entry, "class", json_integer(c->top[i].id));
        json_object_set_new(entry, "label", json_text(class_label(&c->bundle.model, c->top[i].id)));
        json_object_set_new(entry, "prob", json_real((double)c->top[i].prob));
        json_array_append_new(top, entry);
    }
    json_object_set_new(line, "top", top);
    json_object_set_new(line, "cam_class", json_integer(c->cam_shown));
    json_object_set_new(line, "validation_messages",
                        d->vk.validating ? json_integer(vulkan_messages(&d->vk)) : json_null());
    json_line(stdout, line);
}
