// models.c - cardinal models: the names that --model takes, how accurate and large the models are, and what of them is
// in the cache.
#include "commands/report.h"
#include "inputs/folder.h"
#include "pretrained/hub.h"
#include "pretrained/pretrained.h"
#include "system/text.h"

#include <string.h>

// One model, as it is listed. 0 and NULL: not known.
struct row {
    const char *name, *source, *interpolation, *license;
    int crop_size, resize_size;
    double acc1, acc5, parameters;
    bool is_cached, is_default;
    char path[2048]; // where it is or would be
};

static bool is_wanted(const char *name, const struct options *options) {
    for (int i = 0; i < options->num_inputs; i++)
        if (contains_ignoring_case(name, options->inputs[i]))
            return true;
    return options->num_inputs == 0;
}

static void print_json(const struct row *r) {
    json_t *o = json_object();
    json_object_set_new(o, "name", json_text(r->name));
    json_object_set_new(o, "source", json_text(r->source));
    json_object_set_new(o, "default", json_boolean(r->is_default));
    json_object_set_new(o, "input_size", r->crop_size ? json_integer(r->crop_size) : json_null());
    json_object_set_new(o, "resize_size", r->resize_size ? json_integer(r->resize_size) : json_null());
    json_object_set_new(o, "interpolation", r->interpolation ? json_text(r->interpolation) : json_null());
    json_object_set_new(o, "top1", r->acc1 > 0 ? json_real(r->acc1) : json_null());
    json_object_set_new(o, "top5", r->acc5 > 0 ? json_real(r->acc5) : json_null());
    json_object_set_new(o, "parameters", r->parameters > 0 ? json_integer((json_int_t)r->parameters) : json_null());
    json_object_set_new(o, "license", r->license ? json_text(r->license) : json_null());
    json_object_set_new(o, "cached", json_boolean(r->is_cached));
    json_object_set_new(o, "path", r->path[0] ? json_text(r->path) : json_null());
    json_line(stdout, o);
}

static void print_row(const struct row *r, const struct options *options) {
    if (options->format == FORMAT_JSON) {
        print_json(r);
        return;
    }
    printf("%-46s", r->name);
    if (r->acc1 > 0)
        printf(" %5d %7.2f %7.2f %6.0f %-13s", r->crop_size, r->acc1, r->acc5, r->parameters * 4 / 1e6,
               r->license ? r->license : "");
    else
        printf(" %5s %7s %7s %6s %-13s", "-", "-", "-", "-", "");
    printf("%s\n", r->is_cached ? " in the cache" : "");
}

// Folders in models/hub that the table does not know. Returns how many were printed.
static int print_others(const struct options *options) {
    char folder[1024], hub[1100], full[256], error[256];
    struct name_list names = {0};
    int count = 0;
    if (!pretrained_folder(folder, sizeof folder, error, sizeof error))
        return 0;
    snprintf(hub, sizeof hub, "%s/hub", folder);
    folder_list(hub, FOLDER_FOLDERS, &names); // none is no error
    for (size_t i = 0; i < names.count; i++) {
        const char *dashes = strstr(names.names[i], "--");
        struct row r = {.name = full, .source = "hub"};
        char again[sizeof full];
        bool known = false;
        if (!dashes || (size_t)snprintf(full, sizeof full, "%.*s/%s", (int)(dashes - names.names[i]), names.names[i],
                                        dashes + 2) >= sizeof full)
            continue;
        for (int j = 0; j < hub_model_count; j++)
            known |= !strncmp(full, "timm/", 5) && !strcmp(full + 5, hub_models[j].name);
        r.is_cached = !known && hub_full_name(full, again, sizeof again) && hub_is_cached(full, r.path, sizeof r.path);
        if (!r.is_cached || !is_wanted(full, options))
            continue;
        print_row(&r, options);
        count++;
    }
    name_list_clear(&names);
    return count;
}

int command_models(const struct options *options) {
    const struct pretrained *p;
    int count = 0;
    if (options->format == FORMAT_CSV) {
        complain("models prints text or json");
        return EXIT_USAGE;
    }
    if (options->format == FORMAT_TEXT)
        printf("%-46s %5s %7s %7s %6s %-13s\n", "name", "input", "top-1 %", "top-5 %", "MB", "license");
    for (int i = 0; (p = pretrained_at(i)); i++) {
        struct row r = {.name = p->name,
                        .source = "torchvision",
                        .interpolation = "bilinear",
                        .crop_size = p->crop_size,
                        .resize_size = p->resize_size,
                        .acc1 = p->acc1,
                        .acc5 = p->acc5,
                        .parameters = (double)p->num_parameters,
                        .is_default = p->is_default};
        if (!is_wanted(r.name, options))
            continue;
        r.is_cached = pretrained_is_cached(p, r.path, sizeof r.path);
        print_row(&r, options);
        count++;
    }
    for (int i = 0; i < hub_model_count; i++) {
        const struct hub_model *m = &hub_models[i];
        char full[128];
        snprintf(full, sizeof full, "timm/%s", m->name);
        struct row r = {.name = full,
                        .source = "timm",
                        .interpolation = m->interpolation,
                        .license = m->license,
                        .crop_size = m->crop_size,
                        .resize_size = m->resize_size,
                        .acc1 = m->acc1,
                        .acc5 = m->acc5,
                        .parameters = m->millions * 1e6};
        if (!is_wanted(full, options))
            continue;
        r.is_cached = hub_is_cached(full, r.path, sizeof r.path);
        print_row(&r, options);
        count++;
    }
    count += print_others(options);
    if (count == 0) {
        complain("no model's name contains %s", options->inputs[0]);
        return EXIT_SOME_FAILED;
    }
    return EXIT_ALL_DONE;
}
