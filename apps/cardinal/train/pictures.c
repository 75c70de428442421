// pictures.c - folders of pictures, a folder a class, as torchvision's ImageFolder reads them.
#include <stdlib.h>
#include <string.h>

#include "train/training.h"

static bool add(struct picture_set *s, struct input_item *item) {
    if (s->count == s->capacity) {
        const size_t capacity = s->capacity ? 2 * s->capacity : 256;
        struct input_item *larger = realloc(s->items, capacity * sizeof *larger);
        if (!larger) {
            input_item_free(item);
            return false;
        }
        s->items = larger;
        s->capacity = capacity;
    }
    s->items[s->count++] = *item;
    return true;
}

// The number of each of the stream's classes in `like`; false after a line on stderr.
static bool number_classes(const struct input_stream *stream, const char *folder, const struct picture_set *like,
                           int *numbers) {
    for (int i = 0; i < inputs_num_classes(stream); i++) {
        const char *name = inputs_class_name(stream, i);
        numbers[i] = like ? -1 : i;
        for (size_t k = 0; like && k < like->classes.count; k++)
            if (!strcmp(like->classes.names[k], name))
                numbers[i] = (int)k;
        if (numbers[i] < 0) {
            complain("%s: there is no class %s among those to learn; both folders need the same class folders", folder,
                     name);
            return false;
        }
    }
    return true;
}

static bool take_all(struct picture_set *s, struct input_stream *stream, const int *numbers, size_t *sizes) {
    struct input_item item;
    while (inputs_next(stream, &item)) {
        if (item.error[0]) { // an unreadable folder, or one without pictures
            complain("%s", item.error);
            input_item_free(&item);
            return false;
        }
        sizes[item.class_index]++;
        item.class_index = numbers[item.class_index];
        if (!add(s, &item)) {
            complain("out of memory");
            return false;
        }
    }
    return true;
}

static bool check_sizes(const struct input_stream *stream, const char *folder, const size_t *sizes) {
    for (int i = 0; i < inputs_num_classes(stream); i++)
        if (sizes[i] == 0) {
            complain("%s/%s: holds no picture; put some there, or remove the folder", folder,
                     inputs_class_name(stream, i));
            return false;
        }
    return true;
}

enum exit_status pictures_find(struct picture_set *s, const char *folder, const struct picture_set *like) {
    char text[512];
    struct input_stream *stream = inputs_open_labelled(folder, text, sizeof text);
    *s = (struct picture_set){.count = 0};
    if (!stream) {
        complain("%s", text);
        return EXIT_USAGE;
    }
    const size_t classes = (size_t)inputs_num_classes(stream);
    int *numbers = calloc(classes + 1, sizeof *numbers);
    size_t *sizes = calloc(classes + 1, sizeof *sizes);
    bool ok = numbers && sizes;
    if (!ok)
        complain("out of memory");
    for (size_t i = 0; ok && i < classes; i++)
        ok = name_list_add(&s->classes, inputs_class_name(stream, (int)i));
    ok = ok && number_classes(stream, folder, like, numbers) && take_all(s, stream, numbers, sizes) &&
         check_sizes(stream, folder, sizes);
    if (ok && inputs_num_skipped(stream)) {
        inputs_tell_skipped(stream, text, sizeof text);
        complain("warning: %s", text);
    }
    free(numbers);
    free(sizes);
    inputs_close(&stream);
    return ok ? EXIT_ALL_DONE : EXIT_USAGE;
}

void pictures_free(struct picture_set *s) {
    for (size_t i = 0; i < s->count; i++)
        input_item_free(&s->items[i]);
    free(s->items);
    name_list_clear(&s->classes);
    *s = (struct picture_set){.count = 0};
}
