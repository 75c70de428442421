// From a file's names of tensors to torchvision's: what stands before all names, which scheme they follow, what lies
// beside the network.
#include <stdlib.h>
#include <string.h>

#include "model/schemes.h"

enum { MAX_TENSORS = 1 << 16, MAX_NETWORKS = 8, MAX_TRIED = 64 };

struct place {      // of one tensor
    char *name;     // torchvision's (malloc'd), or NULL
    bool beside;    // no part of the network
    bool secondary; // found outside the network's prefix
};

struct renamer {
    struct cdl_model *model;
    const struct cdl_tensor_list *list;
    const cdl_log *log;
    const char *copy; // the copy that was asked for, or NULL
    struct cdl_scheme scheme;
    struct place *places;      // of each tensor
    char prefix[CDL_MAX_NAME]; // of the network's names, "" or with a dot at its end
    char head[CDL_MAX_NAME];   // what the file calls torchvision's fc
    char networks[MAX_NETWORKS][CDL_MAX_NAME];
    int num_networks;
    bool chosen; // prefix is that of the copy that was asked for
};

// Splits "a.b.weight" into "a.b" and "weight"; false: no module, or too long.
static bool split_name(const char *name, char module[CDL_MAX_NAME], const char **leaf) {
    const char *dot = strrchr(name, '.');
    if (!dot || dot - name >= CDL_MAX_NAME)
        return false;
    memcpy(module, name, (size_t)(dot - name));
    module[dot - name] = 0;
    *leaf = dot + 1;
    return true;
}

static bool is_torchvision(const char *module) {
    static const char *const items[] = {"conv1", "conv2", "conv3", "bn1", "bn2", "bn3", "downsample.0", "downsample.1"};
    if (!strcmp(module, "conv1") || !strcmp(module, "bn1") || !strcmp(module, "fc"))
        return true;
    if (strncmp(module, "layer", 5) || module[5] < '1' || module[5] > '4' || module[6] != '.')
        return false;
    const size_t digits = strspn(module + 7, "0123456789");
    for (size_t i = 0; i < CDL_COUNT(items); i++)
        if (digits > 0 && module[7 + digits] == '.' && !strcmp(module + 8 + digits, items[i]))
            return true;
    return false;
}

// torchvision's module for a name without prefixes.
static enum cdl_place map_name(const struct renamer *r, const char *name, char out[CDL_MAX_NAME], const char **leaf) {
    char module[CDL_MAX_NAME];
    if (cdl_scheme_map(&r->scheme, name, out) == CDL_PLACE_OUTSIDE)
        return CDL_PLACE_OUTSIDE;
    if (!split_name(name, module, leaf))
        return CDL_PLACE_NONE;
    const enum cdl_place place = cdl_scheme_map(&r->scheme, module, out);
    return place == CDL_PLACE_FOUND && !is_torchvision(out) ? CDL_PLACE_NONE : place;
}

// ---- which prefix

static bool holds_block(const struct renamer *r, const char *prefix) {
    const size_t length = strlen(prefix);
    char module[CDL_MAX_NAME];
    const char *leaf;
    for (int i = 0; i < r->list->count; i++) {
        const struct cdl_tensor *t = &r->list->items[i];
        if (t->num_dims == 4 && strncmp(t->name, prefix, length) == 0 &&
            map_name(r, t->name + length, module, &leaf) == CDL_PLACE_FOUND && !strcmp(module, "layer1.0.conv1") &&
            !strcmp(leaf, "weight"))
            return true;
    }
    return false;
}

static int compare_lengths(const void *a, const void *b) {
    const size_t x = strlen(*(char *const *)a), y = strlen(*(char *const *)b);
    return x != y ? (x > y) - (x < y) : strcmp(*(char *const *)a, *(char *const *)b);
}

