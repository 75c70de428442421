// truth.c - reads the files of --class-map, --valid-classes and --real-labels.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "eval/lines.h"
#include "eval/set.h"
#include "system/text.h"

// The class that `text` names, by name, id or number; below 0 after a line on stderr. `where` is of the file.
static int class_of(const struct class_names *names, const char *text, const char *what, const char *path,
                    const char *where) {
    char advice[512];
    const int id = class_find_or_number(names, text);
    if (id >= 0)
        return id;
    class_advice(names, text, advice, sizeof advice);
    complain("%s %s: %s: %s is %s%s, nor a number from 0 to %d", what, path, where, text,
             id == CLASS_AMBIGUOUS ? "the name of several classes" : "no class of the model", advice, names->count - 1);
    return id;
}

static int class_of_json(const struct class_names *names, const json_t *value, const char *what, const char *path,
                         const char *where) {
    char number[32];
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        if (json_integer_value(value) >= 0 && json_integer_value(value) < names->count)
            return (int)json_integer_value(value);
        return class_of(names, number, what, path, where);
    }
    if (json_is_string(value))
        return class_of(names, json_string_value(value), what, path, where);
    complain("%s %s: %s: a class's name or number is expected", what, path, where);
    return CLASS_NONE;
}

// The JSON of a file whose first character is one of `opening`; NULL with *wrong unset where it is not, and set after a
// line on stderr where it is broken.
static json_t *read_json(const struct lines *lines, const char *opening, const char *what, const char *path,
                         bool *wrong) {
    json_error_t error;
    FILE *file;
    *wrong = false;
    if (lines->count == 0 || !strchr(opening, lines->at[0][strspn(lines->at[0], " \t")]))
        return NULL;
    json_t *root = (file = fopen(path, "rb")) ? json_loadf(file, JSON_REJECT_DUPLICATES, &error) : NULL;
    if (!root) {
        if (file)
            complain("%s %s: line %d: %s", what, path, error.line, error.text);
        else
            complain("%s %s: cannot be read as JSON", what, path);
        *wrong = true;
    }
    if (file)
        fclose(file);
    return root;
}

// ---- --class-map

static bool add_mapping(struct eval_set *s, const char *key, int id, const char *path) {
    for (size_t i = 0; i < s->num_mapped; i++)
        if (!strcmp(s->map_keys[i], key)) {
            complain("--class-map %s: %s is there twice", path, key);
            return false;
        }
    s->map_classes[s->num_mapped] = id;
    if (!(s->map_keys[s->num_mapped] = copy_text(key))) {
        complain("out of memory");
        return false;
    }
    s->num_mapped++;
    return true;
}

static bool map_from_json(struct eval_set *s, const struct class_names *names, json_t *root, const char *path) {
    const char *key;
    json_t *value;
    json_object_foreach (root, key, value) {
        const int id = class_of_json(names, value, "--class-map", path, key);
        if (id < 0 || !add_mapping(s, key, id, path))
            return false;
    }
    return true;
}

// "folder TAB class", or "folder class" with the one space of the line; or, where no line has either, the names of the
// folders in the order of the classes, as timm's class maps are.
static bool map_from_lines(struct eval_set *s, const struct class_names *names, struct lines *lines, const char *path) {
    char where[32];
    bool pairs = false;
    for (size_t i = 0; i < lines->count; i++)
        pairs |= strpbrk(lines->at[i], "\t ") != NULL;
    for (size_t i = 0; i < lines->count; i++) {
        char *line = lines->at[i], *cut = strchr(line, '\t');
        snprintf(where, sizeof where, "line %zu", i + 1);
        if (pairs && !line[0])
            continue;
        if (pairs && !cut && (cut = strchr(line, ' ')) && strchr(cut + 1, ' '))
            cut = NULL;
        if (pairs && (!cut || cut == line || !cut[1])) {
            complain("--class-map %s: %s is not a folder's name, a tab, and a class", path, where);
            return false;
        }
        if (pairs)
            *cut = 0;
        else if (i >= (size_t)names->count) {
            complain("--class-map %s: has more lines than the model's %d classes", path, names->count);
            return false;
        }
        const int id = pairs ? class_of(names, cut + 1, "--class-map", path, where) : (int)i;
        if (id < 0 || !add_mapping(s, line, id, path))
            return false;
    }
    return true;
}

bool eval_read_class_map(struct eval_set *s, const struct class_names *names, const char *path) {
    struct lines lines;
    bool wrong;
    if (!lines_read(&lines, path, "--class-map"))
        return false;
    json_t *root = read_json(&lines, "{", "--class-map", path, &wrong);
    const size_t most = root ? json_object_size(root) : lines.count;
    s->map_keys = calloc(most + 1, sizeof *s->map_keys);
    s->map_classes = calloc(most + 1, sizeof *s->map_classes);
    bool ok = !wrong && s->map_keys && s->map_classes;
    if (ok)
        ok = root ? map_from_json(s, names, root, path) : map_from_lines(s, names, &lines, path);
    if (ok && s->num_mapped == 0) {
        complain("--class-map %s: is empty", path);
        ok = false;
    }
    json_decref(root);
    lines_free(&lines);
    return ok;
}

// ---- --valid-classes

static int compare_ints(const void *a, const void *b) {
    const int x = *(const int *)a, y = *(const int *)b;
    return x < y ? -1 : x > y;
}

