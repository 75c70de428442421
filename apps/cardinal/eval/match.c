// match.c - which class of the model a folder stands for.
#include <stdlib.h>
#include <string.h>

#include "eval/set.h"
#include "parse.h"
#include "system/text.h"

enum { UNMATCHED = CLASS_NONE };

// The class that --class-map gives a folder: of the very name first, then of one that is equal but for case and so on.
static int mapped_class(const struct eval_set *s, const char *name) {
    for (size_t i = 0; i < s->num_mapped; i++)
        if (!strcmp(s->map_keys[i], name))
            return s->map_classes[i];
    for (size_t i = 0; i < s->num_mapped; i++)
        if (equal_names(s->map_keys[i], name))
            return s->map_classes[i];
    return UNMATCHED;
}

// Hidden folders without pictures, such as .ipynb_checkpoints, are no classes.
static bool is_aside(const struct eval_set *s, size_t group) {
    return s->groups.names[group][0] == '.' && s->sizes[group] == 0;
}

static size_t num_groups(const struct eval_set *s) {
    size_t count = 0;
    for (size_t i = 0; i < s->groups.count; i++)
        count += !is_aside(s, i);
    return count;
}

// Folders 0, 1, 10, 2: in order of name they are other classes than in order of number. Nobody can tell which is meant.
static bool numbers_disagree(const struct eval_set *s) {
    int before = -1, number;
    bool disagree = false;
    for (size_t i = 0; i < s->groups.count; i++) {
        if (is_aside(s, i))
            continue;
        if (!parse_int_in(s->groups.names[i], 0, 1 << 30, &number))
            return false;
        disagree |= number <= before;
        before = number;
    }
    return disagree;
}

static void match_by_order(struct eval_set *s, const struct class_names *names) {
    int position = 0;
    const char *first = NULL;
    for (size_t i = 0; i < s->groups.count; i++) {
        if (is_aside(s, i))
            continue;
        first = first ? first : s->groups.names[i];
        s->classes[i] = s->valid ? s->valid[position] : position;
        position++;
    }
    const int id = s->valid ? s->valid[0] : 0;
    s->matched_by = "order";
    complain("warning: no folder is called like a class of the model; sorted by name, the %d folders count as its %d "
             "classes: %s as class %d%s%s, and so on",
             position, position, first, id, names->named ? ", " : "", class_label(names->model, id));
}

static size_t num_matches(const struct class_names *names, const struct name_list *folders) {
    size_t count = 0;
    for (size_t i = 0; i < folders->count; i++)
        count += class_find(names, folders->names[i]) >= 0;
    return count;
}

// Where the folders of another level are the classes, says which one to give. false: they are not.
static bool tell_right_level(const struct eval_set *s, const struct class_names *names, const char *folder) {
    char better[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < s->groups.count && used < sizeof better; i++) {
        struct name_list below = {0};
        char *path = folder_join(folder, s->groups.names[i]);
        if (path && folder_list(path, FOLDER_FOLDERS, &below) == 0 && num_matches(names, &below) > 0)
            used += (size_t)snprintf(better + used, sizeof better - used, "%s%s", used ? " or " : "", path);
        name_list_clear(&below);
        free(path);
    }
    if (used > 0) {
        complain("%s: its folders are no classes of the model, but those one level below are: give %s", folder, better);
        return true;
    }
    if (class_find(names, path_name(folder)) >= 0) {
        complain("%s: its folders are no classes of the model, but it is called like one itself: give the folder it "
                 "lies in",
                 folder);
        return true;
    }
    return false;
}

// Says which groups are no class, a few of them by name.
static void tell_unmatched(const struct eval_set *s, const struct class_names *names, const struct options *options) {
    enum { SHOWN = 5 };
    char list[1200] = "", advice[512], classes[512];
    size_t used = 0, unmatched = 0, listed = 0;
    for (size_t i = 0; i < s->groups.count; i++) {
        if (is_aside(s, i) || s->classes[i] >= 0)
            continue;
        unmatched++;
        if (listed == SHOWN || used + 1 >= sizeof list)
            continue;
        if (s->classes[i] == CLASS_AMBIGUOUS)
            snprintf(advice, sizeof advice, " (several classes are called so)");
        else
            class_advice(names, s->groups.names[i], advice, sizeof advice);
        const int n =
            snprintf(list + used, sizeof list - used, "%s%s%s", listed ? "; " : "", s->groups.names[i], advice);
        used += n > 0 ? (size_t)n : 0;
        listed++;
    }
    class_list(names, classes, sizeof classes);
    complain("%s: %zu of %zu %s no class of the model: %s%s. Rename, or say what they are by --class-map FILE.%s",
             options->list ? options->list : options->inputs[0], unmatched, num_groups(s),
             options->list          ? (unmatched == 1 ? "names of classes is" : "names of classes are")
             : s->groups.count == 1 ? "folder is"
             : unmatched == 1       ? "folders is"
                                    : "folders are",
             list, unmatched > listed ? "; and others" : "", classes);
}

