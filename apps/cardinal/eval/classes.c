// classes.c - see classes.h.
#include "eval/classes.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "pretrained/imagenet_labels.h"
#include "system/text.h"

enum { WNID_LENGTH = 9 };

static bool equal_part(const char *a, size_t a_length, const char *b) {
    for (size_t i = 0; i < a_length; i++)
        if (!b[i] || fold_letter(a[i]) != fold_letter(b[i]))
            return false;
    return !b[a_length];
}

bool equal_names(const char *a, const char *b) { return equal_part(a, strlen(a), b); }

// "n" and eight digits, followed by nothing else of a word
static bool begins_with_wnid(const char *text) {
    if (text[0] != 'n')
        return false;
    for (int i = 1; i < WNID_LENGTH; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return !text[WNID_LENGTH] || strchr(" \t,:_-", text[WNID_LENGTH]);
}

static char *copy_key(const char *label, size_t length) {
    char *key = malloc(length + 1);
    for (size_t i = 0; key && i < length; i++)
        key[i] = fold_letter(label[i]);
    if (key)
        key[length] = 0;
    return key;
}

bool class_names_open(struct class_names *out, const struct loaded_model *model) {
    *out = (struct class_names){.model = model, .count = model->info.num_classes};
    out->keys = calloc((size_t)out->count, sizeof *out->keys);
    out->ids = calloc((size_t)out->count, sizeof *out->ids);
    bool ok = out->keys && out->ids;
    for (int i = 0; ok && i < out->count; i++) {
        const char *label = class_label(model, i);
        out->named |= label[0] != 0;
        if (begins_with_wnid(label)) {
            ok = (out->ids[i] = copy_key(label, WNID_LENGTH)) != NULL;
            label += WNID_LENGTH;
            label += strspn(label, " \t,:_-");
        }
        ok = ok && (out->keys[i] = copy_key(label, strlen(label))) != NULL;
    }
    // Labels of another source, such as those of timm, have ImageNet's first and last class too.
    out->wnids =
        ok && out->count == IMAGENET_CLASSES &&
        (model->imagenet_labels || (strstr(out->keys[0], "tench") && strstr(out->keys[out->count - 1], "toilet")));
    if (!ok) {
        complain("out of memory");
        class_names_close(out);
    }
    return ok;
}

void class_names_close(struct class_names *n) {
    for (int i = 0; i < n->count; i++) {
        if (n->keys)
            free(n->keys[i]);
        if (n->ids)
            free(n->ids[i]);
    }
    free(n->keys);
    free(n->ids);
    *n = (struct class_names){0};
}

// Whether one of the names between commas in `key` is `name`.
static bool has_synonym(const char *key, const char *name) {
    while (*key) {
        const size_t length = strcspn(key, ",");
        if (length > 0 && equal_part(key, length, name))
            return true;
        key += length;
        key += strspn(key, ", ");
    }
    return false;
}

static void note(int *found, int id) { *found = *found == CLASS_NONE ? id : CLASS_AMBIGUOUS; }

int class_find(const struct class_names *n, const char *name) {
    int found = CLASS_NONE;
    if (!name[0])
        return CLASS_NONE;
    for (int i = 0; i < n->count; i++)
        if (equal_names(n->keys[i], name) || (n->ids[i] && equal_names(n->ids[i], name)))
            note(&found, i);
    for (int i = 0; found == CLASS_NONE && n->wnids && i < n->count; i++)
        if (equal_names(imagenet_wnids[i], name))
            return i;
    if (found != CLASS_NONE)
        return found;
    for (int i = 0; i < n->count; i++)
        if (has_synonym(n->keys[i], name))
            note(&found, i);
    return found;
}

int class_find_or_number(const struct class_names *n, const char *name) {
    int number;
    const int found = class_find(n, name);
    if (found != CLASS_NONE || name[0] < '0' || name[0] > '9' || !parse_int_in(name, 0, n->count - 1, &number))
        return found;
    return number;
}

// The class whose name differs least; CLASS_NONE where nothing is much like it.
static int class_nearest(const struct class_names *n, const char *name) {
    int best = CLASS_NONE, least = INT_MAX;
    const size_t length = strlen(name);
    for (int i = 0; i < n->count; i++) {
        const size_t other = strlen(n->keys[i]);
        const int d = edit_distance(name, n->keys[i]);
        const bool like = other > 0 && d <= (int)(length > other ? length : other) / 2;
        if (like && d < least) {
            least = d;
            best = i;
        }
    }
    return best;
}

void class_advice(const struct class_names *n, const char *name, char *out, size_t size) {
    const int nearest = class_nearest(n, name);
    out[0] = 0;
    if (nearest != CLASS_NONE)
        snprintf(out, size, " (nearest class: %s)", class_label(n->model, nearest));
}

void class_list(const struct class_names *n, char *out, size_t size) {
    enum { FEW = 12 };
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; n->named && n->count <= FEW && i < n->count && used < size; i++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : " The classes are ", class_label(n->model, i));
}