bool eval_read_valid_classes(struct eval_set *s, const struct class_names *names, const char *path) {
    struct lines lines;
    char where[48];
    bool wrong;
    if (!lines_read(&lines, path, "--valid-classes"))
        return false;
    json_t *root = read_json(&lines, "[", "--valid-classes", path, &wrong);
    const size_t count = root ? json_array_size(root) : lines.count;
    s->valid = calloc(count + 1, sizeof *s->valid);
    bool ok = !wrong && s->valid;
    for (size_t i = 0; ok && i < count; i++) {
        if (!root && !lines.at[i][0])
            continue;
        snprintf(where, sizeof where, root ? "entry %zu" : "line %zu", i + 1);
        const int id = root ? class_of_json(names, json_array_get(root, i), "--valid-classes", path, where)
                            : class_of(names, lines.at[i], "--valid-classes", path, where);
        ok = id >= 0;
        s->valid[s->num_valid++] = id;
    }
    if (ok) {
        qsort(s->valid, (size_t)s->num_valid, sizeof *s->valid, compare_ints);
        for (int i = 1; ok && i < s->num_valid; i++)
            if (s->valid[i] == s->valid[i - 1]) {
                complain("--valid-classes %s: class %d is there twice", path, s->valid[i]);
                ok = false;
            }
    }
    if (ok && s->num_valid == 0) {
        complain("--valid-classes %s: names no class", path);
        ok = false;
    }
    json_decref(root);
    lines_free(&lines);
    return ok;
}

// ---- --real-labels

// N of "ILSVRC2012_val_0000000N.JPEG", or 0.
static long imagenet_number(const char *path) {
    static const char begin[] = "ILSVRC2012_val_";
    const char *name = path_name(path);
    if (strncmp(name, begin, sizeof begin - 1) != 0)
        return 0;
    return strtol(name + sizeof begin - 1, NULL, 10);
}

static int by_name(const void *a, const void *b) {
    const struct eval_item *x = *(struct eval_item *const *)a, *y = *(struct eval_item *const *)b;
    return strcmp(path_name(x->input.path), path_name(y->input.path));
}

static int by_path(const void *a, const void *b) {
    const struct eval_item *x = *(struct eval_item *const *)a, *y = *(struct eval_item *const *)b;
    return strcmp(x->input.path, y->input.path);
}

// The items in the order of the labels: ImageNet's by their numbers, which may be some of them; else all, by file name,
// or by path where names repeat. order[i] is label i's item, or NULL. false after a line on stderr.
static bool order_items(struct eval_set *s, struct eval_item **order, size_t labels, const char *path) {
    bool numbered = true;
    for (size_t i = 0; i < s->count; i++)
        numbered &= imagenet_number(s->items[i].input.path) > 0;
    if (!numbered && s->count != labels) {
        complain(
            "--real-labels %s: has labels of %zu pictures, but there are %zu, and they are not named as ImageNet's "
            "(ILSVRC2012_val_00000001.JPEG)",
            path, labels, s->count);
        return false;
    }
    for (size_t i = 0; i < s->count; i++) {
        const size_t at = numbered ? (size_t)imagenet_number(s->items[i].input.path) - 1 : i;
        if (at >= labels || order[at]) {
            complain("--real-labels %s: %s: %s", path, s->items[i].input.path,
                     at >= labels ? "there are no labels for its number" : "its number is there twice");
            return false;
        }
        order[at] = &s->items[i];
    }
    if (numbered)
        return true;
    qsort(order, s->count, sizeof *order, by_name);
    for (size_t i = 1; i < s->count; i++)
        if (by_name(&order[i - 1], &order[i]) == 0) {
            qsort(order, s->count, sizeof *order, by_path);
            break;
        }
    return true;
}

// Copies the label lists into the set. false after a line on stderr.
static bool copy_labels(struct eval_set *s, json_t *root, struct eval_item **order, int num_classes, const char *path) {
    size_t total = 0, used = 0, i, j;
    json_t *list, *value;
    json_array_foreach (root, i, list) {
        total += json_array_size(list);
    }
    if (!(s->real = calloc(total + 1, sizeof *s->real))) {
        complain("out of memory");
        return false;
    }
    json_array_foreach (root, i, list) {
        const size_t first = used;
        json_array_foreach (list, j, value) {
            const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
            if (id < 0 || id >= num_classes) {
                complain("--real-labels %s: entry %zu has a label that is no number from 0 to %d", path, i,
                         num_classes - 1);
                return false;
            }
            s->real[used++] = (int)id;
        }
        if (!json_is_array(list)) {
            complain("--real-labels %s: entry %zu is not an array of class numbers", path, i);
            return false;
        }
        if (order[i]) {
            order[i]->real = s->real + first;
            order[i]->num_real = (int)(used - first);
        }
    }
    return true;
}

bool eval_read_real_labels(struct eval_set *s, int num_classes, const char *path) {
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    const size_t labels = json_array_size(root);
    struct eval_item **order = calloc((labels > s->count ? labels : s->count) + 1, sizeof(*order));
    bool ok = false;
    if (!root)
        complain("--real-labels %s: line %d: %s", path, error.line, error.text);
    else if (!json_is_array(root) || labels == 0)
        complain("--real-labels %s: is not a JSON array with an array of class numbers for every picture", path);
    else if (!order)
        complain("out of memory");
    else
        ok = order_items(s, order, labels, path) && copy_labels(s, root, order, num_classes, path);
    free(order);
    json_decref(root);
    return ok;
}
