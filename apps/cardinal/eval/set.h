// set.h - the pictures of an evaluation, and what is right for each of them.
#ifndef CARDINAL_SET_H_
#define CARDINAL_SET_H_

#include "eval/classes.h"
#include "inputs/folder.h"
#include "inputs/inputs.h"

struct eval_item {
    struct input_item input; // .class_index: index in `groups`, or -1
    int truth;               // class of the model; -1: none is known
    const int *real;         // --real-labels: the classes that are right, [num_real]; points into the set
    int num_real;
};

struct eval_set {
    struct eval_item *items;
    size_t count, capacity;
    struct name_list groups; // class folders by name, or the names in the second column of a list
    int *classes;            // [groups.count], of the model; set by eval_set_match
    size_t *sizes;           // [groups.count], pictures
    bool listed;             // from --list
    uint64_t skipped;        // files of kinds that cannot be decoded
    int *real;               // all items' ReaL labels, one after the other
    int *valid;              // --valid-classes: ascending; NULL: all classes count
    int num_valid;
    const char *matched_by; // "name", "order" or "class-map"
    char **map_keys;        // --class-map: names of folders, sorted as in the file
    int *map_classes;       // [num_mapped]
    size_t num_mapped;
};

// Finds the pictures of --list, or of FOLDER's class folders; without class folders, which only --real-labels allows,
// those of FOLDER itself. EXIT_ALL_DONE, or the exit status after a line on stderr; either way to be freed.
enum exit_status eval_set_find(struct eval_set *s, const struct options *options);
void eval_set_free(struct eval_set *s);

// Which class of the model each group is, by --class-map, name or order. After it, every item has its truth, and those
// that do not count (--valid-classes, --real-labels) are gone.
enum exit_status eval_set_match(struct eval_set *s, const struct class_names *names, const struct options *options);

// ---- files that say what is right; eval_set_match reads them

bool eval_read_class_map(struct eval_set *s, const struct class_names *names, const char *path);
bool eval_read_valid_classes(struct eval_set *s, const struct class_names *names, const char *path);
// ReaL labels ("Are we done with ImageNet?", Beyer et al. 2020): a JSON array with the right classes of every picture.
bool eval_read_real_labels(struct eval_set *s, int num_classes, const char *path);

#endif // CARDINAL_SET_H_