// Appends what stands before a stem's convolution in the tensor's name, if that is what it can be.
static cdl_result add_prefixes(const struct renamer *r, const struct cdl_tensor *t, char ***prefixes, size_t *count,
                               size_t *capacity) {
    char module[CDL_MAX_NAME], mapped[CDL_MAX_NAME];
    const char *leaf;
    if (t->num_dims != 4 || !split_name(t->name, module, &leaf) || strcmp(leaf, "weight"))
        return CDL_OK;
    for (const char *at = module; at; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
        if (cdl_scheme_map(&r->scheme, at, mapped) != CDL_PLACE_FOUND || strcmp(mapped, "conv1"))
            continue;
        char **grown = cdl_grow(*prefixes, *count, capacity, sizeof(*grown));
        if (!grown)
            return CDL_ERR_NOMEM;
        *prefixes = grown;
        char *copy = cdl_copy_text(module);
        if (!copy)
            return CDL_ERR_NOMEM;
        copy[at - module] = 0;
        grown[(*count)++] = copy;
    }
    return CDL_OK;
}

// Fills r->networks: the prefixes under which a stem and a first block stand.
static cdl_result find_networks(struct renamer *r) {
    char **prefixes = NULL;
    size_t count = 0, capacity = 0;
    cdl_result result = CDL_OK;
    for (int i = 0; result == CDL_OK && i < r->list->count; i++)
        result = add_prefixes(r, &r->list->items[i], &prefixes, &count, &capacity);
    if (count > 1)
        qsort(prefixes, count, sizeof(*prefixes), compare_lengths);
    for (size_t i = 0, tried = 0; i < count && result == CDL_OK && tried < MAX_TRIED; i++) {
        bool known = i > 0 && strcmp(prefixes[i - 1], prefixes[i]) == 0;
        for (int n = 0; n < r->num_networks; n++) // a block's own first convolution
            known |= strncmp(prefixes[i], r->networks[n], strlen(r->networks[n])) == 0;
        if (known || r->num_networks == MAX_NETWORKS)
            continue;
        tried++;
        if (holds_block(r, prefixes[i]))
            cdl_format_text(r->networks[r->num_networks++], CDL_MAX_NAME, "%s", prefixes[i]);
    }
    for (size_t i = 0; i < count; i++)
        free(prefixes[i]);
    free(prefixes);
    return result == CDL_OK ? CDL_OK : cdl_fail(r->log, result, "%s: out of memory for its names", r->model->what);
}

// Whether one of the prefix's parts is the copy that was asked for.
static bool is_copy(const char *prefix, const char *copy) {
    const size_t length = strlen(copy);
    for (const char *part = prefix; *part; part += strcspn(part, ".") + 1) {
        const size_t n = strcspn(part, ".");
        if (n == length && strncmp(part, copy, n) == 0)
            return true;
        if (strcmp(copy, "ema") == 0)
            for (size_t i = 0; i + 3 <= n; i++)
                if (strncmp(part + i, "ema", 3) == 0)
                    return true;
        if (!part[n])
            break;
    }
    return false;
}

static void list_networks(const struct renamer *r, char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < r->num_networks; i++) {
        const char *prefix = r->networks[i];
        cdl_format_text(out + used, size - used, "%s%.*s", used ? ", " : "", (int)strcspn(prefix, "."),
                        prefix[0] ? prefix : "(no prefix)");
        used = strlen(out);
    }
}

// Takes one of the networks as r->prefix; *found false: there is none.
static cdl_result choose_network(struct renamer *r, bool *found) {
    char all[256];
    int chosen = -1, candidates = 0;
    const bool by_copy = r->copy && !r->list->copy_chosen;
    list_networks(r, all, sizeof(all));
    for (int i = 0; i < r->num_networks; i++) {
        const bool fits =
            by_copy ? is_copy(r->networks[i], r->copy) : r->num_networks == 1 || !cdl_tensor_is_beside(r->networks[i]);
        if (fits && candidates++ == 0)
            chosen = i;
    }
    *found = candidates > 0;
    if (by_copy && candidates != 1)
        return cdl_fail(r->log, CDL_ERR_INVALID, "%s: metadata weights=%.63s fits %d copies of the weights%s%s",
                        r->model->what, r->copy, candidates, all[0] ? ", out of: " : "", all);
    if (candidates > 1)
        return cdl_fail(r->log, CDL_ERR_FORMAT, "%s: holds several networks, %s; choose one with metadata weights=NAME",
                        r->model->what, all);
    if (candidates == 1) {
        cdl_format_text(r->prefix, sizeof(r->prefix), "%s", r->networks[chosen]);
        r->chosen = by_copy;
        if (r->num_networks > 1 && !by_copy)
            cdl_logf(r->log, CDL_LOG_INFO, "%s: of its copies of the weights (%s) the plain one is taken",
                     r->model->what, all);
    }
    return CDL_OK;
}

