// folder.h - sorted names of a folder's files and subfolders, and the walk over nested folders.
// Names are bytes and sort as bytes, which for UTF-8 is the order in which Python sorts.
#ifndef CARDINAL_FOLDER_H_
#define CARDINAL_FOLDER_H_

#include <stdbool.h>
#include <stddef.h>

struct name_list {
    char **names; // malloc'd strings
    size_t count, capacity;
};

bool name_list_add(struct name_list *l, const char *name); // a copy of it; false: no memory
void name_list_clear(struct name_list *l);                 // frees; all zero afterwards

enum folder_entry { FOLDER_FILES = 1, FOLDER_FOLDERS = 2 };

// Appends the names, without path, of the entries of kind `which`, sorted. Links count as what they lead to;
// a broken one counts as a file. 0, or an errno value with what was read so far in *out.
int folder_list(const char *path, enum folder_entry which, struct name_list *out);

// Appends the paths of `root` and all folders below it, sorted by path. A link back to a folder
// that contains it is not followed; an unreadable folder is listed, its contents are not.
// hidden: also those whose names begin with a dot. false: no memory.
bool folder_walk(const char *root, bool hidden, struct name_list *out);

// "folder/name", malloc'd; NULL: no memory.
char *folder_join(const char *folder, const char *name);

bool folder_exists(const char *path); // there is something of that name, and it is a folder

#endif // CARDINAL_FOLDER_H_