static enum exit_status match_groups(struct eval_set *s, const struct class_names *names,
                                     const struct options *options) {
    const size_t groups = num_groups(s), counted = (size_t)(s->valid ? s->num_valid : names->count);
    size_t matched = 0, mapped = 0;
    for (size_t i = 0; i < s->groups.count; i++) {
        const char *name = s->groups.names[i];
        const int by_map = mapped_class(s, name);
        s->classes[i] = by_map != UNMATCHED ? by_map
                        : s->listed         ? class_find_or_number(names, name)
                                            : class_find(names, name);
        if (is_aside(s, i))
            continue;
        mapped += by_map != UNMATCHED;
        matched += s->classes[i] >= 0;
    }
    s->matched_by = mapped > 0 ? "class-map" : "name";
    if (matched == groups)
        return EXIT_ALL_DONE;
    const bool none = matched == 0 && !options->class_map && !s->listed;
    if (none && tell_right_level(s, names, options->inputs[0]))
        return EXIT_USAGE;
    if (none && groups == counted && numbers_disagree(s)) {
        complain(
            "%s: its folders are numbers, whose order by name (1, 10, 2) is not their order as numbers (1, 2, 10); "
            "say which class each is by --class-map FILE",
            options->inputs[0]);
        return EXIT_USAGE;
    }
    if (none && groups == counted) {
        match_by_order(s, names);
        return EXIT_ALL_DONE;
    }
    if (none && !names->named)
        complain("%s: %zu folders, but the model has %zu classes, and no names to find them by; give names by "
                 "--label-file, or say which class each folder is by --class-map FILE",
                 options->inputs[0], groups, counted);
    else
        tell_unmatched(s, names, options);
    return EXIT_USAGE;
}

static bool is_valid(const struct eval_set *s, int id) {
    for (int i = 0; i < s->num_valid; i++)
        if (s->valid[i] == id)
            return true;
    return s->valid == NULL;
}

// Drops the pictures that cannot be right or wrong, and says how many.
static enum exit_status drop_uncounted(struct eval_set *s, const struct options *options) {
    size_t kept = 0, not_valid = 0, not_real = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct eval_item *item = &s->items[i];
        const bool real = !s->real || item->num_real > 0;
        const bool valid = item->truth < 0 || is_valid(s, item->truth);
        not_real += !real;
        not_valid += real && !valid;
        if (real && valid)
            s->items[kept++] = *item;
        else
            input_item_free(&item->input);
    }
    s->count = kept;
    if (not_real)
        complain("warning: %zu pictures have no label in %s and are not counted", not_real, options->real_labels);
    if (not_valid)
        complain("warning: %zu pictures are of classes that %s does not have, and are not counted", not_valid,
                 options->valid_classes);
    if (kept == 0)
        complain("no picture is left to count");
    return kept ? EXIT_ALL_DONE : EXIT_USAGE;
}

enum exit_status eval_set_match(struct eval_set *s, const struct class_names *names, const struct options *options) {
    if (options->class_map && !eval_read_class_map(s, names, options->class_map))
        return EXIT_USAGE;
    if (options->valid_classes && !eval_read_valid_classes(s, names, options->valid_classes))
        return EXIT_USAGE;
    if (options->real_labels && !eval_read_real_labels(s, names->count, options->real_labels))
        return EXIT_USAGE;
    const enum exit_status status = match_groups(s, names, options);
    if (status != EXIT_ALL_DONE)
        return status;
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].input.class_index >= 0)
            s->items[i].truth = s->classes[s->items[i].input.class_index];
    return drop_uncounted(s, options);
}