// ---- each tensor's place

static bool set_name(struct place *place, const char *module, const char *leaf) {
    const size_t size = strlen(module) + strlen(leaf) + 2;
    place->name = malloc(size);
    if (place->name)
        cdl_format_text(place->name, size, "%s.%s", module, leaf);
    return place->name != NULL;
}

// Outside the prefix lie the head of a network whose trunk has a prefix of its own, and what training keeps.
static bool place_outside(struct renamer *r, const char *name, struct place *place) {
    char module[CDL_MAX_NAME], prefix[CDL_MAX_NAME];
    const char *leaf;
    cdl_format_text(prefix, sizeof(prefix), "%s", r->prefix);
    for (;;) {
        const size_t length = strlen(prefix);
        if (strncmp(name, prefix, length) == 0) {
            const enum cdl_place found = map_name(r, name + length, module, &leaf);
            place->beside = place->beside || found == CDL_PLACE_OUTSIDE || cdl_tensor_is_beside(name + length);
            if (found == CDL_PLACE_FOUND && !strcmp(module, "fc") && !r->chosen) {
                place->secondary = true;
                return set_name(place, module, leaf);
            }
        }
        if (length == 0)
            break;
        prefix[length - 1] = 0; // the last dot, then the part before it
        char *dot = strrchr(prefix, '.');
        prefix[dot ? dot - prefix + 1 : 0] = 0;
    }
    place->beside |= r->chosen;
    return true;
}

static cdl_result place_all(struct renamer *r) {
    const size_t length = strlen(r->prefix);
    for (int i = 0; i < r->list->count; i++) {
        const char *name = r->list->items[i].name, *leaf;
        struct place *place = &r->places[i];
        char module[CDL_MAX_NAME];
        bool ok = true;
        if (strncmp(name, r->prefix, length) == 0) {
            const enum cdl_place found = map_name(r, name + length, module, &leaf);
            place->beside = found == CDL_PLACE_OUTSIDE || (length == 0 && cdl_tensor_is_beside(name));
            if (found == CDL_PLACE_FOUND)
                ok = set_name(place, module, leaf);
            if (found == CDL_PLACE_FOUND && !strcmp(module, "fc") && !strcmp(leaf, "weight"))
                split_name(name + length, r->head, &leaf);
        } else {
            ok = place_outside(r, name, place);
        }
        if (!ok)
            return cdl_fail(r->log, CDL_ERR_NOMEM, "%s: out of memory for its names", r->model->what);
    }
    return CDL_OK;
}

struct entry { // of the names that were given
    const char *name;
    bool secondary;
    int index;
};

static int compare_entries(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    if (order)
        return order;
    return x->secondary != y->secondary ? x->secondary - y->secondary : x->index - y->index;
}

static const struct entry *find_entry(const struct entry *entries, size_t count, const char *name) {
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && strcmp(entries[low].name, name) == 0 ? &entries[low] : NULL;
}

// Sorts the names given. Of two tensors that would have one name, the first in the file has it, and one within the
// prefix before one outside; the other keeps its own name, and so is found to be unused.
static size_t sort_places(struct renamer *r, struct entry *entries) {
    size_t count = 0, kept = 0;
    for (int i = 0; i < r->list->count; i++)
        if (r->places[i].name)
            entries[count++] = (struct entry){r->places[i].name, r->places[i].secondary, i};
    if (count > 1)
        qsort(entries, count, sizeof(*entries), compare_entries);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || strcmp(entries[kept - 1].name, entries[i].name) != 0) {
            entries[kept++] = entries[i];
            continue;
        }
        free(r->places[entries[i].index].name);
        r->places[entries[i].index].name = NULL;
    }
    return kept;
}

// ---- a head under another name, shortcuts without weights

