// find_model.c - see find_model.h.
#include "pretrained/find_model.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pretrained/hub.h"
#include "pretrained/pretrained.h"
#include "system/files.h"
#include "system/text.h"

// ---- suggestions

// Whether `name` is nearer than *least, and near enough for a slip; then *least gets the distance. A beginning is
// near, however much is left unsaid.
static bool is_nearer(const char *wanted, const char *name, int *least) {
    const size_t length = strlen(wanted);
    const bool begins = length >= 5 && length < strlen(name) && !strncmp(wanted, name, length);
    const int distance = begins ? 0 : edit_distance(wanted, name), most = (int)strlen(name) / 4;
    if (distance >= *least || distance > (most < 4 ? most : 4))
        return false;
    *least = distance;
    return true;
}

// The known name that is most like `name`, as a slip of the finger would have it; NULL: none is.
static const char *nearest_model_name(const char *name) {
    const char *best = NULL;
    int least = INT_MAX;
    const struct pretrained *p;
    for (int i = 0; (p = pretrained_at(i)); i++) {
        if (is_nearer(name, p->arch, &least))
            best = p->arch;
        if (is_nearer(name, p->name, &least))
            best = p->name;
    }
    // A name with an owner is compared with its owner, so that another's model of the same name is no slip.
    for (int i = 0; i < hub_model_count; i++) {
        char full[MAX_EDITED + 1];
        snprintf(full, sizeof full, "%s%s", strchr(name, '/') ? "timm/" : "", hub_models[i].name);
        if (is_nearer(name, full, &least))
            best = hub_models[i].name;
    }
    return best;
}

// ---- finding

static void take_recipe(struct found_model *out, const struct pretrained *recipe) {
    if (!recipe)
        return;
    out->defaults = recipe->recipe;
    out->num_defaults = PRETRAINED_RECIPE_PAIRS;
    out->defaults_from = recipe->name;
    snprintf(out->name, sizeof out->name, "%s", recipe->name);
}

static bool take_folder(struct found_model *out, const char *folder, const struct cdl_pair *given, int num_given,
                        char *error, size_t error_size) {
    if (!hub_find_weights(folder, out->path, sizeof out->path, error, error_size) ||
        !hub_config_read(&out->config, folder, given, num_given, error, error_size))
        return false;
    out->defaults = out->config.pairs;
    out->num_defaults = out->config.num_pairs;
    out->defaults_from = out->config.file;
    return true;
}

// The name of timm's that a hub's name, `name` in full, may be a slip of; NULL: none, or it is right.
static const char *suggestion(const char *name, const char *full) {
    const char *short_name = full + strcspn(full, "/") + 1, *meant = nearest_model_name(name);
    for (int i = 0; i < hub_model_count; i++)
        if (!strncmp(full, "timm/", 5) && !strcmp(short_name, hub_models[i].name))
            return NULL;
    return meant && strchr(meant, '.') ? meant : NULL;
}

bool find_model(struct found_model *out, const char *name, bool quiet, const struct cdl_pair *given, int num_given,
                char *error, size_t error_size) {
    char full[256], folder[1024];
    struct file_status status;
    *out = (struct found_model){0};
    snprintf(out->name, sizeof out->name, "%s", name);
    if (get_file_status(name, &status)) {
        if (status.kind == FILE_FOLDER)
            return take_folder(out, name, given, num_given, error, error_size);
        snprintf(out->path, sizeof out->path, "%s", name);
        take_recipe(out, pretrained_find_file(name));
        return true;
    }
    const struct pretrained *published = pretrained_find(name);
    if (published) {
        take_recipe(out, published);
        return pretrained_fetch(published, &(struct pretrained_options){.quiet = quiet}, out->path, sizeof out->path,
                                error, error_size);
    }
    if (hub_full_name(name, full, sizeof full)) {
        const char *meant = suggestion(name, full), *server = getenv("CARDINAL_HUB");
        const bool ask = !meant || (server && server[0]); // the server may have what the table does not know yet
        if ((ask || hub_is_cached(full, folder, sizeof folder)) &&
            hub_fetch(full, quiet, folder, sizeof folder, error, error_size))
            return take_folder(out, folder, given, num_given, error, error_size);
        const size_t used = ask ? strlen(error) : 0;
        if (meant)
            snprintf(error + used, error_size - used, "%s%s; did you mean timm/%s?", used ? "" : name,
                     used ? "" : ": there is no such file, folder or known model", meant);
        return false;
    }
    const char *meant = nearest_model_name(name);
    snprintf(error, error_size, "%s: there is no such file, folder or published model; %s%s%s", name,
             meant ? "did you mean " : "cardinal models lists the names", meant ? meant : "", meant ? "?" : "");
    return false;
}

void found_model_free(struct found_model *found) { hub_config_free(&found->config); }