// When nothing is called like a classifier, the only matrix that has no place, with the vector beside it.
static cdl_result guess_head(struct renamer *r) {
    int weight = -1, bias = -1;
    char module[CDL_MAX_NAME], other[CDL_MAX_NAME];
    const char *leaf;
    for (int i = 0; i < r->list->count; i++) {
        if (r->list->items[i].num_dims != 2 || r->places[i].name || r->places[i].beside)
            continue;
        if (weight >= 0)
            return CDL_OK;
        weight = i;
    }
    if (weight < 0 || !split_name(r->list->items[weight].name, module, &leaf) || strcmp(leaf, "weight"))
        return CDL_OK;
    for (int i = 0; i < r->list->count; i++) {
        const struct cdl_tensor *t = &r->list->items[i];
        if (t->num_dims == 1 && split_name(t->name, other, &leaf) && !strcmp(other, module) && !strcmp(leaf, "bias") &&
            t->shape[0] == r->list->items[weight].shape[0])
            bias = i;
    }
    if (bias < 0 || r->places[bias].name)
        return CDL_OK;
    cdl_logf(r->log, CDL_LOG_INFO, "%s: %s is taken for the classifier, the only matrix there is", r->model->what,
             module);
    if (!set_name(&r->places[weight], "fc", "weight") || !set_name(&r->places[bias], "fc", "bias"))
        return cdl_fail(r->log, CDL_ERR_NOMEM, "%s: out of memory for its names", r->model->what);
    return CDL_OK;
}

// Where shortcuts have no weights and metadata says nothing, what networks with such names do.
static cdl_result guess_shortcut(struct renamer *r, const struct cdl_model_params *params, const struct entry *entries,
                                 size_t count) {
    if (cdl_params_metadata(params, "shortcut") || cdl_model_metadata(r->model, "shortcut") ||
        !find_entry(entries, count, "layer2.0.conv1.weight") || find_entry(entries, count, "layer1.0.conv3.weight") ||
        find_entry(entries, count, "layer4.0.conv1.weight"))
        return CDL_OK;
    for (size_t i = 0; i < count; i++)
        if (strstr(entries[i].name, ".downsample."))
            return CDL_OK;
    for (const struct cdl_weightless *w = cdl_weightless; w->head; w++) {
        if (strcmp(w->head, r->head))
            continue;
        cdl_logf(r->log, CDL_LOG_WARN,
                 "%s: its shortcuts have no weights; by its names it is taken for a network like %s, metadata "
                 "shortcut=%s; shortcut=%s is the other way, and a plain network without shortcuts is not supported",
                 r->model->what, w->origin, w->value, w->shortcut == CDL_SHORTCUT_A ? "a-end" : "a");
        return cdl_tensor_list_set_metadata(&r->model->list, "shortcut", w->value, r->log);
    }
    return CDL_OK;
}

// ---- the result

// Gives the tensors their names, and removes those beside the network with a line about them.
static void apply(struct renamer *r) {
    struct cdl_tensor_list *list = &r->model->list;
    char names[200] = "";
    int kept = 0, dropped = 0;
    for (int i = 0; i < list->count; i++) {
        struct place *place = &r->places[i];
        struct cdl_tensor t = list->items[i];
        if (place->name) {
            free((char *)t.name);
            t.name = place->name;
            place->name = NULL;
        } else if (place->beside) {
            const size_t used = strlen(names);
            if (dropped++ < 3)
                cdl_format_text(names + used, sizeof(names) - used, "%s%.60s", used ? ", " : "", t.name);
            free((char *)t.name);
            continue;
        }
        list->items[kept++] = t;
    }
    list->count = kept;
    if (dropped)
        cdl_logf(r->log, CDL_LOG_INFO, "%s: %d tensors beside the network were passed over: %s%s", r->model->what,
                 dropped, names, dropped > 3 ? ", ..." : "");
}

static cdl_result refuse(struct renamer *r, const char *missing, const char *problem) {
    char names[400] = "";
    const struct cdl_tensor_list *list = &r->model->list;
    for (int i = 0; i < list->count && i < 4; i++) {
        const size_t used = strlen(names);
        cdl_format_text(names + used, sizeof(names) - used, "%s%.90s", used ? ", " : "", list->items[i].name);
    }
    const int count = list->count;
    apply(r);
    const char *likeness = cdl_likeness(list);
    return cdl_fail(
        r->log, CDL_ERR_FORMAT,
        "%s: tensor %s is missing, so this is no ResNet or ResNeXt that can be told by its names%s%s; %s%s; "
        "its tensors are %s%s (%d in all)",
        r->model->what, missing, likeness[0] ? "; " : "", likeness, problem ? "nor by shapes: " : "",
        problem ? problem : "", names, count > 4 ? ", ..." : "", count);
}

static cdl_result place_by_order(struct renamer *r, const struct cdl_model_params *params, const char *missing) {
    char **roles = calloc((size_t)r->list->count, sizeof(*roles));
    if (!roles)
        return cdl_fail(r->log, CDL_ERR_NOMEM, "%s: out of memory for its names", r->model->what);
    const char *problem = NULL;
    const bool weightless = cdl_params_metadata(params, "shortcut") || cdl_model_metadata(r->model, "shortcut");
    const bool found = cdl_roles_by_order(r->list, weightless, roles, &problem);
    if (found) {
        for (int i = 0; i < r->list->count; i++) {
            free(r->places[i].name);
            r->places[i].name = roles[i];
            r->places[i].beside = !roles[i] && cdl_tensor_is_beside(r->list->items[i].name);
        }
        cdl_logf(
            r->log, CDL_LOG_WARN,
            "%s: its names follow no scheme that is known; which tensor is which was told by their order and shapes, "
            "from %s on",
            r->model->what, r->list->items[0].name);
    }
    free(roles);
    return found ? CDL_OK : refuse(r, missing, problem);
}

static cdl_result rename_all(struct renamer *r, const struct cdl_model_params *params, struct entry *entries) {
    static const char *const needed[] = {"conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "fc.weight"};
    bool found;
    cdl_result result = find_networks(r);
    if (result == CDL_OK)
        result = choose_network(r, &found);
    if (result != CDL_OK)
        return result;
    size_t count = 0;
    if (found) {
        result = place_all(r);
        count = result == CDL_OK ? sort_places(r, entries) : 0;
        if (result == CDL_OK && !find_entry(entries, count, "fc.weight")) {
            result = guess_head(r);
            count = sort_places(r, entries);
        }
    }
    for (size_t i = 0; result == CDL_OK && i < CDL_COUNT(needed); i++)
        if (!find_entry(entries, count, needed[i])) {
            result = place_by_order(r, params, needed[i]);
            count = sort_places(r, entries);
        }
    if (result == CDL_OK)
        result = guess_shortcut(r, params, entries, count);
    if (result == CDL_OK)
        apply(r);
    return result;
}

cdl_result cdl_model_rename(struct cdl_model *model, const struct cdl_model_params *params) {
    struct renamer r = {.model = model, .list = &model->list, .log = &params->log};
    r.copy = cdl_params_metadata(params, "weights");
    const int count = model->list.count;
    if (count > MAX_TENSORS)
        return cdl_fail(r.log, CDL_ERR_FORMAT, "%s: has %d tensors, too many for a ResNet", model->what, count);
    const char *own = params->names ? params->names : "";
    const size_t size = strlen(own) + strlen(cdl_schemes) + 2;
    char *text = malloc(size);
    struct entry *entries = calloc((size_t)count, sizeof(*entries));
    r.places = calloc((size_t)count, sizeof(*r.places));
    cdl_result result = CDL_ERR_NOMEM;
    if (!text || !entries || !r.places) {
        cdl_fail(r.log, CDL_ERR_NOMEM, "%s: out of memory for its names", model->what);
    } else {
        cdl_format_text(text, size, "%s\n%s", own, cdl_schemes);
        result = cdl_scheme_read(&r.scheme, text, "names", r.log);
        if (result == CDL_OK)
            result = rename_all(&r, params, entries);
    }
    for (int i = 0; r.places && i < count; i++)
        free(r.places[i].name);
    cdl_scheme_free(&r.scheme);
    free(r.places);
    free(entries);
    free(text);
    return result;
}
